"""A home of leanfunnel with a large org landed in it, for benchmarks of what comes after the extraction.

The org is generated, served by the simulator and extracted by the product, so the landing is as runs leave it; nothing is
built yet. `bench/.work/large-<n>` keeps it for the next benchmark: the rows depend on seed and size alone. Some records break
the shipped definitions, by a hash of their Id.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from dagster_project import pipeline
from dagster_project.home import Home
from dagster_project.salesforce.auth import ClientCredentials
from dagster_project.salesforce.guards import Addresses
from salesforce_simulator import large

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "bench" / ".work"
NOW = datetime(2026, 7, 1, tzinfo=UTC)
SEED = 7
MAPPED = {
    "loss_reason": "Opportunity.Loss_Reason__c",
    "skip_reason": "Opportunity.Skip_Reason__c",
    "return_reason": "Opportunity.Return_Reason__c",
    "close_date_reviewed_on": "Opportunity.LastActivityDate",
}
_DRAW = """CREATE MACRO u(purpose, id) AS (hash(purpose, id) >> 11)::DOUBLE / 9007199254740992.0"""
_DEFECTS = (
    """CREATE OR REPLACE TABLE "Opportunity" AS SELECT * REPLACE (
        CASE WHEN u('review', "Id") < 0.3 THEN "LastActivityDate" END AS "LastActivityDate",
        CASE WHEN u('amount', "Id") >= 0.03 THEN "Amount" END AS "Amount",
        CASE WHEN NOT "IsClosed" AND u('late', "Id") < 0.05 THEN CAST("CloseDate" - INTERVAL 400 DAY AS DATE)
          ELSE "CloseDate" END AS "CloseDate",
        CASE WHEN u('flag', "Id") < 0.001 THEN NOT "IsClosed" ELSE "IsClosed" END AS "IsClosed",
        CASE WHEN u('stage', "Id") < 0.002 THEN 'Old Stage' ELSE "StageName" END AS "StageName",
        CASE WHEN u('import', "Id") < 0.001 THEN "CreatedDate" - INTERVAL 1 DAY ELSE "LastModifiedDate" END AS "LastModifiedDate"
      ),
      CASE WHEN "IsClosed" AND NOT "IsWon" AND u('reason', "Id") < 0.8
        THEN ['Price', 'Timing', 'No decision', 'Other'][1 + CAST(floor(u('which', "Id") * 4) AS INTEGER)] END AS "Loss_Reason__c",
      CASE WHEN u('skip', "Id") < 0.5 THEN 'Not needed' END AS "Skip_Reason__c",
      CASE WHEN u('return', "Id") < 0.5 THEN 'New buyer' END AS "Return_Reason__c"
      FROM "Opportunity" ORDER BY 1""",
    """CREATE OR REPLACE TABLE "OpportunityHistory" AS SELECT * REPLACE (
        CASE WHEN u('stage', "Id") < 0.001 THEN 'Old Stage' ELSE "StageName" END AS "StageName")
      FROM "OpportunityHistory" ORDER BY 1""",
    """CREATE OR REPLACE TABLE "Task" AS SELECT * REPLACE (
        CASE WHEN u('orphan', "Id") >= 0.01 THEN "WhoId" END AS "WhoId",
        CASE WHEN u('orphan', "Id") >= 0.01 THEN "WhatId" END AS "WhatId",
        CASE WHEN u('future', "Id") < 0.001 THEN "CompletedDateTime" + INTERVAL 9 YEAR ELSE "CompletedDateTime" END
          AS "CompletedDateTime")
      FROM "Task" ORDER BY 1""",
    "DROP MACRO u",
)


@contextmanager
def serving(file: Path) -> Iterator[dict[str, Any]]:
    """The org in `file` on loopback, in a process of its own: what it prints when it is ready."""
    command = [sys.executable, "-m", "salesforce_simulator", "serve", "--org", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads((process.stdout and process.stdout.readline()) or "null") or sys.exit("did not start")
        finally:
            process.terminate()


def request(home: Path, ready: dict[str, Any] | None = None) -> pipeline.Request:
    """A run on that home: from the org that is `ready`, or from the landing alone."""
    login = ClientCredentials(ready["url"], ready["client_id"], ready["client_secret"]) if ready else None
    return pipeline.Request(
        Home(home),
        ROOT / "dbt",
        ROOT / "expectations",
        credentials=(lambda: login) if login else None,
        from_landing=login is None,
        mapped_fields=MAPPED,
        addresses=Addresses("plain"),
        measurable_share=1.0,
        reporting_timezone="UTC",
    )


def landed(opportunities: int) -> Path:
    """The home with an org of so many opportunities landed: made once, then kept. Nothing but its landing is there."""
    home = WORK / f"large-{opportunities}"
    if not (home / "landing" / "org.json").exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        org, began = WORK / f"large-{opportunities}.org.duckdb", time.monotonic()
        org.unlink(missing_ok=True)
        try:
            large.write_org(org, opportunities=opportunities, seed=SEED, now=NOW)
            with duckdb.connect(str(org), config={"memory_limit": "3GB"}) as connection:
                for statement in (_DRAW, *_DEFECTS):
                    connection.execute(statement)
            print(f"{opportunities:,} opportunities generated in {time.monotonic() - began:.0f} s", flush=True)
            began = time.monotonic()
            with serving(org) as ready:
                brought = pipeline.extract(request(home, ready))
            print(f"{brought.rows:,} rows extracted in {time.monotonic() - began:.0f} s", flush=True)
        finally:
            org.unlink(missing_ok=True)
    return home


@contextmanager
def copy_of(home: Path) -> Iterator[Path]:
    """A home with the same landing (files linked, not copied), removed at the end."""
    place = WORK / "run"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(home / "landing", place / "landing", copy_function=_link)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)
