"""Visits, rework and survival against pm4py, lifelines, scikit-survival, statsmodels and numpy, on histories that hypothesis draws:
ties, zero lengths, re-entries, regressions, skips, reopenings and deals that begin in mid-process are the rule here.

Belongs here: what a published package can tell independently. Does not: generated companies (test_measure, test_forecast).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration import event_log

START = datetime(2026, 1, 1)  # noqa: DTZ001 (the warehouse holds naive UTC)
AS_OF = START + timedelta(days=150)
DAYS, MINIMUM_N = 90, 20
OPEN = ("Prospecting", "Qualification", "Needs Analysis", "Proposal", "Negotiation")
STAGES = (*OPEN, "Closed Won", "Closed Lost")
CENSORED = ("open", "deleted", "merged")
PROCESSES = ("P1", "P2")
# few instants, so that ties are common; the first stages and whole days are drawn oftener than the rest
_CHANGE = st.tuples(st.integers(0, 30), st.sampled_from((*STAGES, *OPEN[:2])))
_HISTORIES = st.lists(st.lists(_CHANGE, min_size=1, max_size=8), min_size=110, max_size=110)
Row = dict[str, Any]


def _land(bench: Any, histories: list[list[tuple[int, str]]]) -> dict[str, list[tuple[str, str, datetime]]]:
    """The org into the landing. Returns the changes of each process as they were made, in file order within an instant."""
    deals, rows = [], []
    changes: dict[str, list[tuple[str, str, datetime]]] = defaultdict(list)
    for number, history in enumerate(histories, start=1):
        ordered = sorted(((START + timedelta(days=day / 2), stage) for day, stage in history), key=lambda one: one[0])
        process = PROCESSES[number % len(PROCESSES)]
        deal = bench.deal(
            number, StageName=ordered[-1][1], RecordTypeId=f"012{process}", CreatedDate=bench.utc(ordered[0][0])
        )
        deals.append(deal)
        for position, (instant, stage) in enumerate(ordered):
            changes[process].append((deal["Id"], stage, bench.utc(instant)))
            rows.append({"Id": f"008{number:09d}{position:06d}", "OpportunityId": deal["Id"], "StageName": stage,
                         "CreatedDate": bench.utc(instant), "SystemModstamp": bench.utc(instant), "IsDeleted": False})  # fmt: skip
    bench.land("Opportunity", deals)
    bench.land("OpportunityHistory", rows)
    bench.land("RecordType", [
        {"Id": f"012{process}", "DeveloperName": process, "SobjectType": "Opportunity", "SystemModstamp": bench.utc(START)}
        for process in PROCESSES
    ])  # fmt: skip
    return changes


def _measured(bench: Any) -> dict[str, list[Row]]:
    bench.control(
        as_of=AS_OF, stage_map=[(process, *row[1:]) for process in PROCESSES for row in bench.process_map("")]
    )
    bench.dbt.build("conform", only="rpt_yield", tests=False, full_refresh=True)
    bench.home.building.unlink(missing_ok=True)
    views = ("rpt_yield", "rpt_stage_conversion", "rpt_stage_duration")
    for view in views:
        bench.dbt.build("measure", only=view, tests=False)
    found = {}
    with duckdb.connect(str(bench.home.building), read_only=True) as mart:
        for table in ("fct_stage_visits", *views):
            order = " order by opportunity_id, visit_seq" if table == "fct_stage_visits" else ""
            based = "" if table == "rpt_yield" else " where basis = 'reported'"
            cursor = mart.execute(f"select * from mart.{table}{based}{order}")
            names = [column[0] for column in cursor.description or []]
            found[table] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return found


@settings(
    max_examples=2, derandomize=True, deadline=None, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large,
                           HealthCheck.large_base_example],
)  # fmt: skip
@given(histories=_HISTORIES)
def test_what_packages_tell_of_any_history_is_what_the_mart_tells(
    bench: Any, histories: list[list[tuple[int, str]]]
) -> None:
    bench.reset()
    changes = _land(bench, histories)
    mart = _measured(bench)
    visits: dict[str, list[Row]] = defaultdict(list)
    for row in mart["fct_stage_visits"]:
        visits[row["sales_process"]].append(row)
    for process in PROCESSES:
        log = event_log.event_log(changes[process])
        _steps_and_rework(log, visits[process], [row for row in mart["rpt_yield"] if row["sales_process"] == process])
    first = _first_entries(mart["fct_stage_visits"])
    told = {
        "reentries": sum(row["visit_no"] > 1 for row in mart["fct_stage_visits"]),
        "reopenings": sum(row["exit_kind"] == "reopened" for row in mart["fct_stage_visits"]),
        "zero lengths": sum(row["is_tie"] for row in mart["fct_stage_visits"]),
        "durations": _durations(mart),
        "incidence": _incidence(mart["rpt_stage_conversion"], first),
        "rates": _rates(mart["rpt_stage_conversion"], first),
    }
    # hypothesis draws its simplest example first: one change of each deal
    assert all(told.values()) or max(map(len, histories)) == 1, told


def _steps_and_rework(log: Any, visits: list[Row], yields: list[Row]) -> None:
    """Sojourns, what directly follows what, and rework, by pm4py."""
    steps: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row, following in pairwise(visits):
        if row["opportunity_id"] == following["opportunity_id"]:
            steps[row["stage_name"], following["stage_name"]].append(row["days_in_stage"])
    expected = event_log.directly_follows(log)
    assert set(steps) == set(expected)
    for pair, days in expected.items():
        assert sorted(steps[pair]) == pytest.approx(days, abs=1e-9), pair
    stays: dict[str, list[float]] = defaultdict(list)
    for (stage, _), days in steps.items():
        stays[stage] += days
    assert {stage: float(np.mean(days)) for stage, days in stays.items()} == pytest.approx(
        event_log.mean_sojourns(log), abs=1e-9
    )
    reworked = event_log.reworked(log)
    entered = Counter(stage for stage, _ in {(row["stage_name"], row["opportunity_id"]) for row in visits})
    for row in yields:
        stage = row["stage_name"]
        assert (row["n_entered"], row["n_reworked"]) == (entered[stage], reworked.get(stage, 0)), stage
        if row["n_entered"] >= MINIMUM_N:
            assert row["rework_rate"] == pytest.approx(reworked.get(stage, 0) / entered[stage], abs=1e-12)


def _durations(mart: dict[str, list[Row]]) -> int:
    """Percentiles of closed visits by numpy; Kaplan-Meier medians and their intervals by lifelines."""
    from lifelines import KaplanMeierFitter
    from lifelines.utils import median_survival_times

    observed: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in mart["fct_stage_visits"]:
        if not row["is_closed_stage"]:
            observed[row["sales_process"], row["stage_name"]].append(row)
    checked = 0
    assert {(row["sales_process"], row["stage_name"]) for row in mart["rpt_stage_duration"]} == set(observed)
    for row in mart["rpt_stage_duration"]:
        visits = observed[row["sales_process"], row["stage_name"]]
        days = [visit["days_in_stage"] for visit in visits]
        left = [visit["exit_kind"] not in CENSORED for visit in visits]
        closed = [one for one, gone in zip(days, left, strict=True) if gone]
        told = [row[f"closed_p{share}_days"] for share in (50, 85, 95)]
        assert told == pytest.approx(
            list(np.percentile(closed, (50, 85, 95))) if len(closed) >= MINIMUM_N else [None] * 3, abs=1e-12
        )
        if len(visits) < MINIMUM_N:
            continue
        fitted = KaplanMeierFitter().fit(days, left)
        checked += _is(row["km_p50_days"], fitted.survival_function_, fitted.median_survival_time_)
        bounds = fitted.confidence_interval_
        for name, column in zip(("km_p50_lower_days", "km_p50_upper_days"), bounds, strict=True):
            if (bounds[column].diff().dropna() <= 0).all():  # else lifelines' search in it means nothing
                checked += _is(row[name], bounds[[column]], median_survival_times(bounds[[column]]))
    return checked


def _is(told: float | None, curve: Any, expected: float) -> bool:
    """Asserts a median against lifelines', except where the curve stands at a half: there a rounding decides."""
    if (abs(curve - 0.5) < 1e-9).to_numpy().any():
        return False
    assert told == (None if np.isinf(expected) else pytest.approx(expected, abs=1e-9))
    return True


def _first_entries(visits: list[Row]) -> dict[tuple[str, str], list[Row]]:
    first: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in visits:
        if row["visit_no"] == 1 and not row["is_closed_stage"] and not row["is_left_truncated"]:
            first[row["sales_process"], row["stage_name"]].append(row)
    return first


def _incidence(rows: list[Row], first: dict[tuple[str, str], list[Row]]) -> int:
    """Aalen-Johansen with its interval by scikit-survival."""
    from sksurv.nonparametric import cumulative_incidence_competing_risks

    checked = 0
    for row in rows:
        if row["cohort"] != "all" or row["exit_kind"] == "onward" or row["incidence_lower"] is None:
            continue
        entries = first[row["sales_process"], row["stage_name"]]
        kinds = sorted({entry["exit_kind"] for entry in entries} - set(CENSORED))
        times, curves, bounds = cumulative_incidence_competing_risks(
            np.array([kinds.index(one["exit_kind"]) + 1 if one["exit_kind"] in kinds else 0 for one in entries]),
            np.array([one["days_in_stage"] for one in entries]), conf_type="log-log", var_type="Aalen",
        )  # fmt: skip
        at, kind = int(np.searchsorted(times, DAYS, side="right")) - 1, kinds.index(row["exit_kind"]) + 1
        told = (row["incidence_within_days"], row["incidence_lower"], row["incidence_upper"])
        assert told == pytest.approx((curves[kind, at], bounds[kind, 0, at], bounds[kind, 1, at]), abs=1e-9), row
        checked += 1
    return checked


def _rates(rows: list[Row], first: dict[tuple[str, str], list[Row]]) -> int:
    """Rates of mature entries with Wilson's interval by statsmodels."""
    from statsmodels.stats.proportion import proportion_confint

    checked = 0
    for row in rows:
        if row["cohort"] != "all" or row["exit_kind"] == "onward" or row["rate_within_days"] is None:
            continue
        mature = [
            one
            for one in first[row["sales_process"], row["stage_name"]]
            if one["entered_at"] <= AS_OF - timedelta(days=DAYS)
        ]
        left = sum(one["exit_kind"] == row["exit_kind"] and one["days_in_stage"] <= DAYS for one in mature)
        told = (row["rate_within_days"], row["rate_lower"], row["rate_upper"])
        expected = (left / len(mature), *proportion_confint(left, len(mature), method="wilson"))
        assert told == pytest.approx(expected, abs=1e-9), row
        checked += 1
    return checked
