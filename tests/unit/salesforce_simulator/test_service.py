"""Whatever a client sends, the service answers as the service does: never with an error of its own."""

from __future__ import annotations

import json
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salesforce_simulator.http_types import Request
from salesforce_simulator.org import Org
from salesforce_simulator.service import Options, Service

_SEGMENTS = st.sampled_from(
    [
        *(
            "services",
            "data",
            "v62.0",
            "v59.0",
            "async",
            "62.0",
            "sobjects",
            "Account",
            "Opportunity",
            "Nothing",
            "query",
        ),
        *(
            "describe",
            "jobs",
            "results",
            "001000000000001",
            "006000000000001AAA",
            "composite",
            "batch",
            "ui-api",
            "limits",
        ),
        *(
            "oauth2",
            "token",
            "deleted",
            "updated",
            "Name",
            "StageName",
            "object-info",
            "picklist-values",
            "job",
            "x%00'\"",
        ),
    ]
)
_PATHS = st.one_of(
    st.lists(_SEGMENTS, max_size=7).map(lambda parts: "/" + "/".join(parts)),
    st.lists(_SEGMENTS, max_size=5).map(lambda parts: "/services/data/v62.0/" + "/".join(parts)),
    st.text(max_size=30).map(lambda text: "/" + text),
)
_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.sampled_from(["query", "001000000000001"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["records", "Name", "query", "operation", "batchRequests", "url", "ids", "fields", "attributes"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=8,
)
_QUERIES = st.dictionaries(
    st.sampled_from(["q", "fields", "ids", "start", "end", "locator", "maxRecords"]),
    st.one_of(st.text(max_size=20), st.sampled_from(["SELECT Id FROM Account", "2024-05-14T00:00:00Z", "Name", "5"])),
    max_size=3,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["GET", "POST", "PATCH", "PUT", "DELETE"]),
    _PATHS,
    _QUERIES,
    st.one_of(_VALUES.map(lambda value: json.dumps(value).encode()), st.binary(max_size=40)),
)
def test_no_request_makes_the_service_fail(
    org: Org, method: str, path: str, query: dict[str, str], body: bytes
) -> None:
    service = Service(org, Options())
    session = service.auth.open_session()
    headers = {"authorization": f"Bearer {session}", "x-sfdc-session": session, "content-type": "application/json"}
    response = service.handle(Request(method, path, dict(query), headers, body))
    assert 200 <= response.status < 500 or path.startswith("/services/Soap")
    service.bulk2.close()


_PARTS = st.sampled_from(
    [
        *(
            "Account",
            "Opportunity",
            "Task",
            "001000000000001",
            "006000000000009AAA",
            "Id",
            "Name",
            "012000000000000AAA",
        ),
        *("x", "StageName", "01g000000000001AAA-5", "u", "62.0", "750000000000001AAA", "%", "'"),
    ]
)


_BODIES: list[object] = [
    *(None, [], {}, 5, {"records": 5}, {"records": [{}]}, {"records": [{"attributes": {"type": "Account"}}]}),
    {"records": [{"attributes": {"type": "Account"}, "id": 5, "Name": {}}]},
    *({"Name": {"a": 1}}, {"Name": ["x"]}, {"Name": None}, {"Industry": True}, {"OwnerId": 5}, {"state": ["Aborted"]}),
    *(
        {"operation": ["x"]},
        {"operation": "query", "query": 5},
        {"operation": "query", "query": "SELECT Id FROM Account"},
    ),
    {"operation": "query", "columnDelimiter": [1], "lineEnding": {}, "query": "SELECT Id FROM Account"},
    *({"ids": 5, "fields": 5}, {"ids": ["x", 5], "fields": ["Name"]}, {"ids": ["001000000000001"], "fields": ["a b"]}),
    *(
        {"batchRequests": [{"url": 5}]},
        {"batchRequests": [{"method": 5, "url": "v62.0/limits"}]},
        {"batchRequests": [5]},
    ),
    {"contentType": 5, "operation": "query", "object": "Account"},
]
_PARTS = [
    ["Account", "001000000000001", "x"],
    ["Account", "Name", "x"],
    ["Account", "Id", "001000000000001"],
    ["Opportunity", "012000000000000AAA", "StageName"],
    ["%", "'", '"'],
]


def test_no_endpoint_fails_on_a_body_that_it_did_not_expect(org: Org) -> None:
    service = Service(org, Options())
    session = service.auth.open_session()
    headers = {"authorization": f"Bearer {session}", "x-sfdc-session": session, "content-type": "application/json"}
    tried = 0
    for chosen in service.routes:
        pattern = chosen.pattern.pattern.replace(r"(?P<version>\d+\.\d+)", "62.0").replace("\\", "").removesuffix("/?")
        for parts in _PARTS:
            left = iter(parts)
            path = re.sub(r"\(\?P<\w+>\[\^/\]\+\)", lambda _, left=left: next(left, "x"), pattern)
            for body in _BODIES:
                response = service.handle(Request(chosen.method, path, {}, headers, json.dumps(body).encode()))
                assert response.status < 500 or path.startswith("/services/Soap"), (chosen.kind, path, body)
                tried += 1
    assert tried > 3000
    service.close()


def test_a_session_in_the_wrong_place_is_no_session(org: Org) -> None:
    service = Service(org, Options())
    for header in ("", "Basic abc", "Bearer", "Bearer "):
        answer = service.handle(Request("GET", "/services/data/v62.0/limits", {}, {"authorization": header}))
        assert answer.status == 401
