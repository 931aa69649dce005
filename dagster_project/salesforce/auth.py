"""Logging in: the kinds of credentials, and an access token from them by simple-salesforce's own login functions.

No secret stands in a repr or an error here. Plain http is for this machine alone.
"""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

from dagster_project.errors import SalesforceError

if TYPE_CHECKING:
    import requests


@dataclass(frozen=True)
class ClientCredentials:
    """OAuth client credentials of an external client app with a run-as user."""

    login_url: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class JwtBearer:
    """OAuth JWT bearer: the app holds the certificate of this private key (PEM)."""

    login_url: str
    client_id: str
    username: str
    private_key: str = field(repr=False)


@dataclass(frozen=True)
class AccessToken:
    """A token got elsewhere (`sf org display`). It cannot be renewed."""

    instance_url: str
    access_token: str = field(repr=False)


@dataclass(frozen=True)
class UsernamePassword:
    """User name, password and security token by SOAP login, which Salesforce is retiring."""

    login_url: str
    username: str
    password: str = field(repr=False)
    security_token: str = field(default="", repr=False)


Credentials = ClientCredentials | JwtBearer | AccessToken | UsernamePassword


@dataclass(frozen=True)
class Login:
    """A session of the org."""

    instance_url: str
    access_token: str = field(repr=False)


# RFC 1123 names, and addresses of both kinds; anything else reaches error messages of libraries, whatever it holds
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?|[0-9a-f:.]{2,45}", re.ASCII | re.IGNORECASE)


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine, by its address or the name localhost."""
    if host is None:
        return False
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def checked_url(url: str, what: str) -> str:
    """`scheme://host[:port]` of a URL. Raises SalesforceError unless it is https, or http on this machine."""
    try:
        parts = urlsplit(url.strip() if "//" in url else f"https://{url.strip()}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    is_named = host is not None and _HOST.fullmatch(host) is not None
    if not is_named or parts.scheme not in ("https", "http") or parts.username or parts.password:
        raise SalesforceError(
            f"the {what} is no address of an org.",
            where=host if is_named else what,
            todo="Write it as https://yourcompany.my.salesforce.com.",
        )
    assert host is not None
    if parts.scheme == "http" and not is_loopback(host):
        raise SalesforceError(
            f"the {what} is plain http, which would show the login to the network.",
            where=host,
            todo=f"Write https://{host}.",
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{f':{port}' if port else ''}"


def secrets_of(credentials: Credentials) -> tuple[str, ...]:
    """The values that must never be shown."""
    names = ("client_secret", "private_key", "access_token", "password", "security_token")
    found = (str(getattr(credentials, name, "") or "") for name in names)
    return tuple(secret for secret in found if secret)


def spellings(secret: str) -> tuple[str, ...]:
    """A secret as an answer may repeat it: as it is, and as forms, addresses, XML and JSON write it. The longest first."""
    from html import escape
    from urllib.parse import quote, quote_plus

    ways = (
        secret,
        quote(secret),
        quote_plus(secret),
        escape(secret),
        json.dumps(secret)[1:-1],
        " ".join(secret.split()),
    )
    return tuple(sorted({way for way in ways if way}, key=len, reverse=True))


def log_in(credentials: Credentials, session: requests.Session, *, api_version: str) -> Login:
    """A new session of the org. Raises SalesforceError: credentials refused, an answer that is no login."""
    if isinstance(credentials, AccessToken):
        return Login(checked_url(credentials.instance_url, "instance URL"), credentials.access_token)
    from simple_salesforce.exceptions import SalesforceAuthenticationFailed

    base = checked_url(credentials.login_url, "login URL")
    host = urlsplit(base).hostname or base
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its hint on an app that is not approved is in our own error
            token, instance = _token(credentials, session, base, api_version)
    except SalesforceAuthenticationFailed as error:
        code = error.code if isinstance(error.code, str) and len(error.code) < 60 else f"HTTP {error.code}"
        raise SalesforceError(
            f"the login was refused ({code}: {_advice(code)}).", where=host, todo=_remedy(credentials)
        ) from None
    except (AttributeError, KeyError, TypeError, ExpatError) as error:
        # a 200 without instance_url or token: some proxy's page
        raise SalesforceError(
            f"the login's answer is no login of Salesforce ({type(error).__name__}).",
            where=host,
            todo="Check the login URL.",
        ) from None
    if not isinstance(token, str) or not token or not instance:
        raise SalesforceError("the login's answer holds no token.", where=host, todo="Check the login URL.")
    scheme = "http" if base.startswith("http:") and is_loopback(urlsplit(f"//{instance}").hostname) else "https"
    try:
        return Login(checked_url(f"{scheme}://{instance}", "instance URL"), token)
    except SalesforceError:
        # what the answer names is not repeated: it may be anything, the secret too
        raise SalesforceError(
            "the login's answer names no address of an org.", where=host, todo="Check the login URL."
        ) from None


def _token(credentials: Credentials, session: requests.Session, base: str, version: str) -> tuple[str, str]:
    from simple_salesforce.login import soap_login, token_login

    # https always: the session's adapter takes loopback back to http where that is what was asked for
    secure = "https" + base.removeprefix("https").removeprefix("http")
    endpoint, host = f"{secure}/services/oauth2/token", urlsplit(base).hostname or ""
    if isinstance(credentials, ClientCredentials):
        data = {
            "grant_type": "client_credentials",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
        }
        return token_login(endpoint, data, host, credentials.client_id, None, None, session)
    if isinstance(credentials, JwtBearer):
        data = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": _assertion(credentials, base)}
        return token_login(endpoint, data, host, credentials.client_id, None, None, session)
    assert isinstance(credentials, UsernamePassword)
    from html import escape

    body = (
        '<?xml version="1.0" encoding="utf-8"?><env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/">'
        '<env:Body><n1:login xmlns:n1="urn:partner.soap.sforce.com">'
        f"<n1:username>{escape(credentials.username)}</n1:username>"
        f"<n1:password>{escape(credentials.password + credentials.security_token)}</n1:password>"
        "</n1:login></env:Body></env:Envelope>"
    )
    headers = {"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": "login"}
    return soap_login(f"{secure}/services/Soap/u/{version}", body.encode(), headers, None, session)


def _assertion(credentials: JwtBearer, base: str) -> str:
    import jwt

    host = urlsplit(base).hostname or ""
    if is_loopback(host) or not host.endswith(".salesforce.com"):
        audience = base
    else:  # Salesforce takes its two login hosts as audience, whichever host is called
        audience = f"https://{'test' if host.startswith('test.') or '.sandbox.' in host else 'login'}.salesforce.com"
    expires = datetime.now(UTC) + timedelta(minutes=3)
    claims = {
        "iss": credentials.client_id,
        "sub": credentials.username,
        "aud": audience,
        "exp": int(expires.timestamp()),
    }
    try:
        return jwt.encode(claims, credentials.private_key, algorithm="RS256")
    except Exception:  # the library's errors quote parts of the key
        raise SalesforceError(
            "the private key cannot be read.", where="SALESFORCE_PRIVATE_KEY", todo="Give an RSA key in PEM form."
        ) from None


def _advice(code: str) -> str:
    return {
        "invalid_client": "unknown client id or wrong secret",
        "invalid_client_id": "unknown client id",
        "invalid_client_credentials": "wrong client secret",
        "invalid_grant": "user, certificate or policy not accepted",
        "inactive_user": "the user is inactive",
        "inactive_org": "the org is locked or closed",
        "unsupported_grant_type": "this kind of login is not switched on for the app",
        "unauthorized_client": "the app may not log in this way",
        "INVALID_LOGIN": "wrong user name, password or security token",
        "sf:INVALID_LOGIN": "wrong user name, password or security token",
        "LOGIN_MUST_USE_SECURITY_TOKEN": "the security token is missing",
        "API_DISABLED_FOR_ORG": "the API is switched off for the org",
    }.get(code, "see Setup, Login History")


def _remedy(credentials: Credentials) -> str:
    if isinstance(credentials, ClientCredentials):
        return "Check client id and secret, the client credentials flow's run-as user, and the My Domain login URL."
    if isinstance(credentials, JwtBearer):
        return "Check client id, user name, the app's certificate, and that the user is pre-authorised."
    return "Check user name, password and security token, and whether SOAP login is still allowed."
