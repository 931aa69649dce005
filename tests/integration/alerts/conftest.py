"""Receivers of alerts on loopback: a webhook and a mail server, each on a real socket."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest


@dataclass
class Webhook:
    """`heard`: the bodies that came, in order. `status`: what it answers."""

    url: str = ""
    status: int = 200
    heard: list[Any] = field(default_factory=list)


@dataclass
class MailServer:
    """`heard`: recipients and message of each mail. `refuses`: whether it turns each recipient away."""

    url: str = ""
    refuses: bool = False
    heard: list[tuple[list[str], Any]] = field(default_factory=list)


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[int]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A webhook whose address holds a secret."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if hook.status == 200:
                hook.heard.append(body)
            self.send_response(hook.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with _serving(HTTPServer(("127.0.0.1", 0), Handler)) as port:
        hook.url = f"http://127.0.0.1:{port}/services/canary-hook"
        yield hook


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """As much of SMTP (RFC 5321) as a client needs that sends one message."""
    mail = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            to: list[str] = []
            self.wfile.write(b"220 ready\r\n")
            for line in self.rfile:
                word = line.strip().upper()
                if word.startswith(b"RCPT"):
                    to.append(line.decode().partition("<")[2].partition(">")[0])
                    self.wfile.write(b"550 not here\r\n" if mail.refuses else b"250 ok\r\n")
                elif word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = list(iter(self.rfile.readline, b".\r\n"))
                    mail.heard.append((to, message_from_bytes(b"".join(lines))))
                    to = []
                    self.wfile.write(b"250 ok\r\n")
                elif word == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                else:
                    self.wfile.write(b"250 ok\r\n")

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        mail.url = f"smtp://127.0.0.1:{port}"
        yield mail
