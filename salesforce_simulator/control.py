"""The endpoints by which a test steers the org; off unless asked for. They are no part of the service."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from salesforce_simulator.errors import ApiError, InputError
from salesforce_simulator.http_types import Request, Response, Route, route
from salesforce_simulator.living import LivingOrg
from salesforce_simulator.org import Refusal

if TYPE_CHECKING:
    from salesforce_simulator.service import Service


class Control:
    """Rows, clock, counts and faults from outside."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.living = LivingOrg(service.org, service.auth.user_id, service.options.seed)

    def routes(self) -> list[Route]:
        """The endpoints of this module."""
        base = "/simulator"
        return [
            route("POST", f"{base}/rows/{{object}}", "control", self.put_rows, open_to_all=True),
            route("DELETE", f"{base}/rows/{{object}}/{{id}}", "control", self.purge_row, open_to_all=True),
            route("POST", f"{base}/clock", "control", self.set_clock, open_to_all=True),
            route("GET", f"{base}/clock", "control", self.clock, open_to_all=True),
            route("GET", f"{base}/requests", "control", self.requests, open_to_all=True),
            route("POST", f"{base}/faults", "control", self.plan_faults, open_to_all=True),
            route("GET", f"{base}/faults", "control", self.faults, open_to_all=True),
            route("DELETE", f"{base}/faults", "control", self.clear_faults, open_to_all=True),
            route("POST", f"{base}/changes", "control", self.change, open_to_all=True),
            route("GET", f"{base}/truth/{{object}}", "control", self.truth, open_to_all=True),
            route("POST", f"{base}/refusals", "control", self.refuse, open_to_all=True),
            route("POST", f"{base}/hidden/{{object}}/{{field}}", "control", self.hide_field, open_to_all=True),
        ]

    def put_rows(self, request: Request) -> Response:
        """Upserts records by Id, exactly as given."""
        records = request.json()
        if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
            raise ApiError(400, "JSON_PARSER_ERROR", "rows are a JSON list of objects")
        return Response.of_json({"rows": self.service.org.upsert(request.parts["object"], records)})

    def purge_row(self, request: Request) -> Response:
        """Removes a record for good; with `?logged=false` getDeleted does not know of it either."""
        logged = request.query.get("logged") != "false"
        rows = self.service.org.purge(request.parts["object"], request.parts["id"], logged=logged)
        return Response.of_json({"rows": rows})

    def set_clock(self, request: Request) -> Response:
        """Sets the org's clock."""
        try:
            self.service.org.set_now(datetime.fromisoformat(str(request.json_object().get("now"))))
        except ValueError as error:
            raise ApiError(400, "JSON_PARSER_ERROR", f"now: {error}") from None
        return self.clock(request)

    def clock(self, request: Request) -> Response:
        """The org's clock."""
        return Response.of_json({"now": self.service.org.now.isoformat()})

    def requests(self, request: Request) -> Response:
        """Requests served so far, by kind."""
        return Response.of_json(dict(self.service.requests))

    def plan_faults(self, request: Request) -> Response:
        """Plans faults; see `faults.Faults.plan`."""
        entries = request.json()
        try:
            self.service.faults.plan(entries if isinstance(entries, list) else [entries])
        except (InputError, TypeError, ValueError, AttributeError) as error:
            raise ApiError(400, "INVALID_FAULT", str(error)) from None
        return self.faults(request)

    def faults(self, request: Request) -> Response:
        """How often each fault fired."""
        return Response.of_json(dict(self.service.faults.fired))

    def clear_faults(self, request: Request) -> Response:
        """Forgets the faults that are still planned."""
        self.service.faults.clear()
        return self.faults(request)

    def change(self, request: Request) -> Response:
        """Plays a script of changes in order; see `living.LivingOrg.play`. Stops at the first that is refused."""
        script = request.json()
        if not isinstance(script, list) or not all(isinstance(c, dict) for c in script):
            raise ApiError(400, "JSON_PARSER_ERROR", "changes are a JSON list of objects")
        return Response.of_json([self.living.play(c) for c in script])

    def truth(self, request: Request) -> Response:
        """Every record of an object as it is stored, deleted ones too."""
        body = "[" + ",".join(self.service.org.truth(request.parts["object"])) + "]"
        return Response(200, body.encode(), {"Content-Type": "application/json;charset=UTF-8"})

    def refuse(self, request: Request) -> Response:
        """Refuses writes to some records; see `org.Refusal`."""
        try:
            self.service.org.refuse(Refusal(**request.json_object()))
        except TypeError as error:
            raise ApiError(400, "INVALID_REFUSAL", str(error)) from None
        return Response.of_json({"refusals": len(self.service.org.refusals)})

    def hide_field(self, request: Request) -> Response:
        """Hides a field, as field-level security does."""
        self.service.org.hide_field(request.parts["object"], request.parts["field"])
        return Response.of_json({"hidden": request.parts["field"]})
