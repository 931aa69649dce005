"""What one schedule does, drawn from its seed alone: nothing is played here."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

REST, MORE, BULK, LINKS = "rest_query", "rest_query_more", "bulk_results", "bulk_result_pages"
# each kind of fault and the requests that it makes sense on
FAULTS: dict[str, tuple[str, ...]] = {
    "session_expired": ("describe", REST, BULK, LINKS, "bulk_status"),
    "login_refused": ("token",),
    "request_limit_exceeded": (REST, "describe", "bulk_create"),
    "daily_jobs_used_up": ("bulk_create",),
    "rate_limited": (REST, MORE, BULK),
    "server_unavailable": (REST, MORE, BULK, LINKS, "bulk_status"),
    "truncated_body": (REST, MORE, BULK),
    "cut_chunk": (REST, MORE, BULK),
    "truncated_gzip": (REST, MORE, BULK),
    "close_delimited": (REST, MORE, BULK),
    "reset": (REST, MORE, BULK, LINKS, "bulk_status"),
    "stall": (REST, BULK),
    "slow_drip": (REST, BULK),
    "wrong_encoding": (REST, BULK, LINKS),
    "drop_row": (REST, MORE, BULK),
    "wrong_count": (REST, BULK, "bulk_status"),
    "missing_count": (BULK,),
    "missing_locator": (BULK,),
    "missing_page": (REST, BULK, LINKS),
    "repeated_page": (MORE, BULK, LINKS),
    "tiny_page": (BULK,),
    "empty_page": (BULK,),
    "cut_row": (BULK,),
    "nul_byte": (BULK,),
    "query_timeout": (REST, MORE),
    "lost_locator": (MORE,),
    "job_failed": ("bulk_create",),
    "job_aborted": ("bulk_create",),
    "job_stuck": ("bulk_create",),
    "job_deleted": ("bulk_status", BULK),
    "not_served": (LINKS,),
    "version_conflict": ("describe", REST, "bulk_create"),
    "bulk_unsupported": ("bulk_create",),
    "rows_change": (REST, MORE, BULK),
    "clock_skew": ("describe", REST),
}
_VALUES: dict[str, tuple[Any, ...]] = {
    "rate_limited": (0,), "stall": (0.02,), "slow_drip": (0.02,), "clock_skew": (-60, 60, 300),
}  # fmt: skip
CHANGES = (
    "random",
    "late_edge",
    "late",
    "purge_known",
    "purge_unseen",
    "hide_field",
    "show_field",
    "picklist",
    "deletion",
)


@dataclass(frozen=True)
class Kill:
    """`kill -9` at the `at`-th event of a `stage`: 'extract' (requests, pages), 'land' (commits) or 'load' (dbt nodes)."""

    stage: str
    at: int


@dataclass(frozen=True)
class Round:
    """Changes of the org, then one extraction under `faults`, perhaps killed."""

    changes: tuple[str, ...]
    faults: tuple[dict[str, Any], ...]
    kill: Kill | None


@dataclass(frozen=True)
class Schedule:
    """`company` seeds the org. `load`: the warehouse's staging is built too, and compared."""

    seed: int
    company: int
    bulk_from: int
    rounds: tuple[Round, ...]
    load: bool
    load_kill: Kill | None

    @property
    def side_by_side(self) -> bool:
        """Whether a job's pages are read by `resultPages`."""
        return self.seed % 3 != 2

    @property
    def rows_per_window(self) -> int:
        """Two schedules of five read in windows of a few records."""
        return 9 if self.seed % 5 in (1, 4) else 1_000_000


def schedule(seed: int, *, load_every: int = 25) -> Schedule:
    """The schedule of `seed`. Each second one is killed in one of its rounds; each `load_every`-th goes on to load."""
    draws = random.Random(seed * 7919 + 1)
    count = draws.choice((2, 3))
    killed = draws.randrange(count) if seed % 2 == 0 else None
    rounds = []
    for number in range(count):
        changes = tuple(
            draws.choices(CHANGES, (8, 3, 2, 2, 2, 2, 2, 1, 3))[0] for _ in range(draws.randint(1, 3) if number else 1)
        )
        faults = tuple(_fault(draws) for _ in range(draws.randint(1, 3)))
        kill = None
        if number == killed:
            # a kill is worth most where faults do not end the run first
            stage = draws.choice(("extract", "land"))
            kill, faults = Kill(stage, draws.randint(1, 60 if stage == "extract" else 24)), ()
        rounds.append(Round(changes, faults, kill))
    # the last changes come after a run, so that what a watermark leaves out would show
    load = load_every > 0 and seed % load_every == 0
    load_kill = Kill("load", draws.randint(1, 40)) if load and seed % (2 * load_every) == 0 else None
    return Schedule(seed, seed % 4, draws.choice((6, 12, 10_000)), tuple(rounds), load, load_kill)


def _fault(draws: random.Random) -> dict[str, Any]:
    kind = draws.choice(sorted(FAULTS))
    planned: dict[str, Any] = {
        "kind": kind, "on": draws.choice(FAULTS[kind]), "count": draws.choice((1, 1, 2, 6)), "skip": draws.randint(0, 3),
    }  # fmt: skip
    if kind in _VALUES:
        planned["value"] = draws.choice(_VALUES[kind])
    return planned
