from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce

from salesforce_simulator.org import STAGE_PICKLIST, Org
from salesforce_simulator.server import serve
from salesforce_simulator.service import Options, Service

ROWS = 4500


class PlainHttp(HTTPAdapter):
    """simple-salesforce knows https only; on loopback the simulator speaks http."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.url = (request.url or "").replace("https://", "http://", 1)
        return super().send(request, *args, **kwargs)


def tables() -> dict[str, pa.Table]:
    numbers = range(ROWS)
    return {
        "Account": pa.table({"Id": ["001000000000001"], "Name": ["Acme"]}),
        "RecordType": pa.table(
            {
                "Id": ["012000000000001"],
                "Name": ["New"],
                "DeveloperName": ["New_Business"],
                "SobjectType": ["Opportunity"],
            }
        ),
        "OpportunityStage": pa.table(
            {
                "Id": ["01J000000000001", "01J000000000002"],
                "MasterLabel": ["Open", "Closed Won"],
                "ApiName": ["Open", "Closed Won"],
                "SortOrder": [1, 2],
                "IsActive": [True, True],
                "IsClosed": [False, True],
                "IsWon": [False, True],
            }
        ),
        STAGE_PICKLIST: pa.table(
            {
                "RecordTypeId": ["012000000000001"] * 2,
                "StageName": ["Closed Won", "Open"],
                "Label": ["Won!", "Open"],
                "Position": [1, 2],
            }
        ),
        "Opportunity": pa.table(
            {
                "Id": [f"006{n:012d}" for n in numbers],
                "Name": [f'deal "{n}"\nof, many' for n in numbers],
                "AccountId": ["001000000000001"] * ROWS,
                "StageName": ["Open"] * ROWS,
                "Amount": [n / 4 for n in numbers],
                "IsDeleted": [n % 1000 == 999 for n in numbers],
            }
        ),
        "DatedConversionRate": pa.table({"Id": ["04w000000000001"], "IsoCode": ["EUR"], "ConversionRate": [0.9]}),
    }


@pytest.fixture(scope="session")
def make_org() -> Callable[[], Org]:
    return lambda: Org(tables(), now=datetime(2024, 5, 15, 12, tzinfo=UTC))


@pytest.fixture
def service(make_org: Callable[[], Org]) -> Iterator[Service]:
    with serve(make_org(), options=Options(control=True, polls_in_progress=1)) as running:
        yield running


@pytest.fixture
def http(service: Service) -> Iterator[requests.Session]:
    """A session that is logged in; paths are completed with the service's address."""
    with _Session(service.base_url) as session:
        session.headers["Authorization"] = f"Bearer {service.auth.open_session()}"
        yield session


class _Session(requests.Session):
    def __init__(self, base_url: str) -> None:
        super().__init__()
        self.base_url = base_url

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        kwargs.setdefault("timeout", 20)
        full = url if url.startswith("http") else self.base_url + url
        return super().request(method, full, *args, **kwargs)


@pytest.fixture
def salesforce(service: Service) -> Salesforce:
    session = requests.Session()
    session.mount("https://", PlainHttp())
    return Salesforce(
        instance_url=service.base_url.replace("http://", "https://"),
        session_id=service.auth.open_session(),
        session=session,
        version="62.0",
    )
