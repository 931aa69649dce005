"""Lines: what is planted comes out of the queues, and nothing else is written."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from salesforce_simulator import lines
from salesforce_simulator.lines import plans, queues
from salesforce_simulator.lines.plans import STAGES, WEEKS, inquiries, loads


@pytest.fixture(scope="module")
def org() -> lines.LineOrg:
    return lines.generate("selling", "medium", 5)


def test_the_same_seed_gives_the_same_company_and_another_seed_another(org: lines.LineOrg) -> None:
    again = lines.generate("selling", "medium", 5)
    assert all(org.tables[name].equals(again.tables[name]) for name in org.tables)
    assert not lines.generate("selling", "medium", 6).tables["Lead"].equals(org.tables["Lead"])


@pytest.mark.parametrize("scenario", [*lines.LOCATIONS, "balanced", *lines.DECOYS])
def test_one_rate_or_capacity_changes_and_lies_as_far_below_the_load_as_planted(scenario: str) -> None:
    strength = "medium" if scenario in lines.LOCATIONS else None
    plan = plans.plan(scenario, strength, np.random.default_rng(3))
    changed = {name for name, value in asdict(plan.after).items() if value != asdict(plan.before)[name]}
    qualifying, selling, cases, _ = loads(plan.before, plan.customers)
    assert qualifying / plan.before.qualifier_touches == pytest.approx(plans.UTILIZATION)
    assert (selling + cases) / plan.before.seller_touches == pytest.approx(plans.UTILIZATION)
    expected = {
        "market": {"reached", "unprompted"}, "marketing": {"response_yield"}, "qualifying": {"qualifier_touches"},
        "selling": {"seller_touches"}, "servicing": {"cases_per_customer"}, "balanced": set(), "mix": {"slow_share"}, "season": set(),
    }  # fmt: skip
    assert changed == expected[scenario]
    _, _, cases_after, _ = loads(plan.after, plan.customers)
    left = {
        "market": inquiries(plan.after) / inquiries(plan.before),
        "marketing": inquiries(plan.after) / inquiries(plan.before),
        "qualifying": plan.after.qualifier_touches / qualifying,
        "selling": (plan.after.seller_touches - cases) / selling,
        "servicing": (plan.after.seller_touches - cases_after) / selling,
    }
    if scenario in left:
        assert left[scenario] == pytest.approx(0.75)
    assert plan.constraint == (scenario if scenario in lines.LOCATIONS else None)
    assert (plan.season_swing > 0) == (scenario == "season")


@pytest.mark.parametrize(
    ("scenario", "strength"), [("selling", None), ("balanced", "weak"), ("sales", "weak"), ("market", "huge")]
)
def test_a_line_that_is_not_planned_is_refused(scenario: str, strength: str | None) -> None:
    with pytest.raises(ValueError, match=scenario):
        lines.generate(scenario, strength, 1)


def test_touches_never_exceed_what_the_role_can_do_and_arrivals_are_the_planted_rate(org: lines.LineOrg) -> None:
    plan = org.truth
    journal = queues.run(plan, np.random.default_rng(5))
    weeks = {
        role: Counter(int(at // 7) for at, _, _, kind, _ in journal.touches if kind == role)
        for role in ("qualifier", "seller")
    }
    before, after = range(20, int(plan.changes_at // 7)), range(int(plan.changes_at // 7) + 12, WEEKS)
    qualifying, selling, cases, _ = loads(plan.before, plan.customers)
    done = {role: np.mean([weeks[role][week] for week in before]) for role in weeks}
    assert done["qualifier"] == pytest.approx(qualifying, rel=0.05)
    assert done["seller"] == pytest.approx(selling + cases, rel=0.06)
    # sellers have more to do than they can: they do what they can
    assert np.mean([weeks["seller"][week] for week in after]) == pytest.approx(plan.after.seller_touches, rel=0.03)
    leads = Counter(int(lead["created"] // 7) for lead in journal.leads)
    assert np.mean([leads[week] for week in range(4, WEEKS)]) == pytest.approx(inquiries(plan.before), rel=0.03)


def test_records_tell_one_story(org: lines.LineOrg) -> None:
    rows = {name: table.to_pylist() for name, table in org.tables.items()}
    history = defaultdict(list)
    for row in rows["OpportunityHistory"]:
        history[row["OpportunityId"]].append(row)
    order = {stage.name: n for n, stage in enumerate(STAGES)} | {"Closed Won": 9, "Closed Lost": 9}
    for deal in rows["Opportunity"]:
        moves = history[deal["Id"]]
        assert moves[0]["CreatedDate"] == deal["CreatedDate"]
        assert moves[-1]["StageName"] == deal["StageName"]
        assert all(
            a["CreatedDate"] <= b["CreatedDate"] and order[a["StageName"]] < order[b["StageName"]]
            for a, b in pairwise(moves)
        )
    deals = {deal["Id"]: deal for deal in rows["Opportunity"]}
    statuses = defaultdict(list)
    for row in rows["LeadHistory"]:
        statuses[row["LeadId"]].append(row)
    for lead in rows["Lead"]:
        changes = statuses[lead["Id"]]
        assert (changes[-1]["NewValue"] if changes else "Open - Not Contacted") == lead["Status"]
        assert all(a["NewValue"] == b["OldValue"] for a, b in pairwise(changes))
        if lead["IsConverted"]:
            assert deals[lead["ConvertedOpportunityId"]]["CreatedDate"] == changes[-1]["CreatedDate"]
    answered = [row for row in rows["CampaignMember"] if row["HasResponded"]]
    leads = {lead["Id"]: lead for lead in rows["Lead"]}
    assert answered
    assert all(leads[row["LeadId"]]["CreatedDate"].date() == row["FirstRespondedDate"] for row in answered)
    assert len(answered) == sum(lead["LeadSource"] == "Campaign" for lead in rows["Lead"])
    last = max(row["CreatedDate"] for row in rows["Task"])
    assert timedelta(0) < lines.NOW - last < timedelta(days=1)
    known = {row["Id"] for name in ("Opportunity", "Case", "Lead") for row in rows[name]}
    assert all((task["WhatId"] or task["WhoId"]) in known for task in rows["Task"])
