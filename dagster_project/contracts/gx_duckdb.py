"""The shim that makes Great Expectations 1.24 audit a DuckDB file. Imported by the audit process alone.

Great Expectations has no DuckDB dialect: it closes the connection before results are fetched and finds no type module. Two
settings put that right, on private names of the version that pyproject.toml bounds. A test fails when they are not needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb_engine
from great_expectations.execution_engine import sqlalchemy_execution_engine as engine_module

from dagster_project.warehouse import MEMORY_LIMIT


class _DialectName(str):
    """Compares as text and has `.value`, as the members of Great Expectations' own enumeration."""

    __slots__ = ()

    @property
    def value(self) -> str:
        return str(self)


def keep_connections_open() -> None:
    """Count DuckDB among the dialects whose connection persists, so that results can be fetched."""
    names = engine_module._PERSISTED_CONNECTION_DIALECTS
    if "duckdb" not in names:
        engine_module._PERSISTED_CONNECTION_DIALECTS = (*names, _DialectName("duckdb"))


def open_source(context: Any, database: Path, *, memory_limit: str = MEMORY_LIMIT, shimmed: bool = True) -> Any:
    """A Great Expectations data source on `database`, read-only. `shimmed=False` only to see what fails without."""
    if shimmed:
        keep_connections_open()
    url = f"duckdb:///{database}?access_mode=READ_ONLY&memory_limit={memory_limit.replace(' ', '')}"
    source = context.data_sources.add_sql("warehouse", connection_string=url)
    if shimmed:
        duckdb_engine.dialect = duckdb_engine.Dialect
        source.get_execution_engine().dialect_module = duckdb_engine
    return source
