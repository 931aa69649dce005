from __future__ import annotations

import csv
import io
from xml.etree import ElementTree

import pytest
import requests
from simple_salesforce import Salesforce

from salesforce_simulator.service import Service

_NS = "{http://www.force.com/2009/06/asyncapi/dataload}"
_QUERY = "SELECT Id, Name, Amount, SystemModstamp, Account.Name FROM Opportunity ORDER BY Id LIMIT 3"


@pytest.fixture
def jobs(service: Service, http: requests.Session) -> str:
    del http.headers["Authorization"]
    http.headers["X-SFDC-Session"] = service.auth.open_session()
    return f"{service.base_url}/services/async/62.0/job"


def _job_xml(content_type: str, operation: str = "query") -> str:
    inner = f"<operation>{operation}</operation><object>Opportunity</object><contentType>{content_type}</contentType>"
    return f'<jobInfo xmlns="{_NS[1:-1]}">{inner}</jobInfo>'


def _text(response: requests.Response, name: str) -> str:
    found = ElementTree.fromstring(response.content).find(f"{_NS}{name}")
    assert found is not None, response.text
    return found.text or ""


def _result(http: requests.Session, jobs: str, content_type: str) -> requests.Response:
    xml = {"Content-Type": "application/xml"}
    created = http.post(jobs, data=_job_xml(content_type), headers=xml)
    assert created.status_code == 201
    job = f"{jobs}/{_text(created, 'id')}"
    batch = f"{job}/batch/{_text(http.post(f'{job}/batch', data=_QUERY, headers={'Content-Type': 'text/csv'}), 'id')}"
    states = [_text(http.get(batch), "state") for _ in range(2)]
    assert states == ["InProgress", "Completed"]
    assert _text(
        http.post(job, data=f'<jobInfo xmlns="{_NS[1:-1]}"><state>Closed</state></jobInfo>', headers=xml), "state"
    )
    return http.get(f"{batch}/result/{_text(http.get(f'{batch}/result'), 'result')}")


def test_csv(http: requests.Session, jobs: str) -> None:
    found = _result(http, jobs, "CSV")
    header, first, *_ = csv.reader(io.StringIO(found.text))
    assert header == ["Id", "Name", "Amount", "SystemModstamp", "Account.Name"]
    assert first == ["006000000000000AAA", 'deal "0"\nof, many', "0.0", "2024-05-15T12:00:00.000Z", "Acme"]


def test_a_job_created_in_json_with_csv_results_has_batches_in_xml(http: requests.Session, jobs: str) -> None:
    """tap-salesforce reads the job as JSON and its batches as XML."""
    as_json = {"Content-Type": "application/json"}
    body = {"operation": "queryAll", "object": "Opportunity", "contentType": "CSV"}
    job = f"{jobs}/{http.post(jobs, json=body).json()['id']}"
    added = http.post(f"{job}/batch", data=_QUERY, headers={"Content-Type": "text/csv"})
    batch = f"{job}/batch/{_text(added, 'id')}"
    assert http.post(job, json={"state": "Closed"}).json()["state"] == "Closed"
    assert [_text(http.get(batch, headers=as_json), "state") for _ in range(2)] == ["InProgress", "Completed"]
    result = _text(http.get(f"{batch}/result", headers=as_json), "result")
    assert len(list(csv.reader(io.StringIO(http.get(f"{batch}/result/{result}").text)))) == 4


def test_json_writes_instants_as_milliseconds(http: requests.Session, jobs: str) -> None:
    first, *_ = _result(http, jobs, "JSON").json()
    assert first["SystemModstamp"] == 1715774400000
    assert first["Account"]["Name"] == "Acme"


def test_xml(http: requests.Session, jobs: str) -> None:
    root = ElementTree.fromstring(_result(http, jobs, "XML").content)
    assert len(root) == 3
    assert root[1].findtext(f"{_NS}Name") == 'deal "1"\nof, many'
    assert root[1].findtext(f"{_NS}Account/{_NS}Name") == "Acme"


def test_simple_salesforce_reads_through_the_older_api(salesforce: Salesforce) -> None:
    found = salesforce.bulk.Opportunity.query(_QUERY, wait=0.1)
    assert [r["Amount"] for r in found] == [0.0, 0.25, 0.5]
    assert len(salesforce.bulk.Opportunity.query_all("SELECT Id FROM Opportunity", wait=0.1)) == 4500


def test_what_cannot_be_served_is_refused_in_the_clients_language(http: requests.Session, jobs: str) -> None:
    refused = http.post(jobs, data=_job_xml("CSV", "insert"), headers={"Content-Type": "application/xml"})
    assert (refused.status_code, _text(refused, "exceptionCode")) == (400, "InvalidJob")
    body = {"operation": "query", "object": "Nope", "contentType": "JSON"}
    assert http.post(jobs, json=body).json()["exceptionCode"] == "InvalidEntity"
    created = http.post(jobs, json={**body, "object": "Account"}).json()
    bad = http.post(
        f"{jobs}/{created['id']}/batch", data="SELECT Nope FROM Account", headers={"Content-Type": "application/json"}
    )
    assert "INVALID_FIELD" in bad.json()["exceptionMessage"]
    http.headers["X-SFDC-Session"] = "stale"
    expired = http.post(jobs, json=body)
    assert (expired.status_code, expired.json()["exceptionCode"]) == (401, "InvalidSessionId")
