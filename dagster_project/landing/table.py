"""One append-only Delta table: streamed commits that carry metadata and happen once. Knows nothing of what it holds."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import TableNotFoundError
from deltalake.transaction import AddAction

from dagster_project.landing import drift
from dagster_project.landing.faults import check_room, make_folder, told_clearly

KEY = "leanfunnel"
"""The key of our JSON in a commit's metadata; also the default application id of its transactions."""

REWRITTEN = "leanfunnel-rewritten"
"""The application id that counts how often rows were taken out of a table."""

# the log is the history: commits are kept for good, not for Delta's default of 30 days
_ROWS_A_BATCH = 50_000
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
                stream = _chain([_scan(table, self.path), reader], merged.schema)
                write_deltalake(table, stream, mode="overwrite", schema_mode="overwrite", commit_properties=properties)
            else:
                # cast here, exactly and with an error: delta-rs would cut 1.5 to 1 in silence
                wanted = pa.schema([merged.schema.field(name) for name in reader.schema.names])
                write_deltalake(
                    table, _chain([reader], wanted), mode="append", schema_mode="merge", commit_properties=properties
                )
        return True

    def adopt(self, file: Path, *, app_id: str = KEY, version: int, metadata: Mapping[str, Any]) -> bool:
        """Append a Parquet file in one commit by moving it into the table, unread, where its columns are the table's.

        Where they are not, its rows are appended as `append` fits them. False, and nothing moved, where (app_id, version)
        is in already. Raises LandingError.
        """
        table = self.open()
        if version is not None and table is not None:
            done = table.transaction_version(app_id)
            if done is not None and done >= version:
                return False
        with told_clearly(self.path, "written"), pq.ParquetFile(file) as parquet:
            schema, size = parquet.schema_arrow.remove_metadata(), file.stat().st_size
            landed = pa.schema(table.schema().to_arrow()) if table is not None else schema
            if not _same_columns(drift.merge(landed, schema, str(self.path)).schema, landed, schema):
                return self.append(_stream(parquet), app_id=app_id, version=version, metadata=metadata, size_hint=size)
            stats = _statistics(parquet)
        make_folder(self.path)
        check_room(self.path, 0 if _same_disk(file, self.path) else size)
        with told_clearly(self.path, "written"):
            if table is None:
                # a kill between this and the next commit leaves a table without rows: nothing was landed
                table = DeltaTable.create(self.path, schema, configuration=_CONFIGURATION)
            name = f"part-{version:05}-{uuid.uuid4()}.parquet"
            moved = Path(shutil.move(file, self.path / name))
            action = AddAction(name, size, {}, int(moved.stat().st_mtime * 1000), True, json.dumps(stats))
            try:
                table.create_write_transaction(
                    [action],
                    mode="append",
                    schema=table.schema(),
                    commit_properties=CommitProperties(
                        custom_metadata={KEY: json.dumps(dict(metadata))},
                        app_transactions=[Transaction(app_id, version)],
                        max_commit_retries=0,
                    ),
                )
            except BaseException:
                # Ctrl-C may come when the commit stands already: then the file is the table's. Else back where it came
                # from: a repeated call finds it, and the table holds no file that is in no commit
                committed = self.version(app_id)
                if committed is None or committed < version:
                    shutil.move(moved, file)
                raise
        return True

    def files(self) -> list[str]:
        """Absolute paths of the live Parquet files; every column lies in the files, read by name."""
        table = self.open()
        return [] if table is None else live_files(table, self.path)

    def read(self) -> pa.Table:
        """All rows, in memory: for small tables."""
        table = self.open()
        if table is None:
            return (self._schema or pa.schema([])).empty_table()
        with told_clearly(self.path, "read"):
            return _scan(table, self.path).read_all()

    def version(self, app_id: str = KEY) -> int | None:
        """The newest version that `app_id` committed."""
        table = self.open()
        return None if table is None else table.transaction_version(app_id)


def _same_columns(merged: pa.Schema, landed: pa.Schema, batch: pa.Schema) -> bool:
    """Whether a batch fits as it is: no new column, no type that must be changed, columns that lack are null."""
    return merged.equals(landed) and all(landed.field(f.name).type == f.type for f in batch)


def _same_disk(file: Path, folder: Path) -> bool:
    return file.stat().st_dev == folder.stat().st_dev


def _stream(parquet: pq.ParquetFile) -> pa.RecordBatchReader:
    schema = parquet.schema_arrow.remove_metadata()
    return pa.RecordBatchReader.from_batches(schema, (b.cast(schema) for b in parquet.iter_batches(_ROWS_A_BATCH)))


def _statistics(parquet: pq.ParquetFile) -> dict[str, Any]:
    """Delta's statistics of a file by Parquet's own: rows, least and greatest of whole numbers and instants."""
    metadata, schema = parquet.metadata, parquet.schema_arrow
    lows: dict[str, Any] = {}
    highs: dict[str, Any] = {}
    for at in range(metadata.num_columns):
        name = metadata.schema.column(at).name
        kind = schema.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_timestamp(kind)):
            continue
        found = [metadata.row_group(group).column(at).statistics for group in range(metadata.num_row_groups)]
        if any(s is None or not (s.has_min_max or s.null_count == s.num_values + s.null_count) for s in found):
            continue
        ends = [(s.min, s.max) for s in found if s.has_min_max]
        if ends:
            lows[name], highs[name] = _told(min(e[0] for e in ends)), _told(max(e[1] for e in ends))
    return {"numRecords": metadata.num_rows, "minValues": lows, "maxValues": highs, "nullCount": {}}


def _told(value: Any) -> Any:
    if isinstance(value, datetime):
        instant = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value


def live_files(table: DeltaTable, folder: Path) -> list[str]:
    """The paths of a table's live files. delta-rs gives addresses, in which a blank or an accent of the path is encoded."""
    return [str(folder / Path(uri).name) for uri in table.file_uris()]


def _scan(table: DeltaTable, folder: Path) -> pa.RecordBatchReader:
    """All live rows as a stream in the table's schema."""
    schema = pa.schema(table.schema().to_arrow())
    paths = live_files(table, folder)

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
