"""The landing's side: what of the named records lies there, and taking it out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa

from dagster_project.erasure import rules
from dagster_project.erasure.rules import Told, literal, quoted
from dagster_project.landing import LandingLog
from dagster_project.landing.rewriting import purge, take_out


class Landed:
    """The tables of one landing, opened once."""

    def __init__(self, landing: Path) -> None:
        self._log = LandingLog(landing)
        self.root = landing
        self.tables = {name: ObjectTable(self._log, name) for name in self._log.objects()}

    def told(self, ids: Iterable[str]) -> Told:
        """The records `ids`, those that were merged or converted into them, and the values that tell who they are."""
        found, frontier = set(ids), set(ids)
        while frontier:
            frontier = {one for table in self.tables.values() for one in table.went_into(frontier)} - found
            found |= frontier
        values = {value for table in self.tables.values() for value in table.told_by(found)}
        # a blank or a letter is in every text
        return Told(frozenset(found), frozenset(value for value in values if len(value.strip()) > 1))

    def counts(self, told: Told) -> dict[str, tuple[int, int]]:
        """{object: (rows that go, cells that are emptied)}, objects without either left out."""
        found = {name: table.count(told) for name, table in self.tables.items()}
        return {name: both for name, both in found.items() if any(both)}

    def take_out(self, told: Told) -> None:
        """Take them out: first what others tell of the records, last the records themselves.

        So a run that was cut off still knows their names when it is repeated.
        """
        for table in self.tables.values():
            table.blank(told)
        for table in self.tables.values():
            table.delete(told)
        self.purge()

    def purge(self) -> None:
        """Clear every table of what lies outside its live version, also of what an earlier run was kept from clearing."""
        for table in self.tables.values():
            purge(table.path)


class ObjectTable:
    """One object's table: its columns, and questions to its live files."""

    def __init__(self, log: LandingLog, name: str) -> None:
        self.name, self.path = name, log.root / name
        state = log.state(name)
        self.files = state.files
        self.columns = {field.name: _is_text(field.type) for field in state.schema}

    def _source(self) -> str:
        return f"read_parquet([{', '.join(literal(file) for file in self.files)}], union_by_name = true)"

    def _values(self, column: str, where: str | None) -> list[str]:
        if not self.files or where is None:
            return []
        query = (
            f"SELECT DISTINCT {quoted(column)} FROM {self._source()} WHERE ({where}) AND {quoted(column)} IS NOT NULL"
        )
        with duckdb.connect() as connection:
            return [str(row[0]) for row in connection.execute(query).fetchall()]

    def went_into(self, ids: set[str]) -> list[str]:
        """The records that were merged or converted into one of `ids`."""
        return [
            one
            for column in rules.owners(self.name, self.columns)
            if column in ("MasterRecordId", "ConvertedContactId") and "Id" in self.columns
            for one in self._values("Id", rules.among(column, ids))
        ]

    def holds(self, ids: Iterable[str]) -> bool:
        """Whether one of `ids` is a record of this object."""
        return "Id" in self.columns and bool(self._values("Id", rules.among("Id", ids)))

    def told_by(self, ids: set[str]) -> list[str]:
        """Names and addresses, as they landed, of those of `ids` that are records of this object."""
        if "Id" not in self.columns:
            return []
        return [
            value
            for column in rules.tells(self.name, self.columns)
            for value in self._values(column, rules.among("Id", ids))
        ]

    def count(self, told: Told) -> tuple[int, int]:
        """Rows that go, and cells that are emptied in those that stay."""
        gone, blanked = rules.gone(self.name, self.columns, told), rules.blanked(self.name, self.columns, told)
        if not self.files or not (gone or blanked):
            return 0, 0
        stays = f"NOT coalesce({gone or 'false'}, false)"
        cells = " + ".join(f"count(*) FILTER (({test}) AND {stays})" for test in blanked.values()) or "0"
        query = f"SELECT count(*) FILTER ({gone or 'false'}), {cells} FROM {self._source()}"
        with duckdb.connect() as connection:
            row = connection.execute(query).fetchone()
        assert row is not None
        return row[0], row[1]

    def blank(self, told: Told) -> None:
        """Empty the cells."""
        blanked = rules.blanked(self.name, self.columns, told)
        if self.count(told)[1]:
            setters = {
                quoted(name): f"CASE WHEN {test} THEN NULL ELSE {quoted(name)} END" for name, test in blanked.items()
            }
            take_out(self.path, gone=None, blanked=setters, where=" OR ".join(f"({test})" for test in blanked.values()))

    def delete(self, told: Told) -> None:
        """Delete the rows."""
        if self.count(told)[0]:
            take_out(self.path, gone=rules.gone(self.name, self.columns, told))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
