"""One run of extraction: for each object what is new since the landing's watermark, counted, typed and compared.

The first load is the whole history up to the org's clock; later ones reach back ten minutes below the watermark, and
what lies in the landing unchanged is left out. The landing is reached only through what the caller hands in.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from dagster_project.errors import IncompleteExtractError, LeanfunnelError, SalesforceError, SettingsError, nearest
from dagster_project.salesforce import back_fill, soql
from dagster_project.salesforce.client import CALLING_FOR, ApiUsage, OrgIdentity, SalesforceClient
from dagster_project.salesforce.description import InventoryRow, ObjectDescription, readable_fields
from dagster_project.salesforce.guards import LEFT_OUT, Addresses, expressions, is_address
from dagster_project.salesforce.objects import ESSENTIAL, OBJECTS, ObjectSpec, custom_object

OVERLAP = timedelta(minutes=10)
"""How far below the watermark a run reads again: commits of the org may become visible late."""
REST_FIRST_ROWS, REST_LATER_ROWS = 2_000, 10_000
"""Up to so many rows REST needs fewer calls and no waiting; above, Bulk API 2.0."""
AT_ONCE = 2


class LandedBefore(Protocol):
    """What the landing knows of one object."""

    @property
    def batch_seq(self) -> int:
        """The newest batch, 0 where nothing was landed."""

    @property
    def watermark(self) -> Mapping[str, Any] | None:
        """{field, value} of the newest batch."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are landed."""

    @property
    def missing_fields(self) -> tuple[str, ...]:
        """Wanted fields that the newest batch came without."""

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
    """What became of one object: 'landed', 'unchanged', 'missing' (not in the org) or 'hidden' (from this user).

    `bytes`: of the file that landed; `calls`: requests sent for it; `seconds`: from describe until it was ready to land.
    """

    object: str
    state: str
    rows: int = 0
    deleted: int = 0
    received: int = 0
    mode: str | None = None
    seconds: float = 0.0
    missing_fields: tuple[str, ...] = ()
    bytes: int = 0
    calls: int = 0


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
    #: The stages that each record type offers, once they were asked for.
    offered: Mapping[str, list[dict[str, str]]] | None = None
    #: Where this is a back-fill: when the records were created that are read again.
    created: back_fill.Period | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def pause(self, seconds: float) -> None:
        """Wait, unless the run is cancelled, which raises."""
        if self.cancelled.wait(seconds):
            raise _CancelledError


@dataclass(frozen=True)
class _Fetched:
    result: ObjectResult
    inventory: list[InventoryRow]
    batch: Batch | None
    folder: Path


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
    created: back_fill.Period | None = None,
    progress: Progress = _silent,
) -> ExtractReport:
    """Bring what is new of `objects` (default: the whole catalogue and the custom objects of `extra_fields`), two at a
    time. `extra_fields` holds further fields by object; a custom object (`…__c`) there is read beside the catalogue.
    Without `addresses` no e-mail address is read. With `created` it is a back-fill of the records created then.

    `land` is called in the calling thread, once for each object that has something new. Pages pass through a folder in
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
    with _work_folder(workdir) as folder:
        org = client.organization()
        _check_custom(client, [name for name in wanted if _is_custom(name)])
        high, guarded = client.server_time, addresses or Addresses("none")
        run = _Run(client, org, high, landed, extra, mapped_fields or {}, guarded, progress, folder, created=created)
        results: dict[str, ObjectResult] = {}
        inventory: dict[str, list[InventoryRow]] = {}
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="extract")
        try:
            running = [pool.submit(_fetch, run, specs[name]) for name in wanted]
            for done in as_completed(running):
                fetched = _outcome(done)
                name = fetched.result.object
                size = 0
                if fetched.batch is not None:
                    size = fetched.batch.path.stat().st_size
                    land(fetched.batch)
                    progress(fetched.result.object, "landed", rows=fetched.result.rows)
                shutil.rmtree(fetched.folder, ignore_errors=True)
                results[name] = replace(fetched.result, bytes=size, calls=client.calls[name])
                inventory[fetched.result.object] = fetched.inventory
        finally:
            # also on Ctrl-C: threads stop at their next request, and their jobs are deleted
            run.cancelled.set()
            pool.shutdown(wait=True, cancel_futures=True)
    return ExtractReport(
        org,
        run.high,
        {name: results[name] for name in wanted},
        tuple(row for name in wanted for row in inventory[name]),
        client.api_usage,
    )


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


def _outcome(done: Future[_Fetched]) -> _Fetched:
    return done.result()


class _work_folder:  # noqa: N801 - a context manager, named for how it reads
    """A folder of this run below `workdir`; those of runs that were killed are removed."""

    _PREFIX = "extract-"

    def __init__(self, workdir: Path) -> None:
        self.workdir = workdir
        self.folder: Path | None = None

    def __enter__(self) -> Path:
        try:
            self.workdir.mkdir(parents=True, exist_ok=True)
            for left in self.workdir.glob(f"{self._PREFIX}*"):
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
    CALLING_FOR.set(spec.name)
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
    for attempt in (1, 2):
        try:
            fetched = _complete(run, spec, description, fields, window, state, folder)
            break
        except IncompleteExtractError:
            # a live org may have moved rows while they were read, or a page was torn: once more from the start
            if attempt == 2:
                raise
            run.progress(spec.name, "again")
            shutil.rmtree(folder)
            folder.mkdir()
    path, new, deleted, received, watermark, proof = fetched
    mode = back_fill.MODE if run.created else "incremental" if window.low else "full"
    grown = state.batch_seq > 0 and bool(set(fields) - set(state.columns) or set(fields) & set(state.missing_fields))
    seconds = time.monotonic() - started
    if new == 0 and (run.created or (state.batch_seq > 0 and not grown)):
        run.progress(spec.name, "unchanged")
        result = ObjectResult(spec.name, "unchanged", 0, 0, received, mode, seconds, missing)
        return _Fetched(result, inventory, None, folder)
    batch = Batch(
        spec.name, state.batch_seq, run.org.id, path, new, deleted, mode, run.high, watermark, window.as_facts(), proof,
        missing,
    )  # fmt: skip
    if run.created:
        batch = back_fill.as_back_fill(batch, fields, state)
    return _Fetched(
        ObjectResult(spec.name, "landed", new, deleted, received, mode, seconds, missing), inventory, batch, folder
    )


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
    if run.created:
        return back_fill.window(description, run.created, run.high)
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


def _complete(
    run: _Run,
    spec: ObjectSpec,
    description: ObjectDescription,
    fields: Sequence[str],
    window: soql.Window,
    state: LandedBefore,
    folder: Path,
) -> tuple[Path, int, int, int, Mapping[str, Any] | None, dict[str, Any]]:
    """Pages, typed rows, proof, and what of them is new. Raises IncompleteExtractError where the numbers disagree."""
    from dagster_project.salesforce import changes, decode, rest, stage_picklist

    kinds = {name: description.fields[name] for name in fields}
    guarded = expressions(spec, kinds, run.addresses)
    stamp = decode.Stamp(run.high, state.batch_seq + 1)
    # where nothing is landed yet there is nothing to compare with: the rows are written once, as they land
    first = not state.files
    typed, connection = decode.Target(folder / "typed.parquet", stamp if first else None), decode.connect(folder)
    try:
        run.addresses.bind(connection)
        proof: dict[str, Any]
        if not spec.described:
            page, stated = stage_picklist.page(run.offered or {}, folder)
            decoded = decode.json_pages(connection, spec.name, kinds, [page], typed)
            proof = {"via": "ui-api", "stated": stated}
        else:
            stated = run.client.count(soql.count(description, window), doing=f"count of {spec.name}")
            run.progress(spec.name, "counted", rows=stated)
            query = soql.select(description, fields, window)

            def on_page(rows: int) -> None:
                run.progress(spec.name, "page", rows=rows, expected=stated)

            via, processed = "rest", None
            limit = REST_LATER_ROWS if window.low else REST_FIRST_ROWS
            if stated > limit:
                from dagster_project.salesforce import bulk

                job = bulk.query_all(run.client, query, folder, name=spec.name, on_page=on_page, pause=run.pause)
                if job is not None:
                    via, processed = "bulk", job.processed
                    decoded = decode.csv_pages(connection, spec.name, kinds, job.pages, typed, guarded)
            if via == "rest":
                pages, processed = rest.query_all(
                    run.client, query, folder, name=spec.name, on_page=on_page, pause=run.pause
                )
                decoded = decode.json_pages(connection, spec.name, kinds, pages, typed, guarded)
            proof = {"via": via, "stated": stated, "processed": processed}
            if decoded.rows != processed:
                raise _short(spec.name, decoded.rows, int(processed or 0), "the query")
            if decoded.rows != stated:
                proof["stated_after"] = _recount(run, spec, description, window, stated, decoded.rows)
        run.progress(spec.name, "decoded", rows=decoded.rows)
        proof["received"] = decoded.rows
        changes.check_keys(connection, spec.name, spec.key, typed.path)
        if first:
            path, (new, deleted) = typed.path, changes.counted(connection, typed.path)
        else:
            files = state.files_reaching(window.cursor, window.low) if window.cursor and window.low else state.files
            path, new, deleted = changes.changed(
                connection, spec.key, fields, typed.path, files, folder, stamp, tombstones=window.cursor is None
            )
        watermark = _watermark(window.cursor, changes.newest(connection, typed.path, window.cursor), state)
        mark = _address_mark(run, spec, description, fields)
        if watermark and mark:
            watermark = {**watermark, "addresses": mark}
    finally:
        connection.close()
    return path, new, deleted, decoded.rows, watermark, proof


def _recount(
    run: _Run, spec: ObjectSpec, description: ObjectDescription, window: soql.Window, before: int, received: int
) -> int:
    """On a live org rows move out of a window while it is read: what arrived must lie between two counts."""
    after = run.client.count(soql.count(description, window), doing=f"count of {spec.name}")
    if not min(before, after) <= received <= max(before, after):
        raise _short(spec.name, received, after, "COUNT() of the same window")
    return after


def _short(name: str, received: int, stated: int, source: str) -> IncompleteExtractError:
    return IncompleteExtractError(
        f"{received:,} rows arrived where {source} states {stated:,}.",
        where=name,
        todo="Run again; nothing of this object was landed.",
    )


def _watermark(cursor: str | None, newest: datetime | None, state: LandedBefore) -> Mapping[str, Any] | None:
    """The newest cursor value that was seen, never older than before; None for what is read in full."""
    if cursor is None:
        return None
    known = state.watermark or {}
    values = (
        [datetime.fromisoformat(str(known["value"]))] if known.get("field") == cursor and known.get("value") else []
    )
    values += [newest] if newest else []
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
