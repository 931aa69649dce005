"""What each extraction did and what it cost: one row per run and object, appended to one Delta table.

Unlike the proof in a landing commit it also tells of runs that brought nothing. Belongs here: the table. Does not: what is
measured, or shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from dagster_project.landing.table import AppendOnlyTable

TABLE = "extract_runs"
SCHEMA = pa.schema(
    [
        ("run_seq", pa.int64()),
        ("run_id", pa.string()),
        ("object", pa.string()),
        ("read_at", pa.timestamp("us", tz="UTC")),
        ("state", pa.string()),
        ("mode", pa.string()),
        ("received", pa.int64()),
        ("landed", pa.int64()),
        ("deleted", pa.int64()),
        ("bytes", pa.int64()),
        ("seconds", pa.float64()),
        ("api_calls", pa.int64()),
        ("api_calls_left", pa.int64()),
    ]
)
"""`read_at`: the org's clock when the run began. `bytes`: of the file that landed. `api_calls_left`: of the org's 24 hours when
the run ended, the same for all of its objects; null where the org did not say."""


class RunLog:
    """The extractions of one home, under its `state`."""

    def __init__(self, state: Path) -> None:
        self._table = AppendOnlyTable(state / TABLE, SCHEMA)

    def append(self, run_id: str, read_at: datetime, objects: Sequence[Mapping[str, Any]]) -> None:
        """Write one run, all objects in one commit. Raises LandingError."""
        seq = (self._table.version() or 0) + 1
        rows = [{"run_seq": seq, "run_id": run_id, "read_at": read_at, **row} for row in objects]
        self._table.append(pa.Table.from_pylist(rows, schema=SCHEMA), version=seq, metadata={"run_id": run_id})

    def rows(self, known_at: datetime | None = None) -> pa.Table:
        """Every run and object up to `known_at` (UTC), in order, and up to the newest run that landed something.

        So the same landing gives the same rows: runs that brought nothing since then show when one brings something.
        """
        import pyarrow.compute as pc

        rows = self._table.read().select(SCHEMA.names).cast(SCHEMA)
        if known_at is not None:
            rows = rows.filter(pc.less_equal(rows["read_at"], pa.scalar(known_at, SCHEMA.field("read_at").type)))
        last = pc.max(rows.filter(pc.greater(rows["landed"], 0))["run_seq"]).as_py() or 0
        rows = rows.filter(pc.less_equal(rows["run_seq"], last))
        return rows.sort_by([("run_seq", "ascending"), ("object", "ascending")])
