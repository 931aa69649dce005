"""The stage map: which step each stage of each sales process is, and in which order. Proposed here, owned by rev-ops.

`stage_map.csv` holds one row per sales process and stage. OpportunityStage is global and does not know a process's stages;
their order comes from the picklist of each record type, as landed.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from dagster_project.errors import SettingsError, nearest

STEP_RANKS: dict[str, int | None] = {
    "prospect": 1, "qualified": 2, "solution": 3, "proposal": 4, "commit": 5, "won": 6, "lost": None,
}  # fmt: skip
"""The canonical steps in order; `lost` has no rank. Stages of two processes add up only through their step."""

LOCATIONS = {
    "prospect": "qualifying", "qualified": "qualifying", "solution": "selling", "proposal": "selling",
    "commit": "selling", "won": "closed", "lost": "closed",
}  # fmt: skip
"""Where in the value stream a step stands, for the search for the constraint."""

_COLUMNS = ("sales_process", "stage_name", "stage_order", "step", "location", "is_closed", "is_won", "is_active")
_BUYER = "buyer_stage"

# Later steps first: "Negotiation/Review" is no review of a proposal. Words as Salesforce's default stages and common orgs use.
_WORDS = (
    ("commit", ("negotiat", "contract", "commit", "legal", "procure", "verbal", "closing")),
    ("proposal", ("proposal", "quote", "pricing", "offer", "rfp", "tender")),
    ("solution", ("need", "analysis", "value prop", "demo", "decision", "perception", "solution", "evaluat", "technical",
                  "discover", "trial", "pilot", "proof")),
    ("qualified", ("qualif",)),
    ("prospect", ("prospect", "lead", "new", "identif", "inbound", "target", "open")),
)  # fmt: skip


@dataclass(frozen=True)
class MappedStage:
    """One row of the stage map. `stage_name` is the ApiName; order counts from 1 inside the process.

    `buyer_stage`: what the buyer does meanwhile, in the org's own words; None where the map has no such column, which is
    optional, and empty where it says nothing.
    """

    sales_process: str
    stage_name: str
    stage_order: int
    step: str
    location: str
    is_closed: bool
    is_won: bool
    is_active: bool
    buyer_stage: str | None = None

    @property
    def row(self) -> tuple[str, str, int, str, int | None, str, bool, bool, bool]:
        """As `control.stage_map` holds it."""
        return (
            self.sales_process, self.stage_name, self.stage_order, self.step, STEP_RANKS[self.step], self.location,
            self.is_closed, self.is_won, self.is_active,
        )  # fmt: skip


def propose(connection: duckdb.DuckDBPyConnection) -> list[MappedStage]:
    """A stage map from what the org says of itself: picklists per record type, else OpportunityStage's own order.

    Stages that OpportunityStage knows as inactive stay valid for history in every process. Steps are guessed from names
    and never fall along the order; rev-ops corrects them. Raises SettingsError where the org has no stages.
    """
    stages = {
        name: (closed, won, active, order)
        for name, closed, won, active, order in connection.execute("""
            SELECT coalesce("ApiName", "MasterLabel"), coalesce("IsClosed", false), coalesce("IsWon", false),
                   coalesce("IsActive", true), coalesce("SortOrder", 0)
            FROM (SELECT *, row_number() OVER (PARTITION BY "Id" ORDER BY _batch_seq DESC, "SystemModstamp" DESC) AS n
                  FROM landing.opportunity_stage) WHERE n = 1 ORDER BY "SortOrder", 1""").fetchall()
    }
    if not stages:
        raise SettingsError(
            "the org shows no opportunity stages.", where="OpportunityStage", todo="Grant read access to Opportunity."
        )
    by_process: dict[str, list[str]] = defaultdict(list)
    for process, stage in connection.execute("""
        WITH newest AS (
            SELECT *, max(_batch_seq) OVER () AS last_batch FROM landing.opportunity_stage_picklist
        ), types AS (
            SELECT "Id", arg_max("DeveloperName", _batch_seq) AS name FROM landing.record_type
            WHERE "SobjectType" = 'Opportunity' GROUP BY "Id"
        )
        SELECT coalesce(types.name, 'default'), newest."StageName" FROM newest
        LEFT JOIN types ON types."Id" = newest."RecordTypeId"
        WHERE newest._batch_seq = newest.last_batch AND newest._operation <> 'delete'
        ORDER BY 1, newest."Position"
    """).fetchall():
        if stage in stages and stage not in by_process[process]:
            by_process[process].append(stage)
    if not by_process.get("default"):
        without_type = connection.execute(
            'SELECT count(*) FROM landing.opportunity WHERE "RecordTypeId" IS NULL'
        ).fetchone()
        if not by_process or (without_type and without_type[0]):
            by_process["default"] = [name for name, facts in stages.items() if facts[2]]
    proposed: list[MappedStage] = []
    for process in sorted(by_process):
        proposed.extend(_propose_process(process, by_process[process], stages))
    return proposed


def _propose_process(
    process: str, active: list[str], stages: dict[str, tuple[bool, bool, bool, int]]
) -> list[MappedStage]:
    ordered = list(active)
    for name, (_, _, is_active, sort_order) in stages.items():
        if not is_active and name not in ordered:
            before = [i for i, other in enumerate(ordered) if stages[other][3] <= sort_order]
            ordered.insert(before[-1] + 1 if before else 0, name)
    mapped, rank = [], 1
    for position, name in enumerate(ordered, start=1):
        closed, won, _, _ = stages[name]
        step = ("won" if won else "lost") if closed else guess_step(name, at_least=rank)
        if not closed:
            rank = max(rank, STEP_RANKS[step] or rank)
        mapped.append(MappedStage(process, name, position, step, LOCATIONS[step], closed, won, name in active))
    return mapped


def guess_step(stage_name: str, *, at_least: int = 1) -> str:
    """The step that an open stage's name suggests, never below rank `at_least`; an unknown name takes that rank."""
    fold = stage_name.casefold()
    for step, words in _WORDS:
        rank = STEP_RANKS[step] or 0
        if any(word in fold for word in words) and rank >= at_least:
            return step
    return next(step for step, rank in STEP_RANKS.items() if rank == at_least)


def dump(stages: Sequence[MappedStage]) -> str:
    """The map as CSV text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for stage in stages:
        writer.writerow([
            stage.sales_process, stage.stage_name, stage.stage_order, stage.step, stage.location,
            *(str(flag).lower() for flag in (stage.is_closed, stage.is_won, stage.is_active)),
        ])  # fmt: skip
    return out.getvalue()


def read(path: Path) -> list[MappedStage]:
    """`stage_map.csv`. Raises SettingsError with file and line for each kind of mistake."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError("cannot be read as UTF-8 text.", where=str(path)) from error
    rows = list(csv.reader(io.StringIO(text)))
    header = tuple(cell.strip() for cell in rows[0]) if rows else ()
    if header not in (_COLUMNS, (*_COLUMNS, _BUYER)):
        raise SettingsError(
            "the header is not the stage map's.",
            where=f"{path}, line 1",
            todo=f"Write: {','.join(_COLUMNS)} (and, if you like, {_BUYER} behind them)",
        )
    stages: list[MappedStage] = []
    taken: dict[tuple[str, object], int] = {}
    for line, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        stage = _parse(row, header, f"{path}, line {line}")
        for key, what in (
            ((stage.sales_process, stage.stage_name), f"stage '{stage.stage_name}'"),
            ((stage.sales_process, stage.stage_order), f"stage_order {stage.stage_order}"),
        ):
            if key in taken:
                raise SettingsError(
                    f"{what} stands twice in process '{stage.sales_process}' (first on line {taken[key]}).",
                    where=f"{path}, line {line}", todo="Keep one.",
                )  # fmt: skip
            taken[key] = line
        stages.append(stage)
    if not stages:
        raise SettingsError("holds no stage.", where=str(path), todo="Delete it; `leanfunnel init` proposes a new one.")
    return stages


def _parse(row: Sequence[str], header: Sequence[str], where: str) -> MappedStage:
    if len(row) != len(header):
        raise SettingsError(
            f"has {len(row)} cells, not {len(header)}.", where=where, todo=f"Columns: {','.join(header)}"
        )
    process, name, order, step, location, *flags = (cell.strip() for cell in row)
    buyer = flags.pop() if _BUYER in header else None
    if not process or not name:
        raise SettingsError("sales_process and stage_name must not be empty.", where=where)
    if not order.isdigit() or int(order) < 1:
        raise SettingsError(f"stage_order '{order}' is not a whole number from 1.", where=where)
    if step not in STEP_RANKS:
        raise SettingsError(
            f"unknown step '{step}'.{nearest(step, STEP_RANKS)}", where=where, todo=f"Known: {', '.join(STEP_RANKS)}."
        )
    known = sorted(set(LOCATIONS.values()))
    if location not in known:
        raise SettingsError(
            f"unknown location '{location}'.{nearest(location, known)}", where=where, todo=f"Known: {', '.join(known)}."
        )
    truth = {"true": True, "false": False}
    if any(flag.lower() not in truth for flag in flags):
        raise SettingsError("is_closed, is_won and is_active are true or false.", where=where)
    closed, won, active = (truth[flag.lower()] for flag in flags)
    if closed != (step in ("won", "lost")) or won != (step == "won"):
        raise SettingsError(
            f"step '{step}' does not fit is_closed={closed}, is_won={won}.", where=where, todo="Mend one of them."
        )
    return MappedStage(process, name, int(order), step, location, closed, won, active, buyer)
