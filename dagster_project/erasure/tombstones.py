"""Which records were forgotten: what keeps them from coming back, and nothing else of them.

A tombstone holds the Id, when, who did it and why (the number of the request, never words about the person). The Id is kept as it
is, not as a hash. It says nothing without the org, where the record is deleted too; other records go on naming it (the task that
was done with a contact), so a hash here would hide nothing; and a keyed hash would bring the record back on the day the key is
lost or changed. By the Id, rows that arrive later are recognised in sets: the record again (a full read, the recycle bin, an
undelete), its history, a record that was merged into it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from dagster_project.errors import LandingError
from dagster_project.landing import AppendOnlyTable

TABLE = "_forgotten"
SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("forgotten_at", pa.timestamp("us", tz="UTC")),
        ("forgotten_by", pa.string()),
        ("why", pa.string()),
    ]
)
"""One row per forgotten record, the Id with 18 characters."""


class Tombstones:
    """The tombstones of one landing."""

    def __init__(self, landing: Path) -> None:
        self._table = AppendOnlyTable(landing / TABLE, SCHEMA)

    def ids(self) -> frozenset[str]:
        """The Ids, of 18 characters."""
        return frozenset(self.rows()["record_id"].to_pylist())

    def rows(self) -> pa.Table:
        """All of them, in the order in which they were set."""
        return self._table.read().select(SCHEMA.names).cast(SCHEMA).sort_by("forgotten_at")

    def set(self, ids: Iterable[str], *, by: str, why: str, at: datetime) -> int:
        """Set those that do not stand yet, in one commit; returns how many. Raises LandingError."""
        fresh = sorted(set(ids) - self.ids())
        if fresh:
            row = {"forgotten_at": at.astimezone(UTC), "forgotten_by": by, "why": why}
            rows = pa.Table.from_pylist([{"record_id": one, **row} for one in fresh], schema=SCHEMA)
            version = (self._table.version() or 0) + 1
            if not self._table.append(rows, version=version):
                raise LandingError("tombstones were set at the same moment.", todo="Run it again.")
        return len(fresh)
