"""The whole catalogue on the generated company: rows equal the org's truth, addresses never lie plain in the landing,
and what an org lacks or hides is recorded instead of failing the run."""

from __future__ import annotations

import hashlib
import hmac
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import SecretStr

from dagster_project.errors import SalesforceError, SettingsError
from dagster_project.landing import LandingLog
from dagster_project.salesforce.auth import ClientCredentials
from dagster_project.salesforce.client import SalesforceClient
from dagster_project.salesforce.extract import ExtractReport, extract_org
from dagster_project.salesforce.guards import Addresses
from dagster_project.salesforce.objects import ESSENTIAL, OBJECTS, STAGE_PICKLIST
from salesforce_simulator.process import running_simulator

KEY = "canary-key-0123456789"
HASHED = Addresses("hashed", SecretStr(KEY))
DESCRIBED = [name for name in OBJECTS if name != STAGE_PICKLIST]


def _extract(org: dict[str, Any], home: Path, *objects: str, **options: Any) -> ExtractReport:
    log = LandingLog(home / "landing")
    with SalesforceClient(ClientCredentials(org["url"], org["client_id"], org["client_secret"])) as client:
        return extract_org(
            client,
            landed=log.state,
            land=lambda batch: log.commit(batch, run_id="r"),
            workdir=home / "work",
            objects=objects or None,
            **options,
        )


def _control(org: dict[str, Any], path: str, method: str = "GET") -> Any:
    request = urllib.request.Request(f"{org['url']}/simulator/{path}", method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def _rows(home: Path, name: str, columns: str) -> list[tuple[Any, ...]]:
    files = LandingLog(home / "landing").state(name).files
    return duckdb.execute(f"SELECT {columns} FROM read_parquet(?, union_by_name = true)", [files]).fetchall()


@pytest.fixture(scope="module")
def org() -> Iterator[dict[str, Any]]:
    with running_simulator(("--demo", "--seed", "5", "--opportunities", "900", "--control")) as ready:
        yield ready


@pytest.fixture(scope="module")
def landed(org: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExtractReport]:
    home = tmp_path_factory.mktemp("whole")
    return home, _extract(org, home, addresses=HASHED)


@pytest.mark.parametrize("name", DESCRIBED)
def test_an_object_lands_with_every_row_of_the_org(
    landed: tuple[Path, ExtractReport], org: dict[str, Any], name: str
) -> None:
    home, report = landed
    truth = {record["Id"] for record in _control(org, f"truth/{name}")}
    assert truth, "the company has none"
    assert report.objects[name].state == "landed"
    found = [row[0] for row in _rows(home, name, '"Id"')]
    assert len(found) == len(truth) == org["objects"][name]
    assert set(found) == truth


def test_the_generated_company_hides_nothing_of_the_catalogue(landed: tuple[Path, ExtractReport]) -> None:
    optional = {(name, field.name) for name, spec in OBJECTS.items() for field in spec.fields if field.optional}
    absent = {(row.object, row.field) for row in landed[1].inventory if row.status != "present"}
    assert absent <= optional


def test_addresses_land_as_keyed_hashes_that_join(landed: tuple[Path, ExtractReport], org: dict[str, Any]) -> None:
    home, _ = landed
    for name, field in (("Contact", "Email"), ("Lead", "Email"), ("EmailMessageRelation", "RelationAddress")):
        expected = {
            record["Id"]: hmac.new(KEY.encode(), record[field].strip().lower().encode(), hashlib.sha256).hexdigest()
            if record[field]
            else None
            for record in _control(org, f"truth/{name}")
        }
        assert dict(_rows(home, name, f'"Id", "{field}"')) == expected
    contacts = {row[0] for row in _rows(home, "Contact", '"Email"')}
    mails = {row[0] for row in _rows(home, "EmailMessageRelation", '"RelationAddress"')}
    assert contacts & mails


def test_no_address_telephone_number_or_text_of_a_message_lies_in_the_landing(
    landed: tuple[Path, ExtractReport],
) -> None:
    home, report = landed
    for name, result in report.objects.items():
        assert result.rows, name
        files = LandingLog(home / "landing").state(name).files
        query = "SELECT count(*) FROM read_parquet(?) AS t WHERE regexp_matches(t::VARCHAR, ?, 'i')"
        assert duckdb.execute(query, [files, r"@|\+1 55|private words"]).fetchone() == (0,), name
    # the work folder held pages as they came; nothing of it is left
    assert list((home / "work").iterdir()) == []
    log = "".join(path.read_text(errors="replace") for path in (home / "landing").rglob("*.json"))
    assert log
    assert "@" not in log
    assert KEY not in log


def test_tracked_addresses_are_withheld_and_other_changes_kept(landed: tuple[Path, ExtractReport]) -> None:
    changes = dict.fromkeys(("Email", "Status"), 0)
    for field, value in _rows(landed[0], "LeadHistory", '"Field", "NewValue"'):
        if field in changes:
            changes[field] += value is not None
    assert "Email" in {row[0] for row in _rows(landed[0], "LeadHistory", '"Field"')}
    assert changes["Email"] == 0
    assert changes["Status"] > 0


def test_a_second_run_adds_nothing_and_another_key_all_addresses(org: dict[str, Any], tmp_path: Path) -> None:
    _extract(org, tmp_path, "Contact", addresses=HASHED)
    assert _extract(org, tmp_path, "Contact", addresses=HASHED).objects["Contact"].mode == "incremental"
    assert _extract(org, tmp_path, "Contact", addresses=HASHED).objects["Contact"].state == "unchanged"
    other = _extract(org, tmp_path, "Contact", addresses=Addresses("hashed", SecretStr(KEY + "2")))
    assert (other.objects["Contact"].mode, other.objects["Contact"].rows) == ("full", org["objects"]["Contact"])


def test_without_a_key_addresses_are_left_out_and_said_so(org: dict[str, Any], tmp_path: Path) -> None:
    report = _extract(org, tmp_path, "Lead", addresses=Addresses("hashed", None))
    assert "Email" not in LandingLog(tmp_path / "landing").state("Lead").columns
    assert [row.status for row in report.inventory if row.field == "Email"] == ["left out"]
    assert "Email" not in report.objects["Lead"].missing_fields


def test_plain_addresses_land_as_they_are_where_that_is_switched_on(org: dict[str, Any], tmp_path: Path) -> None:
    _extract(org, tmp_path, "Lead", addresses=Addresses("plain"))
    truth = {record["Id"]: record["Email"] for record in _control(org, "truth/Lead")}
    assert dict(_rows(tmp_path, "Lead", '"Id", "Email"')) == truth


_STAMPS = "2024-01-02T03:04:05.000Z"


def _export(folder: Path, **files: str) -> Path:
    folder.mkdir()
    texts = {
        "Opportunity": f"Id,StageName,CloseDate,CreatedDate\n006000000000001AAA,Open,2024-05-01,{_STAMPS}\n",
        "OpportunityHistory": f"Id,OpportunityId,StageName,CreatedDate\n008000000000001AAA,006000000000001AAA,Open,{_STAMPS}\n",
        "OpportunityStage": f"Id,MasterLabel,ApiName,IsActive,CreatedDate\n01J000000000001AAA,Open,Open,true,{_STAMPS}\n",
        **files,
    }
    for name, text in texts.items():
        if text:
            (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def test_what_an_org_lacks_or_hides_is_recorded(tmp_path: Path) -> None:
    lead = f"Id,Status,Company,CreatedDate\n00Q000000000001AAA,Open,Firm,{_STAMPS}\n"
    with running_simulator(("--export", str(_export(tmp_path / "org", Lead=lead)), "--control")) as org:
        _control(org, "hidden/Lead/Company", "POST")
        report = _extract(org, tmp_path / "home", addresses=HASHED)
    status = {(row.object, row.field): row.status for row in report.inventory}
    absent = set(OBJECTS) - {
        "Organization",
        "Opportunity",
        "OpportunityHistory",
        "OpportunityStage",
        "Lead",
        STAGE_PICKLIST,
    }
    assert {name for name, result in report.objects.items() if result.state == "missing"} == absent
    assert all(status[name, None] == "missing" for name in absent)
    assert status["Campaign", "Name"] == "missing"
    assert status["Lead", None] == "present"
    assert status["Lead", "Company"] == "hidden"
    assert status["Lead", "CurrencyIsoCode"] == "missing"
    assert report.objects["Lead"].rows == 1


@pytest.mark.parametrize("name", ESSENTIAL)
def test_an_essential_object_that_is_absent_stops_the_run(tmp_path: Path, name: str) -> None:
    with (
        running_simulator(("--export", str(_export(tmp_path / "org", **{name: ""})))) as org,
        pytest.raises(SalesforceError, match=f"{name} is not shown to this user") as caught,
    ):
        _extract(org, tmp_path / "home")
    assert f"Grant read access to {name}" in str(caught.value)


VISITS = {"Visit__c": ("Held_On__c", "Kind__c", "Mail__c")}


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    visit = (
        "Id,CreatedDate,Held_On__c,Kind__c,Mail__c\n"
        f"a01000000000001AAA,{_STAMPS},2024-01-02,On site,A@b.example\na01000000000002AAA,{_STAMPS},,NA,\n"
    )
    folder = _export(tmp_path_factory.mktemp("visited") / "org", Visit__c=visit)
    fields = "Object,Field,Type,Arguments\nVisit__c,Held_On__c,date,\nVisit__c,Mail__c,email,\n"
    (folder / "schema.csv").write_text(fields, encoding="utf-8")
    with running_simulator(("--export", str(folder))) as ready:
        yield ready


def test_a_custom_object_lands_typed_with_its_addresses_hashed(visited: dict[str, Any], tmp_path: Path) -> None:
    report = _extract(visited, tmp_path, extra_fields=VISITS, addresses=HASHED)
    assert report.objects["Visit__c"].rows == 2
    hashed = hmac.new(KEY.encode(), b"a@b.example", hashlib.sha256).hexdigest()
    rows = _rows(tmp_path, "Visit__c", '"Held_On__c"::VARCHAR, typeof("Held_On__c"), "Kind__c", "Mail__c"')
    assert sorted(rows, key=repr) == sorted(
        [("2024-01-02", "DATE", "On site", hashed), (None, "DATE", "NA", None)], key=repr
    )
    assert _extract(visited, tmp_path, extra_fields=VISITS, addresses=HASHED).objects["Visit__c"].state == "unchanged"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"Visits__c": ["Kind__c"]}, "Did you mean 'Visit__c'"),
        ({"Visit__c": ["Kinds__c"]}, "Did you mean 'Kind__c'"),
        ({"Opportunitys": ["Name"]}, "Did you mean 'Opportunity'"),
    ],
)
def test_a_misspelled_object_or_field_names_the_nearest(
    visited: dict[str, Any], tmp_path: Path, wanted: dict[str, list[str]], told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        _extract(visited, tmp_path, extra_fields=wanted)
