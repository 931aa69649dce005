"""The REST API's versions, resources, limits and queries with their cursors. Describe has a module of its own."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from salesforce_simulator import ids
from salesforce_simulator.columns import column_metadata
from salesforce_simulator.errors import ApiError
from salesforce_simulator.http_types import Request, Response, Route, route
from salesforce_simulator.org import Org
from salesforce_simulator.rendering import RenderedRows, json_sql, render
from salesforce_simulator.soql.to_sql import compile_query

if TYPE_CHECKING:
    from salesforce_simulator.service import Service

_MIN_BATCH, _MAX_BATCH = 200, 2000
#: Cursors that stay open; the oldest is closed by the next, as the service does it at its own number.
_MAX_CURSORS = 50
_DATA = "/services/data/v{version}"


@dataclass
class _Cursor:
    rows: RenderedRows
    batch: int
    pretty: bool


class Rest:
    """Queries and what lies around them."""

    def __init__(self, org: Org, service: Service) -> None:
        self.org, self.service = org, service
        self._cursors: OrderedDict[str, _Cursor] = OrderedDict()
        self._lock = threading.Lock()
        self._opened = 0

    def routes(self) -> list[Route]:
        """The endpoints of this module."""
        return [
            route("GET", "/services/data", "versions", self.versions, open_to_all=True),
            route("GET", _DATA, "resources", self.resources),
            route("GET", f"{_DATA}/limits", "limits", self.limits),
            route("GET", f"{_DATA}/query", "rest_query", self.query),
            route("GET", f"{_DATA}/queryAll", "rest_query", self.query_all),
            route("GET", f"{_DATA}/query/{{locator}}", "rest_query_more", self.query_more),
            route("GET", f"{_DATA}/queryAll/{{locator}}", "rest_query_more", self.query_more),
        ]

    def versions(self, request: Request) -> Response:
        """All API versions, newest last."""
        from salesforce_simulator.service import API_VERSION, OLDEST_VERSION

        found = []
        for number in range(OLDEST_VERSION, int(float(API_VERSION)) + 1):
            season = ("Spring", "Summer", "Winter")[number % 3]
            year = 24 + (number - 60) // 3 + (season == "Winter")
            found.append(
                {"label": f"{season} '{year:02d}", "url": f"/services/data/v{number}.0", "version": f"{number}.0"}
            )
        return Response.of_json(found, request.pretty)

    def resources(self, request: Request) -> Response:
        """The resources of one version."""
        base = f"/services/data/v{request.version}"
        names = ("query", "queryAll", "sobjects", "limits", "ui-api", "jobs")
        return Response.of_json({n: f"{base}/{n}" for n in names}, request.pretty)

    def limits(self, request: Request) -> Response:
        """What is allowed in a day and what is left of it."""
        options, jobs = self.service.options, self.service.bulk2
        used = {
            "DailyApiRequests": (options.daily_api_requests, self.service.used),
            "DailyBulkV2QueryJobs": (options.daily_bulk_jobs, jobs.created),
            "DailyBulkV2QueryFileStorageMB": (976_562, jobs.bytes_made // 1_000_000),
            "DailyBulkApiBatches": (15_000, 0),
            "DataStorageMB": (1024, 0),
            "FileStorageMB": (1024, 0),
        }
        body = {name: {"Max": most, "Remaining": max(0, most - taken)} for name, (most, taken) in used.items()}
        return Response.of_json(body, request.pretty)

    def query(self, request: Request) -> Response:
        """The first page of a query without deleted and archived records."""
        return self._first(request, all_rows=False)

    def query_all(self, request: Request) -> Response:
        """The first page of a query over all records."""
        return self._first(request, all_rows=True)

    def _first(self, request: Request, *, all_rows: bool) -> Response:
        text = request.query.get("q")
        if text is None:
            raise ApiError(400, "MALFORMED_QUERY", "A query string has to be specified")
        compiled = compile_query(self.org, text, all_rows=all_rows)
        if request.query.get("columns") == "true":
            return Response.of_json(column_metadata(compiled), request.pretty)
        with self.org.cursor() as cursor:
            if compiled.count_only:
                row = cursor.execute(compiled.sql, compiled.parameters).fetchone()
                counted: dict[str, object] = {"totalSize": row[0] if row else 0, "done": True, "records": []}
                return Response.of_json(counted, request.pretty)
            sql = json_sql(compiled, request.version, pretty=request.pretty)
            rows = render(cursor, sql, compiled.parameters)
        found = _Cursor(rows, _batch_size(request.headers.get("sforce-query-options", "")), request.pretty)
        if len(rows) <= found.batch:
            page = self._page(request, found, "", 0)
            rows.close()
            return page
        with self._lock:
            self._opened += 1
            locator = ids.numbered("01g", self._opened)
            self._cursors[locator] = found
            if len(self._cursors) > _MAX_CURSORS:
                self._cursors.popitem(last=False)[1].rows.close()
        return self._page(request, found, locator, 0)

    def query_more(self, request: Request) -> Response:
        """A further page; raises INVALID_QUERY_LOCATOR where the cursor or the place in it does not exist."""
        locator, _, place = request.parts["locator"].partition("-")
        with self._lock:
            found = self._cursors.get(locator)
        if found is None or not re.fullmatch(r"\d{1,12}", place) or int(place) > len(found.rows):
            raise ApiError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(request, found, locator, int(place))

    def forget_cursors(self) -> None:
        """Loses every cursor."""
        with self._lock:
            for found in self._cursors.values():
                found.rows.close()
            self._cursors.clear()

    @staticmethod
    def _page(request: Request, found: _Cursor, locator: str, start: int) -> Response:
        stop = min(start + found.batch, len(found.rows))
        done = stop >= len(found.rows)
        pretty = found.pretty
        total, following = len(found.rows), f"/services/data/v{request.version}/query/{locator}-{stop}"
        if pretty:
            more = "" if done else f'  "nextRecordsUrl" : "{following}",\n'
            head = f'{{\n  "totalSize" : {total},\n  "done" : {str(done).lower()},\n{more}  "records" : [ '
            body = head.encode() + found.rows.read(start, stop)[:-2] + b" ]\n}"
        else:
            more = "" if done else f'"nextRecordsUrl":"{following}",'
            head = f'{{"totalSize":{total},"done":{str(done).lower()},{more}"records":['
            body = head.encode() + found.rows.read(start, stop)[:-1] + b"]}"
        return Response(200, body, {"Content-Type": "application/json;charset=UTF-8"})

    def close(self) -> None:
        """Frees the cursors."""
        self.forget_cursors()


def _batch_size(options: str) -> int:
    match = re.search(r"batchSize\s*=\s*(\d{1,6})", options, re.IGNORECASE)
    return min(_MAX_BATCH, max(_MIN_BATCH, int(match[1]))) if match else _MAX_BATCH
