"""One extraction in a process of its own, measured from inside: `ours`, or the `limit` that the fewest lines reach.

    python -m bench.extract_once ours ADDRESS HOME      python -m bench.extract_once limit ADDRESS FOLDER

Prints one line of JSON: rows, wall and CPU seconds from the first request to the commit, the peak of memory (MB), what was
spent in waiting of our own. Imports are not counted: `startup_s` tells them apart.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def ours(address: str, home: Path) -> dict[str, Any]:
    """What `leanfunnel` does for one object: count, job, pages, typed rows, checks, commit."""
    import deltalake  # noqa: F401 - what the first use would import is imported before the clock starts
    import isal.isal_zlib  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import simple_salesforce  # noqa: F401

    from dagster_project.landing import LandingLog
    from dagster_project.salesforce import auth, bulk, changes, decode, extract, rest, stage_picklist  # noqa: F401
    from dagster_project.salesforce.budget import Bounds
    from dagster_project.salesforce.client import SalesforceClient

    waited, wait = [0.0], threading.Event.wait

    def counted(self: threading.Event, timeout: float | None = None) -> bool:
        began = time.monotonic()
        done = wait(self, timeout)
        if timeout:
            waited[0] += time.monotonic() - began
        return done

    client = SalesforceClient(auth.ClientCredentials(address, "bench", "bench-secret"))
    log, began, used = LandingLog(home / "landing"), time.monotonic(), _cpu()
    threading.Event.wait = counted  # type: ignore[method-assign]
    report = extract.extract_org(
        client, landed=log.state, land=lambda batch: log.commit(batch, run_id="bench"), workdir=home / "work",
        objects=["Opportunity"],
        # this org answers no count of a part: one window
        bounds=Bounds(rows_per_window=10**9),
    )  # fmt: skip
    threading.Event.wait = wait  # type: ignore[method-assign]
    result = report.objects["Opportunity"]
    return {"rows": result.received, "landed": result.rows, "wall": time.monotonic() - began, "cpu": _cpu() - used,
            "own_wait": waited[0]}  # fmt: skip


def limit(address: str, folder: Path) -> dict[str, Any]:
    """The same pages into Parquet by the fewest lines that can: no count, no check, no commit."""
    import duckdb

    from bench.static_org import FIELDS, describe

    folder.mkdir(parents=True)
    described = {f["name"]: f for f in describe("Opportunity")["fields"]}
    kinds = {
        "boolean": "BOOLEAN",
        "percent": "DOUBLE",
        "currency": "DECIMAL(18,2)",
        "date": "DATE",
        "datetime": "TIMESTAMPTZ",
    }
    casts = ", ".join(f'CAST("{n}" AS {kinds.get(described[n]["type"], "VARCHAR")}) AS "{n}"' for n in FIELDS)
    began, used = time.monotonic(), _cpu()
    number, locator = 0, "0"
    while locator != "null":
        with urllib.request.urlopen(
            f"{address}/services/data/v62.0/jobs/query/750/results?locator={locator}"
        ) as answer:
            (folder / f"{number}.csv.gz").write_bytes(answer.read())
            number, locator = number + 1, answer.headers["Sforce-Locator"]
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("SET preserve_insertion_order = false; SET TimeZone = 'UTC'")
        connection.execute(
            f"COPY (SELECT {casts} FROM read_csv('{folder}/*.csv.gz', header = true, all_varchar = true)) "
            f"TO '{folder}/rows.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )
        rows = connection.execute(f"SELECT count(*) FROM '{folder}/rows.parquet'").fetchall()[0][0]
    return {"rows": rows, "wall": time.monotonic() - began, "cpu": _cpu() - used}


if __name__ == "__main__":
    started = time.monotonic()
    found = {"ours": ours, "limit": limit}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps(found | {"peak_mb": peak, "startup_s": time.monotonic() - started - found["wall"]}))
