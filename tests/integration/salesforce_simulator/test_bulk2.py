from __future__ import annotations

import csv
import io
from typing import Any

import pytest
import requests
from simple_salesforce import Salesforce

from salesforce_simulator.service import Service

JOBS = "/services/data/v62.0/jobs/query"


def _create(http: requests.Session, query: str, operation: str = "query", **more: str) -> requests.Response:
    return http.post(JOBS, json={"operation": operation, "query": query, **more})


def _finish(http: requests.Session, job_id: str) -> tuple[dict[str, Any], list[str]]:
    states = []
    for _ in range(200):
        info = http.get(f"{JOBS}/{job_id}").json()
        states.append(info["state"])
        if info["state"] in ("JobComplete", "Failed", "Aborted"):
            return info, states
    raise AssertionError(f"the job never ended: {states[-1]}")


def _rows(text: str, **how: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text), **how))


def test_a_job_goes_through_its_states_and_its_pages_hold_every_row_once(http: requests.Session) -> None:
    created = _create(http, "SELECT Id, Name, Account.Name FROM Opportunity", "queryAll").json()
    assert (created["state"], created["object"], created["operation"]) == ("UploadComplete", "Opportunity", "queryAll")
    info, states = _finish(http, created["id"])
    assert states[0] == "InProgress"
    assert info["numberRecordsProcessed"] == 4500
    locator, found, pages = None, [], 0
    while locator != "null":
        parameters = {"maxRecords": "1999"} | ({"locator": locator} if locator else {})
        page = http.get(f"{JOBS}/{created['id']}/results", params=parameters)
        header, *rows = _rows(page.text)
        assert header == ["Id", "Name", "Account.Name"]
        assert int(page.headers["Sforce-NumberOfRecords"]) == len(rows)
        assert page.headers["Content-Type"].startswith("text/csv")
        locator, pages = page.headers["Sforce-Locator"], pages + 1
        found += rows
    assert pages == 3
    assert len({r[0] for r in found}) == 4500
    assert found[7][1] == 'deal "7"\nof, many'


def test_delimiter_and_line_ending_are_the_clients_choice(http: requests.Session) -> None:
    job = _create(http, "SELECT Id, Name FROM Account", columnDelimiter="PIPE", lineEnding="CRLF").json()
    _finish(http, job["id"])
    assert http.get(f"{JOBS}/{job['id']}/results").text == '"Id"|"Name"\r\n"001000000000001AAA"|"Acme"\r\n'


def test_an_empty_result_is_a_header(http: requests.Session) -> None:
    job = _create(http, "SELECT Id FROM Account WHERE Name = 'nobody'").json()
    info, _ = _finish(http, job["id"])
    page = http.get(f"{JOBS}/{job['id']}/results")
    assert (page.text, info["numberRecordsProcessed"]) == ('"Id"\n', 0)
    assert (page.headers["Sforce-NumberOfRecords"], page.headers["Sforce-Locator"]) == ("0", "null")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT COUNT() FROM Account", "API_ERROR"),
        ("SELECT Name, COUNT(Id) FROM Account GROUP BY Name", "API_ERROR"),
        ("SELECT Id, (SELECT Id FROM Opportunities) FROM Account", "API_ERROR"),
        ("SELECT Id FROM Account LIMIT 5 OFFSET 1", "API_ERROR"),
        ("SELECT FIELDS(STANDARD) FROM Account", "API_ERROR"),
        ("SELECT Id FROM DatedConversionRate", "INVALIDENTITY"),
        ("SELECT Nope FROM Account", "INVALID_FIELD"),
        ("SELECT Id FORM Account", "MALFORMED_QUERY"),
    ],
)
def test_what_bulk_does_not_serve_is_refused_at_once(http: requests.Session, query: str, code: str) -> None:
    refused = _create(http, query)
    assert refused.status_code == 400
    assert refused.json()[0]["errorCode"] == code


def test_jobs_are_listed_aborted_and_deleted(http: requests.Session) -> None:
    job_id = _create(http, "SELECT Id FROM Account").json()["id"]
    assert [j["id"] for j in http.get(JOBS).json()["records"]] == [job_id]
    assert http.delete(f"{JOBS}/{job_id}").status_code == 409
    assert http.get(f"{JOBS}/{job_id}/results").status_code == 400
    assert http.patch(f"{JOBS}/{job_id}", json={"state": "Aborted"}).json()["state"] == "Aborted"
    assert http.patch(f"{JOBS}/{job_id}", json={"state": "Aborted"}).status_code == 400
    assert http.delete(f"{JOBS}/{job_id}").status_code == 204
    assert http.get(f"{JOBS}/{job_id}").status_code == 404


def test_a_job_belongs_to_its_api_version_and_locators_to_its_result(http: requests.Session) -> None:
    job_id = _create(http, "SELECT Id FROM Account").json()["id"]
    assert http.get(f"/services/data/v61.0/jobs/query/{job_id}").status_code == 409
    _finish(http, job_id)
    for bad in ("!", "OTk5", "LTE"):
        refused = http.get(f"{JOBS}/{job_id}/results", params={"locator": bad})
        assert refused.json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"


def test_the_result_is_what_the_org_held_when_the_job_ran(service: Service, http: requests.Session) -> None:
    job_id = _create(http, "SELECT Id, Name FROM Account").json()["id"]
    _finish(http, job_id)
    service.org.upsert("Account", [{"Id": "001000000000001", "Name": "later"}])
    assert "Acme" in http.get(f"{JOBS}/{job_id}/results").text


def test_simple_salesforce_drives_a_job_by_its_own_calls(salesforce: Salesforce) -> None:
    client = salesforce.bulk2.Opportunity._client
    from simple_salesforce.bulk2 import Operation

    job = client.create_job(Operation.query, query="SELECT Id FROM Opportunity")
    for _ in range(200):
        if client.get_job(job["id"], True)["state"] == "JobComplete":
            break
    first = client.get_query_results(job["id"], "", 3000)
    assert first["number_of_records"] == 3000
    second = client.get_query_results(job["id"], first["locator"], 3000)
    assert (second["number_of_records"], second["locator"]) == (1496, "")


def test_result_pages_can_be_read_side_by_side(http: requests.Session) -> None:
    job_id = _create(http, "SELECT Id FROM Opportunity", "queryAll").json()["id"]
    _finish(http, job_id)
    pages = http.get(f"{JOBS}/{job_id}/resultPages", params={"maxRecords": "700"}).json()
    assert (len(pages["resultPages"]), pages["done"]) == (5, False)
    rest = http.get(pages["nextRecordsUrl"]).json()
    assert (len(rest["resultPages"]), rest["done"]) == (2, True)
    urls = [p["resultUrl"] for p in (*reversed(pages["resultPages"]), *rest["resultPages"])]
    found = [row[0] for url in urls for row in _rows(http.get(url).text)[1:]]
    assert (len(found), len(set(found))) == (4500, 4500)
