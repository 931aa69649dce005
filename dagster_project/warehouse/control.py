"""Schemas `control` and `audit`: what a run is told, as tables, so that no model reads a clock, a variable or a file.

Models take `as_of` from `control.run`; changed dbt vars would force dbt to parse the whole project again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    import pyarrow as pa

_DDL = """
CREATE SCHEMA IF NOT EXISTS control;
CREATE SCHEMA IF NOT EXISTS audit;
CREATE OR REPLACE TABLE control.run (
    run_id VARCHAR, as_of TIMESTAMP, as_of_on DATE, known_at TIMESTAMP, org_id VARCHAR, record_url_base VARCHAR,
    corporate_currency VARCHAR, minimum_n INTEGER, conversion_days INTEGER, reporting_timezone VARCHAR,
    fiscal_year_start_month INTEGER, measurable_share DOUBLE, team VARCHAR
);
CREATE OR REPLACE TABLE control.stage_map (
    sales_process VARCHAR, stage_name VARCHAR, stage_order INTEGER, step VARCHAR, step_rank INTEGER, location VARCHAR,
    is_closed BOOLEAN, is_won BOOLEAN, is_active BOOLEAN
);
CREATE OR REPLACE TABLE control.stage_map_change (sales_process VARCHAR, changed_at TIMESTAMP);
CREATE OR REPLACE TABLE control.definition (
    definition_id VARCHAR, rule_number INTEGER, name VARCHAR, version INTEGER, title VARCHAR, entity VARCHAR, kind VARCHAR,
    mode VARCHAR, from_step_rank INTEGER, evidence VARCHAR, threshold VARCHAR, owner VARCHAR, accountable VARCHAR,
    why VARCHAR, fix VARCHAR, agreed_by VARCHAR, agreed_on DATE, since_on DATE, is_configured BOOLEAN, evidence_sql VARCHAR,
    asked_sql VARCHAR
);
CREATE OR REPLACE TABLE control.term (
    term VARCHAR, entity VARCHAR, version INTEGER, title VARCHAR, condition_sql VARCHAR, owner VARCHAR, agreed_by VARCHAR,
    agreed_on DATE, why VARCHAR
);
CREATE OR REPLACE TABLE control.definition_field (definition_id VARCHAR, object VARCHAR, field VARCHAR);
CREATE OR REPLACE TABLE control.dimension (dimension_no INTEGER, field VARCHAR, status VARCHAR);
CREATE OR REPLACE TABLE control.field_inventory (object VARCHAR, field VARCHAR, status VARCHAR);
CREATE OR REPLACE TABLE control.buyer_stage (sales_process VARCHAR, stage_name VARCHAR, buyer_stage VARCHAR);
CREATE OR REPLACE TABLE control.landed_object (
    object VARCHAR, batch_seq BIGINT, mode VARCHAR, counted BIGINT, counted_after BIGINT, received BIGINT, read_at TIMESTAMP,
    is_first_load BOOLEAN, is_whole BOOLEAN, ids_compared_at TIMESTAMP, formulas_refreshed_at TIMESTAMP
);
CREATE OR REPLACE TABLE control.extract_run (
    run_seq BIGINT, run_id VARCHAR, object VARCHAR, read_at TIMESTAMP, state VARCHAR, mode VARCHAR, received BIGINT, landed BIGINT,
    deleted BIGINT, bytes BIGINT, seconds DOUBLE, api_calls BIGINT, api_calls_left BIGINT
);
CREATE OR REPLACE TABLE control.override (
    definition_id VARCHAR, definition_version INTEGER, who VARCHAR, why VARCHAR, until_on DATE, given_at TIMESTAMP
);
CREATE OR REPLACE TABLE control.service_level (
    sales_process VARCHAR, stage_name VARCHAR, service_level_days DOUBLE, n_closed BIGINT, frozen_at TIMESTAMP
);
CREATE OR REPLACE TABLE control.experiment (
    experiment VARCHAR, problem VARCHAR, metric VARCHAR, sales_process VARCHAR, prediction VARCHAR, starts_on DATE, ends_on DATE,
    owner VARCHAR
);
CREATE OR REPLACE TABLE control.target (
    fiscal_quarter VARCHAR, sales_process VARCHAR, team VARCHAR, owner VARCHAR, amount_corporate DECIMAL(18, 2), wins DOUBLE
);
CREATE TABLE IF NOT EXISTS audit.verdict (
    definition_id VARCHAR, definition_version INTEGER, rule_number INTEGER, kind VARCHAR, mode VARCHAR, entity VARCHAR,
    row_key VARCHAR, record_id VARCHAR, status VARCHAR, observed_value VARCHAR, cause VARCHAR, sales_process VARCHAR,
    owner_id VARCHAR, threshold VARCHAR
);
CREATE TABLE IF NOT EXISTS audit.definition_run (
    definition_id VARCHAR, definition_version INTEGER, rule_number INTEGER, kind VARCHAR, mode VARCHAR, entity VARCHAR,
    state VARCHAR, state_cause VARCHAR, raw BIGINT, met BIGINT, breached BIGINT, not_applicable BIGINT, unknown BIGINT,
    mostly DOUBLE, success BOOLEAN, stops BOOLEAN
);
CREATE TABLE IF NOT EXISTS audit.ledger (
    definition_id VARCHAR, definition_version INTEGER, record_id VARCHAR, row_key VARCHAR, first_seen_at TIMESTAMP,
    last_seen_at TIMESTAMP, resolved_at TIMESTAMP, observed_value VARCHAR
);
CREATE TABLE IF NOT EXISTS audit.definition_history (
    as_of TIMESTAMP, as_of_on DATE, definition_id VARCHAR, definition_version INTEGER, kind VARCHAR, mode VARCHAR, entity VARCHAR,
    state VARCHAR, state_cause VARCHAR
);
CREATE TABLE IF NOT EXISTS audit.definition_count (
    as_of TIMESTAMP, definition_id VARCHAR, definition_version INTEGER, sales_process VARCHAR, team_id VARCHAR, team_name VARCHAR,
    raw BIGINT, met BIGINT, breached BIGINT, not_applicable BIGINT, unknown BIGINT, unknown_causes VARCHAR
);
CREATE TABLE IF NOT EXISTS audit.held_scope (
    definition_id VARCHAR, definition_version INTEGER, scope VARCHAR, scope_value VARCHAR, breached BIGINT, judged BIGINT,
    dependent_views VARCHAR
);
CREATE TABLE IF NOT EXISTS audit.decision (
    decision_seq BIGINT, batch_seq BIGINT, action VARCHAR, record_id VARCHAR, definition_id VARCHAR, definition_version INTEGER,
    until_on DATE, assigned_to VARCHAR, why VARCHAR, decided_by VARCHAR, decided_at TIMESTAMP, seen_as_of TIMESTAMP,
    undoes_seq BIGINT
);
CREATE TABLE IF NOT EXISTS audit.sample (
    week_starts_on DATE, stratum VARCHAR, draw INTEGER, record_id VARCHAR, stratum_size BIGINT, drawn_as_of TIMESTAMP,
    verdict VARCHAR, note VARCHAR, said_by VARCHAR, said_at TIMESTAMP
);
"""

DEFINITION_COLUMNS = (
    "definition_id", "rule_number", "name", "version", "title", "entity", "kind", "mode", "from_step_rank", "evidence",
    "threshold", "owner", "accountable", "why", "fix", "agreed_by", "agreed_on", "since_on", "is_configured",
    "evidence_sql", "asked_sql",
)  # fmt: skip


@dataclass(frozen=True)
class RunRow:
    """The one row of `control.run`. Instants are naive UTC."""

    run_id: str
    as_of: datetime
    as_of_on: date
    known_at: datetime
    org_id: str
    record_url_base: str
    corporate_currency: str | None
    minimum_n: int
    conversion_days: int
    reporting_timezone: str
    fiscal_year_start_month: int
    measurable_share: float
    team: str = "manager"


def write_control(
    connection: duckdb.DuckDBPyConnection,
    run: RunRow,
    stage_map: Iterable[Sequence[Any]],
    definitions: Iterable[Mapping[str, Any]],
    inventory: Iterable[tuple[str, str | None, str]],
    service_levels: Iterable[Sequence[Any]] = (),
    buyer_stages: Iterable[Sequence[Any]] = (),
    landed_objects: Iterable[Sequence[Any]] = (),
    extract_runs: pa.Table | None = None,
    overrides: Iterable[Mapping[str, Any]] = (),
    *,
    terms: Iterable[Sequence[Any]],
    experiments: Iterable[Sequence[Any]] = (),
    targets: Iterable[Sequence[Any]] = (),
    stage_map_changes: Iterable[Sequence[Any]] = (),
    dimensions: Iterable[Sequence[Any]] = (),
) -> None:
    """Replace the control tables and see to it that the audit tables exist, in one transaction."""
    connection.execute("BEGIN")
    try:
        connection.execute(_DDL)
        _insert(connection, "control.run", [astuple(run)], len(fields(RunRow)))
        _insert(connection, "control.stage_map", list(stage_map), 9)
        definitions = list(definitions)
        rows = [tuple(row.get(column) for column in DEFINITION_COLUMNS) for row in definitions]
        _insert(connection, "control.definition", rows, len(DEFINITION_COLUMNS))
        places = [(row["definition_id"], *place) for row in definitions for place in row.get("fields", ())]
        _insert(connection, "control.definition_field", places, 3)
        _insert(connection, "control.field_inventory", list(inventory), 3)
        _insert(connection, "control.service_level", list(service_levels), 5)
        _insert(connection, "control.buyer_stage", list(buyer_stages), 3)
        _insert(connection, "control.term", list(terms), 9)
        _insert(connection, "control.experiment", list(experiments), 8)
        _insert(connection, "control.target", list(targets), 6)
        _insert(connection, "control.stage_map_change", list(stage_map_changes), 2)
        _insert(connection, "control.dimension", list(dimensions), 3)
        _insert(connection, "control.landed_object", list(landed_objects), 11)
        for one in overrides:
            connection.execute(
                "INSERT INTO control.override VALUES ($definition_id, $definition_version, $who, $why, $until_on, "
                "($given_at)::TIMESTAMPTZ AT TIME ZONE 'UTC')",
                dict(one),
            )
        if extract_runs is not None:  # grows with every run: in sets, by name
            connection.register("extract_runs", extract_runs)
            connection.execute(
                "INSERT INTO control.extract_run BY NAME "
                "SELECT * REPLACE (read_at AT TIME ZONE 'UTC' AS read_at) FROM extract_runs"
            )
            connection.unregister("extract_runs")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Sequence[Any]], width: int) -> None:
    if rows:
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * width)})", rows)
