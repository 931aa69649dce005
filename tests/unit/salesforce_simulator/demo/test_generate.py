"""The generated company against its own truth, judged here by plain Python over the written records."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from salesforce_simulator import ids
from salesforce_simulator.demo import DemoOrg, generate

NOW = datetime(2026, 7, 1, tzinfo=UTC)
STEPS = {"Prospecting": 1, "Qualification": 2, "Needs Analysis": 3, "Proposal/Price Quote": 4, "Negotiation/Review": 5,
         "Closed Won": 6, "Closed Lost": 0}  # fmt: skip


@pytest.fixture(scope="module")
def org() -> DemoOrg:
    return generate(7, 5000, NOW)


def _judge(org: DemoOrg) -> dict[str, set[str]]:
    rows = {name: table.to_pylist() for name, table in org.tables.items()}
    known = {r["ApiName"] for r in rows["OpportunityStage"]}
    history, roles, answers, relations = (defaultdict(list) for _ in range(4))
    meetings = defaultdict(list)
    for r in rows["OpportunityHistory"]:
        history[r["OpportunityId"]].append(r)
    for r in rows["OpportunityContactRole"]:
        if not r["IsDeleted"]:
            roles[r["OpportunityId"]].append(r)
    for r in rows["EmailMessage"]:
        if r["Incoming"] and r["MessageDate"] <= NOW:
            answers[r["RelatedToId"]].append(r["MessageDate"])
    for r in rows["EventRelation"]:
        relations[r["EventId"]].append(r)
    for e in rows["Event"]:
        outside = any(x["RelationId"][:3] in ("003", "00Q") and x["Status"] != "Declined" for x in relations[e["Id"]])
        if outside and not e["IsDeleted"] and e["EndDateTime"] <= NOW:
            meetings[e["WhatId"]].append(e["EndDateTime"])
    found: dict[str, set[str]] = {str(n): set() for n in range(2, 11)}
    for o in rows["Opportunity"]:
        if o["IsDeleted"]:
            continue
        key, step = o["Id"], STEPS[o["StageName"]]
        past = sorted(history[key], key=lambda r: (r["CreatedDate"], r["SystemModstamp"], r["Id"]))
        is_open = o["StageName"] not in ("Closed Won", "Closed Lost")
        last = max([*answers[key], *meetings[key]], default=None)
        checks = {
            "2": any(r["StageName"] not in known for r in past),
            "3": past[-1]["StageName"] != o["StageName"],
            "4": (o["IsClosed"], o["IsWon"]) != (not is_open, step == 6),
            "5": o["CreatedDate"] > o["LastModifiedDate"] or past[0]["CreatedDate"] < o["CreatedDate"]
            or max(o["LastModifiedDate"], past[-1]["CreatedDate"]) > NOW,
            "6": is_open and o["CloseDate"] < NOW.date(),
            "7": step >= 4 and not (o["Amount"] and o["Amount"] > 0),
            "8": step >= 2 and not roles[key],
            "9": is_open and NOW - o["CreatedDate"] > timedelta(days=21)
            and (last is None or NOW - last > timedelta(days=21)),
            "10": step >= 3 and not meetings[key],
        }  # fmt: skip
        for rule, broken in checks.items():
            if broken:
                found[rule].add(key)
    return found


def test_breaches_are_exactly_those_in_the_truth(org: DemoOrg) -> None:
    assert _judge(org) == {rule: set(planted) for rule, planted in org.truth["breaches"].items()}


@pytest.mark.parametrize(("seed", "size"), [(1, 400), (2, 1500)])
def test_the_truth_holds_for_other_companies(seed: int, size: int) -> None:
    made = generate(seed, size, NOW)
    assert _judge(made) == {rule: set(planted) for rule, planted in made.truth["breaches"].items()}


def test_near_misses_are_no_breaches(org: DemoOrg) -> None:
    for rule, near in org.truth["near_misses"].items():
        assert not set(near) & set(org.truth["breaches"][rule])
        assert near


def test_same_seed_same_company() -> None:
    one, two, other = generate(3, 300, NOW), generate(3, 300, NOW), generate(4, 300, NOW)
    assert one.tables == two.tables
    assert one.truth == two.truth
    assert one.tables["Opportunity"] != other.tables["Opportunity"]


def test_ids_are_valid_unique_and_refer_to_records(org: DemoOrg) -> None:
    keys = {n: t["Id"].to_pylist() for n, t in org.tables.items() if "Id" in t.column_names}
    for name, found in keys.items():
        assert len(set(found)) == len(found), name
        assert all(len(k) == 18 and ids.to_18(k[:15]) == k for k in found), name
    everything = {k for found in keys.values() for k in found}
    for table in org.tables.values():
        for column in table.column_names:
            if column.endswith("Id") and column not in ("Id", "TableEnumOrId"):
                assert set(table[column].to_pylist()) - {None} <= everything, column


def test_won_deals_show_a_customer_response(org: DemoOrg) -> None:
    answered = {r["RelatedToId"] for r in org.tables["EmailMessage"].to_pylist() if r["Incoming"]}
    won = [r["Id"] for r in org.tables["Opportunity"].to_pylist() if r["StageName"] == "Closed Won"]
    assert sum(k in answered for k in won) / len(won) > 0.8


def test_first_visits_advance_as_planted_and_end_within_90_days() -> None:
    import numpy as np

    from salesforce_simulator.demo import flow  # the paths themselves: what history is written from

    now, outcomes = int(NOW.timestamp()), defaultdict(list)
    for seed in range(4):
        for deal in flow.run(np.random.default_rng(seed), 5000, now):
            first: set[str] = set()
            for (stage, entered), (following, left) in zip(deal.visits, deal.visits[1:], strict=False):
                if stage in flow.STAGES[deal.process]:
                    assert left - entered < 78 * flow.DAY
                    if stage not in first and entered < now - 90 * flow.DAY:
                        stages = (*flow.STAGES[deal.process], "Closed Won")
                        ahead = following in stages and stages.index(following) > stages.index(stage)
                        outcomes[deal.process, stage].append(ahead)
                    first.add(stage)
    for (process, stage), seen in outcomes.items():
        p = flow.planted_transitions()[process][stage]["advanced"]
        assert abs(sum(seen) / len(seen) - p) < 4 * math.sqrt(p * (1 - p) / len(seen)), (process, stage)
