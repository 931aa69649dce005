"""One run of extraction: for each object what is new since the landing's watermark, counted, typed and compared.

The first load is the whole history up to the org's clock; later ones reach back ten minutes below the watermark, and
what lies in the landing unchanged is left out. An object with many rows is read in windows of its cursor, from old to new,
each landed by itself, so that a run that was stopped goes on where it was. The landing is reached only through what the
caller hands in.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from dagster_project.errors import (
    BudgetReachedError,
    IncompleteExtractError,
    LeanfunnelError,
    PartialExtractError,
    SalesforceError,
    SettingsError,
    nearest,
)
from dagster_project.salesforce import plan, proof, soql, windows
from dagster_project.salesforce.budget import Bounds, Budget
from dagster_project.salesforce.client import ApiUsage, OrgIdentity, SalesforceClient
from dagster_project.salesforce.description import InventoryRow, ObjectDescription, readable_fields
from dagster_project.salesforce.guards import LEFT_OUT, Addresses, expressions, is_address
from dagster_project.salesforce.objects import ESSENTIAL, OBJECTS, ObjectSpec, custom_object

OVERLAP = timedelta(minutes=10)
"""How far below the watermark a run reads again: commits of the org may become visible late."""
AT_ONCE = 2
RECONCILING = "reconcile-"
"""How the folders in `workdir` begin where what no cursor shows is compared."""
NOTES = "bulk-jobs"
"""The folder in `workdir` where the ids of Bulk jobs stand while they are there."""


class LandedBefore(Protocol):
    """What the landing knows of one object."""

    @property
    def batch_seq(self) -> int:
        """The newest batch, 0 where nothing was landed."""

    @property
    def watermark(self) -> Mapping[str, Any] | None:
        """{field, value} of the newest batch; `unfinished` with the kind of load where more windows were to follow."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are landed."""

    @property
    def missing_fields(self) -> tuple[str, ...]:
        """Wanted fields that the newest batch came without."""

    @property
    def extracted_at(self) -> datetime | None:
        """The org's clock when the newest batch was read."""

    @property
    def files(self) -> list[str]:
        """All live Parquet files."""

    def files_reaching(self, column: str, low: datetime) -> list[str]:
        """The files that may hold rows with `column` >= `low`."""


@dataclass(frozen=True)
class Batch:
    """What is new of one object, typed, complete and proven, ready to be landed in one commit.

    `path` is a Parquet file of the fields, _operation, _extracted_at and _batch_seq, as it lands. `rows` counts its rows,
    `deleted` those of them that are gone in the org.
    """

    object: str
    base_seq: int
    org_id: str
    path: Path
    rows: int
    deleted: int
    mode: str
    extracted_at: datetime
    watermark: Mapping[str, Any] | None
    window: Mapping[str, Any]
    proof: Mapping[str, Any]
    missing_fields: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """What the commit says of them."""
        return {
            "mode": self.mode,
            "watermark": self.watermark,
            "window": self.window,
            "proof": self.proof,
            "missing_fields": list(self.missing_fields),
            "extracted_at": self.extracted_at.isoformat(),
        }


@dataclass(frozen=True)
class ObjectResult:
    """What became of one object: 'landed', 'unchanged', 'missing' (not in the org) or 'hidden' (from this user)."""

    object: str
    state: str
    rows: int = 0
    deleted: int = 0
    received: int = 0
    mode: str | None = None
    seconds: float = 0.0
    missing_fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExtractReport:
    """A run's outcome. `server_time` (UTC) is the upper bound of every window: the org's clock when the run began."""

    org: OrgIdentity
    server_time: datetime
    objects: Mapping[str, ObjectResult]
    inventory: tuple[InventoryRow, ...]
    api_usage: ApiUsage | None


Progress = Callable[..., None]
"""progress(object, event, **numbers); it is called from several threads."""


def _silent(name: str, event: str, **numbers: int) -> None:
    """The progress of those who want none."""


class _CancelledError(Exception):
    """Another object failed, or the user pressed Ctrl-C: stop at the next request."""


@dataclass
class _Run:
    client: SalesforceClient
    org: OrgIdentity
    high: datetime
    landed: Callable[[str], LandedBefore]
    extra_fields: Mapping[str, Sequence[str]]
    mapped_fields: Mapping[str, Sequence[str]]
    addresses: Addresses
    progress: Progress
    folder: Path
    notes: Path
    budget: Budget
    #: The stages that each record type offers, once they were asked for.
    offered: Mapping[str, list[dict[str, str]]] | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def pause(self, seconds: float) -> None:
        """Wait, unless the run is cancelled, which raises."""
        if self.cancelled.wait(seconds):
            raise _CancelledError


@dataclass(frozen=True)
class _Load:
    """One object on its way: what is still to be read of it (`rest`), and what its windows brought so far.

    `kind`: 'first' (nothing was whole before), 'full' (all is looked at again) or 'incremental'.
    """

    spec: ObjectSpec
    description: ObjectDescription
    fields: Sequence[str]
    inventory: list[InventoryRow]
    missing: tuple[str, ...]
    kind: str
    rest: soql.Window
    #: Rows that were landed are looked at again from the oldest on.
    sweeps: bool
    started: float
    part: int = 1
    landed: bool = False
    rows: int = 0
    deleted: int = 0
    received: int = 0


@dataclass(frozen=True)
class _Fetched:
    result: ObjectResult
    inventory: list[InventoryRow]
    batch: Batch | None
    folder: Path
    #: What follows, once the batch is landed.
    more: _Load | None = None


@dataclass(frozen=True)
class _Window:
    """One window, read and proven: `path` holds what of it is new. `whole`: nothing follows."""

    window: soql.Window
    whole: bool
    path: Path
    new: int
    deleted: int
    received: int
    watermark: Mapping[str, Any] | None
    proof: Mapping[str, Any]


def extract_org(
    client: SalesforceClient,
    *,
    landed: Callable[[str], LandedBefore],
    land: Callable[[Batch], object],
    workdir: Path,
    objects: Sequence[str] | None = None,
    extra_fields: Mapping[str, Sequence[str]] | None = None,
    mapped_fields: Mapping[str, Sequence[str]] | None = None,
    addresses: Addresses | None = None,
    progress: Progress = _silent,
    bounds: Bounds | None = None,
) -> ExtractReport:
    """Bring what is new of `objects` (default: the whole catalogue and the custom objects of `extra_fields`), two at a
    time. `extra_fields` holds further fields by object; a custom object (`…__c`) there is read beside the catalogue.
    Without `addresses` no e-mail address is read.

    An object that does not arrive whole, or for which `bounds` or the org's limits leave no request, is not read further; what
    the others need is read and landed, and PartialExtractError then tells what is not, and holds the report on the rest.

    `land` is called in the calling thread, once for each object or window that has something new. Pages pass through a folder in
    `workdir` that is removed however this ends; what a killed run left there is removed first, so the caller must see to
    it that only one run uses `workdir`. Raises SalesforceError, IncompleteExtractError, SettingsError, and whatever
    `landed` and `land` raise; objects landed before stay landed.
    """
    extra = extra_fields or {}
    specs = {**OBJECTS, **{name: custom_object(name) for name in extra if _is_custom(name)}}
    wanted = list(objects or specs)
    for name in (*wanted, *extra):
        if name not in specs:
            raise SettingsError(
                f"'{name}' is not in the catalogue of objects.{nearest(name, OBJECTS)}",
                where="extra_fields" if name in extra else "objects",
                todo=f"Known: {', '.join(OBJECTS)}.",
            )
    client.budget = budget = Budget(bounds)
    results: dict[str, ObjectResult] = {}
    inventory: dict[str, list[InventoryRow]] = {}
    stopped: SalesforceError | None = None
    with _work_folder(workdir) as folder:
        org = client.organization()
        _learn_limits(client, budget)
        _forget_left(client, workdir / NOTES)
        _check_custom(client, [name for name in wanted if _is_custom(name)])
        high, guarded = client.server_time, addresses or Addresses("none")
        run = _Run(
            client, org, high, landed, extra, mapped_fields or {}, guarded, progress, folder, workdir / NOTES, budget
        )
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="extract")
        try:
            pending = [pool.submit(_fetch, run, specs[name]) for name in wanted]
            while pending:
                done = _next_done(pending)
                pending.remove(done)
                try:
                    fetched = done.result()
                except (BudgetReachedError, IncompleteExtractError) as error:
                    stopped = stopped or error
                    continue
                if fetched.batch is not None:
                    land(fetched.batch)
                    progress(fetched.result.object, "landed", rows=fetched.batch.rows)
                shutil.rmtree(fetched.folder, ignore_errors=True)
                if fetched.more is not None:
                    pending.append(pool.submit(_part, run, fetched.more))
                    continue
                results[fetched.result.object] = fetched.result
                inventory[fetched.result.object] = fetched.inventory
        finally:
            # also on Ctrl-C: threads stop at their next request, and their jobs are deleted
            run.cancelled.set()
            pool.shutdown(wait=True, cancel_futures=True)
    report = ExtractReport(
        org,
        run.high,
        {name: results[name] for name in wanted if name in results},
        tuple(row for name in wanted for row in inventory.get(name, ())),
        client.api_usage,
    )
    if stopped is not None:
        raise PartialExtractError(stopped, tuple(name for name in wanted if name not in results), report) from stopped
    return report


def _next_done(pending: Sequence[Future[_Fetched]]) -> Future[_Fetched]:
    done = wait(pending, return_when=FIRST_COMPLETED).done
    return next(future for future in pending if future in done)


def _learn_limits(client: SalesforceClient, budget: Budget) -> None:
    try:
        budget.learn_limits(client.limits())
    except BudgetReachedError:
        raise
    except SalesforceError:
        # not every user may read them; then the answers' own header is all there is to go by
        return


def _forget_left(client: SalesforceClient, notes: Path) -> None:
    if notes.is_dir():
        from dagster_project.salesforce import bulk

        bulk.forget_left(client, notes)


def _is_custom(name: str) -> bool:
    return name.endswith("__c")


def _check_custom(client: SalesforceClient, names: Sequence[str]) -> None:
    """Raise SettingsError for a custom object that the org does not show, with the nearest one that it does."""
    if not names:
        return
    body = client.get("sobjects", doing="list of objects")
    known = {str(one["name"]) for one in body.get("sobjects", []) if isinstance(one, dict) and one.get("name")}
    for name in names:
        if name not in known:
            raise SettingsError(
                f"the org shows no object '{name}'.{nearest(name, sorted(known))}",
                where="extra_objects",
                todo="Write the API name that Setup, Object Manager shows, and let this user read the object.",
            )


class _work_folder:  # noqa: N801 - a context manager, named for how it reads
    """A folder of this run below `workdir`; those of runs that were killed are removed."""

    _PREFIX = "extract-"

    def __init__(self, workdir: Path) -> None:
        self.workdir = workdir
        self.folder: Path | None = None

    def __enter__(self) -> Path:
        try:
            self.workdir.mkdir(parents=True, exist_ok=True)
            for prefix in (self._PREFIX, RECONCILING):
                for left in self.workdir.glob(f"{prefix}*"):
                    shutil.rmtree(left, ignore_errors=True)
            self.folder = Path(tempfile.mkdtemp(prefix=self._PREFIX, dir=self.workdir))
        except OSError as error:
            raise LeanfunnelError(
                f"the folder for pages in transit cannot be written: {error.strerror}.",
                where=str(self.workdir),
                todo="Free some space or grant the rights, then run again.",
            ) from error
        return self.folder

    def __exit__(self, *exc: object) -> None:
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _fetch(run: _Run, spec: ObjectSpec) -> _Fetched:
    """Everything of one object up to the batch; runs in a thread of the pool."""
    started = time.monotonic()
    folder = run.folder / spec.name
    folder.mkdir()
    run.pause(0)
    run.progress(spec.name, "describe")
    description, absent = _described(run, spec)
    if description is None:
        if spec.name in ESSENTIAL:
            raise SalesforceError(
                f"{spec.name} is not shown to this user, and nothing can be measured without it.",
                where=run.org.instance_url,
                todo=f"Grant read access to {spec.name}, its Id included.",
            )
        inventory = [
            InventoryRow(spec.name, None, absent),
            *(InventoryRow(spec.name, f.name, absent) for f in spec.fields),
        ]
        run.progress(spec.name, absent)
        return _Fetched(ObjectResult(spec.name, absent), inventory, None, folder)
    fields, inventory = readable_fields(
        spec, description, run.extra_fields.get(spec.name, ()), run.mapped_fields.get(spec.name, ()), run.addresses
    )
    inventory.insert(0, InventoryRow(spec.name, None, "present"))
    missing = tuple(str(row.field) for row in inventory if row.field and row.status not in ("present", LEFT_OUT))
    state = run.landed(spec.name)
    window = _window(run, spec, description, fields, state)
    unfinished = (state.watermark or {}).get("unfinished")
    kind = "incremental" if window.low else "full"
    if state.batch_seq == 0 or unfinished == "first":
        kind = "first"
    elif unfinished and window.low:
        kind = str(unfinished)
    sweeps = window.low is None and state.batch_seq > 0
    load = _Load(spec, description, fields, inventory, missing, kind, window, sweeps, started)
    return _part(run, load, folder)


def _part(run: _Run, load: _Load, folder: Path | None = None) -> _Fetched:
    """The next window of an object, ready to be landed; runs in a thread of the pool."""
    spec = load.spec
    if folder is None:
        folder = run.folder / spec.name
        folder.mkdir()
    run.pause(0)
    state = run.landed(spec.name)
    for attempt in (1, 2):
        try:
            read = _complete(run, load, state, folder)
            break
        except IncompleteExtractError:
            # a live org may have moved rows while they were read, or a page was torn: once more from the start
            if attempt == 2:
                raise
            run.progress(spec.name, "again")
            shutil.rmtree(folder)
            folder.mkdir()
    grown = state.batch_seq > 0 and bool(
        set(load.fields) - set(state.columns) or set(load.fields) & set(state.missing_fields)
    )
    # an empty batch tells that an object whose earlier windows were landed is whole now
    ends = read.whole and "unfinished" in (state.watermark or {})
    lands = bool(read.new) or state.batch_seq == 0 or grown or ends
    load = replace(
        load, landed=load.landed or lands, rows=load.rows + (read.new if lands else 0),
        deleted=load.deleted + (read.deleted if lands else 0), received=load.received + read.received,
    )  # fmt: skip
    mode = "incremental" if load.kind == "incremental" else "full"
    batch = Batch(
        spec.name, state.batch_seq, run.org.id, read.path, read.new, read.deleted, mode, run.high, read.watermark,
        {**read.window.as_facts(), "part": load.part, "load": load.kind}, read.proof, load.missing,
    ) if lands else None  # fmt: skip
    result = ObjectResult(
        spec.name, "landed" if load.landed else "unchanged", load.rows, load.deleted, load.received, mode,
        time.monotonic() - load.started, load.missing,
    )  # fmt: skip
    more = None
    if not read.whole:
        more = replace(load, rest=replace(load.rest, low=read.window.before), part=load.part + 1)
    elif not load.landed:
        run.progress(spec.name, "unchanged")
    return _Fetched(result, load.inventory, batch, folder, more)


def _described(run: _Run, spec: ObjectSpec) -> tuple[ObjectDescription | None, str]:
    from dagster_project.salesforce import stage_picklist

    if not spec.described:
        run.offered = stage_picklist.offered(run.client)
        return (None, "hidden") if run.offered is None else (stage_picklist.description(spec), "present")
    description = run.client.describe(spec.name)
    if description is None:
        return None, "missing"
    # an object whose key this user may not read, or which takes no queries, is there but of no use
    if not description.queryable or not set(spec.key) <= set(description.fields):
        return None, "hidden"
    return description, "present"


def _window(
    run: _Run, spec: ObjectSpec, description: ObjectDescription, fields: Sequence[str], state: LandedBefore
) -> soql.Window:
    cursor = description.cursor if spec.described else None
    watermark = state.watermark or {}
    goes_on = (
        cursor is not None
        # addresses that land otherwise than before (mode, key): all rows are looked at once more
        and watermark.get("addresses") == _address_mark(run, spec, description, fields)
        and watermark.get("field") == cursor
        and watermark.get("value")
        # a field that was never landed has no past in the log: all rows are looked at once more
        and set(fields) <= set(state.columns)
        # nor has one that was out of sight when rows were last landed: those rows hold nothing in its place
        and not set(fields) & set(state.missing_fields)
    )
    low = datetime.fromisoformat(str(watermark["value"])) - OVERLAP if goes_on else None
    return soql.Window(cursor, low.replace(microsecond=0) if low else None, run.high)


def _address_mark(run: _Run, spec: ObjectSpec, description: ObjectDescription, fields: Sequence[str]) -> str | None:
    """How this object's addresses land; None where none is read."""
    holds = any(is_address(spec, description.fields[name]) for name in fields) if spec.described else False
    return run.addresses.mark if holds else None


def _complete(run: _Run, load: _Load, state: LandedBefore, folder: Path) -> _Window:
    """Pages, typed rows, proof, and what of them is new, of the next window. Raises IncompleteExtractError where the
    numbers disagree."""
    from dagster_project.salesforce import changes, decode, rest, stage_picklist

    spec, description, fields, window = load.spec, load.description, load.fields, load.rest
    stated = 0
    if spec.described:
        stated = _count(run, load, window)
        window, stated = _cut(run, load, window, stated)
        run.progress(spec.name, "counted", rows=stated)
    whole = window.before is None
    kinds = {name: description.fields[name] for name in fields}
    guarded = expressions(spec, kinds, run.addresses)
    stamp = decode.Stamp(run.high, state.batch_seq + 1)
    # where nothing is landed that a row may equal there is nothing to compare with: the rows are written once, as they land
    files = state.files_reaching(window.cursor, window.low) if window.cursor and window.low else state.files
    first = not files
    typed, connection = decode.Target(folder / "typed.parquet", stamp if first else None), decode.connect(folder)
    try:
        run.addresses.bind(connection)
        proven: dict[str, Any]
        if not spec.described:
            page, stated = stage_picklist.page(run.offered or {}, folder)
            decoded = decode.json_pages(connection, spec.name, kinds, [page], typed)
            proven = {"via": "ui-api", "stated": stated}
        else:
            query = soql.select(description, fields, window)

            def on_page(rows: int) -> None:
                run.progress(spec.name, "page", rows=rows, expected=stated)

            via, processed = _via(run, load, stated), None
            if via == "bulk":
                from dagster_project.salesforce import bulk

                run.budget.spend_job()
                job = bulk.query_all(
                    run.client, query, folder, name=spec.name, on_page=on_page, pause=run.pause, notes=run.notes
                )
                if job is None:
                    via = "rest"
                else:
                    processed = job.processed
                    decoded = decode.csv_pages(connection, spec.name, kinds, job.pages, typed, guarded)
            if via == "rest":
                pages, processed = rest.query_all(
                    run.client, query, folder, name=spec.name, on_page=on_page, pause=run.pause
                )
                decoded = decode.json_pages(connection, spec.name, kinds, pages, typed, guarded)
            if decoded.rows != processed:
                raise proof.short(spec.name, decoded.rows, int(processed or 0), "the query")
            counts = proof.judge(
                spec.name, before=stated, received=decoded.rows, after=_count(run, load, window),
                changed_since=lambda: _changed_since(run, load, window),
            )  # fmt: skip
            proven = {"via": via, "processed": processed, **counts}
        run.progress(spec.name, "decoded", rows=decoded.rows)
        proven["received"] = decoded.rows
        changes.check_keys(connection, spec.name, spec.key, typed.path)
        if first:
            path, (new, deleted) = typed.path, changes.counted(connection, typed.path)
        else:
            path, new, deleted = changes.changed(
                connection, spec.key, fields, typed.path, files, folder, stamp, tombstones=window.cursor is None
            )
        newest = changes.newest(connection, typed.path, window.cursor)
        watermark = _watermark(window.cursor, newest, state, keeps=whole or not load.sweeps)
        mark = _address_mark(run, spec, description, fields)
        if watermark and mark:
            watermark = {**watermark, "addresses": mark}
        if watermark and not whole:
            watermark = {**watermark, "unfinished": load.kind}
    finally:
        connection.close()
    return _Window(window, whole, path, new, deleted, decoded.rows, watermark, proven)


def _count(run: _Run, load: _Load, window: soql.Window) -> int:
    return run.client.count(soql.count(load.description, window), doing=f"count of {load.spec.name}")


def _changed_since(run: _Run, load: _Load, window: soql.Window) -> int | None:
    if window.cursor is None:
        return None
    return run.client.count(soql.count_since(load.description, window), doing=f"count of changes of {load.spec.name}")


def _cut(run: _Run, load: _Load, rest: soql.Window, rows: int) -> tuple[soql.Window, int]:
    """The next window of what is still to be read, and how many rows it holds."""

    def oldest(window: soql.Window) -> datetime | None:
        body = run.client.query(soql.oldest(load.description, window), doing=f"oldest row of {load.spec.name}")
        records = body.get("records")
        value = records[0].get(window.cursor) if isinstance(records, list) and records else None
        return datetime.fromisoformat(str(value)).astimezone(UTC) if value else None

    most = run.budget.bounds.rows_per_window
    return windows.next_window(rest, rows, most, count=lambda window: _count(run, load, window), oldest=oldest)


def _via(run: _Run, load: _Load, rows: int) -> str:
    """REST or Bulk. Raises BudgetReachedError where the day's jobs are used up and REST would take too many requests."""
    left, jobs = run.budget.calls_left, run.budget.jobs_left
    via = plan.choose(rows, is_first=load.kind != "incremental", calls_left=left, jobs_left=jobs)
    if via == "bulk" and jobs == 0:
        raise BudgetReachedError(
            "the org's Bulk query jobs of 24 hours are used up, and REST would take "
            f"{plan.rest_calls(rows):,} requests.",
            where=load.spec.name,
            todo="Run again when they have renewed; see `leanfunnel doctor`.",
        )
    return via


def _watermark(
    cursor: str | None, newest: datetime | None, state: LandedBefore, *, keeps: bool
) -> Mapping[str, Any] | None:
    """The newest cursor value that was seen; None for what is read in full.

    It is never older than before, unless all rows are looked at again in windows: until the last of them (`keeps`) it says
    how far they have come, so that a run which stops there goes on from it.
    """
    if cursor is None:
        return None
    known = state.watermark or {}
    values = [newest] if newest else []
    if keeps and known.get("field") == cursor and known.get("value"):
        values.append(datetime.fromisoformat(str(known["value"])))
    return {"field": cursor, "value": max(values).isoformat() if values else None}


def org_facts(
    client: SalesforceClient, names: Sequence[str] | None = None
) -> dict[str, ObjectDescription | SalesforceError | None]:
    """For a check-up: what describe says of each object, None where the org shows none, or the refusal."""
    found: dict[str, ObjectDescription | SalesforceError | None] = {}
    for name in names or [spec.name for spec in OBJECTS.values() if spec.described]:
        try:
            found[name] = client.describe(name)
        except SalesforceError as error:
            found[name] = error
    return found
