"""An org from a folder of CSV files, one per object, as Salesforce's Data Export writes them.

Text is typed by the standard objects (or `schema.csv`); what cannot be read is refused with file, line and column.
"""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv

from salesforce_simulator import schema
from salesforce_simulator.errors import InputError
from salesforce_simulator.field_values import read_sql
from salesforce_simulator.org import STAGE_PICKLIST, Org, quoted
from salesforce_simulator.schema import Field

#: Optional file that types fields which are not standard: Object, Field, Type, Arguments (as in standard_objects).
SCHEMA_FILE = "schema.csv"
_ORGANIZATION = {
    "Id": "00D000000000062EAA",
    "Name": "Exported org",
    "OrganizationType": "Developer Edition",
    "IsSandbox": "true",
    "InstanceName": "SIM1",
    "TimeZoneSidKey": "GMT",
    "FiscalYearStartMonth": "1",
    "UsesStartDateAsFiscalYearName": "false",
}
_WANTED = {
    "datetime": "write it as 2024-01-31T09:30:00.000Z",
    "date": "write it as 2024-01-31",
    "boolean": "write true or false",
    "id": "an id has 15 or 18 letters and digits",
    "reference": "an id has 15 or 18 letters and digits",
}


def read_export(folder: Path, *, now: datetime | None = None) -> Org:
    """The org that the folder holds; its `reports` say what was filled in. Raises InputError."""
    if not folder.is_dir():
        raise InputError(
            "no such folder.", where=str(folder), advice="Name the folder that holds one CSV file per object."
        )
    files = sorted(p for p in folder.glob("*.csv") if p.name != SCHEMA_FILE)
    if not any(p.stem != STAGE_PICKLIST for p in files):
        raise InputError(
            "holds no <Object>.csv.",
            where=str(folder),
            advice="Put one CSV file per object there, such as Opportunity.csv.",
        )
    types = _read_types(folder / SCHEMA_FILE)
    tables: dict[str, pa.Table] = {}
    for file in files:
        standard = schema.standard_object(file.stem)
        name = standard.name if standard else file.stem
        table = _read_csv(file)
        if name != STAGE_PICKLIST:
            table = _check(file, name, table, types.get(name, {}))
        tables[name] = table
    reports = []
    if "Organization" not in tables:
        # every org has this one record, and clients ask for it first; an export seldom holds it
        tables["Organization"] = pa.table({name: [value] for name, value in _ORGANIZATION.items()})
        reports.append("Organization: made up, since the export has none (time zone GMT, fiscal year from January)")
    return Org(tables, now=now, types=types, reports=reports)


def _read_csv(file: Path) -> pa.Table:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            header = next(csv.reader(stream), [])
    except UnicodeDecodeError:
        raise InputError(
            "is not UTF-8.", where=str(file), advice="Export it with the encoding Unicode (UTF-8)."
        ) from None
    except (OSError, csv.Error) as error:
        raise InputError(f"cannot be read: {error}.", where=str(file), advice="Check the file.") from None
    _check_header(file, header)
    try:
        return pa.csv.read_csv(
            file,
            # one block, so that rows keep their order and a row may be as long as it likes
            read_options=pa.csv.ReadOptions(
                block_size=max(1 << 20, min(file.stat().st_size + 1, 1 << 30)), column_names=header, skip_rows=1
            ),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        line, found = _ragged_line(file, len(header))
        if line:
            what = f"line {line} has {found} values, the header {len(header)}."
            raise InputError(what, where=str(file), advice="Quote values that hold commas or line breaks.") from None
        raise InputError(f"is no readable CSV: {error}.", where=str(file), advice="Export it again as UTF-8.") from None


def _check_header(file: Path, header: list[str]) -> None:
    if not header:
        raise InputError(
            "is empty.", where=f"{file}, line 1", advice="Its first line names the fields, such as Id,Name."
        )
    seen: set[str] = set()
    for place, name in enumerate(header, start=1):
        where = f"{file}, line 1, column {place}"
        if not name.replace("_", "").isalnum() or not name[0].isalpha() or not name.isascii():
            raise InputError(f"{name!r} is no API field name.", where=where, advice="Write the API names of fields.")
        if name.lower() in seen:
            raise InputError(f"the field {name} stands there twice.", where=where, advice="Keep one of the two.")
        seen.add(name.lower())


def _ragged_line(file: Path, width: int) -> tuple[int, int]:
    with file.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
        reader = csv.reader(stream)
        for row in reader:
            if row and len(row) != width:
                return reader.line_num, len(row)
    return 0, 0


def _line_of(file: Path, row_number: int) -> int:
    """The line on which record `row_number` (from 0) starts."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream)
        next(reader)
        for place in range(row_number + 1):
            start = reader.line_num + 1
            row = next(reader, None)
            while row == []:
                start, row = reader.line_num + 1, next(reader, None)
            if place == row_number:
                return start
    return 0


def _check(file: Path, name: str, table: pa.Table, types: dict[str, Field]) -> pa.Table:
    """The table with canonical field names, once every value can be read and no Id stands there twice."""
    standard = schema.standard_object(name)
    canonical = []
    for column in table.column_names:
        found = (standard.field(column) if standard else None) or schema.system_field(column)
        canonical.append(found.name if found else column)
    table = table.rename_columns(canonical)
    connection = duckdb.connect()
    try:
        connection.register("incoming", table)
        for column in canonical:
            field = types.get(column) or (standard.field(column) if standard else None) or schema.system_field(column)
            _check_column(connection, file, field or schema.make_field(column, "string"), table)
        if "Id" in canonical:
            _check_unique(connection, file, table)
    finally:
        connection.close()
    return table


def _numbered(columns: str) -> str:
    return f"SELECT {columns}, row_number() OVER () - 1 AS place FROM incoming"


def _check_column(connection: duckdb.DuckDBPyConnection, file: Path, field: Field, table: pa.Table) -> None:
    column = quoted(field.name)
    if field.type in schema.ID_TYPES:
        bad = f"{column} <> '' AND NOT regexp_full_match({column}, '[A-Za-z0-9]{{15}}([A-Z0-5]{{3}})?')"
    elif field.storage == "VARCHAR":
        return
    else:
        bad = f"{column} <> '' AND {read_sql(field, column, pa.string())} IS NULL"
    row = connection.execute(
        f"SELECT place, {column} FROM ({_numbered(column)}) WHERE {bad} ORDER BY place LIMIT 1"
    ).fetchone()
    if row is not None:
        place = table.column_names.index(field.name) + 1
        raise InputError(
            f"{row[1]!r} is no {field.type}:",
            where=f"{file}, line {_line_of(file, row[0])}, column {place} ({field.name})",
            advice=_WANTED.get(field.type, "write a plain number, such as 1234.5") + ", or leave it empty.",
        )


def _check_unique(connection: duckdb.DuckDBPyConnection, file: Path, table: pa.Table) -> None:
    widened = read_sql(schema.make_field("Id", "id"), quoted("Id"), pa.string()) + " AS id"
    twice = (
        f"SELECT id, min(place), max(place) FROM ({_numbered(widened)}) "
        "WHERE id IS NOT NULL GROUP BY id HAVING count(*) > 1 ORDER BY 3 LIMIT 1"
    )
    row = connection.execute(twice).fetchone()
    if row is not None:
        place = table.column_names.index("Id") + 1
        raise InputError(
            f"the Id {row[0]} stands there a second time, after line {_line_of(file, row[1])}.",
            where=f"{file}, line {_line_of(file, row[2])}, column {place} (Id)",
            advice="Remove one of the two records.",
        )


def _read_types(file: Path) -> dict[str, dict[str, Field]]:
    types: dict[str, dict[str, Field]] = {}
    if not file.is_file():
        return types
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        wanted = {"Object", "Field", "Type"}
        if not wanted <= set(reader.fieldnames or ()):
            raise InputError(
                "lacks a column.", where=f"{file}, line 1", advice="Its header is Object,Field,Type,Arguments."
            )
        for row in reader:
            type_ = (row["Type"] or "").lower()
            if type_ not in schema.STORAGE:
                column = (reader.fieldnames or []).index("Type") + 1
                raise InputError(
                    f"{row['Type']!r} is no field type.",
                    where=f"{file}, line {reader.line_num}, column {column} (Type)",
                    advice=f"Types: {', '.join(schema.STORAGE)}.",
                )
            field = schema.make_field(row["Field"], type_, row.get("Arguments") or "")
            types.setdefault(row["Object"], {})[row["Field"]] = field
    return types
