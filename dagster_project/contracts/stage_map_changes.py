"""When the map of a sales process changed: appended to one Delta table beside the landing, never edited.

Limits that span such a change describe neither process, so charts start anew there. Belongs here: the table, what changes a map.
Does not: the map itself (stage_map), charts, which are dbt models.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from dagster_project.landing import AppendOnlyTable
from dagster_project.warehouse.stage_map import MappedStage

TABLE = "stage_map_changes"
SCHEMA = pa.schema(
    [
        ("change_seq", pa.int64()),
        ("sales_process", pa.string()),
        ("map_hash", pa.string()),
        ("seen_at", pa.timestamp("us", tz="UTC")),
    ]
)
"""One row per process and map that a run found for the first time in a row. `seen_at`: as_of of that run."""


class StageMapChanges:
    """The maps that the runs of one home have found, in order."""

    def __init__(self, state: Path) -> None:
        self._table = AppendOnlyTable(state / TABLE, SCHEMA)

    def record(self, stages: Iterable[MappedStage], at: datetime) -> int:
        """Keep which processes have another map than the last run found, as of `at` (UTC); returns how many. Raises LandingError.

        Stages, their order, step, location and whether they are open, won, lost or in use make a map; words do not.
        """
        newest = {row["sales_process"]: row["map_hash"] for row in self._rows()}
        changed = {process: found for process, found in _hashes(stages).items() if newest.get(process) != found}
        if changed:
            seq = (self._table.version(TABLE) or 0) + 1
            rows = [
                {"change_seq": seq, "sales_process": process, "map_hash": found, "seen_at": at}
                for process, found in sorted(changed.items())
            ]
            self._table.append(pa.Table.from_pylist(rows, schema=SCHEMA), app_id=TABLE, version=seq)
        return len(changed)

    def since(self, known_at: datetime) -> list[tuple[str, datetime]]:
        """Process and instant (naive UTC) of each change known by `known_at` (UTC): the first map of a process is none, since it
        holds since ever."""
        seen: set[str] = set()
        changes = []
        for row in self._rows():
            if row["sales_process"] in seen and row["seen_at"] <= known_at:
                changes.append((row["sales_process"], row["seen_at"].replace(tzinfo=None)))
            seen.add(row["sales_process"])
        return changes

    def _rows(self) -> list[dict[str, Any]]:
        return sorted(self._table.read().to_pylist(), key=lambda row: (row["change_seq"], row["sales_process"]))


def _hashes(stages: Iterable[MappedStage]) -> dict[str, str]:
    by_process = defaultdict(list)
    for stage in stages:
        process, *told = stage.row
        by_process[process].append(told)
    return {
        process: hashlib.sha256(json.dumps(sorted(told, key=json.dumps)).encode()).hexdigest()
        for process, told in by_process.items()
    }
