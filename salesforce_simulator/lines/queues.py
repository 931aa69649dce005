"""The line itself: a discrete-event simulation, one server a role with a queue in order of arrival. Days since the start.

Work arrives a customer's delay and a human one after the touch before. A lead or deal that waits longer than its patience is
lost without a touch; the sellers take cases first. What happens is kept as plain rows, one list a kind.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from salesforce_simulator.lines.plans import CASE_TOUCHES, LEAD_TOUCHES, LEAD_YIELD, STAGES, WEEKS, Plan, Rates, loads

DAYS = 7 * WEEKS
LEAD_PATIENCE, DEAL_PATIENCE = 30.0, 90.0
LEAD_DELAY, CASE_DELAY, FAST_DELAY, SLOW_DELAY = 3.0, 1.5, 4.0, 10.0
"""Mean days until the other side answers."""
HUMAN_DELAY = 0.6
"""Mean days until an answer is on somebody's list."""
ANSWERS_LOGGED = 0.6
SERVICE_SHAPE = 3.0
QUALIFIERS, SELLERS = 4, 6


@dataclass
class Journal:
    """What happened, in order of the simulation, days since the start. Indexes name leads, deals and cases."""

    reached: list[tuple[float, float | None]] = field(default_factory=list)
    """(reached, responded or None) per campaign member; responded members became leads."""
    leads: list[dict[str, Any]] = field(default_factory=list)
    deals: list[dict[str, Any]] = field(default_factory=list)
    cases: list[dict[str, Any]] = field(default_factory=list)
    touches: list[tuple[float, str, int, str, int]] = field(default_factory=list)
    """(at, kind: lead, deal or case, index, role, person of the role)."""
    answers: list[tuple[float, int]] = field(default_factory=list)
    """(at, deal): the customer wrote."""


class _Draws:
    """Numbers drawn in blocks: one call a number costs more than all the rest."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._kept: dict[str, list[float]] = {}

    def _next(self, kind: str) -> float:
        kept = self._kept.get(kind)
        if not kept:
            made = {
                "uniform": lambda: self._rng.random(8192),
                "exponential": lambda: self._rng.exponential(1.0, 8192),
                "delay": lambda: self._rng.gamma(2.0, 0.5, 8192),
                "service": lambda: self._rng.gamma(SERVICE_SHAPE, 1 / SERVICE_SHAPE, 8192),
            }[kind]()
            kept = self._kept[kind] = made.tolist()
        return kept.pop()

    def uniform(self) -> float:
        return self._next("uniform")

    def exponential(self, mean: float) -> float:
        return mean * self._next("exponential")

    def delay(self, mean: float) -> float:
        return mean * self._next("delay")

    def service(self, mean: float) -> float:
        return mean * self._next("service")

    def touches(self, mean: float) -> int:
        """At least one; the rest Poisson."""
        level, count, product = math.exp(1 - mean), 1, self.uniform()
        while product > level:
            count += 1
            product *= self.uniform()
        return count


class _Line:
    def __init__(self, plan: Plan, rng: np.random.Generator) -> None:
        self.plan, self.rng, self.draw = plan, rng, _Draws(rng)
        self.journal = Journal()
        self.events: list[tuple[float, int, str, Any]] = []
        self.number = 0
        self.queues: dict[str, deque[tuple[float, float, str, int]]] = {
            "qualifier": deque(), "seller": deque(), "case": deque()
        }  # fmt: skip
        self.busy = {"qualifier": False, "seller": False}
        self.customers = plan.customers
        self._leaving = loads(plan.before, plan.customers)[3] / plan.customers

    def rates(self, at: float) -> Rates:
        return self.plan.after if at >= self.plan.changes_at else self.plan.before

    def at(self, when: float, kind: str, what: Any) -> None:
        if when < DAYS:
            self.number += 1
            heapq.heappush(self.events, (when, self.number, kind, what))

    def run(self) -> Journal:
        self._arrivals()
        while self.events:
            now, _, kind, what = heapq.heappop(self.events)
            if kind == "done":
                self._touched(now, *what)
            elif kind == "due":
                self._due(now, *what)
            elif kind == "lead":
                self._lead(now, what)
            else:
                self._day(now)
        # patience that ran out in a queue nobody came to any more
        for role in ("qualifier", "seller"):
            for since, patience, kind, index in self.queues[role]:
                if since + patience < DAYS:
                    self._give_up(since + patience, kind, index)
        return self.journal

    def _arrivals(self) -> None:
        """All that the market does, in sets; cases depend on wins and are drawn day by day."""
        days = np.arange(DAYS)
        changed = days >= self.plan.changes_at
        before, after = self.plan.before, self.plan.after
        swing = 1 + self.plan.season_swing * np.sin(2 * np.pi * (days / (52 * 7) + self.plan.season_phase))
        reached = self.rng.poisson(np.where(changed, after.reached, before.reached) * swing / 7)
        at = np.repeat(days, reached) + self.rng.random(int(reached.sum()))
        chance = np.where(at >= self.plan.changes_at, after.response_yield, before.response_yield)
        responds = self.rng.random(len(at)) < chance
        delay = np.minimum(self.rng.exponential(2.0, len(at)), 13.0)
        for member, (when, answers, later) in enumerate(
            zip(at.tolist(), responds.tolist(), (at + delay).tolist(), strict=True)
        ):
            known = answers and later < DAYS
            self.journal.reached.append((when, later if known else None))
            if known:
                self.at(later, "lead", member)
        unprompted = self.rng.poisson(np.where(changed, after.unprompted, before.unprompted) * swing / 7)
        for when in (np.repeat(days, unprompted) + self.rng.random(int(unprompted.sum()))).tolist():
            self.at(when, "lead", None)
        for day in days.tolist():
            self.at(float(day), "day", None)

    def _day(self, now: float) -> None:
        rates = self.rates(now)
        for _case in range(int(self.rng.poisson(self.customers * rates.cases_per_customer / 7))):
            when = now + self.draw.uniform()
            self.journal.cases.append({
                "created": when, "closed": None, "begun": None, "left": self.draw.touches(CASE_TOUCHES),
                "person": int(self.draw.uniform() * SELLERS),
            })  # fmt: skip
            self.at(when + self.draw.delay(HUMAN_DELAY) / 3, "due", ("case", len(self.journal.cases) - 1))
        # customers leave at the rate at which wins join in balance
        self.customers -= int(self.rng.poisson(self.customers * self._leaving / 7))

    def _lead(self, now: float, member: int | None) -> None:
        self.journal.leads.append({
            "created": now, "member": member, "worked": None, "closed": None, "deal": None,
            "left": self.draw.touches(LEAD_TOUCHES), "person": int(self.draw.uniform() * QUALIFIERS),
        })  # fmt: skip
        self.at(now + self.draw.delay(HUMAN_DELAY), "due", ("lead", len(self.journal.leads) - 1))

    def _due(self, now: float, kind: str, index: int) -> None:
        if kind == "lead":
            role = "qualifier"
            waits = self.draw.exponential(LEAD_PATIENCE)
        elif kind == "deal":
            role = STAGES[self.journal.deals[index]["stage"]].role
            waits = self.draw.exponential(DEAL_PATIENCE)
        else:
            role, waits = "case", math.inf
        self.queues[role].append((now, waits, kind, index))
        self._serve(now, "seller" if role == "case" else role)

    def _serve(self, now: float, role: str) -> None:
        if self.busy[role]:
            return
        while True:
            line = self.queues["case"] if role == "seller" and self.queues["case"] else self.queues[role]
            if not line:
                return
            since, patience, kind, index = line.popleft()
            if since + patience < now:
                self._give_up(since + patience, kind, index)
                continue
            self.busy[role] = True
            rates = self.rates(now)
            capacity = rates.qualifier_touches if role == "qualifier" else rates.seller_touches
            self.at(now + self.draw.service(7 / capacity), "done", (role, kind, index))
            return

    def _give_up(self, at: float, kind: str, index: int) -> None:
        if kind == "lead":
            self.journal.leads[index]["closed"] = at
        else:
            self._move(at, index, "Closed Lost")

    def _touched(self, now: float, role: str, kind: str, index: int) -> None:
        self.busy[role] = False
        record = {"lead": self.journal.leads, "deal": self.journal.deals, "case": self.journal.cases}[kind][index]
        self.journal.touches.append((now, kind, index, role, record["person"]))
        record["left"] -= 1
        if kind == "lead":
            if record["worked"] is None:
                record["worked"] = now
            if record["left"] > 0:
                self.at(now + self._away(LEAD_DELAY), "due", ("lead", index))
            else:
                self._decide_lead(now, index)
        elif kind == "case":
            if record["begun"] is None:
                record["begun"] = now
            if record["left"] > 0:
                self.at(now + self._away(CASE_DELAY), "due", ("case", index))
            else:
                record["closed"] = now
        else:
            delay = self.draw.delay(SLOW_DELAY if record["slow"] else FAST_DELAY)
            answered = now + delay
            if record["left"] > 0:
                if self.draw.uniform() < ANSWERS_LOGGED and answered < DAYS:
                    self.journal.answers.append((answered, index))
                self.at(answered + self.draw.delay(HUMAN_DELAY), "due", ("deal", index))
            else:
                self._decide_deal(now, index)
        self._serve(now, role)

    def _away(self, mean: float) -> float:
        return self.draw.delay(mean) + self.draw.delay(HUMAN_DELAY)

    def _decide_lead(self, now: float, index: int) -> None:
        lead = self.journal.leads[index]
        lead["closed"] = now
        if self.draw.uniform() < LEAD_YIELD:
            lead["deal"] = len(self.journal.deals)
            self.journal.deals.append({
                "visits": [], "stage": 0, "left": 0, "lead": index, "slow": self.draw.uniform() < self.rates(now).slow_share,
                "person": int(self.draw.uniform() * SELLERS),
            })  # fmt: skip
            self._enter(now, lead["deal"], 0)

    def _decide_deal(self, now: float, index: int) -> None:
        stage = self.journal.deals[index]["stage"]
        if self.draw.uniform() >= STAGES[stage].advances:
            self._move(now, index, "Closed Lost")
        elif stage + 1 == len(STAGES):
            self.customers += 1
            self._move(now, index, "Closed Won")
        else:
            self._enter(now, index, stage + 1)

    def _enter(self, now: float, index: int, stage: int) -> None:
        deal = self.journal.deals[index]
        deal["stage"], deal["left"] = stage, self.draw.touches(STAGES[stage].touches)
        self._move(now, index, STAGES[stage].name)
        answered = now + self.draw.delay(SLOW_DELAY if deal["slow"] else FAST_DELAY) / 4
        if self.draw.uniform() < ANSWERS_LOGGED and answered < DAYS:
            self.journal.answers.append((answered, index))
        self.at(answered + self.draw.delay(HUMAN_DELAY), "due", ("deal", index))

    def _move(self, at: float, index: int, stage: str) -> None:
        self.journal.deals[index]["visits"].append((stage, at))


def run(plan: Plan, rng: np.random.Generator) -> Journal:
    """The journal of the plan's company over `WEEKS` weeks."""
    return _Line(plan, rng).run()
