"""Records merged away and deleted ones, landed as extraction lands them: with what the deletion itself tells."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

ACCOUNTS = [f"00100000000000000{n}" for n in range(1, 6)]
CONTACTS = [f"00300000000000000{n}" for n in range(1, 6)]
LEAD, OTHER_LEAD = "00Q000000000000001", "00Q000000000000002"


@pytest.fixture
def day(bench: Any) -> Any:
    """An instant of January 2026, days after its first."""
    return lambda days: bench.utc(datetime(2026, 1, 1) + timedelta(days=days))  # noqa: DTZ001 (made UTC here)


def _record(record: str, at: Any, **fields: Any) -> dict[str, Any]:
    return {"Id": record, "IsDeleted": False, "CreatedDate": at, "LastModifiedDate": at, "SystemModstamp": at, **fields}


def _gone(record: str, created: Any, at: Any, master: str | None) -> dict[str, Any]:
    stamps = {"LastModifiedDate": at, "SystemModstamp": at}
    return _record(record, created, Name=record[-1], IsDeleted=True, MasterRecordId=master, **stamps)


def _merges(bench: Any) -> dict[str, tuple[str, int]]:
    rows = bench.rows("select loser_id, master_id, n_merges from intermediate.int_merged_records")
    return {row["loser_id"]: (row["master_id"], row["n_merges"]) for row in rows}


def test_chains_of_merges_are_followed_and_what_referred_to_a_loser_counts_for_its_master(bench: Any, day: Any) -> None:
    first, second, third, lone, late = ACCOUNTS
    ann, bob, cid, dan, eve = CONTACTS
    bench.land("Account", [_record(one, day(0), Name=one[-1]) for one in (second, third, lone, late)])
    # merged away before anything was landed, so that its first version is its deletion
    bench.land("Account", [_gone(first, day(0), day(1), second)], operation="delete")
    bench.land("Contact", [_record(one, day(0)) for one in (bob, cid, eve)])
    bench.land("Contact", [_gone(ann, day(0), day(1), bob), _gone(dan, day(0), day(1), None)], operation="delete")
    bench.land("Lead", [_record(LEAD, day(0))])
    bench.land("Lead", [_gone(OTHER_LEAD, day(0), day(2), LEAD)], operation="delete")
    bench.land("Opportunity", [bench.deal(1, AccountId=first), bench.deal(2, AccountId=third), bench.deal(3)])
    deleted = bench.deal(4, IsDeleted=True, LastModifiedDate=day(6), SystemModstamp=day(6))
    bench.land("Opportunity", [deleted], operation="delete")
    bench.land("OpportunityHistory", [
        _record(f"008{n:015d}", day(3), OpportunityId=bench.deal(n)["Id"], StageName="Prospecting") for n in (1, 4)
    ])  # fmt: skip
    bench.land("OpportunityContactRole", [
        _record(f"00K{n:015d}", day(2), OpportunityId=bench.deal(1)["Id"], ContactId=one)
        for n, one in enumerate((ann, bob, eve), start=1)
    ])  # fmt: skip
    bench.land(
        "CampaignMember", [_record("00v000000000000001", day(1), CampaignId="701000000000000001", LeadId=OTHER_LEAD)]
    )
    bench.land("Case", [_record("500000000000000001", day(1), AccountId=first)])
    call = _record(
        "00T000000000000001", day(4), WhoId=OTHER_LEAD, IsClosed=True, CallType="Outbound", CompletedDateTime=day(4)
    )
    bench.land("Task", [call])
    bench.control()
    bench.build()
    # what hangs on a record that was merged away goes on with the survivor
    assert bench.rows("select lead_id from intermediate.int_campaign_responses") == [{"lead_id": LEAD}]
    assert bench.rows("select account_id from intermediate.int_cases") == [{"account_id": second}]
    worked = bench.rows("select lead_id, first_worked_at from intermediate.int_lead_work where outcome = 'open'")
    assert worked == [{"lead_id": LEAD, "first_worked_at": day(4).replace(tzinfo=None)}]
    assert _merges(bench) == {first: (second, 1), ann: (bob, 1), OTHER_LEAD: (LEAD, 1)}
    visits = "select exit_kind, exited_at from intermediate.int_stage_visits where opportunity_id like '%4'"
    assert bench.rows(visits) == [{"exit_kind": "deleted", "exited_at": day(6).replace(tzinfo=None)}]
    roles = (
        "select contact_roles from intermediate.int_stage_entries where basis = 'reported' and opportunity_id like '%1'"
    )
    assert bench.rows(roles) == [{"contact_roles": "2"}], "Ann and Bob are one"

    # the chain grows by an increment; a merge after as_of is not known yet; an undeleted contact is merged no more
    bench.land("Account", [_gone(second, day(0), day(9), third)], batch=2, operation="delete")
    bench.land("Account", [_gone(late, day(0), day(40), lone)], batch=2, operation="delete")
    bench.land("Contact", [_record(ann, day(0), LastModifiedDate=day(9), SystemModstamp=day(9))], batch=2)
    bench.land("Contact", [_gone(bob, day(0), day(9), cid)], batch=2, operation="delete")
    bench.build()
    by_increments = _merges(bench)
    assert by_increments == {first: (third, 2), second: (third, 1), bob: (cid, 1), OTHER_LEAD: (LEAD, 1)}
    surviving = "select account_id, surviving_account_id as s, account_name as n from intermediate.int_accounts"
    found = {row["account_id"]: (row["s"], row["n"]) for row in bench.rows(surviving)}
    assert found == {
        first: (third, "3"), second: (third, "3"), third: (third, "3"), lone: (lone, "4"), late: (late, "5"),
    }  # fmt: skip
    assert bench.rows(roles) == [{"contact_roles": "3 or more"}], "Ann was restored, and Bob is Cid"
    bench.build(full_refresh=True)
    assert _merges(bench) == by_increments
