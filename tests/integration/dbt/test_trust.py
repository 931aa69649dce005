"""Decisions, scorecard, value of a definition, trust and measurability in the mart, against independent oracles.

One build of a generated org serves every test but the one on the other side of the measurability threshold.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from dagster_project import doctor
from dagster_project.home import Home

AS_OF = datetime(2026, 1, 31)  # noqa: DTZ001 (the warehouse holds naive UTC)
DAY = timedelta(days=1)
OWNERS = {"005000000000000001": "00E000000000000001", "005000000000000002": "00E000000000000002"}
# share met by audited day, days before as_of: a steady rate, a gap of two days, then a drop
RATES = {30 - n: (80 + n % 3, 20 - n % 3) for n in range(26) if n not in (11, 12)} | {0: (13, 7)}


def number(n: int) -> str:
    return f"006{n:015d}"


def _org(bench: Any) -> dict[str, tuple[str, str, bool]]:
    """300 deals that enter Qualification; returns by deal (at entry, outcome, mature)."""
    rng, deals, history, roles, truth = random.Random(8), [], [], [], {}
    for n in range(1, 301):
        age = rng.choice([10.0, 89.5, 90.0, 200.0, 300.0])
        entered = AS_OF - age * DAY
        met = rng.random() < 0.6
        outcome = rng.choices(["won", "lost", "open"], [6, 3, 1] if met else [3, 6, 1])[0]
        last = {"won": "Closed Won", "lost": "Closed Lost", "open": "Qualification"}[outcome]
        key = number(n)
        deals.append(
            bench.deal(n, StageName=last, CreatedDate=bench.utc(entered - DAY), LastModifiedDate=bench.utc(AS_OF))
        )
        steps = [(entered - DAY, "Prospecting"), (entered, "Qualification")]
        steps += [] if outcome == "open" else [(entered + 5 * DAY, last)]
        history += [
            {"Id": f"008{n:09d}{at:06d}", "OpportunityId": key, "StageName": stage, "IsDeleted": False, "Amount": "5.00",
             "CreatedDate": bench.utc(instant), "SystemModstamp": bench.utc(instant)}
            for at, (instant, stage) in enumerate(steps)
        ]  # fmt: skip
        # a role of the very instant of the entry is there at entry; one of a second later is not
        roles.append({
            "Id": f"00K{n:015d}", "IsDeleted": False, "OpportunityId": key, "ContactId": "003000000000000001",
            "CreatedDate": bench.utc(entered if met else entered + timedelta(seconds=1)), "SystemModstamp": bench.utc(AS_OF),
        })  # fmt: skip
        truth[key] = ("met" if met else "breached", outcome, age >= 90)
    bench.land("Opportunity", deals)
    bench.land("OpportunityHistory", history)
    bench.land("OpportunityContactRole", roles)
    bench.land("User", [
        {"Id": key, "Name": f"User {n}", "IsActive": True, "ManagerId": None if n == 2 else "005000000000000002",
         "SystemModstamp": bench.utc(AS_OF)}
        for n, key in enumerate(OWNERS, start=1)
    ])  # fmt: skip
    return truth


def _audit(connection: duckdb.DuckDBPyConnection) -> None:
    """What the audit and the people behind it left: six standing breaches, each in another state."""
    owner, other = OWNERS
    for n in range(1, 8):
        connection.execute(
            "insert into audit.verdict values ('R08', 1, 8, 'stage_entry', 'enforce', 'opportunity', ?, ?, 'breached', '0', null, ?, ?, null)",
            [number(n), number(n), "default", owner if n < 5 else other],
        )
        connection.execute(
            "insert into audit.ledger values ('R08', 1, ?, ?, ?, ?, null, '0')",
            [number(n), number(n), AS_OF - (3 if n == 7 else 30) * DAY, AS_OF],
        )
    connection.execute(
        "insert into audit.ledger values ('R08', 1, ?, ?, ?, ?, ?, '0')",
        [number(7), number(7), AS_OF - 30 * DAY, AS_OF - 20 * DAY, AS_OF - 19 * DAY],
    )
    seen = AS_OF - 10 * DAY
    for seq, (action, n, until, to, seen_at, undoes) in enumerate([
        ("assign", 1, None, "Bob", seen, None),
        ("snooze", 2, date(2026, 2, 1), None, seen, None),
        ("snooze", 3, date(2026, 1, 31), None, seen, None),  # ends on the day itself
        ("waive", 4, None, None, seen, None),
        ("dispute", 5, None, None, seen, None),
        ("fixed", 6, None, None, AS_OF, None),
        ("waive", 7, None, None, seen, None),  # came back since
        ("waive", 1, None, None, seen, None),
        ("undo", 1, None, None, seen, 8),
    ], start=1):  # fmt: skip
        connection.execute(
            "insert into audit.decision values (?, ?, ?, ?, 'R08', 1, ?, ?, 'because', 'Rita', ?, ?, ?)",
            [seq, seq, action, number(n), until, to, seen_at, seen_at, undoes],
        )
    for ago, (met, breached) in RATES.items():
        at = AS_OF - ago * DAY
        connection.execute(
            "insert into audit.definition_history values (?, ?, 'R08', 1, 'stage_entry', 'enforce', 'opportunity', 'measured', null)",
            [at, at.date()],
        )
        if ago == 0:
            parts = [(other, "User 2", 10, 4), (None, None, 3, 3)]
        else:
            parts = [(other, "User 2", met - 30, breached - 5), (None, None, 30, 5)]
        for team, name, of_met, of_breached in parts:
            connection.execute(
                "insert into audit.definition_count values (?, 'R08', 1, 'default', ?, ?, ?, ?, ?, 11, 3, 'amount missing: 3')",
                [at, team, name, of_met + of_breached + 14, of_met, of_breached],
            )
    # an earlier audit of a day that was audited again counts for nothing
    again = AS_OF - 5 * DAY - timedelta(hours=1)
    connection.execute(
        "insert into audit.definition_history values (?, ?, 'R08', 1, 'stage_entry', 'enforce', 'opportunity', 'measured', null)",
        [again, (AS_OF - 5 * DAY).date()],
    )
    connection.execute(
        "insert into audit.definition_count values (?, 'R08', 1, 'default', null, null, 100, 0, 100, 0, 0, null)",
        [again],
    )
    connection.execute(
        "insert into audit.definition_history values (?, ?, 'R09', 1, 'duty', 'observe', 'opportunity', 'not measurable', 'mail is kept elsewhere')",
        [AS_OF, AS_OF.date()],
    )
    for definition, kind, state, counts in (
        ("R08", "stage_entry", "measured", (48, 13, 7, 22, 6)), ("R09", "duty", "not measurable", (None,) * 5),
        ("R15", "signal", "measured", (300, 300, 0, 0, 0)),
    ):  # fmt: skip
        connection.execute(
            "insert into audit.definition_run values (?, 1, 8, ?, 'enforce', 'opportunity', ?, null, ?, ?, ?, ?, ?, 1.0, false, false)",
            [definition, kind, state, *counts],
        )
    # strata of unlike size: 10 of 12 right among 30 open deals, 6 of 12 among 270 lost ones
    for stratum, size, right in (("open", 30, 10), ("lost", 270, 6)):
        for n in range(1, 14):
            verdict = "cannot tell" if n == 13 else "right" if n <= right else "wrong"
            connection.execute(
                "insert into audit.sample values (?, ?, ?, ?, ?, ?, ?, null, 'Rita', ?)",
                [date(2026, 1, 19), stratum, n, f"{stratum}{n}", size, AS_OF, verdict, AS_OF],
            )


def _control(bench: Any, **more: Any) -> None:
    plain = {
        "evidence": None,
        "from_step_rank": None,
        "title": "t",
        "owner": "rev-ops",
        "accountable": "opportunity owner",
    }
    bench.control(definitions=[
        {**bench.stage_entry("R08", "contact_role", 2), **{k: plain[k] for k in ("title", "owner", "accountable")},
         "since_on": date(2026, 1, 15), "fields": [("Opportunity", "Amount"), ("Opportunity", "CloseDate")]},
        {**bench.stage_entry("R09", "x", 1), **plain, "kind": "duty", "fields": [("Activity", None)]},
        {**bench.stage_entry("R15", "x", 1), **plain, "kind": "signal", "fields": [("Opportunity", "Amount")]},
    ], **more)  # fmt: skip


class Mart:
    def __init__(self, path: str, truth: dict[str, tuple[str, str, bool]]) -> None:
        self._connection = duckdb.connect(path, read_only=True)
        self.truth = truth

    def rows(self, sql: str) -> list[dict[str, Any]]:
        cursor = self._connection.execute(sql)
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture(scope="module")
def mart(_session_bench: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mart]:
    bench = _session_bench
    bench.reset()
    truth = _org(bench)
    _control(bench)
    with bench.connect() as connection:
        _audit(connection)
    bench.build(full_refresh=True)
    bench.home.building.unlink(missing_ok=True)
    bench.dbt.build("measure")
    path = tmp_path_factory.mktemp("published") / "leanfunnel.duckdb"
    bench.home.building.rename(path)
    found = Mart(str(path), truth)
    yield found
    found._connection.close()


def test_each_breach_shows_what_was_decided_who_is_to_act_and_its_age(mart: Mart) -> None:
    rows = mart.rows(
        "select record_id, state, who, assigned_to, age, decided_by, team_name, last_seen_at from mart.rpt_definition_breaches"
    )
    found = {
        int(row["record_id"][3:]): (row["state"], row["who"], row["assigned_to"], row["decided_by"]) for row in rows
    }
    assert found == {
        1: ("open", "Bob", "Bob", None), 2: ("snoozed", "User 1", None, "Rita"), 3: ("open", "User 1", None, "Rita"),
        4: ("waived", "User 1", None, "Rita"), 5: ("disputed", "rev-ops", None, "Rita"),
        6: ("said fixed", "User 2", None, "Rita"), 7: ("open", "User 2", None, None),
    }  # fmt: skip
    created = {row["opportunity_id"]: row["created_at"] for row in mart.rows("select * from mart.fct_opportunities")}
    for row in rows:
        n = int(row["record_id"][3:])
        older = created[row["record_id"]] < datetime(2026, 1, 15) and n != 7  # noqa: DTZ001
        assert row["age"] == ("backlog" if older else "new"), n
        assert row["team_name"] == ("User 2" if n < 5 else None)
    assert {row["age"] for row in rows} == {"backlog", "new"}


def test_a_decision_that_was_taken_back_is_kept_and_says_by_whom(mart: Mart) -> None:
    rows = mart.rows("select decision_seq, stands, undone_by from mart.fct_decisions order by 1")
    assert [row["decision_seq"] for row in rows] == list(range(1, 9))
    assert [(row["decision_seq"], row["undone_by"]) for row in rows if not row["stands"]] == [(8, "Rita")]


def test_a_breach_that_came_back_has_two_spells(mart: Mart) -> None:
    rows = mart.rows(
        f"select spell_no, stands, days_known from mart.fct_breach_spells where row_key = '{number(7)}' order by 1"
    )
    assert [tuple(row.values()) for row in rows] == [(1, False, 11.0), (2, True, 3.0)]


def test_the_card_of_a_day_counts_each_decision_apart_and_its_rate_has_wilson_s_interval(mart: Mart) -> None:
    (card,) = mart.rows(
        "select * from mart.rpt_definition_scorecard where definition_id = 'R08' and scope = 'all' and is_latest"
    )
    assert [card[name] for name in ("raw", "applicable", "met", "breached", "not_applicable", "unknown")] == [
        48, 26, 13, 7, 22, 6,
    ]  # fmt: skip
    assert [card[f"n_{state}"] for state in ("open", "snoozed", "waived", "disputed", "said_fixed")] == [3, 1, 1, 1, 1]
    assert card["met_rate"] == 0.65
    expected = proportion_confint(13, 20, method="wilson")
    assert (card["met_rate_lower"], card["met_rate_upper"]) == pytest.approx(expected, abs=1e-12)
    (unmeasured,) = mart.rows(
        "select state, state_cause, raw, met_rate, n_open, reads from mart.rpt_definition_scorecard where definition_id = 'R09'"
    )
    assert tuple(unmeasured.values()) == (
        "not measurable",
        "mail is kept elsewhere",
        None,
        None,
        None,
        "not measurable",
    )


def test_limits_are_those_of_the_days_audited_and_no_range_goes_across_a_gap(mart: Mart) -> None:
    rows = mart.rows(
        "select * from mart.rpt_definition_scorecard where definition_id = 'R08' and scope = 'all' order by as_of_on"
    )
    assert [(row["met"], row["breached"]) for row in rows] == [RATES[ago] for ago in sorted(RATES, reverse=True)]
    values = {-ago: met / (met + breached) for ago, (met, breached) in RATES.items()}
    mean = np.mean(list(values.values()))
    moving = np.mean([abs(value - values[day - 1]) for day, value in values.items() if day - 1 in values])
    assert rows[-1]["mean_rate"] == pytest.approx(mean, abs=1e-12)
    assert rows[-1]["lower_limit"] == pytest.approx(mean - 2.66 * moving, abs=1e-12)
    assert rows[-1]["n_days"] == len(RATES)
    assert rows[-1]["signal"] == "outside"
    assert rows[0]["n_open"] is None, "what was decided then was published then"


def test_a_team_is_the_manager_s_and_its_days_add_up(mart: Mart) -> None:
    teams = mart.rows(
        "select team_name, sum(met) as met from mart.rpt_definition_scorecard where scope = 'team' and is_latest group by 1 order by 1"
    )
    assert [tuple(row.values()) for row in teams] == [("User 2", 10), ("none", 3)]
    owners = mart.rows("select owner_name, team_id, team_name from mart.dim_owner order by 1")
    assert [tuple(row.values()) for row in owners] == [
        ("User 1", "005000000000000002", "User 2"),
        ("User 2", None, None),
    ]


def test_value_compares_win_rates_of_mature_entries_with_newcombe_s_interval(mart: Mart) -> None:
    (row,) = mart.rows("select * from mart.rpt_definition_value")
    truth = mart.truth.values()
    counted = Counter((at_entry, outcome) for at_entry, outcome, mature in truth if mature)
    assert row["n_entered"] == len(truth)
    assert row["n_immature"] == sum(not mature for _, _, mature in truth) > 0
    for side in ("met", "breached"):
        assert row[f"{side}_won"] == counted[side, "won"]
        assert row[f"n_{side}"] == counted[side, "won"] + counted[side, "lost"]
        assert row[f"{side}_unresolved"] == counted[side, "open"]
    lower, upper = confint_proportions_2indep(
        row["met_won"], row["n_met"], row["breached_won"], row["n_breached"], method="newcomb", compare="diff"
    )
    assert (row["difference_lower"], row["difference_upper"]) == pytest.approx((lower, upper), abs=1e-12)
    assert row["reads"] == "those who meet it win more"


def test_trust_is_completeness_times_validity_times_the_sample_and_takes_no_signal(mart: Mart) -> None:
    rows = {(row["object"], row["field"]): row for row in mart.rows("select * from mart.rpt_data_trust")}
    assert set(rows) == {
        ("Activity", "the record"), ("Activity", "all"), ("Opportunity", "all"), ("Opportunity", "Amount"), ("Opportunity", "CloseDate"),
    }  # fmt: skip
    amount, whole = rows["Opportunity", "Amount"], rows["Opportunity", "all"]
    assert amount["definition_ids"] == "R08"
    assert (amount["completeness"], amount["validity"]) == pytest.approx((20 / 26, 13 / 20))
    assert amount["trust_score"] == pytest.approx(20 / 26 * 0.65)
    assert (whole["n_looked_at"], whole["n_cannot_tell"]) == (24, 2)
    right = (30 * 10 / 12 + 270 * 6 / 12) / 300
    assert whole["sample_right_share"] == pytest.approx(right)
    assert whole["trust_score"] == pytest.approx(20 / 26 * 0.65 * right)
    assert rows["Activity", "all"]["trust_score"] is None
    assert rows["Activity", "all"]["reads"] == "not measured"


@pytest.mark.parametrize(("answered", "measurable"), [(8, True), (7, False)])
def test_responses_are_measurable_up_to_a_fifth_of_silent_wins(
    bench: Any, answered: int, measurable: bool, tmp_path: Path
) -> None:
    """Of ten won deals two or three show no response; with exactly 20 % they are measurable."""
    won = [bench.deal(n, StageName="Closed Won", IsClosed=True, IsWon=True) for n in range(1, 11)]
    bench.land("Opportunity", [*won, bench.deal(11), bench.deal(12, StageName="Closed Won", IsDeleted=True)])
    bench.land("EmailMessage", [
        {"Id": f"02s{n:015d}", "IsDeleted": False, "RelatedToId": number(n), "Incoming": True, "Status": "1",
         "MessageDate": bench.utc(AS_OF - 9 * DAY), "CreatedDate": bench.utc(AS_OF - 9 * DAY), "LastModifiedDate": bench.utc(AS_OF - 9 * DAY),
         "SystemModstamp": bench.utc(AS_OF - 9 * DAY)}
        for n in [*range(1, answered + 1), 11]
    ])  # fmt: skip
    _control(bench)
    bench.build(full_refresh=True)
    bench.home.building.unlink(missing_ok=True)
    bench.dbt.build("measure")
    found = Mart(str(bench.home.building), {})
    try:
        (row,) = found.rows("select n_won, n_without, is_measurable, cause from mart.dim_measurability")
        (deal,) = found.rows("select ball_with, ball_days, ball_cause, attention_reason from mart.rpt_wip_aging")
        (waste,) = found.rows("select state, n_deals, state_cause from mart.rpt_waste where waste_kind = 'waiting'")
        evidence = found.rows("select reads from mart.rpt_value_evidence where basis = 'reported'")
        traits = found.rows("select distinct trait, reads from mart.rpt_winnability where reads = 'not measurable'")
    finally:
        found._connection.close()
    home = Home(tmp_path)
    home.current.mkdir(parents=True)
    bench.home.building.rename(home.current / "leanfunnel.duckdb")
    (told,) = doctor._responses(home)
    assert told.state == ("ok" if measurable else "warn")
    assert ("2 of 10 won deals show none; at most 20% may" if measurable else "3 of 10") in told.what
    assert (row["n_won"], row["n_without"], row["is_measurable"]) == (10, 10 - answered, measurable)
    if measurable:
        assert row["cause"] is None
        assert tuple(deal.values()) == ("us", 9.0, None, "Customer answered 9 days ago, nobody replied")
        assert (waste["state"], waste["n_deals"]) == ("measured", 1)
        assert {line["reads"] for line in evidence} == {"unprompted"}
        assert traits == []
    else:
        assert "(3 of 10; at most 20 % is measurable)" in row["cause"]
        assert deal["ball_with"] == "not measurable"
        assert deal["ball_days"] is None
        assert deal["ball_cause"] == row["cause"]
        assert tuple(waste.values()) == ("not measurable", None, row["cause"])
        assert {line["reads"] for line in evidence} == {"not measurable"}
        assert {line["trait"] for line in traits} <= {"responses_before", "people_met"}
