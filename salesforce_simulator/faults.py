"""What can go wrong, one entry each, and when: by request kind and count. The wire faults are played by `server`.

A fault acts before a request is served, on its response, or on the wire. To add one, write a class and list it in `FAULTS`.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from salesforce_simulator.errors import ApiError, InputError
from salesforce_simulator.http_types import Request, Response

if TYPE_CHECKING:
    from salesforce_simulator.service import Service


@dataclass
class Fault:
    """One planned fault: it lets `after` matching requests pass, then strikes `count` times."""

    on: str
    count: int = 1
    skip: int = 0
    value: Any = None

    kind: ClassVar[str] = ""

    def before(self, service: Service, request: Request) -> Response | None:
        """A response to give instead of serving the request, or None. May raise ApiError."""
        return None

    def after(self, service: Service, request: Request, response: Response) -> None:
        """Changes the response to a request that was served."""


class SessionExpired(Fault):
    """Every session ends; the request is answered 401 INVALID_SESSION_ID."""

    kind = "session_expired"

    def before(self, service: Service, request: Request) -> Response | None:
        service.auth.expire_all()
        raise ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")


class ServerUnavailable(Fault):
    """503 with an HTML page, as a load balancer sends it."""

    kind = "server_unavailable"

    def before(self, service: Service, request: Request) -> Response | None:
        page = b"<html><head><title>Error</title></head><body><h1>503 Service Unavailable</h1></body></html>"
        return Response(503, page, {"Content-Type": "text/html"})


class RateLimited(Fault):
    """429 with Retry-After; `value` is the number of seconds (1 unless given)."""

    kind = "rate_limited"

    def before(self, service: Service, request: Request) -> Response | None:
        error = ApiError(429, "REQUEST_LIMIT_EXCEEDED", "Too many requests. Try again later.")
        response = Response.of_json(error.body(), request.pretty, 429)
        response.headers["Retry-After"] = str(1 if self.value is None else self.value)
        return response


class RequestLimit(Fault):
    """403 REQUEST_LIMIT_EXCEEDED: the day's requests are used up."""

    kind = "request_limit_exceeded"

    def before(self, service: Service, request: Request) -> Response | None:
        raise ApiError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")


class QueryTimeout(Fault):
    """400 QUERY_TIMEOUT."""

    kind = "query_timeout"

    def before(self, service: Service, request: Request) -> Response | None:
        raise ApiError(400, "QUERY_TIMEOUT", "Your query request was running for too long.")


class DropRow(Fault):
    """One record is missing from a page, though the counts still include it."""

    kind = "drop_row"

    def after(self, service: Service, request: Request, response: Response) -> None:
        if request.kind == "bulk_results":
            header, _, rows = response.body.partition(b"\n")
            response.body = header + b"\n" + rows[_row_end(rows) :]
            return
        page = json.loads(response.body) if response.status == 200 else {}
        if page.get("records"):
            del page["records"][len(page["records"]) // 2]
            response.body = Response.of_json(page, request.pretty).body


class WrongCount(Fault):
    """The stated number of records is one too high."""

    kind = "wrong_count"

    def after(self, service: Service, request: Request, response: Response) -> None:
        if "Sforce-NumberOfRecords" in response.headers:
            response.headers["Sforce-NumberOfRecords"] = str(int(response.headers["Sforce-NumberOfRecords"]) + 1)
            return
        page = json.loads(response.body)
        for name in ("totalSize", "numberRecordsProcessed"):
            if name in page:
                page[name] += 1
        response.body = Response.of_json(page, request.pretty).body


class JobFailed(Fault):
    """The job that the request creates ends as Failed."""

    kind = "job_failed"
    outcome: ClassVar[str] = "Failed"

    def after(self, service: Service, request: Request, response: Response) -> None:
        if response.status == 200:
            service.bulk2.jobs[json.loads(response.body)["id"]].doom = self.outcome


class JobAborted(JobFailed):
    """The job that the request creates ends as Aborted, by somebody else's hand."""

    kind = "job_aborted"
    outcome = "Aborted"


class JobStuck(JobFailed):
    """The job that the request creates stays InProgress for good."""

    kind = "job_stuck"
    outcome = "stuck"


class TruncatedBody(Fault):
    """The body stops half way, short of its Content-Length, and the connection closes."""

    kind = "truncated_body"

    def after(self, service: Service, request: Request, response: Response) -> None:
        response.transport = self.kind


class Reset(TruncatedBody):
    """The connection is reset half way through the body."""

    kind = "reset"


FAULTS: dict[str, type[Fault]] = {
    f.kind: f
    for f in (
        SessionExpired, ServerUnavailable, RateLimited, RequestLimit, QueryTimeout, DropRow, WrongCount, JobFailed,
        JobAborted, JobStuck, TruncatedBody, Reset,
    )
}  # fmt: skip


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
        """Adds faults: each entry names `kind` and `on` (a request kind, or * for all); `count`, `skip` and `value` may follow.

        `skip` matching requests pass first. Raises InputError and adds none where an entry is not understood.
        """
        planned = []
        for entry in entries:
            kind = FAULTS.get(str(entry.get("kind")))
            unknown = set(entry) - {"kind", "on", "count", "skip", "value"}
            if kind is None or unknown or not isinstance(entry.get("on", "*"), str):
                raise InputError(
                    f"cannot plan {dict(entry)}.", where="faults", advice=f"Known kinds: {', '.join(sorted(FAULTS))}."
                )
            planned.append(
                kind(entry.get("on", "*"), int(entry.get("count", 1)), int(entry.get("skip", 0)), entry.get("value"))
            )
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
