"""The UI API: which values of a picklist a record type offers, the one public place that knows a process's stages."""

from __future__ import annotations

from hashlib import md5
from typing import Any

from salesforce_simulator import ids
from salesforce_simulator.errors import ApiError
from salesforce_simulator.http_types import Request, Response, Route, route
from salesforce_simulator.org import Org

_VALUES = "/services/data/v{version}/ui-api/object-info/{object}/picklist-values/{record_type}"


class UiApi:
    """Picklist values per record type."""

    def __init__(self, org: Org) -> None:
        self.org = org

    def routes(self) -> list[Route]:
        """The endpoints of this module."""
        return [
            route("GET", f"{_VALUES}/{{field}}", "picklist_values", self.one),
            route("GET", _VALUES, "picklist_values", self.all),
        ]

    def one(self, request: Request) -> Response:
        """The values of one field."""
        values = self._values(request, request.parts["field"])
        return Response.of_json(values, request.pretty)

    def all(self, request: Request) -> Response:
        """The values of all picklists of the object that differ by record type: StageName, where it has one."""
        kind = self.org.required_object(request.parts["object"])
        fields = ["StageName"] if kind.field("StageName") else []
        body = {"picklistFieldValues": {f: self._values(request, f) for f in fields}}
        return Response.of_json(body, request.pretty)

    def _values(self, request: Request, field_name: str) -> dict[str, Any]:
        kind = self.org.required_object(request.parts["object"])
        field = kind.field(field_name)
        if field is None or field.type not in ("picklist", "multipicklist"):
            raise ApiError(400, "INVALID_PARAMETER_VALUE", f"Invalid picklist field {field_name} on {kind.name}")
        record_type = ids.to_18(request.parts["record_type"])
        if field.name == "StageName":
            offered = self.org.stage_values(record_type)
        else:
            offered = [(v, v) for v in field.picklist] if self.org.has_record_type(record_type) else None
        if offered is None:
            raise ApiError(404, "NOT_FOUND", f"The record type {record_type} does not exist")
        flags = self.org.stage_flags() if field.name == "StageName" else {}
        base = f"/services/data/v{request.version}/ui-api/object-info/{kind.name}/picklist-values/{record_type}"
        return {
            "controllerValues": {},
            "defaultValue": None,
            "eTag": md5(repr(offered).encode(), usedforsecurity=False).hexdigest(),
            "url": f"{base}/{field.name}",
            "values": [{"attributes": flags.get(v[0]), "label": v[1], "validFor": [], "value": v[0]} for v in offered],
        }
