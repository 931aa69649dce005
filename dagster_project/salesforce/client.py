"""One logged-in client of an org: REST calls with renewal, streamed bodies that are checked to the last byte, facts.

The session comes from simple-salesforce's login; its Salesforce object gives the addresses. Knows no landing.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from dagster_project.errors import BudgetReachedError, IncompleteExtractError, LeanfunnelError, SalesforceError
from dagster_project.salesforce import auth
from dagster_project.salesforce.budget import Budget
from dagster_project.salesforce.description import ObjectDescription, parse
from dagster_project.salesforce.objects import OBJECTS

if TYPE_CHECKING:
    import requests
    from simple_salesforce import Salesforce

_CHUNK = 1 << 18
_BODY_TRIES = 3


@dataclass(frozen=True)
class ApiUsage:
    """REST requests that the org used of those it has in 24 hours (`Sforce-Limit-Info`)."""

    used: int
    total: int


@dataclass(frozen=True)
class Limit:
    """One of the org's limits."""

    maximum: int
    remaining: int


@dataclass(frozen=True)
class OrgIdentity:
    """Which org this is. What this user may not read is None."""

    id: str
    name: str | None
    is_sandbox: bool | None
    organization_type: str | None
    timezone: str | None
    fiscal_year_start_month: int | None
    instance_url: str
    api_version: str


NO_ACCESS = ("INSUFFICIENT_ACCESS", "INSUFFICIENT_ACCESS_OR_READONLY", "FORBIDDEN", "FUNCTIONALITY_NOT_ENABLED")
"""What a 403 says where this one thing is closed to the user; any other 403 is of the whole org: limits, the API itself."""


class SalesforceClient:
    """Logs in at the first call; safe for a few threads. Errors are SalesforceError and name no secret."""

    def __init__(self, credentials: auth.Credentials, *, api_version: str = "62.0") -> None:
        self.credentials, self.api_version = credentials, api_version
        self.api_usage: ApiUsage | None = None
        #: What this client may send; None: all that the org allows.
        self.budget: Budget | None = None
        self._login: auth.Login | None = None
        self._salesforce: Salesforce | None = None
        self._session: requests.Session | None = None
        self._session_once: requests.Session | None = None
        self._time: datetime | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> SalesforceClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SalesforceClient({self.credentials!r}, api_version={self.api_version!r})"

    def close(self) -> None:
        """Closes the connections."""
        for session in (self._session, self._session_once):
            if session is not None:
                session.close()

    # facts

    @property
    def instance_url(self) -> str:
        """Where the org lives. Logs in."""
        return self._logged_in().instance_url

    @property
    def server_time(self) -> datetime:
        """The org's clock (UTC, whole seconds) as its newest answer told it."""
        if self._time is None:
            self.get("limits", doing="the org's clock")
        if self._time is None:
            raise SalesforceError("the answers carry no Date.", where=self._host, todo="Check any proxy on the way.")
        return self._time

    def limits(self) -> dict[str, Limit]:
        """The org's limits by Salesforce's names, such as DailyApiRequests and DailyBulkV2QueryJobs."""
        body = self.get("limits", doing="limits")
        return {
            name: Limit(int(value["Max"]), int(value["Remaining"]))
            for name, value in body.items()
            if isinstance(value, dict) and {"Max", "Remaining"} <= value.keys()
        }

    def describe(self, name: str) -> ObjectDescription | None:
        """An object as this user sees it; None where the org does not show it (it tells no more than that)."""
        response = self.request("GET", f"sobjects/{name}/describe", doing=f"describe {name}", allow=(400, 403, 404))
        if response.status_code != 200:
            from dagster_project.salesforce.http import error_of

            code = error_of(response)[0]
            if response.status_code == 404 or code in ("INVALID_TYPE", "NOT_FOUND", *NO_ACCESS):
                return None
            raise self._refusal(response, f"describe {name}")
        return parse(_json(response, f"describe {name}"))

    def organization(self) -> OrgIdentity:
        """Which org this is. Raises SalesforceError where its one record cannot be read."""
        description = self.describe("Organization")
        if description is None:
            raise SalesforceError(
                "the Organization record is not readable.",
                where=self._host,
                todo="Grant 'View Setup and Configuration'.",
            )
        fields = [field.name for field in OBJECTS["Organization"].fields if field.name in description.fields]
        body = self.query(f"SELECT {', '.join(fields)} FROM Organization", doing="Organization")
        records = body.get("records") or []
        if len(records) != 1 or "Id" not in records[0]:
            raise SalesforceError("the Organization record is not readable.", where=self._host)
        record = records[0]
        month = record.get("FiscalYearStartMonth")
        return OrgIdentity(
            str(record["Id"]),
            record.get("Name"),
            record.get("IsSandbox"),
            record.get("OrganizationType"),
            record.get("TimeZoneSidKey"),
            int(month) if month is not None else None,
            self.instance_url,
            self.api_version,
        )

    def count(self, soql: str, *, doing: str = "count") -> int:
        """What `SELECT COUNT() …` says, deleted and archived rows included."""
        body = self.query(soql, doing=doing)
        total = body.get("totalSize")
        if not isinstance(total, int) or isinstance(total, bool):
            raise SalesforceError("the count has no totalSize.", where=f"{self._host}, {doing}")
        return total

    # calls

    def query(self, soql: str, *, doing: str) -> dict[str, Any]:
        """The first page of a queryAll, in memory: for counts and single records."""
        return self.get("queryAll", doing=doing, params={"q": soql})

    def get(self, path: str, *, doing: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """JSON of one GET below the data API's base."""
        return _json(self.request("GET", path, doing=doing, params=params), doing)

    def request(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        allow: tuple[int, ...] = (),
        stream: bool = False,
        counts: bool = True,
        once: bool = False,
    ) -> requests.Response:
        """One call; `path` is relative to the data API or absolute within the host. A 401 renews the session once, and
        an answer that breaks off is asked for again. `counts`: it is charged to the budget, as all but
        tidying up.

        `once`: never sent a second time after it may have arrived, for calls that are not safe to repeat.

        Raises BudgetReachedError where the budget is used up, and SalesforceError for every answer of 300 or above that
        `allow` does not name.
        """
        import requests

        from dagster_project.salesforce.http import unreachable

        broken_off = (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)
        for attempt in (1, 2):
            login = self._logged_in()
            assert self._salesforce is not None
            assert self._session is not None
            sent = {"Authorization": f"Bearer {login.access_token}", **(headers or {})}
            url = urljoin(self._salesforce.base_url, path)
            if urlsplit(url).netloc != urlsplit(self._salesforce.base_url).netloc:
                raise SalesforceError("an answer points to another host.", where=self._host)
            if counts and self.budget is not None:
                self.budget.spend_call()
            session = self._unrepeated() if once else self._session
            for number in range(1, _BODY_TRIES + 1):
                try:
                    response = session.request(method, url, params=params, json=json, headers=sent, stream=stream)
                    break
                except broken_off as error:
                    # the adapter's own retries end where the body begins; what is not sent `once` may be sent twice
                    if once or number == _BODY_TRIES:
                        raise unreachable(error, self._host) from None
                except (requests.RequestException, OSError) as error:
                    raise unreachable(error, self._host) from None
            self._note(response)
            if response.status_code == 401 and attempt == 1 and self._renew(login):
                response.close()
                continue
            break
        if response.status_code >= 300 and response.status_code not in allow:
            raise self._refusal(response, doing)
        return response

    def download(
        self,
        path: str,
        target: Path,
        *,
        doing: str,
        params: Mapping[str, str] | None = None,
        accept: str = "application/json",
    ) -> Mapping[str, str]:
        """Stream a body to `target`, unpacked, and give its headers. A body that ends too soon is fetched again.

        Raises IncompleteExtractError where it stays short, LeanfunnelError where the disk refuses it.
        """
        import requests
        from urllib3.exceptions import HTTPError

        for attempt in range(_BODY_TRIES):
            headers = {"Accept": accept, "Accept-Encoding": "gzip"}
            response = self.request("GET", path, doing=doing, params=params, headers=headers, stream=True)
            try:
                _write_body(response, target)
            except (requests.RequestException, HTTPError, _ShortBodyError, ConnectionError, TimeoutError):
                if attempt == _BODY_TRIES - 1:
                    raise IncompleteExtractError(
                        "an answer kept breaking off before its end.",
                        where=f"{self._host}, {doing}",
                        todo="Run again; nothing of it was landed.",
                    ) from None
            except OSError as error:
                raise LeanfunnelError(
                    f"a page cannot be written: {error.strerror}.",
                    where=str(target.parent),
                    todo="Free some space and run again.",
                ) from error
            else:
                return response.headers
            finally:
                response.close()
        raise AssertionError("unreachable")

    # session

    @property
    def _host(self) -> str:
        if self._login:
            url = self._login.instance_url
        elif isinstance(self.credentials, auth.AccessToken):
            url = self.credentials.instance_url
        else:
            url = self.credentials.login_url
        return urlsplit(url if "//" in url else f"//{url}").hostname or "Salesforce"

    def _logged_in(self) -> auth.Login:
        with self._lock:
            if self._login is None:
                self._connect()
            assert self._login is not None
            return self._login

    def _connect(self) -> None:
        import requests
        from simple_salesforce import Salesforce

        from dagster_project.salesforce.http import session_for, unreachable

        given = self.credentials
        if isinstance(given, auth.AccessToken):
            base = auth.checked_url(given.instance_url, "instance URL")
        else:
            base = auth.checked_url(given.login_url, "login URL")
        session = session_for(base)
        try:
            login = auth.log_in(given, session, api_version=self.api_version)
        except SalesforceError as error:
            raise self._told(error) from None
        except (requests.RequestException, OSError) as error:
            raise unreachable(error, self._host) from None
        if urlsplit(login.instance_url).netloc != urlsplit(base).netloc:
            session.close()
            session = session_for(login.instance_url)
        self._session = session
        self._salesforce = Salesforce(
            session_id=login.access_token, instance_url=login.instance_url, session=session, version=self.api_version
        )
        self._login = login

    def _unrepeated(self) -> requests.Session:
        from dagster_project.salesforce.http import session_for

        assert self._login is not None
        if self._session_once is None:
            self._session_once = session_for(self._login.instance_url, once=True)
        return self._session_once

    def _renew(self, expired: auth.Login) -> bool:
        """Log in again, once for all threads that met the same expired session. False where nothing can be renewed."""
        if isinstance(self.credentials, auth.AccessToken):
            return False
        with self._lock:
            if self._login is expired:
                self._connect()
        return True

    def _note(self, response: requests.Response) -> None:
        if date := response.headers.get("Date"):
            # a clock that cannot be read is no clock; whoever needs one asks again
            with contextlib.suppress(ValueError):
                self._time = parsedate_to_datetime(date).astimezone(UTC)
        if found := re.search(r"api-usage=(\d+)/(\d+)", response.headers.get("Sforce-Limit-Info", "")):
            self.api_usage = ApiUsage(int(found[1]), int(found[2]))
            if self.budget is not None:
                self.budget.learn_usage(int(found[1]), int(found[2]))

    def _refusal(self, response: requests.Response, doing: str) -> SalesforceError:
        from dagster_project.salesforce.http import refused

        error = self._told(refused(response, doing))
        # a POST may be refused for want of Bulk jobs, while requests are left
        if isinstance(error, BudgetReachedError) and self.budget is not None and response.request.method == "GET":
            self.budget.stop(error)
        return error

    def _told(self, error: SalesforceError) -> SalesforceError:
        """The error without any secret that a server might have echoed."""
        secrets = [*auth.secrets_of(self.credentials), *([self._login.access_token] if self._login else [])]
        for name in ("what", "where", "todo"):
            text = getattr(error, name)
            for secret in secrets:
                for spelling in auth.spellings(secret):
                    text = text.replace(spelling, "***") if text else text
            setattr(error, name, text)
        error.args = (error.what,)
        return error


class _ShortBodyError(Exception):
    """A gzip stream that is broken or without its end."""


def _write_body(response: requests.Response, target: Path) -> None:
    # unpacked here: urllib3 takes a gzip stream that ends too soon for a whole one; ISA-L is several times zlib's speed
    from isal import isal_zlib

    packed = response.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip")
    inflate = isal_zlib.decompressobj(31) if packed else None
    with target.open("wb") as file:
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            try:
                file.write(inflate.decompress(chunk) if inflate else chunk)
            except isal_zlib.error:  # type: ignore[misc]  # its stub calls the class an attribute
                raise _ShortBodyError from None
        if inflate:
            file.write(inflate.flush())
            if not inflate.eof or inflate.unused_data:
                raise _ShortBodyError


def _json(response: requests.Response, doing: str) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        host = urlsplit(str(response.url)).hostname
        raise SalesforceError(
            "the answer is no JSON of Salesforce's API.",
            where=f"{host}, {doing}",
            todo="Check the address and any proxy.",
        )
    return body
