"""What of the rows that arrived is new to the landing, found in sets and written as it lands.

Reads typed Parquet of this run and the landing's files that the caller names; knows no landing and no requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from dagster_project.errors import IncompleteExtractError
from dagster_project.salesforce.decode import LANDED, Stamp, operation


def check_keys(connection: duckdb.DuckDBPyConnection, name: str, key: Sequence[str], typed: Path) -> None:
    """Raise IncompleteExtractError where a record came twice, as when one page is repeated in another's place, or where
    an Id was damaged on the way: a byte too many makes a record that no org has."""
    keys = ", ".join(_name(column) for column in key)
    ids = [_name(column) for column in key if column.endswith("Id")]
    damaged = " OR ".join(
        f"{column} IS NULL OR NOT regexp_full_match({column}, '[A-Za-z0-9]{{15,18}}')" for column in ids
    )
    source = f"FROM {_parquet([str(typed)])}"
    # hashes take a fraction of the memory of ids; equal ids have equal hashes, so only a difference needs the ids themselves
    query = f"SELECT count(*), count(DISTINCT hash({keys})), count(*) FILTER ({damaged}) {source}"
    rows, distinct, broken = _row(connection, query)
    if rows != distinct:
        (distinct,) = _row(connection, f"SELECT count(DISTINCT ({keys})) {source}")
    if broken:
        raise IncompleteExtractError(
            f"{broken:,} records came without a whole Id.",
            where=name,
            todo="Run again; nothing of this object was landed.",
        )
    if rows != distinct:
        raise IncompleteExtractError(
            f"{rows - distinct:,} records came twice, so others are missing.",
            where=name,
            todo="Run again; nothing of this object was landed.",
        )


def newest(connection: duckdb.DuckDBPyConnection, typed: Path, cursor: str | None) -> datetime | None:
    """The newest value of the cursor (UTC)."""
    if cursor is None:
        return None
    (value,) = _row(connection, f"SELECT epoch_us(max({_name(cursor)})) FROM {_parquet([str(typed)])}")
    return None if value is None else datetime.fromtimestamp(0, UTC) + (_micros(value))


def changed(
    connection: duckdb.DuckDBPyConnection,
    key: Sequence[str],
    fields: Sequence[str],
    typed: Path,
    landed: Sequence[str],
    folder: Path,
    stamp: Stamp,
    *,
    tombstones: bool,
) -> tuple[Path, int, int]:
    """The rows of `typed` that differ from the newest landed version of their key: path, rows, of them deletions.

    The file is what lands: the fields, _operation, _extracted_at and _batch_seq.

    With `tombstones` (a full list) a key that was landed and did not arrive is a deletion, with its last values.
    """
    columns = ", ".join(f"n.{_name(f)}" for f in fields)
    now = operation(fields, "n.")
    new = _parquet([str(typed)])
    if not landed:
        query = f"SELECT {columns}, {now} AS _operation FROM {new} n"
    else:
        old = _parquet(landed)
        known = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {old}").fetchall()}
        keys = ", ".join(_name(column) for column in key)
        latest = f"SELECT * FROM {old} QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY _batch_seq DESC) = 1"
        same = " AND ".join(
            f"n.{_name(f)} IS NOT DISTINCT FROM {'o.' + _name(f) if f in known else 'NULL'}" for f in fields
        )
        on = " AND ".join(f"n.{_name(column)} = o.{_name(column)}" for column in key)
        query = (
            f"WITH latest AS ({latest}) SELECT {columns}, {now} AS _operation FROM {new} n "
            f"LEFT JOIN latest o ON {on} WHERE o._batch_seq IS NULL OR NOT ({same} AND {now} = o._operation)"
        )
        if tombstones:
            gone = ", ".join(f"o.{_name(f)}" if f in known else f"NULL AS {_name(f)}" for f in fields)
            query += (
                f" UNION ALL SELECT {gone}, 'delete' FROM latest o ANTI JOIN {new} n ON {on} "
                "WHERE o._operation <> 'delete'"
            )
    target = folder / "changed.parquet"
    stamped = f"SELECT * EXCLUDE (_operation), {stamp.columns('_operation')} FROM ({query})"
    connection.execute(f"COPY ({stamped}) TO '{_quoted(str(target))}' (FORMAT parquet, {LANDED})")
    rows, deleted = counted(connection, target)
    return target, rows, deleted


def counted(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[int, int]:
    """The rows of a file as it lands, and how many of them are deletions."""
    query = f"SELECT count(*), count(*) FILTER (_operation = 'delete') FROM {_parquet([str(path)])}"
    rows, deleted = _row(connection, query)
    return rows, deleted


def _micros(value: int):  # type: ignore[no-untyped-def]
    from datetime import timedelta

    return timedelta(microseconds=value)


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _quoted(value: str) -> str:
    return value.replace("'", "''")


def _parquet(paths: Sequence[str]) -> str:
    listed = ", ".join(f"'{_quoted(path)}'" for path in paths)
    return f"read_parquet([{listed}], union_by_name = true)"
