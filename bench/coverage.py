"""Do the nominal 95 % intervals of stage conversion, of median days and of the forecast cover the truth?

    make coverage        (python -m bench.coverage --seeds 200)

Each seed is a company of its own: one sales process per seed and process in one warehouse, so that one dbt build measures all
of them with the models that ship. Conversion: the demo companies, whose generator draws each outcome apart from the dwell, and
every dwell ends within the conversion window: P(onward within the window | first entry) is the planted probability. Medians and
forecast: the companies of `bench.steady`, whose dwell has a known median, and whose future is simulated on: what is won in the
current quarter and in each of the three after it. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from datetime import UTC, date, datetime
from datetime import time as clock
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from bench import steady
from dagster_project.contracts import load_terms, terms_table
from dagster_project.home import Home
from dagster_project.salesforce.objects import catalogue
from dagster_project.warehouse import control, landing_views, stage_map
from dagster_project.warehouse.database import open_database
from dagster_project.warehouse.dbt_build import DbtBuild
from salesforce_simulator import demo

NOW = datetime(2026, 7, 1, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[1]
TERMS = terms_table(load_terms(ROOT / "expectations"))
_OBJECTS = ("Opportunity", "OpportunityHistory", "OpportunityStage", "OpportunityStagePicklist", "RecordType")
_KEYS = {"Id", "OpportunityId", "RecordTypeId"}


def measure(seeds: range, opportunities: int, folder: Path) -> dict[str, Any]:
    """Coverage over `seeds` companies of `opportunities` deals each, by interval and stage. Raises WarehouseError."""
    home = Home(folder)
    planted = _land(home, seeds, opportunities)
    _tell(home, NOW, None)
    build = DbtBuild(ROOT / "dbt", home)
    build.build("conform", only="rpt_stage_conversion")
    build.build("measure", only="rpt_stage_conversion")
    with duckdb.connect(str(home.building), read_only=True) as mart:
        rows = mart.execute("""
            SELECT sales_process, stage_name, n_rate, rate_lower, rate_upper, incidence_lower, incidence_upper
            FROM mart.rpt_stage_conversion
            WHERE basis = 'reported' AND cohort = 'all' AND exit_kind = 'onward' AND reads = 'ok'""").fetchall()
    return _compare(rows, planted, len(seeds), opportunities)


def measure_steady(seeds: range, folder: Path) -> dict[str, Any]:
    """Coverage of the median days (by stage) and of the forecast (by quarter) over `seeds` lines. Raises WarehouseError."""
    home = Home(folder)
    lines = [steady.walk(seed) for seed in seeds]
    steady.land(lines, home.landing)
    _tell(home, steady.AS_OF, steady.stage_map(lines))
    build = DbtBuild(ROOT / "dbt", home)
    build.build("conform", only="rpt_forecast", tests=False)
    for view in ("rpt_forecast", "rpt_stage_duration"):
        build.build("measure", only=view, tests=False)
    hits: dict[str, dict[str, list[bool]]] = {"median": defaultdict(list), "forecast": defaultdict(list)}
    by_name = {line.process: line for line in lines}
    with duckdb.connect(str(home.building), read_only=True) as mart:
        medians = mart.execute("""
            SELECT stage_name, km_p50_lower_days, km_p50_upper_days FROM mart.rpt_stage_duration
            WHERE basis = 'reported' AND km_p50_lower_days IS NOT NULL""").fetchall()
        forecasts = mart.execute("""
            SELECT sales_process, quarter_offset, starts_on, ends_before, forecast_lower, forecast_upper FROM mart.rpt_forecast
            WHERE basis = 'reported' AND sales_process <> 'all processes' AND team_id = 'all teams'
              AND forecast_lower IS NOT NULL""").fetchall()
    for stage, low, high in medians:
        planted = steady.median_days(steady.STAGES.index(stage))
        hits["median"][stage].append(low <= planted and (high is None or planted <= high))
    for process, offset, starts, ends, low, high in forecasts:
        won = by_name[process].won_money(_midnight(starts), _midnight(ends))
        hits["forecast"][f"quarter {offset:+d}"].append(low <= won <= high)
    return {
        "deals": sum(len(line.amount) for line in lines),
        "intervals": {kind: sum(map(len, found.values())) for kind, found in hits.items()},
        **_shares(hits),
    }


def _tell(home: Home, instant: datetime, stages: list[Any] | None) -> None:
    """Landing views and control tables; without `stages` the map is proposed from the landing."""
    with open_database(home.conformed) as connection:
        columns = {path.stem: frozenset(pq.read_schema(path).names) for path in home.landing.glob("*.parquet")}
        files = {n: landing_views.LandedFiles([str(home.landing / f"{n}.parquet")], c) for n, c in columns.items()}
        landing_views.create_landing_views(connection, catalogue(), files)
        as_of = instant.replace(tzinfo=None)
        run = control.RunRow(
            "coverage", as_of, as_of.date(), as_of, "00D", "http://127.0.0.1", None, 20, 90, "UTC", 1, 0.2
        )
        rows = stages or [stage.row for stage in stage_map.propose(connection)]
        control.write_control(connection, run, rows, [], [], terms=TERMS)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, clock(), UTC)


def _land(home: Home, seeds: range, opportunities: int) -> dict[tuple[str, str], float]:
    """Write all companies as one landing; returns the planted P(onward) by (sales process, stage)."""
    home.landing.mkdir(parents=True)
    writers: dict[str, pq.ParquetWriter] = {}
    planted: dict[tuple[str, str], float] = {}
    for seed in seeds:
        company = demo.generate(seed, opportunities, NOW, activities=False)
        for process, stages in company.truth["transitions"].items():
            for stage, outcomes in stages.items():
                planted[f"{process}_{seed}", stage] = outcomes["advanced"]
        for name in _OBJECTS:
            if name == "OpportunityStage" and name in writers:
                continue  # global: every company has the same
            table = _of_seed(company.tables[name], name, seed)
            if name not in writers:
                writers[name] = pq.ParquetWriter(home.landing / f"{name}.parquet", table.schema)
            writers[name].write_table(table)
    for writer in writers.values():
        writer.close()
    return planted


def _of_seed(table: pa.Table, name: str, seed: int) -> pa.Table:
    """The company's rows with keys of their own, as the landing would hold them."""
    view = duckdb.arrow(table)
    selected = [
        f"\"{column}\" || '-{seed}' AS \"{column}\"" if column in _KEYS and name != "OpportunityStage"
        else f"\"{column}\" || '_{seed}' AS \"{column}\"" if column == "DeveloperName" and name == "RecordType"
        else f'"{column}"'
        for column in table.column_names
    ]  # fmt: skip
    meta = f"1::BIGINT AS _batch_seq, TIMESTAMPTZ '{NOW.isoformat()}' AS _extracted_at, 'upsert' AS _operation"
    return view.query("rows", f"SELECT {', '.join(selected)}, {meta} FROM rows").to_arrow_table()


def _compare(
    rows: list[tuple[Any, ...]], planted: dict[tuple[str, str], float], seeds: int, opportunities: int
) -> dict[str, Any]:
    hits: dict[str, dict[str, list[bool]]] = {"wilson": defaultdict(list), "aalen_johansen": defaultdict(list)}
    for process, stage, _, low, high, f_low, f_high in rows:
        p = planted.get((process, stage))
        if p is None:
            continue
        where = f"{process.rsplit('_', 1)[0]} / {stage}"
        hits["wilson"][where].append(low <= p <= high)
        if f_low is not None:
            hits["aalen_johansen"][where].append(f_low <= p <= f_high)
    return {
        "seeds": seeds,
        "opportunities_per_seed": opportunities,
        "intervals": sum(map(len, hits["wilson"].values())),
        "covered": sum(map(sum, hits["wilson"].values())),
        **_shares(hits),
    }


def _shares(hits: dict[str, dict[str, list[bool]]]) -> dict[str, Any]:
    return {
        "coverage": {method: _share(found) for method, found in hits.items()},
        "coverage_by_part": {
            method: {part: round(sum(h) / len(h), 4) for part, h in sorted(found.items())}
            for method, found in hits.items()
        },
    }


def _share(found: dict[str, list[bool]]) -> float:
    every = [hit for hits in found.values() for hit in hits]
    return round(sum(every) / len(every), 4)


def main() -> int:
    """Print the figures; exit code 1 where the coverage is outside 92 to 98 %."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=10_000)
    parser.add_argument("--opportunities", type=int, default=1500)
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        figures = measure(seeds, arguments.opportunities, Path(folder) / "demo")
        steadily = measure_steady(seeds, Path(folder) / "steady")
    figures = {
        "seeds": arguments.seeds,
        "opportunities_per_seed": arguments.opportunities,
        "steady_deals": steadily["deals"],
        "intervals": {"conversion": figures["intervals"], **steadily["intervals"]},
        **{name: {**figures[name], **steadily[name]} for name in ("coverage", "coverage_by_part")},
    }
    for method, parts in figures["coverage_by_part"].items():
        for part, share in parts.items():
            print(f"{method:<16}{part:<40}{share:.1%}")
        print(f"{method:<16}{'all':<40}{figures['coverage'][method]:.1%}")
    figures["seconds"] = round(time.monotonic() - started, 1)
    print(json.dumps(figures))
    return 0 if all(0.92 <= share <= 0.98 for share in figures["coverage"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
