"""The REST API's records, one and many: create, read, update, delete, upsert, and what was deleted or updated."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from salesforce_simulator import ids
from salesforce_simulator.changes import Changes
from salesforce_simulator.errors import ApiError
from salesforce_simulator.http_types import Request, Response, Route, route
from salesforce_simulator.org import quoted
from salesforce_simulator.rendering import json_sql, render
from salesforce_simulator.soql.to_sql import compile_query

if TYPE_CHECKING:
    from salesforce_simulator.service import Service

_SOBJECTS = "/services/data/v{version}/sobjects"
_COLLECTIONS = "/services/data/v{version}/composite/sobjects"
_MAX_COLLECTION = 200
_DELETED_DAYS, _UPDATED_DAYS = 15, 30


class Records:
    """Endpoints of records."""

    def __init__(self, service: Service) -> None:
        self.service, self.org = service, service.org

    def routes(self) -> list[Route]:
        """The endpoints of this module."""
        one = f"{_SOBJECTS}/{{object}}/{{id}}"
        external = f"{_SOBJECTS}/{{object}}/{{field}}/{{value}}"
        return [
            route("GET", f"{_SOBJECTS}/{{object}}/deleted", "get_deleted", self.deleted),
            route("GET", f"{_SOBJECTS}/{{object}}/updated", "get_updated", self.updated),
            route("POST", f"{_SOBJECTS}/{{object}}", "record_create", self.create),
            route("GET", one, "record_read", self.read),
            route("PATCH", one, "record_update", self.update),
            route("DELETE", one, "record_delete", self.delete),
            route("GET", external, "record_read", self.read_external),
            route("PATCH", external, "record_upsert", self.upsert_external),
            route("POST", _COLLECTIONS, "collection_create", self.create_many),
            route("PATCH", _COLLECTIONS, "collection_update", self.update_many),
            route("DELETE", _COLLECTIONS, "collection_delete", self.delete_many),
            route("GET", f"{_COLLECTIONS}/{{object}}", "collection_read", self.read_many),
            route("POST", f"{_COLLECTIONS}/{{object}}", "collection_read", self.read_many),
            route("PATCH", f"{_COLLECTIONS}/{{object}}/{{field}}", "collection_upsert", self.upsert_many),
        ]

    def _changes(self, request: Request) -> Changes:
        return Changes(self.org, request.user)

    # single records

    def create(self, request: Request) -> Response:
        """A new record."""
        record_id = self._changes(request).create(request.parts["object"], request.json_object())
        return Response.of_json({"id": record_id, "success": True, "errors": []}, request.pretty, 201)

    def read(self, request: Request) -> Response:
        """One record, or those of its fields that are asked for."""
        kind = self.org.required_object(request.parts["object"])
        if not ids.is_id(request.parts["id"]):
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        Changes(self.org, request.user).living(kind, request.parts["id"])
        wanted = request.query.get("fields")
        fields = [f.strip() for f in wanted.split(",")] if wanted else [f.name for f in kind.fields]
        return Response.of_json(self._rendered(request, kind.name, fields, [request.parts["id"]])[0], request.pretty)

    def update(self, request: Request) -> Response:
        """Changes one record."""
        self._changes(request).update(request.parts["object"], request.parts["id"], request.json_object())
        return Response(204)

    def delete(self, request: Request) -> Response:
        """Puts one record into the recycle bin."""
        self._changes(request).delete(request.parts["object"], request.parts["id"])
        return Response(204)

    def read_external(self, request: Request) -> Response:
        """One record by the value of an external id."""
        name, field, value = (request.parts[p] for p in ("object", "field", "value"))
        try:
            record_id = self._by_external(name, field, value)
        except _ManyFoundError as many:
            base = f"/services/data/v{request.version}/sobjects/{name}"
            return Response.of_json([f"{base}/{found}" for found in many.ids], request.pretty, 300)
        if record_id is None:
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        request.parts["id"] = record_id
        return self.read(request)

    def upsert_external(self, request: Request) -> Response:
        """Creates or changes the record with that value of an external id."""
        name, field, value = (request.parts[p] for p in ("object", "field", "value"))
        try:
            record_id, created = self._upsert(request, name, field, value, request.json_object())
        except _ManyFoundError as many:
            base = f"/services/data/v{request.version}/sobjects/{name}"
            return Response.of_json([f"{base}/{record_id}" for record_id in many.ids], request.pretty, 300)
        body = {"id": record_id, "success": True, "errors": [], "created": created}
        return Response.of_json(body, request.pretty, 201 if created else 200)

    # collections

    def create_many(self, request: Request) -> Response:
        """Up to 200 new records."""
        return self._each(request, lambda record: (self._changes(request).create(_type(record), record), True))

    def update_many(self, request: Request) -> Response:
        """Changes up to 200 records, each with its `id`."""

        def update(record: dict[str, Any]) -> tuple[str, None]:
            record_id = str(record.get("id") or record.get("Id"))
            values = {k: v for k, v in record.items() if k not in ("id", "Id")}
            self._changes(request).update(_type(record), record_id, values)
            return ids.to_18(record_id), None

        return self._each(request, update)

    def upsert_many(self, request: Request) -> Response:
        """Creates or changes up to 200 records by an external id."""
        field = request.parts["field"]

        def upsert(record: dict[str, Any]) -> tuple[str, bool]:
            values = {k: v for k, v in record.items() if k.lower() != field.lower()}
            given = next((v for k, v in record.items() if k.lower() == field.lower()), None)
            return self._upsert(request, request.parts["object"], field, str(given), values)

        return self._each(request, upsert)

    def delete_many(self, request: Request) -> Response:
        """Puts up to 200 records into the recycle bin, by `ids` in the query string."""
        wanted = [i.strip() for i in request.query.get("ids", "").split(",") if i.strip()]

        def delete(record: dict[str, Any]) -> tuple[str, None]:
            record_id = ids.to_18(record["id"])
            self._changes(request).delete(self._object_of(record_id), record_id)
            return record_id, None

        return self._each(request, delete, [{"id": i} for i in wanted])

    def read_many(self, request: Request) -> Response:
        """Records by id, null where there is none."""
        kind = self.org.required_object(request.parts["object"])
        if request.method == "POST":
            body = request.json_object()
            listed = [v if isinstance(v, list) else [] for v in (body.get("ids"), body.get("fields"))]
            wanted, fields = ([str(v) for v in values] for values in listed)
        else:
            wanted = [i for i in request.query.get("ids", "").split(",") if i]
            fields = [f for f in request.query.get("fields", "").split(",") if f]
        if not wanted or not fields:
            raise ApiError(400, "INVALID_INPUT", "ids and fields are required")
        shown = fields if any(f.lower() == "id" for f in fields) else ["Id", *fields]
        valid = [i for i in wanted if ids.is_id(i)]
        found = {r["Id"]: r for r in (self._rendered(request, kind.name, shown, valid) if valid else [])}
        return Response.of_json([found.get(ids.to_18(i)) for i in wanted], request.pretty)

    def _each(self, request: Request, act: Any, records: list[dict[str, Any]] | None = None) -> Response:
        all_or_none = request.query.get("allOrNone") == "true"
        if records is None:
            body = request.json_object()
            records, all_or_none = body.get("records"), bool(body.get("allOrNone", False))
        if not isinstance(records, list) or not records or not all(isinstance(r, dict) for r in records):
            raise ApiError(400, "INVALID_INPUT", "records are required")
        if len(records) > _MAX_COLLECTION:
            raise ApiError(400, "EXCEEDED_ID_LIMIT", f"record limit reached. cannot submit more than {_MAX_COLLECTION}")
        if all_or_none:
            raise ApiError(501, "NOT_IMPLEMENTED", "allOrNone is not supported by this simulator")
        results: list[dict[str, Any]] = []
        for record in records:
            try:
                record_id, created = act(record)
            except ApiError as error:
                failure = {"statusCode": error.code, "message": error.message, "fields": error.fields or []}
                results.append({"success": False, "errors": [failure]})
            else:
                done: dict[str, Any] = {"id": record_id, "success": True, "errors": []}
                if created is not None and request.kind == "collection_upsert":
                    done["created"] = created
                results.append(done)
        return Response.of_json(results, request.pretty)

    # what changed

    def deleted(self, request: Request) -> Response:
        """Ids deleted in `[start, end)`, at most 15 days back; records that were undeleted are not among them."""
        kind = self.org.required_object(request.parts["object"])
        start, end = self._window(request, _DELETED_DAYS)
        found: list[tuple[str, datetime]] = []
        if kind.field("IsDeleted") and kind.field("SystemModstamp"):
            with self.org.cursor() as cursor:
                sql = (
                    f'SELECT "Id", "SystemModstamp" FROM {quoted(kind.name)} '
                    'WHERE "IsDeleted" AND "SystemModstamp" >= ? AND "SystemModstamp" < ? ORDER BY 2, 1'
                )
                found = cursor.execute(sql, [start, end]).fetchall()
        found += [(i, at) for i, at in self.org.purged(kind.name) if start <= at < end]
        body = {
            "deletedRecords": [{"id": i, "deletedDate": _moment(at)} for i, at in sorted(found, key=lambda f: f[::-1])],
            "earliestDateAvailable": _moment(self.org.naive_now() - timedelta(days=_DELETED_DAYS)),
            "latestDateCovered": _moment(min(end, self.org.naive_now())),
        }
        return Response.of_json(body, request.pretty)

    def updated(self, request: Request) -> Response:
        """Ids of living records created or changed in `[start, end)`, at most 30 days back."""
        kind = self.org.required_object(request.parts["object"])
        start, end = self._window(request, _UPDATED_DAYS)
        if kind.field("SystemModstamp") is None:
            raise ApiError(400, "INVALID_TYPE_FOR_OPERATION", f"{kind.name} is not replicateable")
        living = 'AND NOT "IsDeleted"' if kind.field("IsDeleted") else ""
        with self.org.cursor() as cursor:
            sql = (
                f'SELECT "Id" FROM {quoted(kind.name)} '
                f'WHERE "SystemModstamp" >= ? AND "SystemModstamp" < ? {living} ORDER BY "SystemModstamp", "Id"'
            )
            found = [row[0] for row in cursor.execute(sql, [start, end]).fetchall()]
        covered = _moment(min(end, self.org.naive_now()))
        return Response.of_json({"ids": found, "latestDateCovered": covered}, request.pretty)

    def _window(self, request: Request, days: int) -> tuple[datetime, datetime]:
        bounds = []
        for name in ("start", "end"):
            try:
                # a plus sign that was not encoded arrives as a space
                moment = datetime.fromisoformat(request.query.get(name, "").replace(" ", "+"))
            except ValueError:
                raise ApiError(400, "INVALID_DATE_FORMAT", f"{name} must be a dateTime") from None
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            bounds.append(aware.astimezone(UTC).replace(tzinfo=None, microsecond=0))
        start, end = bounds
        if end - start < timedelta(minutes=1):
            raise ApiError(400, "INVALID_REPLICATION_DATE", "startDate must be at least one minute before endDate")
        if start < self.org.naive_now() - timedelta(days=days):
            raise ApiError(400, "INVALID_REPLICATION_DATE", f"startDate cannot be more than {days} days ago")
        return start, end

    # reading

    def _rendered(self, request: Request, name: str, fields: list[str], record_ids: list[str]) -> list[dict[str, Any]]:
        for field in fields:
            if not re.fullmatch(r"\w+(\.\w+)*", field):
                raise ApiError(400, "INVALID_FIELD", f"No such column '{field}' on sobject of type {name}", [field])
        listed = ", ".join(f"'{ids.to_18(i)}'" for i in record_ids)
        compiled = compile_query(self.org, f"SELECT {', '.join(fields)} FROM {name} WHERE Id IN ({listed})")
        with self.org.cursor() as cursor:
            rows = render(cursor, json_sql(compiled, request.version), compiled.parameters)
        records: list[dict[str, Any]] = json.loads(b"[" + rows.read(0, len(rows)).rstrip(b",") + b"]")
        rows.close()
        return records

    def _by_external(self, name: str, field_name: str, value: str) -> str | None:
        kind = self.org.required_object(name)
        field = kind.field(field_name)
        if field is None or not (field.external_id or field.custom or field.name == "Id"):
            raise ApiError(
                404, "NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {field_name}"
            )
        living = 'AND NOT "IsDeleted"' if kind.field("IsDeleted") else ""
        with self.org.cursor() as cursor:
            sql = f'SELECT "Id" FROM {quoted(kind.name)} WHERE CAST({quoted(field.name)} AS VARCHAR) = ? {living}'
            found = cursor.execute(sql, [ids.to_18(value) if field.name == "Id" else value]).fetchall()
        if len(found) > 1:
            raise _ManyFoundError(field.name, [row[0] for row in found])
        return found[0][0] if found else None

    def _upsert(self, request: Request, name: str, field: str, value: str, values: dict[str, Any]) -> tuple[str, bool]:
        changes = self._changes(request)
        with self.org.lock:
            record_id = self._by_external(name, field, value)
            if record_id is not None:
                changes.update(name, record_id, values)
                return record_id, False
            if field.lower() == "id":
                raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
            return changes.create(name, {**values, field: value}), True

    def _object_of(self, record_id: str) -> str:
        for kind in self.org.objects.values():
            if kind.key_prefix == record_id[:3]:
                return kind.name
        raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")


class _ManyFoundError(ApiError):
    """Several records hold one external id: alone that is answered by 300 and their addresses, in a collection by this."""

    def __init__(self, field: str, found: list[str]) -> None:
        message = f"{field}: more than one record found for external id field: [{', '.join(found)}]"
        super().__init__(300, "DUPLICATE_EXTERNAL_ID", message, [field])
        self.ids = found


def _type(record: dict[str, Any]) -> str:
    attributes = record.get("attributes")
    if not isinstance(attributes, dict) or not attributes.get("type"):
        raise ApiError(400, "INVALID_INPUT", "each record needs attributes with its type")
    return str(attributes["type"])


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
