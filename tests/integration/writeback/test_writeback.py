"""The worklist back in Salesforce, over a real socket: what is written, what is left alone, and what happens when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from dagster_project import writeback
from dagster_project.contracts.decisions import Breach, Decision, Decisions
from dagster_project.errors import BudgetReachedError, SalesforceError
from dagster_project.salesforce import writing
from dagster_project.salesforce.budget import Bounds
from salesforce_simulator import ids
from salesforce_simulator.org import Refusal

# the org and the mart of conftest.py
ANN, BOB, BOSS = (ids.numbered("005", number) for number in (2, 3, 4))
DEALS = [ids.numbered("006", number) for number in range(1, 9)]
Bench = Any
ITEM = "Leanfunnel_Item__c"


def _run(
    bench: Bench, form: str = "object", *, yes: bool = True, limit: int | None = None, calls: int | None = None
) -> writeback.Outcome:
    bench.mart.write()
    outcome = writeback.write_back(
        bench.home, bench.credentials, "62.0", form, bounds=Bounds(calls), write=yes, limit=limit
    )
    refused = len(outcome.refused) + outcome.counts().get("refused", 0)
    if yes:
        assert outcome.planned == outcome.written + outcome.unchanged + refused
    return outcome


def _writes(bench: Bench) -> int:
    return sum(n for kind, n in bench.service.requests.items() if kind.startswith(("collection_", "record_")))


@pytest.mark.parametrize("form", ["object", "tasks"])
def test_a_dry_run_writes_nothing_and_tells_what_yes_then_does(bench: Bench, form: str) -> None:
    for deal in range(3):
        bench.mart.breach(deal)
    bench.mart.breach(1, "R06")
    deals = bench.service.org.truth("Opportunity")
    dry = _run(bench, form, yes=False)
    assert _writes(bench) == 0
    assert dry.counts() == {"create": 3}
    done = _run(bench, form)
    assert done.entries == dry.entries
    held = bench.items if form == "object" else bench.tasks
    assert sorted(held) == DEALS[:3]
    for entry in dry.entries:
        for name, value in entry.body.items():
            stored = held[entry.key][name]
            shown = stored.isoformat() if isinstance(stored, date) else stored
            assert str(shown)[:19] == str(value)[:19] if isinstance(stored, datetime) else shown == value
    assert bench.service.org.truth("Opportunity") == deals


def test_an_item_says_what_why_fix_and_who(bench: Bench) -> None:
    bench.mart.breach(1, observed_value=" 5 days\r\nor more ")
    bench.mart.breach(1, "R06")
    _run(bench)
    item = bench.items[DEALS[1]]
    assert item["Headline__c"] == "R06 Title R06; R07 Title R07"
    assert item["What__c"] == "R06 Title R06: none (agreed: some)\nR07 Title R07:  5 days\nor more  (agreed: some)"
    assert (item["Rules__c"], item["Rule_Count__c"]) == ("R06; R07", 2)
    assert (item["Opportunity__c"], item["OwnerId"], item["Accountable__c"]) == (DEALS[1], ANN, "Ann Lee")
    assert (float(item["Amount_At_Risk__c"]), item["Close_Date__c"]) == (2000.0, date(2026, 7, 31))
    assert item["Standing_Since__c"] == datetime(2026, 6, 1, 8, 30)  # noqa: DTZ001 - as it is stored
    assert (item["Status__c"], item["Closed_On__c"]) == ("Open", None)


@pytest.mark.parametrize("form", ["object", "tasks"])
def test_a_second_run_writes_nothing_and_a_change_only_what_changed(bench: Bench, form: str) -> None:
    for deal in range(4):
        bench.mart.breach(deal)
    _run(bench, form)
    before = _writes(bench)
    again = _run(bench, form)
    assert (again.written, again.unchanged, _writes(bench)) == (0, 4, before)
    bench.mart.rows[2]["fix"] = "owner: do something else."
    changed = _run(bench, form)
    assert [(entry.action, entry.key) for entry in changed.to_write] == [("update", DEALS[2])]
    assert changed.written == 1


def test_what_people_write_in_other_fields_and_whom_they_hand_it_to_stays(bench: Bench) -> None:
    bench.mart.breach(0)
    _run(bench, "tasks")
    task = bench.tasks[DEALS[0]]
    bench.as_person().update(
        "Task", task["Id"], {"ActivityDate": "2026-07-09", "Status": "In Progress", "OwnerId": BOSS}
    )
    bench.mart.rows[0]["fix"] = "owner: do something else."
    assert _run(bench, "tasks").written == 1
    after = bench.tasks[DEALS[0]]
    assert "do something else" in after["Description"]
    assert (after["ActivityDate"], after["Status"], after["OwnerId"]) == (date(2026, 7, 9), "In Progress", BOSS)


@pytest.mark.parametrize("form", ["object", "tasks"])
def test_what_was_resolved_is_closed_and_opened_again_when_it_comes_back(bench: Bench, form: str) -> None:
    bench.mart.breach(0)
    bench.mart.breach(1)
    _run(bench, form)
    foreign = bench.service.org.truth("Task")[0]
    bench.mart.mend(0)
    closed = _run(bench, form)
    assert [(entry.action, entry.key) for entry in closed.to_write] == [("close", DEALS[0])]
    target = writeback.TARGETS[form]
    held = bench.items if form == "object" else bench.tasks
    assert held[DEALS[0]][target.status] == target.status_closed
    assert held[DEALS[0]][target.closed_on] == date(2026, 7, 1)
    assert held[DEALS[1]][target.status] == target.status_open
    assert _run(bench, form).to_write == []
    bench.mart.breach(0)
    assert [entry.action for entry in _run(bench, form).to_write] == ["reopen"]
    held = bench.items if form == "object" else bench.tasks
    assert (held[DEALS[0]][target.status], held[DEALS[0]][target.closed_on]) == (target.status_open, None)
    assert bench.service.org.truth("Task")[0] == foreign


def test_a_task_that_a_person_completed_is_left_alone_while_the_breach_stands(bench: Bench) -> None:
    bench.mart.breach(0)
    _run(bench, "tasks")
    bench.as_person().update("Task", bench.tasks[DEALS[0]]["Id"], {"Status": "Completed"})
    outcome = _run(bench, "tasks")
    assert (outcome.counts(), outcome.unchanged) == ({"closed by hand": 1}, 1)
    bench.mart.mend(0)
    _run(bench, "tasks")
    bench.mart.breach(0)
    assert _run(bench, "tasks").counts() == {"reopen": 1}


def test_nothing_counts_as_resolved_where_a_rule_was_not_measured_or_the_record_is_unknown(bench: Bench) -> None:
    for deal in range(3):
        bench.mart.breach(deal, "R06" if deal == 1 else "R07")
    _run(bench)
    bench.mart.rows = []
    bench.mart.states["R06"] = "not measurable"
    bench.mart.breach(2, status="unknown")
    assert {entry.key: entry.action for entry in _run(bench).entries} == {
        DEALS[0]: "close", DEALS[1]: "kept", DEALS[2]: "kept",
    }  # fmt: skip
    assert bench.items[DEALS[1]]["Status__c"] == "Open"


def test_only_what_is_enforced_and_not_decided_is_written(bench: Bench) -> None:
    bench.mart.breach(0)
    bench.mart.breach(1, mode="observe")
    bench.mart.breach(2, record_id=None, row_key="all losses")
    _run(bench)
    assert sorted(bench.items) == DEALS[:1]
    snoozed = Decision("snooze", Breach(DEALS[0], "R07", 1), why="on leave", until_on=date(2026, 9, 1))
    now = datetime(2026, 7, 1, tzinfo=UTC)
    Decisions(bench.home.state).append([snoozed], by="Rita", at=now, seen_as_of=now.replace(tzinfo=None))
    outcome = _run(bench)
    assert (outcome.counts(), outcome.without_record) == ({"close": 1}, 1)


def test_the_manager_acts_for_who_left_and_who_cannot_be_found_is_told(bench: Bench) -> None:
    bench.mart.breach(0, owner_id=BOB, owner_name="Bob Roy")
    bench.mart.breach(1, accountable="rev-ops")
    tasks = _run(bench, "tasks")
    assert bench.tasks[DEALS[0]]["OwnerId"] == BOSS
    assert [(entry.action, entry.note) for entry in tasks.entries if entry.key == DEALS[1]] == [
        ("refused", "no user of the org is called rev-ops")
    ]
    _run(bench)
    assert (bench.items[DEALS[1]]["Accountable__c"], bench.items[DEALS[1]]["OwnerId"]) == (
        "rev-ops", bench.service.auth.user_id,
    )  # fmt: skip


@pytest.mark.parametrize("form", ["object", "tasks"])
def test_what_the_org_refuses_is_told_by_record_and_stops_no_other(
    bench: Bench, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_FIRST_WAIT_SECONDS", 0.0)
    target = writeback.TARGETS[form]
    for deal in range(5):
        bench.mart.breach(deal)
    rule = ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Not in July.")
    locked = ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
    for deal, reason, times in ((1, rule, None), (2, locked, 2), (3, locked, None)):
        bench.service.org.refuse(Refusal(target.object, target.key, DEALS[deal], *reason, times))
    bench.as_person().delete("Opportunity", DEALS[4])
    outcome = _run(bench, form)
    assert sorted(bench.items if form == "object" else bench.tasks) == [DEALS[0], DEALS[2]]
    assert {key: told.split(":")[0] for key, told in outcome.refused.items()} == {
        DEALS[1]: rule[0], DEALS[3]: locked[0], DEALS[4]: "ENTITY_IS_DELETED",
    }  # fmt: skip
    assert "Not in July." in outcome.refused[DEALS[1]]
    assert (outcome.planned, outcome.written, outcome.unchanged) == (5, 2, 0)
    bench.service.org.refusals.clear()
    assert _run(bench, form).written == 2


@pytest.mark.parametrize("form", ["object", "tasks"])
@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_run_that_is_cut_off_and_run_again_leaves_no_doubles(
    bench: Bench, form: str, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MOST", 2)
    for deal in range(8):
        bench.mart.breach(deal)
    kind = "collection_upsert" if form == "object" else "collection_create"
    if lost == "before":
        fault = {"kind": "request_limit_exceeded", "on": kind, "skip": 1, "count": 1}
    else:
        # the org carries it out, the answer is lost on the way; more often than an upsert is repeated
        fault = {"kind": "reset", "on": kind, "skip": 1, "count": 6}
    bench.service.faults.plan([fault])
    with pytest.raises(SalesforceError, match="2 of 8 records were written before") as error:
        _run(bench, form)
    assert "run it again" in str(error.value)
    bench.service.faults.clear()
    again = _run(bench, form)
    assert sorted(bench.items if form == "object" else bench.tasks) == DEALS
    assert again.written == (6 if lost == "before" else 4)


def test_a_limit_takes_the_most_at_risk_first_and_leaves_the_rest_for_later(bench: Bench) -> None:
    for deal in range(5):
        bench.mart.breach(deal)
    first = _run(bench, limit=2)
    assert sorted(bench.items) == DEALS[3:5]
    assert (first.planned, first.counts()) == (2, {"create": 2, "later": 3})
    assert _run(bench).written == 3


def test_more_than_a_set_goes_in_as_many_calls_as_it_takes(bench: Bench) -> None:
    for number in range(450):
        bench.mart.breach(0, record_id=f"001{number:012d}AAA", row_key=str(number))
    outcome = _run(bench)
    assert (outcome.written, bench.service.requests["collection_upsert"]) == (450, 3)
    assert _run(bench).unchanged == 450


def test_it_refuses_another_org_an_org_without_the_object_and_a_budget_that_is_used_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.mart.breach(0)
    bench.service.org.hide_field(ITEM, "Fix__c")
    with pytest.raises(SalesforceError, match=r"lacks Fix__c") as error:
        _run(bench)
    assert "Leanfunnel_Write_Items" in str(error.value)
    bench.mart.org_id = "00D000000000099AAA"
    with pytest.raises(SalesforceError, match="was made from the org 00D000000000099AAA"):
        _run(bench, "tasks")
    bench.mart.org_id = bench.service.org.organization_id()
    monkeypatch.setattr(writing, "MOST", 1)
    bench.mart.breach(1)
    with pytest.raises(BudgetReachedError, match="writing takes 2 API requests, and 1 are left"):
        _run(bench, "tasks", calls=5)
    assert _writes(bench) == 0


def _command(bench: Bench, *arguments: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SALESFORCE_", "LEANFUNNEL_"))}
    login = {
        "SALESFORCE_LOGIN_URL": bench.service.base_url,
        "SALESFORCE_CLIENT_ID": bench.service.options.client_id,
        "SALESFORCE_CLIENT_SECRET": bench.service.options.client_secret,
    }
    command = str(Path(sys.executable).with_name("leanfunnel"))
    return subprocess.run(
        [command, "writeback", "--home", str(bench.home.root), *arguments],
        capture_output=True, text=True, timeout=120, env={**inherited, **login}, cwd=bench.home.root, check=False,
    )  # fmt: skip


def test_the_command_is_off_until_it_is_switched_on_shows_first_and_writes_with_yes(bench: Bench) -> None:
    bench.mart.breach(0)
    bench.mart.breach(1)
    bench.mart.write()
    off = _command(bench, "--yes")
    assert (off.returncode, _writes(bench)) == (2, 0)
    assert "writing back is switched off" in off.stderr
    bench.home.settings_file.write_text("write_back: object\n")
    dry = _command(bench, "--format", "json")
    assert dry.returncode == 0, dry.stderr
    assert _writes(bench) == 0
    assert "2 records = 2 to write + 0 unchanged + 0 refused" in dry.stderr
    bench.service.org.refuse(Refusal(ITEM, "Item_Key__c", DEALS[1], "FIELD_CUSTOM_VALIDATION_EXCEPTION", "No."))
    done = _command(bench, "--format", "json", "--yes")
    assert done.returncode == 3
    assert "2 records = 1 written + 0 unchanged + 1 refused" in done.stderr
    told: list[dict[str, Any]] = json.loads(done.stdout)
    assert [row | {"note": None} for row in told] == json.loads(dry.stdout)
    assert {row["record"]: row["note"] for row in told} == {
        DEALS[0]: None, DEALS[1]: "FIELD_CUSTOM_VALIDATION_EXCEPTION: No.",
    }  # fmt: skip


def test_dagster_writes_after_the_publication(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster import AssetKey, materialize

    from dagster_project.assets.written_back import build_written_back
    from dagster_project.resources import LeanfunnelResource

    bench.mart.breach(0)
    bench.mart.breach(1)
    bench.mart.write()
    bench.home.settings_file.write_text("write_back: tasks\n")
    bench.service.org.refuse(Refusal("Task", "Leanfunnel_Key__c", DEALS[1], "FIELD_CUSTOM_VALIDATION_EXCEPTION", "No."))
    monkeypatch.setenv("SALESFORCE_LOGIN_URL", bench.service.base_url)
    monkeypatch.setenv("SALESFORCE_CLIENT_ID", bench.service.options.client_id)
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", bench.service.options.client_secret)
    asset = build_written_back()
    assert asset.asset_deps[AssetKey(["salesforce", "worklist"])] == {AssetKey(["published", "mart"])}
    run = materialize([asset], resources={"leanfunnel": LeanfunnelResource(home=str(bench.home.root))})
    (made,) = run.asset_materializations_for_node("salesforce__worklist")
    told = {name: value.value for name, value in made.metadata.items() if name != "api_calls"}
    assert told == {"planned": 2, "written": 1, "unchanged": 0, "refused": 1}
    assert sorted(bench.tasks) == DEALS[:1]
