"""Writing as an app does it: a deployed object, upserts in sets, and the reasons for which the service refuses a record."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests

from salesforce_simulator import ids
from salesforce_simulator.errors import InputError
from salesforce_simulator.org import Org
from salesforce_simulator.server import serve
from salesforce_simulator.service import Options, Service
from salesforce_simulator.source import deploy

DATA = "/services/data/v62.0"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<{tag} xmlns="http://soap.sforce.com/2006/04/metadata">{body}</{tag}>'
DEALS = [ids.numbered("006", 1), ids.numbered("006", 2)]
USERS = [ids.numbered("005", 1), ids.numbered("005", 2)]


def _write(file: Path, tag: str, **said: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    body = "".join(f"<{name}>{value}</{name}>" for name, value in said.items())
    file.write_text(HEAD.format(tag=tag, body=body))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    objects = tmp_path / "force-app/main/default/objects"
    _write(
        objects / "Note__c/Note__c.object-meta.xml", "CustomObject", label="Note", pluralLabel="Notes",
        nameField="<type>AutoNumber</type>",
    )  # fmt: skip
    fields = objects / "Note__c/fields"
    _write(
        fields / "Key__c.field-meta.xml", "CustomField", fullName="Key__c", label="Key", type="Text", length="18",
        externalId="true", unique="true",
    )  # fmt: skip
    _write(
        fields / "Deal__c.field-meta.xml", "CustomField", fullName="Deal__c", label="Deal", type="Lookup", referenceTo="Opportunity",
    )  # fmt: skip
    _write(
        fields / "Points__c.field-meta.xml", "CustomField", fullName="Points__c", label="Points", type="Number", precision="6",
        scale="1", required="true",
    )  # fmt: skip
    _write(
        objects / "Activity/fields/Mark__c.field-meta.xml", "CustomField", fullName="Mark__c", label="Mark", type="Text", length="8",
    )  # fmt: skip
    return tmp_path


def _org() -> Org:
    return Org(
        {
            "User": pa.table(
                {
                    "Id": USERS,
                    "Username": ["a@example.com", "b@example.com"],
                    "Name": ["A", "B"],
                    "IsActive": [True, False],
                }
            ),
            "Opportunity": pa.table({"Id": DEALS, "Name": ["One", "Two"], "IsDeleted": [False, True]}),
            "Task": pa.table({"Id": [ids.numbered("00T", 1)], "Subject": ["Call"]}),
        },
        now=datetime(2026, 7, 1, tzinfo=UTC),
    )


@pytest.fixture
def service(source: Path) -> Iterator[Service]:
    org = _org()
    assert deploy(org, source) == ["Task.Mark__c", "Note__c", "Note__c.Deal__c", "Note__c.Key__c", "Note__c.Points__c"]
    with serve(org, options=Options(control=True)) as running:
        yield running


def _upsert(http: requests.Session, *records: dict[str, Any]) -> list[dict[str, Any]]:
    typed = [{"attributes": {"type": "Note__c"}, **record} for record in records]
    answer = http.patch(f"{DATA}/composite/sobjects/Note__c/Key__c", json={"allOrNone": False, "records": typed})
    assert answer.status_code == 200
    return answer.json()


def test_what_is_deployed_is_described_with_types_and_its_standard_fields(http: requests.Session) -> None:
    found = {f["name"]: f for f in http.get(f"{DATA}/sobjects/Note__c/describe").json()["fields"]}
    assert (found["Key__c"]["externalId"], found["Key__c"]["unique"], found["Key__c"]["length"]) == (True, True, 18)
    assert (found["Deal__c"]["type"], found["Deal__c"]["referenceTo"]) == ("reference", ["Opportunity"])
    assert (found["Points__c"]["type"], found["Points__c"]["nillable"]) == ("double", False)
    assert (found["Name"]["createable"], found["OwnerId"]["updateable"]) == (False, True)
    task = {f["name"] for f in http.get(f"{DATA}/sobjects/Task/describe").json()["fields"]}
    assert {"Mark__c", "Priority", "Description"} <= task


def test_an_upsert_in_a_set_answers_for_each_record_in_order(http: requests.Session) -> None:
    first = _upsert(http, {"Key__c": "a", "Points__c": 1}, {"Key__c": "b", "Points__c": 2.5})
    assert [(r["success"], r["created"]) for r in first] == [(True, True)] * 2
    second = _upsert(
        http, {"Key__c": "b", "Points__c": 3}, {"Key__c": "c"}, {"Key__c": "d", "Points__c": 1, "No__c": 1}
    )
    assert second[0] == {"id": first[1]["id"], "success": True, "errors": [], "created": False}
    assert [r["errors"][0]["statusCode"] for r in second[1:]] == ["REQUIRED_FIELD_MISSING", "INVALID_FIELD"]
    assert second[1]["errors"][0]["fields"] == ["Points__c"]
    many = [{"Key__c": str(n), "Points__c": n} for n in range(201)]
    body = {"records": [{"attributes": {"type": "Note__c"}, **record} for record in many]}
    assert http.patch(f"{DATA}/composite/sobjects/Note__c/Key__c", json=body).status_code == 400


def test_a_record_is_refused_for_what_it_points_at(http: requests.Session) -> None:
    made = _upsert(
        http,
        {"Key__c": "a", "Points__c": 1, "Deal__c": DEALS[0], "OwnerId": USERS[0]},
        {"Key__c": "b", "Points__c": 1, "Deal__c": DEALS[1]},
        {"Key__c": "c", "Points__c": 1, "OwnerId": USERS[1]},
    )
    assert [r["success"] for r in made] == [True, False, False]
    assert [r["errors"][0]["statusCode"] for r in made[1:]] == ["ENTITY_IS_DELETED", "INACTIVE_OWNER_OR_USER"]


def test_an_external_id_is_unique_and_one_that_is_not_is_told(http: requests.Session, service: Service) -> None:
    _upsert(http, {"Key__c": "a", "Points__c": 1})
    twice = http.post(f"{DATA}/sobjects/Note__c", json={"Key__c": "a", "Points__c": 1})
    assert (twice.status_code, twice.json()[0]["errorCode"]) == (400, "DUPLICATE_VALUE")
    # two that stand from before the field was made unique
    service.org.upsert("Note__c", [{"Key__c": "a", "Points__c": 2}])
    assert _upsert(http, {"Key__c": "a", "Points__c": 3})[0]["errors"][0]["statusCode"] == "DUPLICATE_EXTERNAL_ID"
    alone = http.patch(f"{DATA}/sobjects/Note__c/Key__c/a", json={"Points__c": 3})
    assert alone.status_code == 300
    assert len(alone.json()) == 2
    assert all(url.startswith(f"{DATA}/sobjects/Note__c/a0") for url in alone.json())


def test_rules_and_locks_refuse_a_record_as_often_as_they_are_told(http: requests.Session) -> None:
    locked = {
        "object": "Note__c",
        "field": "Key__c",
        "value": "a",
        "code": "UNABLE_TO_LOCK_ROW",
        "message": "locked",
        "times": 1,
    }
    assert http.post("/simulator/refusals", json=locked).status_code == 200
    assert http.post("/simulator/refusals", json={"object": "Note__c"}).status_code == 400
    record = {"Key__c": "a", "Points__c": 1}
    assert _upsert(http, record)[0]["errors"][0] == {
        "statusCode": "UNABLE_TO_LOCK_ROW",
        "message": "locked",
        "fields": [],
    }
    assert _upsert(http, record)[0]["success"] is True
    assert _upsert(http, record)[0]["created"] is False


def test_a_folder_that_is_no_metadata_is_told_with_its_file(source: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no objects"):
        deploy(_org(), empty)
    fields = source / "force-app/main/default/objects/Note__c/fields"
    _write(fields / "Odd__c.field-meta.xml", "CustomField", fullName="Odd__c", label="Odd", type="Hierarchy")
    with pytest.raises(InputError, match=r"Odd__c\.field-meta\.xml.*'Hierarchy' is not known"):
        deploy(_org(), source)
    (fields / "Odd__c.field-meta.xml").write_text("<CustomField>")
    with pytest.raises(InputError, match="cannot be read"):
        deploy(_org(), source)
