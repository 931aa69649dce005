"""Logins and sessions: the OAuth token endpoint, the SOAP login, and the check of a session on every other request."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import threading
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from salesforce_simulator import ids
from salesforce_simulator.errors import ApiError, OAuthError
from salesforce_simulator.http_types import Request, Response, Route, route
from salesforce_simulator.jwt import TokenError, public_key, verified_claims
from salesforce_simulator.org import Org

if TYPE_CHECKING:
    from salesforce_simulator.service import Options

_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
    'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:{kind}.soap.sforce.com" '
    'xmlns:sf="urn:fault.{kind}.soap.sforce.com" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    "<soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
)


class Auth:
    """Gives out sessions and knows which are valid."""

    def __init__(self, org: Org, options: Options) -> None:
        self.org, self.options = org, options
        self.user_id = self._user_id()
        self._sessions: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self.base_url = "http://127.0.0.1"

    def routes(self) -> list[Route]:
        """The endpoints of this module."""
        return [
            route("POST", "/services/oauth2/token", "token", self.token, open_to_all=True),
            route("POST", "/services/oauth2/revoke", "revoke", self.revoke, open_to_all=True),
            route("GET", "/services/oauth2/userinfo", "userinfo", self.user_info),
            route("GET", "/id/{org}/{user}", "userinfo", self.user_info),
            route("POST", "/services/Soap/{kind}/{number}", "token_soap", self.soap, open_to_all=True),
            route("POST", "/services/Soap/{kind}/{number}/{org}", "token_soap", self.soap, open_to_all=True),
        ]

    # OAuth

    def token(self, request: Request) -> Response:
        """A token for a grant; raises OAuthError as the service refuses."""
        form = request.form()
        grant = form.get("grant_type", "")
        more: dict[str, str] = {}
        if grant == "client_credentials":
            self._check_client(form, request)
        elif grant == "password":
            self._check_client(form, request)
            self._check_password(form)
        elif grant == "refresh_token":
            self._check_client(form, request, secret_needed=False)
            if not _same(form.get("refresh_token", ""), self.options.refresh_token):
                raise OAuthError("invalid_grant", "expired access/refresh token")
        elif grant == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            self._check_assertion(form.get("assertion", ""))
        elif grant:
            raise OAuthError("unsupported_grant_type", "grant type not supported")
        else:
            raise OAuthError("invalid_request", "grant type must be specified")
        return Response.of_json(self._grant() | more, request.pretty)

    def revoke(self, request: Request) -> Response:
        """Ends one session."""
        token = request.form().get("token", request.query.get("token", ""))
        with self._lock:
            if token not in self._sessions:
                raise OAuthError("invalid_token", "token not found")
            del self._sessions[token]
        return Response(200)

    def user_info(self, request: Request) -> Response:
        """Who the session belongs to."""
        body = {
            "sub": f"{self.base_url}/id/{self.org.organization_id()}/{self.user_id}",
            "user_id": self.user_id,
            "organization_id": self.org.organization_id(),
            "preferred_username": self.options.username,
            "username": self.options.username,
            "active": True,
            "urls": {"rest": f"{self.base_url}/services/data/v{{version}}/"},
        }
        return Response.of_json(body, request.pretty)

    # SOAP

    def soap(self, request: Request) -> Response:
        """The login call of the SOAP API, the only one that is served."""
        kind = "enterprise" if request.parts["kind"] == "c" else "partner"
        try:
            root = ElementTree.fromstring(request.body)  # noqa: S314 - loopback only, and expat limits expansion
        except ElementTree.ParseError as error:
            return _fault(kind, "sf:INVALID_XML", f"INVALID_XML: {error}")
        login = next((e for e in root.iter() if e.tag.rpartition("}")[2] == "login"), None)
        if login is None:
            return _fault(kind, "sf:UNSUPPORTED_API_VERSION", "INVALID_TYPE: only login is served here")
        given = {e.tag.rpartition("}")[2]: e.text or "" for e in login}
        if not self._knows(given.get("username", ""), given.get("password", "")):
            message = "INVALID_LOGIN: Invalid username, password, security token; or user locked out."
            return _fault(kind, "sf:INVALID_LOGIN", message)
        session, org_id = self.open_session(), self.org.organization_id()
        server = f"{self.base_url}/services/Soap/{request.parts['kind']}/{request.parts['number']}/{org_id[:15]}"
        info = (
            f"<organizationId>{org_id}</organizationId><userId>{self.user_id}</userId>"
            f"<userName>{escape(self.options.username)}</userName><sessionSecondsValid>7200</sessionSecondsValid>"
        )
        body = (
            f"<loginResponse><result><metadataServerUrl>{server}</metadataServerUrl>"
            f"<passwordExpired>false</passwordExpired><sandbox>false</sandbox><serverUrl>{server}</serverUrl>"
            f"<sessionId>{escape(session)}</sessionId><userId>{self.user_id}</userId><userInfo>{info}</userInfo>"
            "</result></loginResponse>"
        )
        return _xml(_ENVELOPE.format(kind=kind, body=body))

    # sessions

    def open_session(self) -> str:
        """A new session id, long as the service's are."""
        token = f"{self.org.organization_id()[:15]}!AQ{secrets.token_urlsafe(70)}"
        with self._lock:
            self._sessions[token] = self.org.now
        return token

    def expire_all(self) -> None:
        """Ends every session."""
        with self._lock:
            self._sessions.clear()

    def user_of(self, authorization: str) -> str:
        """The user behind an Authorization header; raises 401 INVALID_SESSION_ID where there is no session."""
        scheme, _, token = authorization.strip().rpartition(" ")
        opened = self._sessions.get(token)
        if scheme.lower() not in ("bearer", "oauth", "") or opened is None or self._too_old(opened):
            raise ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")
        return self.user_id

    def _too_old(self, opened: datetime) -> bool:
        minutes = self.options.session_minutes
        return minutes is not None and self.org.now - opened > timedelta(minutes=minutes)

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

    # checks

    def _check_client(self, form: dict[str, str], request: Request, *, secret_needed: bool = True) -> None:
        client_id, client_secret = form.get("client_id", ""), form.get("client_secret", "")
        authorization = request.headers.get("authorization", "")
        if authorization.lower().startswith("basic "):
            client_id, client_secret = _basic(authorization[6:])
        if not _same(client_id, self.options.client_id):
            raise OAuthError("invalid_client_id", "client identifier invalid")
        if (secret_needed or client_secret) and not _same(client_secret, self.options.client_secret):
            raise OAuthError("invalid_client", "invalid client credentials")

    def _check_password(self, form: dict[str, str]) -> None:
        if not self._knows(form.get("username", ""), form.get("password", "")):
            raise OAuthError("invalid_grant", "authentication failure")

    def _knows(self, username: str, password: str) -> bool:
        allowed = (self.options.password, self.options.password + self.options.security_token)
        return username.lower() == self.options.username.lower() and any(_same(password, p) for p in allowed)

    def _check_assertion(self, assertion: str) -> None:
        if self.options.jwt_public_key is None:
            raise OAuthError("invalid_grant", "no certificate is registered for this connected app")
        try:
            claims = verified_claims(assertion, public_key(self.options.jwt_public_key))
        except TokenError as error:
            raise OAuthError("invalid_grant", f"invalid assertion: {error}") from None
        if claims.get("iss") != self.options.client_id:
            raise OAuthError("invalid_client_id", "client identifier invalid")
        if str(claims.get("sub", "")).lower() != self.options.username.lower():
            raise OAuthError("invalid_grant", "user hasn't approved this consumer")
        expires = claims.get("exp")
        # the client signed by its own clock, so its own clock decides, not the org's
        if not isinstance(expires, (int, float)) or expires < time.time():
            raise OAuthError("invalid_grant", "assertion has expired")

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
    try:
        client_id, _, client_secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise OAuthError("invalid_client", "invalid client credentials") from None
    return client_id, client_secret


def _xml(text: str, status: int = 200) -> Response:
    return Response(status, text.encode(), {"Content-Type": "text/xml;charset=UTF-8"})


def _fault(kind: str, code: str, message: str) -> Response:
    short, _, words = message.partition(": ")
    detail = (
        f"<sf:LoginFault><sf:exceptionCode>{short}</sf:exceptionCode>"
        f"<sf:exceptionMessage>{escape(words)}</sf:exceptionMessage></sf:LoginFault>"
    )
    body = (
        f"<soapenv:Fault><faultcode>{code}</faultcode><faultstring>{escape(message)}</faultstring>"
        f"<detail>{detail}</detail></soapenv:Fault>"
    )
    return _xml(_ENVELOPE.format(kind=kind, body=body), 500)
