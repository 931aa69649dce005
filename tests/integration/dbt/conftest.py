"""A warehouse of a few rows: landing, control and audit as the product writes them, built by dbt in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from dagster_project.contracts import load_terms, terms_table
from dagster_project.home import Home
from dagster_project.salesforce.objects import catalogue
from dagster_project.warehouse.control import RunRow, write_control
from dagster_project.warehouse.dbt_build import DbtBuild
from dagster_project.warehouse.landing_views import _TYPES, view_name

ROOT = Path(__file__).resolve().parents[3]
FAR = datetime(2100, 1, 1)  # noqa: DTZ001 (as below)
AS_OF = datetime(2026, 1, 31)  # noqa: DTZ001 (the warehouse holds naive UTC)
_OPEN = ("Prospecting", "Qualification", "Needs Analysis", "Proposal", "Negotiation")
STEPS = ("prospect", "qualified", "solution", "proposal", "commit")


def process_map(process: str, open_stages: Sequence[str] = _OPEN) -> list[tuple[Any, ...]]:
    """Rows of control.stage_map: `open_stages` in order, then won and lost."""
    rows: list[tuple[Any, ...]] = []
    for order, stage in enumerate(open_stages, start=1):
        rank = order + len(STEPS) - len(open_stages)
        location = "qualifying" if rank < 3 else "selling"
        rows.append((process, stage, order, STEPS[rank - 1], rank, location, False, False, True))
    rows.append((process, "Closed Won", len(open_stages) + 1, "won", 6, "closed", True, True, True))
    rows.append((process, "Closed Lost", len(open_stages) + 2, "lost", None, "closed", True, False, True))
    return rows


_SEEN = {
    "amount": '"amount" > 0',
    "contact_role": '"contact_role_count" >= 1',
    "meeting_held": '"meeting_held_at" IS NOT NULL',
}


def stage_entry(name: str, evidence: str, from_step_rank: int, **changes: Any) -> dict[str, Any]:
    """An enforced, configured stage-entry definition."""
    return {
        "definition_id": name, "rule_number": int(name[1:]), "version": 1, "kind": "stage_entry", "mode": "enforce",
        "entity": "opportunity", "from_step_rank": from_step_rank, "evidence": evidence, "is_configured": True,
        "evidence_sql": _SEEN.get(evidence), "asked_sql": "TRUE", **changes,
    }  # fmt: skip


class ConformBench:
    """One conformed.duckdb at a time. `land` appends a batch of one object; `build` runs the tag `conform`."""

    project = ROOT / "dbt"

    def __init__(self, root: Path) -> None:
        self.deal, self.stage_entry, self.utc, self.process_map = deal, stage_entry, utc, process_map
        self.home = Home(root)
        self.dbt = DbtBuild(self.project, self.home)
        self._catalogue = catalogue()
        self.terms = terms_table(load_terms(ROOT / "expectations"))

    def reset(self) -> None:
        """An empty warehouse: landing tables without rows, audit tables, no control rows."""
        self.home.conformed.parent.mkdir(parents=True, exist_ok=True)
        self.home.conformed.unlink(missing_ok=True)
        with self.connect() as connection:
            connection.execute("create schema landing")
            for name, fields in self._catalogue.items():
                columns = {**fields, "_batch_seq": "int", "_extracted_at": "datetime", "_operation": "text"}
                spelled = ", ".join(f'"{column}" {_TYPES[kind]}' for column, kind in columns.items())
                connection.execute(f'create table landing."{view_name(name)}" ({spelled})')

    def connect(self, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
        """A connection; the caller closes it."""
        return duckdb.connect(str(self.home.conformed), read_only=read_only)

    def land(
        self,
        name: str,
        rows: Iterable[Mapping[str, Any]] | pa.Table,
        *,
        batch: int = 1,
        extracted_at: datetime = AS_OF,
        operation: str = "upsert",
    ) -> None:
        """Append rows, given by API field names, as one batch."""
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist([dict(row) for row in rows])
        known = {**self._catalogue[name]}
        columns = [column for column in table.column_names if column in known]
        with self.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.register("incoming", table)
            spelled = ", ".join(f'"{column}"' for column in columns)
            casts = ", ".join(
                f"(\"{column}\"::timestamptz) at time zone 'UTC'"
                if known[column] == "datetime"
                else f'"{column}"::{_TYPES[known[column]]}'
                for column in columns
            )
            connection.execute(
                f'insert into landing."{view_name(name)}" ({spelled}, _batch_seq, _extracted_at, _operation) '
                f"select {casts}, ?, ?, ? from incoming",
                [batch, extracted_at, operation],
            )

    def control(
        self,
        *,
        as_of: datetime = AS_OF,
        known_at: datetime | None = None,
        stage_map: Iterable[Sequence[Any]] | None = None,
        definitions: Iterable[Mapping[str, Any]] = (),
        inventory: Iterable[tuple[str, str | None, str]] = (("EventRelation", None, "present"),),
        corporate_currency: str | None = "USD",
        measurable_share: float = 0.2,
        team: str = "manager",
        experiments: Iterable[Sequence[Any]] = (),
        targets: Iterable[Sequence[Any]] = (),
        dimensions: Iterable[Sequence[Any]] = (),
    ) -> None:
        """Write the control tables as the warehouse package does."""
        run = RunRow(
            run_id="run-1", as_of=as_of, as_of_on=as_of.date(), known_at=known_at or FAR, org_id="00D",
            record_url_base="https://org.example", corporate_currency=corporate_currency, minimum_n=20,
            conversion_days=90, reporting_timezone="UTC", fiscal_year_start_month=1, measurable_share=measurable_share,
            team=team,
        )  # fmt: skip
        with self.connect() as connection:
            write_control(
                connection, run, stage_map or process_map("default"), definitions, inventory, terms=self.terms,
                experiments=experiments, targets=targets, dimensions=dimensions,
            )  # fmt: skip

    def build(self, *, full_refresh: bool = False) -> int:
        """Models and data tests of the tag `conform`; raises WarehouseError where one fails."""
        return self.dbt.build("conform", full_refresh=full_refresh)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The result of a query, by column name."""
        with self.connect(read_only=True) as connection:
            cursor = connection.execute(sql)
            names = [column[0] for column in cursor.description or []]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def utc(instant: datetime) -> datetime:
    """A naive instant as an aware one, as the landing holds it."""
    return instant.replace(tzinfo=UTC)


def at(day: float) -> datetime:
    """`day` days after the start of January 2026."""
    return utc(AS_OF - timedelta(days=30) + timedelta(days=day))


def deal(number: int = 1, **fields: Any) -> dict[str, Any]:
    """An Opportunity row."""
    return {
        "Id": f"006{number:015d}", "IsDeleted": False, "Name": f"Deal {number}", "StageName": "Prospecting",
        "Amount": "1000.00", "CurrencyIsoCode": "USD", "CloseDate": date(2026, 2, 15), "IsClosed": False, "IsWon": False,
        "OwnerId": "005000000000000001", "CreatedDate": at(0), "LastModifiedDate": at(1), "SystemModstamp": at(1), **fields,
    }  # fmt: skip


@pytest.fixture(scope="session")
def _session_bench(tmp_path_factory: pytest.TempPathFactory) -> ConformBench:
    return ConformBench(tmp_path_factory.mktemp("conform"))


@pytest.fixture
def bench(_session_bench: ConformBench) -> Iterator[ConformBench]:
    """The bench with an empty warehouse; dbt parses the project once a session."""
    _session_bench.reset()
    return _session_bench
