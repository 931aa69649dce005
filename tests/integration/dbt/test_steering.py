"""The views that people steer by, against plain accounts in Python and scipy: experiments, on a generated flow of deals.
One build serves every test here.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
import pytest
from scipy import stats

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
            number, RecordTypeId=TYPES["P1" if rng.random() < 0.6 else "P2"], StageName=last["StageName"], Amount=amount,
            CreatedDate=bench.utc(created), LastModifiedDate=last["CreatedDate"], CloseDate=last["CloseDate"],
        ))  # fmt: skip
        histories += rows
    bench.land("Opportunity", deals, extracted_at=AS_OF)
    bench.land("OpportunityHistory", histories, extracted_at=AS_OF)


class Mart:
    """A finished mart, opened alone."""

    def __init__(self, path: str) -> None:
        self.connection = duckdb.connect(path, read_only=True)

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
    stage_map = [(process, *row[1:]) for process in TYPES for row in bench.process_map("default")]
    bench.control(as_of=AS_OF, stage_map=stage_map, experiments=EXPERIMENTS)
    bench.build(full_refresh=True)
    bench.home.building.unlink(missing_ok=True)
    bench.dbt.build("measure")
    found = Mart(str(bench.home.building))
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
