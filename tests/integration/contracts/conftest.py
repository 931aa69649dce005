"""A conformed warehouse by hand: the audit's entities with the columns that definitions may name, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.contracts import load_definitions
from dagster_project.contracts.entities import ENTITIES, MAPPED
from dagster_project.warehouse.control import RunRow, write_control

ROOT = Path(__file__).resolve().parents[3]
AS_OF = datetime(2026, 7, 1)  # noqa: DTZ001 - the warehouse keeps naive UTC
_TYPES = {"text": "VARCHAR", "number": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE", "timestamp": "TIMESTAMP"}
_NARROWER = {"amount": "DECIMAL(18, 2)", "step_rank": "INTEGER", "stage_order": "INTEGER", "copies": "BIGINT"}
_INVENTORY = [
    ("Opportunity", None, "present"), ("Opportunity", "Amount", "present"), ("OpportunityHistory", None, "present"),
    ("OpportunityContactRole", None, "present"), ("Event", None, "present"), ("EmailMessage", None, "present"),
    ("Opportunity", "AccountId", "present"), ("Opportunity", "Type", "present"), ("Opportunity", "CurrencyIsoCode", "present"),
    ("Lead", None, "present"), ("Lead", "OwnerId", "present"), ("Lead", "Email", "present"), ("Task", None, "present"),
    ("Account", None, "present"), ("Contact", None, "present"), ("User", None, "present"), ("User", "IsActive", "present"), ("CurrencyType", None, "present"),
    ("stage_map", None, "present"), ("stage_map", "buyer_stage", "present"),
    *(("mapped", meaning, "present") for meaning in MAPPED),
]  # fmt: skip


def opportunity(key: str, **changed: Any) -> dict[str, Any]:
    """An open deal in proposal that meets every rule, but for what is changed."""
    days = timedelta(days=1)
    return {
        "record_id": key, "row_key": key, "record_name": f"Deal {key}", "record_url": f"https://org.example/{key}",
        "owner_id": "005", "owner_name": "Ann", "sales_process": "New_Business", "stage_name": "Proposal", "step": "proposal",
        "stage_order": 4, "step_rank": 4, "is_open": True, "is_won": False, "is_lost": False, "is_stage_mapped": True,
        "amount": 1000, "amount_corporate": 1000, "currency_code": "USD", "close_on": AS_OF.date() + 30 * days, "as_of": AS_OF,
        "as_of_on": AS_OF.date(), "created_at": AS_OF - 60 * days, "last_modified_at": AS_OF - days,
        "first_history_at": AS_OF - 60 * days, "latest_timestamp_at": AS_OF - days, "last_history_stage_name": "Proposal",
        "stage_state": "open", "flag_state": "open", "contact_role_count": 1, "days_open": 60,
        "last_customer_response_at": AS_OF - 5 * days, "days_since_customer_response": 5, "meeting_held_at": AS_OF - 20 * days,
        "account_id": "001", "opportunity_type": "New", "is_owner_active": True, "close_date_pushes": 2,
        "pushes_since_review": 2, "days_in_stage": 30, "service_level_days": 30, "open_deals_alike": 1,
        **changed,
    }  # fmt: skip


def visit(key: str, record: str, **changed: Any) -> dict[str, Any]:
    row = {
        "row_key": key,
        "record_id": record,
        "sales_process": "New_Business",
        "stage_name": "Proposal",
        "is_mapped": True,
        "entered_by": "advanced",
        "stages_skipped": 0,
    }
    return {**row, "record_name": record, "record_url": f"https://org.example/{record}", "entered_at": AS_OF, **changed}


def load_row(key: str, record: str | None) -> dict[str, Any]:
    return {"row_key": key, "record_id": record, "copies": 1}


def activity(key: str, **changed: Any) -> dict[str, Any]:
    """A call that was made and says all that it owes, but for what is changed."""
    return {
        "record_id": key, "row_key": key, "record_url": f"https://org.example/{key}", "activity_kind": "task", "owner_id": "005",
        "owner_name": "Ann", "is_linked": True, "is_internal": False, "completed_at": AS_OF, "direction": "outbound",
        "as_of": AS_OF, **changed,
    }  # fmt: skip


def build(
    path: Path,
    *,
    opportunities: Sequence[dict[str, Any]] = (),
    visits: Sequence[dict[str, Any]] = (),
    loads: Sequence[dict[str, Any]] = (),
    others: Mapping[str, Sequence[dict[str, Any]]] | None = None,
    levels: Sequence[tuple[Any, ...]] = (),
    as_of: datetime = AS_OF,
    inventory: Sequence[tuple[str, str | None, str]] = _INVENTORY,
) -> Path:
    run = RunRow("run", as_of, as_of.date(), as_of, "00D", "https://org.example", "USD", 20, 90, "UTC", 1, 0.20)
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS intermediate")
        write_control(connection, run, [], [], inventory)
        connection.execute(
            "CREATE OR REPLACE TABLE intermediate.int_stage_service_levels (sales_process VARCHAR, stage_name VARCHAR, "
            "service_level_days DOUBLE, n_closed BIGINT, frozen_at TIMESTAMP)"
        )
        for level in levels:
            connection.execute("INSERT INTO intermediate.int_stage_service_levels VALUES (?, ?, ?, ?, ?)", level)
        given = {"opportunity": opportunities, "stage_visit": visits, "opportunity_load": loads, **(others or {})}
        for name, entity in ENTITIES.items():
            rows, columns = given.get(name, ()), entity.columns
            shape = ", ".join(f"{column} {_NARROWER.get(column, _TYPES[type_])}" for column, type_ in columns.items())
            connection.execute(f"CREATE OR REPLACE TABLE {ENTITIES[name].relation} ({shape})")
            if rows:
                marks = ", ".join("?" * len(columns))
                values = [[row.get(column) for column in columns] for row in rows]
                connection.executemany(f"INSERT INTO {ENTITIES[name].relation} VALUES ({marks})", values)
    return path


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


class HereProcess:
    """Great Expectations itself, in this process on a copy of the file: it keeps its file open, a subprocess costs seconds."""

    _numbers = count()

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> HereProcess:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def run(self, request: dict[str, Any]) -> dict[str, dict[str, Any]]:
        from dagster_project.contracts.gx_process import run

        copy = self._folder / f"copy{next(self._numbers)}.duckdb"
        shutil.copy(request["database"], copy)
        return run({**request, "database": str(copy)})


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> HereProcess:
    return HereProcess(tmp_path_factory.mktemp("gx"))


@pytest.fixture(scope="session")
def shipped() -> list[Any]:
    return load_definitions(ROOT / "expectations")


@pytest.fixture(scope="session")
def scratch() -> Callable[..., Path]:
    return build


@pytest.fixture(scope="session")
def make() -> Any:
    """The row makers and the reader: importlib mode lets tests import nothing from each other."""

    class Make:
        AS_OF, TODAY = AS_OF, date(2026, 7, 1)
        deal, visit, load, query, activity = (staticmethod(f) for f in (opportunity, visit, load_row, query, activity))

    return Make
