"""The forecast against independent oracles, on generated processes with ties, re-entries, reopenings, deletions, money in two
currencies and a CRM that states categories, probabilities and close dates. One build serves every test here.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pytest

AS_OF = datetime(2026, 2, 4, 15, 30)  # noqa: DTZ001 (the warehouse holds naive UTC); a Wednesday within a quarter
NEVER = datetime(9999, 12, 31)  # noqa: DTZ001 (as above)
MONDAY = datetime(1970, 1, 5)  # noqa: DTZ001 (as above)
WEEK = timedelta(days=7)
MINIMUM_N = 20
SIZES = {"P1": 700, "P2": 450, "P3": 30}
"""Deals per process: P1 moves on whole days, so that ties are common; P3 is too small for most stages."""
STAGES = ("Prospecting", "Qualification", "Needs Analysis", "Proposal", "Negotiation")
CRM = {
    "Prospecting": ("Pipeline", 10.0), "Qualification": ("Pipeline", 20.0), "Needs Analysis": ("BestCase", 40.0),
    "Proposal": ("MostLikely", 60.0), "Negotiation": ("Forecast", 80.0), "Closed Won": ("Closed", 100.0),
    "Closed Lost": ("Omitted", 0.0),
}  # fmt: skip
LANDMARKS = (0, 7, 14, 28, 56, 112, 224)
RATES = {"USD": 1.0, "EUR": 0.8}
Row = dict[str, Any]


def _history(rng: random.Random, whole_days: bool) -> list[tuple[datetime, str]]:
    """Stages of one deal in order of time: a walk that skips, goes back, waits zero time, closes and reopens."""
    ago = rng.uniform(0.01, 1100)
    at = (AS_OF - timedelta(days=ago)).replace(microsecond=0)
    if whole_days:
        at = at.replace(hour=0, minute=0, second=0)
    place, rows = 1 if rng.random() < 0.1 else 0, []
    while at <= AS_OF and len(rows) < 14:
        rows.append((at, STAGES[place]))
        wait = 0.0 if rng.random() < 0.05 else rng.randint(1, 40) if whole_days else round(rng.expovariate(1 / 22), 4)
        at += timedelta(days=wait)
        draw = rng.random()
        if draw < 0.6 and place < len(STAGES) - 1:
            place += 1
        elif draw < 0.64 and place < len(STAGES) - 2:
            place += 2
        elif draw < 0.72 and place:
            place -= 1
        else:
            if at <= AS_OF:
                rows.append((at, "Closed Won" if rng.random() < 0.15 + 0.15 * place else "Closed Lost"))
            if rng.random() > 0.1:
                break
            at += timedelta(days=rng.randint(1, 30))
    return rows


def _land(bench: Any) -> None:
    rng = random.Random(20260204)
    deals, histories = [], []
    types = {process: f"012{n:015d}" for n, process in enumerate(SIZES, start=1)}
    for process, size in SIZES.items():
        for _ in range(size):
            number = len(deals) + 1
            currency = rng.choice(("USD", "EUR"))
            moves = _history(rng, whole_days=process == "P1")
            rows: list[Row] = []
            amount: str | None = None
            close = moves[0][0].date() + timedelta(days=rng.randint(10, 200))
            for place, (instant, stage) in enumerate(moves):
                moments = [instant]
                until = moves[place + 1][0] if place + 1 < len(moves) else AS_OF
                if stage in STAGES and until - instant > timedelta(days=3) and rng.random() < 0.5:
                    moments.append(instant + (until - instant) / 2)
                for moment in moments:
                    if amount is None or rng.random() < 0.2:
                        amount = None if rng.random() < 0.2 else f"{rng.randint(100_000, 9_000_000) / 100:.2f}"
                    if rng.random() < 0.3:
                        close += timedelta(days=rng.randint(-20, 60))
                    category, probability = CRM[stage]
                    if rng.random() < 0.1:
                        probability = float(rng.randint(0, 100))
                    rows.append({
                        "Id": f"008{number:09d}{len(rows):06d}", "OpportunityId": f"006{number:015d}", "StageName": stage,
                        "IsDeleted": False, "Amount": amount, "CurrencyIsoCode": currency, "CloseDate": close,
                        "ForecastCategory": category, "Probability": probability, "CreatedDate": bench.utc(moment),
                        "SystemModstamp": bench.utc(moment),
                    })  # fmt: skip
            last = rows[-1]
            has_history = rng.random() > 0.03
            deals.append(
                bench.deal(
                    number, RecordTypeId=types[process], StageName=last["StageName"], CreatedDate=bench.utc(moves[0][0]),
                    IsDeleted=rng.random() < 0.05, Amount=last["Amount"], CloseDate=last["CloseDate"],
                    LastModifiedDate=bench.utc(max(AS_OF - timedelta(days=rng.randint(0, 200)), moves[-1][0])),
                    CurrencyIsoCode=currency, Probability=last["Probability"],
                    ForecastCategoryName={"BestCase": "Best Case", "MostLikely": "Most Likely", "Forecast": "Commit"}.get(
                        last["ForecastCategory"], last["ForecastCategory"]),
                )
            )  # fmt: skip
            histories += rows if has_history else []
    bench.land("RecordType", [
        {"Id": key, "DeveloperName": process, "SobjectType": "Opportunity", "IsActive": True, "SystemModstamp": bench.utc(AS_OF)}
        for process, key in types.items()
    ])  # fmt: skip
    bench.land("Opportunity", deals, extracted_at=AS_OF)
    bench.land("OpportunityHistory", histories, extracted_at=AS_OF)
    bench.land("CurrencyType", [
        {"Id": f"01L{n:015d}", "IsoCode": code, "ConversionRate": rate, "IsCorporate": code == "USD"}
        for n, (code, rate) in enumerate(RATES.items(), start=1)
    ])  # fmt: skip


def _control(bench: Any, as_of: datetime) -> None:
    stage_map = [(process, *row[1:]) for process in SIZES for row in bench.process_map("default")]
    bench.control(as_of=as_of, stage_map=stage_map)


def _build(bench: Any, as_of: datetime) -> None:
    _control(bench, as_of)
    bench.build(full_refresh=True)
    bench.home.building.unlink(missing_ok=True)
    bench.dbt.build("measure")


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
def marts(_session_bench: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Mart]]:
    """`now` as of AS_OF; `then` built 30 weeks earlier from the same landing; `again`: the build of now once more."""
    bench, place = _session_bench, tmp_path_factory.mktemp("forecast")
    bench.reset()
    _land(bench)
    found = {}
    for name, as_of in (("then", AS_OF - 30 * WEEK), ("again", AS_OF), ("now", AS_OF)):
        _build(bench, as_of)
        path = place / f"{name}.duckdb"
        bench.home.building.rename(path)
        found[name] = Mart(str(path))
    yield found
    for mart in found.values():
        mart.connection.close()


@pytest.fixture(scope="module")
def mart(marts: dict[str, Mart]) -> Mart:
    """The mart as of AS_OF."""
    return marts["now"]


def _week(instant: datetime) -> float:
    return (instant - MONDAY) / WEEK


def _visits(mart: Mart) -> dict[str, list[Row]]:
    visits: dict[str, list[Row]] = defaultdict(list)
    for row in mart.rows("select * from mart.fct_stage_visits where basis = 'reported' order by opportunity_id, visit_seq"):
        visits[row["opportunity_id"]].append(row)
    return visits


def _watched(visits: dict[str, list[Row]], week_no: int) -> dict[tuple[str, str, int], list[tuple[int, int]]]:
    """(whole weeks watched by the Monday, 0 nothing, 1 won, 2 lost) per process, stage and landmark age, deal by deal."""
    monday = MONDAY + week_no * WEEK
    found: dict[tuple[str, str, int], list[tuple[int, int]]] = defaultdict(list)
    for deal in visits.values():
        for n, visit in enumerate(deal):
            if visit["is_closed_stage"] or not visit["is_mapped"] or visit["is_start_imputed"]:
                continue
            closing = next((later for later in deal[n + 1 :] if later["is_closed_stage"]), None)
            deleted = deal[-1]["exited_at"] if deal[-1]["exit_kind"] == "deleted" else None
            for age in LANDMARKS:
                landmark = visit["entered_at"] + timedelta(days=age)
                if landmark >= (visit["exited_at"] or AS_OF):
                    continue
                known = math.floor((monday - landmark) / WEEK)
                ends = [(known, 0)]
                if closing is not None:
                    ends.append((math.ceil((closing["entered_at"] - landmark) / WEEK), 1 if closing["is_won_stage"] else 2))
                elif deleted is not None:
                    ends.append((math.floor((deleted - landmark) / WEEK), 0))
                # an event in a week that is not over is not known; of equal weeks, the event counts
                weeks, kind = min(ends, key=lambda end: (end[0], end[1] == 0))
                if weeks >= 1:
                    for stage in (visit["stage_name"], "all stages"):
                        found[visit["sales_process"], stage, age].append((weeks, kind))
    return found


def test_win_curves_equal_scikit_survival_on_what_each_week_knew(mart: Mart) -> None:
    from sksurv.nonparametric import cumulative_incidence_competing_risks

    visits, checked, bounded, reads = _visits(mart), 0, 0, set()
    weeks = [row["week_no"] for row in mart.rows("select week_no from mart.dim_forecast_week order by 1")]
    for week_no in (weeks[0], weeks[40], weeks[77], weeks[-1]):
        watched = _watched(visits, week_no)
        curves: dict[tuple[str, str, int], list[Row]] = defaultdict(list)
        for row in mart.rows(f"select * from mart.fct_win_curves where week_no = {week_no} order by within_weeks"):
            curves[row["sales_process"], row["stage_name"], row["age_from_days"]].append(row)
        assert set(watched) <= set(curves)
        for cell, rows in curves.items():
            seen = watched.get(cell, [])
            assert {row["n_at_risk"] for row in rows} == {len(seen)}, cell
            reads |= {row["reads"] for row in rows}
            if len(seen) < MINIMUM_N:
                assert {row["reads"] for row in rows} == {"too few"}
                assert {row["incidence_won"] for row in rows} == {None}
                continue
            longest = max(weeks for weeks, _ in seen)
            with np.errstate(divide="ignore", invalid="ignore"):  # where all have left at once, the oracle has no interval
                times, incidence, bounds = cumulative_incidence_competing_risks(
                    np.array([kind for _, kind in seen] if any(kind for _, kind in seen) else [1, *[0] * (len(seen) - 1)]),
                    np.array([weeks for weeks, _ in seen]), conf_type="log-log", var_type="Dinse_Approx",
                )  # fmt: skip
            if not any(kind == 1 for _, kind in seen):
                assert {row["incidence_won"] for row in rows} <= {0, None}, cell
                continue
            all_left = 1 - incidence[0][-1] < 1e-12
            for row in rows:
                after = row["within_weeks"]
                assert row["reads"] == ("ok" if after <= longest or all_left else "not watched long enough"), (cell, after)
                if row["reads"] != "ok":
                    assert row["incidence_won"] is None
                    continue
                at = int(np.searchsorted(times, after, side="right")) - 1
                expected = incidence[1, at] if at >= 0 else 0
                assert row["incidence_won"] == pytest.approx(expected, abs=1e-12), (cell, after)
                checked += 1
                if 0 < expected < 1 and not all_left:
                    told = (row["incidence_lower"], row["incidence_upper"])
                    assert told == pytest.approx((bounds[1, 0, at], bounds[1, 1, at]), abs=1e-9), (cell, after)
                    bounded += 1
    assert checked > 1000
    assert bounded > 500
    assert reads == {"ok", "too few", "not watched long enough"}
