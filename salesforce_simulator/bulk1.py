"""Bulk API 1.0 queries as older clients make them: a job, batches of one query each, results as CSV, JSON or XML.

A job is spoken of in the language that it was created in, its batches in JSON only where the results are JSON too: a job
created in JSON with CSV results has batches in XML, and clients rely on that.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from salesforce_simulator import ids
from salesforce_simulator.bulk2 import check_bulk
from salesforce_simulator.errors import ApiError
from salesforce_simulator.http_types import Request, Response, Route, route
from salesforce_simulator.rendering import csv_header, csv_sql, json_sql, render, xml_sql
from salesforce_simulator.soql.to_sql import Compiled, compile_query

if TYPE_CHECKING:
    from salesforce_simulator.service import Service

_NAMESPACE = "http://www.force.com/2009/06/asyncapi/dataload"
_SCHEMA = "http://www.w3.org/2001/XMLSchema-instance"
_JOB = "/services/async/{version}/job"
_FORMATS = ("CSV", "XML", "JSON")
_FIELDS = ("operation", "object", "contentType", "concurrencyMode", "state")


@dataclass
class _Batch:
    id: str
    result_id: str
    compiled: Compiled
    content: bytes = b""
    rows: int = 0
    polls: int = 0


@dataclass
class _Job:
    id: str
    operation: str
    object: str
    content_type: str
    concurrency: str
    version: str
    speaks_json: bool
    created: str
    state: str = "Open"
    batches: dict[str, _Batch] = field(default_factory=dict)

    @property
    def batches_speak_json(self) -> bool:
        return self.speaks_json and self.content_type == "JSON"


class Bulk1:
    """The jobs of the older Bulk API. A batch is seen Queued once, and is Completed after that."""

    def __init__(self, service: Service) -> None:
        self.service, self.org = service, service.org
        self._jobs: dict[str, _Job] = {}
        self._numbers = 0
        self._lock = threading.Lock()

    def routes(self) -> list[Route]:
        """The endpoints of this module."""
        batch = f"{_JOB}/{{job}}/batch"
        return [
            route("POST", _JOB, "bulk1_create", self.create),
            route("GET", f"{_JOB}/{{job}}", "bulk1_status", self.status),
            route("POST", f"{_JOB}/{{job}}", "bulk1_close", self.change),
            route("POST", batch, "bulk1_batch", self.add_batch),
            route("GET", batch, "bulk1_status", self.batches),
            route("GET", f"{batch}/{{batch}}", "bulk1_status", self.batch),
            route("GET", f"{batch}/{{batch}}/result", "bulk1_results", self.result_list),
            route("GET", f"{batch}/{{batch}}/result/{{result}}", "bulk1_results", self.result),
        ]

    def create(self, request: Request) -> Response:
        """Opens a job."""
        speaks_json = _speaks_json(request)
        given = _read_info(request, speaks_json)
        kind = self.org.find(given.get("object", ""))
        content_type = given.get("contentType", "XML").upper()
        if given.get("operation") not in ("query", "queryAll"):
            raise _refused(request, "InvalidJob", f"Operation {given.get('operation')} is not supported here")
        if kind is None or not kind.bulk:
            raise _refused(
                request, "InvalidEntity", f"Entity '{given.get('object')}' is not supported by the Bulk API."
            )
        if content_type not in _FORMATS:
            raise _refused(request, "InvalidJob", f"Content type {content_type} is not supported here")
        if "sforce-enable-pkchunking" in request.headers and request.headers["sforce-enable-pkchunking"] != "false":
            raise _refused(request, "FeatureNotEnabled", "PK chunking is not supported here")
        created = self.org.now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        with self._lock:
            self._numbers += 1
            job = _Job(
                id=ids.numbered("750", 10**9 + self._numbers),
                operation=given["operation"],
                object=kind.name,
                content_type=content_type,
                concurrency=given.get("concurrencyMode", "Parallel"),
                version=request.version,
                speaks_json=speaks_json,
                created=created,
            )
            self._jobs[job.id] = job
        return self._answer(job, "jobInfo", self._info(job), 201)

    def status(self, request: Request) -> Response:
        """The job as it stands."""
        job = self._job(request)
        return self._answer(job, "jobInfo", self._info(job))

    def change(self, request: Request) -> Response:
        """Closes or aborts a job."""
        job = self._job(request)
        state = _read_info(request, job.speaks_json).get("state")
        if state not in ("Closed", "Aborted"):
            raise _refused(request, "InvalidJobState", f"State {state} cannot be set")
        job.state = state
        return self._answer(job, "jobInfo", self._info(job))

    def add_batch(self, request: Request) -> Response:
        """Takes a query as a batch and runs it."""
        job = self._job(request)
        if job.state != "Open":
            raise _refused(request, "InvalidJobState", f"The job is {job.state}")
        try:
            text = request.body.decode()
        except UnicodeDecodeError:
            raise _refused(request, "InvalidBatch", "The query is not UTF-8") from None
        try:
            compiled = compile_query(self.org, text, all_rows=job.operation == "queryAll")
            check_bulk(compiled)
        except ApiError as error:
            raise _refused(request, "InvalidBatch", f"Failed to process query: {error.code}: {error.message}") from None
        with self._lock:
            self._numbers += 1
            batch = _Batch(ids.numbered("751", self._numbers), ids.numbered("752", self._numbers), compiled)
            job.batches[batch.id] = batch
        batch.content, batch.rows = self._run(job, compiled)
        return self._answer(job, "batchInfo", self._batch_info(job, batch), 201, of_batch=True)

    def _run(self, job: _Job, compiled: Compiled) -> tuple[bytes, int]:
        statement = {
            "CSV": lambda: csv_sql(compiled),
            "JSON": lambda: json_sql(compiled, job.version, epoch=True),
            "XML": lambda: xml_sql(compiled),
        }[job.content_type]()
        with self.org.cursor() as cursor:
            rows = render(cursor, statement, compiled.parameters)
        content, count = rows.read(0, len(rows)), len(rows)
        rows.close()
        if job.content_type == "CSV":
            return (csv_header(compiled) + content) if count else b"Records not found for this query\n", count
        if job.content_type == "JSON":
            return b"[" + content.rstrip(b",") + b"]", count
        head = f'<?xml version="1.0" encoding="UTF-8"?><queryResult xmlns="{_NAMESPACE}" xmlns:xsi="{_SCHEMA}">'
        return head.encode() + content + b"</queryResult>", count

    def batches(self, request: Request) -> Response:
        """All batches of a job."""
        job = self._job(request)
        infos = [self._batch_info(job, self._seen(b)) for b in job.batches.values()]
        if job.batches_speak_json:
            return Response.of_json({"batchInfo": infos})
        inner = "".join(f"<batchInfo>{_elements(i)}</batchInfo>" for i in infos)
        return _xml("batchInfoList", inner)

    def batch(self, request: Request) -> Response:
        """One batch as it stands."""
        job = self._job(request)
        info = self._batch_info(job, self._seen(self._batch(request, job)))
        return self._answer(job, "batchInfo", info, of_batch=True)

    @staticmethod
    def _seen(batch: _Batch) -> _Batch:
        batch.polls += 1
        return batch

    def result_list(self, request: Request) -> Response:
        """The ids of a batch's results: always one."""
        job = self._job(request)
        batch = self._batch(request, job)
        if job.batches_speak_json:
            return Response.of_json([batch.result_id])
        return _xml("result-list", f"<result>{batch.result_id}</result>")

    def result(self, request: Request) -> Response:
        """The records of a batch."""
        job = self._job(request)
        batch = self._batch(request, job)
        if ids.to_18(request.parts["result"]) != batch.result_id:
            raise _refused(request, "InvalidBatch", "There is no such result")
        kind = {"CSV": "text/csv", "JSON": "application/json", "XML": "application/xml"}[job.content_type]
        return Response(200, batch.content, {"Content-Type": f"{kind};charset=UTF-8"})

    # parts

    def _job(self, request: Request) -> _Job:
        job = self._jobs.get(ids.to_18(request.parts["job"]))
        if job is None:
            raise _refused(request, "InvalidJob", f"Invalid job id: {request.parts['job']}")
        return job

    @staticmethod
    def _batch(request: Request, job: _Job) -> _Batch:
        batch = job.batches.get(ids.to_18(request.parts["batch"]))
        if batch is None:
            raise _refused(request, "InvalidBatch", f"Unable to find batch for id: {request.parts['batch']}")
        return batch

    def _info(self, job: _Job) -> dict[str, Any]:
        done = sum(b.polls > 0 for b in job.batches.values())
        return {
            "id": job.id,
            "operation": job.operation,
            "object": job.object,
            "createdById": self.service.auth.user_id,
            "createdDate": job.created,
            "systemModstamp": job.created,
            "state": job.state,
            "concurrencyMode": job.concurrency,
            "contentType": job.content_type,
            "numberBatchesQueued": len(job.batches) - done,
            "numberBatchesInProgress": 0,
            "numberBatchesCompleted": done,
            "numberBatchesFailed": 0,
            "numberBatchesTotal": len(job.batches),
            "numberRecordsProcessed": sum(b.rows for b in job.batches.values()),
            "numberRetries": 0,
            "apiVersion": float(job.version),
        }

    @staticmethod
    def _batch_info(job: _Job, batch: _Batch) -> dict[str, Any]:
        state = "Completed" if batch.polls > 1 else "InProgress" if batch.polls else "Queued"
        return {
            "id": batch.id,
            "jobId": job.id,
            "state": state,
            "createdDate": job.created,
            "systemModstamp": job.created,
            "numberRecordsProcessed": batch.rows if state == "Completed" else 0,
            "numberRecordsFailed": 0,
        }

    @staticmethod
    def _answer(job: _Job, name: str, info: dict[str, Any], status: int = 200, *, of_batch: bool = False) -> Response:
        if job.batches_speak_json if of_batch else job.speaks_json:
            return Response.of_json(info, status=status)
        return _xml(name, _elements(info), status)


def _speaks_json(request: Request) -> bool:
    return "json" in request.headers.get("content-type", "") + request.headers.get("accept", "")


def _read_info(request: Request, speaks_json: bool) -> dict[str, str]:
    if speaks_json:
        return {k: str(v) for k, v in request.json_object().items() if k in _FIELDS}
    try:
        root = ElementTree.fromstring(request.body)  # noqa: S314 - loopback only, and expat limits expansion
    except ElementTree.ParseError as error:
        raise _refused(request, "InvalidXml", str(error)) from None
    return {name: e.text or "" for e in root if (name := e.tag.rpartition("}")[2]) in _FIELDS}


def _elements(info: dict[str, Any]) -> str:
    return "".join(f"<{k}>{escape(str(v))}</{k}>" for k, v in info.items())


def _xml(name: str, inner: str, status: int = 200) -> Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?><{name} xmlns="{_NAMESPACE}">{inner}</{name}>'
    return Response(status, text.encode(), {"Content-Type": "application/xml;charset=UTF-8"})


class Bulk1Error(ApiError):
    """An error as Bulk 1.0 writes it: one object or one XML element, not a list."""

    def __init__(self, code: str, message: str, *, as_json: bool, status: int = 400) -> None:
        super().__init__(status, code, message)
        self.as_json = as_json

    def response(self) -> Response:
        """The error as a response."""
        if self.as_json:
            return Response.of_json({"exceptionCode": self.code, "exceptionMessage": self.message}, status=self.status)
        inner = _elements({"exceptionCode": self.code, "exceptionMessage": self.message})
        return _xml("error", inner, self.status)


def _refused(request: Request, code: str, message: str) -> Bulk1Error:
    return Bulk1Error(code, message, as_json=_speaks_json(request))


def session_error(request: Request) -> Bulk1Error:
    """The refusal of a session that is not valid."""
    return Bulk1Error("InvalidSessionId", "Invalid session id", as_json=_speaks_json(request), status=401)
