"""What stands between extraction and the landing: rows that were forgotten, or are past their days, do not come back.

Extraction proves its counts on what the org sent; the gate takes such rows out of the typed batch after that, so a record that the org
still holds, brings back from the recycle bin, or reads again in full raises no alarm and leaves no row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow.parquet as pq

from dagster_project.erasure import rules
from dagster_project.erasure.retention import too_old
from dagster_project.erasure.rules import Told, literal, quoted
from dagster_project.erasure.tombstones import Tombstones

if TYPE_CHECKING:
    from dagster_project.landing import ObjectState
    from dagster_project.salesforce.extract import Batch


class Gate:
    """The gate of one landing. `withheld`: rows that it kept back, by object."""

    def __init__(self, landing: Path, retention_days: Mapping[str, int] | None = None) -> None:
        self._told = Told(Tombstones(landing).ids())
        self._days = retention_days or {}
        self.withheld: dict[str, int] = {}

    def through(self, batch: Batch, landed: ObjectState) -> Batch | None:
        """The batch as it may land; None where nothing new is left of it. `landed`: what the landing knows of the object."""
        columns = _columns(batch.path)
        gone = self.keeps_out(batch.object, columns, batch.extracted_at)
        cells = rules.blanked(batch.object, columns, self._told) if self._told.ids else {}
        if not (gone or cells):
            return batch
        source = f"read_parquet({literal(str(batch.path))})"
        where = f" WHERE NOT coalesce({gone}, false)" if gone else ""
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            total, kept, deleted, emptied = _row(
                connection,
                f"SELECT (SELECT count(*) FROM {source}), count(*), count(*) FILTER (_operation = 'delete'), "
                f"count(*) FILTER ({' OR '.join(f'({test})' for test in cells.values()) or 'false'}) FROM {source}{where}",
            )
            if kept == total and not emptied:
                return batch
            self.withheld[batch.object] = self.withheld.get(batch.object, 0) + total - kept
            # without rows, but further than before: the next run begins there, and a big object goes on with its next window
            is_news = (
                bool(set(columns) - set(landed.columns))
                or tuple(batch.missing_fields) != tuple(landed.missing_fields)
                or (batch.watermark or {}) != (landed.watermark or {})
            )
            if kept == 0 and landed.batch_seq and not is_news:
                return None
            picked = ", ".join(
                f"CASE WHEN {cells[name]} THEN NULL ELSE {quoted(name)} END AS {quoted(name)}"
                if name in cells
                else quoted(name)
                for name in columns
            )
            from dagster_project.salesforce.decode import LANDED

            path = batch.path.with_name(f"kept-{batch.path.name}")
            connection.execute(
                f"COPY (SELECT {picked} FROM {source}{where}) TO {literal(str(path))} (FORMAT parquet, {LANDED})"
            )
        batch.path.unlink()
        return replace(batch, path=path, rows=kept, deleted=deleted)

    def keeps_out(self, name: str, columns: Collection[str], at: datetime) -> str | None:
        """SQL: whether a row of an object with such columns is kept out at the org's instant `at`; None where none can be."""
        tests = [rules.gone(name, columns, self._told) if self._told.ids else None]
        if name in self._days:
            tests.append(too_old(columns, self._days[name], at))
        return " OR ".join(f"({test})" for test in tests if test) or None


def _columns(path: Path) -> dict[str, bool]:
    import pyarrow as pa

    schema = pq.read_schema(path)
    return {field.name: bool(pa.types.is_string(field.type)) for field in schema}


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row
