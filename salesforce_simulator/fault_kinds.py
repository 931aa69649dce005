"""What can go wrong, one function each. A fault acts before a request is served, on its response, or on the wire.

To add one, write the function under `@before` or `@after` with its name, or a line in TRANSPORT that `server` plays.
`value` is the argument that the plan gives it.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from salesforce_simulator import bulk2
from salesforce_simulator.errors import ApiError, OAuthError
from salesforce_simulator.http_types import Request, Response

if TYPE_CHECKING:
    from salesforce_simulator.service import Service

#: What the wire can do to a body.
TRANSPORT = {
    "truncated_body": "the body stops half way, short of its Content-Length, and the connection closes",
    "reset": "the connection is reset half way through the body",
    "cut_chunk": "a chunked body stops inside a chunk, and the connection closes",
    "truncated_gzip": "the gzip stream is cut, though the length of what is sent is stated right",
    "close_delimited": "no length is stated, half of the body is sent, and the connection closes",
    "stall": "half of the body is sent, then nothing for `value` seconds (5), then the rest",
    "slow_drip": "the body comes in 20 pieces spread over `value` seconds (2)",
}

_Before = Callable[[Any, "Service", Request], Response | None]
_After = Callable[[Any, "Service", Request, Response], None]
BEFORE: dict[str, _Before] = {}
AFTER: dict[str, _After] = {}


def before(kind: str) -> Callable[[_Before], _Before]:
    """Registers a fault that strikes before a request is served."""

    def register(play: _Before) -> _Before:
        BEFORE[kind] = play
        return play

    return register


def after(kind: str) -> Callable[[_After], _After]:
    """Registers a fault that changes the response."""

    def register(play: _After) -> _After:
        AFTER[kind] = play
        return play

    return register


def names() -> list[str]:
    """The names of all faults."""
    return sorted({*BEFORE, *AFTER, *TRANSPORT})


# login and limits


@before("session_expired")
def _session_expired(value: Any, service: Service, request: Request) -> Response | None:
    """Every session ends; the request is answered 401 INVALID_SESSION_ID."""
    service.auth.expire_all()
    raise ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")


@before("login_refused")
def _login_refused(value: Any, service: Service, request: Request) -> Response | None:
    """On token: a grant or a refresh that is refused."""
    raise OAuthError("invalid_grant", "expired access/refresh token")


@before("request_limit_exceeded")
def _request_limit(value: Any, service: Service, request: Request) -> Response | None:
    """403: the day's requests are used up."""
    raise ApiError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")


@before("daily_jobs_used_up")
def _daily_jobs(value: Any, service: Service, request: Request) -> Response | None:
    """On bulk_create: the day's query jobs are used up."""
    raise ApiError(400, "EXCEEDED_QUOTA", "ApiBatchItems Limit exceeded.")


@before("rate_limited")
def _rate_limited(value: Any, service: Service, request: Request) -> Response | None:
    """429 with Retry-After; `value` is the number of seconds (1 unless given)."""
    error = ApiError(429, "REQUEST_LIMIT_EXCEEDED", "Too many requests. Try again later.")
    response = Response.of_json(error.body(), request.pretty, 429)
    response.headers["Retry-After"] = str(1 if value is None else value)
    return response


@before("server_unavailable")
def _server_unavailable(value: Any, service: Service, request: Request) -> Response | None:
    """503 with an HTML page, as a load balancer sends it."""
    page = b"<html><head><title>Error</title></head><body><h1>503 Service Unavailable</h1></body></html>"
    return Response(503, page, {"Content-Type": "text/html"})


# content


@after("drop_row")
def _drop_row(value: Any, service: Service, request: Request, response: Response) -> None:
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
def _wrong_count(value: Any, service: Service, request: Request, response: Response) -> None:
    """The stated number of records is one too high."""
    if "Sforce-NumberOfRecords" in response.headers:
        response.headers["Sforce-NumberOfRecords"] = str(int(response.headers["Sforce-NumberOfRecords"]) + 1)
        return
    # a page whose count another fault took away states nothing that could be wrong
    if response.status != 200 or request.kind == "bulk_results":
        return
    page = json.loads(response.body)
    for name in ("totalSize", "numberRecordsProcessed"):
        if name in page:
            page[name] += 1
    response.body = Response.of_json(page, request.pretty).body


@after("missing_count")
def _missing_count(value: Any, service: Service, request: Request, response: Response) -> None:
    """On bulk_results: no Sforce-NumberOfRecords."""
    response.headers.pop("Sforce-NumberOfRecords", None)


@after("missing_locator")
def _missing_locator(value: Any, service: Service, request: Request, response: Response) -> None:
    """On bulk_results: no Sforce-Locator."""
    response.headers.pop("Sforce-Locator", None)


@after("cut_row")
def _cut_row(value: Any, service: Service, request: Request, response: Response) -> None:
    """On bulk_results: the last row breaks off, though the length is stated right."""
    response.body = response.body[:-6]


@after("nul_byte")
def _nul_byte(value: Any, service: Service, request: Request, response: Response) -> None:
    """On bulk_results: the first value of the first row holds a NUL."""
    header, separator, rows = response.body.partition(b"\n")
    response.body = header + separator + rows[:1] + b"\x00" + rows[1:]


@after("wrong_encoding")
def _wrong_encoding(value: Any, service: Service, request: Request, response: Response) -> None:
    """The body is UTF-16, though its header says UTF-8."""
    response.body = response.body.decode().encode("utf-16")


@after("missing_page")
def _missing_page(value: Any, service: Service, request: Request, response: Response) -> None:
    """The next page is left out: the locator leads to the one after it. On bulk_result_pages: the last address is left out."""
    if request.kind == "bulk_result_pages":
        _change_addresses(request, response, lambda pages: pages[:-1])
    else:
        _move_locator(request, response, pages=1)


@after("repeated_page")
def _repeated_page(value: Any, service: Service, request: Request, response: Response) -> None:
    """The page comes once more: the locator leads back to it. On bulk_result_pages: the first address in the last one's place."""
    if request.kind == "bulk_result_pages":
        _change_addresses(request, response, lambda pages: [*pages[:-1], pages[0]])
    else:
        _move_locator(request, response, pages=-1)


@before("tiny_page")
def _tiny_page(value: Any, service: Service, request: Request) -> Response | None:
    """On bulk_results: a page of one row."""
    request.query["maxRecords"] = "1"
    return None


@after("empty_page")
def _empty_page(value: Any, service: Service, request: Request, response: Response) -> None:
    """On bulk_results: a page without rows, whose locator leads to the rows that it left out."""
    response.body = response.body.partition(b"\n")[0] + b"\n"
    response.headers["Sforce-NumberOfRecords"] = "0"
    response.headers["Sforce-Locator"] = request.query.get("locator") or bulk2.locator(0)


# server


@before("query_timeout")
def _query_timeout(value: Any, service: Service, request: Request) -> Response | None:
    """400 QUERY_TIMEOUT."""
    raise ApiError(400, "QUERY_TIMEOUT", "Your query request was running for too long.")


@before("lost_locator")
def _lost_locator(value: Any, service: Service, request: Request) -> Response | None:
    """On rest_query_more: the cursor is gone, and so is every other."""
    service.rest.forget_cursors()
    return None


@before("job_deleted")
def _job_deleted(value: Any, service: Service, request: Request) -> Response | None:
    """On bulk_status or bulk_results: somebody else deleted the job."""
    service.bulk2.forget(request.parts.get("id", ""))
    return None


@before("not_served")
def _not_served(value: Any, service: Service, request: Request) -> Response | None:
    """404: the resource is not there, as resultPages on a release that lacks it."""
    raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")


@before("version_conflict")
def _version_conflict(value: Any, service: Service, request: Request) -> Response | None:
    """409: the API version does not fit."""
    raise ApiError(409, "CONFLICT", "The API version of the request does not fit that of the job")


@before("bulk_unsupported")
def _bulk_unsupported(value: Any, service: Service, request: Request) -> Response | None:
    """On bulk_create: the object is not served by the Bulk API."""
    raise ApiError(400, "INVALIDENTITY", "Entity is not supported by the Bulk API.")


def _doom(outcome: str) -> _After:
    def play(value: Any, service: Service, request: Request, response: Response) -> None:
        if response.status == 200 and request.kind == "bulk_create":
            service.bulk2.jobs[json.loads(response.body)["id"]].doom = outcome

    return play


#: On bulk_create: how the job that is created ends.
AFTER |= {"job_failed": _doom("Failed"), "job_aborted": _doom("Aborted"), "job_stuck": _doom("stuck")}


# data and time


@before("rows_change")
def _rows_change(value: Any, service: Service, request: Request) -> Response | None:
    """Records change while the client extracts: `value` is {"object": name, "records": [...]}, taken exactly as given.

    Plays updates, deletes and undeletes under way, commits that land late under the watermark, equal timestamps.
    """
    service.org.upsert(value["object"], value["records"])
    return None


@after("clock_skew")
def _clock_skew(value: Any, service: Service, request: Request, response: Response) -> None:
    """The Date header is `value` seconds off (60)."""
    response.headers["Date"] = service.date_header(60 if value is None else float(value))


def _move_locator(request: Request, response: Response, pages: int) -> None:
    """Moves the place that a response says comes next by whole pages; the last page has none and stays as it is."""
    if response.headers.get("Sforce-Locator", "null") != "null":
        # another fault may have left the header out: then the page itself is counted
        stated = response.headers.get("Sforce-NumberOfRecords")
        rows = csv.reader(response.body.decode("utf-8", "replace").splitlines(keepends=True))
        size = int(stated) if stated is not None else sum(1 for _ in rows) - 1
        place = bulk2.place(response.headers["Sforce-Locator"]) + pages * size
        response.headers["Sforce-Locator"] = bulk2.locator(place)
    elif b"nextRecordsUrl" in response.body:
        size = len(json.loads(response.body)["records"])
        response.body = re.sub(
            rb'("nextRecordsUrl" ?: ?"[^"]*-)(\d+)',
            lambda m: m[1] + b"%d" % (int(m[2]) + pages * size),
            response.body,
            count=1,
        )


def _change_addresses(
    request: Request, response: Response, change: Callable[[list[dict[str, str]]], list[dict[str, str]]]
) -> None:
    if response.status == 200:
        body = json.loads(response.body)
        body["resultPages"] = change(body["resultPages"])
        response.body = Response.of_json(body, request.pretty).body


def _row_end(rows: bytes) -> int:
    """Where the first CSV record ends, with line breaks inside quotes counted in."""
    quotes = 0
    for at, char in enumerate(rows):
        if char == 0x22:
            quotes += 1
        elif char == 0x0A and quotes % 2 == 0:
            return at + 1
    return len(rows)
