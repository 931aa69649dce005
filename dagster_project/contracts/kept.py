"""What people said and the home keeps beside the landing, as tables of the warehouse: so that a mart built from nothing shows it.

Belongs here: decisions and audit samples up to an instant, into schema `audit`. Does not: writing them (decisions, sample), and
what follows from them, which the models derive.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from dagster_project.contracts.decisions import SCHEMA as DECISIONS
from dagster_project.contracts.decisions import TABLE
from dagster_project.contracts.sample import SAMPLE_SCHEMA, SAMPLES, VERDICT_SCHEMA, VERDICTS
from dagster_project.landing import AppendOnlyTable


def show_kept(connection: duckdb.DuckDBPyConnection, state: Path, as_of: datetime, *, is_newest: bool) -> None:
    """Fill `audit.decision` and `audit.sample` with what stood at `as_of` (naive UTC; connection in UTC).

    A decision, or a sample, is of the publication that it was made on: it is shown from that as_of on. Seen from the past
    (`is_newest` False) it must also have been made by then: people's clocks and the org's are compared for nothing else.
    """
    for name, table, schema in (
        ("kept_decision", TABLE, DECISIONS),
        ("kept_sample", SAMPLES, SAMPLE_SCHEMA),
        ("kept_verdict", VERDICTS, VERDICT_SCHEMA),
    ):
        connection.register(name, _rows(state, table, schema))
    instant = f"TIMESTAMPTZ '{as_of.isoformat(sep=' ')}+00'"

    def by_then(column: str) -> str:
        return "TRUE" if is_newest else f"{column} <= {instant}"

    utc = {"decided_at", "seen_as_of"}
    columns = ", ".join(f"{name} AT TIME ZONE 'UTC'" if name in utc else name for name in DECISIONS.names)
    connection.execute("DELETE FROM audit.decision")
    connection.execute(
        f"INSERT INTO audit.decision SELECT {columns} FROM kept_decision "
        f"WHERE seen_as_of <= {instant} AND {by_then('decided_at')} ORDER BY decision_seq"
    )
    connection.execute("DELETE FROM audit.sample")
    connection.execute(f"""
        INSERT INTO audit.sample
        SELECT s.week_starts_on, s.stratum, s.draw, s.record_id, s.stratum_size, s.drawn_as_of AT TIME ZONE 'UTC',
            v.verdict, v.note, v.said_by, v.said_at AT TIME ZONE 'UTC'
        FROM kept_sample AS s
        LEFT JOIN (
            SELECT * FROM kept_verdict WHERE {by_then("said_at")}
            QUALIFY row_number() OVER (PARTITION BY week_starts_on, record_id ORDER BY verdict_seq DESC) = 1
        ) AS v USING (week_starts_on, record_id)
        WHERE s.drawn_as_of <= {instant} ORDER BY s.week_starts_on, s.stratum, s.draw
    """)
    for name in ("kept_decision", "kept_sample", "kept_verdict"):
        connection.unregister(name)


def last_said(state: Path) -> list[int]:
    """How much is kept: the number of the last decision, the number of drawn records and that of the last verdict.

    What a publication shows changes with them.
    """
    import pyarrow.compute as pc

    found = []
    for table, schema, number in ((TABLE, DECISIONS, "decision_seq"), (VERDICTS, VERDICT_SCHEMA, "verdict_seq")):
        rows = _rows(state, table, schema)
        found.append(int(pc.max(rows[number]).as_py() or 0))
    return [*found, _rows(state, SAMPLES, SAMPLE_SCHEMA).num_rows]


def _rows(state: Path, table: str, schema: pa.Schema) -> pa.Table:
    return AppendOnlyTable(state / table, schema).read().select(schema.names).cast(schema)
