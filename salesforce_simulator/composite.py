"""Composite batch: up to 25 requests in one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from salesforce_simulator.errors import ApiError
from salesforce_simulator.http_types import Request, Response, Route, route

if TYPE_CHECKING:
    from salesforce_simulator.service import Service

_MAX_REQUESTS = 25


class Composite:
    """The batch endpoint."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def routes(self) -> list[Route]:
        """The endpoints of this module."""
        return [route("POST", "/services/data/v{version}/composite/batch", "composite_batch", self.batch)]

    def batch(self, request: Request) -> Response:
        """Each request's status and result, in order; after a failure `haltOnError` skips the rest."""
        body = request.json_object()
        parts = body.get("batchRequests")
        if not isinstance(parts, list) or not parts or not all(isinstance(p, dict) for p in parts):
            raise ApiError(400, "INVALID_INPUT", "batchRequests are required")
        if len(parts) > _MAX_REQUESTS:
            raise ApiError(400, "LIMIT_EXCEEDED", f"The batch holds {len(parts)} requests, more than {_MAX_REQUESTS}")
        halt, failed = bool(body.get("haltOnError", False)), False
        results: list[dict[str, Any]] = []
        for part in parts:
            if failed and halt:
                halted = ApiError(412, "BATCH_PROCESSING_HALTED", "Processing was halted after an earlier failure")
                results.append({"statusCode": 412, "result": halted.body()})
                continue
            response = self._serve(request, part)
            failed = failed or response.status >= 400
            result = json.loads(response.body) if response.body else None
            results.append({"statusCode": response.status, "result": result})
        return Response.of_json({"hasErrors": failed, "results": results}, request.pretty)

    def _serve(self, outer: Request, part: dict[str, Any]) -> Response:
        url = urlsplit(str(part.get("url", "")))
        path = unquote(url.path).lstrip("/")
        path = f"/{path}" if path.startswith("services/") else f"/services/data/{path}"
        if "/composite/batch" in path:
            return Response.of_json(ApiError(400, "INVALID_INPUT", "a batch cannot hold a batch").body(), status=400)
        headers = {k: v for k, v in outer.headers.items() if k not in ("x-prettyprint", "content-length")}
        content = json.dumps(part["richInput"]).encode() if "richInput" in part else b""
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        return self.service.handle(Request(str(part.get("method", "GET")), path, query, headers, content))
