"""The views that people steer by, against plain accounts in Python and scipy: experiments on a generated flow of deals, the chain
from a campaign to a win, the worth of a gain on a line whose narrowest stage is planted. One build serves every test here.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter, defaultdict
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
TYPES = {"P1": "012000000000000001", "P2": "012000000000000002", "P3": "012000000000000003"}
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
TARGETS = [
    ("2026-Q3", "P1", None, None, 900000, None), ("2026-Q3", "P2", "User 3", None, 100000, None), ("2026-Q3", "P2", "West", None, 50000, None),
    ("2026-Q3", "P2", None, "Ann", 1, None), ("2026-Q3", "P1", None, "User 1", 300000, None), ("2026-Q3", "P1", None, "User 2", 200000, None),
    ("2026-Q3", "P3", None, None, None, 60), ("2026-Q4", "P1", None, None, None, 20),
    ("2026-Q4", None, None, None, 900000, 100), ("2027-Q1", "P1", None, None, None, 1), ("2027-Q1", "P2", None, None, None, 2),
    ("2027-Q1", "P3", None, None, None, 4),
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
            at += timedelta(days=rng.expovariate(1 / 1.5))
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
            number, OwnerId=f"005{1 if number % 3 else 4:015d}", CampaignId=rng.choice(CAMPAIGNS) if rng.random() < 0.3 else None, RecordTypeId=TYPES["P1" if rng.random() < 0.6 else "P2"], StageName=last["StageName"], Amount=amount,
            CreatedDate=bench.utc(created), LastModifiedDate=last["CreatedDate"], CloseDate=last["CloseDate"],
        ))  # fmt: skip
        histories += rows
    bench.land("Opportunity", deals, extracted_at=AS_OF)
    bench.land("OpportunityHistory", histories, extracted_at=AS_OF)


def _land_line(bench: Any, rng: random.Random) -> None:
    """P3: twelve deals a week come to a line of five stages that let through 20, 9, 4, 20 and 20 a week; the third is narrowest."""
    week, first = timedelta(days=7), AS_OF - timedelta(weeks=78)
    queue = [(first + rng.random() * 78 * week, number) for number in range(1301, 1301 + 12 * 78)]
    reached: dict[int, list[tuple[datetime, str]]] = {number: [] for _, number in queue}
    for stage, capacity in zip(STAGES, (20, 9, 4, 20, 20), strict=True):
        onward, free_at = [], first
        for at, number in sorted(queue):
            reached[number].append((at, stage))
            free_at = max(free_at, at) + week / capacity * rng.uniform(0.6, 1.4)
            if free_at > AS_OF:
                continue
            if rng.random() < 0.8:
                onward.append((free_at, number))
            else:
                reached[number].append((free_at, "Closed Lost"))
        queue = onward
    for at, number in queue:
        reached[number].append((at, "Closed Won"))
    deals, histories = [], []
    for number, rows in reached.items():
        amount, last = f"{rng.randint(100_000, 4_000_000) / 100:.2f}", rows[-1]
        deals.append(bench.deal(
            number, RecordTypeId=TYPES["P3"], StageName=last[1], Amount=amount, CreatedDate=bench.utc(rows[0][0]),
            LastModifiedDate=bench.utc(last[0]),
        ))  # fmt: skip
        histories += [
            {"Id": f"008{number:09d}{place:06d}", "OpportunityId": f"006{number:015d}", "StageName": stage, "Amount": amount,
             "CloseDate": date(2026, 2, 15), "CurrencyIsoCode": "USD", "IsDeleted": False, "CreatedDate": bench.utc(at),
             "SystemModstamp": bench.utc(at)}
            for place, (at, stage) in enumerate(rows)
        ]  # fmt: skip
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


def _land_quotas(bench: Any) -> None:
    """Users 1 and 2 under 3, each with a quota a month, 3 with one that holds theirs; days off of three kinds."""
    stamps = {name: bench.utc(datetime(2025, 1, 1)) for name in ("CreatedDate", "LastModifiedDate", "SystemModstamp")}  # noqa: DTZ001
    bench.land("User", [
        {"Id": f"005{n:015d}", "Name": f"User {n}", "IsActive": True, "ManagerId": f"005{3:015d}" if n < 3 else None, **stamps}
        for n in (1, 2, 3)
    ])  # fmt: skip
    bench.land("CurrencyType", [
        {"Id": f"01L{n:015d}", "IsoCode": code, "ConversionRate": rate, "IsCorporate": code == "USD"}
        for n, (code, rate) in enumerate((("USD", 1.0), ("EUR", 0.5)), start=1)
    ])  # fmt: skip
    bench.land("ForecastingQuota", [
        {"Id": f"0J9{n:09d}{month:06d}", "QuotaOwnerId": f"005{n:015d}", "StartDate": date(2026, month, 1), "IsAmount": True,
         "QuotaAmount": "1000.00", "CurrencyIsoCode": "EUR" if n == 2 else "USD", **stamps}
        for n in (1, 2, 3) for month in (7, 8, 9, 10) if (n, month) != (1, 10) and (n, month) != (2, 10)
    ])  # fmt: skip
    fields = ("ActivityDate", "IsRecurrence", "RecurrenceType", "RecurrenceStartDate", "RecurrenceEndDateOnly", "RecurrenceDayOfMonth",
              "RecurrenceMonthOfYear")  # fmt: skip
    yearly = {"IsRecurrence": True, "RecurrenceType": "RecursYearly", "RecurrenceStartDate": date(2020, 1, 1)}
    bench.land("Holiday", [
        {"Id": f"0C0{n:015d}", "Name": f"Day off {n}", "IsAllDay": True, **stamps, **dict.fromkeys(fields), **day_off}
        for n, day_off in enumerate((
            {"ActivityDate": date(2026, 7, 3), "IsRecurrence": False},  # a Friday
            {"ActivityDate": date(2026, 7, 4), "IsRecurrence": False},  # a Saturday
            {"ActivityDate": date(2026, 7, 6), "IsRecurrence": False, "IsAllDay": False},  # half a day is a working day
            {**yearly, "RecurrenceDayOfMonth": 25, "RecurrenceMonthOfYear": "December"},
            {**yearly, "RecurrenceDayOfMonth": 14, "RecurrenceMonthOfYear": "July", "RecurrenceEndDateOnly": date(2025, 12, 31)},
        ), start=1)
    ])  # fmt: skip


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
    _land_line(bench, rng)
    landed = _land_campaigns(bench, rng)
    _land_quotas(bench)
    stage_map = [(process, *row[1:]) for process in TYPES for row in bench.process_map("default")]
    bench.control(as_of=AS_OF, stage_map=stage_map)
    bench.build(full_refresh=True)
    bench.home.building.unlink(missing_ok=True)
    bench.dbt.build("measure", only="fct_quarter_targets")
    quotas = Mart(str(bench.home.building), {})
    landed["quarter targets by quotas"] = quotas.rows(
        "select * from mart.fct_quarter_targets order by fiscal_quarter, team_id"
    )
    quotas.connection.close()
    bench.control(as_of=AS_OF, stage_map=stage_map, experiments=EXPERIMENTS, targets=TARGETS)
    bench.home.building.unlink()
    bench.dbt.build("measure")
    found = Mart(str(bench.home.building), landed)
    yield found
    found.connection.close()


def _monday_from(day: date) -> date:
    return day + timedelta(days=-day.weekday() % 7)


def test_an_experiment_is_the_welch_difference_of_the_weeks_after_and_before(mart: Mart) -> None:
    series: dict[tuple[str, str], dict[date, float | None]] = defaultdict(dict)
    for row in mart.rows("select * from mart.fct_flow_weeks where basis = 'reported'"):
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
    for row in mart.rows("select * from mart.rpt_flow_health where basis = 'reported' order by week_starts_on"):
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


def _uniform(*parts: Any) -> float:
    key = ":".join(map(str, parts)).encode()
    return int(hashlib.md5(key, usedforsecurity=False).hexdigest()[:13], 16) / 2**52


def _normal(key: str, trial: int) -> float:
    radius, angle = _uniform(f"{key}: radius", trial), _uniform(f"{key}: angle", trial)
    return math.sqrt(-2 * math.log(1 - radius)) * math.cos(2 * math.pi * angle)


class Line(NamedTuple):
    """A process as the what-if sees it: names in order (arrivals first), P(win) and n, weekly figures that capacities rest on."""

    names: list[str]
    p_win: list[float]
    n: list[int]
    weeks: list[list[float] | None]
    amounts: list[float]


def _line(mart: Mart, process: str) -> Line:
    deals = mart.rows(f"select * from mart.fct_opportunities where sales_process = '{process}' and not is_deleted")
    won, lost = sum(bool(deal["is_won"]) for deal in deals), sum(bool(deal["is_lost"]) for deal in deals)
    flow = mart.rows(f"""select value from mart.fct_flow_weeks where sales_process = '{process}' and metric = 'arrivals' and basis = 'reported'
                         and weeks_ago <= 26 order by weeks_ago""")  # fmt: skip
    line = Line(["arrivals"], [won / (won + lost)], [won + lost], [[row["value"] for row in flow]], [])
    for stage in STAGES:
        weeks = mart.rows(f"""select * from mart.fct_stage_weeks
                              where basis = 'reported' and sales_process = '{process}' and stage_name = '{stage}'
                              order by week_starts_on desc limit 26""")  # fmt: skip
        line.names.append(stage)
        line.p_win.append(weeks[0]["p_win_after_exit"])
        line.n.append(weeks[0]["n_resolved"])
        loaded = [float(week["exits"]) for week in weeks if week["start_wip"] >= 2 * weeks[0]["median_exits"]]
        line.weeks.append(loaded if len(loaded) >= 12 else None)
    recent = [deal for deal in deals if deal["is_won"] and AS_OF - deal["closed_at"] <= timedelta(days=364)]
    line.amounts.extend(float(deal["amount_corporate"]) for deal in recent)
    return line


def _trial(line: Line, process: str, trial: int) -> tuple[list[float | None], list[float], float]:
    """Capacities, P(win) by place and the worth of a win, as one trial draws them; trial 0 draws nothing."""
    capacities: list[float | None] = []
    for name, weeks in zip(line.names, line.weeks, strict=True):
        if weeks is None:
            capacities.append(None)
            continue
        drawn = weeks
        if trial:
            drawn = [
                weeks[math.floor(_uniform("what if: week", process, name, trial, place + 1) * len(weeks))]
                for place in range(len(weeks))
            ]
        capacities.append(float(np.mean(drawn) if name == "arrivals" else np.percentile(drawn, 85)))
    chances, chance = [], 1.0
    for at in reversed(range(len(line.names))):
        share = line.p_win[at] / (line.p_win[at + 1] if at + 1 < len(line.names) else 1)
        drawn_share = share
        if trial:
            error = math.sqrt(max(share * (1 - share), 0) / line.n[at])
            drawn_share = share + _normal(f"what if: share: {process}: {line.names[at]}", trial) * error
            drawn_share = max(0.001, min(max(share, 1), drawn_share))
        chance *= drawn_share
        chances.insert(0, chance)
    worth = float(np.mean(line.amounts))
    if trial:
        worth += (
            _normal(f"what if: worth: {process}", trial)
            * float(np.std(line.amounts, ddof=1))
            / math.sqrt(len(line.amounts))
        )
    return capacities, chances, max(worth, 0)


def _wins(capacities: list[float | None], chances: list[float]) -> float:
    return min(capacity * chance for capacity, chance in zip(capacities, chances, strict=True) if capacity is not None)


def _gain(capacities: list[float | None], chances: list[float], at: int, lever: str) -> float:
    raised, worth_more = list(capacities), list(chances)
    if lever == "yield":
        worth_more = [1.1 * chance if place <= at else chance for place, chance in enumerate(chances)]
    elif raised[at] is not None:
        raised[at] *= 1.1
    return _wins(raised, worth_more) - _wins(capacities, chances)


def test_what_a_gain_is_worth_follows_the_hash_alone(mart: Mart) -> None:
    """Every figure of the line with the planted constraint, drawn and reckoned in plain Python."""
    line = _line(mart, "P3")
    trials = [_trial(line, "P3", trial) for trial in range(501)]
    rows = mart.rows("select * from mart.rpt_constraint_what_if where sales_process = 'P3' order by stage_order, lever")
    assert [(row["stage_name"], row["lever"]) for row in rows] == [
        ("arrivals", "arrivals"), *((stage, lever) for stage in STAGES for lever in ("capacity", "yield"))
    ]  # fmt: skip
    for row in rows:
        at, lever = row["stage_order"], row["lever"]
        if line.weeks[at] is None and lever == "capacity":
            assert (row["extra_wins"], row["extra_wins_upper"], row["reads"]) == (None, None, "capacity unknown")
            continue
        gains = [13 * _gain(capacities, chances, at, lever) for capacities, chances, _ in trials]
        money = [gain * worth for gain, (_, _, worth) in zip(gains, trials, strict=True)]
        assert row["extra_wins"] == pytest.approx(gains[0], abs=1e-9)
        assert row["extra_money"] == pytest.approx(money[0], rel=1e-9, abs=1e-6)
        for found, drawn in (("extra_wins", gains[1:]), ("extra_money", money[1:])):
            expected = tuple(np.percentile(drawn, (2.5, 97.5)))
            assert (row[f"{found}_lower"], row[f"{found}_upper"]) == pytest.approx(expected, rel=1e-6, abs=1e-6)
        if row["share_limiting"] is not None:
            limits = [
                capacities[at] * chances[at] == _wins(capacities, chances) for capacities, chances, _ in trials[1:]
            ]
            assert row["share_limiting"] == pytest.approx(np.mean(limits), abs=0.005)


def test_capacity_helps_at_the_planted_constraint_alone_and_yield_from_there_on_alike(mart: Mart) -> None:
    rows = mart.rows("select * from mart.rpt_constraint_what_if where sales_process = 'P3'")
    (narrowest,) = {row["stage_name"] for row in rows if row["is_limit"]}
    assert narrowest == "Needs Analysis"
    wins = rows[0]["wins_a_week"]
    for row in rows:
        if row["lever"] == "yield":
            expected = 1.3 * wins if row["stage_order"] >= 3 else 0
            assert row["extra_wins"] == pytest.approx(expected, abs=1e-9)
        elif row["extra_wins"] is not None:
            assert row["extra_wins"] == pytest.approx(1.3 * wins if row["stage_name"] == narrowest else 0, abs=1e-9)


def test_where_no_capacity_binds_a_gain_of_yield_is_worth_the_same_anywhere(mart: Mart) -> None:
    for process in ("P1", "P2"):
        rows = mart.rows(f"select * from mart.rpt_constraint_what_if where sales_process = '{process}'")
        assert {row["reads"] for row in rows if row["lever"] == "capacity"} == {"capacity unknown"}
        (wins,) = {row["wins_a_week"] for row in rows}
        gains = [row["extra_wins"] for row in rows if row["lever"] != "capacity"]
        assert gains == [pytest.approx(1.3 * wins)] * 6


def test_a_line_run_week_by_week_for_long_gives_the_same_gains(mart: Mart) -> None:
    """Queues with limited service, deals as a fluid: what the line turns out after years is the closed form of the model."""
    line = _line(mart, "P3")
    capacities, chances, _ = _trial(line, "P3", 0)
    shares = [chance / later for chance, later in zip(chances, [*chances[1:], 1.0], strict=True)]

    def turned_out(capacities: list[float | None], shares: list[float]) -> float:
        queues, out, weeks = [0.0] * len(capacities), 0.0, 3000
        for week in range(weeks):
            coming = capacities[0] or 0.0
            for at in range(1, len(capacities)):
                queues[at] += coming * shares[at - 1]
                served = queues[at] if capacities[at] is None else min(queues[at], capacities[at])
                queues[at] -= served
                coming = served
            out += coming * shares[-1] if week >= weeks // 2 else 0.0
        return out / (weeks - weeks // 2)

    now = turned_out(capacities, shares)
    for row in mart.rows(
        "select * from mart.rpt_constraint_what_if where sales_process = 'P3' and extra_wins is not null"
    ):
        at, raised, better = row["stage_order"], list(capacities), list(shares)
        if row["lever"] == "yield":
            better[at] *= 1.1
        elif raised[at] is not None:
            raised[at] *= 1.1
        assert 13 * (turned_out(raised, better) - now) == pytest.approx(row["extra_wins"], abs=1e-6), row["what_if_key"]


def test_without_a_target_of_its_own_the_quotas_of_those_who_lead_nobody_with_one_count(mart: Mart) -> None:
    rows = mart.landed["quarter targets by quotas"]
    # 1,000 of user 1 and 1,000 EUR at 0.5 of user 2, three months each; in October only user 3 has one
    told = [
        tuple(row[name] for name in ("fiscal_quarter", "team_id", "sales_process", "target_money", "source"))
        for row in rows
    ]
    # users 1 and 2 are the team of user 3, who is in none
    assert told == [
        ("2026-Q3", f"005{3:015d}", "all processes", 9000.0, "quotas"), ("2026-Q3", "all teams", "all processes", 9000.0, "quotas"),
        ("2026-Q4", "all teams", "all processes", 1000.0, "quotas"), ("2026-Q4", "no team", "all processes", 1000.0, "quotas"),
    ]  # fmt: skip


def test_a_target_is_the_companys_own_else_the_sum_of_its_teams(mart: Mart) -> None:
    rows = mart.rows("select * from mart.fct_quarter_targets where team_id = 'all teams'")
    assert {(row["fiscal_quarter"], row["sales_process"]): (row["target_money"], row["target_wins"]) for row in rows} == {
        ("2026-Q3", "P1"): (900000, None), ("2026-Q3", "P2"): (150000, None), ("2026-Q3", "P3"): (None, 60),
        ("2026-Q4", "P1"): (None, 20), ("2026-Q4", "all processes"): (900000, 100),
        ("2027-Q1", "P1"): (None, 1), ("2027-Q1", "P2"): (None, 2), ("2027-Q1", "P3"): (None, 4),
        ("2027-Q1", "all processes"): (None, 7),
    }  # fmt: skip


def test_the_gap_of_the_forecast_is_the_target_less_what_it_foretells(mart: Mart) -> None:
    rows = {
        (row["fiscal_quarter"], row["sales_process"]): row
        for row in mart.rows("select * from mart.rpt_forecast where basis = 'reported' and team_id = 'all teams'")
    }
    foretold = 0
    for key, target in (
        (("2026-Q3", "P1"), 900000),
        (("2026-Q3", "P2"), 150000),
        (("2026-Q4", "all processes"), 900000),
    ):
        row = rows[key]
        assert row["target_money"] == target
        if row["forecast_money"] is None:
            assert (row["gap_money"], row["target_cause"]) == (None, "no forecast")
        else:
            assert row["gap_money"] == pytest.approx(target - float(row["forecast_money"]))
            assert row["target_cause"] is None
            foretold += 1
    assert foretold
    row = rows["2026-Q3", "P3"]
    assert (row["target_money"], row["gap_money"], row["target_cause"]) == (None, None, "no target in money is set")


def test_a_team_has_its_own_target_else_that_of_its_owners_and_else_a_reason(mart: Mart) -> None:
    team = f"005{3:015d}"
    rows = {
        (row["fiscal_quarter"], row["sales_process"]): row
        for row in mart.rows(f"select * from mart.rpt_forecast where basis = 'reported' and team_id = '{team}'")
    }
    targets = mart.rows(f"select * from mart.fct_quarter_targets where team_id = '{team}'")
    # West, and the owner Ann, are nobody here
    assert {(row["fiscal_quarter"], row["sales_process"], row["level"]): row["target_money"] for row in targets} == {
        ("2026-Q3", "P1", "owner"): 500000, ("2026-Q3", "P2", "team"): 100000,
    }  # fmt: skip
    assert rows["2026-Q3", "P1"]["target_money"] == 500000
    assert rows["2026-Q3", "P2"]["target_money"] == 100000
    for key in (("2026-Q4", "P1"), ("2026-Q3", "all processes")):
        row = rows[key]
        assert (row["target_money"], row["gap_money"]) == (None, None)
        assert row["target_cause"] == "no target in money of this team or its owners"


def test_takt_is_working_days_over_what_must_be_won_and_entered(mart: Mart) -> None:
    quarters = {"2026-Q3": (date(2026, 7, 1), date(2026, 10, 1)), "2026-Q4": (date(2026, 10, 1), date(2027, 1, 1)),
                "2027-Q1": (date(2027, 1, 1), date(2027, 4, 1)), "2027-Q2": (date(2027, 4, 1), date(2027, 7, 1))}  # fmt: skip
    days_off = {date(2026, 7, 3), date(2026, 12, 25)}
    targets = {
        (row["fiscal_quarter"], row["sales_process"], row["team_id"]): row
        for row in mart.rows("select * from mart.fct_quarter_targets")
    }
    deals = {
        row["opportunity_id"]: row for row in mart.rows("select * from mart.fct_opportunities where not is_deleted")
    }
    entries: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for visit in mart.rows(
        "select * from mart.fct_stage_visits where basis = 'reported' and is_first_entry and not is_closed_stage"
    ):
        entries[visit["sales_process"], visit["stage_name"]].append(
            {**deals[visit["opportunity_id"]], "came": visit["entered_at"]}
        )
    rows, reads = mart.rows("select * from mart.rpt_takt"), set()
    # P3 has no deal outside of the team
    assert Counter(row["team_name"] for row in rows) == {"all teams": 4 * 19, "User 3": 4 * 19, "no team": 4 * 13}
    shown_of_team = 0
    for row in rows:
        begins, ends = quarters[row["fiscal_quarter"]]
        working = [begins + timedelta(days=n) for n in range((ends - begins).days)]
        working = [day for day in working if day.weekday() < 5 and day not in days_off]
        left = [day for day in working if day >= AS_OF.date()]
        assert (row["working_days"], row["working_days_left"]) == (len(working), len(left))
        process = row["sales_process"]
        team = {
            "User 3": (f"005{1:015d}",),
            "no team": (f"005{4:015d}",),
            "all teams": (f"005{1:015d}", f"005{4:015d}"),
        }[row["team_name"]]
        every = [
            deal for deal in deals.values() if deal["is_won"] and process in (deal["sales_process"], "all processes")
        ]
        won = [deal for deal in every if deal["owner_id"] in team]
        recent = [float(deal["amount_corporate"]) for deal in every
                  if AS_OF - deal["closed_at"] <= timedelta(days=364) and deal["amount_corporate"] is not None]  # fmt: skip
        target = targets.get((row["fiscal_quarter"], process, row["team_id"]))
        reads.add(row["reads"])
        if target is None:
            reason = "no target" if row["team_id"] == "all teams" else "no target of this team or its owners"
            assert (row["reads"], row["wins_required"], row["takt_days"]) == (reason, None, None)
            continue
        shown_of_team += row["team_name"] == "User 3" and row["takt_days"] is not None
        required = target["target_wins"] or target["target_money"] / np.mean(recent)
        assert row["wins_required"] == pytest.approx(required)
        so_far = sum(begins <= deal["closed_at"].date() < ends for deal in won)
        assert row["n_won_so_far"] == so_far
        if row["place"] == "the win":
            assert row["takt_days"] == pytest.approx(len(working) / required)
            assert row["takt_days_left"] == (
                pytest.approx(len(left) / (required - so_far)) if required > so_far else None
            )
            lately = [deal for deal in won if AS_OF - deal["closed_at"] <= timedelta(days=91)]
        else:
            came = entries[process, row["place"]]
            ended = [deal for deal in came if deal["is_won"] or deal["is_lost"]]
            hits = sum(deal["is_won"] for deal in ended)
            low, high = proportion_confint(hits, len(ended), method="wilson")
            shown = tuple(row[name] for name in ("takt_days_lower", "takt_days", "takt_days_upper"))
            shares = (low, hits / len(ended), high)
            assert shown == pytest.approx([len(working) / (required / share) for share in shares])
            assert row["entries_required"] == pytest.approx(required / shares[1])
            lately = [deal for deal in came if deal["owner_id"] in team and AS_OF - deal["came"] <= timedelta(days=91)]
        assert row["n_lately"] == len(lately)
        past = [AS_OF.date() - timedelta(days=back) for back in range(1, 92)]
        past = [day for day in past if day.weekday() < 5 and day not in days_off]
        assert row["pace_days"] == (pytest.approx(len(past) / len(lately)) if lately else None)
    assert reads >= {"ok", "no target"}
    assert shown_of_team == 2 * 6
