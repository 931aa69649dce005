"""Opening a DuckDB file so that a failure says what to do. Nothing about its contents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from dagster_project.errors import WarehouseError
from dagster_project.warehouse import MEMORY_LIMIT

FULL_DISK = ("No space left", "File too large", "Disk quota", "out of disk")
"""What libraries say where a disk, a quota or a file-size limit is reached."""
NEW_FILE: dict[str, str | bool | int | float | list[str]] = {"storage_compatibility_version": "v1.3.0"}
"""How a file is stored that is made here, as in dbt's profiles.yml."""


@contextmanager
def open_database(
    path: Path, *, read_only: bool = False, memory_limit: str = MEMORY_LIMIT
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to `path` in UTC, closed at the end.

    Raises WarehouseError where the file is held by another process, is no DuckDB file, or the disk is full.
    """
    if not read_only:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = duckdb.connect(str(path), read_only=read_only, config={} if path.exists() else NEW_FILE)
    except duckdb.Error as error:
        raise translate(error, path) from error
    try:
        connection.execute(
            f"SET TimeZone = 'UTC'; SET enable_progress_bar = false; SET memory_limit = '{memory_limit}'"
        )
        yield connection
    except duckdb.Error as error:
        raise translate(error, path) from error
    finally:
        connection.close()


def translate(error: Exception, path: Path) -> WarehouseError:
    """The error that a user is shown for what DuckDB raised on `path`."""
    text = str(error)
    if any(sign in text for sign in FULL_DISK):
        return WarehouseError("the disk is full.", where=str(path), todo="Free some space and run again.")
    if "lock" in text.lower() and "Conflicting" in text:
        return WarehouseError(
            "another program holds the file.",
            where=str(path),
            todo="Readers should open published/current/leanfunnel.duckdb; close the other program and run again.",
        )
    if "not a valid DuckDB database" in text or "Corrupt" in text:
        return WarehouseError(
            "is not a readable DuckDB file.",
            where=str(path),
            todo="Delete it; the next run rebuilds it from the landing.",
        )
    return WarehouseError(text.splitlines()[0] if text else type(error).__name__, where=str(path))
