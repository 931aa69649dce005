"""The ledger: spells of breaches and the definition runs behind them, kept beside the landing and append-only.

A spell opens with the first audit that finds the breach and is resolved by the first that finds it gone; a breach that comes
back opens a new one. A row that became unknown keeps its spell. Belongs here: its Delta tables (spells, runs, counts by process
and team) and what is derived from them. Does not: judging rows, and what people decide.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from dagster_project.contracts.conditions import literal
from dagster_project.contracts.definition import Definition
from dagster_project.landing import AppendOnlyTable

_EVENT = {
    "event_seq": "BIGINT", "event": "VARCHAR", "event_at": "TIMESTAMPTZ", "definition_id": "VARCHAR", "definition_version": "INTEGER",
    "kind": "VARCHAR", "mode": "VARCHAR", "entity": "VARCHAR", "row_key": "VARCHAR", "record_id": "VARCHAR",
    "observed_value": "VARCHAR", "cause": "VARCHAR", "run_id": "VARCHAR",
}  # fmt: skip
_RUN = {
    "run_seq": "BIGINT", "run_id": "VARCHAR", "as_of": "TIMESTAMPTZ", "fingerprint": "VARCHAR", "definition_id": "VARCHAR",
    "definition_version": "INTEGER", "rule_number": "INTEGER", "kind": "VARCHAR", "mode": "VARCHAR", "entity": "VARCHAR",
    "state": "VARCHAR", "state_cause": "VARCHAR", "raw": "BIGINT", "met": "BIGINT", "breached": "BIGINT",
    "not_applicable": "BIGINT", "unknown": "BIGINT", "mostly": "DOUBLE", "success": "BOOLEAN", "stops": "BOOLEAN",
    "definition": "VARCHAR",
}  # fmt: skip
_COUNT = {
    "run_seq": "BIGINT", "as_of": "TIMESTAMPTZ", "definition_id": "VARCHAR", "definition_version": "INTEGER",
    "sales_process": "VARCHAR", "team_id": "VARCHAR", "team_name": "VARCHAR", "raw": "BIGINT", "met": "BIGINT",
    "breached": "BIGINT", "not_applicable": "BIGINT", "unknown": "BIGINT", "unknown_causes": "VARCHAR",
}  # fmt: skip
SPELLS, RUNS, COUNTS = "definition_spells", "definition_runs", "definition_counts"


class Ledger:
    """The ledger of one home, seen through one warehouse connection (time zone UTC). `as_of` is naive UTC.

    Audits of one home follow each other in as_of: an older one than the newest recorded sees the ledger as it was then, and
    records nothing.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, state: Path, as_of: datetime) -> None:
        self._connection = connection
        self._spells, self._runs = AppendOnlyTable(state / SPELLS), AppendOnlyTable(state / RUNS)
        self._counts = AppendOnlyTable(state / COUNTS)
        self._as_of = f"TIMESTAMP '{as_of.isoformat(sep=' ')}'"
        newest = self._load("ledger_run", self._runs, _RUN, "as_of")
        self._load("ledger_event", self._spells, _EVENT, "event_at")
        self._load("ledger_count", self._counts, _COUNT, "as_of")
        self.is_newest = newest is None or newest <= as_of

    def record(self, definitions: Sequence[Definition], run_id: str) -> tuple[int, int]:
        """Append what this audit opened and resolved, and its runs. Returns (opened, resolved). Verdicts that are known
        already append nothing. Needs `audit.verdict` and `audit.definition_run` of this audit.
        """
        assert self.is_newest, "an audit of the past records nothing"
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE new_event AS {self._opened(run_id)} UNION ALL {self._resolved(definitions, run_id)}"
        )
        kinds = dict(self._connection.execute("SELECT event, count(*) FROM new_event GROUP BY event").fetchall())
        self._append(self._spells, "new_event", "ledger_event", _EVENT)
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE new_run AS {self._new_runs(definitions, run_id)}")
        # counts before runs: where the second append fails, nothing names these counts, and the next run takes a new number
        self._connection.execute(
            "CREATE OR REPLACE TEMP TABLE new_count AS SELECT r.run_seq, r.as_of, c.* EXCLUDE (as_of) "
            "FROM audit.definition_count AS c INNER JOIN new_run AS r USING (definition_id, definition_version)"
        )
        self._append(self._counts, "new_count", "ledger_count", _COUNT)
        self._append(self._runs, "new_run", "ledger_run", _RUN)
        return kinds.get("opened", 0), kinds.get("resolved", 0)

    def write(self) -> None:
        """Fill `audit.ledger` with every spell known at as_of, and the history of states and counts up to as_of: of each
        instant the newest run of it.
        """
        self._write_history()
        self._connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE measured_at AS
            SELECT DISTINCT definition_id, definition_version, as_of FROM ledger_run WHERE state = 'measured'
            UNION SELECT definition_id, definition_version, {self._as_of} FROM audit.definition_run WHERE state = 'measured'
        """)
        self._connection.execute("DELETE FROM audit.ledger")
        self._connection.execute("""
            INSERT INTO audit.ledger
            WITH spell AS (
                SELECT *, lead(event_at) OVER key AS resolved_at FROM ledger_event
                WINDOW key AS (PARTITION BY definition_id, definition_version, row_key ORDER BY event_seq)
                QUALIFY event = 'opened'
            ),
            seen AS (
                SELECT s.definition_id, s.definition_version, s.row_key, s.event_seq, max(m.as_of) AS last_seen_at
                FROM (SELECT DISTINCT definition_id, definition_version, event_at, resolved_at, row_key, event_seq FROM spell) AS s
                INNER JOIN measured_at AS m
                    ON m.definition_id = s.definition_id AND m.definition_version = s.definition_version
                    AND m.as_of >= s.event_at AND (s.resolved_at IS NULL OR m.as_of < s.resolved_at)
                GROUP BY ALL
            )
            SELECT
                s.definition_id, s.definition_version, s.record_id, s.row_key, s.event_at,
                coalesce(n.last_seen_at, s.event_at), s.resolved_at,
                CASE WHEN s.resolved_at IS NULL THEN coalesce(v.observed_value, s.observed_value) ELSE s.observed_value END
            FROM spell AS s
            LEFT JOIN seen AS n USING (definition_id, definition_version, row_key, event_seq)
            LEFT JOIN audit.verdict AS v
                ON v.definition_id = s.definition_id AND v.definition_version = s.definition_version
                AND v.row_key = s.row_key AND v.status = 'breached'
            ORDER BY s.definition_id, s.row_key, s.event_at
        """)

    def _write_history(self) -> None:
        day = "CAST(timezone((SELECT reporting_timezone FROM control.run), r.as_of AT TIME ZONE 'UTC') AS DATE) AS as_of_on"
        newest = f"""(
            SELECT * FROM ledger_run WHERE as_of < {self._as_of}
            QUALIFY row_number() OVER (PARTITION BY definition_id, as_of ORDER BY run_seq DESC) = 1
        )"""
        columns = "r.definition_id, r.definition_version, r.kind, r.mode, r.entity, r.state, r.state_cause"
        self._connection.execute("DELETE FROM audit.definition_history")
        self._connection.execute(f"""
            INSERT INTO audit.definition_history
            SELECT r.as_of, {day}, {columns} FROM {newest} AS r
            UNION ALL SELECT r.as_of, {day}, {columns} FROM (SELECT {self._as_of} AS as_of, * FROM audit.definition_run) AS r
        """)
        self._connection.execute(f"UPDATE audit.definition_count SET as_of = {self._as_of}")
        self._connection.execute(f"""
            INSERT INTO audit.definition_count
            SELECT c.* EXCLUDE (run_seq) FROM ledger_count AS c
            INNER JOIN {newest} AS r USING (run_seq, as_of, definition_id, definition_version)
        """)

    def _load(self, name: str, table: AppendOnlyTable, columns: dict[str, str], instant: str) -> datetime | None:
        """The table's rows up to as_of as temp table `name`, instants naive. Returns the newest instant of all rows."""
        shape = ", ".join(f"{column} {kind.replace('TIMESTAMPTZ', 'TIMESTAMP')}" for column, kind in columns.items())
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} ({shape})")
        files = table.files()
        if not files:
            return None
        rows = f"read_parquet([{', '.join(literal(file) for file in files)}], union_by_name = true)"
        picked = ", ".join(f"{c} AT TIME ZONE 'UTC'" if kind == "TIMESTAMPTZ" else c for c, kind in columns.items())
        newest = self._connection.execute(f"SELECT max({instant}) AT TIME ZONE 'UTC' FROM {rows}").fetchone()
        self._connection.execute(
            f"INSERT INTO {name} SELECT {picked} FROM {rows} WHERE {instant} AT TIME ZONE 'UTC' <= {self._as_of}"
        )
        assert newest is not None
        value: datetime | None = newest[0]
        return value

    def _append(self, table: AppendOnlyTable, new: str, loaded: str, columns: dict[str, str]) -> None:
        """Append the rows of temp table `new` to the Delta table and to its loaded copy; nothing where there are none."""
        count = self._connection.execute(f"SELECT count(*) FROM {new}").fetchone()
        if not count or not count[0]:
            return
        picked = ", ".join(
            f"{c} AT TIME ZONE 'UTC' AS {c}" if kind == "TIMESTAMPTZ" else c for c, kind in columns.items()
        )
        rows: pa.RecordBatchReader = self._connection.execute(f"SELECT {picked} FROM {new}").to_arrow_reader()
        table.append(rows)
        self._connection.execute(f"INSERT INTO {loaded} SELECT {', '.join(columns)} FROM {new}")

    _NEXT = "(SELECT coalesce(max(event_seq), 0) + 1 FROM ledger_event)"
    _OPEN = """(
        SELECT * FROM ledger_event
        QUALIFY row_number() OVER (PARTITION BY definition_id, definition_version, row_key ORDER BY event_seq DESC) = 1
        AND event = 'opened'
    )"""

    def _opened(self, run_id: str) -> str:
        return f"""
            SELECT {self._NEXT} AS event_seq, 'opened' AS event, {self._as_of} AS event_at, v.definition_id, v.definition_version,
                v.kind, v.mode, v.entity, v.row_key, v.record_id, v.observed_value, NULL::VARCHAR AS cause,
                {literal(run_id)} AS run_id
            FROM audit.verdict AS v
            ANTI JOIN {self._OPEN} AS o USING (definition_id, definition_version, row_key)
            WHERE v.status = 'breached'
        """

    def _resolved(self, definitions: Sequence[Definition], run_id: str) -> str:
        """Spells whose breach is gone, and those of a definition or version that no longer holds."""
        held = ", ".join(f"({literal(d.id)}, {d.version})" for d in definitions)
        ids = ", ".join(literal(d.id) for d in definitions)
        return f"""
            SELECT {self._NEXT}, 'resolved', {self._as_of}, o.definition_id, o.definition_version, o.kind, o.mode, o.entity,
                o.row_key, o.record_id, o.observed_value,
                CASE WHEN (o.definition_id, o.definition_version) IN ({held}) THEN 'no longer breached'
                    WHEN o.definition_id IN ({ids}) THEN 'definition changed' ELSE 'definition withdrawn' END,
                {literal(run_id)}
            FROM {self._OPEN} AS o
            ANTI JOIN audit.verdict AS v USING (definition_id, definition_version, row_key)
            LEFT JOIN audit.definition_run AS r USING (definition_id, definition_version)
            WHERE r.state = 'measured' OR (o.definition_id, o.definition_version) NOT IN ({held})
        """

    def _new_runs(self, definitions: Sequence[Definition], run_id: str) -> str:
        texts = {d.id: json.dumps(d.model_dump(mode="json"), sort_keys=True) for d in definitions}
        values = ", ".join(
            f"({literal(key)}, {literal(text)}, {literal(hashlib.sha256(text.encode()).hexdigest()[:16])})"
            for key, text in texts.items()
        )
        return f"""
            WITH said (definition_id, definition, digest) AS (VALUES {values}),
            seen AS (
                SELECT definition_id,
                    bit_xor(md5_number_lower(concat_ws('|', row_key, status, observed_value, cause))) AS digest
                FROM audit.verdict GROUP BY definition_id
            ),
            counted AS (
                SELECT definition_id,
                    bit_xor(md5_number_lower(concat_ws('|', sales_process, team_id, raw, met, breached, unknown))) AS digest
                FROM audit.definition_count GROUP BY definition_id
            ),
            run AS (
                SELECT r.*, said.definition, concat_ws('-', said.digest, r.state, r.raw, r.met, r.breached, r.not_applicable,
                    r.unknown, coalesce(seen.digest, 0), coalesce(counted.digest, 0)) AS fingerprint
                FROM audit.definition_run AS r
                INNER JOIN said USING (definition_id)
                LEFT JOIN seen USING (definition_id)
                LEFT JOIN counted USING (definition_id)
            ),
            newest AS (
                SELECT definition_id, as_of, fingerprint FROM ledger_run
                QUALIFY row_number() OVER (PARTITION BY definition_id ORDER BY run_seq DESC) = 1
            )
            SELECT greatest((SELECT coalesce(max(run_seq), 0) FROM ledger_run),
                (SELECT coalesce(max(run_seq), 0) FROM ledger_count)) + 1 AS run_seq, {literal(run_id)} AS run_id,
                {self._as_of} AS as_of, run.fingerprint, run.definition_id, run.definition_version, run.rule_number, run.kind,
                run.mode, run.entity, run.state, run.state_cause, run.raw, run.met, run.breached, run.not_applicable,
                run.unknown, run.mostly, run.success, run.stops, run.definition
            FROM run
            ANTI JOIN newest
                ON newest.definition_id = run.definition_id AND newest.fingerprint = run.fingerprint
                AND newest.as_of = {self._as_of}
        """
