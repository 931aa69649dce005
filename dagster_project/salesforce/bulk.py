"""One Bulk API 2.0 queryAll: create, watch, stream each page to disk with its stated number of rows, delete.

Turning pages into typed rows, and comparing the numbers, is `decode`'s and `extract`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dagster_project.errors import IncompleteExtractError, LeanfunnelError, SalesforceError
from dagster_project.salesforce.client import SalesforceClient
from dagster_project.salesforce.http import error_of, refused

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, GROWTH = 0.05, 5.0, 1.5
STUCK_AFTER_SECONDS = 4 * 3600.0
_PATH = "jobs/query"
_NOT_SERVED = ("INVALIDENTITY", "FEATURENOTENABLED")


@dataclass(frozen=True)
class Page:
    """A page on disk and the number of rows that the server stated for it."""

    path: Path
    stated: int


@dataclass(frozen=True)
class JobResult:
    """All pages of a job. `processed`: numberRecordsProcessed."""

    job_id: str
    processed: int
    pages: tuple[Page, ...]


def query_all(
    client: SalesforceClient,
    soql: str,
    folder: Path,
    *,
    name: str,
    on_page: Callable[[int], None] = lambda rows: None,
    pause: Callable[[float], None] = time.sleep,
    stuck_after: float = STUCK_AFTER_SECONDS,
) -> JobResult | None:
    """Run `soql` as one job and stream its CSV pages into `folder`. The job is deleted however this ends.

    None where the Bulk API does not serve the object. `pause(seconds)` waits, and may raise to cancel.
    Raises SalesforceError where the job fails, and
    IncompleteExtractError where pages or their stated numbers are missing.
    """
    doing = f"bulk query of {name}"
    body = {"operation": "queryAll", "query": soql, "columnDelimiter": "COMMA", "lineEnding": "LF"}
    created = client.request("POST", _PATH, doing=doing, json=body, allow=(400,))
    if created.status_code == 400:
        code, message = error_of(created)
        if code in _NOT_SERVED or "not supported" in message.lower():
            return None
        raise refused(created, doing)
    job = str(created.json()["id"])
    finished = False
    try:
        processed = _wait(client, job, doing, pause, stuck_after)
        finished = True
        pages = _pages(client, job, folder, doing, on_page, pause)
    finally:
        _forget(client, job, doing, finished)
    return JobResult(job, processed, tuple(pages))


def _wait(client: SalesforceClient, job: str, doing: str, pause: Callable[[float], None], stuck_after: float) -> int:
    wait, waited = FIRST_WAIT_SECONDS, 0.0
    while True:
        status = client.get(f"{_PATH}/{job}", doing=doing)
        state = status.get("state")
        if state == "JobComplete":
            processed = status.get("numberRecordsProcessed")
            if not isinstance(processed, int):
                raise IncompleteExtractError("the job states no numberRecordsProcessed.", where=doing)
            return processed
        if state in ("Failed", "Aborted"):
            reason = " ".join(str(status.get("errorMessage") or "").split())[:200]
            raise SalesforceError(
                f"the job ended as {state}{f' ({reason})' if reason else ''}.", where=doing, todo="Run again."
            )
        if waited > stuck_after:
            raise SalesforceError(
                f"the job stays {state}.", where=doing, todo="Run again later; see Setup, Bulk Data Load Jobs."
            )
        pause(wait)
        waited += wait
        wait = min(wait * GROWTH, LONGEST_WAIT_SECONDS)


def _pages(
    client: SalesforceClient,
    job: str,
    folder: Path,
    doing: str,
    on_page: Callable[[int], None],
    pause: Callable[[float], None],
) -> list[Page]:
    pages: list[Page] = []
    locator: str | None = None
    seen: set[str] = set()
    while True:
        pause(0)
        target = folder / f"page-{len(pages):06}.csv"
        params = {"locator": locator} if locator else None
        headers = client.download(f"{_PATH}/{job}/results", target, doing=doing, params=params, accept="text/csv")
        stated, following = headers.get("Sforce-NumberOfRecords", ""), headers.get("Sforce-Locator")
        if not stated.isdigit() or following is None:
            raise IncompleteExtractError(
                "a page came without Sforce-NumberOfRecords or Sforce-Locator, so it cannot be checked.",
                where=doing,
                todo="Check any proxy on the way, and run again.",
            )
        pages.append(Page(target, int(stated)))
        on_page(int(stated))
        if following == "null":
            return pages
        if following in seen:
            raise IncompleteExtractError("the pages run in a circle.", where=doing, todo="Run again.")
        seen.add(following)
        locator = following


def _forget(client: SalesforceClient, job: str, doing: str, finished: bool) -> None:
    """Delete the job; one that still runs is aborted first. Salesforce deletes what stays within 7 days."""
    try:
        if not finished:
            client.request("PATCH", f"{_PATH}/{job}", doing=doing, json={"state": "Aborted"}, allow=(400, 404, 409))
        client.request("DELETE", f"{_PATH}/{job}", doing=doing, allow=(400, 404, 409))
    except LeanfunnelError:
        # the rows are safe, or an error that matters more is on its way; a job left behind expires by itself
        return
