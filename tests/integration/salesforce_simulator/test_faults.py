"""Each fault as a client meets it, and that the next request is served well again."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from salesforce_simulator.service import Service

DATA = "/services/data/v62.0"
QUERY = f"{DATA}/query?q=SELECT+Id,Name+FROM+Opportunity+LIMIT+10"


def _plan(http: requests.Session, kind: str, on: str = "rest_query", **more: Any) -> None:
    planned = http.post("/simulator/faults", json=[{"kind": kind, "on": on, **more}])
    assert planned.status_code == 200, planned.text


def _finished_job(http: requests.Session) -> tuple[str, str]:
    job = http.post(
        f"{DATA}/jobs/query", json={"operation": "query", "query": "SELECT Id, Name FROM Opportunity LIMIT 10"}
    )
    path = f"{DATA}/jobs/query/{job.json()['id']}"
    for _ in range(200):
        state = http.get(path).json()["state"]
        if state in ("JobComplete", "Failed", "Aborted"):
            return path, state
    return path, state


def test_session_expired(service: Service, http: requests.Session) -> None:
    _plan(http, "session_expired")
    refused = http.get(QUERY)
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (401, "INVALID_SESSION_ID")
    assert http.get(QUERY).status_code == 401
    http.headers["Authorization"] = f"Bearer {service.auth.open_session()}"
    assert http.get(QUERY).status_code == 200


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("request_limit_exceeded", 403, "REQUEST_LIMIT_EXCEEDED"), ("query_timeout", 400, "QUERY_TIMEOUT")],
)
def test_refusals_by_the_server(http: requests.Session, kind: str, status: int, code: str) -> None:
    _plan(http, kind)
    refused = http.get(QUERY)
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (status, code)
    assert http.get(QUERY).status_code == 200


def test_rate_limited(http: requests.Session) -> None:
    _plan(http, "rate_limited", value=7, count=2)
    for _ in range(2):
        refused = http.get(QUERY)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert http.get(QUERY).status_code == 200


def test_server_unavailable(http: requests.Session) -> None:
    _plan(http, "server_unavailable", on="*")
    refused = http.get(QUERY)
    assert refused.status_code == 503
    assert refused.headers["Content-Type"] == "text/html"
    assert refused.text.startswith("<html>")
    assert http.get(QUERY).status_code == 200


def test_drop_row_and_wrong_count_on_a_query(http: requests.Session) -> None:
    _plan(http, "drop_row")
    page = http.get(QUERY).json()
    assert (page["totalSize"], len(page["records"])) == (10, 9)
    _plan(http, "wrong_count")
    page = http.get(QUERY).json()
    assert (page["totalSize"], len(page["records"])) == (11, 10)


def test_drop_row_and_wrong_count_on_bulk_results(http: requests.Session) -> None:
    path, _ = _finished_job(http)
    whole = http.get(f"{path}/results")
    assert whole.headers["Sforce-NumberOfRecords"] == "10"
    _plan(http, "drop_row", on="bulk_results")
    short = http.get(f"{path}/results")
    assert short.headers["Sforce-NumberOfRecords"] == "10"
    assert short.text.count('"006') == whole.text.count('"006') - 1
    _plan(http, "wrong_count", on="bulk_results")
    assert http.get(f"{path}/results").headers["Sforce-NumberOfRecords"] == "11"
    _plan(http, "wrong_count", on="bulk_status")
    assert http.get(path).json()["numberRecordsProcessed"] == 11


@pytest.mark.parametrize(
    ("kind", "state"), [("job_failed", "Failed"), ("job_aborted", "Aborted"), ("job_stuck", "InProgress")]
)
def test_jobs_that_do_not_complete(http: requests.Session, kind: str, state: str) -> None:
    _plan(http, kind, on="bulk_create")
    path, ended = _finished_job(http)
    assert ended == state
    assert http.get(f"{path}/results").status_code == 400
    assert ("errorMessage" in http.get(path).json()) == (state == "Failed")
    assert _finished_job(http)[1] == "JobComplete"


@pytest.mark.parametrize("kind", ["truncated_body", "reset"])
def test_a_body_that_breaks_off(http: requests.Session, kind: str) -> None:
    _plan(http, kind)
    with pytest.raises(requests.exceptions.RequestException):
        http.get(QUERY)
    assert http.get(QUERY).status_code == 200


def test_a_fault_waits_its_turn_and_is_counted(http: requests.Session) -> None:
    _plan(http, "query_timeout", skip=1, count=2)
    assert [http.get(QUERY).status_code for _ in range(4)] == [200, 400, 400, 200]
    assert http.get("/simulator/faults").json() == {"query_timeout": 2}


def test_an_unknown_fault_is_refused_with_the_known_ones(http: requests.Session) -> None:
    refused = http.post("/simulator/faults", json=[{"kind": "earthquake", "on": "rest_query"}])
    assert refused.status_code == 400
    assert "truncated_body" in refused.json()[0]["message"]
