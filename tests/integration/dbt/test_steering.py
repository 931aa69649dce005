"""The views that people steer by, against plain accounts in Python and scipy: experiments on a generated flow of deals, the chain
from a campaign to a win. One build serves every test here.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

AS_OF = datetime(2026, 7, 15, 9, 30)  # noqa: DTZ001 (the warehouse holds naive UTC); a Wednesday: its week is not over
STAGES = ("Prospecting", "Qualification", "Needs Analysis", "Proposal", "Negotiation")
TYPES = {"P1": "012000000000000001", "P2": "012000000000000002"}
EXPERIMENTS = [
    ("fewer pushes", "close dates slip", "slips", "P1", "slips fall by a third", date(2025, 11, 12), None, "Ann"),
    ("call first", "few wins", "win_rate", None, "from 40 to 50 %", date(2025, 9, 1), date(2026, 3, 1), "Bob"),
    ("new script", "few wins", "win_rate", "P1", "no change", date(2026, 1, 14), None, "Bob"),
    ("second script", "few wins", "win_rate", "P1", "no change", date(2026, 1, 15), date(2026, 5, 10), "Bob"),
    ("limit WIP", "too much at once", "wip", "P2", "a third less", date(2025, 12, 1), None, "Cy"),
    ("last month", "few leads", "arrivals", "P2", "ten more a week", date(2026, 6, 20), None, "Cy"),
    ("next month", "few leads", "arrivals", "P1", "ten more a week", date(2026, 8, 1), None, "Cy"),
    ("early", "no wins", "won", "P2", "one more", date(2024, 2, 5), date(2024, 8, 4), "Cy"),
]  # fmt: skip
CAMPAIGNS = [f"701{n:015d}" for n in range(1, 7)]
"""The last but one is deleted; the last cannot be read: the org hides it."""
Row = dict[str, Any]


def _land_deals(bench: Any, rng: random.Random) -> None:
    deals, histories = [], []
    for number in range(1, 1201):
        at = AS_OF - timedelta(seconds=rng.randint(0, 900 * 86400))
        close, place = at.date() + timedelta(days=rng.randint(20, 90)), 0
        amount = None if rng.random() < 0.1 else f"{rng.randint(100_000, 4_000_000) / 100:.2f}"
        rows: list[Row] = []
        stage: str | None = STAGES[0]
        created = at
        while stage and at <= AS_OF:
            rows.append({
                "Id": f"008{number:09d}{len(rows):06d}", "OpportunityId": f"006{number:015d}", "StageName": stage,
                "Amount": amount, "CloseDate": close, "CurrencyIsoCode": "USD", "IsDeleted": False,
                "CreatedDate": bench.utc(at), "SystemModstamp": bench.utc(at),
            })  # fmt: skip
            if stage not in STAGES:
                break
            at += timedelta(days=rng.expovariate(1 / 14))
            draw = rng.random()
            if draw < 0.25:
                close += timedelta(days=rng.randint(5, 40))
            elif draw < 0.8 and place < len(STAGES) - 1:
                place += 1
                stage = STAGES[place]
            else:
                stage = "Closed Won" if rng.random() < 0.2 + 0.12 * place else "Closed Lost"
        last = rows[-1]
        deals.append(bench.deal(
            number, CampaignId=rng.choice(CAMPAIGNS) if rng.random() < 0.3 else None, RecordTypeId=TYPES["P1" if rng.random() < 0.6 else "P2"], StageName=last["StageName"], Amount=amount,
            CreatedDate=bench.utc(created), LastModifiedDate=last["CreatedDate"], CloseDate=last["CloseDate"],
        ))  # fmt: skip
        histories += rows
    bench.land("Opportunity", deals, extracted_at=AS_OF)
    bench.land("OpportunityHistory", histories, extracted_at=AS_OF)


def _land_campaigns(bench: Any, rng: random.Random) -> dict[str, list[Row]]:
    """Leads, members and contact roles at random around the deals; what was landed, for the oracle."""
    day = timedelta(days=1)

    def ago(longest: int) -> datetime:
        return AS_OF - timedelta(seconds=rng.randint(1, longest * 86400))

    def row(key: str, at: datetime, **fields: Any) -> Row:
        return {
            "Id": key,
            "IsDeleted": False,
            "CreatedDate": at,
            "LastModifiedDate": at,
            "SystemModstamp": at,
            **fields,
        }

    campaigns = [
        row(key, ago(900), Name=f"Campaign {key[-1]}", IsDeleted=key == CAMPAIGNS[-2]) for key in CAMPAIGNS[:-1]
    ]
    leads = []
    for number in range(1, 901):
        created = ago(890)
        fate = rng.random()
        deal = f"006{rng.randint(1, 1200):015d}" if fate < 0.35 else None
        converted = fate < 0.4
        ended = min(created + rng.randint(0, 30) * day, AS_OF)
        leads.append(row(
            f"00Q{number:015d}", created, LastModifiedDate=ended, SystemModstamp=ended, IsConverted=converted,
            ConvertedDate=ended.date() if converted else None, ConvertedOpportunityId=deal, IsDeleted=fate > 0.97,
            Status="Qualified" if converted else "Closed - Not Converted" if fate < 0.8 else "Open", OwnerId="005000000000000001",
        ))  # fmt: skip
    contacts = [f"003{number:015d}" for number in range(1, 301)]
    members = []
    for number in range(1, 1601):
        lead = rng.choice(leads)["Id"] if rng.random() < 0.75 else None
        contact = rng.choice(contacts) if lead is None or rng.random() < 0.2 else None
        at = ago(895)
        answered = min(at + rng.randint(0, 40) * day, AS_OF + 20 * day) if rng.random() < 0.4 else None
        members.append(row(
            f"00v{number:015d}", at, CampaignId=rng.choice(CAMPAIGNS), LeadId=lead, ContactId=contact, IsDeleted=rng.random() < 0.04,
            HasResponded=answered is not None, FirstRespondedDate=answered.date() if answered else None,
        ))  # fmt: skip
    roles = [
        row(f"00K{number:015d}", ago(800), OpportunityId=f"006{rng.randint(1, 1200):015d}", ContactId=rng.choice(contacts),
            IsDeleted=rng.random() < 0.05)
        for number in range(1, 901)
    ]  # fmt: skip
    landed = {"Campaign": campaigns, "Lead": leads, "CampaignMember": members, "OpportunityContactRole": roles}
    for name, rows in landed.items():
        stamps = ("CreatedDate", "LastModifiedDate", "SystemModstamp")
        bench.land(
            name, [{**one, **{stamp: bench.utc(one[stamp]) for stamp in stamps}} for one in rows], extracted_at=AS_OF
        )
    return landed


class Mart:
    """A finished mart, opened alone."""

    def __init__(self, path: str, landed: dict[str, list[Row]]) -> None:
        self.connection, self.landed = duckdb.connect(path, read_only=True), landed

    def rows(self, sql: str) -> list[Row]:
        """The result of a query, by column name."""
        cursor = self.connection.execute(sql)
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture(scope="module")
def mart(_session_bench: Any) -> Iterator[Mart]:
    bench, rng = _session_bench, random.Random(20260715)
    bench.reset()
    bench.land("RecordType", [
        {"Id": key, "DeveloperName": process, "SobjectType": "Opportunity", "IsActive": True, "SystemModstamp": bench.utc(AS_OF)}
        for process, key in TYPES.items()
    ])  # fmt: skip
    _land_deals(bench, rng)
    landed = _land_campaigns(bench, rng)
    stage_map = [(process, *row[1:]) for process in TYPES for row in bench.process_map("default")]
    bench.control(as_of=AS_OF, stage_map=stage_map, experiments=EXPERIMENTS)
    bench.build(full_refresh=True)
    bench.home.building.unlink(missing_ok=True)
    bench.dbt.build("measure")
    found = Mart(str(bench.home.building), landed)
    yield found
    found.connection.close()


def _monday_from(day: date) -> date:
    return day + timedelta(days=-day.weekday() % 7)


def test_an_experiment_is_the_welch_difference_of_the_weeks_after_and_before(mart: Mart) -> None:
    series: dict[tuple[str, str], dict[date, float | None]] = defaultdict(dict)
    for row in mart.rows("select * from mart.fct_flow_weeks"):
        series[row["sales_process"], row["metric"]][row["week_starts_on"]] = row["value"]
    tried = [
        (name, process, metric, start, end)
        for name, _, metric, only, _, start, end, _ in EXPERIMENTS
        for process in TYPES
        if only in (None, process)
    ]
    found = {(row["experiment"], row["sales_process"]): row for row in mart.rows("select * from mart.rpt_experiments")}
    assert set(found) == {(name, process) for name, process, *_ in tried}
    compared, reads, week = 0, set(), timedelta(days=7)
    for name, process, metric, start, end in tried:
        first = _monday_from(start)
        others = [(_monday_from(at), at) for _, where, what, at, _ in tried if (where, what) == (process, metric)]
        earlier = max((monday for monday, _ in others if monday < first), default=date.min)
        later = min((at for monday, at in others if monday > first), default=date.max)
        alone = [at for monday, at in others if monday == first] == [start]
        weeks = series[process, metric]
        before = [
            weeks[monday] for monday in sorted(weeks)
            if max(first - 52 * week, earlier) <= monday and monday + week <= start and weeks[monday] is not None
        ]  # fmt: skip
        after = [
            weeks[monday] for monday in sorted(weeks)
            if first <= monday < first + 52 * week and weeks[monday] is not None
            and monday + timedelta(days=6) <= (end or date.max) and monday + timedelta(days=6) < later
        ]  # fmt: skip
        row = found[name, process]
        assert (row["n_before"], row["n_after"]) == (len(before), len(after)), name
        assert row["first_week_on"] == first
        reads.add(row["reads"])
        if len(before) < 8 or len(after) < 8:
            assert row["difference"] is row["difference_lower"] is row["verdict"] is None
            side = (
                "not started" if start > AS_OF.date() else f"too few weeks {'before' if len(before) < 8 else 'after'}"
            )
            assert row["reads"] == side
            continue
        test = stats.ttest_ind(after, before, equal_var=False)
        interval = test.confidence_interval()
        assert row["difference"] == pytest.approx(np.mean(after) - np.mean(before), rel=1e-9)
        assert row["degrees_of_freedom"] == pytest.approx(test.df, rel=1e-9)
        assert (row["difference_lower"], row["difference_upper"]) == pytest.approx(tuple(interval), rel=1e-4, abs=1e-5)
        assert row["verdict"] == ("up" if interval.low > 0 else "down" if interval.high < 0 else "no difference shown")
        assert alone or row["reads"] == "not alone"
        compared += 1
    assert compared >= 4
    assert reads >= {
        "ok",
        "not started",
        "too few weeks after",
        "too few weeks before",
        "interval approximate",
        "not alone",
    }


def test_limits_start_anew_with_an_experiment_on_the_metric_and_nowhere_else(mart: Mart) -> None:
    charts: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in mart.rows("select * from mart.rpt_flow_health order by week_starts_on"):
        charts[row["sales_process"], row["metric"]].append(row)
    starts = defaultdict(set)
    for _, _, metric, only, _, start, _, _ in EXPERIMENTS:
        for process in TYPES:
            if only in (None, process):
                starts[process, metric].add(_monday_from(start))
    split = 0
    for chart, rows in charts.items():
        assert len(rows) == 52
        baselines = defaultdict(list)
        for row in rows:
            begun = [start for start in starts[chart] if start <= row["week_starts_on"]]
            baselines[max(begun, default=None)].append(row)
        split += len(baselines) > 1
        for start, part in baselines.items():
            values = [row["value"] for row in part]
            ranges = [abs(later - earlier) for earlier, later in pairwise(values) if None not in (earlier, later)]
            assert {row["limits_from_week_on"] for row in part} == {part[0]["week_starts_on"]}
            assert {row["is_since_experiment"] for row in part} == {start is not None}
            assert part[0]["moving_range"] is None
            assert {row["n_ranges"] for row in part} == {len(ranges)}
            if len(ranges) >= 11:
                mean = np.mean([value for value in values if value is not None])
                assert part[0]["mean_value"] == pytest.approx(mean, rel=1e-9)
                assert part[0]["upper_range_limit"] == pytest.approx(3.268 * np.mean(ranges), rel=1e-9)
            else:
                assert {row["reads"] for row in part} == {"too few"}
    assert split >= 4


class Link(NamedTuple):
    """The campaign that a deal counts for, how, and when it first reached someone of the deal."""

    campaign: str
    attribution: str
    touched_at: datetime | None


def _links(mart: Mart) -> dict[str, Link]:
    """By a plain reading of the rule, deal by deal."""
    members = [one for one in mart.landed["CampaignMember"] if not one["IsDeleted"]]
    leads = {one["Id"]: one for one in mart.landed["Lead"] if one["IsConverted"]}
    roles = defaultdict(set)
    for one in mart.landed["OpportunityContactRole"]:
        if not one["IsDeleted"]:
            roles[one["ContactId"]].add(one["OpportunityId"])
    touches = defaultdict(list)
    for one in members:
        deals = set(roles[one["ContactId"]]) if one["ContactId"] else set()
        deals |= {leads[one["LeadId"]]["ConvertedOpportunityId"]} if one["LeadId"] in leads else set()
        for deal in deals:
            touches[deal].append((one["CreatedDate"], one["Id"], one["CampaignId"]))
    found = {}
    for deal in mart.rows("select opportunity_id, campaign_id, created_at from mart.fct_opportunities"):
        seen = sorted(touch for touch in touches[deal["opportunity_id"]] if touch[0] <= deal["created_at"])
        primary = deal["campaign_id"]
        if primary:
            link = Link(
                primary, "primary campaign", min((at for at, _, campaign in seen if campaign == primary), default=None)
            )
        elif seen:
            link = Link(seen[0][2], "first touch", seen[0][0])
        else:
            link = Link("none", "none", None)
        found[deal["opportunity_id"]] = link
    return found


def test_each_deal_counts_for_its_primary_campaign_else_for_the_first_that_reached_it(mart: Mart) -> None:
    found = {
        row["opportunity_id"]: Link(row["campaign_id"] or "none", row["attribution"], row["touched_at"])
        for row in mart.rows("select * from mart.fct_opportunity_campaigns")
    }
    expected = _links(mart)
    assert found == expected
    assert {link.attribution for link in expected.values()} == {"primary campaign", "first touch", "none"}
    assert any(link.attribution == "primary campaign" and link.touched_at for link in expected.values())


def _days(spans: list[timedelta]) -> float | None:
    return float(np.median([span / timedelta(days=1) for span in spans])) if len(spans) >= 20 else None


def test_the_chain_of_a_campaign_counts_each_lead_and_each_deal_once(mart: Mart) -> None:
    members = [one for one in mart.landed["CampaignMember"] if not one["IsDeleted"]]
    first: dict[str, Row] = {}
    for one in sorted(members, key=lambda member: (member["CreatedDate"], member["Id"])):
        if one["LeadId"]:
            first.setdefault(one["LeadId"], one)
    leads = mart.rows("select * from mart.fct_leads")
    assert len(leads) == sum(not one["IsDeleted"] for one in mart.landed["Lead"]) > 800
    links, deals = _links(mart), mart.rows("select * from mart.fct_opportunities where not is_deleted")
    found = {row["campaign_key"]: row for row in mart.rows("select * from mart.rpt_campaign_chain")}
    assert set(found) == {*CAMPAIGNS, "none"}
    timed = 0
    for campaign, row in found.items():
        here = [one for one in members if one["CampaignId"] == campaign]
        answered = [one for one in here if one["HasResponded"] and one["FirstRespondedDate"] <= AS_OF.date()]
        assert (row["n_members"], row["n_responded"]) == (len(here), len(answered))
        of_leads = [
            lead
            for lead in leads
            if (first[lead["lead_id"]]["CampaignId"] if lead["lead_id"] in first else "none") == campaign
        ]
        outcomes = [lead["outcome"] for lead in of_leads]
        ended = ("n_leads_converted", "converted"), ("n_leads_given_up", "given up"), ("n_leads_open", "open")
        assert [row[name] for name, _ in ended] == [outcomes.count(outcome) for _, outcome in ended]
        assert row["n_leads"] == len(of_leads)
        new = [
            lead for lead in of_leads
            if lead["lead_id"] in first and lead["created_at"].date() >= first[lead["lead_id"]]["CreatedDate"].date()
        ]  # fmt: skip
        assert row["n_leads_new"] == len(new)
        own = [deal for deal in deals if links[deal["opportunity_id"]].campaign == campaign]
        kinds = [links[deal["opportunity_id"]].attribution for deal in own]
        assert (row["n_by_primary_campaign"], row["n_by_first_touch"]) == (
            kinds.count("primary campaign"),
            kinds.count("first touch"),
        )
        won = [deal for deal in own if deal["is_won"]]
        lost = [deal for deal in own if deal["is_lost"]]
        assert (row["n_opportunities"], row["n_won"], row["n_lost"]) == (len(own), len(won), len(lost))
        assert row["n_open"] == len(own) - len(won) - len(lost)
        assert row["n_unmapped"] == 0
        assert row["won_amount_corporate"] == sum(deal["amount_corporate"] or 0 for deal in won)
        assert row["n_won_without_amount"] == sum(deal["amount_corporate"] is None for deal in won)
        for rate, hits, n in (
            ("response_rate", len(answered), len(here)),
            ("lead_conversion_rate", row["n_leads_converted"], row["n_leads_converted"] + row["n_leads_given_up"]),
            ("win_rate", len(won), len(won) + len(lost)),
        ):
            shown = (row[rate], row[f"{rate}_lower"], row[f"{rate}_upper"])
            if n < 20:
                assert shown == (None, None, None)
            else:
                assert shown == pytest.approx((hits / n, *proportion_confint(hits, n, method="wilson")), abs=1e-12)
        touched = [
            (deal, links[deal["opportunity_id"]].touched_at) for deal in own if links[deal["opportunity_id"]].touched_at
        ]
        to_deal = [deal["created_at"] - at for deal, at in touched]
        to_win = [deal["closed_at"] - at for deal, at in touched if deal["is_won"]]
        assert (row["n_touched"], row["n_won_touched"]) == (len(to_deal), len(to_win))
        for name, spans in (("p50_days_touch_to_opportunity", to_deal), ("p50_days_touch_to_win", to_win)):
            assert row[name] == (None if _days(spans) is None else pytest.approx(_days(spans), rel=1e-9))
            timed += row[name] is not None
    assert timed > 6
    assert sum(row["n_opportunities"] for row in found.values()) == len(deals)
    assert sum(row["n_leads"] for row in found.values()) == len(leads)
    assert found[CAMPAIGNS[-1]]["campaign_name"] is None
    assert found[CAMPAIGNS[-2]]["is_deleted"]
    assert found["none"]["n_opportunities"] > 100
