"""What reading an object will take: REST or Bulk, windows, requests, seconds and bytes. Numbers only, no requests here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from dagster_project.salesforce.budget import ROWS_A_WINDOW

Via = Literal["rest", "bulk"]
REST_FIRST_ROWS, REST_LATER_ROWS = 2_000, 10_000
"""Up to so many rows REST needs fewer calls and no waiting; above, Bulk API 2.0."""
REST_PAGE, BULK_PAGE, LINKS_A_CALL = 2_000, 50_000, 5
"""Rows that Salesforce puts on a page unless told otherwise, and pages that one call of resultPages names."""

# describe, and the counts before and after
_CALLS_AROUND = 3
# create, look at its state about six times, delete
_CALLS_A_JOB = 8
# a cut is found by about so many counts, and the oldest row is looked up
_CALLS_A_CUT = 8

REST_ROWS_A_SECOND, BULK_ROWS_A_SECOND = 2_000, 20_000
"""Stated rates, cautious ones: Salesforce's side and the network decide, not ours. A first run shows the org's own."""
SECONDS_A_CALL, SECONDS_A_JOB, BYTES_A_FIELD = 0.2, 10.0, 16
"""A round trip, the waiting for a job, and an average value in CSV."""


@dataclass(frozen=True)
class Estimate:
    """What the first load of one object is expected to take. `bytes` are those of the pages on the way, unpacked."""

    object: str
    rows: int
    via: Via
    windows: int
    calls: int
    jobs: int
    seconds: float
    bytes: int


def choose(rows: int, *, is_first: bool, calls_left: int | None = None, jobs_left: int | None = None) -> Via:
    """REST for few rows, else Bulk; REST too where the budget leaves no job, or more requests for REST than for Bulk."""
    if rows <= (REST_FIRST_ROWS if is_first else REST_LATER_ROWS):
        return "rest"
    affordable = calls_left is None or rest_calls(rows) <= calls_left
    if affordable and (jobs_left == 0 or (calls_left is not None and bulk_calls(rows) > calls_left)):
        return "rest"
    return "bulk"


def rest_calls(rows: int) -> int:
    """Requests that the pages of a query take."""
    return max(1, math.ceil(rows / REST_PAGE))


def bulk_calls(rows: int) -> int:
    """Requests that a job with its pages takes."""
    pages = max(1, math.ceil(rows / BULK_PAGE))
    return _CALLS_A_JOB + pages + math.ceil(pages / LINKS_A_CALL)


def estimate(
    name: str, rows: int, fields: int, *, rows_per_window: int = ROWS_A_WINDOW, cursor: bool = True
) -> Estimate:
    """The first load of an object with so many rows and fields. Without a `cursor` it is read in one window."""
    windows = max(1, math.ceil(rows / rows_per_window)) if cursor else 1
    each = math.ceil(rows / windows)
    via = choose(each, is_first=True)
    calls = _CALLS_AROUND + (windows - 1) * _CALLS_A_CUT
    calls += windows * (rest_calls(each) if via == "rest" else bulk_calls(each))
    calls += (windows - 1) * (_CALLS_AROUND - 1)
    rate = REST_ROWS_A_SECOND if via == "rest" else BULK_ROWS_A_SECOND
    jobs = windows if via == "bulk" else 0
    seconds = rows / rate + jobs * SECONDS_A_JOB + calls * SECONDS_A_CALL
    return Estimate(name, rows, via, windows, calls, jobs, seconds, rows * fields * BYTES_A_FIELD)
