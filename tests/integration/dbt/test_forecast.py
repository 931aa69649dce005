"""The forecast against independent oracles, on generated processes with ties, re-entries, reopenings, deletions, money in two
currencies and a CRM that states categories, probabilities and close dates. One build serves every test here.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pytest

AS_OF = datetime(2026, 2, 4, 15, 30)  # noqa: DTZ001 (the warehouse holds naive UTC); a Wednesday within a quarter
NEVER = datetime(9999, 12, 31)  # noqa: DTZ001 (as above)
MONDAY = datetime(1970, 1, 5)  # noqa: DTZ001 (as above)
WEEK = timedelta(days=7)
MINIMUM_N = 20
SIZES = {"P1": 700, "P2": 450, "P3": 30, "P4": 150}
OLDEST_DAYS = {"P1": 1100, "P2": 1100, "P3": 1100, "P4": 200}
"""Deals per process: P1 moves on whole days, so that ties are common; P3 is too small for most stages; P4 is young."""
STAGES = ("Prospecting", "Qualification", "Needs Analysis", "Proposal", "Negotiation")
CRM = {
    "Prospecting": ("Pipeline", 10.0), "Qualification": ("Pipeline", 20.0), "Needs Analysis": ("BestCase", 40.0),
    "Proposal": ("MostLikely", 60.0), "Negotiation": ("Forecast", 80.0), "Closed Won": ("Closed", 100.0),
    "Closed Lost": ("Omitted", 0.0),
}  # fmt: skip
LANDMARKS = (0, 7, 14, 28, 56, 112, 224)
RATES = {"USD": 1.0, "EUR": 0.8}
YEAR = 52
Row = dict[str, Any]
Cell = tuple[str, str, int]


class Watched(NamedTuple):
    """One visit beyond one landmark age: whole weeks watched; 0 nothing yet, 1 won, 2 lost; week of the landmark."""

    weeks: int
    kind: int
    landmark_week: int


def _history(rng: random.Random, oldest: int, whole_days: bool) -> list[tuple[datetime, str]]:
    """Stages of one deal in order of time: a walk that skips, goes back, waits zero time, closes and reopens."""
    ago = rng.uniform(0.01, oldest)
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
            moves = _history(rng, OLDEST_DAYS[process], whole_days=process == "P1")
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
    for row in mart.rows(
        "select * from mart.fct_stage_visits where basis = 'reported' order by opportunity_id, visit_seq"
    ):
        visits[row["opportunity_id"]].append(row)
    return visits


def _watched(visits: dict[str, list[Row]], week_no: int) -> dict[Cell, list[Watched]]:
    """What the Monday knew per process, stage and landmark age, visit by visit."""
    monday = MONDAY + week_no * WEEK
    found: dict[Cell, list[Watched]] = defaultdict(list)
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
                ends = [(math.floor((monday - landmark) / WEEK), 0)]
                if closing is not None:
                    ends.append(
                        (math.ceil((closing["entered_at"] - landmark) / WEEK), 1 if closing["is_won_stage"] else 2)
                    )
                elif deleted is not None:
                    ends.append((math.floor((deleted - landmark) / WEEK), 0))
                # an event in a week that is not over is not known; of equal weeks, the event counts
                weeks, kind = min(ends, key=lambda end: (end[0], end[1] == 0))
                if weeks >= 1:
                    for stage in (visit["stage_name"], "all stages"):
                        cell = (visit["sales_process"], stage, age)
                        found[cell].append(Watched(weeks, kind, math.ceil(_week(landmark))))
    return found


def _curves(mart: Mart, week_no: int) -> dict[Cell, list[Row]]:
    found: dict[Cell, list[Row]] = defaultdict(list)
    for row in mart.rows(f"select * from mart.fct_win_curves where week_no = {week_no} order by within_weeks"):
        found[row["sales_process"], row["stage_name"], row["age_from_days"]].append(row)
    return found


def _weeks(mart: Mart) -> list[int]:
    return [row["week_no"] for row in mart.rows("select week_no from mart.dim_forecast_week order by 1")]


def test_win_curves_and_their_intervals_equal_scikit_survival(mart: Mart) -> None:
    from sksurv.nonparametric import cumulative_incidence_competing_risks

    visits, checked, bounded = _visits(mart), 0, 0
    # weeks that look back to the beginning, so that the year of watching cuts nothing off
    for week_no in _weeks(mart)[:4]:
        watched, curves = _watched(visits, week_no), _curves(mart, week_no)
        assert all(one.landmark_week > week_no - YEAR for seen in watched.values() for one in seen)
        for cell, seen in watched.items():
            if len(seen) < MINIMUM_N or not any(one.kind == 1 for one in seen):
                continue
            with np.errstate(
                divide="ignore", invalid="ignore"
            ):  # where all have left at once, the oracle has no interval
                times, incidence, bounds = cumulative_incidence_competing_risks(
                    np.array([one.kind for one in seen]), np.array([one.weeks for one in seen]),
                    conf_type="log-log", var_type="Dinse_Approx",
                )  # fmt: skip
            all_left = 1 - incidence[0][-1] < 1e-12
            for row in curves[cell]:
                at = int(np.searchsorted(times, row["within_weeks"], side="right")) - 1
                if row["reads"] != "ok" or at < 0:
                    continue
                expected = incidence[1, at]
                assert row["incidence_won"] == pytest.approx(expected, abs=1e-12), (cell, row["within_weeks"])
                checked += 1
                if 0 < expected < 1 and not all_left:
                    told = (row["incidence_lower"], row["incidence_upper"])
                    assert told == pytest.approx((bounds[1, 0, at], bounds[1, 1, at]), abs=1e-9), (
                        cell,
                        row["within_weeks"],
                    )
                    bounded += 1
    assert checked > 400
    assert bounded > 200


def test_win_curves_equal_a_plain_account_of_what_the_last_year_showed(mart: Mart) -> None:
    visits, weeks, seen_reads, sources = _visits(mart), _weeks(mart), set(), set()
    for week_no in (weeks[0], weeks[40], weeks[77], weeks[-1]):
        watched, curves = _watched(visits, week_no), _curves(mart, week_no)
        assert set(watched) <= set(curves)
        told: dict[tuple[Cell, int], tuple[str, Fraction]] = {}
        for cell, rows in curves.items():
            alive, incidence, is_watched, n = Fraction(1), Fraction(0), True, 0
            assert [row["within_weeks"] for row in rows] == list(range(54 if week_no == weeks[-1] else 15))
            for row in rows:
                after = row["within_weeks"]
                if after:
                    at_risk = [
                        one for one in watched.get(cell, [])
                        if one.weeks >= after and one.landmark_week + after > week_no - YEAR
                    ]  # fmt: skip
                    left = [one for one in at_risk if one.weeks == after and one.kind]
                    if after == 1:
                        n = len(at_risk)
                    if at_risk:
                        incidence += alive * Fraction(sum(one.kind == 1 for one in left), len(at_risk))
                        alive *= 1 - Fraction(len(left), len(at_risk))
                    elif alive > 0:
                        is_watched = False
                told[cell, after] = ("ok" if is_watched else "not watched long enough", incidence)
            for row in rows:
                reads, expected = told[cell, row["within_weeks"]]
                reads = "too few" if n < MINIMUM_N else reads
                told[cell, row["within_weeks"]] = (reads, expected)
                assert (row["n_at_risk"], row["reads"]) == (n, reads), (cell, row["within_weeks"])
                assert row["incidence_won"] == (pytest.approx(float(expected), abs=1e-12) if reads == "ok" else None), (
                    cell
                )
        # the curve to use: own, else the next younger age of the stage, else the process in the same way; never falling
        for (process, stage, age), rows in curves.items():
            highest = Fraction(0)
            for row in rows:
                found, source = None, "too few"
                for level in (stage, "all stages"):
                    for younger in [one for one in reversed(LANDMARKS) if one <= age]:
                        reads, expected = told[(process, level, younger), row["within_weeks"]]
                        if found is None and reads == "ok":
                            found = expected
                            source = "process" if level == "all stages" else "stage, younger"
                            if younger == age and level != "all stages":
                                source = "stage and age"
                assert row["p_won_from"] == source
                seen_reads.add(row["reads"])
                sources.add(source)
                if found is None:
                    assert row["p_won"] is None
                    continue
                highest = max(highest, found)
                assert row["p_won"] == pytest.approx(float(highest), abs=1e-12)
    assert seen_reads == {"ok", "too few", "not watched long enough"}
    assert sources == {"stage and age", "stage, younger", "process", "too few"}
