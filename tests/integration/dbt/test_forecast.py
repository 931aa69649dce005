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
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pytest
from jinja2 import Environment
from scipy.stats import chisquare

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
TEAMS = {1: "North", 2: "North", 3: "South", 4: "South", 5: "Young", 6: "no team", 7: "no team"}
"""Team of each owner; 6 has no manager, 7 is not readable. Young owns deals of the last hundred days only."""
LEADERS = {"North": 11, "South": 12, "Young": 13}
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


def _user(number: int) -> str:
    return f"005{number:015d}"


def _owner(number: int, opened: datetime) -> int:
    young = AS_OF - opened < timedelta(days=100) and number % 3 == 0
    return 5 if young else (1, 2, 3, 4, 6, 7)[number % 6]


def _team_id(team: str) -> str:
    return _user(LEADERS[team]) if team in LEADERS else team


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
                    number, OwnerId=_user(_owner(number, moves[0][0])), RecordTypeId=types[process], StageName=last["StageName"], CreatedDate=bench.utc(moves[0][0]),
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
    stamps = {
        name: bench.utc(AS_OF - timedelta(days=2000)) for name in ("CreatedDate", "LastModifiedDate", "SystemModstamp")
    }
    bench.land("User", [
        {"Id": _user(n), "Name": f"User {n}", "IsActive": True, "ManagerId": _user(LEADERS[team]) if team in LEADERS else None, **stamps}
        for n, team in TEAMS.items() if n != 7
    ] + [{"Id": _user(n), "Name": team, "IsActive": True, "ManagerId": None, **stamps} for team, n in LEADERS.items()])  # fmt: skip
    bench.land("Opportunity", deals, extracted_at=AS_OF)
    bench.land("OpportunityHistory", histories, extracted_at=AS_OF)
    late, roles = random.Random(7), []
    for number, deal in enumerate(deals, start=1):
        at = deal["CreatedDate"] + timedelta(days=late.expovariate(1 / 25))
        if late.random() < 0.8 and at <= bench.utc(AS_OF):
            roles.append({"Id": f"00K{number:015d}", "IsDeleted": False, "OpportunityId": deal["Id"], "CreatedDate": at,
                          "LastModifiedDate": at, "SystemModstamp": at})  # fmt: skip
    bench.land("OpportunityContactRole", roles, extracted_at=AS_OF)
    bench.land("CurrencyType", [
        {"Id": f"01L{n:015d}", "IsoCode": code, "ConversionRate": rate, "IsCorporate": code == "USD"}
        for n, (code, rate) in enumerate(RATES.items(), start=1)
    ])  # fmt: skip
    naive = [{**row, "CreatedDate": row["CreatedDate"].replace(tzinfo=None)} for row in histories]
    process_of = {key: process for process, key in types.items()}
    return Org(
        {
            deal["Id"]: {**deal, "process": process_of[deal["RecordTypeId"]], "team": TEAMS[int(deal["OwnerId"][3:])]}
            for deal in deals
        },
        naive,
    )


def _control(bench: Any, as_of: datetime) -> None:
    stage_map = [(process, *row[1:]) for process in SIZES for row in bench.process_map("default")]
    bench.control(as_of=as_of, stage_map=stage_map, definitions=[bench.stage_entry("R08", "contact_role", 3)])


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
        """The result of a query, by column name; decimals as floats, which the oracles count in."""
        cursor = self.connection.execute(sql)
        names = [column[0] for column in cursor.description or []]
        return [
            {
                name: float(value) if isinstance(value, Decimal) else value
                for name, value in zip(names, row, strict=True)
            }
            for row in cursor.fetchall()
        ]


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


def _visits(mart: Mart, basis: str = "reported") -> dict[str, list[Row]]:
    visits: dict[str, list[Row]] = defaultdict(list)
    for row in mart.rows(
        f"select * from mart.fct_stage_visits where basis = '{basis}' order by opportunity_id, visit_seq"
    ):
        visits[row["opportunity_id"]].append(row)
    return visits


def _watched(
    visits: dict[str, list[Row]], week_no: int, of_record: dict[str, list[Row]] | None = None
) -> dict[Cell, list[Watched]]:
    """What the Monday knew per process, stage and landmark age, visit by visit; `of_record`: the visits that tell deletions."""
    monday = MONDAY + week_no * WEEK
    found: dict[Cell, list[Watched]] = defaultdict(list)
    for key, deal in visits.items():
        last = (of_record or visits)[key][-1]
        for n, visit in enumerate(deal):
            if visit["is_closed_stage"] or not visit["is_mapped"] or visit["is_start_imputed"]:
                continue
            closing = next((later for later in deal[n + 1 :] if later["is_closed_stage"]), None)
            deleted = last["exited_at"] if last["exit_kind"] == "deleted" else None
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


def _curves(mart: Mart, week_no: int, basis: str = "reported") -> dict[Cell, list[Row]]:
    found: dict[Cell, list[Row]] = defaultdict(list)
    for row in mart.rows(
        f"select * from mart.fct_win_curves where basis = '{basis}' and week_no = {week_no} order by within_weeks"
    ):
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
    weeks, seen_reads, sources = _weeks(mart), set(), set()
    visits = {basis: _visits(mart, basis) for basis in ("reported", "defined")}
    told_weeks = [("reported", weeks[n]) for n in (0, 40, 77, -1)] + [("defined", weeks[-1])]
    for basis, week_no in told_weeks:
        watched, curves = _watched(visits[basis], week_no, visits["reported"]), _curves(mart, week_no, basis)
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
        "fct_win_curves", "fct_new_wins", "fct_new_win_flow", "fct_deal_forecasts", "fct_forecast_trials", "fct_pipeline_weeks", "rpt_forecast",
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


def _all_curves(mart: Mart, basis: str = "reported") -> dict[tuple[Any, ...], Row]:
    return {
        (row["week_no"], row["sales_process"], row["stage_name"], row["age_from_days"], row["within_weeks"]): row
        for row in mart.rows(f"select * from mart.fct_win_curves where basis = '{basis}'")
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
    rows = mart.rows(
        "select * from mart.fct_deal_forecasts where basis = 'reported' order by opportunity_id, quarter_offset"
    )
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


def test_draws_of_pairs_are_uniform_and_independent_over_deals_and_trials() -> None:
    folder = Path(__file__).resolve().parents[3] / "dbt" / "macros" / "statistics"
    text = (folder / "draws_and_quantiles.sql").read_text()
    md5 = "(cast('0x' || substr(md5({}), 1, 13) as bigint) / 4503599627370496.0::double)"
    macros = Environment(autoescape=False).from_string(
        text, globals={"uniform_draw": lambda parts: md5.format(" || ':' || ".join(parts))}
    ).module  # fmt: skip
    deals, trials = 3000, 1000
    with duckdb.connect() as connection:
        drawn = (
            connection.execute(f"""
            select {macros.pair_draw("deal", "trial")} as u
            from (select i, {macros.pair_seeds("'deal: ' || i", "deal")} from range({deals}) as t (i))
            cross join (select j, {macros.pair_seeds("'trial: ' || j", "trial")} from range({trials}) as t (j))
            order by i, j""")
            .fetchnumpy()["u"]
            .astype(float)
            .reshape(deals, trials)
        )
    assert 0 <= drawn.min() < drawn.max() < 1
    counts = np.histogram(drawn, bins=1000, range=(0, 1))[0]
    assert chisquare(counts).pvalue > 0.001
    for p in (0.01, 0.1, 0.5):
        won = drawn < p
        for sums, n in ((won.sum(axis=0), deals), (won.sum(axis=1), trials)):
            # the spread of a sum is that of independent draws, within what so many sums tell
            assert sums.var(ddof=1) / (n * p * (1 - p)) == pytest.approx(1, abs=4.5 * np.sqrt(2 / len(sums)))
    for table, n in ((drawn[:1000], trials), (drawn.T, deals)):
        pairs = np.corrcoef(table)[np.triu_indices(len(table), 1)]
        assert pairs.std() * np.sqrt(n) == pytest.approx(1, abs=0.01)
        assert np.abs(pairs).max() * np.sqrt(n) < 6.5


def test_trials_spread_as_independent_draws_with_a_shared_error_do(mart: Mart) -> None:
    rng, trials = np.random.default_rng(5), 20_000
    for process in ("P1", "P2"):
        deals: dict[str, dict[int, Row]] = defaultdict(dict)
        for row in mart.rows(
            f"select * from mart.fct_deal_forecasts where basis = 'reported' and sales_process = '{process}'"
        ):
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
                    f"select sum(open_money) as open_money from mart.fct_forecast_trials where basis = 'reported' and sales_process = '{process}' "
                    f"and quarter_offset = {offset} group by trial_no order by trial_no")
            ])  # fmt: skip
            assert len(told) == 1000
            spread = money[offset].std()
            assert told.mean() == pytest.approx(money[offset].mean(), abs=5 * spread / math.sqrt(1000))
            assert told.std() == pytest.approx(spread, rel=0.15)
            for share in (0.025, 0.975):
                assert np.quantile(told, share) == pytest.approx(np.quantile(money[offset], share), abs=0.35 * spread)


class Flow:
    """Wins of deals that were not open at a Monday, counted from the visits."""

    def __init__(self, mart: Mart, basis: str = "reported") -> None:
        self.money = {
            row["opportunity_id"]: float(row["amount_corporate"] or 0)
            for row in mart.rows("select * from mart.fct_opportunities")
        }
        self.first: dict[str, int] = {}
        self.wins: dict[str, list[tuple[float, float, float, Row]]] = defaultdict(list)
        self.team = {key: deal["team"] for key, deal in mart.org.deals.items()}
        for deal in _visits(mart).values():
            process = deal[0]["sales_process"]
            self.first[process] = min(self.first.get(process, 10**9), math.ceil(_week(deal[0]["entered_at"])))
        for deal in _visits(mart, basis).values():
            process = deal[0]["sales_process"]
            for visit in deal:
                if visit["is_won_stage"] and not visit["is_tie"]:
                    opened = min(one["entered_at"] for one in deal if one["cycle_no"] == visit["cycle_no"])
                    money = self.money[visit["opportunity_id"]]
                    self.wins[process].append((_week(opened), _week(visit["entered_at"]), money, visit))

    def windows(
        self, process: str, known_week: int, weeks_from: float, weeks_to: float, team: str | None = None
    ) -> list[float]:
        """Money (of a team) of each of the 52 latest windows that were over by then."""
        last = known_week - math.ceil(weeks_to)
        starts = range(max(self.first[process], last - 51), last + 1)
        return [
            self._until(process, start, weeks_to, team) - self._until(process, start, weeks_from, team)
            for start in starts
        ]

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

    def _until(self, process: str, start: int, weeks: float, team: str | None) -> float:
        at = math.floor(weeks)
        sums = [
            sum(
                money
                for opened, won, money, visit in self.wins[process]
                if opened > start and won <= start + whole and team in (None, self.team[visit["opportunity_id"]])
            )
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
                    f"select sum(new_money) as new_money from mart.fct_forecast_trials where basis = 'reported' and sales_process = '{process}' "
                    f"and quarter_offset = {offset} group by trial_no order by trial_no")
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
    for row in mart.rows("select * from mart.fct_deal_forecasts where basis = 'reported'"):
        deals[row["sales_process"], row["quarter_offset"]].append(row)
    trials: dict[tuple[str, int], Any] = {
        (row["sales_process"], row["quarter_offset"]): np.array(row["money"])
        for row in mart.rows("""select sales_process, quarter_offset, list(money order by trial_no) as money from (
                                    select sales_process, quarter_offset, trial_no, sum(open_money + new_money)::double as money
                                    from mart.fct_forecast_trials where basis = 'reported' group by all) group by all""")
    }
    found = {
        (row["sales_process"], row["quarter_offset"]): row
        for row in mart.rows("select * from mart.rpt_forecast where basis = 'reported' and team_id = 'all teams'")
    }
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


def test_the_forecast_of_a_team_is_that_of_the_deals_of_its_owners(mart: Mart) -> None:
    flow, latest, seen, ranged = Flow(mart), _weeks(mart)[-1], set(), 0
    team_of = {key: deal["team"] for key, deal in mart.org.deals.items()}
    open_deals, won_deals = defaultdict(list), defaultdict(list)
    opened: dict[tuple[str, str], datetime] = {}
    for row in mart.rows("select * from mart.fct_deal_forecasts where basis = 'reported'"):
        assert row["team_id"] == _team_id(team_of[row["opportunity_id"]])
        open_deals[row["sales_process"], team_of[row["opportunity_id"]], row["quarter_offset"]].append(row)
    for row in mart.rows("select * from mart.fct_opportunities"):
        cell = (row["sales_process"], team_of[row["opportunity_id"]])
        opened[cell] = min(opened.get(cell, NEVER), row["created_at"])
        if row["is_won"] and not row["is_deleted"] and row["closed_at"]:
            won_deals[cell].append(row)
    trials = {
        (row["sales_process"], row["team_id"], row["quarter_offset"]): row["money"]
        for row in mart.rows("""select sales_process, team_id, quarter_offset, list((open_money + new_money)::double order by trial_no) as money
                                from mart.fct_forecast_trials where basis = 'reported' group by all""")
    }
    rows = mart.rows("select * from mart.rpt_forecast where basis = 'reported'")
    found = {(row["sales_process"], row["team_id"], row["quarter_offset"]): row for row in rows}
    assert {row["team_name"] for row in rows} == {"all teams", *TEAMS.values()}
    for (process, team), offset in itertools.product(opened, range(4)):
        together, mine = found[process, "all teams", offset], open_deals[process, team, offset]
        if (process, _team_id(team), offset) not in found:
            assert not mine
            continue
        row = found[process, _team_id(team), offset]
        starts, ends = (datetime.combine(row[name], datetime.min.time()) for name in ("starts_on", "ends_before"))
        won = [deal for deal in won_deals[process, team] if starts <= deal["closed_at"] < ends]
        won_money = sum(deal["amount_corporate"] or 0 for deal in won)
        assert (row["n_won"], row["n_open"], row["won_money"]) == (len(won), len(mine), pytest.approx(won_money))
        weighted = sum(one["crm_probability"] * (one["amount_corporate"] or 0) for one in mine if one["is_due"])
        assert row["crm_weighted_money"] == pytest.approx(won_money + weighted, abs=0.01 * len(mine))
        weeks = [max((instant - AS_OF) / WEEK, 0) for instant in (starts, ends)]
        windows = flow.windows(process, latest, *weeks, team)
        last = latest - math.ceil(weeks[1])
        own = max(min(len(windows), last - math.ceil(_week(opened[process, team])) + 1), 0)
        assert row["n_windows"] == own
        seen.add((team, row["reads"]))
        # the curves and windows of the process serve every team: what cannot be told of it is told of none
        assert (row["open_money"] is None, row["new_money"] is None) == (
            together["open_money"] is None, together["new_money"] is None,
        )  # fmt: skip
        if row["new_money"] is not None:
            assert row["new_money"] == pytest.approx(np.mean(windows), abs=0.01)
        if row["open_money"] is not None:
            money = sum(one["p_won_in_quarter"] * (one["money"] or 0) for one in mine)
            assert row["open_money"] == pytest.approx(money, abs=0.01 * len(mine))
        if row["open_money"] is None or row["new_money"] is None or own < 13:
            assert row["forecast_money"] is row["forecast_lower"] is row["forecast_upper"] is None
            assert row["reads"].startswith("too few past")
            continue
        assert row["forecast_money"] == pytest.approx(won_money + row["open_money"] + row["new_money"], abs=0.01)
        told = np.array(trials[process, _team_id(team), offset])
        bounds = tuple(won_money + np.quantile(told, (0.025, 0.975)))
        assert (row["forecast_lower"], row["forecast_upper"]) == pytest.approx(bounds)
        # the curve's own shift is cut off at 0 and 1: the mean of the trials leans a little from the expected one
        assert told.mean() == pytest.approx(
            row["open_money"] + row["new_money"], abs=5 * told.std() / math.sqrt(1000) + 0.03 * told.mean()
        )
        ranged += 1
    assert {("Young", "too few past weeks"), ("North", "ok"), ("no team", "ok")} <= seen
    assert ranged > 12
    for team in LEADERS:
        row = found["all processes", _team_id(team), 0]
        parts = [found[process, _team_id(team), 0] for process in SIZES if (process, _team_id(team), 0) in found]
        assert row["n_open"] == sum(part["n_open"] for part in parts)
        assert (row["target_money"], row["target_cause"]) == (None, "no targets are loaded")


def test_the_forecast_as_defined_is_that_of_evidenced_stages_and_evidenced_wins(mart: Mart) -> None:
    """Stage, age, curve, wins and past flow of the evidenced visits; a contact role is asked from the solution on."""
    flow, latest, curves = Flow(mart, "defined"), _weeks(mart)[-1], _all_curves(mart, "defined")
    deals = {
        row["opportunity_id"]: row for row in mart.rows("select * from mart.fct_opportunities where not is_deleted")
    }
    standing, won = {}, defaultdict(list)
    for key, visits in _visits(mart, "defined").items():
        if key in deals and visits[-1]["exit_kind"] == "open":
            if visits[-1]["is_won_stage"]:
                won[deals[key]["sales_process"]].append((visits[-1]["entered_at"], deals[key]["amount_corporate"] or 0))
            elif deals[key]["is_open"]:
                standing[key] = visits[-1]
    kept_back = {key for key, visit in standing.items() if visit["stage_name"] != deals[key]["stage_name"]}
    n_open = sum(bool(deal["is_open"]) for deal in deals.values())
    assert len(kept_back) > 3
    rows = mart.rows(
        "select * from mart.fct_deal_forecasts where basis = 'defined' order by opportunity_id, quarter_offset"
    )
    assert {row["opportunity_id"] for row in rows} == set(standing)
    assert n_open >= len(standing)
    money: dict[tuple[str, int], float | None] = defaultdict(float)
    for row in rows:
        visit = standing[row["opportunity_id"]]
        assert (row["stage_name"], row["age_days"]) == (visit["stage_name"], visit["days_in_stage"])
        ends = next(
            one["ends_before"]
            for one in mart.rows(
                f"select ends_before from mart.dim_fiscal_quarter where quarter_offset = {row['quarter_offset']}"
            )
        )
        weeks = (datetime.combine(ends, datetime.min.time()) - AS_OF) / WEEK
        cell = (latest, row["sales_process"], row["stage_name"], _landmark(visit["days_in_stage"]))
        expected = _curve_at(curves, cell, weeks, "p_won")
        assert row["p_won_by_end"] == (None if expected is None else pytest.approx(expected, abs=1e-12))
        so_far = money[row["sales_process"], row["quarter_offset"]]
        told = None if so_far is None or expected is None else so_far + row["p_won_in_quarter"] * (row["money"] or 0)
        money[row["sales_process"], row["quarter_offset"]] = told
    trials = {
        (row["sales_process"], row["quarter_offset"]): np.array(row["money"])
        for row in mart.rows("""select sales_process, quarter_offset, list(money order by trial_no) as money from (
                                    select sales_process, quarter_offset, trial_no, sum(open_money + new_money)::double as money
                                    from mart.fct_forecast_trials where basis = 'defined' group by all) group by all""")
    }
    ranged, apart = 0, 0
    for row in mart.rows("""select * from mart.rpt_forecast
                            where basis = 'defined' and team_id = 'all teams' and sales_process <> 'all processes'"""):
        process, offset = row["sales_process"], row["quarter_offset"]
        starts, ends = (datetime.combine(row[name], datetime.min.time()) for name in ("starts_on", "ends_before"))
        mine = [amount for at, amount in won[process] if starts <= at < ends]
        assert (row["n_won"], row["won_money"]) == (len(mine), pytest.approx(sum(mine)))
        assert row["n_open"] == sum(deals[key]["sales_process"] == process for key in standing)
        windows = flow.windows(process, latest, *(max((instant - AS_OF) / WEEK, 0) for instant in (starts, ends)))
        assert row["n_windows"] == len(windows)
        if row["open_money"] is not None:
            assert row["open_money"] == pytest.approx(money[process, offset], abs=0.01 * row["n_open"] + 0.01)
        if row["forecast_money"] is None:
            continue
        assert row["new_money"] == pytest.approx(np.mean(windows), abs=0.05)
        bounds = tuple(row["won_money"] + np.quantile(trials[process, offset], (0.025, 0.975)))
        assert (row["forecast_lower"], row["forecast_upper"]) == pytest.approx(bounds)
        assert row["forecast_lower"] <= row["forecast_money"] <= row["forecast_upper"]
        ranged += 1
        apart += (
            row["new_money"]
            < mart.rows(
                f"""select new_money from mart.rpt_forecast where basis = 'reported' and team_id = 'all teams'
                and sales_process = '{process}' and quarter_offset = {offset}"""
            )[0]["new_money"]
        )
    assert ranged > 6
    assert apart > 3


def test_open_deals_and_money_of_the_forecast_split_by_evidence(mart: Mart) -> None:
    rows = mart.rows("select * from mart.rpt_evidenced_split where view_name = 'rpt_forecast'")
    shown = {
        (row["basis"], row["sales_process"], f"{row['fiscal_quarter']}: {row['team_id']}"): row
        for row in mart.rows("select * from mart.rpt_forecast")
    }
    moved = 0
    for row in rows:
        told, cell = row["figure"], (row["sales_process"], row["cell"])
        assert row["stage_name"] == "all stages"
        assert row["reported"] == pytest.approx(shown["reported", *cell][told] or 0)
        if row["evidenced_here"] is not None:
            assert row["evidenced_here"] == (shown["defined", *cell][told] if ("defined", *cell) in shown else 0)
        moved += told == "open_money" and row["evidenced_earlier"] > 0
    assert {row["figure"] for row in rows} >= {"n_won", "won_money", "n_open", "open_money", "crm_weighted_money"}
    assert moved > 3


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
