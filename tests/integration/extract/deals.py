"""An org of a few hundred deals in this process, and one extraction of it: for tests of windows, jobs and budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from dagster_project.landing import LandingLog
from dagster_project.salesforce.auth import ClientCredentials
from dagster_project.salesforce.budget import Bounds
from dagster_project.salesforce.client import SalesforceClient
from dagster_project.salesforce.extract import ExtractReport, extract_org
from salesforce_simulator.org import Org
from salesforce_simulator.server import serve
from salesforce_simulator.service import Options, Service
from tests.faults.compare import compare

NAME = "Opportunity"
ROWS, A_WINDOW = 400, 100
NOW = datetime(2024, 5, 15, 12, tzinfo=UTC)


class KilledError(Exception):
    """Stands for kill -9: nothing after it runs."""


def tables() -> dict[str, pa.Table]:
    """400 deals: more than a third bear one stamp, as after a mass import; the others lie an hour apart."""
    stamps = [
        NOW - timedelta(hours=ROWS - n) if n < 250 else NOW - timedelta(hours=100, minutes=1) for n in range(ROWS)
    ]
    return {
        "Organization": pa.table({"Id": ["00D000000000001AAA"], "Name": ["Acme"]}),
        "Account": pa.table(
            {"Id": ["001000000000001AAA"], "Name": ["Acme"], "SystemModstamp": [NOW - timedelta(days=1)]}
        ),
        NAME: pa.table(
            {
                "Id": [deal(n) for n in range(ROWS)],
                "Name": [f"deal {n}" for n in range(ROWS)],
                "StageName": ["Open"] * ROWS,
                "Amount": [float(n) for n in range(ROWS)],
                "IsDeleted": [n % 50 == 49 for n in range(ROWS)],
                "SystemModstamp": stamps,
            }
        ),
    }


def deal(number: int) -> str:
    """The Id of a deal."""
    return f"006{number:012d}AAA"


@contextmanager
def serving(**options: Any) -> Iterator[Service]:
    """The org on a port."""
    with serve(Org(tables(), now=NOW), options=Options(**options)) as running:
        yield running


def edit(service: Service, numbers: tuple[int, ...], minutes: float = 1, **values: Any) -> None:
    """Some deals change, so many minutes later by the org's clock."""
    org = service.org
    org.set_now(org.now + timedelta(minutes=minutes))
    stamp = org.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    org.upsert(NAME, [{"Id": deal(n), "SystemModstamp": stamp, **values} for n in numbers])


def extract(
    service: Service, home: Path, *, objects: tuple[str, ...] = (NAME,), bounds: Bounds | None = None,
    rows_per_window: int = 10**9, on_landed: Callable[[int], None] = lambda number: None, api_version: str = "62.0",
    progress: Callable[..., None] = lambda name, event, **numbers: None,
) -> ExtractReport:  # fmt: skip
    """One run; `on_landed` is called after each commit, with its number in this run."""
    log, landed = LandingLog(home / "landing"), 0

    def land(batch: Any) -> None:
        nonlocal landed
        log.commit(batch, run_id="r")
        landed += 1
        on_landed(landed)

    login = ClientCredentials(service.base_url, service.options.client_id, service.options.client_secret)
    with SalesforceClient(login, api_version=api_version) as client:
        return extract_org(
            client, landed=log.state, land=land, workdir=home / "work", objects=objects, progress=progress,
            bounds=bounds or Bounds(rows_per_window=rows_per_window),
        )  # fmt: skip


def kill_after(number: int) -> Callable[[int], None]:
    """For `on_landed`: the run ends right after that commit."""

    def killed(landed: int) -> None:
        if landed == number:
            raise KilledError

    return killed


def batches(home: Path) -> list[tuple[int, int]]:
    """(batch, rows) of the deals in the landing."""
    files = LandingLog(home / "landing").state(NAME).files
    query = "SELECT _batch_seq, count(*) FROM read_parquet(?, union_by_name = true) GROUP BY 1 ORDER BY 1"
    return duckdb.execute(query, [files]).fetchall()


def as_the_org(service: Service, home: Path, *names: str) -> bool:
    """Whether the landing's newest versions are the org's records."""
    return not any(compare(service.org, home / "landing", names or (NAME,)).values())
