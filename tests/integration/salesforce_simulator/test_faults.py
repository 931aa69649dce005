"""Each fault as a client meets it, and that the next request is served well again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from salesforce_simulator import fault_kinds
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


def test_refresh_refused(service: Service, http: requests.Session) -> None:
    _plan(http, "login_refused", on="token")
    form = {"grant_type": "refresh_token", "client_id": service.options.client_id}
    form["refresh_token"] = service.options.refresh_token
    refused = http.post("/services/oauth2/token", data=form)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert http.post("/services/oauth2/token", data=form).status_code == 200


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("daily_jobs_used_up", 400, "EXCEEDED_QUOTA"),
        ("bulk_unsupported", 400, "INVALIDENTITY"),
        ("version_conflict", 409, "CONFLICT"),
    ],
)
def test_jobs_that_are_not_taken_on(http: requests.Session, kind: str, status: int, code: str) -> None:
    _plan(http, kind, on="bulk_create")
    refused = http.post(f"{DATA}/jobs/query", json={"operation": "query", "query": "SELECT Id FROM Account"})
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (status, code)


def test_a_job_that_somebody_deleted_and_a_cursor_that_is_lost(http: requests.Session) -> None:
    path, _ = _finished_job(http)
    _plan(http, "job_deleted", on="bulk_results")
    assert http.get(f"{path}/results").status_code == 404
    page = http.get(f"{DATA}/query?q=SELECT+Id+FROM+Opportunity").json()
    _plan(http, "lost_locator", on="rest_query_more")
    lost = http.get(page["nextRecordsUrl"])
    assert (lost.status_code, lost.json()[0]["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")


@pytest.mark.parametrize("kind", ["cut_chunk", "truncated_gzip"])
def test_bodies_that_break_off_inside_their_framing(http: requests.Session, kind: str) -> None:
    """A cut chunk is an error; a cut gzip stream inside a right length is silent in requests."""
    whole = http.get(QUERY).content
    _plan(http, kind)
    try:
        short = http.get(QUERY).content
    except requests.exceptions.RequestException:
        short = b""
    assert len(short) < len(whole)
    assert http.get(QUERY).content == whole


def test_a_close_delimited_body_ends_silently(http: requests.Session) -> None:
    http.headers["Accept-Encoding"] = "identity"
    whole = http.get(QUERY).content
    _plan(http, "close_delimited")
    short = http.get(QUERY)
    assert "Content-Length" not in short.headers
    assert short.content == whole[: len(whole) // 2]
    assert http.get(QUERY).content == whole


def test_a_stall_outlasts_an_impatient_client_and_a_drip_arrives_whole(http: requests.Session) -> None:
    whole = http.get(QUERY).content
    _plan(http, "stall", value=3)
    with pytest.raises(requests.exceptions.RequestException, match="timed out"):
        http.get(QUERY, timeout=0.2)
    _plan(http, "slow_drip", value=0.1)
    assert http.get(QUERY).content == whole


def test_wrong_encoding_and_clock_skew(http: requests.Session) -> None:
    _plan(http, "wrong_encoding")
    odd = http.get(QUERY)
    assert "UTF-8" in odd.headers["Content-Type"]
    with pytest.raises(UnicodeDecodeError):
        odd.content.decode()
    _plan(http, "clock_skew", value=-90)
    assert http.get(QUERY).headers["Date"] == "Wed, 15 May 2024 11:58:30 GMT"


def _walk(http: requests.Session, path: str) -> tuple[list[str], list[str]]:
    """Ids by following locators four rows at a time, and the counts that the pages stated."""
    found: list[str] = []
    counts: list[str] = []
    locator = ""
    for _ in range(20):
        page = http.get(f"{path}/results", params={"maxRecords": "4", **({"locator": locator} if locator else {})})
        found += [line[1:19] for line in page.text.splitlines() if line.startswith('"006')]
        counts.append(page.headers.get("Sforce-NumberOfRecords", "none"))
        locator = page.headers.get("Sforce-Locator", "null")
        if locator == "null":
            break
    return found, counts


@pytest.mark.parametrize(
    ("kind", "rows", "distinct", "counts"),
    [
        ("missing_page", 6, 6, ["4", "2"]),
        ("repeated_page", 14, 10, ["4", "4", "4", "2"]),
        ("tiny_page", 10, 10, ["1", "4", "4", "1"]),
        ("empty_page", 10, 10, ["0", "4", "4", "2"]),
        ("missing_count", 10, 10, ["none", "4", "2"]),
        ("missing_locator", 4, 4, ["4"]),
    ],
)
def test_pages_of_a_job_that_do_not_add_up(
    http: requests.Session, kind: str, rows: int, distinct: int, counts: list[str]
) -> None:
    path, _ = _finished_job(http)
    _plan(http, kind, on="bulk_results")
    found, stated = _walk(http, path)
    assert (len(found), len(set(found)), stated) == (rows, distinct, counts)
    assert len(_walk(http, path)[0]) == 10


def test_two_faults_of_one_page_go_together(http: requests.Session) -> None:
    path, _ = _finished_job(http)
    _plan(http, "missing_count", on="bulk_results")
    _plan(http, "repeated_page", on="bulk_results")
    found, stated = _walk(http, path)
    assert (len(found), len(set(found)), stated) == (14, 10, ["none", "4", "4", "2"])


@pytest.mark.parametrize(("kind", "rows"), [("missing_page", 2496), ("repeated_page", 6496)])
def test_pages_of_a_query_that_do_not_add_up(http: requests.Session, kind: str, rows: int) -> None:
    _plan(http, kind)
    page = http.get(f"{DATA}/query?q=SELECT+Id+FROM+Opportunity").json()
    found = len(page["records"])
    while not page["done"]:
        page = http.get(page["nextRecordsUrl"]).json()
        found += len(page["records"])
    assert page["totalSize"] == 4496
    assert found == rows


def test_addresses_of_pages_that_are_missing_repeated_or_not_served(http: requests.Session) -> None:
    path, _ = _finished_job(http)

    def urls() -> list[str]:
        body = http.get(f"{path}/resultPages", params={"maxRecords": "1"}).json()
        return [page["resultUrl"] for page in body["resultPages"]]

    whole = urls()
    assert len(whole) > 2
    _plan(http, "missing_page", on="bulk_result_pages")
    assert urls() == whole[:-1]
    _plan(http, "repeated_page", on="bulk_result_pages")
    assert urls() == [*whole[:-1], whole[0]]
    _plan(http, "not_served", on="bulk_result_pages")
    assert http.get(f"{path}/resultPages").status_code == 404
    assert urls() == whole


def test_a_cut_row_and_a_nul(http: requests.Session) -> None:
    path, _ = _finished_job(http)
    whole = http.get(f"{path}/results").text
    _plan(http, "cut_row", on="bulk_results")
    cut = http.get(f"{path}/results")
    assert whole.startswith(cut.text)
    assert not cut.text.endswith('"\n')
    _plan(http, "nul_byte", on="bulk_results")
    assert "\x00" in http.get(f"{path}/results").text


def test_records_that_change_under_way(http: requests.Session) -> None:
    """An edit, a soft delete and a commit that lands late, under the watermark, between two pages."""
    late = {"Id": "006000000009999", "Name": "late", "SystemModstamp": "2024-01-01T00:00:00Z"}
    edits = [{"Id": "006000000000001", "Name": "edited"}, {"Id": "006000000000002", "IsDeleted": True}, late]
    _plan(http, "rows_change", on="rest_query_more", value={"object": "Opportunity", "records": edits})
    first = http.get(f"{DATA}/query?q=SELECT+Id+FROM+Opportunity").json()
    http.get(first["nextRecordsUrl"])
    again = http.get(f"{DATA}/query?q=SELECT+Id,Name+FROM+Opportunity+WHERE+SystemModstamp<2024-02-01T00:00:00Z").json()
    assert [r["Name"] for r in again["records"]] == ["late"]
    assert http.get(f"{DATA}/query?q=SELECT+COUNT()+FROM+Opportunity").json()["totalSize"] == 4496


def test_chance_is_seeded_and_every_fault_is_documented_and_tried(http: requests.Session) -> None:
    outcomes = []
    for _ in range(2):
        http.delete("/simulator/faults")
        _plan(http, "query_timeout", chance=0.5, seed=3)
        outcomes.append([http.get(QUERY).status_code for _ in range(12)])
    assert outcomes[0] == outcomes[1]
    assert set(outcomes[0]) == {200, 400}
    tried = Path(__file__).read_text(encoding="utf-8")
    assert [kind for kind in fault_kinds.names() if f'"{kind}"' not in tried] == []


@pytest.mark.parametrize(
    "entry", [{"kind": "reset", "when": "now"}, {"kind": "reset", "count": -1}, {"kind": "reset", "chance": 2}, 5]
)
def test_a_plan_that_is_not_understood_plans_nothing(http: requests.Session, entry: Any) -> None:
    assert http.post("/simulator/faults", json=[entry]).status_code == 400
    assert http.get(QUERY).status_code == 200
