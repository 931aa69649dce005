"""The service behind the port: takes a request through routing, session, faults and its handler. No sockets here."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from typing import Protocol

from salesforce_simulator import auth, bulk1, bulk2, composite, control, describe, records, rest, ui_api
from salesforce_simulator.errors import ApiError, OAuthError
from salesforce_simulator.faults import Faults
from salesforce_simulator.http_types import Request, Response, Route
from salesforce_simulator.org import Org

API_VERSION = "62.0"
OLDEST_VERSION = 31


@dataclass(frozen=True)
class Options:
    """What the operator of the simulator may set.

    `bulk_page_rows` is the page that Bulk 2.0 serves where the client names none; `polls_in_progress` says how often a
    job is seen InProgress at least; `jwt_public_key` (PEM) checks the JWT bearer grant; the daily limits are those of
    `/limits`. `seed` draws the random changes of a living org. Sessions end `session_minutes` after their login by the
    org's clock, or never; `api_bursts` adds that allowance to Sforce-Limit-Info. `instance_url` is what logins name as
    the org's address, where clients reach it by another one than the port's own.
    """

    client_id: str = "3MVG9leanSimulatorClient"
    client_secret: str = "simulator-client-secret-0123456789"  # noqa: S105 - guards generated data on loopback
    username: str = "integration@example.com"
    password: str = "simulator-password"  # noqa: S105
    security_token: str = "simulatorSecurityToken"  # noqa: S105
    refresh_token: str = "5Aep861SimulatorRefreshToken0123456789"  # noqa: S105
    jwt_public_key: str | None = None
    session_minutes: int | None = None
    api_bursts: int | None = None
    instance_url: str | None = None
    control: bool = False
    seed: int = 7
    bulk_page_rows: int = 50_000
    polls_in_progress: int = 1
    daily_api_requests: int = 100_000
    daily_bulk_jobs: int = 10_000


class Endpoints(Protocol):
    """A module of endpoints."""

    def routes(self) -> list[Route]:
        """Its routes."""
        ...


class Service:
    """An org with all its endpoints; `handle` may be called from many threads."""

    def __init__(self, org: Org, options: Options | None = None, faults: Faults | None = None) -> None:
        self.org, self.options, self.base_url = org, options or Options(), "http://127.0.0.1"
        self.faults = faults or Faults()
        self.requests: Counter[str] = Counter()
        self.used = 0
        self._lock = threading.Lock()
        self.auth = auth.Auth(self.org, self.options)
        self.bulk2 = bulk2.Bulk2(self.org, self.options)
        self.rest = rest.Rest(self.org, self)
        endpoints: list[Endpoints] = [
            self.auth,
            self.bulk2,
            bulk1.Bulk1(self),
            self.rest,
            describe.Describe(self.org),
            ui_api.UiApi(self.org),
            # after describe, whose paths would else be taken for ids
            records.Records(self),
            composite.Composite(self),
        ]
        if self.options.control:
            endpoints.append(control.Control(self))
        self.routes: list[Route] = [r for e in endpoints for r in e.routes()]

    def handle(self, request: Request) -> Response:
        """The response to a request, with faults played and errors written as the service writes them."""
        try:
            response = self._answer(request)
        except bulk1.Bulk1Error as error:
            response = error.response()
        except ApiError as error:
            response = Response.of_json(error.body(), request.pretty, error.status)
        except OAuthError as error:
            body = {"error": error.error, "error_description": error.description}
            response = Response.of_json(body, request.pretty, error.status)
        if request.kind and not request.kind.startswith(("control", "token")):
            usage = f"api-usage={self.used}/{self.options.daily_api_requests}"
            if self.options.api_bursts is not None:
                usage += f"; api-bursts=1/{self.options.api_bursts}"
            response.headers.setdefault("Sforce-Limit-Info", usage)
        return response

    def _answer(self, request: Request) -> Response:
        found = self._route(request)
        request.kind = found.kind
        if found.kind == "control":
            return found.handler(request)
        with self._lock:
            self.requests[found.kind] += 1
            if not found.open_to_all:
                self.used += 1
        faults = self.faults.due(found.kind)
        for fault in faults:
            answer = fault.before(self, request)
            if answer is not None:
                return answer
        if not found.open_to_all:
            request.user = self._user(request)
        response = found.handler(request)
        for fault in faults:
            fault.after(self, request, response)
        return response

    def _user(self, request: Request) -> str:
        if not request.path.startswith("/services/async/"):
            return self.auth.user_of(request.headers.get("authorization", ""))
        try:
            return self.auth.user_of(request.headers.get("x-sfdc-session", ""))
        except ApiError:
            raise bulk1.session_error(request) from None

    def _route(self, request: Request) -> Route:
        allowed = []
        for candidate in self.routes:
            match = candidate.pattern.fullmatch(request.path)
            if match is None:
                continue
            if candidate.method != request.method:
                allowed.append(candidate.method)
                continue
            request.parts = match.groupdict()
            request.version = request.parts.get("version", API_VERSION)
            if not OLDEST_VERSION <= float(request.version) <= float(API_VERSION):
                break
            return candidate
        if allowed:
            raise ApiError(
                405,
                "METHOD_NOT_ALLOWED",
                f"HTTP Method '{request.method}' not allowed. Allowed are {','.join(allowed)}",
            )
        if re.match(r"/services/(data|async)/v?\d", request.path):
            # the service wants a session before it says what exists
            self.auth.user_of(request.headers.get("authorization", "") or request.headers.get("x-sfdc-session", ""))
        raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")

    def date_header(self, skew: float = 0) -> str:
        """The org's clock, off by `skew` seconds, as a Date header."""
        return format_datetime(self.org.now + timedelta(seconds=skew), usegmt=True)

    def close(self) -> None:
        """Frees results and records."""
        self.bulk2.close()
        self.rest.close()
        self.org.close()
