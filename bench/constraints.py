"""Does the locator name the constraint that was planted, and stay silent where there is none?

    make constraints        (python -m bench.constraints --seeds 1000:1020)

Every org is a generated line with a warehouse of its own (`salesforce_simulator.lines`: arrival rates, capacities, yields and mix
are planted, no signal is); the models that ship build it, and the newest week of `rpt_bottleneck` is read. Seeds from 1000 on were
not looked at while the locator was made. The last line is one JSON object; exit code 1 where a medium constraint is named rightly
in fewer than nine tenths of the orgs, or a balanced org or a decoy is named at all in more than one tenth.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from dagster_project.contracts import load_terms, terms_table
from dagster_project.home import Home
from dagster_project.salesforce.objects import catalogue
from dagster_project.warehouse import control, landing_views, stage_map
from dagster_project.warehouse.database import open_database
from dagster_project.warehouse.dbt_build import DbtBuild
from salesforce_simulator import lines

ROOT = Path(__file__).resolve().parents[1]
TERMS = terms_table(load_terms(ROOT / "expectations"))
NOTHING = "undetermined"
NAMES = (*lines.LOCATIONS, NOTHING)
Case = tuple[str, str | None, int]
"""(scenario, strength, seed)"""


class Bench:
    """One warehouse after the other in one folder; dbt parses the project once."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)
        self._dbt = DbtBuild(ROOT / "dbt", self.home)

    def locate(self, org: lines.LineOrg) -> list[dict[str, Any]]:
        """Rows of `rpt_bottleneck` for the newest week of the org. Raises WarehouseError."""
        self._land(org)
        self._dbt.build("conform", only="rpt_bottleneck", tests=False)
        self._dbt.build("measure", only="rpt_bottleneck", tests=False)
        with duckdb.connect(str(self.home.building), read_only=True) as mart:
            cursor = mart.execute("""
                SELECT * FROM mart.rpt_bottleneck
                WHERE basis = 'reported' AND week_starts_on = (SELECT max(week_starts_on) FROM mart.rpt_bottleneck)
                ORDER BY location""")
            columns = [column[0] for column in cursor.description or []]
            return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

    def _land(self, org: lines.LineOrg) -> None:
        for place in (self.home.landing, self.home.conformed.parent):
            place.mkdir(parents=True, exist_ok=True)
        for path in (self.home.conformed, self.home.building):
            path.unlink(missing_ok=True)
        files = {}
        for name, table in org.tables.items():
            size = table.num_rows
            landed = table.append_column("_batch_seq", pa.array([1] * size, pa.int64()))
            landed = landed.append_column("_extracted_at", pa.array([lines.NOW] * size, pa.timestamp("us", "UTC")))
            landed = landed.append_column("_operation", pa.array(["upsert"] * size))
            path = self.home.landing / f"{name}.parquet"
            pq.write_table(landed, path)
            files[name] = landing_views.LandedFiles([str(path)], frozenset(landed.column_names))
        instant = lines.NOW.replace(tzinfo=None)
        run = control.RunRow(
            "constraints", instant, instant.date(), instant, "00D", "http://127.0.0.1", None, 20, 90, "UTC", 1, 0.2
        )
        with open_database(self.home.conformed) as connection:
            landing_views.create_landing_views(connection, catalogue(), files)
            stages = stage_map.propose(connection)
            control.write_control(
                connection,
                run,
                [stage.row for stage in stages],
                [],
                [],
                terms=TERMS,
            )


def verdict(rows: list[dict[str, Any]]) -> str:
    """The location that the view names; 'undetermined' where it names none or more than one."""
    named = {row["location"] for row in rows if row["verdict"] == "constraint"}
    return named.pop() if len(named) == 1 else NOTHING


def cases(seeds: range) -> Iterator[Case]:
    """Every scenario and strength with every seed."""
    for seed in seeds:
        for location in lines.LOCATIONS:
            for strength in lines.STRENGTHS:
                yield location, strength, seed
        for scenario in ("balanced", *lines.DECOYS):
            yield scenario, None, seed


@cache
def _bench() -> Bench:
    """This process's own; its folder lies in the one that the command removes."""
    return Bench(Path(tempfile.mkdtemp(dir=_FOLDER[0])) / "home")


_FOLDER: list[str] = []


def _begin(folder: str) -> None:
    _FOLDER.append(folder)


def _judge(case: Case) -> tuple[Case, str, float]:
    started = time.process_time()
    named = verdict(_bench().locate(lines.generate(*case)))
    return case, named, time.process_time() - started


def measure(seeds: range, processes: int) -> dict[str, Any]:
    """The whole confusion matrix over `seeds`: {row: {location or undetermined: orgs}}, and CPU seconds an org.

    Each org is told on stderr when it is judged.
    """
    matrix: dict[str, Counter[str]] = {}
    spent = 0.0
    folder = tempfile.mkdtemp()
    try:
        with multiprocessing.get_context("spawn").Pool(processes, _begin, (folder,)) as pool:
            for (scenario, strength, seed), named, seconds in pool.imap_unordered(_judge, list(cases(seeds))):
                row = " ".join(filter(None, (scenario, strength)))
                print(f"seed {seed}, {row}: {named}", file=sys.stderr, flush=True)
                matrix.setdefault(row, Counter())[named] += 1
                spent += seconds
            pool.close()
            pool.join()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    orgs = sum(sum(row.values()) for row in matrix.values())
    order = [" ".join(filter(None, (case[0], case[1]))) for case in cases(range(1))]
    return {
        "seeds": [seeds.start, seeds.stop],
        "orgs": orgs,
        "cpu_seconds_per_org": round(spent / max(orgs, 1), 2),
        "matrix": {
            row: {name: matrix[row][name] for name in NAMES if matrix[row][name]} for row in order if row in matrix
        },
    }


def holds(figures: dict[str, Any]) -> bool:
    """Whether the matrix keeps what the product promises."""
    seeds = figures["seeds"][1] - figures["seeds"][0]
    wanted = {f"{location} medium": location for location in lines.LOCATIONS}
    wanted |= dict.fromkeys(("balanced", *lines.DECOYS), NOTHING)
    return all(figures["matrix"].get(row, {}).get(name, 0) >= 0.9 * seeds for row, name in wanted.items())


def _seeds(text: str) -> range:
    first, _, last = text.partition(":")
    return range(int(first), int(last or int(first) + 1))


def main() -> int:
    """Print the matrix."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=_seeds, default=range(1000, 1020), help="first:last, the last not included")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    started = time.monotonic()
    figures = measure(arguments.seeds, arguments.processes)
    print(f"{'planted':<22}" + "".join(f"{name:>14}" for name in NAMES))
    for row, named in figures["matrix"].items():
        print(f"{row:<22}" + "".join(f"{named.get(name, 0) or '·':>14}" for name in NAMES))
    figures["seconds"] = round(time.monotonic() - started, 1)
    print(json.dumps(figures))
    return 0 if holds(figures) else 1


if __name__ == "__main__":
    sys.exit(main())
