"""What of the rows that arrived is new to the landing, found in sets and written as it lands.

Reads typed Parquet of this run and the landing's files that the caller names; knows no landing and no requests.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
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
        known, odd = set(_columns(connection, landed)), _retyped(connection, typed, landed)
        keys = ", ".join(_name(column) for column in key)
        latest = f"SELECT * FROM {old} QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY _batch_seq DESC) = 1"
        same = " AND ".join(
            f"{_valued('n', f, odd)} IS NOT DISTINCT FROM {_valued('o', f, odd) if f in known else 'NULL'}"
            for f in fields
        )
        on = " AND ".join(f"n.{_name(column)} = o.{_name(column)}" for column in key)
        query = (
            f"WITH latest AS ({latest}) SELECT {columns}, {now} AS _operation FROM {new} n "
            f"LEFT JOIN latest o ON {on} WHERE o._batch_seq IS NULL OR NOT ({same} AND {now} = o._operation)"
        )
        if tombstones:
            gone = ", ".join(_valued("o", f, odd) if f in known else f"NULL AS {_name(f)}" for f in fields)
            query += (
                f" UNION ALL SELECT {gone}, 'delete' FROM latest o ANTI JOIN {new} n ON {on} "
                "WHERE o._operation <> 'delete'"
            )
    target = folder / "changed.parquet"
    stamped = f"SELECT * EXCLUDE (_operation), {stamp.columns('_operation')} FROM ({query})"
    connection.execute(f"COPY ({stamped}) TO '{_quoted(str(target))}' (FORMAT parquet, {LANDED})")
    rows, deleted = counted(connection, target)
    return target, rows, deleted


def gone(
    connection: duckdb.DuckDBPyConnection,
    present: str,
    landed: Sequence[str],
    folder: Path,
    stamp: Stamp,
    moments: str | None = None,
) -> tuple[Path, int]:
    """Records that live in the landing and of which `present` (SQL of a condition on o."Id") is not true: a file of their
    deletions as it lands, with their last values, and how many there are.

    They land as the recycle bin would show them: IsDeleted, and stamped with the moment of the deletion, so that it is not
    taken for that of the last edit. It is known where `moments`, a relation ("Id", deleted_at), tells; else it is no later than
    the look."""
    instant = stamp.extracted_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
    moment = f"coalesce(m.deleted_at, TIMESTAMPTZ '{instant}')" if moments else f"TIMESTAMPTZ '{instant}'"
    told = {"IsDeleted": "true"} | {
        name: f"greatest(o.{_name(name)}, {moment})" for name in ("LastModifiedDate", "SystemModstamp")
    }
    fields = [name for name in _columns(connection, landed) if not name.startswith("_")]
    columns = ", ".join(f"{told.get(field, f'o.{_name(field)}')} AS {_name(field)}" for field in fields)
    joined = f' LEFT JOIN {moments} AS m ON m."Id" = o."Id"' if moments else ""
    target = folder / "gone.parquet"
    query = (
        f"SELECT {columns}, {stamp.columns(text('delete'))} FROM ({_latest(landed)}) AS o{joined} "
        f"WHERE o._operation <> 'delete' AND ({present}) IS NOT TRUE"
    )
    connection.execute(f"COPY ({query}) TO {text(str(target))} (FORMAT parquet, {LANDED})")
    return target, counted(connection, target)[0]


def behind(
    connection: duckdb.DuckDBPyConnection,
    source: Path,
    landed: Sequence[str],
    cursor: str,
    before: datetime,
    kept_out: str | None = None,
) -> list[str]:
    """Ids at the source (`source`: Id, the cursor, IsDeleted where the object has it) that the landing lacks or holds in
    another state, though their cursor lies below `before`, where no later run reads again. Rows for which the SQL
    `kept_out` holds are not to be landed, so they are left out."""
    known = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {_parquet([str(source)])}").fetchall()}
    state = "(o._operation = 'delete') IS DISTINCT FROM n.\"IsDeleted\"" if "IsDeleted" in known else "FALSE"
    instant = before.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S+00")
    expected = f"SELECT * FROM {_parquet([str(source)])}" + (
        f" WHERE NOT coalesce({kept_out}, false)" if kept_out else ""
    )
    rows = connection.execute(
        f'SELECT n."Id" FROM ({expected}) AS n LEFT JOIN ({_latest(landed)}) AS o ON o."Id" = n."Id" '
        f"WHERE n.{_name(cursor)} < TIMESTAMPTZ '{instant}' AND (o._batch_seq IS NULL OR {state} "
        f"OR o.{_name(cursor)} IS DISTINCT FROM n.{_name(cursor)}) ORDER BY 1"
    ).fetchall()
    return [str(row[0]) for row in rows]


def refreshed(
    connection: duckdb.DuckDBPyConnection,
    fields: Sequence[str],
    source: Path,
    landed: Sequence[str],
    folder: Path,
    stamp: Stamp,
) -> tuple[Path, int]:
    """Landed records whose `fields` are other at the source (`source`: Id and those fields): a file of them as it lands, all
    else as it was landed last, and how many there are. Deleted ones are left as they were."""
    known = _columns(connection, landed)
    columns = ", ".join(
        f"n.{_name(name)} AS {_name(name)}" if name in fields else f"o.{_name(name)}"
        for name in known
        if not name.startswith("_")
    )
    odd = _retyped(connection, source, landed)
    differs = " OR ".join(f"{_valued('n', name, odd)} IS DISTINCT FROM {_valued('o', name, odd)}" for name in fields)
    target = folder / "refreshed.parquet"
    query = (
        f"SELECT {columns}, {stamp.columns(text('upsert'))} FROM ({_latest(landed)}) AS o "
        f'INNER JOIN {_parquet([str(source)])} AS n ON n."Id" = o."Id" WHERE o._operation <> {text("delete")} AND ({differs})'
    )
    connection.execute(f"COPY ({query}) TO {text(str(target))} (FORMAT parquet, {LANDED})")
    return target, counted(connection, target)[0]


def united(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], folder: Path) -> Path:
    """One file of rows as they land, of several, in which no record comes twice."""
    if len(paths) == 1:
        return paths[0]
    target = folder / "united.parquet"
    listed = _parquet([str(path) for path in paths])
    names = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {listed}").fetchall()]
    ordered = [*(name for name in names if not name.startswith("_")), "_operation", "_extracted_at", "_batch_seq"]
    columns = ", ".join(_name(name) for name in ordered)
    connection.execute(f"COPY (SELECT {columns} FROM {listed}) TO {text(str(target))} (FORMAT parquet, {LANDED})")
    return target


def _latest(landed: Sequence[str]) -> str:
    return (
        f'SELECT * FROM {_parquet(landed)} QUALIFY row_number() OVER (PARTITION BY "Id" ORDER BY _batch_seq DESC) = 1'
    )


_NUMBERS = ("BIGINT", "DOUBLE", "DECIMAL")


def _retyped(connection: duckdb.DuckDBPyConnection, typed: Path, landed: Sequence[str]) -> set[str]:
    """The columns whose type is another than the one landed, numbers among each other apart. They are compared as text:
    what is new is handed to the landing, which widens or refuses a type in words."""

    def kinds(paths: Sequence[str]) -> dict[str, str]:
        rows = connection.execute(f"DESCRIBE SELECT * FROM {_parquet(paths)}").fetchall()
        return {str(row[0]): "number" if str(row[1]).startswith(_NUMBERS) else str(row[1]) for row in rows}

    new, old = kinds([str(typed)]), kinds(landed)
    return {name for name, kind in new.items() if old.get(name, kind) != kind}


def _valued(of: str, field: str, as_text: Collection[str]) -> str:
    """SQL of a field as it is compared."""
    value = f"{of}.{_name(field)}"
    return f"CAST({value} AS VARCHAR)" if field in as_text else value


def _columns(connection: duckdb.DuckDBPyConnection, landed: Sequence[str]) -> list[str]:
    return [str(row[0]) for row in connection.execute(f"DESCRIBE SELECT * FROM {_parquet(landed)}").fetchall()]


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


def text(value: str) -> str:
    """A text as SQL writes it."""
    return f"'{_quoted(value)}'"


def _parquet(paths: Sequence[str]) -> str:
    listed = ", ".join(f"'{_quoted(path)}'" for path in paths)
    return f"read_parquet([{listed}], union_by_name = true)"
