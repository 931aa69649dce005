from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from salesforce_simulator.org import Org
from salesforce_simulator.rendering import csv_header, csv_sql, json_sql, render
from salesforce_simulator.soql.to_sql import compile_query

NOW = datetime(2024, 5, 15, 12, tzinfo=UTC)  # a Wednesday


def small_tables() -> dict[str, pa.Table]:
    return {
        "Organization": pa.table({"Id": ["00D000000000001"], "Name": ["Acme"], "FiscalYearStartMonth": ["2"]}),
        "User": pa.table({"Id": ["005000000000001", "005000000000002"], "Name": ["Ann", "Bob"]}),
        "Account": pa.table(
            {
                "Id": ["001000000000001", "001000000000002", "001000000000003"],
                "Name": ['Acme "East"', "beta, Inc", "Gamma\nLtd"],
                "Industry": ["Banking", "retail", None],
                "OwnerId": ["005000000000001", "005000000000002", "005000000000001"],
            }
        ),
        "Opportunity": pa.table(
            {
                "Id": [f"00600000000000{i}" for i in range(1, 7)],
                "IsDeleted": ["false", "false", "false", "false", "false", "true"],
                "AccountId": ["001000000000001", "001000000000001", "001000000000002", None, "001000000000003", None],
                "OwnerId": ["005000000000001"] * 3 + ["005000000000002"] * 3,
                "Name": ["One", "two", "Three", "FOUR", "100% five", "gone"],
                "StageName": ["Prospecting", "Closed Won", "Prospecting", "Closed Lost", "Prospecting", "Prospecting"],
                "Amount": ["10.50", "1200000", None, "0", "99.99", "5"],
                "CloseDate": ["2024-05-15", "2024-05-14", "2024-04-30", "2023-12-31", "2024-06-01", "2024-05-15"],
                "IsWon": ["0", "1", "0", "0", "0", "0"],
                "CreatedDate": [
                    "2024-05-15T00:00:00.000Z",
                    "2024-05-14T23:59:59.000+00:00",
                    "2024-02-01T02:00:00.000+02:00",
                    "2023-01-31 10:00:00",
                    "2024-05-01T00:00:00Z",
                    "2024-05-01T00:00:00Z",
                ],
            }
        ),
        "Task": pa.table(
            {
                "Id": ["00T000000000001", "00T000000000002"],
                "WhatId": ["006000000000001", "001000000000002"],
                "Status": ["Completed", "Not Started"],
                "IsArchived": ["false", "true"],
            }
        ),
    }


@pytest.fixture
def org() -> Iterator[Org]:
    made = Org(small_tables(), now=NOW)
    yield made
    made.close()


@pytest.fixture
def soql(org: Org) -> Callable[..., list[dict[str, Any]]]:
    """Runs a query as the REST API does and gives its records."""
    import json

    def run(text: str, *, all_rows: bool = False, pretty: bool = False) -> list[dict[str, Any]]:
        compiled = compile_query(org, text, all_rows=all_rows)
        with org.cursor() as cursor:
            rows = render(cursor, json_sql(compiled, "62.0", pretty=pretty), compiled.parameters)
        return json.loads("[" + rows.read(0, len(rows)).decode().rstrip(", ") + "]")

    return run


@pytest.fixture
def soql_csv(org: Org) -> Callable[[str], str]:
    """Runs a query as the Bulk API does and gives its CSV."""

    def run(text: str) -> str:
        compiled = compile_query(org, text)
        with org.cursor() as cursor:
            rows = render(cursor, csv_sql(compiled), compiled.parameters)
        return (csv_header(compiled) + rows.read(0, len(rows))).decode()

    return run
