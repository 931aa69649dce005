"""The path in order: extract, conform, audit, measure, publish; and what may be skipped.

Each step is a function of a request and a plan, so that the command line runs them in one process and Dagster as assets.
Belongs here: order, the plan, the fingerprint of the inputs. Does not: SOQL, SQL of the models, rules, settings, printing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

from dagster_project.errors import (
    BudgetReachedError,
    LeanfunnelError,
    PartialExtractError,
    PublicationStoppedError,
    SalesforceError,
    SettingsError,
    WarehouseError,
    passing,
)
from dagster_project.home import Home
from dagster_project.planning import (
    Org,
    Plan,
    Request,
    current_manifest,
    home_of,
    last_extracted,
    make_plan,
    overrides_of,
    propose_stage_map,
    read_org,
    read_plan,
    replay_refused,
    same_ground,
    write_text,
)
from dagster_project.warehouse import is_scarce

__all__ = [
    "Plan",
    "Request",
    "last_extracted",
    "make_plan",
    "read_plan",
    "replay_refused",
]  # a step is asked for with these

# imported when a step needs them: a run with nothing to do imports neither dbt nor Great Expectations
if TYPE_CHECKING:
    from dagster_project.contracts import AuditProcess, AuditReport
    from dagster_project.erasure import Gate, Retained
    from dagster_project.landing import LandingLog
    from dagster_project.landing.log import ObjectState
    from dagster_project.publish.publication import Manifest
    from dagster_project.salesforce.client import SalesforceClient
    from dagster_project.salesforce.extract import Batch, ExtractReport
    from dagster_project.salesforce.reconcile import Reconciled
    from dagster_project.warehouse.dbt_build import DbtBuild

Progress = Callable[[str, str, int, int], None]
"""Called with (step, what is being done, done, of how many; 0 where unknown)."""


def silent(step: str, what: str, done: int, total: int) -> None:
    """The progress of those who want none."""


@dataclass(frozen=True)
class Extracted:
    """What an extraction brought. `facts`: by object that the org has, what is shown of it; `missing`: what it lacks or hides;
    `looks`: what was compared beyond what changed; `withheld`: rows that came and did not land, being forgotten or past their
    days; `retained`: what left by its days; `postponed`: why the comparing ended early, which the next run goes on with."""

    server_time: datetime
    facts: Mapping[str, Mapping[str, Any]]
    missing: tuple[str, ...]
    api_calls: str | None
    looks: tuple[Reconciled, ...] = ()
    withheld: int = 0
    retained: tuple[Retained, ...] = ()
    postponed: str | None = None
    api_calls_left: int | None = None

    @property
    def rows(self) -> int:
        """Rows landed, over all objects."""
        return sum(int(fact["rows"]) for fact in self.facts.values())


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
            told += [f"reconciled {line}" for look in self.extracted.looks if (line := look.line())]
            if self.extracted.missing:
                parts = ([", ".join(objects)] if objects else []) + ([f"{fields} fields"] if fields else [])
                told.append(f"left out   {' and '.join(parts)}: the org lacks or hides them (see `leanfunnel doctor`)")
            if self.extracted.postponed:
                told.append(f"postponed  comparing what no cursor shows, to the next run: {self.extracted.postponed}")
            if self.extracted.withheld:
                told.append(f"withheld   {self.extracted.withheld:,} rows: forgotten, or past their days")
            told += [
                f"retention  {one.rows:,} rows of {one.object} left, last touched before {one.before:%Y-%m-%d} ({one.days} days)"
                for one in self.extracted.retained
                if one.rows
            ]
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
        told += [f"incomplete {line}" for line in self.publication.incomplete]
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
                    raise passing(
                        LeanfunnelError(
                            "another run is writing here.",
                            where=str(home.root),
                            todo="Wait for it to end, or choose another --home.",
                        )
                    ) from None
                time.sleep(0.2)
        yield


def run(request: Request, *, progress: Progress = silent, last_extraction: bool = False) -> RunReport:
    """The whole path in this process. Raises a LeanfunnelError; what was published before then stays.

    `last_extraction`, with a request from the landing: as of it, also where what it brought was never published.
    """
    try:
        report = _run(request, progress, last_extraction)
    except LeanfunnelError as error:
        if request.teller:
            request.teller.after_failure(error)
        raise
    if request.teller and not report.plan.is_replay:
        request.teller.after_publication()
    return report


def _run(request: Request, progress: Progress, last_extraction: bool) -> RunReport:
    import time

    seconds: dict[str, float] = {}

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        started = time.monotonic()
        progress(step, "", 0, 0)
        yield
        seconds[step] = time.monotonic() - started

    from dagster_project import erasure

    with writing(request.home):
        erasure.refuse_unfinished(request.home.root)
        extracted = None
        if not request.from_landing:
            with timed("extract"):
                extracted = extract(request, progress=progress)
        clock = last_extracted(request.home) if last_extraction or extracted else None
        plan, proposed = make_plan(request, clock)
        if plan.skip:
            manifest = current_manifest(home_of(request, plan))
            assert manifest is not None
            return RunReport(plan, home_of(request, plan), extracted, None, manifest, proposed, seconds)
        from dagster_project.contracts import AuditProcess

        home = home_of(request, plan)
        with ExitStack() as stack:
            # imports Great Expectations while dbt conforms, where there is room for both
            auditor = None if is_scarce(request.memory_limit) else stack.enter_context(AuditProcess())
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


def back_fill_names() -> tuple[str, ...]:
    """Those of them that can be read again by when their records were created."""
    from dagster_project.salesforce.back_fill import objects

    return objects()


def extract(
    request: Request,
    *,
    objects: tuple[str, ...] | None = None,
    created: tuple[datetime, datetime] | None = None,
    progress: Progress = silent,
) -> Extracted:
    """Step 1: bring what is new into the landing log, of `objects` or of all. Raises SalesforceError, LandingError;
    PartialExtractError where some objects are landed and others were not read, which `org.json` then names.

    With `created` [since, before) it is a back-fill: the records created then are read again, and what differs lands.
    """
    from uuid import uuid4

    from dagster_project import erasure
    from dagster_project.landing import LandingLog
    from dagster_project.landing.run_log import RunLog
    from dagster_project.salesforce.back_fill import Period
    from dagster_project.salesforce.client import SalesforceClient
    from dagster_project.salesforce.extract import extract_org
    from dagster_project.salesforce.objects import mapped_source

    if request.credentials is None:
        raise SettingsError("no Salesforce login is set.", todo="See .env.example.")
    log, run_id = LandingLog(request.home.landing), uuid4().hex
    failed: SalesforceError | None = None
    postponed: str | None = None
    gate = erasure.Gate(request.home.landing, request.retention_days)

    def land(batch: Batch) -> object:
        kept = gate.through(batch, log.state(batch.object))
        return kept and log.commit(kept, run_id=run_id)

    def on_event(name: str, event: str, **numbers: int) -> None:
        progress("extract", f"{name} {event}", numbers.get("rows", 0), numbers.get("expected", 0))

    with SalesforceClient(request.credentials(), api_version=request.api_version) as client:
        looks: tuple[Reconciled, ...] = ()

        try:
            report = extract_org(
                client,
                landed=log.state,
                land=land,
                workdir=request.home.work,
                objects=objects,
                extra_fields=request.extra_fields,
                mapped_fields={
                    name: tuple(columns.values()) for name, columns in mapped_source(request.mapped_fields).items()
                },
                addresses=request.addresses,
                created=Period(*created) if created else None,
                progress=on_event,
                bounds=request.bounds,
            )
        except PartialExtractError as error:
            report, failed = cast("ExtractReport", error.report), error
        else:
            try:
                # a back-fill is of what was created then, and of nothing else
                looks = () if created else _reconcile(request, client, log, report, run_id, on_event, gate, land)
            except BudgetReachedError as error:
                # all rows are read; what is compared beside them stays due
                postponed = str(error)
            except SalesforceError as error:
                # what was extracted stands; a later run looks again
                failed = error
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
        unread=failed.unread if isinstance(failed, PartialExtractError) else (),
    )
    if created is None or not (request.home.landing / "org.json").exists():
        # a back-fill reads the past: nothing is newer by it
        write_text(request.home.landing / "org.json", json.dumps(asdict(kept), indent=2))
    facts, missing = {}, []
    for name, result in report.objects.items():
        if result.state in ("missing", "hidden"):
            missing.append(name)
            continue
        facts[name] = {
            "state": result.state,
            "rows": max(result.rows - gate.withheld.get(name, 0), 0),
            "deleted": result.deleted,
            "mode": result.mode,
            "seconds": round(result.seconds, 3),
            "bytes": result.bytes,
            "api_calls": result.calls,
        }
        missing += [f"{name}.{column}" for column in result.missing_fields]
    usage = report.api_usage
    left = usage.total - usage.used if usage else None
    RunLog(request.home.state).append(
        run_id,
        report.server_time,
        [
            {
                "object": name,
                "received": report.objects[name].received,
                "landed": fact["rows"],
                "api_calls_left": left,
                **{key: fact[key] for key in ("state", "mode", "deleted", "bytes", "seconds", "api_calls")},
            }
            for name, fact in facts.items()
        ],
    )
    if failed is not None:
        failed.landed = facts
        raise failed
    days = {name: n for name, n in request.retention_days.items() if objects is None or name in objects}
    return Extracted(
        report.server_time, facts, tuple(missing), f"{usage.used}/{usage.total}" if usage else None, looks,
        withheld=sum(gate.withheld.values()),
        postponed=postponed,
        api_calls_left=left,
        retained=tuple(erasure.retain(request.home.landing, days, at=report.server_time, write=True)),
    )  # fmt: skip


def _reconcile(
    request: Request,
    client: SalesforceClient,
    log: LandingLog,
    report: ExtractReport,
    run_id: str,
    on_event: Any,
    gate: Gate,
    land: Callable[[Batch], object],
) -> tuple[Reconciled, ...]:
    """What no cursor shows, of the objects that this run has read. Each look is kept once what it found is landed."""
    from dagster_project.salesforce.objects import mapped_source
    from dagster_project.salesforce.reconcile import Schedule, reconcile_org

    looks: list[Reconciled] = []
    try:
        for look in reconcile_org(
            client,
            org_id=report.org.id,
            at=report.server_time,
            landed=log.state,
            land=land,
            kept_out=gate.keeps_out,
            last=log.last_looks(),
            workdir=request.home.work,
            objects=[name for name, one in report.objects.items() if one.state in ("landed", "unchanged")],
            schedule=Schedule(request.reconcile_days, request.refresh_formulas_days, request.reconcile),
            extra_fields=request.extra_fields,
            mapped_fields={
                name: tuple(fields.values()) for name, fields in mapped_source(request.mapped_fields).items()
            },
            addresses=request.addresses,
            progress=on_event,
        ):
            looks.append(look)
    finally:
        log.record_looks(looks, run_id=run_id)
    return tuple(looks)


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


def prepare(request: Request, plan: Plan) -> None:
    """Tell the warehouse what to build: landing views and control tables. Starts it anew where the models changed.

    Raises SettingsError (stage map, definitions), WarehouseError.
    """
    from dagster_project import contracts
    from dagster_project.contracts.stage_map_changes import StageMapChanges
    from dagster_project.landing import LandingLog
    from dagster_project.landing.run_log import RunLog
    from dagster_project.salesforce.objects import catalogue, dimension_rows, mapped_inventory, mapped_source
    from dagster_project.warehouse import control, experiments, landing_views, stage_map, targets
    from dagster_project.warehouse.database import open_database

    home, org = home_of(request, plan), read_org(request.home)
    definitions = contracts.load_definitions(request.definitions)
    stages = stage_map.read(request.home.stage_map)
    map_changes = StageMapChanges(request.home.state)
    if not plan.is_replay:
        map_changes.record(stages, plan.as_of.astimezone(UTC))
    processes = {stage.sales_process for stage in stages}
    tried = [one.row for one in experiments.read(request.home.experiments, processes)]
    wanted = [one.row for one in targets.read(request.home.targets, processes)]
    log = LandingLog(request.home.landing)
    states = {name: log.state(name) for name in log.objects()}
    if plan.known_at < datetime.fromisoformat(org.server_time):
        states, org = _as_known(request, log, states, org, plan.known_at)
    looks = log.last_looks(plan.known_at)
    landed_inventory = log.inventory()
    inventory = [(row.object, row.field, row.status) for row in landed_inventory]
    inventory += mapped_inventory(
        request.mapped_fields,
        [(row.object, row.field, row.status, row.salesforce_type) for row in landed_inventory],
    )
    buyer = [(stage.sales_process, stage.stage_name, stage.buyer_stage) for stage in stages if stage.buyer_stage]
    has_buyer = any(stage.buyer_stage is not None for stage in stages)
    inventory += [("stage_map", None, "present"), ("stage_map", "buyer_stage", "present" if has_buyer else "missing")]
    if home.conformed.exists() and not same_ground(home, plan):
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
            [_landed_object(name, state, org, looks) for name, state in sorted(states.items())],
            RunLog(request.home.state).rows(plan.known_at),
            [one.facts() for one in overrides_of(request, plan).values()],
            terms=contracts.terms_table(contracts.load_terms(request.definitions)),
            experiments=tried,
            targets=wanted,
            stage_map_changes=map_changes.since(plan.known_at.astimezone(UTC)),
            dimensions=dimension_rows(request.mapped_fields, inventory),
        )
    write_text(home.plan, json.dumps(asdict(plan), indent=2, default=lambda instant: instant.isoformat()))


def audit(
    request: Request, plan: Plan, *, auditor: AuditProcess | None = None, raise_on_stop: bool = True
) -> AuditReport:
    """Step 3: run the definitions on what was conformed and write verdicts and ledger.

    Raises PublicationStoppedError where a definition stops the line: what was published stays. Raises ContractError.
    """
    from dagster_project import contracts
    from dagster_project.publish.stale import Stale, mark_stale

    found = contracts.audit(
        home_of(request, plan).conformed,
        contracts.load_definitions(request.definitions),
        request.home.state,
        as_of=plan.as_of,
        run_id=plan.publication_id,
        record=not plan.is_replay,
        process=auditor,
        memory_limit=request.memory_limit,
    )
    report = found.despite({key: one.text for key, one in overrides_of(request, plan).items()})
    _name_dependents(request, home_of(request, plan))
    if report.stops and not plan.is_replay:
        reasons = {stop.definition_id: stop.stop_reason or stop.title for stop in report.stops}
        mark_stale(request.home.published, Stale(plan.as_of.isoformat(), reasons))
    if request.teller and not plan.is_replay:
        published = current_manifest(request.home)
        request.teller.after_audit(
            report.stops, as_of=plan.as_of, published_as_of=published.as_of if published else None
        )
    if raise_on_stop and report.stops:
        _stop(request, plan, report)
    return report


def publish_despite(
    request: Request, rule: str, *, who: str, why: str, until: date, by: str, at: datetime, progress: Progress = silent
) -> RunReport:
    """Override on the record the stop of `rule` until a day, and publish what the last extraction brought. `at`: now (UTC).

    Raises SettingsError where the rule does not stop the line; PublicationStoppedError where another one does, too.
    """
    from dagster_project import contracts
    from dagster_project.contracts.overrides import Overrides, definition_named

    with writing(request.home):
        plan = read_plan(request.home)
        stopping = [name for name, _ in (*_states(request.home)[0], *_held(request.home))]
        definition = definition_named(contracts.load_definitions(request.definitions), rule, stopping)
        Overrides(request.home.state).give(
            definition, who=who, why=why, until_on=until, by=by, at=at, seen_as_of=plan.as_of
        )
    return run(replace(request, from_landing=True), progress=progress, last_extraction=True)


def measurability(home: Home) -> tuple[int, int, float, str | None] | None:
    """Of the last publication: won deals, those without a recorded customer response, the largest share that is measurable, and why
    it is not (None where it is). None where nothing was published, or by a release that did not tell.
    """
    from dagster_project.warehouse.database import open_database

    file = home.current / "leanfunnel.duckdb"
    if not file.exists():
        return None
    try:
        with open_database(file, read_only=True) as connection:
            row = connection.execute(
                "SELECT n_won, n_without, limit_share, cause FROM mart.dim_measurability WHERE evidence = 'customer_response'"
            ).fetchone()
    except WarehouseError:
        return None
    return None if row is None else (row[0], row[1], row[2], row[3])


def start_building(home: Home) -> None:
    """An empty place for the next publication's file."""
    _remove_database(home.building)


def measure(request: Request, plan: Plan, *, builder: DbtBuild | None = None, progress: Progress = silent) -> None:
    """Step 4: build marts and views into the next publication's file. Raises WarehouseError."""
    home = home_of(request, plan)
    start_building(home)
    builder = builder or _dbt(request, home)
    builder.build("measure", progress=lambda name, done, total: progress("measure", name, done, total))


def publish(request: Request, plan: Plan) -> Manifest:
    """Step 5: make the built mart a publication and move the pointer. Raises PublishError, PublicationStoppedError."""
    from dagster_project.publish.publication import Manifest
    from dagster_project.publish.publication import publish as publish_files

    home, org = home_of(request, plan), read_org(request.home)
    if not home.building.exists():
        raise WarehouseError(
            "there is no finished mart to publish.", where=str(home.building), todo="Run the step `measure` first."
        )
    stopped, states = _states(home)
    standing, held = overrides_of(request, plan), _held(home)
    if unanswered := [name for name, version in stopped if (name, version) not in standing]:
        raise PublicationStoppedError(f"{', '.join(unanswered)} stopped the line.", where=str(home.current))
    manifest = Manifest(
        publication_id=plan.publication_id,
        as_of=plan.as_of.isoformat(),
        known_at=plan.known_at.isoformat(),
        fingerprint=plan.fingerprint,
        org_id=org.org_id,
        definitions=states,
        incomplete=tuple(text for key, lines in held.items() if key not in standing for text in lines),
        overrides=tuple(standing[key].facts() for key in (*stopped, *held) if key in standing),
    )
    return publish_files(home.building, home.published, manifest, keep=request.keep_publications)


def initialise(request: Request, *, progress: Progress = silent, force: bool = False) -> Initialised:
    """Read the org's stages; propose the stage map, and the shipped definitions in mode `observe`.

    What stands is kept unless `force`; then it is set aside under a `.bak` name first. Raises a LeanfunnelError.
    """
    from dagster_project import contracts
    from dagster_project.landing import LandingLog
    from dagster_project.warehouse import experiments, targets

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
            propose_stage_map(request, LandingLog(home.landing))
            written.append((home.stage_map, "the step of each stage: look it over"))
        if home.expectations.is_dir() and not force:
            kept.append((home.expectations, "stands already; --force copies anew"))
        else:
            _set_aside(home.expectations)
            shipped = request.shipped_definitions or request.definitions
            written += [(path, "mode observe") for path in contracts.write_observe_copy(shipped, home.expectations)]
        for path, header, what in (
            (home.experiments, experiments.empty(), "what you change, and what you expect of it: empty"),
            (home.targets, targets.empty(), "what each fiscal quarter shall bring: empty"),
        ):
            if path.exists():  # what people wrote is never set aside: there is nothing to propose
                kept.append((path, "stands already"))
            else:
                write_text(path, header)
                written.append((path, what))
    return Initialised(tuple(written), tuple(kept))


def _dbt(request: Request, home: Home) -> DbtBuild:
    from dagster_project.warehouse.dbt_build import DbtBuild

    return DbtBuild(request.dbt_project, home, request.memory_limit)


def _states(home: Home) -> tuple[list[tuple[str, int]], dict[str, str]]:
    """(definition, version) of those that stop by the last audit; the state of each."""
    from dagster_project.warehouse.database import open_database

    with open_database(home.conformed, read_only=True) as connection:
        rows = connection.execute(
            "SELECT definition_id, definition_version, state, stops FROM audit.definition_run ORDER BY 1"
        ).fetchall()
    return [(name, version) for name, version, _, stops in rows if stops], {name: state for name, _, state, _ in rows}


def _held(home: Home) -> dict[tuple[str, int], list[str]]:
    """What the last audit held back while the rest stands, a line each, by (definition, version)."""
    from dagster_project.warehouse.database import open_database

    with open_database(home.conformed, read_only=True) as connection:
        rows = connection.execute(
            "SELECT h.definition_id, h.definition_version, h.scope, h.scope_value, h.dependent_views, d.title, d.fix "
            "FROM audit.held_scope AS h INNER JOIN control.definition AS d USING (definition_id) ORDER BY 1, 4"
        ).fetchall()
    found: dict[tuple[str, int], list[str]] = {}
    for rule, version, scope, value, views, title, fix in rows:
        what = "its amounts are in no total" if scope == "currency" else f"it bears on {views or 'no view'}"
        found.setdefault((rule, version), []).append(f"{scope} {value}: {what}; breaches {rule} ({title}). {fix}")
    return found


def _name_dependents(request: Request, home: Home) -> None:
    """Say beside each object that is held back which views rest on it, as dbt knows it. Parses the project only then."""
    from dagster_project.warehouse import dbt_build
    from dagster_project.warehouse.database import open_database
    from dagster_project.warehouse.landing_views import view_name

    with open_database(home.conformed) as connection:
        objects = [
            row[0]
            for row in connection.execute("SELECT scope_value FROM audit.held_scope WHERE scope = 'object'").fetchall()
        ]
    if not objects:
        return
    manifest = dbt_build.write_manifest(
        request.dbt_project, home.warehouse / "dbt" / "lineage", dbt_build.dbt_environment(home)
    )
    views = dbt_build.dependent_views(manifest, map(view_name, objects))
    with open_database(home.conformed) as connection:
        connection.executemany(
            "UPDATE audit.held_scope SET dependent_views = ? WHERE scope = 'object' AND scope_value = ?",
            [(", ".join(views[view_name(name)]) or None, name) for name in objects],
        )


def _stop(request: Request, plan: Plan, report: AuditReport) -> None:
    home = home_of(request, plan)
    last = current_manifest(home)
    reasons = "; ".join(f"{stop.definition_id} {stop.title}: {stop.stop_reason} ({stop.fix})" for stop in report.stops)
    stays = f"The publication as of {last.as_of} stays." if last else "Nothing was published before."
    if not plan.is_replay:
        rule = report.stops[0].definition_id
        stays += (
            f" To publish all the same, on the record: `leanfunnel publish --despite {rule} --who … --why … --until …`."
        )
    raise PublicationStoppedError(f"the line is stopped by {reasons}.", where=str(home.published), todo=stays)


def _corporate_currency(connection: Any) -> str | None:
    row = connection.execute(
        'SELECT arg_max("IsoCode", _batch_seq) FROM landing.currency_type WHERE "IsCorporate"'
    ).fetchone()
    return str(row[0]) if row and row[0] else None


def _as_known(
    request: Request, log: LandingLog, states: Mapping[str, ObjectState], org: Org, known_at: datetime
) -> tuple[dict[str, ObjectState], Org]:
    """The landing as its commits told of it at `known_at`, and when each object had been read by then. Raises SettingsError
    where what every figure rests on had not been extracted yet."""
    from dagster_project.landing.run_log import RunLog
    from dagster_project.salesforce.objects import ESSENTIAL

    then = {
        name: replace(state, batch_seq=facts["batch_seq"], watermark=facts.get("watermark"), facts=facts)
        for name, state in states.items()
        if (facts := log.facts_at(name, known_at))
    }
    if missing := [name for name in ESSENTIAL if name in states and name not in then]:
        raise SettingsError(
            f"by {known_at.isoformat()} nothing had been extracted of {', '.join(missing)}.",
            todo="Give --known-at the instant of an extraction (`leanfunnel show rpt_runs` lists them) or a later one.",
        )
    read_at: dict[str, str] = {}
    for row in (
        RunLog(request.home.state).rows(known_at).to_pylist()
    ):  # ordered by run: the newest look at an object stays
        if row["state"] in ("landed", "unchanged"):
            read_at[row["object"]] = row["read_at"].isoformat()
    for name, state in then.items():
        read_at.setdefault(name, state.facts["extracted_at"])
    return then, replace(org, read_at=read_at, unread=())


def _landed_object(
    name: str, state: ObjectState, org: Org, looks: Mapping[tuple[str, str], datetime]
) -> tuple[Any, ...]:
    """A row of `control.landed_object`. A batch that changes nothing is not landed, so the org's own note says when it was read."""
    from dagster_project.salesforce.reconcile import FORMULAS, IDS

    proof, window = state.facts.get("proof") or {}, state.facts.get("window") or {}
    read_at = datetime.fromisoformat(org.read_at.get(name, org.server_time)).astimezone(UTC).replace(tzinfo=None)
    compared, refreshed = (
        at.replace(tzinfo=None) if (at := looks.get((name, kind))) else None for kind in (IDS, FORMULAS)
    )
    return (
        name, state.batch_seq, state.facts.get("mode"), proof.get("stated"), proof.get("stated_after"),
        proof.get("received"), read_at, state.batch_seq == 1 or window.get("load") == "first",
        name not in org.unread and "unfinished" not in (state.watermark or {}), compared, refreshed,
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
