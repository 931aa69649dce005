"""The forecast against independent oracles, on generated processes with ties, re-entries, reopenings, deletions, money in two
currencies and a CRM that states categories, probabilities and close dates. One build serves every test here.
"""

from __future__ import annotations

import itertools
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


def _land(bench: Any) -> Org:
    """The generated org into the landing, and as plain rows for the oracles."""
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
    naive = [{**row, "CreatedDate": row["CreatedDate"].replace(tzinfo=None)} for row in histories]
    process_of = {key: process for process, key in types.items()}
    return Org({deal["Id"]: {**deal, "process": process_of[deal["RecordTypeId"]]} for deal in deals}, naive)


def _control(bench: Any, as_of: datetime) -> None:
    stage_map = [(process, *row[1:]) for process in SIZES for row in bench.process_map("default")]
    bench.control(as_of=as_of, stage_map=stage_map)


def _build(bench: Any, as_of: datetime) -> None:
    _control(bench, as_of)
    bench.build(full_refresh=True)
    bench.home.building.unlink(missing_ok=True)
    bench.dbt.build("measure")


class Org(NamedTuple):
    """What was landed: deals by Id with their process, and history rows in order, instants naive."""

    deals: dict[str, Row]
    histories: list[Row]


class Mart:
    """A finished mart, opened alone."""

    def __init__(self, path: str, org: Org) -> None:
        self.connection, self.org = duckdb.connect(path, read_only=True), org

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
    org = _land(bench)
    found = {}
    for name, as_of in (("then", AS_OF - 30 * WEEK), ("again", AS_OF), ("now", AS_OF)):
        _build(bench, as_of)
        path = place / f"{name}.duckdb"
        bench.home.building.rename(path)
        found[name] = Mart(str(path), org)
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


def test_a_week_is_told_the_same_whatever_came_later(marts: dict[str, Mart]) -> None:
    curves = """select win_curve_key, n_at_risk, reads, incidence_won, p_won, p_won_error, p_won_from
                from mart.fct_win_curves where within_weeks <= 14"""
    flow = "select new_win_flow_key, n_won, money from mart.fct_new_win_flow"
    for sql, key in ((curves, "win_curve_key"), (flow, "new_win_flow_key")):
        then = {row[key]: row for row in marts["then"].rows(sql)}
        now = {row[key]: row for row in marts["now"].rows(sql)}
        shared = set(then) & set(now)
        assert len(shared) > 3000
        for name in shared:
            for column, value in then[name].items():
                assert now[name][column] == (pytest.approx(value, abs=1e-12) if isinstance(value, float) else value), (
                    name
                )


def test_the_same_inputs_give_the_same_rows(marts: dict[str, Mart]) -> None:
    tables = (
        "fct_win_curves", "fct_new_win_flow", "fct_deal_forecasts", "fct_forecast_trials", "fct_pipeline_weeks", "rpt_forecast",
        "rpt_forecast_calibration", "rpt_forecast_reliability",
    )  # fmt: skip
    for table in tables:
        sql = (
            f"select count(*) as n, md5(string_agg(t::varchar, '' order by t::varchar)) as told from mart.{table} as t"
        )
        first, second = marts["now"].rows(sql), marts["again"].rows(sql)
        assert first == second, table
        assert first[0]["n"] > 0


def _curve_at(curves: dict[tuple[Any, ...], Row], cell: tuple[Any, ...], weeks: float, column: str) -> float | None:
    at = math.floor(weeks)
    before, after = curves[*cell, at][column], curves[*cell, at + 1][column]
    return None if before is None or after is None else before + (weeks - at) * (after - before)


def _all_curves(mart: Mart) -> dict[tuple[Any, ...], Row]:
    return {
        (row["week_no"], row["sales_process"], row["stage_name"], row["age_from_days"], row["within_weeks"]): row
        for row in mart.rows("select * from mart.fct_win_curves")
    }


def _landmark(days: float | None) -> int:
    return max((age for age in LANDMARKS if days is not None and days >= age), default=0)


def _corporate(row: Row) -> float | None:
    return None if row["Amount"] is None else round(float(row["Amount"]) / RATES[row["CurrencyIsoCode"]], 2)


def _category(name: str) -> str:
    return {
        "bestcase": "best case",
        "mostlikely": "most likely",
        "forecast": "commit",
    }.get(name.lower().replace(" ", ""), name.lower())


def test_open_deals_carry_the_probability_of_their_stage_and_age(mart: Mart) -> None:
    curves, latest = _all_curves(mart), _weeks(mart)[-1]
    quarters = {row["fiscal_quarter"]: row for row in mart.rows("select * from mart.dim_fiscal_quarter")}
    deals = {
        row["opportunity_id"]: row
        for row in mart.rows("select * from mart.fct_opportunities where is_open and not is_deleted")
    }
    won: dict[str, list[float]] = defaultdict(list)
    for row in mart.rows("select * from mart.fct_opportunities where is_won and not is_deleted"):
        if row["amount_corporate"] is not None:
            won[row["sales_process"]].append(float(row["amount_corporate"]))
    rows = mart.rows("select * from mart.fct_deal_forecasts order by opportunity_id, quarter_offset")
    assert len(rows) == 4 * len(deals)
    before, imputed, sources = 0.0, 0, set()
    for row in rows:
        deal, quarter = deals[row["opportunity_id"]], quarters[row["fiscal_quarter"]]
        landed = mart.org.deals[row["opportunity_id"]]
        weeks = (datetime.combine(quarter["ends_before"], datetime.min.time()) - AS_OF) / WEEK
        cell = (latest, deal["sales_process"], deal["stage_name"], _landmark(deal["days_in_stage"]))
        expected = _curve_at(curves, cell, weeks, "p_won")
        sources.add(row["p_won_from"])
        if expected is None:
            assert row["p_won_by_end"] is None
        else:
            before = 0.0 if row["quarter_offset"] == 0 else before
            assert row["p_won_by_end"] == pytest.approx(expected, abs=1e-12)
            assert row["p_won_in_quarter"] == pytest.approx(expected - before, abs=1e-12)
            assert row["p_won_in_quarter"] >= 0
            before = expected
        assert row["forecast_category"] == _category(landed["ForecastCategoryName"])
        assert row["crm_probability"] == pytest.approx(landed["Probability"] / 100)
        due = landed["CloseDate"] < quarter["ends_before"]
        assert row["is_due"] is (due and (row["quarter_offset"] == 0 or landed["CloseDate"] >= quarter["starts_on"]))
        money = _corporate(landed)
        if money is None:
            amounts = won[deal["sales_process"]]
            money = float(np.mean(amounts)) if len(amounts) >= MINIMUM_N else None
            imputed += 1
        assert row["is_money_imputed"] is (landed["Amount"] is None and money is not None)
        assert (None if row["money"] is None else float(row["money"])) == pytest.approx(money, abs=0.011)
    assert imputed > 4
    assert {"stage and age", "stage, younger"} <= sources


def test_trials_spread_as_independent_draws_with_a_shared_error_do(mart: Mart) -> None:
    rng, trials = np.random.default_rng(5), 20_000
    for process in ("P1", "P2"):
        deals: dict[str, dict[int, Row]] = defaultdict(dict)
        for row in mart.rows(f"select * from mart.fct_deal_forecasts where sales_process = '{process}'"):
            deals[row["opportunity_id"]][row["quarter_offset"]] = row
        assert len(deals) > 20
        z = {stage: rng.standard_normal(trials) for stage in STAGES}
        money = np.zeros((2, trials))
        for quarters in deals.values():
            u, shift = rng.random(trials), z[quarters[0]["stage_name"]]
            first = u < quarters[0]["p_won_by_end"] + shift * quarters[0]["p_won_error"]
            second = ~first & (u < quarters[1]["p_won_by_end"] + shift * quarters[1]["p_won_error"])
            money += np.array([first, second]) * float(quarters[0]["money"])
        for offset in (0, 1):
            told = np.array([
                row["open_money"] for row in mart.rows(
                    f"select open_money from mart.fct_forecast_trials where sales_process = '{process}' "
                    f"and quarter_offset = {offset} order by trial_no")
            ])  # fmt: skip
            assert len(told) == 1000
            spread = money[offset].std()
            assert told.mean() == pytest.approx(money[offset].mean(), abs=5 * spread / math.sqrt(1000))
            assert told.std() == pytest.approx(spread, rel=0.15)
            for share in (0.025, 0.975):
                assert np.quantile(told, share) == pytest.approx(np.quantile(money[offset], share), abs=0.35 * spread)


class Flow:
    """Wins of deals that were not open at a Monday, counted from the visits."""

    def __init__(self, mart: Mart) -> None:
        self.money = {
            row["opportunity_id"]: float(row["amount_corporate"] or 0)
            for row in mart.rows("select * from mart.fct_opportunities")
        }
        self.first: dict[str, int] = {}
        self.wins: dict[str, list[tuple[float, float, float, Row]]] = defaultdict(list)
        for deal in _visits(mart).values():
            process = deal[0]["sales_process"]
            self.first[process] = min(self.first.get(process, 10**9), math.ceil(_week(deal[0]["entered_at"])))
            for visit in deal:
                if visit["is_won_stage"] and not visit["is_tie"]:
                    opened = min(one["entered_at"] for one in deal if one["cycle_no"] == visit["cycle_no"])
                    money = self.money[visit["opportunity_id"]]
                    self.wins[process].append((_week(opened), _week(visit["entered_at"]), money, visit))

    def windows(self, process: str, known_week: int, weeks_from: float, weeks_to: float) -> list[float]:
        """Money of each of the 52 latest windows that were over by then."""
        last = known_week - math.ceil(weeks_to)
        starts = range(max(self.first[process], last - 51), last + 1)
        return [self._until(process, start, weeks_to) - self._until(process, start, weeks_from) for start in starts]

    def opened_in(self, process: str, start: int, weeks: float) -> float:
        """Money of the deals that opened in the week from `start` on and were won within so many weeks of it."""
        at = math.floor(weeks)
        sums = [
            sum(
                money
                for opened, won, money, _ in self.wins[process]
                if start < opened <= start + 1 and won <= start + whole
            )
            for whole in (at, at + 1)
        ]
        return sums[0] + (weeks - at) * (sums[1] - sums[0])

    def _until(self, process: str, start: int, weeks: float) -> float:
        at = math.floor(weeks)
        sums = [
            sum(money for opened, won, money, _ in self.wins[process] if opened > start and won <= start + whole)
            for whole in (at, at + 1)
        ]
        return sums[0] + (weeks - at) * (sums[1] - sums[0])


def test_trials_draw_what_is_not_open_yet_from_the_weeks_of_a_year_that_is_drawn_itself(mart: Mart) -> None:
    """A bootstrap within a bootstrap, in numpy, from wins counted by the week in which their deal opened."""
    flow, latest, rng, trials, checked = Flow(mart), _weeks(mart)[-1], np.random.default_rng(8), 20_000, 0
    quarters = mart.rows("select * from mart.dim_fiscal_quarter where quarter_offset >= 0 order by quarter_offset")
    for process in SIZES:
        for offset, quarter in enumerate(quarters):
            ends, starts = (
                max((datetime.combine(quarter[name], datetime.min.time()) - AS_OF) / WEEK, 0)
                for name in ("ends_before", "starts_on")
            )
            told = np.array([
                row["new_money"] for row in mart.rows(
                    f"select new_money from mart.fct_forecast_trials where sales_process = '{process}' "
                    f"and quarter_offset = {offset} order by trial_no")
            ])  # fmt: skip
            n = len(flow.windows(process, latest, starts, ends))
            if n < 13:
                assert set(told) == {None}
                continue
            money = np.zeros(trials)
            known = rng.integers(0, n, (trials, math.ceil(n / 2)))
            for ahead in range(math.ceil(ends)):
                last = latest - math.ceil(ends - ahead)
                by_place = np.zeros(n)
                for week in range(last - n + 1, last + 1):
                    brought = [flow.opened_in(process, week, max(until - ahead, 0)) for until in (ends, starts)]
                    by_place[week % n] = brought[0] - brought[1]
                drawn = rng.integers(0, math.ceil(n / 2), trials)
                money += by_place[known[np.arange(trials), drawn]]
            spread = money.std()
            assert np.mean(told.astype(float)) == pytest.approx(money.mean(), abs=5 * spread / math.sqrt(1000))
            assert told.astype(float).std() == pytest.approx(spread, rel=0.15)
            # each week counts alike, so that the trials spread about the mean of the windows
            windows = np.mean(flow.windows(process, latest, starts, ends))
            assert money.mean() == pytest.approx(windows, abs=5 * spread / math.sqrt(trials))
            checked += spread > 0
    assert checked >= 6


def test_the_forecast_adds_up_from_deals_windows_and_wins(mart: Mart) -> None:
    flow, latest, seen = Flow(mart), _weeks(mart)[-1], set()
    deals: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in mart.rows("select * from mart.fct_deal_forecasts"):
        deals[row["sales_process"], row["quarter_offset"]].append(row)
    trials: dict[tuple[str, int], Any] = {
        (row["sales_process"], row["quarter_offset"]): np.array(row["money"])
        for row in mart.rows("""select sales_process, quarter_offset, list(open_money + new_money order by trial_no) as money
                                from mart.fct_forecast_trials group by all""")
    }
    found = {(row["sales_process"], row["quarter_offset"]): row for row in mart.rows("select * from mart.rpt_forecast")}
    assert set(found) == {(process, offset) for process in [*SIZES, "all processes"] for offset in range(4)}
    for offset in range(4):
        total, total_trials = 0.0, np.zeros(1000)
        for process in SIZES:
            row, mine = found[process, offset], deals[process, offset]
            starts, ends = (datetime.combine(row[name], datetime.min.time()) for name in ("starts_on", "ends_before"))
            won = [
                deal for deal in mart.rows(f"select * from mart.fct_opportunities where sales_process = '{process}'")
                if deal["is_won"] and not deal["is_deleted"] and deal["closed_at"] and starts <= deal["closed_at"] < ends
            ]  # fmt: skip
            assert row["n_won"] == len(won)
            won_money = sum(float(deal["amount_corporate"] or 0) for deal in won)
            assert row["won_money"] == pytest.approx(won_money)
            assert row["n_open"] == len(mine)
            weeks = [max((instant - AS_OF) / WEEK, 0) for instant in (starts, ends)]
            windows = flow.windows(process, latest, *weeks)
            assert row["n_windows"] == len(windows), (process, offset)
            crm = {
                "commit": sum(float(one["amount_corporate"] or 0) for one in mine if one["is_due"] and one["forecast_category"] == "commit"),
                "best_case": sum(float(one["amount_corporate"] or 0) for one in mine
                                 if one["is_due"] and one["forecast_category"] in ("commit", "most likely", "best case")),
                "weighted": sum(one["crm_probability"] * float(one["amount_corporate"] or 0) for one in mine if one["is_due"]),
            }  # fmt: skip
            for name, money in crm.items():
                assert row[f"crm_{name}_money"] == pytest.approx(won_money + money), (process, offset, name)
            if any(one["p_won_by_end"] is None for one in mine):
                assert (row["reads"], row["forecast_money"]) == ("too few past deals", None)
            elif len(windows) < 13:
                assert (row["reads"], row["forecast_money"], row["forecast_lower"]) == (
                    "too few past weeks",
                    None,
                    None,
                )
            else:
                assert row["new_money"] == pytest.approx(np.mean(windows))
                money = sum(one["p_won_in_quarter"] * float(one["money"]) for one in mine if one["money"] is not None)
                assert row["open_money"] == pytest.approx(money)
                assert row["forecast_money"] == pytest.approx(won_money + money + np.mean(windows))
                lower, upper = won_money + np.quantile(trials[process, offset], (0.025, 0.975))
                assert (row["forecast_lower"], row["forecast_upper"]) == pytest.approx((lower, upper))
                assert row["forecast_lower"] <= row["forecast_money"] <= row["forecast_upper"]
                total += money + float(np.mean(windows))
                total_trials += trials[process, offset]
            assert (row["target_money"], row["gap_money"], row["target_cause"]) == (None, None, "no targets are loaded")
            seen.add(row["reads"])
        everything = found["all processes", offset]
        won_money = sum(found[process, offset]["won_money"] for process in SIZES)
        assert everything["forecast_money"] == pytest.approx(won_money + total)
        told = (everything["forecast_lower"], everything["forecast_upper"])
        assert told == pytest.approx(tuple(won_money + np.quantile(total_trials, (0.025, 0.975))))
        left_out = [process for process in SIZES if found[process, offset]["forecast_money"] is None]
        if left_out:
            assert everything["reads"] == "without " + ", ".join(left_out)
    assert {"ok", "too few past weeks"} <= seen, seen


class DealWeek(NamedTuple):
    """One open deal on one Monday: what was said of it, and whether it was won at the quarter's end."""

    process: str
    quarter: str
    week_no: int
    stage: str
    age_from: int
    category: str
    probability: float
    is_due: bool
    money: float | None
    won: int


def _rebuilt(mart: Mart) -> list[DealWeek]:
    """Every open deal of every scored Monday, straight from the landed history."""
    quarters = {row["fiscal_quarter"]: row["ends_before"] for row in mart.rows("select * from mart.dim_fiscal_quarter")}
    weeks = mart.rows("select * from mart.dim_forecast_week where fiscal_quarter is not null order by week_no")
    assert len({row["fiscal_quarter"] for row in weeks}) == 8
    histories: dict[str, list[Row]] = defaultdict(list)
    for row in mart.org.histories:
        histories[row["OpportunityId"]].append(row)
    found = []
    for deal_id, rows in histories.items():
        deal = mart.org.deals[deal_id]
        deleted = deal["LastModifiedDate"].replace(tzinfo=None) if deal["IsDeleted"] else NEVER
        for week in weeks:
            monday = MONDAY + week["week_no"] * WEEK
            ends = datetime.combine(quarters[week["fiscal_quarter"]], datetime.min.time())
            past = [row for row in rows if row["CreatedDate"] <= monday]
            if not past or past[-1]["StageName"] not in STAGES or deleted <= monday:
                continue
            entered = past[-1]["CreatedDate"]
            for row in reversed(past):
                if row["StageName"] != past[-1]["StageName"]:
                    break
                entered = row["CreatedDate"]
            at_end = [row for row in rows if row["CreatedDate"] < ends][-1]
            found.append(DealWeek(
                deal["process"], week["fiscal_quarter"], week["week_no"], past[-1]["StageName"],
                _landmark((monday - entered) / timedelta(days=1)), _category(past[-1]["ForecastCategory"]),
                past[-1]["Probability"] / 100, past[-1]["CloseDate"] < ends.date(), _corporate(past[-1]),
                int(at_end["StageName"] == "Closed Won" and deleted >= ends),
            ))  # fmt: skip
    return found


def _p(one: DealWeek, model: float | None) -> dict[str, float | None]:
    sure = one.is_due and one.category == "commit"
    likely = one.is_due and one.category in ("commit", "most likely", "best case")
    return {
        "survival model": model, "CRM probability": one.probability if one.is_due else 0.0, "CRM commit": float(sure),
        "CRM best case": float(likely),
    }  # fmt: skip


def _gap(values: list[float]) -> tuple[float, float, float]:
    from scipy import stats

    n, mean = len(values), float(np.mean(values))
    half = stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / math.sqrt(n)
    return mean, mean - half, mean + half


def _verdict(bounds: tuple[float, float, float]) -> str:
    if bounds[1] > 0:
        return "ours is better"
    return "ours does not beat it: " + ("it is better" if bounds[2] < 0 else "no difference shown")


def test_brier_equals_sklearn_and_numpy_on_pipelines_rebuilt_by_hand(mart: Mart) -> None:
    from sklearn.metrics import brier_score_loss

    curves = _all_curves(mart)
    to_end = {row["week_no"]: row["weeks_to_end"] for row in mart.rows("select * from mart.dim_forecast_week")}
    rebuilt = _rebuilt(mart)
    assert len(rebuilt) > 8000
    (counted,) = mart.rows(
        "select sum(n_open) as n, sum(n_won) as won, sum(money) as money from mart.fct_pipeline_weeks"
    )
    assert (counted["n"], counted["won"]) == (len(rebuilt), sum(one.won for one in rebuilt))
    assert float(counted["money"]) == pytest.approx(sum(one.money or 0 for one in rebuilt))
    groups: dict[tuple[str, str], list[tuple[dict[str, float], int]]] = defaultdict(list)
    left_out: dict[tuple[str, str], int] = defaultdict(int)
    bins: dict[tuple[str, str, int], list[tuple[float, int]]] = defaultdict(list)
    for one in rebuilt:
        cell = (one.week_no, one.process, one.stage, one.age_from)
        said = _p(one, _curve_at(curves, cell, to_end[one.week_no], "p_won"))
        for level in (one.process, "all processes"):
            for quarter in (one.quarter, "all"):
                if said["survival model"] is None:
                    left_out[level, quarter] += 1
                else:
                    groups[level, quarter].append((said, one.won))
            if said["survival model"] is not None:
                for method in ("survival model", "CRM probability"):
                    bins[level, method, min(int(10 * said[method] + 1e-9), 9)].append((said[method], one.won))
    found = mart.rows("select * from mart.rpt_forecast_calibration")
    briers: dict[tuple[str, str, str], float] = {}
    for row in found:
        key = (row["sales_process"], row["fiscal_quarter"])
        assert (row["n_deal_weeks"], row["n_not_scored"]) == (len(groups[key]), left_out[key]), key
        if not groups[key]:
            assert row["brier"] is None
            continue
        o = np.array([won for _, won in groups[key]])
        p = (
            np.full(len(o), o.mean())
            if row["method"] == "base rate"
            else np.array([said[row["method"]] for said, _ in groups[key]])
        )
        brier = float(((p - o) ** 2).mean())
        assert brier_score_loss(o, p, labels=[0, 1]) == pytest.approx(brier, abs=1e-9)
        briers[*key, row["method"]] = brier
        assert row["brier"] == pytest.approx(brier, abs=1e-12), (key, row["method"])
        assert row["base_rate"] == pytest.approx(o.mean())
        assert row["mean_p"] == pytest.approx(p.mean())
        if 0 < o.mean() < 1:
            assert row["skill"] == pytest.approx(1 - brier / (o.mean() * (1 - o.mean())))
    assert left_out["all processes", "all"] > 0
    compared, verdicts = 0, set()
    for row in found:
        if row["fiscal_quarter"] != "all" or row["method"] == "survival model":
            assert (row["brier_gap"], row["brier_verdict"]) == (None, None)
            continue
        level = row["sales_process"]
        gaps = [
            briers[level, quarter, row["method"]] - briers[level, quarter, "survival model"]
            for quarter in sorted({one.quarter for one in rebuilt}) if (level, quarter, "survival model") in briers
        ]  # fmt: skip
        if len(gaps) < 3:
            assert row["brier_verdict"] == "too few quarters"
            continue
        expected = _gap(gaps)
        assert (row["brier_gap"], row["brier_gap_lower"], row["brier_gap_upper"]) == pytest.approx(expected, abs=1e-12)
        assert row["brier_verdict"] == _verdict(expected)
        verdicts.add(row["brier_verdict"])
        compared += 1
    assert compared >= 12
    assert len(verdicts) > 1, verdicts
    reliability = mart.rows("select * from mart.rpt_forecast_reliability")
    assert len(reliability) == len(bins)
    for row in reliability:
        seen = bins[row["sales_process"], row["method"], round(10 * row["p_from"])]
        assert (row["n_deal_weeks"], row["n_won"]) == (len(seen), sum(won for _, won in seen)), row
        assert row["mean_p"] == pytest.approx(np.mean([p for p, _ in seen]))


def test_errors_in_money_equal_a_plain_account_of_each_week(mart: Mart) -> None:
    curves, flow, rebuilt = _all_curves(mart), Flow(mart), _rebuilt(mart)
    weeks = {
        row["week_no"]: row
        for row in mart.rows("select * from mart.dim_forecast_week where fiscal_quarter is not null")
    }
    quarters = {row["fiscal_quarter"]: row for row in mart.rows("select * from mart.dim_fiscal_quarter")}
    opened: dict[tuple[str, int], list[DealWeek]] = defaultdict(list)
    for one in rebuilt:
        opened[one.process, one.week_no].append(one)
    amounts = {
        row["opportunity_id"]: row["amount_corporate"]
        for row in mart.rows("select opportunity_id, amount_corporate from mart.fct_opportunities")
    }
    errors: dict[tuple[str, str, str], dict[int, float]] = defaultdict(dict)
    totals: dict[tuple[str, int], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for process in SIZES:
        for week_no, week in weeks.items():
            ends = datetime.combine(quarters[week["fiscal_quarter"]]["ends_before"], datetime.min.time())
            truth = sum(
                money for _, won, money, visit in flow.wins[process]
                if won > week_no and visit["entered_at"] < ends and (visit["exited_at"] or NEVER) >= ends
            )  # fmt: skip
            known = [
                float(amounts[visit["opportunity_id"]]) for _, won, _, visit in flow.wins[process]
                if won <= week_no and amounts[visit["opportunity_id"]] is not None
            ]  # fmt: skip
            mean = float(np.mean(known)) if len(known) >= MINIMUM_N else None
            windows = flow.windows(process, week_no, 0.0, week["weeks_to_end"])
            money: dict[str, float] = defaultdict(float)
            money["survival model"] = float(np.mean(windows)) if len(windows) >= 13 else math.nan
            for one in opened[process, week_no]:
                cell = (week_no, one.process, one.stage, one.age_from)
                for method, p in _p(one, _curve_at(curves, cell, week["weeks_to_end"], "p_won")).items():
                    amount = one.money
                    if amount is None:
                        amount = (math.nan if mean is None else mean) if method == "survival model" else 0.0
                    money[method] += math.nan if p is None else p * amount
            if math.isnan(money["survival model"]):
                continue
            for method in ("survival model", "CRM probability", "CRM commit", "CRM best case"):
                errors[process, week["fiscal_quarter"], method][week_no] = money[method] - truth
                totals["all processes", week_no][method] += money[method] - truth
    for (level, week_no), told in totals.items():
        for method, error in told.items():
            errors[level, weeks[week_no]["fiscal_quarter"], method][week_no] = error
    checked, verdicts = 0, set()
    for row in mart.rows("select * from mart.rpt_forecast_calibration where method <> 'base rate'"):
        level, quarter, method = row["sales_process"], row["fiscal_quarter"], row["method"]
        mine = {name: told for (where, name, how), told in errors.items() if (where, how) == (level, method)}
        seen = [error for name, told in mine.items() if quarter in (name, "all") for error in told.values()]
        assert row["n_weeks"] == len(seen), (level, quarter, method)
        if not seen:
            assert row["mean_absolute_error_money"] is None
            continue
        assert row["mean_error_money"] == pytest.approx(np.mean(seen), abs=0.5)
        assert row["mean_absolute_error_money"] == pytest.approx(np.mean(np.abs(seen)), abs=0.5)
        checked += 1
        if quarter == "all" and method != "survival model":
            gaps = [
                float(np.mean(np.abs(list(told.values()))) - np.mean(np.abs(list(errors[level, name, "survival model"].values()))))
                for name, told in mine.items()
            ]  # fmt: skip
            if len(gaps) < 3:
                assert row["money_verdict"] == "too few quarters"
                continue
            expected = _gap(gaps)
            assert (row["money_gap"], row["money_gap_lower"], row["money_gap_upper"]) == pytest.approx(
                expected, rel=1e-4, abs=1
            )
            assert row["money_verdict"] == _verdict(expected)
            verdicts.add(row["money_verdict"])
    assert checked > 70
    assert verdicts


@pytest.mark.parametrize(
    ("first_month", "as_of", "current", "starts", "first"),
    [
        (1, datetime(2026, 7, 1), "2026-Q3", "2026-07-01", "2024-Q3"),  # noqa: DTZ001 (the warehouse holds naive UTC)
        (2, datetime(2026, 1, 31, 23), "2026-Q4", "2025-11-01", "2024-Q4"),  # noqa: DTZ001
        (7, datetime(2026, 7, 1), "2027-Q1", "2026-07-01", "2025-Q1"),  # noqa: DTZ001
        (12, datetime(2026, 2, 28, 12), "2026-Q1", "2025-12-01", "2024-Q1"),  # noqa: DTZ001
    ],
)
def test_fiscal_quarters_follow_the_orgs_first_month(
    bench: Any, first_month: int, as_of: datetime, current: str, starts: str, first: str
) -> None:
    bench.control(as_of=as_of)
    with bench.connect() as connection:
        connection.execute("update control.run set fiscal_year_start_month = ?", [first_month])
    bench.build()
    bench.home.building.unlink(missing_ok=True)
    bench.dbt.build("measure", only="dim_fiscal_quarter")
    with duckdb.connect(str(bench.home.building), read_only=True) as connection:
        rows = connection.execute(
            "select fiscal_quarter, starts_on::varchar, ends_before::varchar, is_complete, is_current from mart.dim_fiscal_quarter "
            "order by quarter_offset"
        ).fetchall()
    assert len(rows) == 12
    assert rows[8][:2] == (current, starts)
    assert [row[4] for row in rows].index(True) == 8
    assert rows[0][0] == first
    assert [row[3] for row in rows] == [True] * 8 + [False] * 4
    assert all(row[2] == following[1] for row, following in itertools.pairwise(rows))
