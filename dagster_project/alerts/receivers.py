"""Where messages go: a webhook of Slack or of Microsoft Teams, or e-mail. Addresses of webhooks are secrets and never shown."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from dagster_project.errors import LeanfunnelError

TIMEOUT_SECONDS = 10.0


class AlertError(LeanfunnelError):
    """A receiver did not take a message."""

    passes = True


class Receiver(Protocol):
    """One that messages are sent to."""

    @property
    def name(self) -> str:
        """As the settings call it."""

    def send(self, title: str, text: str) -> None:
        """One message. Raises AlertError, which holds no secret."""


@dataclass(frozen=True)
class Slack:
    """An incoming webhook of Slack."""

    webhook: str = field(repr=False)
    name: str = "slack"

    def send(self, title: str, text: str) -> None:
        """As text in Slack's own escapes, so that no name in it becomes a link or a mention."""
        _post(self.name, self.webhook, {"text": f"*{_escaped(title)}*\n{_escaped(text)}"})


@dataclass(frozen=True)
class Teams:
    """A webhook of a Teams workflow."""

    webhook: str = field(repr=False)
    name: str = "teams"

    def send(self, title: str, text: str) -> None:
        """As an adaptive card."""
        body = [
            {"type": "TextBlock", "text": title, "weight": "Bolder", "wrap": True},
            *({"type": "TextBlock", "text": line, "wrap": True} for line in text.splitlines()),
        ]
        schema = "http://adaptivecards.io/schemas/adaptive-card.json"
        card = {"$schema": schema, "type": "AdaptiveCard", "version": "1.4", "body": body}
        attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
        _post(self.name, self.webhook, {"type": "message", "attachments": [attachment]})


@dataclass(frozen=True)
class Email:
    """A mail server: `smtps://user:password@host:465`, or `smtp://…:587`, which must offer TLS unless it is on this machine."""

    server: str = field(repr=False)
    sender: str
    recipients: Sequence[str]
    name: str = "email"

    def send(self, title: str, text: str) -> None:
        """As plain text to all recipients."""
        message = EmailMessage()
        message["Subject"] = " ".join(title.split())
        message["From"], message["To"] = self.sender, ", ".join(self.recipients)
        message.set_content(text)
        parts = urlsplit(self.server)
        host = parts.hostname or ""
        try:
            with ExitStack() as stack:
                server = stack.enter_context(_connected(parts.scheme, host, parts.port))
                if parts.username:
                    server.login(unquote(parts.username), unquote(parts.password or ""))
                server.send_message(message)
        except (OSError, smtplib.SMTPException, ssl.SSLError) as error:
            # an answer of the server may repeat what was sent to it: its kind says enough
            raise AlertError(
                f"the mail server refused or was not reached ({type(error).__name__}).", where=host
            ) from None

    def to(self, recipient: str) -> Email:
        """The same server, one recipient."""
        return Email(self.server, self.sender, (recipient,), self.name)


def is_local(host: str | None) -> bool:
    """Whether what is sent there stays on this machine."""
    return host in ("localhost", "127.0.0.1", "::1")


def _connected(scheme: str, host: str, port: int | None) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT_SECONDS, context=context)
    server = smtplib.SMTP(host, port or 587, timeout=TIMEOUT_SECONDS)
    if not is_local(host):
        server.starttls(context=context)
    return server


def _post(name: str, url: str, body: dict[str, Any]) -> None:
    import requests

    host = urlsplit(url).hostname
    try:
        with requests.Session() as session:
            session.trust_env = not is_local(host)
            answer = session.post(url, json=body, timeout=TIMEOUT_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        # the exception's own text holds the address
        raise AlertError(f"the webhook was not reached ({type(error).__name__}).", where=f"{name}, {host}") from None
    if not 200 <= answer.status_code < 300:
        raise AlertError(f"the webhook answered HTTP {answer.status_code}.", where=f"{name}, {host}")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
