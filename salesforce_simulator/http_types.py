"""Requests, responses and routes as the endpoints see them. No sockets here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from salesforce_simulator.errors import ApiError


@dataclass
class Request:
    """One request: its path without the query string, headers in lower case, and what the route found in the path."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    version: str = ""
    parts: dict[str, str] = field(default_factory=dict)
    kind: str = ""
    user: str = ""

    @property
    def pretty(self) -> bool:
        """Whether the client asks for indented JSON."""
        return self.headers.get("x-prettyprint", "") not in ("", "0", "false")

    def json(self) -> Any:
        """The body as JSON; raises JSON_PARSER_ERROR as the service does."""
        try:
            return json.loads(self.body or b"null")
        except (ValueError, UnicodeDecodeError) as error:
            raise ApiError(400, "JSON_PARSER_ERROR", f"Unexpected character in the request body: {error}") from None

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object; raises JSON_PARSER_ERROR where it is none."""
        body = self.json()
        if not isinstance(body, dict):
            raise ApiError(400, "JSON_PARSER_ERROR", "The HTTP entity body is required to be a JSON object.")
        return body

    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass
class Response:
    """One response. `transport` names what goes wrong on the wire, if anything; see `faults`."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    transport: str | None = None
    transport_value: Any = None

    @staticmethod
    def of_json(value: object, pretty: bool = False, status: int = 200) -> Response:
        """A JSON response, indented as the service does it where asked for."""
        text = (
            json.dumps(value, indent=2, separators=(",", " : ")) if pretty else json.dumps(value, separators=(",", ":"))
        )
        return Response(status, text.encode(), {"Content-Type": "application/json;charset=UTF-8"})


@dataclass(frozen=True)
class Route:
    """Method and path to a handler. Faults and counts call such requests `kind`; `open_to_all` needs no session."""

    method: str
    pattern: re.Pattern[str]
    kind: str
    handler: Callable[[Request], Response]
    open_to_all: bool = False


def route(
    method: str, path: str, kind: str, handler: Callable[[Request], Response], *, open_to_all: bool = False
) -> Route:
    """A route from a path with `{names}`; `{version}` matches API versions. A trailing slash is allowed."""
    pattern = re.sub(r"\\{(\w+)\\}", lambda m: f"(?P<{m[1]}>[^/]+)", re.escape(path))
    pattern = pattern.replace("(?P<version>[^/]+)", r"(?P<version>\d+\.\d+)")
    return Route(method, re.compile(pattern + "/?"), kind, handler, open_to_all)
