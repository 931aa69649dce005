from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
import requests
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceMalformedRequest, SalesforceResourceNotFound

from salesforce_simulator.changes import Changes
from salesforce_simulator.errors import ApiError
from salesforce_simulator.org import Org
from salesforce_simulator.server import serve
from salesforce_simulator.service import Options, Service

DATA = "/services/data/v62.0"
_STAMP = ["2024-05-01T00:00:00Z"]


@pytest.fixture
def service() -> Iterator[Service]:
    tables = {
        "User": pa.table({"Id": ["005000000000001"], "Name": ["Ann"], "CreatedDate": _STAMP}),
        "Account": pa.table(
            {
                "Id": ["001000000000001", "001000000000002"],
                "Name": ["Acme", "Acme Inc"],
                "MasterRecordId": pa.array([None, None], pa.string()),
                "Code__c": ["A-1", None],
                "OwnerId": ["005000000000001"] * 2,
                "CreatedDate": _STAMP * 2,
            }
        ),
        "Contact": pa.table({"Id": ["003000000000001"], "LastName": ["Roe"], "AccountId": ["001000000000002"]}),
        "Lead": pa.table(
            {
                "Id": ["00Q000000000001"],
                "LastName": ["Doe"],
                "Company": ["Doe Ltd"],
                "Status": ["Open - Not Contacted"],
                "IsConverted": [False],
                "ConvertedAccountId": pa.array([None], pa.string()),
                "ConvertedOpportunityId": pa.array([None], pa.string()),
            }
        ),
        "OpportunityStage": pa.table(
            {
                "Id": ["01J000000000001", "01J000000000002"],
                "MasterLabel": ["Open", "Closed Won"],
                "ApiName": ["Open", "Closed Won"],
                "IsActive": [True, True],
                "IsClosed": [False, True],
                "IsWon": [False, True],
                "DefaultProbability": [10.0, 100.0],
                "ForecastCategoryName": ["Pipeline", "Closed"],
            }
        ),
        "Opportunity": pa.table(
            {
                "Id": ["006000000000001"],
                "Name": ["Deal"],
                "AccountId": ["001000000000001"],
                "StageName": ["Open"],
                "Amount": [5.0],
                "CloseDate": ["2024-06-01"],
                "Probability": [10.0],
                "IsClosed": [False],
                "IsWon": [False],
                "ForecastCategory": ["Pipeline"],
                "LastStageChangeDate": pa.array([None], pa.timestamp("us")),
                "CreatedDate": _STAMP,
            }
        ),
        "OpportunityHistory": pa.table(
            {
                "Id": ["008000000000001"],
                "OpportunityId": ["006000000000001"],
                "StageName": ["Open"],
                "Amount": [5.0],
                "Probability": [10.0],
                "CloseDate": ["2024-06-01"],
                "CreatedDate": _STAMP,
            }
        ),
    }
    org = Org(tables, now=datetime(2024, 5, 15, 12, tzinfo=UTC))
    with serve(org, options=Options(control=True)) as running:
        yield running


def _ids(http: requests.Session, query: str) -> list[str]:
    return [r["Id"] for r in http.get(f"{DATA}/query", params={"q": query}).json()["records"]]


def test_a_record_is_created_read_changed_and_deleted(salesforce: Salesforce, http: requests.Session) -> None:
    made = salesforce.Contact.create({"LastName": "New", "AccountId": "001000000000001"})
    assert made["success"] is True
    found = salesforce.Contact.get(made["id"])
    assert (found["LastName"], found["AccountId"], found["IsDeleted"]) == ("New", "001000000000001AAA", False)
    assert found["CreatedDate"] == found["SystemModstamp"] == "2024-05-15T12:00:00.000+0000"
    http.post("/simulator/clock", json={"now": "2024-05-15T13:00:00Z"})
    assert salesforce.Contact.update(made["id"], {"LastName": "Newer"}) == 204
    changed = http.get(f"{DATA}/sobjects/Contact/{made['id']}?fields=LastName,SystemModstamp").json()
    assert changed["LastName"] == "Newer"
    assert changed["SystemModstamp"] == "2024-05-15T13:00:00.000+0000"
    assert salesforce.Contact.delete(made["id"]) == 204
    with pytest.raises(SalesforceResourceNotFound, match="ENTITY_IS_DELETED"):
        salesforce.Contact.get(made["id"])


def test_a_stage_move_writes_history_and_flags_as_the_service_does(
    salesforce: Salesforce, http: requests.Session
) -> None:
    http.post("/simulator/clock", json={"now": "2024-05-16T00:00:00Z"})
    salesforce.Opportunity.update("006000000000001", {"StageName": "Closed Won"})
    deal = salesforce.Opportunity.get("006000000000001")
    assert (deal["IsClosed"], deal["IsWon"], deal["Probability"]) == (True, True, 100.0)
    assert (deal["ForecastCategory"], deal["LastStageChangeDate"]) == ("Closed", "2024-05-16T00:00:00.000+0000")
    history = salesforce.query(
        "SELECT StageName, Amount, Probability, CreatedDate FROM OpportunityHistory ORDER BY CreatedDate"
    )
    assert [(h["StageName"], h["Probability"]) for h in history["records"]] == [("Open", 10.0), ("Closed Won", 100.0)]
    salesforce.Opportunity.update("006000000000001", {"Name": "Renamed"})
    assert salesforce.query("SELECT COUNT() FROM OpportunityHistory")["totalSize"] == 2


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("Contact", {}, "REQUIRED_FIELD_MISSING"),
        ("Contact", {"LastName": "x", "Nope": 1}, "INVALID_FIELD"),
        ("Contact", {"LastName": "x", "CreatedDate": "2024-01-01T00:00:00Z"}, "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ("Contact", {"LastName": "x", "AccountId": "acme"}, "MALFORMED_ID"),
        ("Contact", {"LastName": "x" * 81}, "STRING_TOO_LONG"),
        ("OpportunityHistory", {}, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"),
    ],
)
def test_what_cannot_be_written_is_refused(
    salesforce: Salesforce, name: str, values: dict[str, Any], code: str
) -> None:
    with pytest.raises(SalesforceMalformedRequest) as error:
        getattr(salesforce, name).create(values)
    assert error.value.content[0]["errorCode"] == code


def test_upsert_goes_by_external_id(salesforce: Salesforce, http: requests.Session) -> None:
    assert salesforce.Account.upsert("Code__c/A-1", {"Name": "Acme 2"}) == 200
    assert salesforce.Account.upsert("Code__c/B-9", {"Name": "Beta"}) == 201
    assert salesforce.Account.get_by_custom_id("Code__c", "B-9")["Name"] == "Beta"
    assert http.patch(f"{DATA}/sobjects/Account/Nope__c/1", json={"Name": "x"}).status_code == 404


def test_collections_answer_for_each_record(http: requests.Session) -> None:
    typed = {"attributes": {"type": "Contact"}}
    body = {"allOrNone": False, "records": [{**typed, "LastName": "One"}, typed, {**typed, "LastName": "Two"}]}
    results = http.post(f"{DATA}/composite/sobjects", json=body).json()
    assert [r["success"] for r in results] == [True, False, True]
    assert results[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    first, second = results[0]["id"], results[2]["id"]
    changed = http.patch(f"{DATA}/composite/sobjects", json={"records": [{**typed, "id": first, "LastName": "1"}]})
    assert changed.json() == [{"id": first, "success": True, "errors": []}]
    asked = {"ids": [second, "003000000000099AAA", first], "fields": ["LastName"]}
    read = http.post(f"{DATA}/composite/sobjects/Contact", json=asked).json()
    assert [r and r["LastName"] for r in read] == ["Two", None, "1"]
    body = {"records": [{"Code__c": "A-1", "Name": "x"}, {"Code__c": "Z", "Name": "y"}]}
    upserted = http.patch(f"{DATA}/composite/sobjects/Account/Code__c", json=body).json()
    assert [r["created"] for r in upserted] == [False, True]
    gone = http.delete(f"{DATA}/composite/sobjects?ids={first},{second}").json()
    assert [r["success"] for r in gone] == [True, True]
    assert _ids(http, "SELECT Id FROM Contact") == ["003000000000001AAA"]


def test_a_batch_answers_each_request(http: requests.Session) -> None:
    parts = [
        {"method": "GET", "url": "v62.0/query?q=SELECT+Id+FROM+Contact"},
        {"method": "GET", "url": "v62.0/nowhere"},
        {"method": "PATCH", "url": "v62.0/sobjects/Contact/003000000000001", "richInput": {"LastName": "Poe"}},
    ]
    answer = http.post(f"{DATA}/composite/batch", json={"batchRequests": parts}).json()
    assert answer["hasErrors"] is True
    assert [r["statusCode"] for r in answer["results"]] == [200, 404, 204]
    assert answer["results"][0]["result"]["totalSize"] == 1
    halted = http.post(f"{DATA}/composite/batch", json={"haltOnError": True, "batchRequests": parts}).json()
    assert [r["statusCode"] for r in halted["results"]] == [200, 404, 412]


def test_deleted_and_updated_ids_come_by_time(salesforce: Salesforce, http: requests.Session) -> None:
    def moved(kind: str, start: str = "2024-05-15T12:00:00Z", end: str = "2024-05-15T18:00:00Z") -> Any:
        return http.get(f"{DATA}/sobjects/Contact/{kind}", params={"start": start, "end": end}).json()

    made = salesforce.Contact.create({"LastName": "New"})["id"]
    assert made in moved("updated")["ids"]
    http.post("/simulator/clock", json={"now": "2024-05-15T14:00:00Z"})
    salesforce.Contact.delete(made)
    deleted = moved("deleted")
    assert deleted["deletedRecords"] == [{"id": made, "deletedDate": "2024-05-15T14:00:00.000+0000"}]
    assert deleted["latestDateCovered"] == "2024-05-15T14:00:00.000+0000"
    assert made not in moved("updated")["ids"]
    http.delete(f"/simulator/rows/Contact/{made}")
    assert [d["id"] for d in moved("deleted", end="2024-05-15T18:00:00+00:00")["deletedRecords"]] == [made]
    http.delete("/simulator/rows/Contact/003000000000001?logged=false")
    assert len(moved("deleted")["deletedRecords"]) == 1
    assert moved("deleted", start="2024-04-01T00:00:00Z")[0]["errorCode"] == "INVALID_REPLICATION_DATE"
    assert salesforce.Contact.deleted(datetime(2024, 5, 15, 12, tzinfo=UTC), datetime(2024, 5, 15, 20, tzinfo=UTC))


def test_deleting_takes_children_along_and_undelete_brings_them_back(service: Service, http: requests.Session) -> None:
    changes = Changes(service.org, service.auth.user_id)
    changes.delete("Account", "001000000000001")
    assert _ids(http, "SELECT Id FROM Opportunity") == []
    assert _ids(http, "SELECT Id FROM OpportunityHistory") == []
    changes.undelete("Account", "001000000000001")
    assert _ids(http, "SELECT Id FROM Opportunity") == ["006000000000001AAA"]
    with pytest.raises(ApiError, match="recycle bin"):
        changes.undelete("Account", "001000000000001")


def test_a_merge_leaves_the_loser_deleted_with_its_master(service: Service, http: requests.Session) -> None:
    Changes(service.org, service.auth.user_id).merge("Account", "001000000000001", "001000000000002")
    found = http.get(
        f"{DATA}/queryAll", params={"q": "SELECT MasterRecordId FROM Account WHERE IsDeleted = true"}
    ).json()
    assert [r["MasterRecordId"] for r in found["records"]] == ["001000000000001AAA"]
    assert _ids(http, "SELECT Id FROM Contact WHERE AccountId = '001000000000001'") == ["003000000000001AAA"]


def test_a_lead_converts_into_account_contact_and_opportunity(service: Service, http: requests.Session) -> None:
    deal = {"Name": "From lead", "StageName": "Open", "CloseDate": "2024-09-01"}
    made = Changes(service.org, service.auth.user_id).convert_lead("00Q000000000001", deal)
    lead = http.get(f"{DATA}/sobjects/Lead/00Q000000000001").json()
    assert (lead["IsConverted"], lead["ConvertedOpportunityId"]) == (True, made["Opportunity"])
    query = f"SELECT Id FROM OpportunityHistory WHERE OpportunityId = '{made['Opportunity']}'"
    assert len(_ids(http, query)) == 1


def test_a_stage_can_be_renamed_and_retired(service: Service, http: requests.Session) -> None:
    Changes(service.org, service.auth.user_id).set_stage("Open", {"MasterLabel": "Working", "IsActive": False})
    base = f"{DATA}/ui-api/object-info/Opportunity/picklist-values/012000000000000AAA/StageName"
    assert [v["value"] for v in http.get(base).json()["values"]] == ["Closed Won"]
    query = {"q": "SELECT MasterLabel, SystemModstamp FROM OpportunityStage WHERE ApiName = 'Open'"}
    assert http.get(f"{DATA}/query", params=query).json()["records"][0]["MasterLabel"] == "Working"
