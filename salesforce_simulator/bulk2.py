"""Bulk API 2.0 query jobs: create, watch, read by locator, abort, delete. Results are rendered once."""

from __future__ import annotations

import base64
import binascii
import itertools
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb

from salesforce_simulator import ids
from salesforce_simulator.errors import ApiError
from salesforce_simulator.http_types import Request, Response, Route, route
from salesforce_simulator.org import Org
from salesforce_simulator.rendering import DELIMITERS, LINE_ENDINGS, RenderedRows, csv_header, csv_sql, render
from salesforce_simulator.soql.to_sql import Compiled, compile_query

if TYPE_CHECKING:
    from salesforce_simulator.service import Options

_JOBS = "/services/data/v{version}/jobs/query"
FINAL = frozenset({"JobComplete", "Failed", "Aborted"})
_LIST_PAGE = 1000
_PARALLEL_PAGES = 5


@dataclass
class Job:
    """One query job. `polls` counts how often its state was asked for; `doom` is a final state that a fault decided."""

    id: str
    operation: str
    text: str
    version: str
    delimiter: str
    line_ending: str
    created: datetime
    user: str
    compiled: Compiled
    state: str = "UploadComplete"
    polls: int = 0
    doom: str | None = None
    error: str | None = None
    rows: RenderedRows | None = None
    finished: threading.Event = field(default_factory=threading.Event)


class Bulk2:
    """The query jobs of an org."""

    def __init__(self, org: Org, options: Options) -> None:
        self.org, self.options = org, options
        self.jobs: dict[str, Job] = {}
        self.created = 0
        self.bytes_made = 0
        self._lock = threading.Lock()

    def routes(self) -> list[Route]:
        """The endpoints of this module."""
        return [
            route("POST", _JOBS, "bulk_create", self.create),
            route("GET", _JOBS, "bulk_list", self.list),
            route("GET", f"{_JOBS}/{{id}}", "bulk_status", self.status),
            route("PATCH", f"{_JOBS}/{{id}}", "bulk_abort", self.abort),
            route("DELETE", f"{_JOBS}/{{id}}", "bulk_delete", self.delete),
            route("GET", f"{_JOBS}/{{id}}/results", "bulk_results", self.results),
            route("GET", f"{_JOBS}/{{id}}/resultPages", "bulk_result_pages", self.result_pages),
        ]

    def create(self, request: Request) -> Response:
        """Takes a job on and starts it; raises ApiError where the query or an option cannot be served."""
        body = request.json_object()
        operation = body.get("operation")
        if operation not in ("query", "queryAll"):
            raise ApiError(400, "INVALIDJOB", f"Unable to find operation: {operation}")
        if body.get("contentType", "CSV") != "CSV":
            raise ApiError(400, "INVALIDJOB", f"Unsupported content type: {body.get('contentType')}")
        delimiter, line_ending = str(body.get("columnDelimiter", "COMMA")), str(body.get("lineEnding", "LF"))
        if delimiter not in DELIMITERS or line_ending not in LINE_ENDINGS:
            raise ApiError(400, "INVALIDJOB", f"Invalid columnDelimiter or lineEnding: {delimiter}, {line_ending}")
        text = body.get("query")
        if not isinstance(text, str) or not text.strip():
            raise ApiError(400, "MALFORMED_QUERY", "A query string has to be specified")
        compiled = compile_query(self.org, text, all_rows=operation == "queryAll")
        check_bulk(compiled)
        with self._lock:
            if self.created >= self.options.daily_bulk_jobs:
                raise ApiError(400, "EXCEEDED_QUOTA", "ApiBatchItems Limit exceeded.")
            self.created += 1
            job = Job(
                id=ids.numbered("750", self.created),
                operation=operation,
                text=text,
                version=request.version,
                delimiter=delimiter,
                line_ending=line_ending,
                created=self.org.now,
                user=request.user,
                compiled=compiled,
            )
            self.jobs[job.id] = job
        threading.Thread(target=self._run, args=(job,), daemon=True).start()
        return Response.of_json(self._info(job, short=True), request.pretty)

    def _run(self, job: Job) -> None:
        statement = csv_sql(job.compiled, DELIMITERS[job.delimiter], LINE_ENDINGS[job.line_ending])
        try:
            with self.org.cursor() as cursor:
                rows = render(cursor, statement, job.compiled.parameters)
        except duckdb.Error as error:
            job.error = f"InternalServerError: {type(error).__name__}"
        else:
            with self._lock:
                self.bytes_made += int(rows.offsets[-1])
            job.rows = rows
        job.finished.set()

    def status(self, request: Request) -> Response:
        """The job as it stands; it is seen InProgress at least `polls_in_progress` times before it ends."""
        job = self._job(request)
        self._move(job)
        return Response.of_json(self._info(job), request.pretty)

    def _move(self, job: Job) -> None:
        with self._lock:
            job.polls += 1
            if job.state in FINAL or job.doom == "stuck":
                job.state = job.state if job.state in FINAL else "InProgress"
                return
            if job.polls <= self.options.polls_in_progress or not job.finished.is_set():
                job.state = "InProgress"
            elif job.doom:
                job.state = job.doom
                job.error = job.error or ("InternalServerError: the job failed" if job.doom == "Failed" else None)
            else:
                job.state = "Failed" if job.error else "JobComplete"

    def list(self, request: Request) -> Response:
        """All jobs, newest last."""
        with self._lock:
            jobs = list(itertools.islice(self.jobs.values(), _LIST_PAGE))
        return Response.of_json(
            {"done": True, "nextRecordsUrl": None, "records": [self._info(j, short=True) for j in jobs]}, request.pretty
        )

    def abort(self, request: Request) -> Response:
        """Ends a job that is not finished."""
        job = self._job(request)
        if request.json_object().get("state") != "Aborted":
            raise ApiError(400, "INVALIDJOBSTATE", "Only the state Aborted can be set")
        with self._lock:
            if job.state in FINAL:
                raise ApiError(400, "INVALIDJOBSTATE", f"Aborting already {job.state} Job not allowed")
            job.state = "Aborted"
        return Response.of_json(self._info(job), request.pretty)

    def delete(self, request: Request) -> Response:
        """Forgets a finished job and its results."""
        job = self._job(request)
        with self._lock:
            if job.state not in FINAL:
                raise ApiError(409, "INVALIDJOBSTATE", f"Deleting a job in state {job.state} is not allowed")
            del self.jobs[job.id]
        if job.rows is not None:
            job.rows.close()
        return Response(204)

    def forget(self, job_id: str) -> None:
        """Loses a job, as when somebody else deleted it."""
        with self._lock:
            self.jobs.pop(ids.to_18(job_id), None)

    def results(self, request: Request) -> Response:
        """One page of results by `locator` and `maxRecords`."""
        job = self._job(request)
        if job.state != "JobComplete" or job.rows is None:
            raise ApiError(400, "INVALIDJOBSTATE", f"The results of a job in state {job.state} cannot be read")
        start = _start(request.query.get("locator"), len(job.rows))
        stop = min(start + self._page_rows(request), len(job.rows))
        header = csv_header(job.compiled, DELIMITERS[job.delimiter], LINE_ENDINGS[job.line_ending])
        following = "null" if stop >= len(job.rows) else locator(stop)
        return Response(
            200,
            header + job.rows.read(start, stop),
            {
                "Content-Type": "text/csv; charset=UTF-8",
                "Sforce-Locator": following,
                "Sforce-NumberOfRecords": str(stop - start),
            },
        )

    def result_pages(self, request: Request) -> Response:
        """Up to five addresses of result pages that can be read side by side, and where the next five are."""
        job = self._job(request)
        if job.state != "JobComplete" or job.rows is None:
            raise ApiError(400, "INVALIDJOBSTATE", f"The results of a job in state {job.state} cannot be read")
        first, size = _start(request.query.get("locator"), len(job.rows)), self._page_rows(request)
        starts = [first + i * size for i in range(_PARALLEL_PAGES)]
        base = f"/services/data/v{request.version}/jobs/query/{job.id}"
        pages = [
            {"resultUrl": f"{base}/results?locator={locator(start)}&maxRecords={size}"}
            for start in starts
            if start < len(job.rows) or start == 0
        ]
        following = first + _PARALLEL_PAGES * size
        done = following >= len(job.rows)
        body: dict[str, Any] = {"resultPages": pages, "done": done}
        if not done:
            body["nextRecordsUrl"] = f"{base}/resultPages?locator={locator(following)}&maxRecords={size}"
        return Response.of_json(body, request.pretty)

    def _page_rows(self, request: Request) -> int:
        given = request.query.get("maxRecords")
        if given is None:
            return self.options.bulk_page_rows
        if not given.isdigit() or not 0 < int(given) < 10**9:
            raise ApiError(400, "INVALID_QUERY_PARAMETER_VALUE", f"maxRecords must be a positive number, not {given}")
        return int(given)

    def _job(self, request: Request) -> Job:
        job = self.jobs.get(ids.to_18(request.parts["id"]))
        if job is None:
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        if job.version != request.version:
            raise ApiError(
                409, "CONFLICT", f"The job was created with API version {job.version}, not {request.version}"
            )
        return job

    def _info(self, job: Job, *, short: bool = False) -> dict[str, Any]:
        moment = job.created.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        info: dict[str, Any] = {
            "id": job.id,
            "operation": job.operation,
            "object": job.compiled.kind.name,
            "createdById": job.user,
            "createdDate": moment,
            "systemModstamp": moment,
            "state": job.state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(job.version),
            "lineEnding": job.line_ending,
            "columnDelimiter": job.delimiter,
        }
        if not short:
            done = job.state == "JobComplete" and job.rows is not None
            info |= {
                "jobType": "V2Query",
                "numberRecordsProcessed": len(job.rows) if done and job.rows is not None else 0,
                "retries": 0,
                "totalProcessingTime": 0,
                "isPkChunkingSupported": True,
            }
            if job.state == "Failed":
                info["errorMessage"] = job.error
        return info

    def close(self) -> None:
        """Frees all results once their work is done."""
        for job in self.jobs.values():
            job.finished.wait(timeout=30)
            if job.rows is not None:
                job.rows.close()


def check_bulk(compiled: Compiled) -> None:
    """Refuses what the Bulk API does not serve, though the REST API does."""
    if not compiled.kind.bulk:
        raise ApiError(400, "INVALIDENTITY", f"Entity '{compiled.kind.name}' is not supported by the Bulk API.")
    for refused, what in (
        (compiled.aggregate, "Aggregate queries are"),
        (bool(compiled.children), "Nested queries are"),
        (compiled.uses_offset, "OFFSET is"),
        (compiled.uses_fields, "The SOQL FIELDS function is"),
    ):
        if refused:
            raise ApiError(400, "API_ERROR", f"{what} not supported in Bulk Query")


def locator(row: int) -> str:
    """The locator of a row of a result."""
    return base64.b64encode(str(row).encode()).decode().rstrip("=")


def place(text: str) -> int:
    """The row that a locator leads to; -1 where it is none."""
    try:
        return int(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except (ValueError, binascii.Error):
        return -1


def _start(text: str | None, total: int) -> int:
    row = 0 if text is None else place(text)
    if not 0 <= row <= total:
        raise ApiError(400, "INVALID_QUERY_LOCATOR", f"Invalid locator: {text}")
    return row
