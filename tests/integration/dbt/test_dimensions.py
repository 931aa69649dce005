"""Flow by dimension: each deal has one value of each, survival equals scikit-survival's and lifelines', fields that are not there say so."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pytest

AS_OF = datetime(2026, 1, 31)  # noqa: DTZ001 (the warehouse holds naive UTC)
DAYS, MINIMUM_N = 90, 20
STAGES = ("Prospecting", "Qualification", "Needs Analysis", "Proposal", "Negotiation")
TEXTS = {"segment": ("mapped_segment", ("North", "South", None)), "lead source": ("LeadSource", ("Web", "Fair", "Phone", None)),
         "opportunity type": ("Type", ("New", None)), "Region__c": ("mapped_dimension_1", ("East", " East ", "West", "")),
         "Code__c": ("mapped_dimension_3", tuple(f"code {n}" for n in range(60)))}  # fmt: skip
PRODUCTS = {"01t000000000000001": ("Pump", "Machines"), "01t000000000000002": ("Valve", None)}
CAMPAIGN = "701000000000000001"
Row = dict[str, Any]


def _history(rng: random.Random) -> list[tuple[datetime, str]]:
    at = AS_OF - timedelta(days=rng.uniform(0.01, rng.choice([700, 700, 80])))
    place, rows = 0, []
    while at <= AS_OF and len(rows) < 10:
        rows.append((at, STAGES[place]))
        at += timedelta(days=rng.choice([0, 1, 2, rng.expovariate(1 / 25)]))
        draw = rng.random()
        if draw < 0.6 and place < len(STAGES) - 1:
            place += 1
        elif draw < 0.68 and place:
            place -= 1
        else:
            if at <= AS_OF:
                rows.append((at, "Closed Won" if rng.random() < 0.4 else "Closed Lost"))
            break
    return rows


@pytest.fixture(scope="module")
def mart(_session_bench: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    bench, rng = _session_bench, random.Random(11)
    bench.reset()
    deals, histories, lines = [], [], []
    for number in range(1, 601):
        history = _history(rng)
        deal = bench.deal(
            number, StageName=history[-1][1], CreatedDate=bench.utc(history[0][0]), IsDeleted=rng.random() < 0.06,
            Amount=None if rng.random() < 0.1 else "1000.50", CampaignId=CAMPAIGN if number % 4 == 0 else None,
            LastModifiedDate=bench.utc(AS_OF - timedelta(days=rng.randint(0, 3))),
            **{field: rng.choice(values) for field, values in TEXTS.values()},
        )  # fmt: skip
        deals.append(deal)
        histories += [{
            "Id": f"008{number:09d}{at:06d}", "OpportunityId": deal["Id"], "StageName": stage, "IsDeleted": False,
            "Amount": deal["Amount"], "CreatedDate": bench.utc(instant), "SystemModstamp": bench.utc(instant),
        } for at, (instant, stage) in enumerate(history)]  # fmt: skip
        made = bench.utc(history[min(1, len(history) - 1)][0])
        for product in rng.sample(sorted(PRODUCTS), rng.choice([0, 1, 1, 2])):
            lines.append({
                "Id": f"00k{len(lines):015d}", "IsDeleted": False, "OpportunityId": deal["Id"], "Product2Id": product,
                "TotalPrice": "1.00", "CreatedDate": made, "LastModifiedDate": made, "SystemModstamp": made,
            })  # fmt: skip
    stamp = {
        "IsDeleted": False,
        "CreatedDate": bench.utc(AS_OF - timedelta(days=900)),
        "SystemModstamp": bench.utc(AS_OF),
    }
    bench.land("Opportunity", deals)
    bench.land("OpportunityHistory", histories)
    bench.land("OpportunityLineItem", lines)
    bench.land(
        "Product2", [{"Id": key, "Name": name, "Family": family, **stamp} for key, (name, family) in PRODUCTS.items()]
    )
    bench.land("Campaign", [{"Id": CAMPAIGN, "Name": "Autumn fair", **stamp}])
    bench.control(
        as_of=AS_OF,
        definitions=[bench.stage_entry("R07", "amount", 2)],
        dimensions=[(1, "Region__c", "present"), (2, "Size__c", "Opportunity.Size__c is hidden"), (3, "Code__c", "present")],
    )  # fmt: skip
    bench.dbt.build("conform", only="rpt_flow_by_dimension", tests=False, full_refresh=True)
    bench.home.building.unlink(missing_ok=True)
    for view in ("rpt_stage_conversion", "rpt_flow_by_dimension"):
        bench.dbt.build("measure", only=view)
    bench.dbt.build("measure", only="assert_dimensions_add_up")
    kept = tmp_path_factory.mktemp("dimensions") / "built.duckdb"
    bench.home.building.rename(kept)
    with duckdb.connect(str(kept), read_only=True) as connection:
        yield connection


def _rows(mart: duckdb.DuckDBPyConnection, sql: str) -> list[Row]:
    cursor = mart.execute(sql)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _entries(mart: duckdb.DuckDBPyConnection) -> dict[tuple[str, ...], list[Row]]:
    """First entries by (basis, dimension, value, stage), a plain reading of the facts."""
    deals = {row["opportunity_id"]: row for row in _rows(mart, "select * from mart.fct_opportunities")}
    products: dict[str, list[Row]] = defaultdict(list)
    for row in _rows(mart, "select * from mart.fct_opportunity_products"):
        products[row["opportunity_id"]].append(row)
    known = {"segment": "segment", "lead source": "lead_source", "opportunity type": "opportunity_type",
             "Region__c": "dimension_1", "Code__c": "dimension_3"}  # fmt: skip
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for deal in deals.values():
        for name, column in known.items():
            counts[name][deal[column] or "none"] += 1
    common = {
        name: set(sorted((value for value in found if value != "none"), key=lambda value: (-found[value], value))[:50])
        for name, found in counts.items()
    }
    found: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for visit in _rows(mart, "select * from mart.fct_stage_visits where is_first_entry and not is_closed_stage"):
        if visit["is_left_truncated"] or visit["is_start_imputed"]:
            continue
        deal = deals[visit["opportunity_id"]]
        own = [row for row in products[visit["opportunity_id"]] if row["first_line_at"] <= visit["entered_at"]]
        values = {name: deal[column] or "none" for name, column in known.items()}
        values = {
            name: value if value == "none" or value in common[name] else "(other)" for name, value in values.items()
        }
        values["campaign"] = "Autumn fair" if deal["campaign_id"] else "none"
        values["product"] = "none" if not own else own[0]["product_name"] if len(own) == 1 else "several products"
        families = {row["product_family"] for row in own}
        values["product family"] = "several families" if len(families) > 1 else next(iter(families), None) or "none"
        for name, value in values.items():
            found[visit["basis"], name, value, visit["stage_name"]].append(visit)
    return found


def test_each_value_counts_its_own_entries_and_survival_is_that_of_published_packages(mart: Any) -> None:
    from lifelines import KaplanMeierFitter
    from sksurv.nonparametric import cumulative_incidence_competing_risks
    from statsmodels.stats.proportion import proportion_confint

    entries, curves, rates = _entries(mart), 0, 0
    rows = _rows(mart, "select * from mart.rpt_flow_by_dimension where n_entered > 0")
    told = {(row["basis"], row["dimension"], row["dimension_value"], row["stage_name"]): row for row in rows}
    assert len(told) == len(rows)
    assert {key for key in told if key[1] not in ("team", "Size__c")} == set(entries)
    for key, visits in entries.items():
        row = told[key]
        kinds = [visit["exit_kind"] for visit in visits]
        assert row["n_entered"] == len(visits)
        for kind in ("advanced", "back", "lateral", "won", "lost", "won_without_evidence", "open"):
            assert row[f"n_{kind}"] == kinds.count(kind), key
        assert row["n_deleted"] == kinds.count("deleted") + kinds.count("merged")
        mature = [one for one in visits if (AS_OF - one["entered_at"]) / timedelta(days=1) >= DAYS]
        rated = [one for one in mature if not (one["exit_kind"] == "deleted" and one["days_in_stage"] <= DAYS)]
        onward = [one for one in rated if one["exit_kind"] in ("advanced", "won") and one["days_in_stage"] <= DAYS]
        assert (row["n_rate"], row["n_onward"]) == (len(rated), len(onward))
        if len(rated) >= MINIMUM_N:
            bounds = proportion_confint(len(onward), len(rated), method="wilson")
            assert (row["onward_lower"], row["onward_upper"]) == pytest.approx(bounds, abs=1e-12)
            assert row["onward_within_days"] == pytest.approx(len(onward) / len(rated))
            rates += 1
        else:
            assert row["onward_within_days"] is row["onward_lower"] is None
        assert row["reads"] == (
            "too few" if len(visits) < MINIMUM_N else "immature" if len(rated) < MINIMUM_N else "ok"
        )
        if len(visits) < MINIMUM_N:
            assert row["incidence_at_longest"] is row["p50_days"] is None
            continue
        days = np.array([math.ceil(one["days_in_stage"]) for one in visits], float)
        event = np.array(
            [{"advanced": 1, "won": 1, "open": 0, "deleted": 0, "merged": 0}.get(kind, 2) for kind in kinds]
        )
        if 1 not in event:  # the package asks for one of each kind
            assert row["incidence_at_longest"] == 0
        else:
            times, incidence, intervals = cumulative_incidence_competing_risks(event, days, conf_type="log-log")
            assert row["incidence_at_longest"] == pytest.approx(incidence[1][-1], abs=1e-9)
            within = np.searchsorted(times, DAYS, side="right") - 1
            if row["incidence_within_days"] is not None:
                assert row["incidence_within_days"] == pytest.approx(incidence[1][within], abs=1e-9)
                if row["incidence_lower"] is not None:
                    assert row["incidence_lower"] == pytest.approx(intervals[1][0][within], abs=1e-9)
                    assert row["incidence_upper"] == pytest.approx(intervals[1][1][within], abs=1e-9)
                    curves += 1
        survival = KaplanMeierFitter().fit(days, event > 0).survival_function_["KM_estimate"]
        for share, column in ((0.5, "p50_days"), (0.15, "p85_days")):
            reached = survival.index[survival <= share + 1e-12]
            assert row[column] == (reached[0] if len(reached) else None), (key, column)
    assert curves > 40
    assert rates > 60


def test_who_stands_there_now_counts_with_its_money(mart: Any) -> None:
    standing = defaultdict(list)
    for row in _rows(
        mart,
        """
        select visits.basis, visits.stage_name, deals.segment, deals.amount_corporate
        from mart.fct_stage_visits as visits inner join mart.fct_opportunities as deals using (opportunity_id)
        where visits.exit_kind = 'open' and not visits.is_closed_stage""",
    ):
        standing[row["basis"], row["segment"] or "none", row["stage_name"]].append(row["amount_corporate"])
    rows = _rows(mart, "select * from mart.rpt_flow_by_dimension where dimension = 'segment' and wip > 0")
    assert {(row["basis"], row["dimension_value"], row["stage_name"]) for row in rows} == set(standing)
    for row in rows:
        amounts = standing[row["basis"], row["dimension_value"], row["stage_name"]]
        known = [amount for amount in amounts if amount is not None]
        assert (row["wip"], row["wip_without_amount"]) == (len(amounts), len(amounts) - len(known))
        assert row["wip_amount_corporate"] == (sum(known) if known else None)


def test_a_field_that_the_org_does_not_show_is_not_none(mart: Any) -> None:
    values = defaultdict(set)
    for row in _rows(mart, "select * from mart.rpt_flow_by_dimension"):
        values[row["dimension"]].add((row["value_rank"], row["dimension_value"]))
    assert values["Size__c"] == {(0, "not available")}
    assert {name for _, name in values["Region__c"]} == {"East", "West", "none"}
    assert dict(values["Code__c"])[51] == "(other)"
    assert len(values["Code__c"]) == 51
    assert {name for _, name in values["product"]} == {"Pump", "Valve", "several products", "none"}
    assert {name for _, name in values["product family"]} == {"Machines", "several families", "none"}
    assert set(values) == {
        "segment", "opportunity type", "lead source", "campaign", "product", "product family", "team",
        "Region__c", "Size__c", "Code__c",
    }  # fmt: skip
