"""What no cursor shows, on a schedule of its own: records that are gone for good, missed changes, and fields that are
calculated.

getDeleted is asked on each run; all Ids are compared with the landing every few days, and fields whose value changes without
a stamp are read anew. What differs is landed like any batch, counted like any read. Reading what changed is `extract`'s.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_project.errors import IncompleteExtractError
from dagster_project.salesforce import soql
from dagster_project.salesforce.budget import Budget
from dagster_project.salesforce.description import FieldDescription, ObjectDescription, readable_fields
from dagster_project.salesforce.extract import NOTES, OVERLAP, RECONCILING, Batch, LandedBefore
from dagster_project.salesforce.guards import Addresses, expressions
from dagster_project.salesforce.objects import OBJECTS, ObjectSpec, custom_object
from dagster_project.salesforce.plan import choose

if TYPE_CHECKING:
    import duckdb

    from dagster_project.salesforce.client import SalesforceClient

DELETED, IDS, FORMULAS = "deleted", "ids", "formulas"
"""What is looked at: getDeleted's list, all Ids, calculated fields."""
LOG_KEPT = timedelta(days=15)
"""How far back getDeleted reaches."""
_AT_A_TIME = 200
_NOT_OFFERED = (400, 403, 404)


@dataclass(frozen=True)
class Reconciled:
    """One look at one object. `at`: up to which instant of the org's clock (UTC) it covers. `received`: ids or rows that were
    read; `gone`, `missed`, `refreshed`: records landed as deleted, as they are, with new calculated values. `due`: why the Ids
    are to be compared now, where getDeleted could not tell all."""

    object: str
    kind: str
    at: datetime
    received: int = 0
    gone: int = 0
    missed: int = 0
    refreshed: int = 0
    due: str | None = None

    def line(self) -> str | None:
        """What a person is told; None where there is nothing to tell."""
        found = [
            f"{count:,} {what}"
            for count, what in (
                (self.gone, "gone for good"), (self.missed, "missed before"), (self.refreshed, "with new calculated values"),
            )
            if count
        ]  # fmt: skip
        if self.due:
            found.append(f"all Ids compared ({self.due})")
        return f"{self.object}: {', '.join(found)}" if found else None


@dataclass(frozen=True)
class Schedule:
    """Every so many days; `now`: all that can be looked at is, whatever the day."""

    ids_days: int = 7
    formulas_days: int = 7
    now: bool = False


@dataclass(frozen=True)
class _Run:
    client: SalesforceClient
    org_id: str
    at: datetime
    land: Callable[[Batch], object]
    addresses: Addresses
    progress: Callable[..., None]
    notes: Path
    kept_out: Callable[[str, Collection[str], datetime], str | None]


@dataclass(frozen=True)
class _Object:
    spec: ObjectSpec
    description: ObjectDescription
    fields: Sequence[str]
    state: LandedBefore
    folder: Path


def reconcile_org(
    client: SalesforceClient,
    *,
    org_id: str,
    at: datetime,
    landed: Callable[[str], LandedBefore],
    land: Callable[[Batch], object],
    last: Mapping[tuple[str, str], datetime],
    workdir: Path,
    objects: Sequence[str],
    schedule: Schedule | None = None,
    extra_fields: Mapping[str, Sequence[str]] | None = None,
    mapped_fields: Mapping[str, Sequence[str]] | None = None,
    addresses: Addresses | None = None,
    progress: Callable[..., None] = lambda name, event, **numbers: None,
    kept_out: Callable[[str, Collection[str], datetime], str | None] = lambda name, columns, at: None,
) -> Iterator[Reconciled]:
    """Look at each of `objects` that was landed in whole before, and land what differs; gives one row per look, after its
    batch is landed, so that a look that is repeated after a crash changes nothing.

    `at`: the instant up to which the extraction of this run has read; `last`: (object, kind) to the newest look before. An
    object that is looked at for the first time has just been read in full, which counts as a look. `kept_out` (object, columns,
    instant): SQL of rows that are not to be landed (forgotten, past their days), so that none counts as missed. Raises SalesforceError,
    IncompleteExtractError, and whatever `land` raises.
    """
    plan, extra, mapped = schedule or Schedule(), extra_fields or {}, mapped_fields or {}
    run = _Run(client, org_id, at, land, addresses or Addresses("none"), progress, workdir / NOTES, kept_out)
    for name in objects:
        spec = OBJECTS.get(name) or custom_object(name)
        state = landed(name)
        # lists that are always read in full show by themselves what is gone
        if not spec.described or spec.key != ("Id",) or not _is_whole(state):
            continue
        if _just_loaded(state, at) and not plan.now:
            yield from (Reconciled(name, kind, at) for kind in (DELETED, IDS, FORMULAS))
            continue
        with tempfile.TemporaryDirectory(prefix=RECONCILING, dir=workdir) as folder:
            look = None if plan.now else _deleted(run, spec, state, Path(folder), last.get((name, DELETED)))
            due = {
                IDS: plan.now or (look and look.due) or _is_due(last.get((name, IDS)), at, plan.ids_days),
                FORMULAS: plan.now or _is_due(last.get((name, FORMULAS)), at, plan.formulas_days),
            }
            if any(due.values()) and (description := client.describe(name)) and "Id" in description.fields:
                fields, _ = readable_fields(spec, description, extra.get(name, ()), mapped.get(name, ()), run.addresses)
                formulas = [one for one in fields if description.fields[one].calculated]
                if due[IDS]:
                    here = _Object(spec, description, fields, landed(name), _below(folder, IDS))
                    yield _ids(run, here)
                    # all Ids tell more than getDeleted would
                    look = look or Reconciled(name, DELETED, at)
                if due[FORMULAS]:
                    here = _Object(spec, description, fields, landed(name), _below(folder, FORMULAS))
                    yield _formulas(run, here, formulas) if formulas else Reconciled(name, FORMULAS, at)
            if look:
                yield look


def _is_due(last: datetime | None, at: datetime, days: int) -> bool:
    return last is None or at - last >= timedelta(days=days)


def _below(folder: str, name: str) -> Path:
    """A folder for one look."""
    below = Path(folder) / name
    below.mkdir()
    return below


def _is_whole(state: LandedBefore) -> bool:
    mark = state.watermark or {}
    return state.batch_seq > 0 and bool(mark.get("value")) and "unfinished" not in mark


def _just_loaded(state: LandedBefore, at: datetime) -> bool:
    """Whether this run has read the object in full for the first time, in one window or several."""
    window = getattr(state, "facts", {}).get("window") or {}
    return (
        state.extracted_at == at and window.get("load", "first") == "first" and window.get("part", 1) == state.batch_seq
    )


def _deleted(
    run: _Run, spec: ObjectSpec, state: LandedBefore, folder: Path, since: datetime | None
) -> Reconciled | None:
    """What getDeleted lists since the last look; None where the object has no such list, or a minute has not passed."""
    name = spec.name
    if since is None or run.at - since > LOG_KEPT:
        gap = "never asked" if since is None else f"last asked {(run.at - since).days} days ago"
        return Reconciled(name, DELETED, run.at, due=f"getDeleted reaches back 15 days; {gap}")
    if run.at - since < timedelta(minutes=1):
        return None
    doing = f"getDeleted of {name}"
    bounds = {"start": _moment(since), "end": _moment(run.at)}
    response = run.client.request("GET", f"sobjects/{name}/deleted", doing=doing, params=bounds, allow=_NOT_OFFERED)
    if response.status_code != 200:
        from dagster_project.salesforce.http import error_of

        code = error_of(response)[0]
        if code in ("EXCEEDED_ID_LIMIT", "INVALID_REPLICATION_DATE"):
            return Reconciled(name, DELETED, run.at, due=f"getDeleted answered {code}")
        return None
    body = response.json()
    try:
        # one record may be deleted, restored and deleted again: its newest moment counts
        listed = {
            str(one["id"]): datetime.fromisoformat(str(one["deletedDate"])).astimezone(UTC)
            for one in sorted(body["deletedRecords"], key=lambda one: str(one["deletedDate"]))
        }
        covered = min(run.at, datetime.fromisoformat(str(body["latestDateCovered"])))
    except (KeyError, TypeError, ValueError):
        raise IncompleteExtractError(
            "the answer holds no deletedRecords or latestDateCovered.", where=doing, todo="Run again."
        ) from None
    earliest = body.get("earliestDateAvailable")
    cut = bool(earliest) and datetime.fromisoformat(str(earliest)) > since
    due = f"getDeleted knows nothing before {earliest}" if cut else None
    removed = 0
    if listed:
        import pyarrow as pa

        connection = _connect(folder)
        try:
            moments = pa.array(listed.values(), pa.timestamp("us", "UTC"))
            connection.register("listed", pa.table({"Id": pa.array(listed, pa.string()), "deleted_at": moments}))
            path, removed = _changes().gone(
                connection, 'o."Id" NOT IN (SELECT "Id" FROM listed)', state.files, folder, _stamp(run, state), "listed"
            )
        finally:
            connection.close()
        if removed:
            # the numbers of the last read stand beside what was learnt since
            facts = getattr(state, "facts", {})
            _land(run, spec, state, path, removed, removed, {**facts.get("proof", {}), "get_deleted": len(listed)})
    run.progress(name, "deleted", rows=removed)
    return Reconciled(name, DELETED, covered.astimezone(UTC), len(listed), gone=removed, due=due)


def _ids(run: _Run, here: _Object) -> Reconciled:
    """All Ids of the org against all of the landing: what is gone and what was missed."""
    name, mark = here.spec.name, here.state.watermark or {}
    cursor = str(mark["field"])
    fields = [one for one in dict.fromkeys(("Id", cursor, "IsDeleted")) if one in here.description.fields]
    changes = _changes()
    connection = _connect(here.folder)
    try:
        source, rows, proof = _read(run, here, connection, fields)
        changes.check_keys(connection, name, ("Id",), source)
        stamp = _stamp(run, here.state)
        listed = f'o."Id" IN (SELECT "Id" FROM read_parquet({changes.text(str(source))}))'
        path, removed = changes.gone(connection, listed, here.state.files, here.folder, stamp)
        below = datetime.fromisoformat(str(mark["value"])) - OVERLAP
        kept_out = run.kept_out(name, fields, run.at)
        ids = changes.behind(connection, source, here.state.files, cursor, below, kept_out)
        missed, paths = 0, [path] if removed else []
        if ids:
            arrived = _read_ids(run, here, connection, ids)
            newer, missed, also_gone = changes.changed(
                connection, ("Id",), here.fields, arrived, here.state.files, here.folder, stamp, tombstones=False
            )
            paths += [newer] if missed else []
        if paths:
            deleted = removed + (also_gone if ids else 0)
            united = changes.united(connection, paths, here.folder)
            _land(
                run,
                here.spec,
                here.state,
                united,
                removed + missed,
                deleted,
                proof | {"gone": removed, "missed": missed},
            )
    finally:
        connection.close()
    run.progress(name, "reconciled", rows=removed + missed)
    return Reconciled(name, IDS, run.at, rows, gone=removed, missed=missed)


def _formulas(run: _Run, here: _Object, formulas: Sequence[str]) -> Reconciled:
    """Calculated fields, whose changes move no stamp, read anew for all records."""
    changes = _changes()
    connection = _connect(here.folder)
    try:
        run.addresses.bind(connection)
        source, rows, proof = _read(run, here, connection, ["Id", *formulas])
        known = [one for one in formulas if one in here.state.columns]
        refreshed = 0
        if known:
            path, refreshed = changes.refreshed(
                connection, known, source, here.state.files, here.folder, _stamp(run, here.state)
            )
        if refreshed:
            _land(run, here.spec, here.state, path, refreshed, 0, proof | {"refreshed": refreshed})
    finally:
        connection.close()
    run.progress(here.spec.name, "refreshed", rows=refreshed)
    return Reconciled(here.spec.name, FORMULAS, run.at, rows, refreshed=refreshed)


def _read(
    run: _Run, here: _Object, connection: duckdb.DuckDBPyConnection, fields: Sequence[str]
) -> tuple[Path, int, dict[str, Any]]:
    """Those fields of every record, counted: the typed file, its rows, and the proof."""
    from dagster_project.salesforce import bulk, decode, rest

    name, description = here.spec.name, here.description
    everything = soql.Window(None, None, run.at)
    counting, query = soql.count(description, everything), soql.select(description, fields, everything)
    kinds = {one: description.fields[one] for one in fields}
    guarded = expressions(here.spec, kinds, run.addresses)
    target = decode.Target(here.folder / "typed.parquet", None)
    for attempt in (1, 2):
        before, job = run.client.count(counting, doing=f"count of {name}"), None
        budget = run.client.budget or Budget()
        via = choose(before, is_first=True, calls_left=budget.calls_left, jobs_left=budget.jobs_left)
        if via == "bulk":
            budget.spend_job()
            job = bulk.query_all(run.client, query, here.folder, name=name, notes=run.notes)
        if job is not None:
            processed = job.processed
            decoded = decode.csv_pages(connection, name, kinds, job.pages, target, guarded)
        else:
            via = "rest"
            pages, processed = rest.query_all(run.client, query, here.folder, name=name)
            decoded = decode.json_pages(connection, name, kinds, pages, target, guarded)
        after = run.client.count(counting, doing=f"count of {name}")
        if decoded.rows == processed and min(before, after) <= decoded.rows <= max(before, after):
            proof = {
                "via": via,
                "stated": before,
                "stated_after": after,
                "processed": processed,
                "received": decoded.rows,
            }
            return decoded.path, decoded.rows, proof
        if attempt == 1:
            run.progress(name, "again")
    raise IncompleteExtractError(
        f"{decoded.rows:,} Ids arrived where the query states {processed:,} and COUNT() {before:,}, then {after:,}.",
        where=name,
        todo="Run again; nothing was taken for deleted.",
    )


def _read_ids(run: _Run, here: _Object, connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> Path:
    """The records of these Ids in full, typed. One that is gone meanwhile does not arrive: the next look tells."""
    from simple_salesforce.format import format_soql

    from dagster_project.salesforce import decode, rest

    kinds: dict[str, FieldDescription] = {one: here.description.fields[one] for one in here.fields}
    selected = soql.select(here.description, here.fields, soql.Window(None, None, run.at))
    pages: list[Path] = []
    for number in range(0, len(ids), _AT_A_TIME):
        some = here.folder / f"some-{number}"
        some.mkdir()
        query = format_soql(f"{selected} WHERE Id IN {{}}", list(ids[number : number + _AT_A_TIME]))
        found, _ = rest.query_all(run.client, query, some, name=here.spec.name)
        pages += found
    run.addresses.bind(connection)
    target = decode.Target(here.folder / "missed.parquet", None)
    guarded = expressions(here.spec, kinds, run.addresses)
    return decode.json_pages(connection, here.spec.name, kinds, pages, target, guarded).path


def _land(
    run: _Run, spec: ObjectSpec, state: LandedBefore, path: Path, rows: int, deleted: int, proof: Mapping[str, Any]
) -> None:
    run.land(
        Batch(
            spec.name, state.batch_seq, run.org_id, path, rows, deleted, "reconciled", run.at, state.watermark, {},
            proof, state.missing_fields,
        )
    )  # fmt: skip


def _stamp(run: _Run, state: LandedBefore) -> Any:
    from dagster_project.salesforce.decode import Stamp

    return Stamp(run.at, state.batch_seq + 1)


def _connect(folder: Path) -> duckdb.DuckDBPyConnection:
    from dagster_project.salesforce.decode import connect

    return connect(folder)


def _changes() -> Any:
    # deltalake and DuckDB are not needed to know what there is to do
    from dagster_project.salesforce import changes

    return changes


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
