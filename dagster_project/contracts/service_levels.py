"""Service levels that stand still: what an audit measured is frozen for as long as the version of the definition holds.

A limit that moved with the deals would let every slowdown pass. Belongs here: keeping and reading what was frozen. Does not:
how a level is measured, which is a dbt model.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.contracts.conditions import literal
from dagster_project.contracts.definition import Definition
from dagster_project.contracts.entities import SCHEMA
from dagster_project.landing import AppendOnlyTable

TABLE, COLUMN = "service_levels", "service_level_days"


def governing(definitions: Sequence[Definition]) -> Definition | None:
    """The definition whose version the levels belong to: the first that compares with them."""
    for definition in definitions:
        if any(COLUMN in expectation.columns for expectation in definition.expectations):
            return definition
    return None


def frozen_service_levels(state: Path, definitions: Sequence[Definition], as_of: datetime) -> list[tuple[Any, ...]]:
    """Rows of `control.service_level`: what was frozen by `as_of` (naive UTC) for the version that holds."""
    definition = governing(definitions)
    files = AppendOnlyTable(state / TABLE).files()
    if definition is None or not files:
        return []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(
            f"SELECT sales_process, stage_name, {COLUMN}, n_closed, frozen_at AT TIME ZONE 'UTC' "
            f"FROM read_parquet([{', '.join(literal(file) for file in files)}], union_by_name = true) "
            "WHERE definition_id = ? AND definition_version = ? AND frozen_at AT TIME ZONE 'UTC' <= ? "
            "QUALIFY row_number() OVER (PARTITION BY sales_process, stage_name ORDER BY frozen_at) = 1 ORDER BY 1, 2",
            [definition.id, definition.version, as_of],
        ).fetchall()


def freeze(
    connection: duckdb.DuckDBPyConnection, state: Path, definitions: Sequence[Definition], as_of: datetime
) -> int:
    """Keep the levels that this run measured for the first time, at `as_of` (naive UTC); returns their number.

    Needs `int_stage_service_levels` of this run. What was frozen at this very as_of is not kept twice.
    """
    definition = governing(definitions)
    if definition is None:
        return 0
    known = {(row[0], row[1]) for row in frozen_service_levels(state, definitions, as_of)}
    found = connection.execute(
        f"SELECT {literal(definition.id)} AS definition_id, {definition.version} AS definition_version, sales_process, "
        f"stage_name, {COLUMN}, n_closed, {literal(as_of)} AT TIME ZONE 'UTC' AS frozen_at "
        f"FROM {SCHEMA}.int_stage_service_levels WHERE frozen_at IS NULL AND {COLUMN} IS NOT NULL "
        "ORDER BY sales_process, stage_name"
    ).to_arrow_table()
    fresh = [
        n
        for n, key in enumerate(zip(found["sales_process"].to_pylist(), found["stage_name"].to_pylist(), strict=True))
        if key not in known
    ]
    if fresh:
        AppendOnlyTable(state / TABLE).append(found.take(fresh))
    return len(fresh)
