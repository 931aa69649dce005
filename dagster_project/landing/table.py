"""One append-only Delta table: streamed commits that carry metadata and happen once. Knows nothing of what it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import TableNotFoundError

from dagster_project.landing import drift
from dagster_project.landing.faults import check_room, make_folder, told_clearly

KEY = "leanfunnel"
"""The key of our JSON in a commit's metadata; also the default application id of its transactions."""

# the log is the history: commits are kept for good, not for Delta's default of 30 days
_CONFIGURATION = {"delta.enableExpiredLogCleanup": "false", "delta.logRetentionDuration": "interval 36500 days"}


class AppendOnlyTable:
    """A Delta table that only grows. `schema` is what it is created with; None: that of the first rows."""

    def __init__(self, path: Path, schema: pa.Schema | None = None) -> None:
        self.path, self._schema = path, schema

    def open(self) -> DeltaTable | None:
        """The table as its log now stands, or None where there is none. Raises LandingError for a broken log."""
        with told_clearly(self.path, "read"):
            if not (self.path / "_delta_log").is_dir():
                return None
            try:
                return DeltaTable(self.path)
            except TableNotFoundError:
                # a first commit that was cut off leaves an empty log folder: nothing was landed
                if not any((self.path / "_delta_log").glob("*.json")):
                    return None
                raise

    def append(
        self,
        rows: pa.Table | pa.RecordBatchReader,
        *,
        app_id: str = KEY,
        version: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        size_hint: int = 0,
    ) -> bool:
        """Append `rows` in one commit, streamed. False, and nothing written, where (app_id, version) is in already.

        delta-rs records a transaction's version but refuses a repeated one only between concurrent writers, so it is
        looked up first; of two writers at once one fails. Raises LandingError.
        """
        table = self.open()
        if version is not None and table is not None:
            done = table.transaction_version(app_id)
            if done is not None and done >= version:
                return False
        make_folder(self.path)
        check_room(self.path, size_hint)
        reader = rows.to_reader() if isinstance(rows, pa.Table) else rows
        properties = CommitProperties(
            custom_metadata={KEY: json.dumps(dict(metadata))} if metadata is not None else None,
            app_transactions=[Transaction(app_id, version)] if version is not None else None,
            max_commit_retries=0,
        )
        with told_clearly(self.path, "written"):
            if table is None:
                write_deltalake(
                    self.path, reader, mode="error", configuration=_CONFIGURATION, commit_properties=properties
                )
                return True
            landed = pa.schema(table.schema().to_arrow())
            merged = drift.merge(landed, reader.schema, str(self.path))
            if merged.widened:
                # readers expect one type per column: the rows already landed are written again in the wider type, in
                # the same commit; the old files stay on disk for time travel
                stream = _chain([_scan(table), reader], merged.schema)
                write_deltalake(table, stream, mode="overwrite", schema_mode="overwrite", commit_properties=properties)
            else:
                # cast here, exactly and with an error: delta-rs would cut 1.5 to 1 in silence
                wanted = pa.schema([merged.schema.field(name) for name in reader.schema.names])
                write_deltalake(
                    table, _chain([reader], wanted), mode="append", schema_mode="merge", commit_properties=properties
                )
        return True

    def files(self) -> list[str]:
        """Absolute paths of the live Parquet files; every column lies in the files, read by name."""
        table = self.open()
        return [] if table is None else list(table.file_uris())

    def read(self) -> pa.Table:
        """All rows, in memory: for small tables."""
        table = self.open()
        if table is None:
            return (self._schema or pa.schema([])).empty_table()
        with told_clearly(self.path, "read"):
            return _scan(table).read_all()

    def version(self, app_id: str = KEY) -> int | None:
        """The newest version that `app_id` committed."""
        table = self.open()
        return None if table is None else table.transaction_version(app_id)


def _scan(table: DeltaTable) -> pa.RecordBatchReader:
    """All live rows as a stream in the table's schema."""
    schema = pa.schema(table.schema().to_arrow())
    paths = list(table.file_uris())

    def batches() -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        for path in paths:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches():
                    yield from _fitted(pa.Table.from_batches([batch]), schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _chain(readers: list[pa.RecordBatchReader], schema: pa.Schema) -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        for reader in readers:
            for batch in reader:
                if batch.schema.equals(schema):
                    yield batch
                else:
                    yield from _fitted(pa.Table.from_batches([batch]), schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())


def _fitted(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """`rows` with the columns and types of `schema`; absent columns are null; a value that does not fit is an error."""
    columns = []
    for field in schema:
        index = rows.schema.get_field_index(field.name)
        if index < 0:
            columns.append(pa.chunked_array([pa.nulls(rows.num_rows, field.type)], field.type))
        else:
            columns.append(_cast(rows.column(index), field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return column if column.type == kind else column.cast(kind, safe=True)
