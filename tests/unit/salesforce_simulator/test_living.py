from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from salesforce_simulator import demo
from salesforce_simulator.errors import ApiError
from salesforce_simulator.living import LivingOrg
from salesforce_simulator.org import Org

_NOW = datetime(2026, 7, 1, tzinfo=UTC)
_USER = "005000000000001AAA"


@pytest.fixture(scope="module")
def company() -> demo.DemoOrg:
    return demo.generate(3, 60, _NOW)


@pytest.fixture
def new_org(company: demo.DemoOrg) -> Callable[[], Org]:
    return lambda: Org(company.tables, now=_NOW)


def test_the_same_seed_lives_the_same_life(new_org: Callable[[], Org]) -> None:
    lives = []
    for _ in range(2):
        org = new_org()
        played = LivingOrg(org, _USER, seed=11).random_changes(60)
        lives.append((played, org.truth("Opportunity"), org.truth("OpportunityHistory")))
    assert lives[0] == lives[1]
    assert len({c["change"] for c in lives[0][0]}) >= 6
    other = new_org()
    assert LivingOrg(other, _USER, seed=12).random_changes(60) != lives[0][0]


def test_every_stage_move_is_the_last_word_of_its_history(new_org: Callable[[], Org]) -> None:
    org = new_org()
    played = LivingOrg(org, _USER, seed=5).random_changes(150)
    moved = {c["id"] for c in played if c["change"] in ("create", "move_stage", "close", "reopen")}
    with org.cursor() as cursor:
        rows = cursor.execute(
            """
            SELECT o."Id", o."StageName", arg_max(h."StageName", (h."CreatedDate", h."Id")), max(h."CreatedDate")
            FROM "Opportunity" o JOIN "OpportunityHistory" h ON h."OpportunityId" = o."Id" GROUP BY 1, 2
            """
        ).fetchall()
    checked = {row[0]: row[1] == row[2] for row in rows if row[0] in moved}
    assert len(checked) > 10
    assert all(checked.values())


def test_a_late_commit_lies_under_the_clock(new_org: Callable[[], Org]) -> None:
    org = new_org()
    found = LivingOrg(org, _USER)._commit_late()
    assert found is not None
    record = next(r for r in map(json.loads, org.truth("Opportunity")) if r["Id"] == found[1])
    assert record["SystemModstamp"].startswith("2026-06-30 23:53:00")
    assert org.now == _NOW


def test_a_script_changes_fields(new_org: Callable[[], Org]) -> None:
    org = new_org()
    living = LivingOrg(org, _USER)
    living.play(
        {"change": "add_field", "object": "Opportunity", "field": "Score__c", "type": "double", "arguments": "5,1"}
    )
    deal = json.loads(org.truth("Opportunity")[0])["Id"]
    living.play({"change": "update", "object": "Opportunity", "id": deal, "values": {"Score__c": 7.5}})
    living.play({"change": "retype_field", "object": "Opportunity", "field": "Score__c", "type": "string"})
    kind = org.find("Opportunity")
    assert kind is not None
    score = kind.field("Score__c")
    assert score is not None
    assert score.type == "string"
    assert json.loads(org.truth("Opportunity")[0])["Score__c"] == "7.5"
    living.play({"change": "remove_field", "object": "Opportunity", "field": "Score__c"})
    assert "Score__c" not in json.loads(org.truth("Opportunity")[0])
    living.play({"change": "update", "object": "Opportunity", "id": deal, "values": {"Name": "still writable"}})


@pytest.mark.parametrize(
    "change",
    [
        {"change": "earthquake"},
        {"change": "delete", "object": "Opportunity"},
        {"change": "add_field", "object": "Opportunity", "field": "X__c", "type": "colour"},
        {"change": "add_field", "object": "Opportunity", "field": "Name", "type": "string"},
        {"change": "remove_field", "object": "Opportunity", "field": "Id"},
    ],
)
def test_a_change_that_is_not_understood_is_refused(new_org: Callable[[], Org], change: dict[str, object]) -> None:
    with pytest.raises(ApiError):
        LivingOrg(new_org(), _USER).play(change)
