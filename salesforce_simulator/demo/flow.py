"""How deals move through the demo company: arrivals, queues and outcomes. Causes only; no record is written here."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

DAY = 86_400
YEARS = 3
WON, LOST = "Closed Won", "Closed Lost"
STAGES = {
    "New_Business": ("Prospecting", "Qualification", "Needs Analysis", "Proposal/Price Quote", "Negotiation/Review"),
    "Expansion": ("Qualification", "Needs Analysis", "Proposal/Price Quote"),
}
#: (advanced, back) per open stage; the rest is lost.
OUTCOMES = {
    "New_Business": ((0.72, 0.0), (0.66, 0.05), (0.68, 0.07), (0.55, 0.09), (0.70, 0.08)),
    "Expansion": ((0.80, 0.0), (0.76, 0.06), (0.66, 0.06)),
}
#: Mean days of work in a stage, apart from waiting.
WORK_DAYS = {"New_Business": (8.0, 10.0, 12.0, 9.0, 11.0), "Expansion": (7.0, 9.0, 10.0)}
#: Exits a week that a stage can handle, as a share of first arrivals; returns come on top, so near one is too little.
CAPACITY = {"New_Business": (1.6, 1.6, 1.5, 1.06, 1.6), "Expansion": (1.6, 1.6, 1.6)}
CONSTRAINT = ("New_Business", "Proposal/Price Quote")
MAX_WORK_DAYS, MAX_WAIT_DAYS = 32.0, 45.0
NEW_BUSINESS_SHARE, SKIP_SHARE, REOPEN_SHARE = 0.68, 0.04, 0.03


@dataclass
class Deal:
    """One deal: process, creation, and its visits as (stage, entered) in seconds since 1970."""

    process: str
    created: int
    visits: list[tuple[str, int]] = field(default_factory=list)

    @property
    def stage(self) -> str:
        """The stage it is in now."""
        return self.visits[-1][0]

    @property
    def is_open(self) -> bool:
        """Whether it is neither won nor lost."""
        return self.stage not in (WON, LOST)


def planted_transitions() -> dict[str, dict[str, dict[str, float]]]:
    """P(exit kind | first visit) per process and open stage; `advanced` includes won out of the last one."""
    return {
        process: {
            stage: {"advanced": a, "back": b, "lost": round(1 - a - b, 10)}
            for stage, (a, b) in zip(stages, OUTCOMES[process], strict=True)
        }
        for process, stages in STAGES.items()
    }


def run(rng: np.random.Generator, opportunities: int, now: int) -> list[Deal]:
    """Deals in order of creation. Outcomes are drawn apart from dwell; a closed visit lasts at most 77 days."""
    weeks = YEARS * 52
    start = now - weeks * 7 * DAY
    weights = np.linspace(0.85, 1.15, weeks)
    weekly = rng.multinomial(opportunities, weights / weights.sum())
    created = np.sort(
        start + np.repeat(np.arange(weeks), weekly) * 7 * DAY + rng.integers(0, 7 * DAY - 7200, opportunities)
    )
    is_new = rng.random(opportunities) < NEW_BUSINESS_SHARE
    deals = [Deal("New_Business" if new else "Expansion", int(at)) for new, at in zip(is_new, created, strict=True)]
    gaps = _queues(opportunities / weeks)
    free: dict[tuple[str, int], float] = {}
    uniform = iter(rng.random(opportunities * 60).tolist())
    gamma = iter(rng.gamma(2.0, 0.5, opportunities * 20).tolist())
    queue = [(d.created, i, 1 if next(uniform) < 0.04 else 0) for i, d in enumerate(deals)]
    heapq.heapify(queue)
    seen: set[tuple[int, int]] = set()
    while queue:
        at, i, position = heapq.heappop(queue)
        deal = deals[i]
        process, stages = deal.process, STAGES[deal.process]
        deal.visits.append((stages[position], at))
        key = (process, position)
        slot = min(max(free.get(key, 0.0), at), at + MAX_WAIT_DAYS * DAY)
        free[key] = slot + gaps[key]
        work = min(WORK_DAYS[process][position] * next(gamma) + 0.2, MAX_WORK_DAYS)
        leaves = int(slot + work * DAY)
        advanced, back = OUTCOMES[process][position]
        if (i, position) in seen:  # only first visits can go back, so that every deal ends
            advanced, back = advanced / (1 - back), 0.0
        seen.add((i, position))
        draw, skip, reopen = next(uniform), next(uniform), next(uniform)
        if leaves >= now:
            continue
        if draw < advanced:
            if position + 1 == len(stages):
                deal.visits.append((WON, leaves))
            else:
                jump = 2 if skip < SKIP_SHARE and position + 2 < len(stages) else 1
                heapq.heappush(queue, (leaves, i, position + jump))
        elif draw < advanced + back:
            heapq.heappush(queue, (leaves, i, position - 1))
        else:
            deal.visits.append((LOST, leaves))
            again = leaves + int((10 + 30 * skip) * DAY)
            if reopen < REOPEN_SHARE and again < now and sum(s == LOST for s, _ in deal.visits) == 1:
                heapq.heappush(queue, (again, i, position))
    return deals


def _queues(arrivals_a_week: float) -> dict[tuple[str, int], float]:
    gaps = {}
    for process, outcomes in OUTCOMES.items():
        rate = arrivals_a_week * (NEW_BUSINESS_SHARE if process == "New_Business" else 1 - NEW_BUSINESS_SHARE)
        for position, (advanced, _) in enumerate(outcomes):
            gaps[process, position] = 7 * DAY / (rate * CAPACITY[process][position])
            rate *= advanced
    return gaps
