from __future__ import annotations

import gzip
import socket
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from simple_salesforce import Salesforce

from salesforce_simulator.server import serve
from salesforce_simulator.service import Options, Service

DATA = "/services/data/v62.0"
DELETED = 4


def _login(service: Service, **form: str) -> requests.Response:
    return requests.post(f"{service.base_url}/services/oauth2/token", data=form, timeout=20)


def test_client_credentials_open_a_session_that_queries_accept(service: Service) -> None:
    options = service.options
    grant = _login(
        service, grant_type="client_credentials", client_id=options.client_id, client_secret=options.client_secret
    ).json()
    assert grant["token_type"] == "Bearer"
    assert grant["instance_url"] == service.base_url
    headers = {"Authorization": f"Bearer {grant['access_token']}"}
    found = requests.get(service.base_url + DATA + "/limits", headers=headers, timeout=20)
    assert found.status_code == 200
    assert found.headers["Sforce-Limit-Info"] == "api-usage=1/100000"
    assert found.json()["DailyApiRequests"] == {"Max": 100000, "Remaining": 99999}
    assert found.headers["Date"] == "Wed, 15 May 2024 12:00:00 GMT"


def test_username_and_password_open_a_session_too(service: Service) -> None:
    o = service.options
    client = {"client_id": o.client_id, "client_secret": o.client_secret}
    for password in (o.password, o.password + o.security_token):
        assert (
            _login(service, grant_type="password", username=o.username, password=password, **client).status_code == 200
        )
    refused = _login(service, grant_type="password", username=o.username, password="wrong", **client)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "magic"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "client_id": "x"}, "invalid_client_id"),
        ({"grant_type": "client_credentials", "client_id": "ID", "client_secret": "x"}, "invalid_client"),
    ],
)
def test_a_refused_login_says_why(service: Service, form: dict[str, str], error: str) -> None:
    form = {k: service.options.client_id if v == "ID" else v for k, v in form.items()}
    refused = _login(service, **form)
    assert refused.status_code == 400
    assert refused.json()["error"] == error
    assert set(refused.json()) == {"error", "error_description"}


def test_without_a_session_nothing_is_told(service: Service) -> None:
    for path in (f"{DATA}/query?q=SELECT+Id+FROM+Account", f"{DATA}/sobjects", f"{DATA}/nowhere"):
        refused = requests.get(service.base_url + path, headers={"Authorization": "Bearer no"}, timeout=20)
        assert refused.status_code == 401
        assert refused.json() == [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


def test_versions_need_no_session(service: Service) -> None:
    versions = requests.get(f"{service.base_url}/services/data", timeout=20).json()
    assert versions[-1] == {"label": "Winter '25", "url": "/services/data/v62.0", "version": "62.0"}
    assert [v["label"] for v in versions[-3:-1]] == ["Spring '24", "Summer '24"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/services/data/v62.0/nowhere", 404, "NOT_FOUND"),
        ("GET", "/services/data/v99.0/sobjects", 404, "NOT_FOUND"),
        ("PUT", "/services/data/v62.0/sobjects", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/services/data/v62.0/sobjects/Lead/describe", 404, "NOT_FOUND"),
        ("GET", "/services/data/v62.0/query", 400, "MALFORMED_QUERY"),
        ("GET", "/services/data/v62.0/query?q=SELECT+Id+FROM+Lead", 400, "INVALID_TYPE"),
        ("GET", "/services/data/v62.0/query/01g000000000009AAA-2000", 400, "INVALID_QUERY_LOCATOR"),
        ("GET", "/services/data/v62.0/jobs/query/750000000000009AAA", 404, "NOT_FOUND"),
    ],
)
def test_errors_come_as_the_service_writes_them(
    http: requests.Session, method: str, path: str, status: int, code: str
) -> None:
    refused = http.request(method, path)
    assert refused.status_code == status
    (error,) = refused.json()
    assert error["errorCode"] == code
    assert error["message"]


def test_pages_follow_each_other_by_next_records_url(http: requests.Session) -> None:
    query = {"q": "SELECT Id, Name FROM Opportunity ORDER BY Id"}
    page = http.get(f"{DATA}/query", params=query, headers={"Sforce-Query-Options": "batchSize=1000"}).json()
    assert (page["totalSize"], page["done"], len(page["records"])) == (4500 - DELETED, False, 1000)
    found = page["records"]
    while not page["done"]:
        again = http.get(page["nextRecordsUrl"]).json()
        page = http.get(page["nextRecordsUrl"]).json()
        assert again == page
        found += page["records"]
    assert len({r["Id"] for r in found}) == 4500 - DELETED
    assert found[0]["Name"] == 'deal "0"\nof, many'
    default = http.get(f"{DATA}/query", params=query).json()
    assert len(default["records"]) == 2000
    assert http.get(f"{DATA}/queryAll", params=query).json()["totalSize"] == 4500


def test_count_gives_the_number_alone(http: requests.Session) -> None:
    counted = http.get(f"{DATA}/query", params={"q": "SELECT COUNT() FROM Opportunity"}).json()
    assert counted == {"totalSize": 4500 - DELETED, "done": True, "records": []}


def test_pretty_print_changes_the_layout_only(http: requests.Session) -> None:
    for path in (
        f"{DATA}/query?q=SELECT+Id,Name,Account.Name+FROM+Opportunity+LIMIT+3",
        f"{DATA}/sobjects/Account/describe",
    ):
        plain, pretty = http.get(path), http.get(path, headers={"X-PrettyPrint": "1"})
        assert plain.json() == pretty.json()
        assert "\n" not in plain.text
        assert '\n  "' in pretty.text
        assert '" : ' in pretty.text


def test_gzip_is_served_to_those_who_take_it(service: Service, http: requests.Session) -> None:
    url = f"{service.base_url}{DATA}/sobjects/Opportunity/describe"
    bearer = {"Authorization": str(http.headers["Authorization"])}
    with urllib.request.urlopen(urllib.request.Request(url, headers=bearer)) as plain:
        body = plain.read()
        assert plain.headers["Content-Encoding"] is None
    request = urllib.request.Request(url, headers=bearer | {"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as zipped:
        assert zipped.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(zipped.read()) == body


def test_describe_says_what_a_field_is(http: requests.Session) -> None:
    described = http.get(f"{DATA}/sobjects/Opportunity/describe").json()
    assert (described["keyPrefix"], described["queryable"]) == ("006", True)
    fields = {f["name"]: f for f in described["fields"]}
    assert list(fields)[:3] == ["Id", "IsDeleted", "AccountId"]
    assert fields["AccountId"]["referenceTo"] == ["Account"]
    assert fields["AccountId"]["relationshipName"] == "Account"
    assert (fields["Amount"]["type"], fields["Amount"]["precision"], fields["Amount"]["scale"]) == ("currency", 18, 2)
    assert fields["Id"]["nillable"] is False
    assert fields["SystemModstamp"]["filterable"] is True
    assert [v["value"] for v in fields["StageName"]["picklistValues"]] == ["Open", "Closed Won"]
    assert [t["developerName"] for t in described["recordTypeInfos"]] == ["New_Business", "Master"]
    account = http.get(f"{DATA}/sobjects/Account/describe").json()
    children = {(c["childSObject"], c["field"]): c["relationshipName"] for c in account["childRelationships"]}
    assert children["Opportunity", "AccountId"] == "Opportunities"
    listed = {o["name"] for o in http.get(f"{DATA}/sobjects").json()["sobjects"]}
    assert listed == {"Account", "DatedConversionRate", "Opportunity", "OpportunityStage", "RecordType"}
    assert http.get(f"{DATA}/sobjects/Account").json()["objectDescribe"]["keyPrefix"] == "001"


def test_picklist_values_follow_the_record_type(http: requests.Session) -> None:
    base = f"{DATA}/ui-api/object-info/Opportunity/picklist-values"
    offered = http.get(f"{base}/012000000000001AAA/StageName").json()["values"]
    assert [(v["value"], v["label"]) for v in offered] == [("Closed Won", "Won!"), ("Open", "Open")]
    assert offered[0]["attributes"]["won"] is True
    master = http.get(f"{base}/012000000000000AAA/StageName").json()["values"]
    assert [v["value"] for v in master] == ["Open", "Closed Won"]
    assert http.get(f"{base}/012000000000009AAA/StageName").status_code == 404


def test_simple_salesforce_reads_as_from_the_service(salesforce: Salesforce) -> None:
    found = salesforce.query_all("SELECT Id, Amount FROM Opportunity ORDER BY Id")
    assert (found["totalSize"], len(found["records"])) == (4496, 4496)
    assert found["records"][1]["Amount"] == 0.25
    assert len(list(salesforce.query_all_iter("SELECT Id FROM Opportunity", include_deleted=True))) == 4500
    assert salesforce.Account.describe()["name"] == "Account"
    assert {o["name"] for o in salesforce.describe()["sobjects"]} >= {"Account", "Opportunity"}
    assert salesforce.limits()["DailyApiRequests"]["Max"] == 100000


def test_the_control_endpoints_are_closed_unless_asked_for(make_org) -> None:  # type: ignore[no-untyped-def]
    from salesforce_simulator.server import serve

    with serve(make_org()) as closed:
        assert requests.get(f"{closed.base_url}/simulator/requests", timeout=20).status_code == 404


def test_control_steers_rows_clock_fields_and_counts(service: Service, http: requests.Session) -> None:
    rows = [{"Id": "001000000000001", "Name": "Renamed"}, {"Id": "001000000000007", "Name": "New"}]
    assert http.post("/simulator/rows/Account", json=rows).json() == {"rows": 2}
    http.post("/simulator/clock", json={"now": "2024-06-01T08:00:00+02:00"})
    page = http.get(f"{DATA}/query", params={"q": "SELECT Name, CreatedDate FROM Account ORDER BY Id"})
    assert [r["Name"] for r in page.json()["records"]] == ["Renamed", "New"]
    assert page.headers["Date"] == "Sat, 01 Jun 2024 06:00:00 GMT"
    http.post("/simulator/hidden/Account/Name")
    refused = http.get(f"{DATA}/query", params={"q": "SELECT Name FROM Account"})
    assert refused.json()[0]["errorCode"] == "INVALID_FIELD"
    assert http.delete("/simulator/rows/Account/001000000000007").json() == {"rows": 1}
    assert http.get(f"{DATA}/query", params={"q": "SELECT COUNT() FROM Account"}).json()["totalSize"] == 1
    assert http.get("/simulator/requests").json() == {"rest_query": 3}


def test_a_script_and_random_changes_can_be_played_and_read_back(http: requests.Session) -> None:
    script = [
        {"change": "update", "object": "Account", "id": "001000000000001", "values": {"Name": "Scripted"}},
        {"change": "random", "count": 5},
    ]
    _, played = http.post("/simulator/changes", json=script).json()
    assert len(played) == 5
    assert [r["Name"] for r in http.get("/simulator/truth/Account").json()] == ["Scripted"]
    refused = http.post("/simulator/changes", json=[{"change": "earthquake"}])
    assert refused.json()[0]["errorCode"] == "INVALID_CHANGE"


def test_a_body_in_chunks_is_read(service: Service) -> None:
    """jsforce streams its login form."""
    form = "grant_type=client_credentials&client_id={0.client_id}&client_secret={0.client_secret}"
    text = form.format(service.options).encode()
    answer = requests.post(
        f"{service.base_url}/services/oauth2/token", data=iter([text[:7], text[7:]]), timeout=20,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert answer.json()["instance_url"] == service.base_url


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        ("Transfer-Encoding: chunked", "zz\r\n", b"400"),
        ("Transfer-Encoding: chunked", "ffffffff\r\n", b"413"),
        ("Transfer-Encoding: chunked", "1\r\nabc\r\n", b"400"),
        ("Transfer-Encoding: gzip", "", b"501"),
        ("Content-Length: many", "", b"400"),
        ("Content-Length: 99999999999", "", b"413"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_and_the_connection_closed(
    service: Service, head: str, body: str, status: bytes
) -> None:
    address = urlsplit(service.base_url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
        connection.sendall(f"POST /services/oauth2/token HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n{body}".encode())
        assert connection.makefile("rb").read().split()[1] == status


def test_the_columns_of_a_query_are_told_without_its_rows(http: requests.Session) -> None:
    """The Salesforce CLI asks for them before it prints rows."""

    def columns(query: str) -> dict[str, Any]:
        return http.get(f"{DATA}/query", params={"q": query, "columns": "true"}).json()

    found = columns("SELECT Id, Amount, Account.Name FROM Opportunity")
    assert (found["entityName"], found["idSelected"], found["keyPrefix"]) == ("Opportunity", True, "006")
    by_name = {c["columnName"]: c for c in found["columnMetadata"]}
    assert by_name["Id"]["textType"]
    assert by_name["Amount"]["numberType"]
    assert [c["columnName"] for c in by_name["Account"]["joinColumns"]] == ["Name"]
    assert "records" not in found
    nested = columns("SELECT Name, (SELECT StageName FROM Opportunities) FROM Account")["columnMetadata"]
    assert (nested[1]["columnName"], nested[1]["aggregate"]) == ("Opportunities", True)
    assert [c["columnName"] for c in nested[1]["joinColumns"]] == ["StageName"]
    assert columns("SELECT COUNT() FROM Account")["columnMetadata"] == []


def test_logins_name_another_address_where_told_so(make_org) -> None:  # type: ignore[no-untyped-def]
    with serve(make_org(), options=Options(instance_url="https://front.example")) as running:
        form = {"grant_type": "client_credentials", "client_id": running.options.client_id}
        form["client_secret"] = running.options.client_secret
        answer = requests.post(f"{running.base_url}/services/oauth2/token", data=form, timeout=20).json()
        assert answer["instance_url"] == "https://front.example"
