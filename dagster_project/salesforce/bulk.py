"""One Bulk API 2.0 queryAll: create, watch, stream the pages to disk with their stated numbers of rows, delete.

Pages of a big job are read side by side (`resultPages`), a few at a time, else one after the other by locator. Turning pages
into typed rows, and comparing the numbers, is `decode`'s and `extract`'s.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_project.errors import IncompleteExtractError, LeanfunnelError, SalesforceError
from dagster_project.salesforce.client import SalesforceClient
from dagster_project.salesforce.http import error_of, refused

if TYPE_CHECKING:
    import requests

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, GROWTH = 0.05, 5.0, 1.5
STUCK_AFTER_SECONDS = 4 * 3600.0
LINKS_SINCE = 58.0
"""The API version that brought `resultPages`."""
PAGES_AT_ONCE, AT_ONCE_FROM_ROWS = 4, 50_000
"""Pages on the way at once, of jobs with more rows than one page is likely to hold."""
_PATH = "jobs/query"
_JOB_ID = re.compile(r"[A-Za-z0-9]{15,18}")
_MOST_LEFT = 100
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
    notes: Path | None = None,
) -> JobResult | None:
    """Run `soql` as one job and stream its CSV pages into `folder`. The job is deleted however this ends; while it is
    there, a file in the folder `notes` bears its id, so that `forget_left` finds it after a kill.

    None where the Bulk API does not serve the object. `pause(seconds)` waits, and may raise to cancel.
    Raises SalesforceError where the job is stuck or gone, BudgetReachedError where the day's jobs are used up, and
    IncompleteExtractError where the job fails, or pages or their stated numbers are missing.
    """
    doing = f"bulk query of {name}"
    body = {"operation": "queryAll", "query": soql, "columnDelimiter": "COMMA", "lineEnding": "LF"}
    created = client.request("POST", _PATH, doing=doing, json=body, allow=(400,))
    if created.status_code == 400:
        code, message = error_of(created)
        if code in _NOT_SERVED or "not supported" in message.lower():
            return None
        raise refused(created, doing)
    job = _id_of(created, doing)
    finished = False
    try:
        _note(notes, job)
        processed = _wait(client, job, doing, pause, stuck_after)
        finished = True
        reading = _Reading(client, job, folder, doing, on_page, pause)
        pages = reading.at_once(processed) if processed > AT_ONCE_FROM_ROWS else None
        if pages is None:
            pages = reading.in_turn()
    finally:
        _forget(client, job, doing, finished, notes)
    return JobResult(job, processed, tuple(pages))


def forget_left(client: SalesforceClient, notes: Path) -> int:
    """Delete the jobs that a killed run left behind, by what it noted; returns their number. What cannot be reached stays
    noted for the next run."""
    if not notes.is_dir():
        return 0
    left = [note.name for note in sorted(notes.iterdir()) if _JOB_ID.fullmatch(note.name)][:_MOST_LEFT]
    for job in left:
        _forget(client, job, "bulk jobs left behind", False, notes)
    _drop_empty(notes)
    return len(left)


def _id_of(created: requests.Response, doing: str) -> str:
    try:
        job = str(created.json()["id"])
    except (ValueError, KeyError, TypeError):
        job = ""
    if not _JOB_ID.fullmatch(job):
        raise SalesforceError(
            "the answer names no job.", where=doing, todo="Check any proxy on the way, and run again."
        )
    return job


def _note(notes: Path | None, job: str) -> None:
    if notes is None:
        return
    try:
        notes.mkdir(parents=True, exist_ok=True)
        (notes / job).touch()
    except OSError as error:
        raise LeanfunnelError(
            f"a note of the Bulk job cannot be written: {error.strerror}.",
            where=str(notes),
            todo="Free some space or grant the rights, then run again.",
        ) from error


def _drop_empty(notes: Path) -> None:
    # not empty, or gone already: another object's job is noted there, or its thread was faster
    with contextlib.suppress(OSError):
        notes.rmdir()


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
            raise IncompleteExtractError(
                f"the job ended as {state}{f' ({reason})' if reason else ''}.", where=doing, todo="Run again."
            )
        if waited > stuck_after:
            raise SalesforceError(
                f"the job stays {state}.", where=doing, todo="Run again later; see Setup, Bulk Data Load Jobs."
            )
        pause(wait)
        waited += wait
        wait = min(wait * GROWTH, LONGEST_WAIT_SECONDS)


@dataclass(frozen=True)
class _Reading:
    """The pages of one finished job, on their way to disk."""

    client: SalesforceClient
    job: str
    folder: Path
    doing: str
    on_page: Callable[[int], None]
    pause: Callable[[float], None]

    def at_once(self, processed: int) -> list[Page] | None:
        """All pages by `resultPages`, a few side by side. None where the server offers none, or what comes does not add up
        to `processed`: then they are read in turn."""
        if float(self.client.api_version) < LINKS_SINCE:
            return None
        links = self._links(f"{_PATH}/{self.job}/resultPages")
        if links is None:
            return None
        pages: list[Page] = []
        seen: set[str] = set()
        pool = ThreadPoolExecutor(PAGES_AT_ONCE, thread_name_prefix="page")
        try:
            while links is not None:
                urls, following = links
                named = [*urls, *([following] if following else [])]
                if seen & set(named) or len(set(named)) < len(named):
                    return None
                seen |= set(named)
                running = [
                    pool.submit(self._page, url, len(pages) + number, needs_locator=False)
                    for number, url in enumerate(urls)
                ]
                # asked for while these are on their way, so that nothing waits for it
                links = self._links(following) if following else None
                if following and links is None:
                    return None
                pages += [one.result()[0] for one in running]
        except IncompleteExtractError:
            return None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return pages if sum(page.stated for page in pages) == processed else None

    def in_turn(self) -> list[Page]:
        """All pages, each by the locator that the one before it gave."""
        for old in self.folder.glob("page-*.csv"):
            old.unlink()
        pages: list[Page] = []
        locator: str | None = None
        seen: set[str] = set()
        while True:
            params = {"locator": locator} if locator else None
            page, following = self._page(f"{_PATH}/{self.job}/results", len(pages), params, needs_locator=True)
            pages.append(page)
            if following == "null":
                return pages
            if following in seen:
                raise IncompleteExtractError("the pages run in a circle.", where=self.doing, todo="Run again.")
            seen.add(following)
            locator = following

    def _links(self, path: str) -> tuple[list[str], str | None] | None:
        """The addresses of pages and that of further ones; None where the answer is not that."""
        answer = self.client.request("GET", path, doing=self.doing, allow=(400, 404, 405, 501))
        if answer.status_code != 200:
            return None
        try:
            body = answer.json()
            urls = [str(one["resultUrl"]) for one in body["resultPages"]]
            done = bool(body["done"])
        except (ValueError, KeyError, TypeError):
            return None
        # Salesforce's own pages name it both ways
        following = body.get("nextRecordsUrl") or body.get("nextRecordUrl")
        if not urls or (not done and not isinstance(following, str)):
            return None
        return urls, None if done else following

    def _page(
        self, path: str, number: int, params: dict[str, str] | None = None, *, needs_locator: bool
    ) -> tuple[Page, str]:
        self.pause(0)
        target = self.folder / f"page-{number:06}.csv"
        headers = self.client.download(path, target, doing=self.doing, params=params, accept="text/csv")
        stated, following = headers.get("Sforce-NumberOfRecords", ""), headers.get("Sforce-Locator")
        if not stated.isdigit() or (following is None and needs_locator):
            raise IncompleteExtractError(
                "a page came without Sforce-NumberOfRecords or Sforce-Locator, so it cannot be checked.",
                where=self.doing,
                todo="Check any proxy on the way, and run again.",
            )
        self.on_page(int(stated))
        return Page(target, int(stated)), following or ""


def _forget(client: SalesforceClient, job: str, doing: str, finished: bool, notes: Path | None) -> None:
    """Delete the job; one that still runs is aborted first. Salesforce deletes what stays within 7 days."""
    path, passing = f"{_PATH}/{job}", (400, 404, 409)
    try:
        if not finished:
            client.request("PATCH", path, doing=doing, json={"state": "Aborted"}, allow=passing, counts=False)
        client.request("DELETE", path, doing=doing, allow=passing, counts=False)
    except LeanfunnelError:
        # the rows are safe, or an error that matters more is on its way; the next run tries again by the note
        return
    if notes is not None:
        (notes / job).unlink(missing_ok=True)
        _drop_empty(notes)
