"""A published mart of a few breaches, and the simulated org that it came from, into which the shipped metadata is deployed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from dagster_project.home import Home
from dagster_project.salesforce.auth import ClientCredentials
from salesforce_simulator import ids
from salesforce_simulator.changes import Changes
from salesforce_simulator.org import Org
from salesforce_simulator.server import serve
from salesforce_simulator.service import Options, Service
from salesforce_simulator.source import deploy

SOURCE = Path(__file__).resolve().parents[3] / "salesforce"
ORG_ID = ids.numbered("00D", 1)
ANN, BOB, BOSS = (ids.numbered("005", number) for number in (2, 3, 4))
DEALS = [ids.numbered("006", number) for number in range(1, 9)]
# the mart holds naive UTC
CREATED, FIRST_SEEN, AS_OF = datetime(2026, 1, 1), datetime(2026, 6, 1, 8, 30), datetime(2026, 7, 1)  # noqa: DTZ001


def org() -> Org:
    users = [
        (1, "Integration", True, None),
        (2, "Ann Lee", True, 4),
        (3, "Bob Roy", False, 4),
        (4, "Mia Boss", True, None),
    ]
    return Org(
        {
            "Organization": pa.table({"Id": [ORG_ID], "Name": ["Acme"]}),
            "User": pa.table(
                {
                    "Id": [ids.numbered("005", number) for number, *_ in users],
                    "Username": [f"u{number}@example.com" for number, *_ in users],
                    "Name": [name for _, name, *_ in users],
                    "IsActive": [active for _, _, active, _ in users],
                    "ManagerId": [boss and ids.numbered("005", boss) for *_, boss in users],
                }
            ),
            "Opportunity": pa.table({"Id": DEALS, "Name": [f"Deal {n}" for n in range(8)], "StageName": ["Open"] * 8}),
            "Task": pa.table(
                {
                    "Id": [ids.numbered("00T", 1)], "Subject": ["Call the customer"], "Status": ["Not Started"],
                    "IsClosed": [False], "OwnerId": [ANN],
                }
            ),
        },
        now=datetime(2026, 7, 1, tzinfo=UTC),
    )  # fmt: skip


@dataclass
class Mart:
    """The tables of a publication that writing back reads; `breach` and `mend` change what stands."""

    path: Path
    rows: list[dict[str, Any]] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=lambda: {"R06": "measured", "R07": "measured"})
    as_of: datetime = AS_OF
    org_id: str = ORG_ID

    def breach(self, deal: int, rule: str = "R07", **changes: Any) -> None:
        row = {
            "definition_id": rule, "definition_version": 1, "rule_number": int(rule[1:]), "row_key": DEALS[deal],
            "record_id": DEALS[deal], "status": "breached", "title": f"Title {rule}", "kind": "duty", "mode": "enforce",
            "observed_value": "none", "threshold": "some", "why": "Because.", "fix": "owner: mend it.",
            "accountable": "opportunity owner", "first_seen_at": FIRST_SEEN, "days_known": 30.0,
            "owner_id": ANN, "owner_name": "Ann Lee",
        }  # fmt: skip
        self.rows.append(row | changes)

    def mend(self, deal: int) -> None:
        self.rows = [row for row in self.rows if row["record_id"] != DEALS[deal]]

    def write(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        owners = {row["record_id"]: (row["owner_id"], row["owner_name"]) for row in self.rows}
        deals = [
            {
                "opportunity_id": deal, "opportunity_name": f"Deal {number}", "record_url": f"https://acme.example/{deal}",
                "sales_process": "default", "stage_name": "Open", "owner_id": owners.get(deal, (ANN,))[0],
                "owner_name": owners.get(deal, (ANN, "Ann Lee"))[1], "amount_corporate": 1000.0 * (number + 1),
                "close_on": date(2026, 7, 31), "is_open": True, "is_won": False, "is_lost": False, "is_deleted": False,
                "created_at": CREATED,
            }
            for number, deal in enumerate(DEALS)
        ]  # fmt: skip
        people = [
            {
                "owner_id": ANN,
                "owner_name": "Ann Lee",
                "is_active": True,
                "manager_id": BOSS,
                "manager_name": "Mia Boss",
            },
            {
                "owner_id": BOB,
                "owner_name": "Bob Roy",
                "is_active": False,
                "manager_id": BOSS,
                "manager_name": "Mia Boss",
            },
            {"owner_id": BOSS, "owner_name": "Mia Boss", "is_active": True, "manager_id": None, "manager_name": None},
        ]
        definitions = [
            {"definition_id": rule, "state": state, "owner": "rev-ops"} for rule, state in self.states.items()
        ]
        runs = [{"as_of": self.as_of, "as_of_on": self.as_of.date(), "org_id": self.org_id}]
        breaches = [row | {"as_of": self.as_of} for row in self.rows]
        empty = pa.Table.from_pylist([self._sample() | {"as_of": self.as_of}])
        tables = {
            "rpt_definition_breaches": pa.Table.from_pylist(breaches, empty.schema) if breaches else empty.slice(0, 0),
            "fct_opportunities": pa.Table.from_pylist(deals),
            "dim_owner": pa.Table.from_pylist(people),
            "dim_definition": pa.Table.from_pylist(definitions),
            "dim_run": pa.Table.from_pylist(runs),
        }
        with duckdb.connect(str(self.path)) as connection:
            connection.execute("CREATE SCHEMA mart")
            for name, rows in tables.items():
                connection.register("rows", rows)
                connection.execute(f"CREATE TABLE mart.{name} AS SELECT * FROM rows")
                connection.unregister("rows")
            connection.execute("ALTER TABLE mart.fct_opportunities ALTER amount_corporate TYPE DECIMAL(18, 2)")
        return self.path

    def _sample(self) -> dict[str, Any]:
        one = Mart(self.path)
        one.breach(0)
        return one.rows[0]


@dataclass
class Bench:
    """One org and one home."""

    service: Service
    home: Home
    mart: Mart

    @property
    def credentials(self) -> ClientCredentials:
        options = self.service.options
        return ClientCredentials(self.service.base_url, options.client_id, options.client_secret)

    def as_person(self) -> Changes:
        """What people do in the org meanwhile."""
        return Changes(self.service.org, ANN)

    def records(self, name: str, key: str) -> dict[str, dict[str, Any]]:
        """The records of an object that have a key, by it."""
        kind = self.service.org.required_object(name)
        with self.service.org.cursor() as cursor:
            found = cursor.execute(f'SELECT "Id" FROM "{kind.name}" WHERE "{key}" IS NOT NULL').fetchall()
        rows = [self.service.org.read(kind, record_id) for (record_id,) in found]
        assert len({row[key] for row in rows if row}) == len(rows), "a key stands twice"
        return {row[key]: row for row in rows if row}

    @property
    def items(self) -> dict[str, dict[str, Any]]:
        return self.records("Leanfunnel_Item__c", "Item_Key__c")

    @property
    def tasks(self) -> dict[str, dict[str, Any]]:
        return self.records("Task", "Leanfunnel_Key__c")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    served = org()
    deploy(served, SOURCE)
    home = Home(tmp_path / "home")
    with serve(served, options=Options(control=True)) as service:
        yield Bench(service, home, Mart(home.current / "leanfunnel.duckdb"))
