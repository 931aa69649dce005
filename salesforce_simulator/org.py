"""The org: its records in DuckDB by object, its objects and fields as describe shows them, its clock.

Reading goes through `cursor()`, one per thread; all writing goes through the methods here, under one lock. What a text
in an export means is `export`'s business, what a query means is `soql`'s.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from salesforce_simulator import ids, schema
from salesforce_simulator.errors import ApiError, InputError
from salesforce_simulator.field_values import read_sql, value_of
from salesforce_simulator.schema import Field, ObjectType

#: A table of this name, given with the others, says which stages each record type offers, in which order:
#: RecordTypeId, StageName, Label, Position. It is served by the UI API, and is no object of the org.
STAGE_PICKLIST = "OpportunityStagePicklist"
#: Table of an org kept in a file: one row with what no record says, as JSON.
META = "simulator_meta"
_FALLBACKS = {
    "CreatedDate": ("LastModifiedDate", "SystemModstamp"),
    "LastModifiedDate": ("SystemModstamp", "CreatedDate"),
    "SystemModstamp": ("LastModifiedDate", "CreatedDate"),
}
_EARLIEST = datetime(1700, 1, 1)  # noqa: DTZ001 - compared with the naive UTC timestamps of DuckDB
_STAMPS = ("CreatedDate", "LastModifiedDate", "SystemModstamp")


def quoted(name: str) -> str:
    """An identifier for DuckDB."""
    return '"' + name.replace('"', '""') + '"'


@dataclass
class Refusal:
    """Writes to records of an object in which a field comes to hold `value` are refused so; `times`: at most so often."""

    object: str
    field: str
    value: str
    code: str
    message: str
    times: int | None = None


class Org:
    """A Salesforce org in memory.

    `tables` maps object names to Arrow tables with API field names; values are typed or text in the service's own
    notation. Columns and objects that are not standard become text fields and custom objects. `now` is the org's clock
    (UTC); it stands still unless it is set. `reports` collects what was filled in or assumed, one line each.
    """

    def __init__(
        self,
        tables: Mapping[str, pa.Table],
        *,
        now: datetime | None = None,
        types: Mapping[str, Mapping[str, Field]] | None = None,
        reports: list[str] | None = None,
    ) -> None:
        self.stage_picklist: pa.Table | None = None
        self._start(":memory:", reports)
        for name, table in tables.items():
            if name == STAGE_PICKLIST:
                self.stage_picklist = self._widened(table)
            else:
                self._register(name, table, (types or {}).get(name, {}))
        self.now: datetime = now.astimezone(UTC) if now else self._after_latest()
        self._fill_system_fields()

    def _start(self, database: str, reports: list[str] | None, **config: Any) -> None:
        self.reports: list[str] = reports if reports is not None else []
        self.lock = threading.RLock()
        self._db = duckdb.connect(database, config={"arrow_large_buffer_size": True, **config})
        self._db.execute("SET preserve_insertion_order = true")
        self.objects: dict[str, ObjectType] = {}
        self._purged: list[tuple[str, str, datetime]] = []
        # the highest number of an Id that was removed for good, by object: Salesforce gives no Id twice
        self._spent: dict[str, int] = {}
        self.refusals: list[Refusal] = []

    @classmethod
    def open(cls, file: Path, *, now: datetime | None = None, memory: str = "2GB") -> Org:
        """An org that lies in a DuckDB file as `large.write_org` leaves it: one table per object, every record complete,
        in order of Id. Changes stay in the file. Raises InputError where it is none, or is in use.
        """
        org = cls.__new__(cls)
        org.stage_picklist = None
        advice = "Write one with: python -m salesforce_simulator generate --opportunities N --out FILE."
        if not file.is_file():
            raise InputError("no such file.", where=str(file), advice=advice)
        try:
            org._start(str(file), None, memory_limit=memory)
            facts = json.loads(str(_scalar(org._db, f"SELECT facts FROM {META}")))
            names = org._db.execute("SELECT table_name FROM duckdb_tables() ORDER BY table_oid").fetchall()
        except (duckdb.Error, ValueError) as error:
            raise InputError(f"is no org that can be opened: {error}.", where=str(file), advice=advice) from None
        for (name,) in names:
            if name == STAGE_PICKLIST:
                org.stage_picklist = org._db.execute(f"SELECT * FROM {quoted(name)}").to_arrow_table()
            elif name != META:
                org._adopt(name)
        org.now = now.astimezone(UTC) if now else datetime.fromisoformat(facts["now"])
        return org

    def _adopt(self, name: str) -> None:
        """Takes a stored table on as an object."""
        kind = schema.standard_object(name)
        columns = [row[0] for row in self._db.execute(f"DESCRIBE {quoted(name)}").fetchall()]
        present = [(kind.field(c) if kind else None) or schema.make_field(c, "string") for c in columns]
        kind = kind or ObjectType(name, None, schema.label_of(name), schema.label_of(name), ())
        ordered = sorted(present, key=lambda f: _position(kind, f))
        self.objects[name.lower()] = replace(kind, fields=tuple(ordered), _by_name={})

    def close(self) -> None:
        """Frees the records."""
        self._db.close()

    # reading

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection to the records of its own, for one thread; tables lie in the schema `main` under API names."""
        return self._db.cursor()

    def find(self, name: str) -> ObjectType | None:
        """The object of that name as the org has it, whatever its case."""
        return self.objects.get(name.lower())

    def required_object(self, name: str) -> ObjectType:
        """The object of that name; raises 404 NOT_FOUND as describe does."""
        found = self.find(name)
        if found is None:
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        return found

    def counts(self) -> dict[str, int]:
        """Records per object, deleted ones included."""
        with self.cursor() as cursor:
            return {o.name: _scalar(cursor, f"SELECT count(*) FROM {quoted(o.name)}") for o in self.objects.values()}

    def organization_id(self) -> str:
        """The org's id, from its Organization record, else a fixed one."""
        if self.find("Organization"):
            with self.cursor() as cursor:
                row = cursor.execute('SELECT "Id" FROM "Organization" LIMIT 1').fetchone()
            if row:
                return str(row[0])
        return ids.numbered("00D", 1)

    def fiscal_year_start_month(self) -> int:
        """The month in which the fiscal year begins, 1 to 12."""
        kind = self.find("Organization")
        if kind is None or kind.field("FiscalYearStartMonth") is None:
            return 1
        with self.cursor() as cursor:
            row = cursor.execute('SELECT "FiscalYearStartMonth" FROM "Organization" LIMIT 1').fetchone()
        return int(row[0]) if row and row[0] else 1

    def has_record_type(self, record_type_id: str) -> bool:
        """Whether a record type exists; the master one always does."""
        if record_type_id == ids.MASTER_RECORD_TYPE_ID:
            return True
        if self.find("RecordType") is None:
            return False
        with self.cursor() as cursor:
            return bool(cursor.execute('SELECT 1 FROM "RecordType" WHERE "Id" = ?', [record_type_id]).fetchone())

    def stage_values(self, record_type_id: str) -> list[tuple[str, str]] | None:
        """Value and label of the stages that a record type offers, in order; None where it or every one is lacking."""
        record_type_id = ids.to_18(record_type_id)
        if not self.has_record_type(record_type_id):
            return None
        with self.cursor() as cursor:
            if self.stage_picklist is not None:
                cursor.register("offered", self.stage_picklist)
                rows = cursor.execute(
                    'SELECT "StageName", coalesce("Label", "StageName") FROM offered WHERE "RecordTypeId" = ?'
                    ' ORDER BY try_cast("Position" AS INTEGER)',
                    [record_type_id],
                ).fetchall()
                if rows:
                    return rows
            return self._active_stages(cursor)

    def stage_flags(self) -> dict[str, dict[str, object]]:
        """What the UI API says of each stage beside its label, by value."""
        kind = self.find("OpportunityStage")
        if kind is None:
            return {}
        wanted = {
            "closed": "IsClosed",
            "defaultProbability": "DefaultProbability",
            "forecastCategoryName": "ForecastCategoryName",
            "won": "IsWon",
        }
        columns = ", ".join(quoted(f) if kind.field(f) else "NULL" for f in wanted.values())
        name = "ApiName" if kind.field("ApiName") else "MasterLabel"
        if kind.field(name) is None:
            return {}
        with self.cursor() as cursor:
            rows = cursor.execute(f'SELECT "{name}", {columns} FROM "OpportunityStage"').fetchall()
        # the misspelt name is the service's own
        more = {"picklistAtrributesValueType": "OpportunityStage"}
        return {row[0]: dict(zip(wanted, row[1:], strict=True)) | more for row in rows}

    def _active_stages(self, cursor: duckdb.DuckDBPyConnection) -> list[tuple[str, str]] | None:
        stage = self.find("OpportunityStage")
        if stage is None or not (stage.field("ApiName") or stage.field("MasterLabel")):
            return None
        name = "ApiName" if stage.field("ApiName") else "MasterLabel"
        label = "MasterLabel" if stage.field("MasterLabel") else name
        active = 'WHERE "IsActive"' if stage.field("IsActive") else ""
        order = '"SortOrder"' if stage.field("SortOrder") else "rowid"
        return cursor.execute(
            f'SELECT "{name}", "{label}" FROM "OpportunityStage" {active} ORDER BY {order}'
        ).fetchall()

    # writing

    def upsert(self, name: str, records: Iterable[Mapping[str, object]]) -> int:
        """Puts records in place by Id, exactly as they are given; fields that are not given keep their value.

        Values are typed or text in the service's notation. Returns the number of records. Raises ApiError for an
        unknown object or field, or a value that cannot be read.
        """
        rows = [dict(r) for r in records]
        with self.lock:
            kind = self.find(name)
            if kind is None:
                raise ApiError(404, "NOT_FOUND", f"This org has no object {name}")
            for row in rows:
                self._check_fields(kind, row)
                if not row.get("Id"):
                    row["Id"] = self.next_id(kind)
                with self.cursor() as cursor:
                    self._upsert_one(cursor, kind, row)
        return len(rows)

    def _check_fields(self, kind: ObjectType, row: dict[str, object]) -> None:
        for field_name in list(row):
            found = kind.field(field_name)
            if found is None:
                raise ApiError(
                    400, "INVALID_FIELD", f"No such column '{field_name}' on sobject of type {kind.name}", [field_name]
                )
            row[found.name] = row.pop(field_name)

    def _upsert_one(self, cursor: duckdb.DuckDBPyConnection, kind: ObjectType, row: dict[str, object]) -> None:
        table = quoted(kind.name)
        row["Id"] = ids.to_18(str(row["Id"]))
        fields = [f for f in kind.fields if f.name in row]
        values = [value_of(f, row[f.name]) for f in fields]
        there = cursor.execute(f'SELECT 1 FROM {table} WHERE "Id" = ?', [row["Id"]]).fetchone()
        if there:
            settings = ", ".join(f"{quoted(f.name)} = CAST(? AS {f.storage})" for f in fields)
            cursor.execute(f'UPDATE {table} SET {settings} WHERE "Id" = ?', [*values, row["Id"]])
            return
        for system in kind.fields:
            if system.name not in row and system.name in schema.SYSTEM_FIELDS:
                fields.append(system)
                values.append(self.naive_now() if system.type == "datetime" else False)
        names = ", ".join(quoted(f.name) for f in fields)
        marks = ", ".join(f"CAST(? AS {f.storage})" for f in fields)
        cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)

    def purge(self, name: str, record_id: str, *, logged: bool = True) -> int:
        """Removes a record for good; returns how many there were (0 or 1). Raises 404 for an unknown object.

        What is `logged` shows in getDeleted from now on.
        """
        kind = self.required_object(name)
        record_id = ids.to_18(record_id)
        with self.lock, self.cursor() as cursor:
            row = cursor.execute(f'DELETE FROM {quoted(kind.name)} WHERE "Id" = ?', [record_id]).fetchone()
            removed = int(row[0]) if row else 0
            if removed:
                self._spent[kind.name] = max(self._spent.get(kind.name, 0), ids.number_of(record_id))
            if removed and logged:
                self._purged.append((kind.name, record_id, self.naive_now()))
        return removed

    def purged(self, name: str) -> list[tuple[str, datetime]]:
        """Id and moment of the records of an object that were removed for good and logged."""
        with self.lock:
            return [(record_id, at) for object_name, record_id, at in self._purged if object_name == name]

    def forget_purged(self) -> None:
        """Empties the log of removed records, as the service does it when the log grows too long."""
        with self.lock:
            self._purged.clear()

    def read(self, kind: ObjectType, record_id: str) -> dict[str, Any] | None:
        """All fields of one record, deleted or not; None where there is none."""
        with self.cursor() as cursor:
            columns = ", ".join(quoted(f.name) for f in kind.fields)
            sql = f'SELECT {columns} FROM {quoted(kind.name)} WHERE "Id" = ?'
            row = cursor.execute(sql, [ids.to_18(record_id)]).fetchone()
        return dict(zip((f.name for f in kind.fields), row, strict=True)) if row else None

    def stage(self, name: str) -> dict[str, Any] | None:
        """The OpportunityStage record of a stage by its API name."""
        kind = self.find("OpportunityStage")
        column = "ApiName" if kind and kind.field("ApiName") else "MasterLabel"
        if kind is None or kind.field(column) is None:
            return None
        with self.cursor() as cursor:
            row = cursor.execute(f'SELECT "Id" FROM "OpportunityStage" WHERE "{column}" = ?', [name]).fetchone()
        return self.read(kind, row[0]) if row else None

    def next_id(self, kind: ObjectType) -> str:
        """A fresh id for a record of this object; none that a record ever had."""
        prefix = kind.key_prefix or "a00"
        with self.cursor() as cursor:
            top = cursor.execute(f'SELECT max("Id") FROM {quoted(kind.name)}').fetchone()
        # max() compares bytes, and so do the digits of an id: 0-9 A-Z a-z
        stored = ids.number_of(top[0]) if top and top[0] else 0
        return ids.numbered(prefix, max(stored, self._spent.get(kind.name, 0)) + 1)

    def set_now(self, moment: datetime) -> None:
        """Sets the org's clock."""
        self.now = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)

    def naive_now(self) -> datetime:
        """The clock in UTC to the second, without time zone: how DuckDB stores instants here."""
        return self.now.astimezone(UTC).replace(tzinfo=None, microsecond=0)

    def hide_field(self, object_name: str, field_name: str) -> None:
        """Takes a field out of describe and queries; the values stay."""
        with self.lock:
            kind = self.required_object(object_name)
            self.objects[kind.name.lower()] = kind.with_fields(
                f for f in kind.fields if f.name.lower() != field_name.lower()
            )

    def add_object(self, kind: ObjectType) -> None:
        """Adds an object without records; raises ApiError where the org has one of that name."""
        with self.lock:
            if self.find(kind.name):
                raise ApiError(400, "DUPLICATE_DEVELOPER_NAME", f"This org has an object {kind.name}")
            prefix = kind.key_prefix or self._free_prefix()
            columns = ", ".join(f"{quoted(f.name)} {f.storage}" for f in kind.fields)
            with self.cursor() as cursor:
                cursor.execute(f"CREATE TABLE {quoted(kind.name)} ({columns})")
                cursor.execute(f'CREATE UNIQUE INDEX {quoted("by_id_" + kind.name)} ON {quoted(kind.name)} ("Id")')
            self.objects[kind.name.lower()] = replace(kind, key_prefix=prefix, _by_name={})

    def _free_prefix(self) -> str:
        taken = {kind.key_prefix for kind in self.objects.values()}
        return next(p for p in (f"a{number:02d}" for number in range(1, 100)) if p not in taken)

    def add_field(self, object_name: str, field: Field) -> None:
        """Adds a field, empty in every record; raises ApiError where the object has one of that name."""
        with self.lock:
            kind = self.required_object(object_name)
            if kind.field(field.name):
                raise ApiError(400, "DUPLICATE_DEVELOPER_NAME", f"{kind.name} has a field {field.name}", [field.name])
            with self.cursor() as cursor:
                table, column = quoted(kind.name), quoted(field.name)
                cursor.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} {field.storage}")
            self.objects[kind.name.lower()] = kind.with_fields((*kind.fields, field))

    def remove_field(self, object_name: str, field_name: str) -> None:
        """Removes a field and its values; raises ApiError where there is none."""
        with self.lock:
            kind, field = self._field(object_name, field_name)
            self.hide_field(kind.name, field.name)
            with self.cursor() as cursor:
                cursor.execute(f"UPDATE {quoted(kind.name)} SET {quoted(field.name)} = NULL")

    def retype_field(self, object_name: str, field: Field) -> None:
        """Gives a field another type; values that do not fit become null. Raises ApiError where there is none."""
        with self.lock:
            kind, old = self._field(object_name, field.name)
            table, column = quoted(kind.name), quoted(old.name)
            parked = quoted(f"{old.name} before")
            with self.cursor() as cursor:
                # an indexed table takes no change of type: the values move to a new column
                cursor.execute(f'CREATE TEMP TABLE {parked} AS SELECT "Id", {column} AS v FROM {table}')
                cursor.execute(f"DROP INDEX IF EXISTS {quoted('by_id_' + kind.name)}")
                cursor.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
                cursor.execute(f"ALTER TABLE {table} ADD COLUMN {column} {field.storage}")
                cursor.execute(
                    f"UPDATE {table} SET {column} = try_cast(p.v AS {field.storage}) FROM {parked} AS p "
                    f'WHERE {table}."Id" = p."Id"'
                )
                cursor.execute(f"DROP TABLE {parked}")
                cursor.execute(f'CREATE UNIQUE INDEX {quoted("by_id_" + kind.name)} ON {table} ("Id")')
            renamed = replace(field, name=old.name)
            self.objects[kind.name.lower()] = kind.with_fields(renamed if f is old else f for f in kind.fields)

    def _field(self, object_name: str, field_name: str) -> tuple[ObjectType, Field]:
        kind = self.required_object(object_name)
        field = kind.field(field_name)
        if field is None or field.name in schema.SYSTEM_FIELDS:
            raise ApiError(400, "INVALID_FIELD", f"{kind.name} has no field {field_name} to change", [field_name])
        return kind, field

    def refuse(self, refusal: Refusal) -> None:
        """Refuses writes from now on, as validation rules, triggers and locks of other transactions do."""
        with self.lock:
            self.required_object(refusal.object)
            self.refusals.append(refusal)

    def truth(self, name: str) -> list[str]:
        """Every record of an object, deleted ones too, as JSON text by Id, straight from the store."""
        kind = self.required_object(name)
        columns = ", ".join(quoted(f.name) for f in kind.fields)
        with self.cursor() as cursor:
            sql = f'SELECT to_json(r)::VARCHAR FROM (SELECT {columns} FROM {quoted(kind.name)} ORDER BY "Id") AS r'
            return [row[0] for row in cursor.execute(sql).fetchall()]

    # filling

    def _register(self, name: str, table: pa.Table, types: Mapping[str, Field]) -> None:
        standard = schema.standard_object(name)
        if standard is None:
            self.reports.append(
                f"{name}: not a standard object that the simulator knows; fields without a type are text"
            )
        kind = standard or ObjectType(name, None, schema.label_of(name), schema.label_of(name), ())
        present: list[Field] = []
        for column in table.column_names:
            found = types.get(column) or kind.field(column) or schema.system_field(column)
            if found is None:
                found = schema.make_field(column, "string")
                self.reports.append(f"{name}.{column}: not a standard field; taken as text")
            present.append(found)
        with self.lock, self.cursor() as cursor:
            cursor.register("incoming", table)
            columns = ", ".join(
                f"{read_sql(f, quoted(c), table.schema.field(c).type)} AS {quoted(f.name)}"
                for c, f in zip(table.column_names, present, strict=True)
            )
            cursor.execute(f"CREATE TABLE {quoted(name)} AS SELECT {columns or '1 AS none'} FROM incoming")
            cursor.unregister("incoming")
        ordered = sorted(present, key=lambda f: _position(kind, f))
        prefix = kind.key_prefix
        if prefix is None and any(f.name == "Id" for f in present):
            with self.cursor() as cursor:
                row = cursor.execute(f'SELECT substr("Id", 1, 3) FROM {quoted(name)} LIMIT 1').fetchone()
            prefix = row[0] if row else None
        self.objects[name.lower()] = replace(kind, key_prefix=prefix, fields=tuple(ordered), _by_name={})

    def _widened(self, table: pa.Table) -> pa.Table:
        with self.cursor() as cursor:
            cursor.register("offered", table)
            sql = f'SELECT * REPLACE ({ids.to_18_sql(quoted("RecordTypeId"))} AS "RecordTypeId") FROM offered'
            return cursor.execute(sql).to_arrow_table()

    def _after_latest(self) -> datetime:
        latest = _EARLIEST
        with self.cursor() as cursor:
            for kind in self.objects.values():
                for stamp in kind.fields:
                    if stamp.name in _STAMPS:
                        top = _scalar(cursor, f"SELECT max({quoted(stamp.name)}) FROM {quoted(kind.name)}")
                        latest = max(latest, top or latest)
        if latest == _EARLIEST:
            raise InputError(
                "no record has CreatedDate, LastModifiedDate or SystemModstamp.",
                where="the org",
                advice="Give its clock with --now, such as --now 2026-01-01T00:00:00Z.",
            )
        return latest.replace(tzinfo=UTC, microsecond=0) + timedelta(seconds=1)

    def _fill_system_fields(self) -> None:
        for key, kind in list(self.objects.items()):
            wanted = schema.standard_object(kind.name)
            if wanted is None:
                expected = [f for n in schema.SYSTEM_FIELDS if (f := schema.system_field(n))]
            else:
                expected = [f for f in wanted.fields if f.name in schema.SYSTEM_FIELDS]
            missing = [f for f in expected if kind.field(f.name) is None]
            full = ObjectType(kind.name, None, "", "", (*kind.fields, *missing))
            with self.lock, self.cursor() as cursor:
                for absent in missing:
                    cursor.execute(f"ALTER TABLE {quoted(kind.name)} ADD COLUMN {quoted(absent.name)} {absent.storage}")
                for system in expected:
                    self._fill(cursor, full, system, absent=system in missing)
                cursor.execute(f'CREATE UNIQUE INDEX {quoted("by_id_" + kind.name)} ON {quoted(kind.name)} ("Id")')
            ordered = sorted(full.fields, key=lambda f: _position(wanted or full, f))
            self.objects[key] = replace(kind, fields=tuple(ordered), _by_name={})

    def _fill(self, cursor: duckdb.DuckDBPyConnection, kind: ObjectType, system: Field, *, absent: bool) -> None:
        """Gives each record without a value of this system field one, and says so."""
        table, column = quoted(kind.name), quoted(system.name)
        empty = _scalar(cursor, f"SELECT count(*) FROM {table} WHERE {column} IS NULL")
        if not empty:
            if absent:
                self.reports.append(f"{kind.name}.{system.name}: missing, added")
            return
        if system.name == "Id":
            top = cursor.execute(f"SELECT max({column}) FROM {table}").fetchone()
            first = ids.number_of(top[0]) + 1 if top and top[0] else 1
            rows = cursor.execute(f"SELECT rowid FROM {table} WHERE {column} IS NULL ORDER BY rowid").fetchall()
            prefix = kind.key_prefix or (schema.standard_object(kind.name) or kind).key_prefix or "a00"
            made = pa.table(
                {"at": [r[0] for r in rows], "id": [ids.numbered(prefix, first + i) for i in range(len(rows))]}
            )
            cursor.register("made_ids", made)
            cursor.execute(f"UPDATE {table} SET {column} = made_ids.id FROM made_ids WHERE {table}.rowid = made_ids.at")
            cursor.unregister("made_ids")
            source = "numbered"
        elif system.name == "IsDeleted":
            cursor.execute(f"UPDATE {table} SET {column} = false WHERE {column} IS NULL")
            source = "false"
        else:
            others = [o for o in _FALLBACKS[system.name] if kind.field(o)]
            chain = ", ".join([*(quoted(o) for o in others), "CAST(? AS TIMESTAMP)"])
            # a record that says nothing of its time is as old as the org's clock allows: not newer than anything known
            cursor.execute(
                f"UPDATE {table} SET {column} = coalesce({chain}) WHERE {column} IS NULL", [self.naive_now()]
            )
            source = " else ".join([*others, "the org's clock"])
        self.reports.append(f"{kind.name}.{system.name}: filled in for {empty} records ({source})")


def _position(kind: ObjectType, wanted: Field) -> int:
    names = [f.name for f in kind.fields]
    return names.index(wanted.name) if wanted.name in names else (-1 if wanted.name == "Id" else len(names))


def _scalar(cursor: duckdb.DuckDBPyConnection, sql: str) -> Any:
    row = cursor.execute(sql).fetchone()
    return row[0] if row else None
