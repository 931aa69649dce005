"""The plan of a run: what it is asked, what it builds, and what it may skip because the publication shows just that.

Belongs here: the request, the plan, the fingerprint of every input, the org that a landing belongs to. Does not: carrying
a step out (`pipeline`), printing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dagster_project.errors import LeanfunnelError, SettingsError, WarehouseError
from dagster_project.home import Home, stamp
from dagster_project.warehouse import MEMORY_LIMIT

if TYPE_CHECKING:  # a run with nothing to do imports neither dbt nor Great Expectations
    from dagster_project.alerts.teller import Teller
    from dagster_project.contracts.overrides import Override
    from dagster_project.landing import LandingLog
    from dagster_project.publish.publication import Manifest
    from dagster_project.salesforce.auth import Credentials
    from dagster_project.salesforce.budget import Bounds
    from dagster_project.salesforce.guards import Addresses

PACKAGE = Path(__file__).resolve().parent
_CODE = ("pipeline.py", "planning.py", "contracts", "warehouse", "publish")


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
    reconcile_days: int = 7
    refresh_formulas_days: int = 7
    reconcile: bool = False
    bounds: Bounds | None = None
    keep_publications: int = 3
    memory_limit: str = MEMORY_LIMIT
    teller: Teller | None = None
    retention_days: Mapping[str, int] = field(default_factory=dict)
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
class Org:
    """The org that a landing belongs to, as `landing/org.json` keeps it for runs that do not call Salesforce.

    `read_at`: the org's clock (ISO) when each object was last read, with or without anything new. `unread`: the objects that
    the newest run did not read, or not to their end; it was incomplete then.
    """

    org_id: str
    name: str
    is_sandbox: bool
    timezone: str
    fiscal_year_start_month: int
    instance_url: str
    server_time: str
    read_at: Mapping[str, str] = field(default_factory=dict)
    unread: Sequence[str] = ()


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


def last_extracted(home: Home) -> datetime:
    """The org's clock (UTC) at the last extraction. Raises LeanfunnelError where there was none."""
    return datetime.fromisoformat(read_org(home).server_time)


def make_plan(
    request: Request, server_time: datetime | None, *, skip_unchanged: bool = True
) -> tuple[Plan, Path | None]:
    """What to build: as_of, the fingerprint of every input, and whether the publication shows just that already.

    Without `server_time` (a run from the landing) as_of is the current publication's, else the last extraction's.
    Returns the plan, and the path of the stage map where one had to be proposed. Raises SettingsError.
    """
    from dagster_project import erasure
    from dagster_project.contracts.kept import last_said
    from dagster_project.contracts.overrides import Overrides
    from dagster_project.landing import LandingLog

    # here, since Dagster plans without `run`
    erasure.refuse_unfinished(request.home.root)
    org = read_org(request.home)
    extracted_at = server_time or datetime.fromisoformat(org.server_time)
    zone = ZoneInfo(request.reporting_timezone or _known_zone(org.timezone))
    current = current_manifest(request.home)
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
        proposed = propose_stage_map(request, log)
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
        "registers": _hash_files(*(path for path in (request.home.experiments, request.home.targets) if path.exists())),
        "definitions": _hash_files(request.definitions),
        "options": [str(zone), request.minimum_n, request.conversion_days, request.measurable_share, request.team],
        "said": last_said(request.home.state),
        "overrides": [
            one.facts() for one in Overrides(request.home.state).standing(as_of.astimezone(zone).date()).values()
        ],
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
    home = home_of(request, plan)
    existing = current_manifest(home)
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


def replay_refused(plan: Plan) -> LeanfunnelError:
    """Why Dagster builds no past as_of."""
    return LeanfunnelError(
        f"as_of {plan.as_of.isoformat()} lies before the last extraction: that is a replay.",
        todo="Use `leanfunnel run --as-of …`, which builds it apart from the current publication.",
    )


def overrides_of(request: Request, plan: Plan) -> Mapping[tuple[str, int], Override]:
    """The stops that are overridden on the day of this plan, by definition and version."""
    from dagster_project.contracts.overrides import Overrides

    return Overrides(request.home.state).standing(plan.as_of.astimezone(ZoneInfo(plan.reporting_timezone)).date())


def home_of(request: Request, plan: Plan) -> Home:
    """Where this plan is built: the home, or the replay's own place in it."""
    return Home(request.home.root, replay=plan.as_of if plan.is_replay else None)


def current_manifest(home: Home) -> Manifest | None:
    """What readers see now, or None where nothing was published."""
    from dagster_project.publish.publication import read_manifest

    return read_manifest(home.current)


def propose_stage_map(request: Request, log: LandingLog) -> Path:
    """Write a stage map from the stages that were landed, and return its path."""
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
    write_text(request.home.stage_map, stage_map.dump(stages))
    return request.home.stage_map


def same_ground(home: Home, plan: Plan) -> bool:
    """Whether what the warehouse applied so far still holds for `plan`: the same models, tables and history."""
    try:
        before = read_plan(home)
    except WarehouseError:
        return False
    known = {name: table for name, table in plan.landing_tables.items() if name in before.landing_tables}
    return before.code == plan.code and known == dict(before.landing_tables) and before.known_at <= plan.known_at


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


def write_text(path: Path, text: str) -> None:
    """Whole or not at all: written beside, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
