from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from salesforce_simulator.errors import ApiError, InputError
from salesforce_simulator.org import STAGE_PICKLIST, Org


def _utc(*parts: int) -> datetime:
    """An instant as the org stores it: UTC, without time zone."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)


def _one(org: Org, sql: str) -> object:
    with org.cursor() as cursor:
        row = cursor.execute(sql).fetchone()
    return row[0] if row and len(row) == 1 else row


def test_missing_system_fields_are_filled_in_and_reported() -> None:
    org = Org({"Account": pa.table({"Name": ["a", "b"], "LastModifiedDate": ["2024-01-01T00:00:00Z", None]})})
    assert org.now == datetime(2024, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert _one(org, 'SELECT list("Id" ORDER BY "Name") FROM "Account"') == ["001000000000001AAA", "001000000000002AAA"]
    assert _one(org, 'SELECT max("CreatedDate") FROM "Account"') == _utc(2024, 1, 1, 0, 0, 1)
    assert _one(org, 'SELECT count(*) FROM "Account" WHERE NOT "IsDeleted"') == 2
    reported = " ".join(org.reports)
    for field in ("Id", "IsDeleted", "CreatedDate", "LastModifiedDate", "SystemModstamp"):
        assert f"Account.{field}:" in reported
    assert "LastModifiedDate: filled in for 1 records" in reported


def test_an_org_without_any_time_asks_for_its_clock() -> None:
    with pytest.raises(InputError, match="--now"):
        Org({"Account": pa.table({"Name": ["a"]})})


def test_objects_have_only_the_fields_that_their_table_has(org: Org) -> None:
    opportunity = org.find("opportunity")
    assert opportunity is not None
    assert opportunity.field("amount") is not None
    assert opportunity.field("LeadSource") is None
    assert org.find("Contact") is None


def test_typed_columns_are_taken_as_they_are() -> None:
    stamp = pa.array([datetime(2024, 3, 1, 10, tzinfo=UTC)], pa.timestamp("us", "Europe/Berlin"))
    org = Org({"Account": pa.table({"Id": ["001000000000001AAA"], "Name": ["a"], "SystemModstamp": stamp})})
    assert _one(org, 'SELECT "SystemModstamp" FROM "Account"') == _utc(2024, 3, 1, 10)


def test_upsert_takes_records_exactly_as_given(org: Org) -> None:
    stamp = "2020-01-01T00:00:00.000+0000"
    org.upsert("Opportunity", [{"Id": "006000000000001", "amount": 7, "SystemModstamp": stamp}])
    found = _one(
        org, 'SELECT "Amount", "Name", "SystemModstamp" FROM "Opportunity" WHERE "Id" = \'006000000000001AAA\''
    )
    assert found == (7, "One", _utc(2020, 1, 1))
    org.upsert("Opportunity", [{"Id": "006000000000099", "Name": "new"}])
    created = _one(org, 'SELECT "CreatedDate" FROM "Opportunity" WHERE "Name" = \'new\'')
    assert created == _utc(2024, 5, 15, 12)


@pytest.mark.parametrize(
    ("name", "row", "code"),
    [
        ("Nothing", {"Id": "006000000000001"}, "NOT_FOUND"),
        ("Opportunity", {"Id": "006000000000001", "Nope": 1}, "INVALID_FIELD"),
        ("Opportunity", {"Id": "006000000000001", "Amount": "much"}, "JSON_PARSER_ERROR"),
        ("Opportunity", {"Id": "006000000000001", "CloseDate": "soon"}, "JSON_PARSER_ERROR"),
    ],
)
def test_upsert_refuses_what_it_cannot_store(org: Org, name: str, row: dict[str, object], code: str) -> None:
    with pytest.raises(ApiError) as error:
        org.upsert(name, [row])
    assert error.value.code == code


def test_no_id_is_given_twice_even_after_its_record_is_gone_for_good() -> None:
    org = Org({"Account": pa.table({"Name": ["a", "b"], "LastModifiedDate": ["2024-01-01T00:00:00Z"] * 2})})
    assert org.purge("Account", "001000000000002AAA") == 1
    org.upsert("Account", [{"Name": "c"}])
    assert _one(org, 'SELECT list("Id" ORDER BY "Name") FROM "Account"') == ["001000000000001AAA", "001000000000003AAA"]


def test_stages_per_record_type_come_from_the_picklist_table_else_from_the_active_stages() -> None:
    stages = pa.table(
        {
            "Id": ["01J000000000001", "01J000000000002", "01J000000000003"],
            "MasterLabel": ["Late", "Early", "Old"],
            "ApiName": ["late", "early", "old"],
            "SortOrder": ["2", "1", "3"],
            "IsActive": ["true", "true", "false"],
            "CreatedDate": ["2024-01-01T00:00:00Z"] * 3,
        }
    )
    types = pa.table(
        {"Id": ["012000000000001", "012000000000002"], "Name": ["A", "B"], "CreatedDate": ["2024-01-01T00:00:00Z"] * 2}
    )
    offered = pa.table(
        {
            "RecordTypeId": ["012000000000001"] * 2,
            "StageName": ["late", "early"],
            "Label": ["L", None],
            "Position": ["1", "2"],
        }
    )
    org = Org({"OpportunityStage": stages, "RecordType": types, STAGE_PICKLIST: offered})
    assert org.stage_values("012000000000001AAA") == [("late", "L"), ("early", "early")]
    assert org.stage_values("012000000000002") == [("early", "Early"), ("late", "Late")]
    assert org.stage_values("012000000000000AAA") == [("early", "Early"), ("late", "Late")]
    assert org.stage_values("012000000000009AAA") is None
    assert org.find(STAGE_PICKLIST) is None
