"""The path in order: extract, conform, audit, measure, publish; and what may be skipped.

Each step is a function of a request and a plan, so that the command line runs them in one process and Dagster as assets.
Belongs here: order, the plan, the fingerprint of the inputs. Does not: SOQL, SQL of the models, rules, settings, printing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dagster_project.errors import LeanfunnelError, PublicationStoppedError, SettingsError, WarehouseError
from dagster_project.home import Home, stamp

if (
    TYPE_CHECKING
):  # imported when a step needs them: a run with nothing to do imports neither dbt nor Great Expectations
    from dagster_project.contracts import AuditProcess, AuditReport
    from dagster_project.landing import LandingLog
    from dagster_project.landing.log import ObjectState
    from dagster_project.publish.publication import Manifest
    from dagster_project.salesforce.auth import Credentials
    from dagster_project.salesforce.extract import ExtractReport
    from dagster_project.salesforce.guards import Addresses
    from dagster_project.warehouse.dbt_build import DbtBuild

Progress = Callable[[str, str, int, int], None]
"""Called with (step, what is being done, done, of how many; 0 where unknown)."""

PACKAGE = Path(__file__).resolve().parent
_CODE = ("pipeline.py", "contracts", "warehouse", "publish")


def silent(step: str, what: str, done: int, total: int) -> None:
    """The progress of those who want none."""


@dataclass(frozen=True)
class Request:
    """What a run is asked to do, and with what. `as_of` and `known_at` are UTC; None means: as the org's clock stands."""

    home: Home
    dbt_project: Path
    definitions: Path
    shipped_definitions: Path | None = None
    credentials: Callable[[], Credentials] | None = None
    as_of: datetime | None = None
    known_at: datetime | None = None
    from_landing: bool = False
    rebuild: bool = False
    reporting_timezone: str | None = None
    minimum_n: int = 20
    conversion_days: int = 90
    measurable_share: float = 0.20
    team: str = "manager"
    extra_fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mapped_fields: Mapping[str, str] = field(default_factory=dict)
    addresses: Addresses | None = None
    keep_publications: int = 3
    api_version: str = "62.0"


@dataclass(frozen=True)
class Plan:
    """What this run builds. Kept in `warehouse/plan.json` so that steps in other processes build the same."""

    publication_id: str
    as_of: datetime
    known_at: datetime
    fingerprint: str
    code: str
    landing_tables: Mapping[str, str]
    is_replay: bool
    reporting_timezone: str = "UTC"
    skip: str | None = None


@dataclass(frozen=True)
class Extracted:
    """What an extraction brought. `facts`: by object that the org has, what is shown of it; `missing`: what it lacks or hides."""

    server_time: datetime
    facts: Mapping[str, Mapping[str, Any]]
    missing: tuple[str, ...]
    api_calls: str | None

    @property
    def rows(self) -> int:
        """Rows landed, over all objects."""
        return sum(int(fact["rows"]) for fact in self.facts.values())


@dataclass(frozen=True)
class Org:
    """The org that a landing belongs to, as `landing/org.json` keeps it for runs that do not call Salesforce.

    `read_at`: the org's clock (ISO) when each object was last read, with or without anything new.
    """

    org_id: str
    name: str
    is_sandbox: bool
    timezone: str
    fiscal_year_start_month: int
    instance_url: str
    server_time: str
    read_at: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunReport:
    """What a run did. `publication` is what readers now see, which a skipped run left as it was."""

    plan: Plan
    home: Home
    extracted: Extracted | None
    audit: AuditReport | None
    publication: Manifest
    proposed_stage_map: Path | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """What a person is told, a line each."""
        told = []
        if self.extracted is not None:
            landed = {name: fact["rows"] for name, fact in self.extracted.facts.items() if fact["rows"]}
            told.append(
                f"landed     {self.extracted.rows:,} rows of {len(landed)} objects"
                if landed
                else "landed     nothing new"
            )
            objects = [name for name in self.extracted.missing if "." not in name]
            fields = len(self.extracted.missing) - len(objects)
            if self.extracted.missing:
                parts = ([", ".join(objects)] if objects else []) + ([f"{fields} fields"] if fields else [])
                told.append(f"left out   {' and '.join(parts)}: the org lacks or hides them (see `leanfunnel doctor`)")
        if self.proposed_stage_map:
            told.append(f"proposed   {self.proposed_stage_map} (no stage map stood there; look it over)")
        if self.plan.skip:
            told.append(f"skipped    conform, audit, measure, publish: {self.plan.skip}")
        if self.audit is not None:
            breached = sum(result.breached or 0 for result in self.audit.results)
            odd = [
                f"{result.definition_id} {result.state}" for result in self.audit.results if result.state != "measured"
            ]
            told.append(
                f"audited    {len(self.audit.results)} definitions, {breached:,} breaches"
                + (f"; {', '.join(odd)}" if odd else "")
            )
        told.append(f"published  {self.home.current / 'leanfunnel.duckdb'}  (as of {self.publication.as_of})")
        if self.plan.is_replay:
            told.append("           a replay: ledger and the current publication are untouched")
        return told


@dataclass(frozen=True)
class Initialised:
    """What `init` wrote and what it left alone: (path, what or why)."""

    written: tuple[tuple[Path, str], ...]
    kept: tuple[tuple[Path, str], ...]


@contextmanager
def writing(home: Home, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the home for writing. One run at a time: a second one waits `wait_seconds`, then raises LeanfunnelError.

    The lock is the process's own and goes with it, however it ends.
    """
    import fcntl
    import time

    try:
        home.root.mkdir(parents=True, exist_ok=True)
        file = home.lock.open("a+")
    except OSError as error:
        raise LeanfunnelError(
            f"the folder cannot be written: {error.strerror}.",
            where=str(home.root),
            todo="Choose another by --home or grant the rights.",
        ) from error
    with file:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= deadline:
                    raise LeanfunnelError(
                        "another run is writing here.",
                        where=str(home.root),
                        todo="Wait for it to end, or choose another --home.",
                    ) from None
                time.sleep(0.2)
        yield


def run(request: Request, *, progress: Progress = silent) -> RunReport:
    """The whole path in this process. Raises a LeanfunnelError; what was published before then stays."""
    import time

    seconds: dict[str, float] = {}

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        started = time.monotonic()
        progress(step, "", 0, 0)
        yield
        seconds[step] = time.monotonic() - started

    with writing(request.home):
        extracted = None
        if not request.from_landing:
            with timed("extract"):
                extracted = extract(request, progress=progress)
        plan, proposed = make_plan(request, extracted.server_time if extracted else None)
        if plan.skip:
            manifest = _manifest(_home(request, plan))
            assert manifest is not None
            return RunReport(plan, _home(request, plan), extracted, None, manifest, proposed, seconds)
        from dagster_project.contracts import AuditProcess

        home = _home(request, plan)
        with AuditProcess() as auditor:  # imports Great Expectations while dbt conforms
            with timed("conform"):
                builder = _dbt(request, home)
                prepare(request, plan)
                builder.build("conform", progress=lambda name, done, total: progress("conform", name, done, total))
            with timed("audit"):
                verdicts = audit(request, plan, auditor=auditor)
        with timed("measure"):
            measure(request, plan, builder=builder, progress=progress)
        with timed("publish"):
            manifest = publish(request, plan)
    return RunReport(plan, home, extracted, verdicts, manifest, proposed, seconds)


def object_names() -> tuple[str, ...]:
    """The Salesforce objects of the catalogue, in the order of extraction."""
    from dagster_project.salesforce.objects import OBJECTS

    return tuple(OBJECTS)


def extract(request: Request, *, objects: tuple[str, ...] | None = None, progress: Progress = silent) -> Extracted:
    """Step 1: bring what is new into the landing log, of `objects` or of all. Raises SalesforceError, LandingError."""
    from uuid import uuid4

    from dagster_project.landing import LandingLog
    from dagster_project.salesforce.client import SalesforceClient
    from dagster_project.salesforce.extract import extract_org
    from dagster_project.salesforce.objects import mapped_source

    if request.credentials is None:
        raise SettingsError("no Salesforce login is set.", todo="See .env.example.")
    log, run_id = LandingLog(request.home.landing), uuid4().hex

    def on_event(name: str, event: str, **numbers: int) -> None:
        progress("extract", f"{name} {event}", numbers.get("rows", 0), numbers.get("expected", 0))

    with SalesforceClient(request.credentials(), api_version=request.api_version) as client:
        report = extract_org(
            client,
            landed=log.state,
            land=lambda batch: log.commit(batch, run_id=run_id),
            workdir=request.home.work,
            objects=objects,
            extra_fields=request.extra_fields,
            mapped_fields={
                name: tuple(columns.values()) for name, columns in mapped_source(request.mapped_fields).items()
            },
            addresses=request.addresses,
            progress=on_event,
        )
    log.record_inventory(report.inventory, run_id=run_id)
    org = report.org
    kept = Org(
        org_id=org.id,
        name=org.name or "",
        is_sandbox=bool(org.is_sandbox),
        timezone=org.timezone or "UTC",
        fiscal_year_start_month=org.fiscal_year_start_month or 1,
        instance_url=org.instance_url,
        server_time=report.server_time.isoformat(),
        read_at={**_read_before(request.home, org.id), **_read_now(report)},
    )
    _write_text(
        request.home.landing / "org.json",
        json.dumps(asdict(kept), indent=2),
    )
    facts, missing = {}, []
    for name, result in report.objects.items():
        if result.state in ("missing", "hidden"):
            missing.append(name)
            continue
        facts[name] = {
            "state": result.state,
            "rows": result.rows,
            "deleted": result.deleted,
            "mode": result.mode,
            "seconds": round(result.seconds, 3),
        }
        missing += [f"{name}.{column}" for column in result.missing_fields]
    usage = report.api_usage
    return Extracted(report.server_time, facts, tuple(missing), f"{usage.used}/{usage.total}" if usage else None)


def _read_before(home: Home, org_id: str) -> Mapping[str, str]:
    """When each object was read by earlier runs on this org."""
    try:
        before = read_org(home)
    except LeanfunnelError:
        return {}  # none there, or not readable: it is written anew
    return before.read_at if before.org_id == org_id else {}


def _read_now(report: ExtractReport) -> dict[str, str]:
    return {
        name: report.server_time.isoformat()
        for name, result in report.objects.items()
        if result.state not in ("missing", "hidden")
    }


def read_org(home: Home) -> Org:
    """The org that this home's landing belongs to. Raises LeanfunnelError where nothing was extracted yet."""
    path = home.landing / "org.json"
    try:
        return Org(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise LeanfunnelError(
            "nothing has been extracted here yet.",
            where=str(home.root),
            todo="Run `leanfunnel run` with a login set, or `leanfunnel demo`.",
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise LeanfunnelError(
            "cannot be read.", where=str(path), todo="Run `leanfunnel run` once with a login set."
        ) from error


def make_plan(
    request: Request, server_time: datetime | None, *, skip_unchanged: bool = True
) -> tuple[Plan, Path | None]:
    """What to build: as_of, the fingerprint of every input, and whether the publication shows just that already.

    Without `server_time` (a run from the landing) as_of is the current publication's, else the last extraction's.
    Returns the plan, and the path of the stage map where one had to be proposed. Raises SettingsError.
    """
    from dagster_project.contracts.kept import last_said
    from dagster_project.landing import LandingLog

    org = read_org(request.home)
    extracted_at = server_time or datetime.fromisoformat(org.server_time)
    zone = ZoneInfo(request.reporting_timezone or _known_zone(org.timezone))
    current = _manifest(request.home)
    as_of = request.as_of or extracted_at
    if request.as_of is None and server_time is None and current is not None:
        as_of = datetime.fromisoformat(current.as_of)
    as_of = as_of.astimezone(UTC).replace(microsecond=0)
    if request.known_at is not None and request.as_of is None:
        raise SettingsError("--known-at needs --as-of.", todo="Say which instant the mart shall show.")
    is_replay = request.as_of is not None and (
        as_of < extracted_at.replace(microsecond=0) or request.known_at is not None
    )
    known_at = request.known_at or max(as_of, extracted_at)

    log = LandingLog(request.home.landing)
    states = {name: log.state(name) for name in log.objects()}
    if not states:
        raise LeanfunnelError(
            "the landing is empty.", where=str(request.home.landing), todo="Run `leanfunnel run` with a login set."
        )
    proposed = None
    if not request.home.stage_map.exists():
        proposed = _propose_stage_map(request, log)
    inventory = sorted((row.object, row.field or "", row.status) for row in log.inventory())
    code = _hash_files(
        *(PACKAGE / name for name in _CODE),
        *(request.dbt_project / name for name in ("models", "macros", "dbt_project.yml")),
    )
    if request.mapped_fields:
        # staging keeps what it applied: another field under the same name asks for a start from nothing, as other models do
        code += "".join(f" {name}={path}" for name, path in sorted(request.mapped_fields.items()))
    # by its date in the reporting zone only, unless as_of was asked for: a run later on the same day shows nothing new
    moment = as_of.isoformat() if request.as_of else as_of.astimezone(zone).date().isoformat()
    inputs = {
        "landing": {name: [getattr(state, "table_id", ""), state.batch_seq] for name, state in sorted(states.items())},
        "inventory": inventory,
        "stage_map": _hash_files(request.home.stage_map),
        "definitions": _hash_files(request.definitions),
        "options": [str(zone), request.minimum_n, request.conversion_days, request.measurable_share, request.team],
        "said": last_said(request.home.state),
        "instance_url": org.instance_url,
        "code": code,
        "as_of": moment,
        "known_at": request.known_at.isoformat() if request.known_at else None,
    }
    fingerprint = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    plan = Plan(
        publication_id=f"{stamp(as_of)}-{fingerprint[:10]}",
        as_of=as_of,
        known_at=known_at,
        fingerprint=fingerprint,
        code=code,
        landing_tables={name: getattr(state, "table_id", "") for name, state in sorted(states.items())},
        is_replay=is_replay,
        reporting_timezone=str(zone),
    )
    home = _home(request, plan)
    existing = _manifest(home)
    if (
        skip_unchanged
        and not request.rebuild
        and existing
        and existing.fingerprint == fingerprint
        and home.conformed.exists()
    ):
        plan = replace(plan, skip="neither data nor definitions nor the date of as_of changed, and nothing was decided")
    return plan, proposed


def read_plan(home: Home) -> Plan:
    """The plan of the run in progress. Raises WarehouseError where there is none."""
    try:
        raw = json.loads(home.plan.read_text(encoding="utf-8"))
        return Plan(
            **{
                **raw,
                "as_of": datetime.fromisoformat(raw["as_of"]),
                "known_at": datetime.fromisoformat(raw["known_at"]),
            }
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WarehouseError(
            "there is no plan to go by.", where=str(home.plan), todo="Start with the first step (`prepared`)."
        ) from error


def prepare(request: Request, plan: Plan) -> None:
    """Tell the warehouse what to build: landing views and control tables. Starts it anew where the models changed.

    Raises SettingsError (stage map, definitions), WarehouseError.
    """
    from dagster_project import contracts
    from dagster_project.landing import LandingLog
    from dagster_project.salesforce.objects import catalogue, mapped_inventory, mapped_source
    from dagster_project.warehouse import control, landing_views, stage_map
    from dagster_project.warehouse.database import open_database

    home, org = _home(request, plan), read_org(request.home)
    definitions = contracts.load_definitions(request.definitions)
    stages = stage_map.read(request.home.stage_map)
    log = LandingLog(request.home.landing)
    states = {name: log.state(name) for name in log.objects()}
    landed_inventory = log.inventory()
    inventory = [(row.object, row.field, row.status) for row in landed_inventory]
    inventory += mapped_inventory(
        request.mapped_fields,
        [(row.object, row.field, row.status, row.salesforce_type) for row in landed_inventory],
    )
    buyer = [(stage.sales_process, stage.stage_name, stage.buyer_stage) for stage in stages if stage.buyer_stage]
    has_buyer = any(stage.buyer_stage is not None for stage in stages)
    inventory += [("stage_map", None, "present"), ("stage_map", "buyer_stage", "present" if has_buyer else "missing")]
    if home.conformed.exists() and not _same_ground(home, plan):
        # staging keeps what it applied by batch number: other tables, models or history ask for a start from nothing
        _remove_database(home.conformed)
    zone = ZoneInfo(plan.reporting_timezone)
    with open_database(home.conformed) as connection:
        landing_views.create_landing_views(
            connection,
            catalogue(),
            {name: landing_views.LandedFiles(state.files, frozenset(state.columns)) for name, state in states.items()},
            mapped_source(request.mapped_fields),
        )
        row = control.RunRow(
            run_id=plan.publication_id,
            as_of=plan.as_of.replace(tzinfo=None),
            as_of_on=plan.as_of.astimezone(zone).date(),
            known_at=plan.known_at.astimezone(UTC).replace(tzinfo=None),
            org_id=org.org_id,
            record_url_base=org.instance_url,
            corporate_currency=_corporate_currency(connection),
            minimum_n=request.minimum_n,
            conversion_days=request.conversion_days,
            reporting_timezone=str(zone),
            fiscal_year_start_month=org.fiscal_year_start_month,
            measurable_share=request.measurable_share,
            team=request.team,
        )
        control.write_control(
            connection,
            row,
            [stage.row for stage in stages],
            contracts.definitions_table(definitions, inventory),
            inventory,
            contracts.frozen_service_levels(request.home.state, definitions, row.as_of),
            buyer,
            [_landed_object(name, state, org) for name, state in sorted(states.items())],
        )
    _write_text(home.plan, json.dumps(asdict(plan), indent=2, default=lambda instant: instant.isoformat()))


def audit(
    request: Request, plan: Plan, *, auditor: AuditProcess | None = None, raise_on_stop: bool = True
) -> AuditReport:
    """Step 3: run the definitions on what was conformed and write verdicts and ledger.

    Raises PublicationStoppedError where a definition stops the line: what was published stays. Raises ContractError.
    """
    from dagster_project import contracts

    report = contracts.audit(
        _home(request, plan).conformed,
        contracts.load_definitions(request.definitions),
        request.home.state,
        as_of=plan.as_of,
        run_id=plan.publication_id,
        record=not plan.is_replay,
        process=auditor,
    )
    if raise_on_stop and report.stops:
        _stop(request, plan, report)
    return report


def start_building(home: Home) -> None:
    """An empty place for the next publication's file."""
    _remove_database(home.building)


def measure(request: Request, plan: Plan, *, builder: DbtBuild | None = None, progress: Progress = silent) -> None:
    """Step 4: build marts and views into the next publication's file. Raises WarehouseError."""
    home = _home(request, plan)
    start_building(home)
    builder = builder or _dbt(request, home)
    builder.build("measure", progress=lambda name, done, total: progress("measure", name, done, total))


def publish(request: Request, plan: Plan) -> Manifest:
    """Step 5: make the built mart a publication and move the pointer. Raises PublishError, PublicationStoppedError."""
    from dagster_project.publish.publication import Manifest
    from dagster_project.publish.publication import publish as publish_files

    home, org = _home(request, plan), read_org(request.home)
    if not home.building.exists():
        raise WarehouseError(
            "there is no finished mart to publish.", where=str(home.building), todo="Run the step `measure` first."
        )
    stopped, states = _states(home)
    if stopped:
        raise PublicationStoppedError(f"{', '.join(stopped)} stopped the line.", where=str(home.current))
    manifest = Manifest(
        publication_id=plan.publication_id,
        as_of=plan.as_of.isoformat(),
        known_at=plan.known_at.isoformat(),
        fingerprint=plan.fingerprint,
        org_id=org.org_id,
        definitions=states,
    )
    return publish_files(home.building, home.published, manifest, keep=request.keep_publications)


def initialise(request: Request, *, progress: Progress = silent, force: bool = False) -> Initialised:
    """Read the org's stages; propose the stage map, and the shipped definitions in mode `observe`.

    What stands is kept unless `force`; then it is set aside under a `.bak` name first. Raises a LeanfunnelError.
    """
    from dagster_project import contracts
    from dagster_project.landing import LandingLog

    written: list[tuple[Path, str]] = []
    kept: list[tuple[Path, str]] = []
    home = request.home
    with writing(home):
        extract(
            request,
            objects=("Organization", "RecordType", "OpportunityStage", "OpportunityStagePicklist"),
            progress=progress,
        )
        if home.stage_map.exists() and not force:
            kept.append((home.stage_map, "stands already; --force proposes anew"))
        else:
            _set_aside(home.stage_map)
            _propose_stage_map(request, LandingLog(home.landing))
            written.append((home.stage_map, "the step of each stage: look it over"))
        if home.expectations.is_dir() and not force:
            kept.append((home.expectations, "stands already; --force copies anew"))
        else:
            _set_aside(home.expectations)
            shipped = request.shipped_definitions or request.definitions
            written += [(path, "mode observe") for path in contracts.write_observe_copy(shipped, home.expectations)]
    return Initialised(tuple(written), tuple(kept))


def replay_refused(plan: Plan) -> LeanfunnelError:
    """Why Dagster builds no past as_of."""
    return LeanfunnelError(
        f"as_of {plan.as_of.isoformat()} lies before the last extraction: that is a replay.",
        todo="Use `leanfunnel run --as-of …`, which builds it apart from the current publication.",
    )


def _home(request: Request, plan: Plan) -> Home:
    return Home(request.home.root, replay=plan.as_of if plan.is_replay else None)


def _dbt(request: Request, home: Home) -> DbtBuild:
    from dagster_project.warehouse.dbt_build import DbtBuild

    return DbtBuild(request.dbt_project, home)


def _manifest(home: Home) -> Manifest | None:
    from dagster_project.publish.publication import read_manifest

    return read_manifest(home.current)


def _states(home: Home) -> tuple[list[str], dict[str, str]]:
    from dagster_project.warehouse.database import open_database

    with open_database(home.conformed, read_only=True) as connection:
        rows = connection.execute("SELECT definition_id, state, stops FROM audit.definition_run ORDER BY 1").fetchall()
    return [name for name, _, stops in rows if stops], {name: state for name, state, _ in rows}


def _stop(request: Request, plan: Plan, report: AuditReport) -> None:
    home = _home(request, plan)
    last = _manifest(home)
    reasons = "; ".join(f"{stop.definition_id} {stop.title}: {stop.stop_reason} ({stop.fix})" for stop in report.stops)
    stays = f"The publication as of {last.as_of} stays." if last else "Nothing was published before."
    raise PublicationStoppedError(f"the line is stopped by {reasons}.", where=str(home.published), todo=stays)


def _propose_stage_map(request: Request, log: LandingLog) -> Path:
    import duckdb

    from dagster_project.salesforce.objects import catalogue
    from dagster_project.warehouse import landing_views, stage_map

    states = {name: log.state(name) for name in log.objects()}
    with duckdb.connect() as connection:
        landing_views.create_landing_views(
            connection,
            catalogue(),
            {name: landing_views.LandedFiles(state.files, frozenset(state.columns)) for name, state in states.items()},
        )
        stages = stage_map.propose(connection)
    _write_text(request.home.stage_map, stage_map.dump(stages))
    return request.home.stage_map


def _corporate_currency(connection: Any) -> str | None:
    row = connection.execute(
        'SELECT arg_max("IsoCode", _batch_seq) FROM landing.currency_type WHERE "IsCorporate"'
    ).fetchone()
    return str(row[0]) if row and row[0] else None


def _same_ground(home: Home, plan: Plan) -> bool:
    try:
        before = read_plan(home)
    except WarehouseError:
        return False
    known = {name: table for name, table in plan.landing_tables.items() if name in before.landing_tables}
    return before.code == plan.code and known == dict(before.landing_tables) and before.known_at <= plan.known_at


def _landed_object(name: str, state: ObjectState, org: Org) -> tuple[Any, ...]:
    """A row of `control.landed_object`. A batch that changes nothing is not landed, so the org's own note says when it was read."""
    proof = state.facts.get("proof") or {}
    read_at = datetime.fromisoformat(org.read_at.get(name, org.server_time)).astimezone(UTC).replace(tzinfo=None)
    return (
        name, state.batch_seq, state.facts.get("mode"), proof.get("stated"), proof.get("stated_after"),
        proof.get("received"), read_at,
    )  # fmt: skip


def _remove_database(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}.wal").unlink(missing_ok=True)


def _set_aside(path: Path) -> None:
    if path.exists():
        aside = path.with_name(f"{path.name}.bak")
        if aside.is_dir():
            shutil.rmtree(aside)
        path.replace(aside)


def _known_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError that names no file
        return "UTC"
    except KeyError:
        return "UTC"


def _hash_files(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != ".pyc") if path.is_dir() else [path]
        for file in files:
            digest.update(file.relative_to(path.parent).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _write_text(path: Path, text: str) -> None:
    """Whole or not at all: written beside, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
