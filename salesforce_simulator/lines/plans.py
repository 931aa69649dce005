"""What is planted: arrival rates, capacities, yields and mix of a line, before and after a day on which one of them changes.

In balance each role has the same slack. A constraint is one capacity or rate that lies, from that day on, `strength` below what
the others are made for. Loads are expected touches a week, told from rates and yields alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

LOCATIONS = ("market", "marketing", "qualifying", "selling", "servicing")
DECOYS = ("mix", "season")
STRENGTHS = {"weak": 0.10, "medium": 0.25, "strong": 0.45}
"""How far the one capacity or rate lies under the load of the others."""
UTILIZATION = 0.8
"""Load over capacity of each role in balance."""
WEEKS = 180
EARLIEST_CHANGE, LATEST_CHANGE = 46, 24
"""The change comes between so many weeks before the end."""


@dataclass(frozen=True)
class Stage:
    """An open stage: who works it, touches a visit needs on average (at least one), chance to move on."""

    name: str
    role: str
    touches: float
    advances: float


STAGES = (
    Stage("Qualification", "qualifier", 2.0, 0.75),
    Stage("Needs Analysis", "seller", 2.5, 0.70),
    Stage("Proposal/Price Quote", "seller", 2.5, 0.65),
    Stage("Negotiation/Review", "seller", 2.0, 0.72),
)
LEAD_TOUCHES, LEAD_YIELD = 2.2, 0.40
CASE_TOUCHES = 2.0


@dataclass(frozen=True)
class Rates:
    """Of one time. Rates and capacities a week; delays in days."""

    reached: float = 420.0
    """People whom campaigns reach."""
    response_yield: float = 0.10
    unprompted: float = 18.0
    """Inquiries that no campaign prompted."""
    qualifier_touches: float = 0.0
    """Capacity of those who work leads and first calls."""
    seller_touches: float = 0.0
    """Capacity of the sellers; cases come first."""
    cases_per_customer: float = 0.04
    slow_share: float = 0.25
    """Deals of the segment whose buyers take longer to answer."""


@dataclass(frozen=True)
class Plan:
    """One company. `changes_at`: days after the start from which `after` holds."""

    scenario: str
    strength: str | None
    before: Rates
    after: Rates
    changes_at: float
    customers: int
    """Customers at the start; wins join them, and they leave at the rate that keeps so many."""
    season_swing: float = 0.0
    season_phase: float = 0.0

    @property
    def constraint(self) -> str | None:
        """The location that holds the line back in the end; None in balance and in decoys."""
        return self.scenario if self.scenario in LOCATIONS else None


def inquiries(rates: Rates) -> float:
    """Expected inquiries a week."""
    return rates.reached * rates.response_yield + rates.unprompted


def loads(rates: Rates, customers: int) -> tuple[float, float, float, float]:
    """Expected touches a week: qualifiers, sellers on deals, sellers on cases; and wins a week."""
    deals = inquiries(rates) * LEAD_YIELD
    qualifying, selling = inquiries(rates) * LEAD_TOUCHES, 0.0
    for stage in STAGES:
        if stage.role == "qualifier":
            qualifying += deals * stage.touches
        else:
            selling += deals * stage.touches
        deals *= stage.advances
    return qualifying, selling, customers * rates.cases_per_customer * CASE_TOUCHES, deals


def plan(scenario: str, strength: str | None, rng: np.random.Generator) -> Plan:
    """The plan of a scenario. Raises ValueError where its strength does not fit."""
    if (scenario in LOCATIONS) != (strength is not None):
        raise ValueError(f"a constraint has a strength, what is none has not: {scenario!r} {strength or ''}".rstrip())
    under = 1 - STRENGTHS[strength] if strength else 1.0
    size = float(rng.uniform(0.85, 1.25))
    customers = round(300 * size)
    start = Rates(reached=420.0 * size, unprompted=18.0 * size)
    qualifying, selling, cases, _ = loads(start, customers)
    before = replace(start, qualifier_touches=qualifying / UTILIZATION, seller_touches=(selling + cases) / UTILIZATION)
    after = _after(scenario, before, under, (qualifying, selling, cases), customers)
    swing = float(rng.uniform(0.15, 0.25)) if scenario == "season" else 0.0
    changes_at = 7 * (WEEKS - float(rng.uniform(LATEST_CHANGE, EARLIEST_CHANGE)))
    return Plan(scenario, strength, before, after, changes_at, customers, swing, float(rng.uniform(0, 1)))


def _after(scenario: str, before: Rates, under: float, load: Sequence[float], customers: int) -> Rates:
    qualifying, selling, cases = load
    if scenario == "market":
        return replace(before, reached=before.reached * under, unprompted=before.unprompted * under)
    if scenario == "marketing":
        # inquiries fall to the share `under` by fewer responses alone
        missing = (1 - under) * inquiries(before) / (before.reached * before.response_yield)
        return replace(before, response_yield=before.response_yield * (1 - missing))
    if scenario == "qualifying":
        return replace(before, qualifier_touches=qualifying * under)
    if scenario == "selling":
        return replace(before, seller_touches=selling * under + cases)
    if scenario == "servicing":
        # cases take what leaves the share `under` of the selling load
        taken = before.seller_touches - selling * under
        return replace(before, cases_per_customer=taken / (customers * CASE_TOUCHES))
    if scenario == "mix":
        return replace(before, slow_share=0.60)
    return before
