"""The HTTP session: timeouts, bounded retries with jitter and Retry-After, https everywhere but on this machine.

Also what a failed answer or connection means, as one SalesforceError. Knows no objects and no queries.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from dagster_project.errors import BudgetReachedError, IncompleteExtractError, SalesforceError
from dagster_project.salesforce.auth import is_loopback

CONNECT_SECONDS, READ_SECONDS = 10.0, 120.0
RETRIES, CONNECT_RETRIES, LONGEST_WAIT_SECONDS = 4, 2, 60
# what passes by itself: too many requests, and a server or a gateway that is not ready
_PASSING = (429, 502, 503, 504)


class _Loopback(HTTPAdapter):
    """simple-salesforce knows https only: on this machine, an org that speaks plain http is spoken to in plain http."""

    def __init__(self, plain: set[str], **options: Any) -> None:
        self._plain = plain
        super().__init__(**options)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        if parts.scheme == "http" and parts.netloc not in self._plain:
            raise SalesforceError(
                "an address in plain http was refused, since it would show the session to the network.",
                where=parts.hostname,
                todo="Use https.",
            )
        if parts.scheme == "https" and parts.netloc in self._plain:
            request.url = "http" + str(request.url).removeprefix("https")
        return super().send(request, *args, **options)


class _Session(requests.Session):
    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        if options.get("timeout") is None:
            options["timeout"] = (CONNECT_SECONDS, READ_SECONDS)
        options.setdefault("allow_redirects", False)  # a redirect would carry the session elsewhere
        return super().request(method, url, *args, **options)


def session_for(url: str, *, once: bool = False) -> requests.Session:
    """A session for the org at `url` (checked by auth.checked_url); plain http goes to that very address only.

    `once`: what was sent is not sent again, for calls that would do twice what they do.
    """
    retry = Retry(
        total=CONNECT_RETRIES if once else RETRIES,
        connect=CONNECT_RETRIES,
        read=0 if once else CONNECT_RETRIES,
        # an answer of 429 says that nothing was done
        status=CONNECT_RETRIES if once else None,
        redirect=0,
        status_forcelist=(429,) if once else _PASSING,
        allowed_methods=None,
        backoff_factor=0.3,
        backoff_jitter=0.3,
        backoff_max=LONGEST_WAIT_SECONDS,
        # it would have a 503 sent again too
        respect_retry_after_header=not once,
        retry_after_max=LONGEST_WAIT_SECONDS,
        raise_on_status=False,
    )
    parts = urlsplit(url)
    plain = {parts.netloc} if parts.scheme == "http" and is_loopback(parts.hostname) else set()
    session = _Session()
    session.trust_env = not plain
    adapter = _Loopback(plain, max_retries=retry, pool_maxsize=8)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def refused(response: requests.Response, doing: str) -> SalesforceError:
    """What an answer of 400 or above means. The body is quoted only by its error code and message."""
    host = urlsplit(str(response.url)).hostname or "Salesforce"
    code, message = error_of(response)
    status, where = response.status_code, f"{host}, {doing}"
    if status == 401 or code == "INVALID_SESSION_ID":
        return SalesforceError(
            "the session expired or was refused.",
            where=where,
            todo="Log in again; a fixed access token must be renewed.",
        )
    if code == "EXCEEDED_QUOTA" and "jobs/query" in str(response.url):
        return BudgetReachedError(
            "the org's Bulk query jobs of 24 hours are used up.",
            where=where,
            todo="Run again when they have renewed; see `leanfunnel doctor`.",
        )
    if code in ("REQUEST_LIMIT_EXCEEDED", "EXCEEDED_QUOTA", "TotalRequests Limit exceeded.") or status == 429:
        return BudgetReachedError(
            "the org's limit of API requests is used up.",
            where=where,
            todo="Wait until it renews (24 hours, rolling), or raise it; see `leanfunnel doctor`.",
        )
    if code in ("INVALID_QUERY_LOCATOR", "QUERY_TIMEOUT"):
        what = "the query's cursor is gone" if code == "INVALID_QUERY_LOCATOR" else "the query took the org too long"
        return IncompleteExtractError(f"{what}.", where=where, todo="Run again; nothing of it was landed.")
    if code in ("API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED"):
        return SalesforceError(
            "the API is switched off for this org or user.", where=where, todo="Grant the permission 'API Enabled'."
        )
    if status == 403:
        return SalesforceError(
            f"access was refused ({code}).", where=where, todo="Grant this user the permissions that the README lists."
        )
    if status in (500, 502, 503, 504):
        return SalesforceError(
            f"the service is not available (HTTP {status}).",
            where=where,
            todo="See trust.salesforce.com, and run again later.",
        )
    if 300 <= status < 400:
        return SalesforceError("the address points elsewhere.", where=where, todo="Set the org's own My Domain URL.")
    detail = f"{code}: {message}" if message else code
    return SalesforceError(f"the request was refused ({detail}).", where=where, todo="Run `leanfunnel doctor`.")


def error_of(response: requests.Response) -> tuple[str, str]:
    """(error code, message) of a failed answer; for a page that is no JSON the status alone."""
    try:
        body = response.json()
    except (ValueError, requests.RequestException):
        return f"HTTP {response.status_code}", ""
    first = body[0] if isinstance(body, list) and body else body
    if isinstance(first, dict):
        code = first.get("errorCode") or first.get("error") or f"HTTP {response.status_code}"
        return str(code)[:80], " ".join(str(first.get("message") or "").split())[:300]
    return f"HTTP {response.status_code}", ""


def unreachable(error: Exception, host: str) -> SalesforceError:
    """What a connection that failed means."""
    text = f"{type(error).__name__} {error}"
    if isinstance(error, requests.exceptions.SSLError) or "CERTIFICATE_VERIFY" in text:
        return SalesforceError(
            "the secure connection failed: its certificate was not accepted.", where=host,
            todo="Behind an inspecting proxy set REQUESTS_CA_BUNDLE to its certificate; else check the address.",
        )  # fmt: skip
    if "NameResolution" in text or "getaddrinfo" in text or "Name or service not known" in text:
        return SalesforceError(
            "no such host could be found.", where=host, todo="Check the login URL and the network's DNS."
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return SalesforceError("the proxy refused.", where=host, todo="Check HTTPS_PROXY.")
    if isinstance(error, requests.exceptions.ConnectTimeout) or "Connection refused" in text or "NewConnection" in text:
        return SalesforceError(
            "the host does not answer.", where=host, todo="Check the address, the network and any firewall."
        )
    if isinstance(error, requests.exceptions.Timeout) or "timed out" in text:
        return SalesforceError("the host stopped answering.", where=host, todo="Run again later.")
    return SalesforceError("the connection broke off.", where=host, todo="Run again; what was landed stands.")
