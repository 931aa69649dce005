"""The service on a port: HTTP/1.1 with keep-alive, one thread per connection, and the faults of the wire."""

from __future__ import annotations

import re
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from isal import igzip

from salesforce_simulator.errors import ApiError
from salesforce_simulator.faults import Faults
from salesforce_simulator.http_types import Request, Response
from salesforce_simulator.org import Org
from salesforce_simulator.service import Options, Service

_WORTH_GZIP = 1024
_DRIPS = 20
_MAX_BODY = 64 * 1024 * 1024


class _UnreadableBodyError(Exception):
    """The body of a request cannot be read; `status` says how that is answered."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    server: _Server

    def _serve(self) -> None:
        try:
            body = self._body()
        except _UnreadableBodyError as unreadable:
            # what follows on this connection cannot be told apart any more
            self.close_connection = True
            self._write(Response(unreadable.status))
            return
        url = urlsplit(self.path)
        request = Request(
            self.command,
            unquote(url.path),
            dict(parse_qsl(url.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            body,
        )
        try:
            response = self.server.service.handle(request)
        except Exception:  # the client gets the service's own answer, the operator the reason
            traceback.print_exc(file=sys.stderr)
            error = ApiError(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred.")
            response = Response.of_json(error.body(), status=500)
        self._write(response)

    def _body(self) -> bytes:
        """The body of the request, whole or in chunks; raises _UnreadableBodyError."""
        coding = self.headers.get("Transfer-Encoding", "").lower()
        if coding not in ("", "chunked"):
            raise _UnreadableBodyError(501)
        stated = self.headers.get("Content-Length") or "0"
        if coding == "chunked":
            return b"".join(self._chunks())
        if not stated.isdecimal():
            raise _UnreadableBodyError(400)
        if int(stated) > _MAX_BODY:
            raise _UnreadableBodyError(413)
        return self.rfile.read(int(stated))

    def _chunks(self) -> Iterator[bytes]:
        total = 0
        while True:
            stated = self.rfile.readline(1024).partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", stated):
                raise _UnreadableBodyError(400)
            size = int(stated, 16)
            total += size
            if total > _MAX_BODY:
                raise _UnreadableBodyError(413)
            if size == 0:
                while self.rfile.readline(65_536).strip():  # trailers
                    pass
                return
            yield self.rfile.read(size)
            if self.rfile.readline(3).strip():
                raise _UnreadableBodyError(400)

    def _write(self, response: Response) -> None:
        body, transport = response.body, response.transport
        gzipped = "gzip" in self.headers.get("Accept-Encoding", "") and (
            len(body) >= _WORTH_GZIP or transport == "truncated_gzip"
        )
        if gzipped:
            # four times as fast as zlib: a simulator must not be what a client waits for
            body = igzip.compress(body, compresslevel=1)
        if transport == "truncated_gzip":
            body = body[: len(body) // 2]
        self._write_head(response, len(body), gzipped)
        if self.command == "HEAD":
            return
        if transport is None or transport == "truncated_gzip":
            self.wfile.write(body)
            self.wfile.flush()
        else:
            self._write_badly(body, transport, response.transport_value)

    def _write_head(self, response: Response, length: int, gzipped: bool) -> None:
        self.send_response_only(response.status)
        self.send_header("Server", self.version_string())
        self.send_header("Date", response.headers.get("Date") or self.date_time_string())
        for name, value in response.headers.items():
            if name != "Date":
                self.send_header(name, value)
        if gzipped:
            self.send_header("Content-Encoding", "gzip")
        if response.transport == "cut_chunk":
            self.send_header("Transfer-Encoding", "chunked")
        elif response.transport == "close_delimited":
            self.send_header("Connection", "close")
        elif response.status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _write_badly(self, body: bytes, transport: str, value: Any) -> None:
        """Plays a fault of the wire; see `fault_kinds.TRANSPORT`."""
        half = len(body) // 2
        if transport == "slow_drip":
            step = max(1, -(-len(body) // _DRIPS))
            for start in range(0, len(body), step):
                self.wfile.write(body[start : start + step])
                self.wfile.flush()
                time.sleep(_seconds(value, 2) / _DRIPS)
            return
        if transport == "cut_chunk":
            self.wfile.write(b"%x\r\n" % len(body) + body[:half])
        else:
            self.wfile.write(body[:half])
        self.wfile.flush()
        if transport == "stall":
            time.sleep(_seconds(value, 5))
            self.wfile.write(body[half:])
            self.wfile.flush()
            return
        self.close_connection = True
        if transport == "reset":
            # lingering for no time makes close() send RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = _serve

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.server.service.date_header()

    def version_string(self) -> str:
        return "sfdcedge"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Says nothing: request lines can hold session ids."""


def _seconds(value: Any, default: float) -> float:
    return float(value) if isinstance(value, (int, float)) else default


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # many clients at once may connect before a thread takes them on
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], service: Service) -> None:
        self.service = service
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of clients that hung up; everything else is answered and reported in `_serve`."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError, ValueError, OSError)):
            traceback.print_exc(file=sys.stderr)


@contextmanager
def serve(
    org: Org,
    *,
    options: Options | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    faults: Faults | None = None,
) -> Iterator[Service]:
    """Serves an org from a thread while the block runs; gives the service, whose `base_url` says where.

    Port 0 takes a free one. Raises OSError where the address cannot be had.
    """
    service = Service(org, options, faults)
    server = _Server((host, port), service)
    shown = f"[{host}]" if ":" in host else host
    service.base_url = f"http://{shown}:{server.server_address[1]}"
    service.auth.base_url = service.options.instance_url or service.base_url
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        service.close()
