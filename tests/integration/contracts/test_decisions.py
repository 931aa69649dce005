"""Decisions and the worklist on a mart of a few rows: what stands, for how long, in which order, and for whom."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from dagster_project.contracts.decisions import Breach, Decision, DecisionError, Decisions
from dagster_project.contracts.worklist import Chosen, worklist
from dagster_project.errors import SettingsError
from dagster_project.landing import AppendOnlyTable

AS_OF = datetime(2026, 7, 1)  # noqa: DTZ001 - the mart keeps naive UTC
NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A ledger whose rules were first measured ten days ago, and hold since the 10th of June."""
    said = {
        "since": "2026-06-10",
        "expectations": [
            {"arguments": {"column": "amount"}},
            {"arguments": {"column_A": "close_on", "column_B": "as_of_on"}},
        ],
    }
    rows = [
        {
            "run_seq": 1, "definition_id": rule, "definition_version": version, "state": "measured",
            "as_of": (AS_OF - 10 * DAY).replace(tzinfo=UTC), "definition": json.dumps(said),
        }
        for rule, version in (("R06", 1), ("R07", 1), ("R07", 2))
    ]  # fmt: skip
    AppendOnlyTable(tmp_path / "state" / "definition_runs").append(pa.Table.from_pylist(rows))
    return tmp_path / "state"


def _mart(
    *breaches: dict[str, Any], deals: dict[str, dict[str, Any]] | None = None, as_of: datetime = AS_OF
) -> duckdb.DuckDBPyConnection:
    """The published views that the worklist reads; `deals`: by Id, changes to an open deal of 1000 that closes today."""
    deals = deals if deals is not None else {one["record_id"]: {} for one in breaches}
    mart = duckdb.connect()
    mart.execute("CREATE TABLE dim_run AS SELECT ?::TIMESTAMP AS as_of, ?::DATE AS as_of_on", [as_of, as_of.date()])
    mart.execute(
        "CREATE TABLE dim_definition AS SELECT * FROM (VALUES ('R06', 'rev-ops'), ('R07', 'rev-ops'), ('R09', 'rev-ops')) AS d (definition_id, owner)"
    )
    mart.execute(
        "CREATE TABLE dim_owner AS SELECT * FROM (VALUES ('u1', TRUE, 'Max'), ('u2', FALSE, 'Max'), ('u3', FALSE, NULL)) "
        "AS o (owner_id, is_active, manager_name)"
    )
    mart.execute(
        "CREATE TABLE fct_opportunities (opportunity_id VARCHAR, opportunity_name VARCHAR, record_url VARCHAR, owner_id VARCHAR, "
        "owner_name VARCHAR, sales_process VARCHAR, stage_name VARCHAR, amount_corporate DECIMAL(18, 2), close_on DATE, is_open BOOLEAN, "
        "is_won BOOLEAN, is_lost BOOLEAN, is_deleted BOOLEAN, created_at TIMESTAMP)"
    )
    for key, changed in deals.items():
        row = {
            "id": key, "name": f"Deal {key}", "url": f"https://org.example/{key}", "owner_id": "u1", "owner": "Ann", "process": "New",
            "stage": "Proposal", "amount": 1000, "close_on": AS_OF.date(), "open": True, "won": False, "lost": False, "deleted": False,
            "created_at": AS_OF - 60 * DAY, **changed,
        }  # fmt: skip
        mart.execute(f"INSERT INTO fct_opportunities VALUES ({', '.join('?' * 14)})", list(row.values()))
    mart.execute(
        "CREATE TABLE rpt_definition_breaches (definition_id VARCHAR, definition_version INTEGER, rule_number INTEGER, row_key VARCHAR, "
        "record_id VARCHAR, status VARCHAR, title VARCHAR, kind VARCHAR, mode VARCHAR, observed_value VARCHAR, threshold VARCHAR, "
        "why VARCHAR, fix VARCHAR, accountable VARCHAR, first_seen_at TIMESTAMP, days_known DOUBLE, as_of TIMESTAMP)"
    )
    for one in breaches:
        row = {
            "rule": "R07", "version": 1, "number": 7, "row_key": one["record_id"], "record_id": one["record_id"], "status": "breached",
            "title": "t", "kind": "duty", "mode": "observe", "observed": "0", "threshold": "above 0", "why": "w", "fix": "f",
            "accountable": "opportunity owner", "first_seen_at": AS_OF - 5 * DAY, "days_known": 5.0, "as_of": as_of, **one,
        }  # fmt: skip
        mart.execute(f"INSERT INTO rpt_definition_breaches VALUES ({', '.join('?' * 17)})", list(row.values()))
    return mart


def _decide(state: Path, action: str, record: str = "a", rule: str = "R07", version: int = 1, **more: Any) -> int:
    seen = more.pop("seen", AS_OF)
    decision = Decision(action, Breach(record, rule, version), more.pop("why", "because"), **more)
    return Decisions(state).append([decision], by="Rita", at=NOW, seen_as_of=seen)


def _states(state: Path, *breaches: dict[str, Any], **mart: Any) -> dict[str, str]:
    found = worklist(_mart(*breaches, **mart), state, with_left_out=True)
    return {f"{row['record_id']} {row['rule']}": row["state"] for row in found.breaches}


def test_a_snooze_ends_on_its_day(state: Path) -> None:
    _decide(state, "snooze", until_on=date(2026, 7, 3))
    found = worklist(_mart({"record_id": "a"}, {"record_id": "b"}), state)
    assert [row["record_id"] for row in found.breaches] == ["b"]
    assert found.left_out == {"snoozed": 1}
    assert _states(state, {"record_id": "a"}, as_of=AS_OF + 1 * DAY) == {"a R07": "snoozed"}
    assert _states(state, {"record_id": "a"}, as_of=AS_OF + 2 * DAY) == {"a R07": "open"}


def test_a_waiver_holds_for_its_version_and_its_spell_only(state: Path) -> None:
    _decide(state, "waive")
    assert _states(state, {"record_id": "a"}, as_of=AS_OF + 300 * DAY) == {"a R07": "waived"}
    assert _states(state, {"record_id": "a", "version": 2}) == {"a R07": "open"}
    assert _states(state, {"record_id": "a", "rule": "R06"}) == {"a R06": "open"}
    later = {"record_id": "a", "first_seen_at": AS_OF + 3 * DAY}
    assert _states(state, later, as_of=AS_OF + 3 * DAY) == {"a R07": "open"}


def test_a_waiver_may_end(state: Path) -> None:
    _decide(state, "waive", until_on=date(2026, 8, 1))
    assert _states(state, {"record_id": "a"}) == {"a R07": "waived"}
    assert _states(state, {"record_id": "a"}, as_of=AS_OF + 31 * DAY) == {"a R07": "open"}


def test_what_is_said_fixed_comes_back_if_the_next_run_still_finds_it(state: Path) -> None:
    _decide(state, "fixed")
    assert _states(state, {"record_id": "a"}) == {"a R07": "said fixed"}
    assert _states(state, {"record_id": "a"}, as_of=AS_OF + DAY) == {"a R07": "said fixed, still breached"}


def test_a_dispute_stays_on_the_list_of_the_definition_s_owner(state: Path) -> None:
    _decide(state, "dispute")
    (row,) = worklist(_mart({"record_id": "a"}), state).breaches
    assert (row["state"], row["who"], row["last_decision"]) == ("disputed", "rev-ops", "D1 Rita: because")


def test_the_last_decision_counts_and_an_assignment_stays_beside_it(state: Path) -> None:
    _decide(state, "assign", assigned_to="Bob")
    _decide(state, "snooze", until_on=date(2026, 7, 9))
    _decide(state, "dispute")
    (row,) = worklist(_mart({"record_id": "a"}), state).breaches
    assert (row["state"], row["who"]) == ("disputed", "Bob")


def test_undo_takes_back_one_or_a_batch_and_edits_no_row(state: Path) -> None:
    book = Decisions(state)
    _decide(state, "snooze", until_on=date(2026, 7, 9))
    batch = book.append(
        [Decision("waive", Breach(key, "R07", 1), "x") for key in "ab"], by="Rita", at=NOW, seen_as_of=AS_OF
    )
    assert _states(state, {"record_id": "a"}, {"record_id": "b"}) == {"a R07": "waived", "b R07": "waived"}
    before = book.rows()
    assert book.undo([f"B{batch}"], by="Sam", why="too soon", at=NOW, seen_as_of=AS_OF) == 2
    assert _states(state, {"record_id": "a"}, {"record_id": "b"}) == {"a R07": "snoozed", "b R07": "open"}
    assert book.rows().slice(0, before.num_rows).equals(before)
    assert book.undo(["d1"], by="Sam", why=None, at=NOW, seen_as_of=AS_OF) == 1
    assert _states(state, {"record_id": "a"}) == {"a R07": "open"}
    for name, told in (
        ("D1", "taken back already"),
        ("B2", "taken back already"),
        ("D99", "no decision"),
        ("4", "no decision"),
        ("D4", "no decision"),
    ):
        with pytest.raises(DecisionError, match=told):
            book.undo([name], by="Sam", why=None, at=NOW, seen_as_of=AS_OF)


def test_a_batch_is_one_commit_and_a_refused_undo_writes_nothing(state: Path) -> None:
    _decide(state, "waive")
    Decisions(state).append(
        [Decision("waive", Breach(key, "R07", 1), "x") for key in "bcd"], by="Rita", at=NOW, seen_as_of=AS_OF
    )
    assert DeltaTable(state / "decisions").version() == 1
    with pytest.raises(DecisionError):
        Decisions(state).undo(["D1", "D77"], by="Sam", why=None, at=NOW, seen_as_of=AS_OF)
    assert DeltaTable(state / "decisions").version() == 1
    assert [row["batch_seq"] for row in Decisions(state).rows().to_pylist()] == [1, 2, 2, 2]


def test_rank_is_amount_at_risk_times_nearness_and_an_unknown_amount_is_not_zero(state: Path) -> None:
    deals = {
        "soon": {"amount": 1000}, "late": {"amount": 1900, "close_on": date(2026, 7, 31)}, "past": {"amount": 900, "close_on": date(2026, 6, 1)},
        "none": {"amount": None}, "zero": {"amount": 0, "process": "Other"}, "won": {"amount": 99999, "open": False, "won": True},
    }  # fmt: skip
    found = worklist(_mart(*({"record_id": key} for key in deals), deals=deals), state)
    assert [(row["record_id"], row["priority"]) for row in found.breaches] == [
        ("none", 1000.0), ("soon", 1000.0), ("zero", 1000.0), ("late", 950.0), ("past", 900.0), ("won", 0.0),
    ]  # fmt: skip
    assumed = {row["record_id"] for row in found.breaches if row["amount_is_assumed"]}
    assert assumed == {"none", "zero"}
    assert {row["record_id"]: row["amount"] for row in found.breaches}["none"] is None
    assert found.items[-1]["amount"] == Decimal("99999.00")


def test_one_item_per_record_holds_its_breaches_and_visits_of_one_rule_are_one(state: Path) -> None:
    visits = [
        {"record_id": "a", "rule": "R09", "number": 9, "row_key": f"v{n}", "observed": f"stage {n}"} for n in (1, 2)
    ]
    (item,) = worklist(_mart({"record_id": "a"}, *visits, deals={"a": {}}), state).items
    assert [(one["rule"], one["observed"]) for one in item["breaches"]] == [("R07", "0"), ("R09", "stage 1; stage 2")]
    assert (
        item["breaches"][0]["looked_for"]
        == "an amount on the deal (Opportunity.Amount); the close date (Opportunity.CloseDate)"
    )


def test_who_is_to_act_goes_from_owner_to_manager_to_the_definition_s_owner(state: Path) -> None:
    deals = {
        "a": {},
        "b": {"owner_id": "u2", "owner": "Gone"},
        "c": {"owner_id": "u3", "owner": "Gone"},
        "d": {"owner_id": "u9", "owner": None},
    }
    found = worklist(
        _mart(
            *({"record_id": key} for key in deals),
            {"record_id": "a", "rule": "R06", "number": 6, "accountable": "Salesforce admin"},
            deals=deals,
        ),
        state,
    )
    who = {f"{row['record_id']} {row['rule']}": row["who"] for row in found.breaches}
    assert who == {"a R06": "Salesforce admin", "a R07": "Ann", "b R07": "Max", "c R07": "rev-ops", "d R07": "rev-ops"}


def test_what_is_older_than_its_rule_is_backlog(state: Path) -> None:
    first = AS_OF - 10 * DAY
    deals = {"a": {}, "b": {"created_at": datetime(2026, 6, 15)}, "c": {}}  # noqa: DTZ001
    breaches = (
        {"record_id": "a", "first_seen_at": first},
        {"record_id": "b", "first_seen_at": first},
        {"record_id": "c"},
    )
    mart = _mart(*breaches, deals=deals)
    assert {row["record_id"]: row["age"] for row in worklist(mart, state).breaches} == {
        "a": "backlog",
        "b": "new",
        "c": "new",
    }
    assert [row["record_id"] for row in worklist(mart, state, Chosen(age="backlog")).breaches] == ["a"]


def test_a_choice_that_names_nothing_known_is_refused(state: Path) -> None:
    mart = _mart({"record_id": "a"})
    assert (
        len(
            worklist(
                mart, state, Chosen(rule="7", owner="Ann", stage="Proposal", sales_process="New", who="Ann")
            ).breaches
        )
        == 1
    )
    assert worklist(mart, state, Chosen(rule="R09")).breaches == []
    with pytest.raises(SettingsError, match="no rule 'R77'"):
        worklist(mart, state, Chosen(rule="R77"))
    with pytest.raises(SettingsError, match=r"no owner 'Anne'. Did you mean 'Ann'?"):
        worklist(mart, state, Chosen(owner="Anne"))


def test_two_who_decide_at_once_never_share_a_number_and_lose_nothing_in_silence(state: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from dagster_project.errors import LeanfunnelError

    def one(number: int) -> int | None:
        try:
            return _decide(state, "waive", record=f"r{number}")
        except LeanfunnelError:
            return None

    _decide(state, "waive")
    with ThreadPoolExecutor(4) as pool:
        batches = [batch for batch in pool.map(one, range(12)) if batch is not None]
    rows = Decisions(state).rows().to_pylist()
    assert len(batches) == len(set(batches)) > 0
    assert [row["decision_seq"] for row in rows] == list(range(1, len(batches) + 2))


def test_seen_from_the_past_a_decision_that_was_not_made_yet_is_not_there(state: Path) -> None:
    """One made then, one made on a later publication, and one made later about what was seen then."""
    from dagster_project.contracts.kept import show_kept
    from dagster_project.warehouse.control import _DDL

    then, book = AS_OF - 10 * DAY, Decisions(state)
    for record, seen, at in (("a", then, then), ("b", AS_OF, AS_OF), ("c", then, AS_OF)):
        made = at.replace(tzinfo=UTC)
        book.append(
            [Decision("waive", Breach(record, "R07", 1), "x")], by="Rita", at=made, seen_as_of=seen.replace(tzinfo=UTC)
        )

    def shown(as_of: datetime, *, is_newest: bool) -> list[str]:
        with duckdb.connect() as warehouse:
            warehouse.execute("SET TimeZone = 'UTC'")
            warehouse.execute(_DDL)
            show_kept(warehouse, state, as_of, is_newest=is_newest)
            return [row[0] for row in warehouse.execute("SELECT record_id FROM audit.decision ORDER BY 1").fetchall()]

    assert shown(AS_OF, is_newest=True) == ["a", "b", "c"]
    assert shown(AS_OF - 5 * DAY, is_newest=False) == ["a"]
    assert shown(then - DAY, is_newest=False) == []
    # a publication that stands still: what was decided on it since then belongs to it
    assert shown(AS_OF - 5 * DAY, is_newest=True) == ["a", "c"]
