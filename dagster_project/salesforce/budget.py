"""How many API requests and Bulk jobs a run may use, and the stop where they are used up. No requests here.

Two bounds hold at once: one for the run, and one for the org as a whole, whoever used the rest of it today.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from dagster_project.errors import BudgetReachedError

ROWS_A_WINDOW = 5_000_000
DAILY_REQUESTS, DAILY_JOBS = "DailyApiRequests", "DailyBulkV2QueryJobs"


@dataclass(frozen=True)
class Bounds:
    """What the settings allow. `calls_per_run`: API requests of one run, None: as many as the day allows. `share_of_day`:
    the run stops once the org has used so much of its requests, whoever used them. `rows_per_window`: objects with
    more rows are read in windows, each landed by itself."""

    calls_per_run: int | None = None
    share_of_day: float = 0.8
    rows_per_window: int = ROWS_A_WINDOW


class OneLimit(Protocol):
    """One of the org's limits."""

    @property
    def maximum(self) -> int:
        """So many in 24 hours."""

    @property
    def remaining(self) -> int:
        """So many of them are left."""


class Budget:
    """What a run has used and may still use; safe for threads. It learns of the org's use by every answer."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self.calls = 0
        self._used: int | None = None
        self._total: int | None = None
        self._jobs: int | None = None
        self._refused: BudgetReachedError | None = None
        self._lock = threading.Lock()

    def learn_limits(self, limits: Mapping[str, OneLimit]) -> None:
        """What /limits says at the beginning; a limit that is not listed is no bound."""
        if found := limits.get(DAILY_REQUESTS):
            self.learn_usage(found.maximum - found.remaining, found.maximum)
        if jobs := limits.get(DAILY_JOBS):
            with self._lock:
                self._jobs = jobs.remaining

    def learn_usage(self, used: int, total: int) -> None:
        """What an answer's Sforce-Limit-Info says. Answers of several threads may come out of turn."""
        with self._lock:
            known = self._used if total == self._total and self._used is not None else 0
            self._used, self._total = max(used, known), total

    def stop(self, refused: BudgetReachedError) -> None:
        """The org itself refused: nothing more is sent."""
        with self._lock:
            self._refused = self._refused or refused

    @property
    def calls_left(self) -> int | None:
        """How many requests the run may still send; None where no bound is known."""
        left = []
        if self.bounds.calls_per_run is not None:
            left.append(self.bounds.calls_per_run - self.calls)
        if self._used is not None and self._total is not None:
            left.append(math.floor(self._total * self.bounds.share_of_day) - self._used)
        return max(0, min(left)) if left else None

    @property
    def jobs_left(self) -> int | None:
        """How many Bulk query jobs the org still allows today; None where it does not say."""
        return self._jobs

    def spend_call(self) -> None:
        """Before each request. Raises BudgetReachedError where none is left, naming the bound."""
        with self._lock:
            bounds = self.bounds
            if self._refused is not None:
                raise BudgetReachedError(self._refused.what, where=self._refused.where, todo=self._refused.todo)
            if bounds.calls_per_run is not None and self.calls >= bounds.calls_per_run:
                raise BudgetReachedError(
                    f"this run has used its {bounds.calls_per_run:,} API requests.",
                    where="api_calls_per_run",
                    todo="Run again to go on, or raise it in leanfunnel.yml.",
                )
            if self._used is not None and self._total and self._used >= math.floor(self._total * bounds.share_of_day):
                raise BudgetReachedError(
                    f"the org has used {self._used:,} of its {self._total:,} API requests of 24 hours, "
                    f"and a run stops at {bounds.share_of_day:.0%}.",
                    where="api_share_of_day",
                    todo="Run again when they have renewed, or raise it in leanfunnel.yml.",
                )
            self.calls += 1

    def spend_job(self) -> None:
        """Before a Bulk job is created."""
        with self._lock:
            if self._jobs is not None:
                self._jobs = max(0, self._jobs - 1)
