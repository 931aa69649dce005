"""One audit from end to end: what can be measured, Great Expectations' answers, verdicts, counts, ledger.

Belongs here: the order of things and the states of a definition. Does not: the SQL of a verdict (verdicts), spells (ledger),
Great Expectations itself, which runs in a process of its own and read-only.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.contracts import conditions
from dagster_project.contracts.conditions import quoted
from dagster_project.contracts.definition import Definition
from dagster_project.contracts.entities import SCHEMA, Entity
from dagster_project.contracts.gx_client import AuditProcess
from dagster_project.contracts.kept import show_kept
from dagster_project.contracts.ledger import Ledger
from dagster_project.contracts.report import AuditReport, DefinitionResult, Sample
from dagster_project.contracts.service_levels import freeze
from dagster_project.contracts.verdicts import OWNERS, Counts, gx_checks, write_verdicts
from dagster_project.errors import ContractError
from dagster_project.warehouse import MEMORY_LIMIT
from dagster_project.warehouse.database import open_database

SAMPLES = 5
_RUN_COLUMNS = (
    "definition_id", "definition_version", "rule_number", "kind", "mode", "entity", "state", "state_cause", "raw", "met",
    "breached", "not_applicable", "unknown", "mostly", "success", "stops",
)  # fmt: skip


def audit(
    conformed: Path,
    definitions: Sequence[Definition],
    state: Path,
    *,
    as_of: datetime,
    run_id: str,
    record: bool = True,
    process: AuditProcess | None = None,
    memory_limit: str = MEMORY_LIMIT,
) -> AuditReport:
    """Judge every row of every definition's entity, at `as_of` (UTC), which must be that of `control.run`.

    Replaces the tables of schema `audit` in `conformed`, and appends to the ledger under
    `state` what is new, unless `record` is False or a later as_of is recorded. `process` may have been started earlier.
    `memory_limit`: what DuckDB may hold in each of the two processes.
    Raises ContractError where the audit could not be carried out, WarehouseError where the file cannot be used.
    """
    instant = as_of.astimezone(UTC).replace(tzinfo=None) if as_of.tzinfo else as_of
    seconds: dict[str, float] = {}
    with process or AuditProcess() as auditor:
        started = time.monotonic()
        with open_database(conformed, read_only=True) as connection:
            types, states = _look(connection, definitions, instant)
        measured = [definition for definition in definitions if states[definition.id][0] == "measured"]
        seconds["look"] = time.monotonic() - started
        started = time.monotonic()
        checks = [check for definition in measured for check in gx_checks(definition)]
        answers = (
            auditor.run({"database": str(conformed), "memory_limit": memory_limit, "checks": checks}) if checks else {}
        )
        seconds["great_expectations"] = time.monotonic() - started
    started = time.monotonic()
    with open_database(conformed, memory_limit=memory_limit) as connection:
        connection.execute("BEGIN")
        connection.execute("DELETE FROM audit.verdict")
        connection.execute("DELETE FROM audit.definition_run")
        connection.execute("DELETE FROM audit.definition_count")
        connection.execute("DELETE FROM audit.held_scope")
        teams = _has_teams(connection)
        results = []
        for definition in definitions:
            counts = None
            if states[definition.id][0] == "measured":
                counts = write_verdicts(connection, definition, answers, types[definition.entity], teams=teams)
            results.append(_result(connection, definition, states[definition.id], counts, types))
        rows = [[getattr(result, column) for column in _RUN_COLUMNS] for result in results]
        if rows:
            marks = ", ".join("?" * len(_RUN_COLUMNS))
            connection.executemany(
                f"INSERT INTO audit.definition_run ({', '.join(_RUN_COLUMNS)}) VALUES ({marks})", rows
            )
        connection.execute("COMMIT")
        seconds["verdicts"] = time.monotonic() - started
        started = time.monotonic()
        ledger = Ledger(connection, state, instant)
        recorded = record and ledger.is_newest and bool(definitions)
        opened, resolved = ledger.record(definitions, run_id) if recorded else (0, 0)
        if recorded:
            freeze(connection, state, [d for d in definitions if states[d.id][0] == "measured"], instant)
        ledger.write()
        show_kept(connection, state, instant, is_newest=ledger.is_newest)
        seconds["ledger"] = time.monotonic() - started
    return AuditReport(instant, run_id, tuple(results), recorded, opened, resolved, seconds)


def write_data_docs(conformed: Path, definitions: Sequence[Definition], folder: Path) -> Path:
    """Great Expectations' Data Docs of the definitions that can be measured on `conformed`, in `folder`; returns the first
    page. Nothing is recorded. What stood in the folder is replaced.

    Raises ContractError where the audit could not be carried out, WarehouseError where the file cannot be used.
    """
    with open_database(conformed, read_only=True) as connection:
        row: Any = connection.execute("SELECT max(as_of) FROM control.run").fetchone()
        _, states = _look(connection, definitions, row[0])
    checks = [
        {**check, "notes": f"{one.id} v{one.version}: {one.title}. {one.why} To do: {one.fix}"}
        for one in definitions
        if states[one.id][0] == "measured"
        for check in gx_checks(one)
    ]
    if folder.exists():
        shutil.rmtree(folder)
    with AuditProcess() as auditor:
        auditor.run(
            {"database": str(conformed), "memory_limit": MEMORY_LIMIT, "checks": checks, "data_docs": str(folder)}
        )
    return folder / "index.html"


def _look(
    connection: duckdb.DuckDBPyConnection, definitions: Sequence[Definition], as_of: datetime
) -> tuple[dict[str, dict[str, str]], dict[str, tuple[str, str | None]]]:
    """Each entity's column types, and each definition's state with its cause: measured, not configured, not measurable."""
    runs = connection.execute("SELECT as_of, measurable_share FROM control.run").fetchall()
    if len(runs) != 1 or runs[0][0] != as_of:
        raise ContractError(
            f"the warehouse was built for another as_of than {as_of.isoformat()}Z.",
            where="control.run",
            todo="Build the warehouse again: `leanfunnel run`.",
        )
    inventory = connection.execute("SELECT object, field, status FROM control.field_inventory").fetchall()
    entities: dict[str, Entity] = {definition.entity: definition.audited for definition in definitions}
    types = {name: _types(connection, entity) for name, entity in entities.items()}
    states: dict[str, tuple[str, str | None]] = {}
    for definition in definitions:
        lacking = definition.lacking(inventory)
        if lacking:
            states[definition.id] = ("not configured", lacking)
        else:
            cause = _not_measurable(connection, definition, runs[0][1])
            states[definition.id] = ("not measurable", cause) if cause else ("measured", None)
    return types, states


def _has_teams(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the warehouse knows owners and their teams: a warehouse of a few tables need not."""
    schema, table = OWNERS.split(".")
    return bool(
        connection.execute(
            "SELECT count(*) FROM information_schema.columns WHERE table_catalog = current_database() "
            "AND table_schema = ? AND table_name = ? AND column_name IN ('team_id', 'team_name')",
            [schema, table],
        ).fetchall()[0][0]
    )


def _types(connection: duckdb.DuckDBPyConnection, entity: Entity) -> dict[str, str]:
    types = dict(
        connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_catalog = current_database() AND table_schema = ? AND table_name = ?",
            [SCHEMA, entity.table],
        ).fetchall()
    )
    lacking = [column for column in entity.columns if column not in types]
    if lacking:
        what = f"lacks {', '.join(lacking)}." if types else "is not there."
        raise ContractError(what, where=entity.relation, todo="Build the warehouse first: `leanfunnel run`.")
    return types


def _not_measurable(connection: duckdb.DuckDBPyConnection, definition: Definition, setting: float) -> str | None:
    """Why the rule cannot be measured, or None."""
    rule = definition.measurable_if
    if rule is None:
        return None
    among = conditions.conjunction_sql([one for when in rule.among for one in when.comparisons()])
    row = connection.execute(
        f"SELECT count(*), count(*) FILTER ({quoted(rule.recorded)} IS NULL) FROM {definition.audited.relation} WHERE {among}"
    ).fetchone()
    assert row is not None
    total, lacking = row
    limit = setting if rule.missing_share_at_most == "measurable_share" else float(rule.missing_share_at_most)
    if total == 0 or lacking <= limit * total:
        return None
    return f"{rule.cause} ({lacking} of {total}, {lacking / total:.0%}; at most {limit:.0%} is measurable)"


def _result(
    connection: duckdb.DuckDBPyConnection,
    definition: Definition,
    state: tuple[str, str | None],
    counts: Counts | None,
    types: dict[str, dict[str, str]],
) -> DefinitionResult:
    found: dict[str, Any] = {}
    if counts is not None:
        judged = counts.met + counts.breached
        share = definition.stop_above_share
        stops = share is not None and counts.breached > share * judged
        found = {
            **asdict(counts),
            "success": counts.met >= definition.mostly * judged - 1e-9,
            "stops": stops,
            "samples": _samples(connection, definition, types[definition.entity]),
            "held": _held(connection, definition),
        }
        if stops:
            limit = "none may" if share == 0 else f"at most {share:.0%} may"
            found["stop_reason"] = (
                f"{counts.breached} of {judged} rows breach {definition.id} ({definition.title}); {limit}"
            )
    return DefinitionResult(
        definition_id=definition.id,
        definition_version=definition.version,
        rule_number=definition.rule_number,
        name=definition.name,
        title=definition.title,
        kind=definition.kind,
        mode=definition.mode,
        entity=definition.entity,
        state=state[0],
        state_cause=state[1],
        mostly=float(definition.mostly),
        threshold=definition.threshold_text,
        fix=definition.fix,
        owner=definition.owner,
        accountable=definition.accountable,
        **found,
    )


def _held(connection: duckdb.DuckDBPyConnection, definition: Definition) -> tuple[str, ...]:
    rows = connection.execute(
        "SELECT scope || ' ' || scope_value FROM audit.held_scope WHERE definition_id = ? ORDER BY scope_value",
        [definition.id],
    ).fetchall()
    return tuple(name for (name,) in rows)


def _samples(
    connection: duckdb.DuckDBPyConnection, definition: Definition, types: dict[str, str]
) -> tuple[Sample, ...]:
    """The first failing rows by key, with what a person needs to open them."""
    name, url = (f"e.{column}" if column in types else "NULL" for column in ("record_name", "record_url"))
    rows = connection.execute(
        f"SELECT v.record_id, v.row_key, {name}, {url}, v.observed_value FROM ("
        "  SELECT * FROM audit.verdict WHERE definition_id = ? AND status <> 'unknown' ORDER BY row_key LIMIT ?"
        f") AS v INNER JOIN {definition.audited.relation} AS e ON e.row_key = v.row_key ORDER BY v.row_key",
        [definition.id, SAMPLES],
    ).fetchall()
    return tuple(Sample(*row) for row in rows)
