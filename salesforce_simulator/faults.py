"""What can go wrong, one function each, and when: by request kind and count. `server` plays those of the wire.

A fault acts before a request is served (and may answer it or raise) or on its response. To add one, write the function
under `@before` or `@after` with its name.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from salesforce_simulator.errors import ApiError, InputError
from salesforce_simulator.http_types import Request, Response

if TYPE_CHECKING:
    from salesforce_simulator.service import Service

#: What the wire can do to a body; `server` plays it.
TRANSPORT = {
    "truncated_body": "the body stops half way, short of its Content-Length, and the connection closes",
    "reset": "the connection is reset half way through the body",
}


@dataclass
class Fault:
    """One planned fault: it lets `skip` matching requests pass, then strikes `count` times; `value` is its argument."""

    kind: str
    on: str = "*"
    count: int = 1
    skip: int = 0
    value: Any = None

    def before(self, service: Service, request: Request) -> Response | None:
        """A response to give instead of serving the request, or None. May raise ApiError."""
        play = _BEFORE.get(self.kind)
        return play(self, service, request) if play else None

    def after(self, service: Service, request: Request, response: Response) -> None:
        """Changes the response to a request that was served."""
        if self.kind in TRANSPORT:
            response.transport = self.kind
        elif play := _AFTER.get(self.kind):
            play(self, service, request, response)


_Before = Callable[[Fault, "Service", Request], Response | None]
_After = Callable[[Fault, "Service", Request, Response], None]
_BEFORE: dict[str, _Before] = {}
_AFTER: dict[str, _After] = {}


def before(kind: str) -> Callable[[_Before], _Before]:
    """Registers a fault that strikes before a request is served."""

    def register(play: _Before) -> _Before:
        _BEFORE[kind] = play
        return play

    return register


def after(kind: str) -> Callable[[_After], _After]:
    """Registers a fault that changes the response."""

    def register(play: _After) -> _After:
        _AFTER[kind] = play
        return play

    return register


def kinds() -> list[str]:
    """The names of all faults."""
    return sorted({*_BEFORE, *_AFTER, *TRANSPORT})


# login and limits


@before("session_expired")
def _session_expired(fault: Fault, service: Service, request: Request) -> Response | None:
    """Every session ends; the request is answered 401 INVALID_SESSION_ID."""
    service.auth.expire_all()
    raise ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")


@before("request_limit_exceeded")
def _request_limit(fault: Fault, service: Service, request: Request) -> Response | None:
    """403: the day's requests are used up."""
    raise ApiError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")


@before("rate_limited")
def _rate_limited(fault: Fault, service: Service, request: Request) -> Response | None:
    """429 with Retry-After; `value` is the number of seconds (1 unless given)."""
    error = ApiError(429, "REQUEST_LIMIT_EXCEEDED", "Too many requests. Try again later.")
    response = Response.of_json(error.body(), request.pretty, 429)
    response.headers["Retry-After"] = str(1 if fault.value is None else fault.value)
    return response


@before("server_unavailable")
def _server_unavailable(fault: Fault, service: Service, request: Request) -> Response | None:
    """503 with an HTML page, as a load balancer sends it."""
    page = b"<html><head><title>Error</title></head><body><h1>503 Service Unavailable</h1></body></html>"
    return Response(503, page, {"Content-Type": "text/html"})


# content


@after("drop_row")
def _drop_row(fault: Fault, service: Service, request: Request, response: Response) -> None:
    """One record is missing from a page, though the counts still include it."""
    if response.status != 200:
        return
    if request.kind == "bulk_results":
        header, _, rows = response.body.partition(b"\n")
        response.body = header + b"\n" + rows[_row_end(rows) :]
        return
    page = json.loads(response.body)
    if page.get("records"):
        del page["records"][len(page["records"]) // 2]
        response.body = Response.of_json(page, request.pretty).body


@after("wrong_count")
def _wrong_count(fault: Fault, service: Service, request: Request, response: Response) -> None:
    """The stated number of records is one too high."""
    if "Sforce-NumberOfRecords" in response.headers:
        response.headers["Sforce-NumberOfRecords"] = str(int(response.headers["Sforce-NumberOfRecords"]) + 1)
        return
    if response.status != 200:
        return
    page = json.loads(response.body)
    for name in ("totalSize", "numberRecordsProcessed"):
        if name in page:
            page[name] += 1
    response.body = Response.of_json(page, request.pretty).body


# server


@before("query_timeout")
def _query_timeout(fault: Fault, service: Service, request: Request) -> Response | None:
    """400 QUERY_TIMEOUT."""
    raise ApiError(400, "QUERY_TIMEOUT", "Your query request was running for too long.")


def _doom(outcome: str) -> _After:
    def play(fault: Fault, service: Service, request: Request, response: Response) -> None:
        if response.status == 200 and request.kind == "bulk_create":
            service.bulk2.jobs[json.loads(response.body)["id"]].doom = outcome

    return play


#: On bulk_create: how the job that is created ends.
_AFTER |= {"job_failed": _doom("Failed"), "job_aborted": _doom("Aborted"), "job_stuck": _doom("stuck")}


def _row_end(rows: bytes) -> int:
    """Where the first CSV record ends, with line breaks inside quotes counted in."""
    quotes = 0
    for at, char in enumerate(rows):
        if char == 0x22:
            quotes += 1
        elif char == 0x0A and quotes % 2 == 0:
            return at + 1
    return len(rows)


class Faults:
    """The faults that are planned, and how often each fired."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []
        self._lock = threading.Lock()
        self.fired: Counter[str] = Counter()

    def plan(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Adds faults: each entry names `kind`; `on` (a request kind, * for all), `count`, `skip`, `value` may follow.

        `skip` matching requests pass first. Raises InputError and adds none where an entry is not understood.
        """
        planned = []
        for entry in entries:
            unknown = set(entry) - {"kind", "on", "count", "skip", "value"}
            numbers = [entry.get("count", 1), entry.get("skip", 0)]
            if (
                entry.get("kind") not in kinds()
                or unknown
                or not isinstance(entry.get("on", "*"), str)
                or not all(isinstance(n, int) and n >= 0 for n in numbers)
            ):
                raise InputError(f"cannot plan {dict(entry)}.", where="faults", advice=f"Kinds: {', '.join(kinds())}.")
            planned.append(Fault(**entry))
        with self._lock:
            self._planned += planned

    def clear(self) -> None:
        """Forgets what is planned; the counts stay."""
        with self._lock:
            self._planned.clear()

    def due(self, request_kind: str) -> list[Fault]:
        """The faults that strike this request, counted as fired."""
        due = []
        with self._lock:
            for fault in self._planned:
                if fault.count <= 0 or fault.on not in ("*", request_kind):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.count -= 1
                self.fired[fault.kind] += 1
                due.append(fault)
        return due
