"""The service on a port: HTTP/1.1 with keep-alive, one thread per connection, and the faults of the wire."""

from __future__ import annotations

import gzip
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from salesforce_simulator.errors import ApiError
from salesforce_simulator.http_types import Request, Response
from salesforce_simulator.org import Org
from salesforce_simulator.service import Options, Service

_WORTH_GZIP = 1024
_MAX_BODY = 64 * 1024 * 1024


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    server: _Server

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MAX_BODY:
            self.close_connection = True
            self._write(Response(413))
            return
        url = urlsplit(self.path)
        request = Request(
            self.command,
            unquote(url.path),
            dict(parse_qsl(url.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(length),
        )
        try:
            response = self.server.service.handle(request)
        except Exception:  # the client gets the service's own answer, the operator the reason
            traceback.print_exc(file=sys.stderr)
            error = ApiError(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred.")
            response = Response.of_json(error.body(), status=500)
        self._write(response)

    def _write(self, response: Response) -> None:
        body = response.body
        gzipped = len(body) >= _WORTH_GZIP and "gzip" in self.headers.get("Accept-Encoding", "")
        if gzipped:
            body = gzip.compress(body, compresslevel=1)
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if gzipped:
            self.send_header("Content-Encoding", "gzip")
        if response.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if response.transport:
            body = body[: len(body) // 2]
            self.close_connection = True
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()
        if response.transport == "reset":
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
def serve(org: Org, *, options: Options | None = None, host: str = "127.0.0.1", port: int = 0) -> Iterator[Service]:
    """Serves an org from a thread while the block runs; gives the service, whose `base_url` says where.

    Port 0 takes a free one. Raises OSError where the address cannot be had.
    """
    service = Service(org, options)
    server = _Server((host, port), service)
    shown = f"[{host}]" if ":" in host else host
    service.base_url = service.auth.base_url = f"http://{shown}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        service.close()
