"""Schema `landing`: one view per Salesforce object over the log's Parquet files, in names and types that dbt can rely on.

Every catalogue field is a column, NULL where the org lacks it, so that a missing field or object never breaks a model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import duckdb

# Logical type -> (DuckDB type, how a landed column becomes it). Instants lose their zone here, once: all are UTC.
_TYPES = {
    "id": "VARCHAR",
    "text": "VARCHAR",
    "bool": "BOOLEAN",
    "int": "BIGINT",
    "double": "DOUBLE",
    "currency": "DECIMAL(18,2)",
    "date": "DATE",
    "datetime": "TIMESTAMP",
}


@dataclass(frozen=True)
class LandedFiles:
    """The live Parquet files of one object and the columns that they hold."""

    files: Sequence[str] = ()
    columns: frozenset[str] = field(default_factory=frozenset)


def view_name(object_name: str) -> str:
    """`OpportunityHistory` -> `opportunity_history`; `Region__c` -> `region__c`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", object_name).lower()


def create_landing_views(
    connection: duckdb.DuckDBPyConnection,
    catalogue: Mapping[str, Mapping[str, str]],
    landed: Mapping[str, LandedFiles],
    mapped: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """(Re)create `landing.<object>` for every object of `catalogue` ({object: {field: logical type}}).

    Grain: one row per version of a record that was ever landed. `mapped` ({object: {column: landed field}}): columns that
    are landed under another name.
    """
    connection.execute("CREATE SCHEMA IF NOT EXISTS landing")
    for name, fields in catalogue.items():
        source = landed.get(name, LandedFiles())
        columns = {**fields, "_batch_seq": "int", "_extracted_at": "datetime", "_operation": "text"}
        named = (mapped or {}).get(name, {})
        selected = ",\n    ".join(
            _column(column, kind, source, named.get(column, column)) for column, kind in columns.items()
        )
        if source.files:
            files = ", ".join(_literal(path) for path in source.files)
            origin = f"FROM read_parquet([{files}], union_by_name = true)"
        else:
            origin = "WHERE false"
        connection.execute(
            f"CREATE OR REPLACE VIEW landing.{_identifier(view_name(name))} AS SELECT\n    {selected}\n{origin}"
        )


def _column(name: str, kind: str, source: LandedFiles, landed: str) -> str:
    target, quoted, origin = _TYPES[kind], _identifier(name), _identifier(landed)
    if not source.files or landed not in source.columns:
        return f"CAST(NULL AS {target}) AS {quoted}"
    if kind == "datetime":
        return f"CAST({origin} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' AS {quoted}"
    if kind == "date" and landed != name:
        # the org's own field may be a date or an instant, whose day is that of UTC whatever zone the session has
        day = f"CAST(CAST({origin} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' AS DATE)"
        return f"CASE typeof({origin}) WHEN 'DATE' THEN CAST({origin} AS DATE) ELSE {day} END AS {quoted}"
    return f"CAST({origin} AS {target}) AS {quoted}"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
