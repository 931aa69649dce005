"""Marts and views against independent oracles, on generated processes with ties, zero lengths, re-entries, reopenings,
deletions, missing evidence and deals set aside. One build serves every test here; the cases are the groups of the views.
"""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb
import numpy as np
import pytest

from dagster_project.warehouse.dbt_build import dbt_environment

AS_OF = datetime(2026, 1, 31)  # noqa: DTZ001 (the warehouse holds naive UTC)
EARLIER = AS_OF - timedelta(days=70)
NEVER = datetime(9999, 1, 1)  # noqa: DTZ001 (as above)
DAYS, MINIMUM_N = 90, 20
# deals per process: around the minimum n, and enough to be measured; odd ones move on whole days, so that ties are common
SIZES = {"P1": 260, "P2": 260, "P3": 19, "P4": 20, "P5": 70, "P6": 500, "P7": 120, "P8": 45}
STAGES = ("Prospecting", "Qualification", "Needs Analysis", "Proposal", "Negotiation")
CENSORED = ("open", "deleted", "merged")
KINDS = ("advanced", "back", "lateral", "won", "lost", "won_without_evidence")
# what the audit says of some deals: definition, kind, mode, status; only the first sets a deal aside
SAID = (
    ("R03", "integrity", "enforce", "breached"), ("R02", "integrity", "observe", "breached"),
    ("R04", "integrity", "enforce", "unknown"), ("R06", "duty", "enforce", "breached"),
)  # fmt: skip
Group = tuple[str, ...]


def _history(rng: random.Random, whole_days: bool) -> list[tuple[datetime, str]]:
    """Stages of one deal in order of time: a walk that skips, goes back, waits zero time, closes and reopens."""
    at = AS_OF - timedelta(days=rng.randint(0, 400) if whole_days else rng.uniform(0.01, 400))
    place, rows = 1 if rng.random() < 0.1 else 0, []
    while at <= AS_OF and len(rows) < 12:
        rows.append((at, STAGES[place]))
        wait = 0 if rng.random() < 0.08 else rng.randint(1, 45) if whole_days else rng.expovariate(1 / 25)
        at += timedelta(days=wait)
        draw = rng.random()
        if draw < 0.55 and place < len(STAGES) - 1:
            place += 1
        elif draw < 0.6 and place < len(STAGES) - 2:
            place += 2
        elif draw < 0.72 and place:
            place -= 1
        else:
            if at <= AS_OF:
                rows.append((at, "Closed Won" if rng.random() < 0.4 else "Closed Lost"))
            if rng.random() > 0.15:
                break
            at += timedelta(days=rng.randint(1, 20))
    return rows


def _land(bench: Any) -> dict[str, set[str]]:
    """The generated org into the landing. Returns the deals that the audit speaks of, by definition."""
    rng = random.Random(20260131)
    deals, histories, roles, verdicts, said = [], [], [], [], defaultdict(set)
    types = {process: f"012{n:015d}" for n, process in enumerate(SIZES, start=1)}
    for process, size in SIZES.items():
        for _ in range(size):
            number = len(deals) + 1
            history = _history(rng, whole_days=int(process[1]) % 2 == 1)
            deal = bench.deal(
                number, RecordTypeId=types[process], StageName=history[-1][1], CreatedDate=bench.utc(history[0][0]),
                IsDeleted=process != "P6" and rng.random() < 0.06,
                Amount=None if rng.random() < 0.1 else f"{rng.randint(0, 9_000_000) / 100:.2f}",
                LastModifiedDate=bench.utc(AS_OF - timedelta(days=rng.randint(0, 3))),
                CurrencyIsoCode=rng.choice(["USD", "EUR", "XXX"]),
            )  # fmt: skip
            deals.append(deal)
            for at, (instant, stage) in enumerate(history):
                histories.append({
                    "Id": f"008{number:09d}{at:06d}", "OpportunityId": deal["Id"], "StageName": stage, "IsDeleted": False,
                    "Amount": deal["Amount"], "CreatedDate": bench.utc(instant), "SystemModstamp": bench.utc(instant),
                })  # fmt: skip
            if rng.random() < 0.7:
                roles.append({
                    "Id": f"00K{number:015d}", "IsDeleted": False, "OpportunityId": deal["Id"], "ContactId": "003000000000000001",
                    "CreatedDate": bench.utc(history[0][0] + timedelta(days=rng.randint(0, 40))), "SystemModstamp": bench.utc(AS_OF),
                })  # fmt: skip
            if rng.random() < 0.08:
                definition, kind, mode, status = rng.choice(SAID)
                said[definition].add(deal["Id"])
                verdicts.append((
                    definition, 1, int(definition[1:]), kind, mode, "opportunity", deal["Id"], deal["Id"], status, "seen", None,
                ))  # fmt: skip
    bench.land("RecordType", [
        {"Id": key, "DeveloperName": process, "SobjectType": "Opportunity", "IsActive": True, "SystemModstamp": bench.utc(AS_OF)}
        for process, key in types.items()
    ])  # fmt: skip
    bench.land("Opportunity", deals)
    bench.land("OpportunityHistory", histories)
    bench.land("OpportunityContactRole", roles)
    bench.land(
        "CurrencyType", [{"Id": "01L000000000000001", "IsoCode": "EUR", "ConversionRate": 0.7, "IsCorporate": False}]
    )
    _control(bench, AS_OF)
    with bench.connect() as connection:
        connection.executemany(f"insert into audit.verdict values ({', '.join('?' * 11)}, null, null, null)", verdicts)
    return said


def _control(bench: Any, as_of: datetime) -> None:
    stage_map = [(process, *row[1:]) for process in SIZES for row in bench.process_map("default")]
    chain = [bench.stage_entry("R07", "amount", 1), bench.stage_entry("R08", "contact_role", 2)]
    others = [
        {
            **bench.stage_entry(definition, "none", 1),
            "title": definition,
            "kind": kind,
            "mode": mode,
            "evidence": None,
            "from_step_rank": None,
        }
        for definition, kind, mode, _ in SAID
    ]
    bench.control(as_of=as_of, stage_map=stage_map, definitions=[*chain, *others])


class Mart:
    """The finished mart of the generated org, opened alone; `weeks_then`: the stage weeks of a build at `EARLIER`;
    `unit_tests`: status of each dbt unit test of the measure half."""

    def __init__(
        self, path: str, said: dict[str, set[str]], weeks_then: list[dict[str, Any]], unit_tests: list[str]
    ) -> None:
        self._connection = duckdb.connect(path, read_only=True)
        self.said, self.weeks_then, self.unit_tests = said, weeks_then, unit_tests

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The result of a query, by column name."""
        cursor = self._connection.execute(sql)
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def first_entries(self) -> dict[Group, list[tuple[float, str | None, datetime]]]:
        """(days, exit kind or None, entered at) per basis, process, cohort and stage: what conversion observes."""
        observed: dict[Group, list[tuple[float, str | None, datetime]]] = defaultdict(list)
        for row in self.rows("select * from mart.fct_stage_visits where not is_closed_stage"):
            if row["visit_no"] > 1 or row["is_left_truncated"] or row["is_start_imputed"]:
                continue
            kind = None if row["exit_kind"] in CENSORED else row["exit_kind"]
            quarter = f"{row['entered_at'].year}-Q{(row['entered_at'].month + 2) // 3}"
            for cohort in ("all", quarter):
                group = (row["basis"], row["sales_process"], cohort, row["stage_name"])
                observed[group].append((row["days_in_stage"], kind, row["entered_at"]))
        return observed


@pytest.fixture(scope="module")
def mart(_session_bench: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mart]:
    """Build at `EARLIER`, then at `AS_OF`, twice: a second build in one process must give the same."""
    bench = _session_bench
    bench.reset()
    said = _land(bench)
    _control(bench, EARLIER)
    bench.build()
    weeks_then = _measured(
        bench, "select * from mart.fct_stage_weeks where basis = 'reported' and sales_process = 'P6' order by 1"
    )
    _control(bench, AS_OF)
    bench.build(full_refresh=True)
    everything = (
        "select (select string_agg(md5(v::varchar), '' order by basis, visit_id) from mart.fct_stage_visits v) as a"
    )
    first = _measured(bench, everything)
    assert _measured(bench, everything) == first
    unit_tests = _unit_tests(bench)
    # a publication stands alone: it is read where the conformed file is not attached
    path = tmp_path_factory.mktemp("published") / "leanfunnel.duckdb"
    bench.home.building.rename(path)
    mart = Mart(str(path), said, weeks_then, unit_tests)
    yield mart
    mart._connection.close()


def _measured(bench: Any, sql: str) -> list[dict[str, Any]]:
    bench.home.building.unlink(missing_ok=True)
    bench.dbt.build("measure")
    with duckdb.connect(str(bench.home.building), read_only=True) as connection:
        cursor = connection.execute(sql)
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _unit_tests(bench: Any) -> list[str]:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    os.environ.update(dbt_environment(bench.home))
    project, logs = str(bench.project), str(bench.home.warehouse / "unit")
    try:
        result = dbtRunner().invoke([
            "test", "--select", "test_type:unit,tag:measure", "--target", "measure", "--project-dir", project,
            "--profiles-dir", project, "--quiet", "--target-path", logs, "--log-path", logs,
        ])  # fmt: skip
    finally:
        DuckDBConnectionManager.close_all_connections()
    return [str(node.status) for node in result.result.results]


def _survival(observed: list[tuple[float, str | None, datetime]]) -> list[tuple[float, Fraction, dict[str, Fraction]]]:
    """(duration, S, F by kind) in exact fractions. Kaplan & Meier 1958, Aalen & Johansen 1978."""
    ends = sorted({days for days, _, _ in observed})
    alive, incidence, told = Fraction(1), dict.fromkeys(KINDS, Fraction(0)), []
    for days in ends:
        at_risk = sum(1 for other, _, _ in observed if other >= days)
        left = Counter(kind for other, kind, _ in observed if other == days and kind)
        for kind, count in left.items():
            incidence[kind] += alive * Fraction(count, at_risk)
        alive *= 1 - Fraction(sum(left.values()), at_risk)
        told.append((days, alive, dict(incidence)))
    return told


def test_every_case_of_the_views_holds(mart: Mart) -> None:
    assert len(mart.unit_tests) > 6
    assert set(mart.unit_tests) == {"pass"}


def test_cumulative_incidence_equals_a_plain_account_and_sums_to_one(mart: Mart) -> None:
    observed, checked = mart.first_entries(), 0
    found = defaultdict(dict)
    for row in mart.rows("select * from mart.rpt_stage_conversion"):
        found[row["basis"], row["sales_process"], row["cohort"], row["stage_name"]][row["exit_kind"]] = row
    assert set(observed) <= set(found)
    for group, entries in observed.items():
        row = found[group]["advanced"]
        assert row["n_entered"] == len(entries), group
        if len(entries) < MINIMUM_N:
            assert {kind["reads"] for kind in found[group].values()} == {"too few"}
            assert all(kind["incidence_within_days"] is None for kind in found[group].values())
            continue
        curve = _survival(entries)
        longest, last = curve[-1][0], curve[-1][1]
        if longest < DAYS and last > 0:
            assert row["incidence_within_days"] is None, group
            continue
        _, alive, incidence = [point for point in curve if point[0] <= DAYS][-1]
        incidence["onward"] = incidence["advanced"] + incidence["won"]
        assert row["still_there_share"] == pytest.approx(float(alive), abs=1e-12)
        for kind, share in incidence.items():
            assert found[group][kind]["incidence_within_days"] == pytest.approx(float(share), abs=1e-12), (group, kind)
        total = sum(found[group][kind]["incidence_within_days"] for kind in KINDS)
        assert total + row["still_there_share"] == pytest.approx(1, abs=1e-12)
        checked += 1
    assert checked > 60


def test_incidence_and_its_interval_equal_scikit_survival(mart: Mart) -> None:
    from sksurv.nonparametric import cumulative_incidence_competing_risks

    observed, checked = mart.first_entries(), 0
    for row in mart.rows("""select * from mart.rpt_stage_conversion
                            where exit_kind <> 'onward' and n_exits_ever > 0 and incidence_lower is not null"""):
        entries = observed[row["basis"], row["sales_process"], row["cohort"], row["stage_name"]]
        kinds = sorted({kind for _, kind, _ in entries if kind})
        time, curves, bounds = cumulative_incidence_competing_risks(
            np.array([kinds.index(kind) + 1 if kind else 0 for _, kind, _ in entries]),
            np.array([days for days, _, _ in entries]), conf_type="log-log", var_type="Aalen",
        )  # fmt: skip
        at, kind = int(np.searchsorted(time, DAYS, side="right")) - 1, kinds.index(row["exit_kind"]) + 1
        told = (row["incidence_within_days"], row["incidence_lower"], row["incidence_upper"])
        expected = (curves[kind, at], bounds[kind, 0, at], bounds[kind, 1, at])
        assert told == pytest.approx(expected, abs=1e-9), (row["basis"], row["sales_process"], row["stage_name"], kinds)
        checked += 1
    assert checked > 150


def test_medians_with_the_open_ones_equal_lifelines_and_percentiles_equal_numpy(mart: Mart) -> None:
    from lifelines import KaplanMeierFitter
    from lifelines.utils import median_survival_times

    observed = defaultdict(list)
    for visit in mart.rows("select * from mart.fct_stage_visits where not is_closed_stage and not is_start_imputed"):
        observed[visit["basis"], visit["sales_process"], visit["stage_name"]].append(visit)
    medians, intervals = 0, 0
    rows = mart.rows("select * from mart.rpt_stage_duration")
    assert len(rows) == len(observed)
    for row in rows:
        visits = observed[row["basis"], row["sales_process"], row["stage_name"]]
        closed = [visit["days_in_stage"] for visit in visits if visit["exit_kind"] not in CENSORED]
        assert (row["n_visits"], row["n_closed"]) == (len(visits), len(closed))
        assert (row["reads"] == "ok") is (len(closed) >= MINIMUM_N)
        told = [row[f"closed_p{share}_days"] for share in (50, 85, 95)]
        expected = list(np.percentile(closed, (50, 85, 95))) if len(closed) >= MINIMUM_N else [None] * 3
        assert told == pytest.approx(expected, abs=1e-12)
        if len(visits) < MINIMUM_N:
            assert row["km_p50_days"] is None
            continue
        curve = _survival(
            [(visit["days_in_stage"], None if visit["exit_kind"] in CENSORED else "lost", AS_OF) for visit in visits]
        )
        for share in (50, 85, 95):
            exact = next((days for days, alive, _ in curve if alive <= 1 - Fraction(share, 100)), None)
            assert row[f"km_p{share}_days"] == exact
        fitted = KaplanMeierFitter().fit(
            [visit["days_in_stage"] for visit in visits], [visit["exit_kind"] not in CENSORED for visit in visits]
        )
        median = fitted.median_survival_time_
        if min(abs(alive - Fraction(1, 2)) for _, alive, _ in curve) > Fraction(1, 10**9):
            assert row["km_p50_days"] == (None if np.isinf(median) else pytest.approx(median, abs=1e-14))
            medians += 1
        bounds = fitted.confidence_interval_
        # lifelines searches each bound as if it fell all the way, which few at risk may break
        if all((bounds[name].diff().dropna() <= 0).all() for name in bounds):
            told = [row["km_p50_lower_days"], row["km_p50_upper_days"]]
            ends = median_survival_times(bounds).to_numpy()[0]
            assert told == [None if np.isinf(end) else pytest.approx(end, abs=1e-9) for end in ends], row
            intervals += 1
    assert medians > 30
    assert intervals > 20


def test_rates_count_mature_first_entries_with_wilson_intervals(mart: Mart) -> None:
    from statsmodels.stats.proportion import proportion_confint

    observed, seen = mart.first_entries(), Counter()
    deleted = Counter(
        (row["basis"], row["sales_process"], row["stage_name"])
        for row in mart.rows(f"""
            select * from mart.fct_stage_visits
            where exit_kind = 'deleted' and is_first_entry and not is_left_truncated and not is_closed_stage
                and days_in_stage <= {DAYS} and entered_at <= timestamp '{AS_OF - timedelta(days=DAYS)}'""")
    )
    for row in mart.rows("select * from mart.rpt_stage_conversion where cohort = 'all' and exit_kind <> 'onward'"):
        entries = observed[row["basis"], row["sales_process"], "all", row["stage_name"]]
        mature = [entry for entry in entries if entry[2] <= AS_OF - timedelta(days=DAYS)]
        n = len(mature) - deleted[row["basis"], row["sales_process"], row["stage_name"]]
        left = sum(1 for days, kind, _ in mature if kind == row["exit_kind"] and days <= DAYS)
        assert (row["n_mature"], row["n_immature"]) == (len(mature), len(entries) - len(mature))
        assert (row["n_rate"], row["n_exits"]) == (n, left)
        seen[row["reads"]] += 1
        if n < MINIMUM_N:
            assert row["rate_within_days"] is None
            assert row["reads"] in ("too few", "immature")
            continue
        assert row["reads"] == "ok"
        told = (row["rate_within_days"], row["rate_lower"], row["rate_upper"])
        assert told == pytest.approx((left / n, *proportion_confint(left, n, method="wilson")), abs=1e-12)
    assert set(seen) == {"ok", "too few", "immature"}


def test_entered_is_the_sum_of_exits_and_cohorts_sum_to_all(mart: Mart) -> None:
    totals: dict[Group, Counter[str]] = defaultdict(Counter)
    for row in mart.rows("select * from mart.rpt_stage_conversion where exit_kind <> 'onward'"):
        group = (row["basis"], row["sales_process"], row["stage_name"], "all" if row["cohort"] == "all" else "cohorts")
        totals[group]["exits"] += row["n_exits_ever"]
        if row["exit_kind"] == "advanced":
            for name in ("n_entered", "n_mature", "n_immature", "n_open", "n_deleted", "n_left_truncated"):
                totals[group][name] += row[name]
    for group, total in totals.items():
        assert total["n_entered"] == total["exits"] + total["n_open"] + total["n_deleted"], group
        assert total["n_entered"] == total["n_mature"] + total["n_immature"], group
        assert total == totals[*group[:3], "all"], group


def test_every_additive_figure_splits_exactly_by_evidence(mart: Mart) -> None:
    rows = mart.rows("select * from mart.rpt_evidenced_split")
    for row in rows:
        parts = (row["evidenced_same"], row["evidenced_earlier"], row["evidenced_none"], row["set_aside"])
        assert row["reported"] == sum(parts, Decimal(0)), row
        if row["figure"] in ("count_change", "amount_change_corporate", "without_amount_change"):
            assert row["evidenced_share"] is None, row
        else:
            assert all(part >= 0 for part in parts), row
    totals = defaultdict(Decimal)
    for row in (row for row in rows if row["view_name"].startswith("fct_")):
        for part in ("reported", "evidenced_same", "evidenced_earlier", "evidenced_none", "set_aside"):
            totals[row["figure"], part] += row[part]
    assert all(totals[figure, part] > 0 for figure, part in totals), totals
    (deals,) = mart.rows(
        "select count(*) as n, sum(amount_corporate) as money from mart.fct_opportunities where not is_deleted"
    )
    assert (totals["deals", "reported"], totals["amount_corporate", "reported"]) == (deals["n"], deals["money"])
    standing = Counter(
        row["evidenced_in"] for row in mart.rows("select evidenced_in from mart.fct_opportunities where not is_deleted")
    )
    for part, name in (("evidenced_same", "same"), ("evidenced_earlier", "earlier"), ("evidenced_none", "none")):
        assert totals["deals", part] == standing[name]


def test_the_pipeline_as_defined_moves_with_the_evidenced_stages(mart: Mart) -> None:
    """Each deal's evidenced visits read plainly: a visit without length is passed over, a span without a stage is out."""
    visits, amounts = defaultdict(list), {}
    for row in mart.rows(
        "select * from mart.fct_stage_visits where basis = 'defined' order by opportunity_id, visit_seq"
    ):
        visits[row["opportunity_id"]].append(row)
    deals = {row["opportunity_id"]: row for row in mart.rows("select * from mart.fct_opportunities")}
    amounts = {key: deal["amount_corporate"] or Decimal(0) for key, deal in deals.items()}
    expected = []
    for deal, timeline in visits.items():
        lasting = [visit for visit in timeline if visit["entered_at"] < (visit["exited_at"] or NEVER)]
        was, order, left = None, None, None
        for place, visit in enumerate(lasting):
            now = "won" if visit["is_won_stage"] else "lost" if visit["is_closed_stage"] else "open"
            kind, change = None, 0
            if now == "open" and was != "open":
                kind, change = {None: "new", "unmapped": "mapped"}.get(was, "reopened"), 1
            elif was == "open" and now != "open":
                kind, change = now, -1
            elif now != "open" and was != now:
                kind = f"{now}_directly"
            elif now == "open" and visit["stage_order"] != order:
                kind = "advanced" if visit["stage_order"] > order else "back"
            if kind:
                expected.append((deal, visit["entered_at"], kind, visit["stage_name"], change, change * amounts[deal]))
            was, order, left = now, visit["stage_order"], visit["exited_at"]
            after = lasting[place + 1]["entered_at"] if place + 1 < len(lasting) else NEVER
            if left and left < after:
                how = [other["exit_kind"] for other in timeline if other["exited_at"] == left][-1]
                gone = {"deleted": "deleted", "won_without_evidence": "unproven"}.get(how, "unmapped")
                if was == "open":
                    expected.append((deal, left, gone, visit["stage_name"], -1, -amounts[deal]))
                was = gone
    found = [
        tuple(row.values())
        for row in mart.rows(
            "select opportunity_id, moved_at, movement_kind, stage_name, count_change, amount_change_corporate "
            "from mart.fct_evidenced_movements"
        )
    ]
    assert sorted(found) == sorted(expected)
    kinds = Counter(row[2] for row in found)
    assert all(
        kinds[kind] > 3 for kind in ("new", "advanced", "back", "won", "lost", "deleted", "unproven", "reopened")
    ), kinds
    # a deal won without evidence leaves unproven, one whose evidence comes later enters later, one set aside is nowhere
    reported = {
        row["opportunity_id"]: row["came_at"]
        for row in mart.rows(
            "select opportunity_id, min(moved_at) as came_at from mart.fct_pipeline_movements "
            "where movement_kind = 'new' group by 1"
        )
    }
    came = {row[0]: row[1] for row in found if row[2] == "new"}
    assert all(came[deal] >= reported[deal] for deal in came if deal in reported)
    assert not {deal for deal in came if deals[deal]["is_set_aside"]}
    assert {deal for deal in reported if deals[deal]["is_set_aside"]}
    (last,) = mart.rows("select sum(count_change) as n from mart.fct_evidenced_movements")
    standing = [
        row for rows in visits.values() for row in rows if row["exit_kind"] == "open" and not row["is_closed_stage"]
    ]
    assert last["n"] == len(standing) > 100


def test_words_that_repeat_are_stored_by_number_and_read_as_texts(mart: Mart) -> None:
    found = {}
    for table in ("fct_stage_visits", "fct_stage_entries", "fct_touch_stages", "fct_pipeline_movements"):
        for row in mart.rows(f"describe mart.{table}"):
            if row["column_type"].startswith("ENUM("):
                words = row["column_type"].removeprefix("ENUM('").removesuffix("')").split("', '")
                assert words == sorted(words), (table, row["column_name"])
                found[table, row["column_name"]] = words
    assert set(STAGES) <= set(found["fct_stage_visits", "stage_name"])
    assert set(SIZES) <= set(found["fct_stage_visits", "sales_process"])
    assert len(found) > 20
    stages = [row["s"] for row in mart.rows("select distinct stage_name as s from mart.fct_stage_visits order by 1")]
    assert stages == sorted(stages, key=str)
    assert all(isinstance(stage, str) for stage in stages)
    (none,) = mart.rows("select count(*) as n from mart.fct_stage_visits where stage_name = 'no such stage'")
    assert none["n"] == 0


def test_every_visit_is_split_by_what_was_evidenced_when_it_began_and_ended(mart: Mart) -> None:
    """An oracle of its own, instant by instant, and the split of the views that count visits."""
    aside = {
        row["opportunity_id"]
        for row in mart.rows("select opportunity_id from mart.fct_opportunities where is_set_aside")
    }
    defined, checked, visits = defaultdict(list), Counter(), {}
    for row in mart.rows("select * from mart.fct_stage_visits order by visit_seq"):
        if row["basis"] == "defined":
            defined[row["opportunity_id"]].append(row)
        else:
            visits[row["opportunity_id"], row["visit_seq"]] = row

    def part(visit: dict[str, Any], stages: list[str]) -> str:
        if visit["opportunity_id"] in aside:
            return "set aside"
        return "none" if not stages else "same" if visit["stage_name"] in stages else "earlier"

    rows = mart.rows("select * from mart.fct_visit_evidence")
    assert len(rows) == len(visits)
    for row in rows:
        visit = visits[row["opportunity_id"], row["visit_seq"]]
        if visit["entered_at"] == visit["exited_at"]:
            continue
        at_entry, at_end = [], []
        for met in defined[row["opportunity_id"]]:
            if met["entered_at"] <= visit["entered_at"] and (met["exited_at"] or NEVER) > visit["entered_at"]:
                at_entry.append(met["stage_name"])
            if visit["exited_at"] is None:
                at_end += [met["stage_name"]] if met["exited_at"] is None else []
            elif met["entered_at"] < visit["exited_at"] <= (met["exited_at"] or NEVER):
                at_end.append(met["stage_name"])
        assert row["evidenced_at_entry"] == part(visit, at_entry), visit
        assert row["evidenced_at_end"] == part(visit, at_end), visit
        checked[row["evidenced_at_entry"], row["evidenced_at_end"]] += 1
    assert {("earlier", "same"), ("earlier", "earlier"), ("same", "same"), ("none", "none")} <= set(checked), checked
    split = {
        row["figure"]
        for row in mart.rows("select * from mart.rpt_evidenced_split where view_name = 'rpt_stage_duration'")
    }
    assert split == {"n_visits", "n_closed", "n_open", "n_deleted"}


def test_only_an_enforced_integrity_breach_sets_a_deal_aside(mart: Mart) -> None:
    aside = {
        row["opportunity_id"]
        for row in mart.rows("select opportunity_id from mart.fct_opportunities where is_set_aside")
    }
    assert set(mart.said) == {"R02", "R03", "R04", "R06"}
    assert aside == mart.said["R03"]
    visited = defaultdict(set)
    for row in mart.rows("select distinct basis, opportunity_id from mart.fct_stage_visits"):
        visited[row["basis"]].add(row["opportunity_id"])
    assert aside <= visited["reported"]
    assert not aside & visited["defined"]
    assert visited["defined"] & mart.said["R02"]


def test_a_week_is_judged_by_itself_and_the_weeks_before_it(mart: Mart) -> None:
    later = {
        row["stage_week_key"]: row for row in mart.rows("select * from mart.fct_stage_weeks where sales_process = 'P6'")
    }
    assert len(mart.weeks_then) > 200
    assert any(row["wip_upper_limit"] and row["theta_wins"] and row["onward_yield"] for row in mart.weeks_then)
    for row in mart.weeks_then:
        assert later[row["stage_week_key"]] == pytest.approx(row, abs=1e-12)


def test_open_deals_of_each_week_equal_a_count_of_visits(mart: Mart) -> None:
    visits = defaultdict(list)
    for row in mart.rows("select * from mart.fct_stage_visits where not is_closed_stage"):
        visits[row["basis"], row["sales_process"], row["stage_name"]].append(
            (row["entered_at"], row["exited_at"] or NEVER)
        )
    weeks = mart.rows("select * from mart.fct_stage_weeks")
    assert {row["basis"] for row in weeks} == {"reported", "defined"}
    for row in weeks:
        starts = datetime.combine(row["week_starts_on"], datetime.min.time())
        spans = visits[row["basis"], row["sales_process"], row["stage_name"]]
        for instant, column in ((starts, "start_wip"), (starts + timedelta(days=7), "end_wip")):
            assert row[column] == sum(1 for entered, left in spans if entered < instant <= left), (row, column)


def test_the_constraint_is_sought_in_both_bases_and_what_no_stage_tells_is_the_same_in_both(mart: Mart) -> None:
    key = ("sales_process", "week_starts_on", "location")
    told: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {"reported": {}, "defined": {}}
    for row in mart.rows("select * from mart.rpt_bottleneck"):
        told[row.pop("basis")][tuple(row[name] for name in key)] = row
    assert told["defined"], "no evidenced stage has a week"
    of_stages = [both for both in told["defined"] if both[2] in ("qualifying", "selling")]
    assert {both[2] for both in of_stages} == {"qualifying", "selling"}
    assert any(told["defined"][both] != told["reported"].get(both) for both in of_stages)
    for both, row in told["defined"].items():
        if both[2] not in ("qualifying", "selling"):
            assert row == told["reported"][both]


def test_age_percentile_is_the_share_of_closed_visits_no_longer_than_this(mart: Mart) -> None:
    closed = defaultdict(list)
    for row in mart.rows("select * from mart.fct_stage_visits where basis = 'reported' and not is_start_imputed"):
        if row["exit_kind"] not in CENSORED:
            closed[row["sales_process"], row["stage_name"]].append(row["days_in_stage"])
    rows = mart.rows("select * from mart.rpt_wip_aging order by attention_rank")
    assert [row["attention_rank"] for row in rows] == list(range(1, len(rows) + 1))
    too_few = 0
    for row in rows:
        days = closed[row["sales_process"], row["stage_name"]]
        if len(days) < MINIMUM_N:
            assert row["age_percentile"] is None
            assert row["age_percentile_cause"] == "too few closed visits of this stage"
            too_few += 1
        else:
            expected = sum(1 for other in days if other <= row["age_days"]) / len(days)
            assert row["age_percentile"] == pytest.approx(expected, abs=1e-12)
    assert 0 < too_few < len(rows)


def test_an_org_without_deals_gives_empty_views_and_one_run(bench: Any) -> None:
    bench.control()
    bench.build()
    (counts,) = _measured(bench, """
        select (select count(*) from mart.rpt_run) as runs, (select n_opportunities from mart.rpt_run) as deals,
               (select set_aside_share from mart.rpt_run) as aside, (select count(*) from mart.rpt_bottleneck) as weeks,
               (select count(*) from mart.rpt_stage_conversion) as stages, (select count(*) from mart.rpt_wip_aging) as wip
    """)  # fmt: skip
    assert counts == {"runs": 1, "deals": 0, "aside": None, "weeks": 0, "stages": 0, "wip": 0}
