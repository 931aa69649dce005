"""The one exception to append-only: rows and cells that must go, and go from the disk, because a law or a rule says so.

Belongs here: taking them out of a Delta table in atomic commits, and clearing what older versions of it left behind. Does not:
which rows these are (erasure).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deltalake import CommitProperties, DeltaTable, Transaction

from dagster_project.landing.faults import told_clearly
from dagster_project.landing.log import newest_facts
from dagster_project.landing.table import KEY, REWRITTEN, AppendOnlyTable


def take_out(
    path: Path, *, gone: str | None, blanked: Mapping[str, str] | None = None, where: str | None = None
) -> int:
    """Delete the rows for which the SQL `gone` holds; then, in the rows for which `where` holds, set the columns of `blanked`
    to their SQL expressions. Returns the rows deleted and changed.

    One commit each, which carries what the newest one said (watermark, proof), so that extraction goes on as before. The
    old files stay on disk until `purge`. Raises LandingError.
    """
    table = AppendOnlyTable(path).open()
    if table is None:
        return 0
    touched = 0
    with told_clearly(path, "rewritten"):
        if gone:
            touched += int(table.delete(gone, commit_properties=_properties(table))["num_deleted_rows"])
        if blanked and where:
            done = table.update(updates=dict(blanked), predicate=where, commit_properties=_properties(table))
            touched += int(done["num_updated_rows"])
    return touched


def purge(path: Path) -> int:
    """Remove from disk what no live version of the table needs: files, statistics and predicates of old commits, checkpoints.

    Returns the number of Parquet files removed. The log stays readable, and its commits keep what they said of their runs.
    A run that was cut off anywhere may be repeated. Raises LandingError.
    """
    table = AppendOnlyTable(path).open()
    if table is None:
        return 0
    with told_clearly(path, "cleared"):
        live = {Path(uri).name for uri in table.file_uris()}
        dead = [file for file in path.glob("*.parquet") if file.name not in live]
        for file in dead:
            file.unlink()
        log = path / "_delta_log"
        # commits are kept for good, so the log can be read without a checkpoint, which repeats statistics of dead files
        for file in (log / "_last_checkpoint", *log.glob("*.checkpoint*.parquet")):
            file.unlink(missing_ok=True)
        for file in log.glob("*.json"):
            _scrub(file, live)
    return len(dead)


def _properties(table: DeltaTable) -> CommitProperties:
    facts = newest_facts(table)
    return CommitProperties(
        custom_metadata={KEY: json.dumps(facts)} if facts else None,
        # counted in the table itself, so that whoever built on the old rows can see that it must start from nothing
        app_transactions=[Transaction(REWRITTEN, (table.transaction_version(REWRITTEN) or 0) + 1)],
        max_commit_retries=0,
    )


def _scrub(commit: Path, live: set[str]) -> None:
    """Write a commit's file again without the least and greatest values of dead files, and without predicates, which name values."""
    old = commit.read_text(encoding="utf-8")
    lines = [json.dumps(_scrubbed(json.loads(line), live), separators=(",", ":")) for line in old.splitlines() if line]
    new = "\n".join(lines)
    if [json.loads(line) for line in old.splitlines() if line] == [json.loads(line) for line in lines]:
        return
    beside = commit.with_name(f".{commit.name}.{os.getpid()}")
    try:
        beside.write_text(new, encoding="utf-8")
        beside.replace(commit)
    finally:
        beside.unlink(missing_ok=True)


def _scrubbed(action: dict[str, Any], live: set[str]) -> dict[str, Any]:
    if "add" in action and Path(action["add"]["path"]).name not in live and action["add"].get("stats"):
        rows = json.loads(action["add"]["stats"]).get("numRecords")
        action["add"]["stats"] = json.dumps({"numRecords": rows})
    if "commitInfo" in action and isinstance(action["commitInfo"].get("operationParameters"), dict):
        action["commitInfo"]["operationParameters"].pop("predicate", None)
    return action
