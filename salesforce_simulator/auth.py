"""Logins and sessions: the OAuth token endpoint and the check of a session on every other request."""

from __future__ import annotations

import hmac
import secrets
import threading
from typing import TYPE_CHECKING

from salesforce_simulator import ids
from salesforce_simulator.errors import ApiError, OAuthError
from salesforce_simulator.http_types import Request, Response, Route, route
from salesforce_simulator.org import Org

if TYPE_CHECKING:
    from salesforce_simulator.service import Options


class Auth:
    """Gives out sessions and knows which are valid."""

    def __init__(self, org: Org, options: Options) -> None:
        self.org, self.options = org, options
        self.user_id = self._user_id()
        self._sessions: set[str] = set()
        self._lock = threading.Lock()
        self.base_url = "http://127.0.0.1"

    def routes(self) -> list[Route]:
        """The endpoints of this module."""
        return [route("POST", "/services/oauth2/token", "token", self.token, open_to_all=True)]

    def token(self, request: Request) -> Response:
        """A token for a grant; raises OAuthError as the service refuses."""
        form = request.form()
        grant = form.get("grant_type", "")
        if grant == "client_credentials":
            self._check_client(form, request)
        elif grant == "password":
            self._check_client(form, request)
            self._check_password(form)
        elif grant:
            raise OAuthError("unsupported_grant_type", "grant type not supported")
        else:
            raise OAuthError("invalid_request", "grant type must be specified")
        return Response.of_json(self._grant(), request.pretty)

    def open_session(self) -> str:
        """A new session id, long as the service's are."""
        token = f"{self.org.organization_id()[:15]}!AQ{secrets.token_urlsafe(70)}"
        with self._lock:
            self._sessions.add(token)
        return token

    def expire_all(self) -> None:
        """Ends every session."""
        with self._lock:
            self._sessions.clear()

    def user_of(self, authorization: str) -> str:
        """The user behind an Authorization header; raises 401 INVALID_SESSION_ID where there is no session."""
        scheme, _, token = authorization.strip().rpartition(" ")
        if scheme.lower() not in ("bearer", "oauth", "") or token not in self._sessions:
            raise ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")
        return self.user_id

    def _grant(self) -> dict[str, str]:
        return {
            "access_token": self.open_session(),
            "signature": secrets.token_urlsafe(32),
            "scope": "api",
            "instance_url": self.base_url,
            "id": f"{self.base_url}/id/{self.org.organization_id()}/{self.user_id}",
            "token_type": "Bearer",
            "issued_at": str(int(self.org.now.timestamp() * 1000)),
        }

    def _check_client(self, form: dict[str, str], request: Request) -> None:
        client_id, client_secret = form.get("client_id", ""), form.get("client_secret", "")
        authorization = request.headers.get("authorization", "")
        if authorization.lower().startswith("basic "):
            client_id, client_secret = _basic(authorization[6:])
        if not _same(client_id, self.options.client_id):
            raise OAuthError("invalid_client_id", "client identifier invalid")
        if not _same(client_secret, self.options.client_secret):
            raise OAuthError("invalid_client", "invalid client credentials")

    def _check_password(self, form: dict[str, str]) -> None:
        allowed = (self.options.password, self.options.password + self.options.security_token)
        known = form.get("username", "").lower() == self.options.username.lower()
        if not known or not any(_same(form.get("password", ""), p) for p in allowed):
            raise OAuthError("invalid_grant", "authentication failure")

    def _user_id(self) -> str:
        kind = self.org.find("User")
        if kind is not None:
            with self.org.cursor() as cursor:
                row = cursor.execute('SELECT min("Id") FROM "User"').fetchone()
            if row and row[0]:
                return str(row[0])
        return ids.numbered("005", 1)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _basic(encoded: str) -> tuple[str, str]:
    import base64
    import binascii

    try:
        client_id, _, client_secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise OAuthError("invalid_client", "invalid client credentials") from None
    return client_id, client_secret
