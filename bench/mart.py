"""What does the mart cost, beside the same metrics by hand, as the org grows, and after a change?

    make bench-mart        (python -m bench.mart --opportunities 1000000 --sizes 250000 500000 1000000 2000000)

ratio_to_reference   Seconds in which dbt builds the eight core metrics, divided by those of `reference.sql` for the same on one DuckDB
    connection. Both start from the same staged records and verdicts; their results are compared first, and the benchmark ends where
    they differ. dbt's seconds are those of its two runs (conform, measure) over every model that the metrics rest on, staging
    left out: nodes and dbt's own work around them. Parsing the project is told apart. Those models also carry what the
    reference leaves out.
peak_mb              Resident memory of the process that builds marts and views with their tests, dbt included; DuckDB is given `MEMORY`.
growth_exponent      p of seconds - fixed = a n^p over `--sizes`, for marts and views with their tests; fixed: the seconds of a small org.
visits_incremental_ratio, whole_incremental_ratio
    Seconds after 1 % of the deals changed (a new state, a row of history, two activities each), divided by those of the first build:
    of the models tagged `as_of_free`, and of conform, audit and measure together. Publication is told apart.

Sides take turns, each in a process of its own. The last line is one JSON object: seconds, MB as 10^6 bytes; medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from bench import large_home
from bench.measuring import in_process
from dagster_project import pipeline
from dagster_project.landing.log import LandingLog

ROUNDS = 3
MEMORY = "2GB"
"""What DuckDB may hold, on both sides: what dbt, Python and the allocator hold comes on top."""
FIXED = 2_000
"""An org so small that the time of its mart is the fixed cost."""
REFERENCE = Path(__file__).with_name("reference.sql")
FREE = "as_of_free"
#: Table of the reference, the model and its columns that are compared; other names there as "ours: theirs".
COMPARED = {
    "visit": ("fct_stage_visits", (
        "basis", "opportunity_id", "sales_process", "stage_name", "visit_seq", "visit_no", "cycle_no", "entered_at", "exited_at",
        "days_in_stage", "cumulative_days_in_stage", "exit_kind", "next_stage_name: next_stage", "stages_skipped", "is_left_truncated",
    )),
    "conversion": ("rpt_stage_conversion", (
        "basis", "sales_process", "cohort", "stage_name", "exit_kind", "n_entered", "n_mature", "n_open", "n_left_truncated", "n_exits",
        "n_exits_ever", "n_rate", "rate_within_days", "rate_lower", "rate_upper", "incidence_within_days", "incidence_lower",
        "incidence_upper", "incidence_at_longest", "still_there_share",
    )),
    "duration": ("rpt_stage_duration", (
        "basis", "sales_process", "stage_name", "n_visits", "n_closed", "closed_p50_days", "closed_p85_days", "closed_p95_days",
        "km_p50_days", "km_p50_lower_days", "km_p50_upper_days", "km_p85_days", "km_p95_days",
    )),
    "aging": ("rpt_wip_aging", (
        "opportunity_id", "sales_process", "stage_name", "age_days", "cumulative_age_days", "age_percentile", "ball_with", "ball_days",
        "last_customer_response_at", "is_close_date_past",
    )),
    "owner_load": ("rpt_owner_load", (
        "sales_process", "owner_id", "owner_state", "wip", "wip_age_p50_days", "wip_age_max_days", "n_owners", "mean_wip", "wip_cv",
        "wip_gini", "wip_lower_limit", "wip_upper_limit",
    )),
    "flow": ("rpt_flow_health", (
        "basis", "sales_process", "metric", "week_starts_on", "value", "moving_range", "mean_value", "lower_limit", "upper_limit", "signal",
    )),
    "cumulative": ("rpt_cumulative_flow", (
        "basis", "sales_process", "stage_name", "date_on", "first_arrivals", "first_arrivals_cumulative", "reached_cumulative", "wip",
    )),
}  # fmt: skip


def main() -> None:
    """Runs the benchmark; see the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.mart", description=__doc__)
    parser.add_argument("--opportunities", type=int, default=1_000_000)
    parser.add_argument("--sizes", type=int, nargs="*", default=[250_000, 500_000, 1_000_000, 2_000_000])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    if len(options.sizes) == 1:
        parser.error("a growth needs two sizes, or none")
    result = {"opportunities": options.opportunities, **core(options.opportunities, options.rounds)}
    result |= growth(options.sizes, {options.opportunities: result["mart_s"]})
    told = ("ratio_to_reference", "peak_mb", "growth_exponent", "visits_incremental_ratio", "whole_incremental_ratio")
    print(json.dumps({name: result[name] for name in told} | result))


def core(opportunities: int, rounds: int = ROUNDS) -> dict[str, Any]:
    """Everything that is measured on the org of one size."""
    with large_home.copy_of(large_home.landed(opportunities)) as home:
        first = _built(home)
        published = in_process(_publish, home)
        change(home)
        second = _built(home)
        # these build some models alone, after which every deal would count as changed
        found: dict[str, list[dict[str, Any]]] = {"dbt": [], "reference": []}
        for number in range(rounds):
            for side, work in (("dbt", _core), ("reference", _reference)):
                found[side].append(in_process(work, home))
                print(f"round {number + 1}, {side}: {json.dumps(found[side][-1])}", flush=True)
            if number == 0:
                compared = compare(home)
                print(f"equal: {json.dumps(compared)}", flush=True)
        (home / "by_hand.duckdb").unlink(missing_ok=True)
        seconds = {side: statistics.median(one["seconds"] for one in found[side]) for side in found}
        cpu = {side: statistics.median(one["cpu_s"] for one in found[side]) for side in found}
    free = [sum(one["conform"]["nodes"].get(name, 0) for name in first["conform"]["free"]) for one in (first, second)]
    whole = [sum(one[step]["seconds"] for step in ("conform", "audit", "measure")) for one in (first, second)]
    return {
        "ratio_to_reference": round(seconds["dbt"] / seconds["reference"], 2),
        "cpu_ratio_to_reference": round(cpu["dbt"] / cpu["reference"], 2),
        "ratio_spread": [
            round(pick(one["seconds"] for one in found["dbt"]) / seconds["reference"], 2) for pick in (min, max)
        ],
        "core_s": seconds,
        "core_peak_mb": {side: max(one["peak_mb"] for one in found[side]) for side in found},
        "core_models": found["dbt"][0]["models"],
        "start_up_s": [one["start_up_s"] for one in found["dbt"]],
        "rows_compared": compared,
        "memory_limit": MEMORY,
        "mart_s": first["measure"]["seconds"],
        "peak_mb": first["measure"]["peak_mb"],
        "conform_s": first["conform"]["seconds"],
        "conform_peak_mb": first["conform"]["peak_mb"],
        "audit_s": first["audit"]["seconds"],
        "publish_s": published["seconds"],
        "visits_incremental_ratio": round(free[1] / free[0], 3) if free[0] else None,
        "visits_incremental_reason": None if free[0] else f"no model carries the tag {FREE}",
        "whole_incremental_ratio": round(whole[1] / whole[0], 3),
        "whole_s": [round(one, 2) for one in whole],
    }


def growth(sizes: Iterable[int], known: Mapping[int, float]) -> dict[str, Any]:
    """How the seconds of marts and views grow with the org; `known`: what was measured in this run already. None without sizes."""
    wanted = sorted(sizes)
    if not wanted:
        return {"growth_exponent": None, "growth_reason": "no sizes were asked for"}
    seconds: dict[int, float] = {}
    for size in (FIXED, *wanted):
        if size in known:
            seconds[size] = known[size]
            continue
        with large_home.copy_of(large_home.landed(size)) as home:
            built = _built(home)
        seconds[size] = built["measure"]["seconds"]
    fixed = seconds.pop(FIXED)
    return {
        "growth_exponent": exponent(seconds, fixed),
        "growth_s": {str(size): round(one, 2) for size, one in seconds.items()},
        "fixed_s": round(fixed, 2),
    }


def exponent(seconds: dict[int, float], fixed: float) -> float | None:
    """Slope of log(seconds - fixed) over log(size), by least squares; None where a size takes no longer than the fixed cost."""
    if any(one <= fixed for one in seconds.values()):
        return None
    x = [math.log(size) for size in seconds]
    y = [math.log(one - fixed) for one in seconds.values()]
    return round(statistics.linear_regression(x, y).slope, 3)


def _built(home: Path) -> dict[str, dict[str, Any]]:
    """Conform, audit and measure, each in a process of its own."""
    found = {}
    for step, work in (("conform", _conform), ("audit", _audit), ("measure", _measure)):
        found[step] = in_process(work, home)
        told = {name: found[step][name] for name in ("seconds", "peak_mb")}
        print(f"{step}: {json.dumps(told)}, slowest: {json.dumps(_slowest(found[step]))}", flush=True)
    return found


def _slowest(step: dict[str, Any], many: int = 12) -> dict[str, float]:
    nodes: dict[str, float] = step.get("nodes", {})
    return dict(sorted(nodes.items(), key=lambda node: -node[1])[:many])


def _conform(home: Path) -> dict[str, Any]:
    # from the landing alone, and with a publication there, the clock would stand still: what changed would lie after as_of
    org = json.loads((home / "landing" / "org.json").read_text(encoding="utf-8"))
    request = replace(large_home.request(home), as_of=datetime.fromisoformat(org["server_time"]))
    plan, _ = pipeline.make_plan(request, None)
    pipeline.prepare(request, plan)
    return _build(home, "conform")


def _audit(home: Path) -> dict[str, Any]:
    request = replace(large_home.request(home), memory_limit=MEMORY)
    began = time.monotonic()
    pipeline.audit(request, pipeline.read_plan(request.home), raise_on_stop=False)
    return {"seconds": round(time.monotonic() - began, 2)}


def _measure(home: Path) -> dict[str, Any]:
    pipeline.start_building(large_home.request(home).home)
    return _build(home, "measure")


def _publish(home: Path) -> dict[str, Any]:
    """Seconds of making the built mart a publication. The org breaks rules that stop a line: here it is only copied and checked."""
    from dagster_project.errors import PublicationStoppedError

    request = large_home.request(home)
    began = time.monotonic()
    try:
        pipeline.publish(request, pipeline.read_plan(request.home))
    except PublicationStoppedError as stopped:
        return {"seconds": None, "stopped": str(stopped)}
    return {"seconds": round(time.monotonic() - began, 2)}


def _build(home: Path, tag: str) -> dict[str, Any]:
    """The product's own build by tag, parsing told apart; seconds of each node."""
    from dagster_project.warehouse.dbt_build import DbtBuild

    nodes: dict[str, float] = {}
    free: list[str] = []

    class Timed(DbtBuild):
        def _invoke(self, arguments: list[str], callbacks: list[Any]) -> Any:
            def finished(event: Any) -> None:
                if event.info.name == "NodeFinished":
                    nodes[event.data.node_info.node_name] = round(event.data.run_result.execution_time, 3)

            return super()._invoke(arguments, [*callbacks, finished])

        def parse(self) -> None:
            """Reads the project; what comes next finds it read."""
            super()._invoke(["list", "--select", f"tag:{tag}", "--target", tag], [])
            assert self._manifest is not None
            free.extend(node.name for node in self._manifest.nodes.values() if FREE in node.tags)

    request = large_home.request(home)
    builder = Timed(request.dbt_project, request.home, MEMORY)
    began = time.monotonic()
    builder.parse()
    parsed = time.monotonic()
    builder.build(tag)
    return {
        "seconds": round(time.monotonic() - parsed, 2),
        "start_up_s": round(parsed - began, 2),
        "nodes": nodes,
        "free": free,
    }


def _core(home: Path) -> dict[str, Any]:
    """dbt over the models that the compared ones rest on, staging left out."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    from dagster_project.warehouse.dbt_build import dbt_environment

    request = large_home.request(home)
    os.environ.update(dbt_environment(request.home, MEMORY))
    project, place = str(request.dbt_project), home / "warehouse" / "dbt"
    common = ["--project-dir", project, "--profiles-dir", project, "--target-path", str(place / "target"),
              "--log-path", str(place / "logs"), "--quiet", "--no-print", "--log-level", "none"]  # fmt: skip
    began = time.monotonic()
    manifest: Any = dbtRunner().invoke(["parse", *common]).result
    todo = [f"model.leanfunnel.{model}" for model, _ in COMPARED.values()]
    needed: set[str] = set()
    while todo:
        node = manifest.nodes.get(todo.pop())
        if node is not None and node.unique_id not in needed and "staging" not in node.fqn:
            needed.add(node.unique_id)
            todo += node.depends_on.nodes
    names = sorted(manifest.nodes[key].name for key in needed)
    started, cpu = time.monotonic(), time.process_time()
    for target in ("conform", "measure"):
        chosen = [name for name in names if target in manifest.nodes[f"model.leanfunnel.{name}"].tags]
        outcome = dbtRunner(manifest=manifest).invoke(
            ["run", "--full-refresh", "--select", *chosen, "--target", target, *common]
        )
        DuckDBConnectionManager.close_all_connections()
        if not outcome.success:
            sys.exit(f"dbt: {outcome.exception or [one.message for one in outcome.result.results if one.message]}")
    return {
        "seconds": round(time.monotonic() - started, 2),
        "cpu_s": round(time.process_time() - cpu, 2),
        "start_up_s": round(started - began, 2),
        "models": len(names),
    }


def _reference(home: Path) -> dict[str, Any]:
    file = home / "by_hand.duckdb"
    file.unlink(missing_ok=True)
    with duckdb.connect(str(file), config={"memory_limit": MEMORY, "threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        connection.execute(f"ATTACH '{home}/warehouse/conformed.duckdb' AS conformed (READ_ONLY)")
        statements = duckdb.extract_statements(REFERENCE.read_text(encoding="utf-8"))
        started, cpu, parts = time.monotonic(), time.process_time(), {}
        for statement in statements:
            at = time.monotonic()
            connection.execute(statement)
            what = next((line for line in statement.query.splitlines() if line[:6] in ("CREATE", "INSERT")), "other")
            parts[" ".join(what.split()[:4])] = round(time.monotonic() - at, 2)
        return {
            "seconds": round(time.monotonic() - started, 2),
            "cpu_s": round(time.process_time() - cpu, 2),
            "parts": {name: one for name, one in parts.items() if one >= 0.5},
        }


def compare(home: Path) -> dict[str, int]:
    """Rows by table; ends where the two sides differ: floats to 9 digits, all else exactly."""
    with duckdb.connect(config={"memory_limit": MEMORY, "threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        connection.execute(f"ATTACH '{home}/by_hand.duckdb' AS by_hand (READ_ONLY)")
        connection.execute(f"ATTACH '{home}/warehouse/leanfunnel.duckdb' AS ours (READ_ONLY)")
        rows = {}
        for table, (model, columns) in COMPARED.items():
            pairs = [(one.split(": ")[0], one.split(": ")[-1]) for one in columns]
            kinds = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE ours.mart.{model}").fetchall()}
            mine = ", ".join(_rounded(name, kinds[name]) for name, _ in pairs)
            theirs = ", ".join(_rounded(name, kinds[left], left) for left, name in pairs)
            sides = {
                "dbt": f"SELECT {mine} FROM ours.mart.{model}",
                "reference": f"SELECT {theirs} FROM by_hand.plain.{table}",
            }
            sums = {
                side: connection.execute(f"SELECT count(*), sum(hash(one)::HUGEINT) FROM ({select}) AS one").fetchone()
                for side, select in sides.items()
            }
            if sums["dbt"] != sums["reference"]:
                differ = [
                    (side, *row)
                    for side, other in (("dbt", "reference"), ("reference", "dbt"))
                    for row in connection.execute(
                        f"{sides[side]} EXCEPT ALL {sides[other]} ORDER BY ALL LIMIT 3"
                    ).fetchall()
                ]
                sys.exit(f"{table} differs ({sums}): " + "; ".join(map(str, differ)))
            rows[table] = int(sums["dbt"][0])
        return rows


def _rounded(column: str, kind: str, name: str | None = None) -> str:
    """The column; a float with its first 9 digits."""
    if kind != "DOUBLE":
        return f"CAST({column} AS {kind}) AS {name or column}"
    digits = f"8 - CAST(floor(log10(abs({column}))) AS INTEGER)"
    return (
        f"CASE WHEN abs({column}) < 1e-12 THEN 0 ELSE round(CAST({column} AS DOUBLE), {digits}) END AS {name or column}"
    )


@dataclass(frozen=True)
class _Batch:
    """See `dagster_project.landing.log.Batch`."""

    object: str
    base_seq: int
    org_id: str
    path: Path
    told: dict[str, Any]

    def facts(self) -> dict[str, Any]:
        return self.told


_HIT = "hash({0}) % 100 = 0"
#: What a change of 1 % brings: object, how its rows are made from those that are landed, which of them.
_CHANGES = {
    "Opportunity": ("""* REPLACE ("Amount" * 1.1 AS "Amount", {now} AS "LastModifiedDate", {now} AS "SystemModstamp")""", '"Id"', ""),
    "OpportunityHistory": (
        """* REPLACE ({id} AS "Id", "Amount" * 1.1 AS "Amount", {now} AS "CreatedDate", {now} AS "SystemModstamp")""",
        '"OpportunityId"',
        """QUALIFY row_number() OVER (PARTITION BY "OpportunityId" ORDER BY "CreatedDate" DESC, "Id" DESC) = 1""",
    ),
    "Task": (
        """* REPLACE ({id} AS "Id", {now} AS "CompletedDateTime", {now} AS "LastModifiedDate", {now} AS "SystemModstamp")""",
        '"WhatId"',
        """QUALIFY row_number() OVER (PARTITION BY "WhatId" ORDER BY "Id") = 1""",
    ),
    "EmailMessage": (
        """* REPLACE ({id} AS "Id", {now} AS "MessageDate", {now} AS "SystemModstamp")""",
        '"RelatedToId"',
        """QUALIFY row_number() OVER (PARTITION BY "RelatedToId" ORDER BY "Id") = 1""",
    ),
}  # fmt: skip


def change(home: Path) -> dict[str, int]:
    """Lands a day's change of 1 % of the deals as a run would: rows by object."""
    log, later = LandingLog(home / "landing"), large_home.NOW + timedelta(days=1)
    happened = (later - timedelta(hours=6)).astimezone(UTC)
    rows = {}
    for name, (columns, deal, which) in _CHANGES.items():
        state = log.state(name)
        file = home / f"{name}.change.parquet"
        now, seq = f"TIMESTAMPTZ '{happened.isoformat()}'", state.batch_seq + 1
        made = columns.format(now=now, id="""substr("Id", 1, 3) || 'Z' || substr(md5("Id"), 1, 14)""")
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            connection.execute(
                f"""COPY (SELECT * REPLACE ({seq} AS "_batch_seq", TIMESTAMPTZ '{later.isoformat()}' AS "_extracted_at")
                FROM (SELECT {made} FROM read_parquet({state.files!r}) WHERE {_HIT.format(deal)} {which}) ORDER BY "Id")
                TO '{file}' (FORMAT parquet)"""
            )
            rows[name] = connection.execute(f"SELECT count(*) FROM '{file}'").fetchall()[0][0]
        told = {
            key: value for key, value in state.facts.items() if key not in ("run_id", "object", "batch_seq", "org_id")
        }
        told |= {"mode": "changes", "extracted_at": later.isoformat()}
        log.commit(_Batch(name, state.batch_seq, state.org_id or "", file, told), run_id="change")
    place = home / "landing" / "org.json"
    org = json.loads(place.read_text(encoding="utf-8"))
    org["server_time"] = later.isoformat()
    org["read_at"] = dict.fromkeys(org["read_at"], later.isoformat())
    place.unlink()  # the file is linked: the landing that is kept must not change
    place.write_text(json.dumps(org), encoding="utf-8")
    print(f"changed: {json.dumps(rows)}", flush=True)
    return rows


if __name__ == "__main__":
    main()
