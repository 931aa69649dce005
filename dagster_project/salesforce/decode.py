"""Pages of text to typed Parquet, in sets: every value is text first, then what describe says it is.

An empty value is NULL, 'NA' stays text, and a value that does not parse is an error with object, field and Id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from dagster_project.errors import IncompleteExtractError, LeanfunnelError, SalesforceError
from dagster_project.salesforce.bulk import Page
from dagster_project.salesforce.description import FieldDescription
from dagster_project.salesforce.objects import logical_type

_TYPES = {"bool": "BOOLEAN", "int": "BIGINT", "double": "DOUBLE", "date": "DATE", "datetime": "TIMESTAMPTZ"}
LANDED = "COMPRESSION zstd, ROW_GROUP_SIZE 122880"
"""How files of the landing are written: small for those who keep them; row groups that many readers share."""
# a record may hold several text areas of 131,072 characters
_LONGEST_LINE = 8_000_000


@dataclass(frozen=True)
class Stamp:
    """What each landed row says beside its fields: when it was extracted (UTC), and in which batch."""

    extracted_at: datetime
    batch_seq: int

    def columns(self, operation: str) -> str:
        """The SQL of the columns after the fields; `operation` is an expression."""
        instant = self.extracted_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
        return (
            f"{operation} AS _operation, TIMESTAMPTZ '{instant}' AS _extracted_at, "
            f"CAST({self.batch_seq} AS BIGINT) AS _batch_seq"
        )


@dataclass(frozen=True)
class Target:
    """The Parquet file to write: as it lands (`stamp`), where nothing of the object is landed yet, else to be compared."""

    path: Path
    stamp: Stamp | None


@dataclass(frozen=True)
class Decoded:
    """A typed Parquet file with the fields in order, and how many rows it holds."""

    path: Path
    rows: int


def operation(fields: Collection[str], of: str = "") -> str:
    """SQL of a row's operation: a record in the recycle bin is a deletion."""
    return f"CASE WHEN {of}\"IsDeleted\" THEN 'delete' ELSE 'upsert' END" if "IsDeleted" in fields else "'upsert'"


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory that spills into `folder`."""
    connection = duckdb.connect(
        ":memory:", config={"threads": 2, "memory_limit": "512MB", "temp_directory": str(folder / "spill")}
    )
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false; SET enable_progress_bar = false")
    return connection


def column_type(field: FieldDescription) -> str:
    """The DuckDB type that a field of that description lands as: money exact, by describe's scale."""
    logical = logical_type(field.type)
    if logical == "currency":
        return f"DECIMAL({min(max(field.precision, 18), 38)},{min(field.scale, 18)})"
    return _TYPES.get(logical or "text", "VARCHAR")


def csv_pages(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    fields: Mapping[str, FieldDescription],
    pages: Sequence[Page],
    target: Target,
    guarded: Mapping[str, str] | None = None,
) -> Decoded:
    """Bulk API pages to Parquet; a field in `guarded` lands as that SQL says. The rows are compared with what the server
    stated for the pages.

    Raises IncompleteExtractError for a page that is short, torn or of other columns, SalesforceError for a bad value.
    """
    expected = ",".join(fields)
    for page in pages:
        with page.path.open("rb") as file:
            header = file.readline().decode("utf-8", "replace").lstrip("\ufeff").strip().replace('"', "")
        # a job without rows may answer with no header at all
        if header != expected and not (page.stated == 0 and not header):
            raise IncompleteExtractError(
                "a page has other columns than those asked for.", where=name, todo="Run again."
            )
    paths = [str(page.path) for page in pages if page.path.stat().st_size]
    columns = ", ".join(f"{_text(field)}: 'VARCHAR'" for field in fields)

    def source(paths: Sequence[str]) -> str:
        if not paths:
            return f"(SELECT {', '.join(f'NULL::VARCHAR AS {_name(f)}' for f in fields)} WHERE false)"
        return (
            f"read_csv([{', '.join(_text(path) for path in paths)}], auto_detect = false, header = true, delim = ',', quote = '\"', "
            f"escape = '\"', new_line = '\\n', columns = {{{columns}}}, nullstr = '', "
            f"max_line_size = {_LONGEST_LINE}, buffer_size = {4 * _LONGEST_LINE})"
        )

    _convert(connection, name, fields, source(paths), target, guarded or {})
    rows = _rows(target.path)
    if rows != sum(page.stated for page in pages):
        # which page it was is looked for only now: naming it in each row would cost every load
        for page in pages:
            try:
                (arrived,) = connection.execute(f"SELECT count(*) FROM {source([str(page.path)])}").fetchone() or (0,)
            except duckdb.InvalidInputException as error:
                raise _torn(name) from error
            if arrived != page.stated:
                raise IncompleteExtractError(
                    f"a page holds {arrived:,} rows where the server stated {page.stated:,}.", where=name,
                    todo="Run again; nothing of it was landed.",
                )  # fmt: skip
        raise IncompleteExtractError(
            "the pages hold another number of rows than the server stated.", where=name, todo="Run again."
        )
    return Decoded(target.path, rows)


def json_pages(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    fields: Mapping[str, FieldDescription],
    pages: Sequence[Path],
    target: Target,
    guarded: Mapping[str, str] | None = None,
) -> Decoded:
    """REST pages ({"records": […]}) to Parquet; a field in `guarded` lands as that SQL says.

    Raises SalesforceError for a bad value or a page that is no JSON.
    """
    shape = ", ".join(f"{_name(field)} VARCHAR" for field in fields)
    largest = max((page.stat().st_size for page in pages), default=0) + 1024
    source = (
        f"(SELECT unnest(records, recursive := true) FROM read_json([{', '.join(_text(str(p)) for p in pages)}], "
        f"format = 'unstructured', maximum_object_size = {max(largest, 1 << 24)}, columns = {{records: 'STRUCT({_inner(shape)})[]'}}))"
    )
    _convert(connection, name, fields, source, target, guarded or {})
    return Decoded(target.path, _rows(target.path))


def _convert(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    fields: Mapping[str, FieldDescription],
    source: str,
    target: Target,
    guarded: Mapping[str, str],
) -> None:
    texts = {n: guarded.get(n) or _sound(n, f) for n, f in fields.items()}
    casts = ", ".join(f"CAST({texts[n]} AS {column_type(f)}) AS {_name(n)}" for n, f in fields.items())
    query = f"SELECT {casts} FROM {source}"
    if target.stamp:
        query = f"SELECT *, {target.stamp.columns(operation(fields))} FROM ({query})"
    compression = LANDED if target.stamp else "COMPRESSION lz4_raw"
    statement = f"COPY ({query}) TO {_text(str(target.path))} (FORMAT parquet, {compression})"
    try:
        connection.execute(statement)
    except duckdb.ConversionException as error:
        raise _bad_value(connection, name, fields, source) from error
    except (duckdb.InvalidInputException, duckdb.OutOfRangeException) as error:
        if bad := _bad_value_or_none(connection, name, fields, source):
            raise bad from error
        raise _torn(name) from error
    except duckdb.IOException as error:
        raise LeanfunnelError(
            "the folder for pages in transit cannot be written.",
            where=str(target.path.parent),
            todo="Free some space and run again.",
        ) from error


def _torn(name: str) -> IncompleteExtractError:
    return IncompleteExtractError(
        "a page is torn or not well formed.", where=name, todo="Run again; nothing of it was landed."
    )


def _sound(name: str, field: FieldDescription) -> str:
    """SQL of a field's text, null for empty; a fraction in a whole number, which a cast would round, becomes no number."""
    text = f"nullif({_name(name)}, '')"
    if column_type(field) != "BIGINT":
        return text
    whole = f"replace(regexp_replace({_name(name)}, '\\.0*$', ''), '.', '?')"
    return f"CASE WHEN contains({_name(name)}, '.') THEN {whole} ELSE {text} END"


def _bad_value(
    connection: duckdb.DuckDBPyConnection, name: str, fields: Mapping[str, FieldDescription], source: str
) -> SalesforceError:
    found = _bad_value_or_none(connection, name, fields, source)
    return found or SalesforceError("a value does not have the type that describe states.", where=name)


def _bad_value_or_none(
    connection: duckdb.DuckDBPyConnection, name: str, fields: Mapping[str, FieldDescription], source: str
) -> SalesforceError | None:
    """The first value that does not parse, looked for only after a conversion failed."""
    key = _name("Id") if "Id" in fields else "NULL"
    for field, description in fields.items():
        kind = column_type(description)
        if kind == "VARCHAR":
            continue
        query = (
            f"SELECT {key}, {_name(field)} FROM {source} "
            f"WHERE nullif({_name(field)}, '') IS NOT NULL AND TRY_CAST({_sound(field, description)} AS {kind}) IS NULL LIMIT 1"
        )
        try:
            row = connection.execute(query).fetchone()
        except duckdb.Error:
            return None
        if row:
            return SalesforceError(
                f"{field} of record {row[0]} is {str(row[1])[:60]!r}, which is no {description.type}.",
                where=name,
                todo="Correct the record in Salesforce, then run again; nothing of this object was landed.",
            )
    return None


def _inner(shape: str) -> str:
    return shape.replace("'", "''")


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _rows(path: Path) -> int:
    with pq.ParquetFile(path) as file:
        return int(file.metadata.num_rows)
