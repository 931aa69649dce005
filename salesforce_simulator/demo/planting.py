"""Which deals breach which rule, and which only nearly do: drawn before any record is written, from the deals' paths.

A plant is a word about one deal and one rule, such as `null` or `declined`; the writers of records act on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from salesforce_simulator.demo.flow import DAY, LOST, STAGES, WON, Deal

RANK = {"Prospecting": 1, "Qualification": 2, "Needs Analysis": 3, "Proposal/Price Quote": 4, "Negotiation/Review": 5,
        WON: 6, LOST: 0}  # fmt: skip
RESPONSE_DAYS = 21


@dataclass
class Plan:
    """Plants by (rule, deal number), apart for breaches and near misses; `stage` is the record's own stage."""

    stage: list[str]
    deleted: set[int] = field(default_factory=set)
    breach: dict[int, dict[int, str]] = field(default_factory=lambda: {r: {} for r in range(2, 11)})
    near: dict[int, dict[int, str]] = field(default_factory=lambda: {r: {} for r in range(2, 11)})


def plan(rng: np.random.Generator, deals: list[Deal], now: int) -> Plan:
    """Draws the plants; counts shrink with the company below 5,000 deals."""
    made = Plan([d.stage for d in deals])
    scale = min(1.0, len(deals) / 5000)
    order = [int(i) for i in rng.permutation(len(deals))]
    made.deleted = set(order[: max(2, round(15 * scale))])
    alive = [i for i in order if i not in made.deleted]
    integrity: set[int] = set()

    def plant(rule: int, into: dict[int, dict[int, str]], fits: list[int], causes: tuple[str, ...], count: int) -> None:
        taken = set(made.breach[rule]) | set(made.near[rule])
        if rule <= 5:
            taken |= integrity
        free = [i for i in fits if i not in taken]
        # an order of its own for each rule: breaches of two rules meet by chance only
        chosen = [free[int(n)] for n in rng.permutation(len(free))][: max(len(causes), round(count * scale))]
        into[rule].update({i: causes[n % len(causes)] for n, i in enumerate(chosen)})
        if rule <= 5:
            integrity.update(chosen)

    lost = [i for i in alive if deals[i].stage == LOST]
    open_now = [i for i in alive if deals[i].is_open]
    through = [i for i in alive if any(
        a[0] == "Needs Analysis" and b[0] == "Proposal/Price Quote" and b[1] - a[1] > DAY
        for a, b in zip(deals[i].visits, deals[i].visits[1:], strict=False))]  # fmt: skip
    long_won = [i for i in alive if deals[i].stage == WON and deals[i].visits[-1][1] - deals[i].visits[-2][1] > DAY]
    plant(2, made.breach, long_won, ("unknown stage",), 6)
    plant(2, made.near, through, ("inactive stage",), 8)
    plant(3, made.breach, [i for i in open_now if deals[i].stage == "Qualification"], ("stage moved",), 9)
    for i in made.breach[3]:
        made.stage[i] = "Needs Analysis"
    plant(3, made.near, lost, ("last row twice at one moment",), 9)
    plant(4, made.breach, lost, ("shown open", "shown won"), 11)
    plant(4, made.near, [i for i in open_now if any(s == LOST for s, _ in deals[i].visits)], ("reopened",), 6)
    plant(5, made.breach, lost, ("modified before created", "history before created", "modified in the future"), 7)
    fresh = [i for i in open_now if len(deals[i].visits) == 1]
    plant(5, made.near, fresh, ("created is modified", "modified is now"), 8)
    plant(6, made.breach, open_now, ("yesterday", "weeks ago"), 40)
    plant(6, made.near, open_now, ("today",), 15)
    judged = [i for i in alive if RANK[made.stage[i]]]
    late = [i for i in judged if RANK[made.stage[i]] >= 4]
    plant(7, made.breach, late, ("null", "zero"), 60)
    plant(7, made.near, late, ("one cent",), 12)
    qualified = [i for i in judged if RANK[made.stage[i]] >= 2]
    plant(8, made.breach, qualified, ("none", "deleted"), 80)
    plant(8, made.near, qualified, ("exactly one",), 15)
    solution = [i for i in judged if RANK[made.stage[i]] >= 3]
    plant(10, made.breach, solution, ("none", "declined", "deleted", "internal", "not over yet"), 80)
    plant(10, made.near, solution, ("one of two declined", "just over"), 16)
    old = [i for i in open_now if now - deals[i].created > 25 * DAY and made.near[10].get(i) != "just over"]
    plant(9, made.breach, old, ("22 days", "long ago", "none"), 80)
    plant(9, made.near, [i for i in old if made.near[10].get(i) is None], ("21 days",), 15)
    young = [
        i
        for i in open_now
        if now - deals[i].created < RESPONSE_DAYS * DAY and made.stage[i] == STAGES[deals[i].process][0]
    ]
    plant(9, made.near, young, ("young, no response",), 8)
    return made
