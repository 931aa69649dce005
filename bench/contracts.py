"""What do the operational definitions cost beside the same rules in plain SQL?

    make bench-contracts        (python -m bench.contracts --opportunities 1000000)

Both sides start from the same conformed warehouse, build the evidence columns (the audited entities, by the same SELECTs) and
judge every rule that ships, keys of failing rows included: ours by dbt, Great Expectations and the audit with its ledger; the
other side by CREATE TABLE and one INSERT a rule on one DuckDB connection. The failing keys are compared first. Sides take turns,
each in a process of its own; importing libraries and parsing the dbt project are told apart. The last line is one JSON object:
medians in seconds, MB as 10^6 bytes, resident memory summed over the processes of a side, pages that they share counted once.
Our side runs with a memory_limit, the other takes what it wants.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import duckdb

from bench import large_home
from bench.measuring import in_process
from dagster_project import pipeline

ROUNDS = 3
#: What our side may hold in DuckDB (the setting memory_limit); the other side takes what it wants.
MEMORY_LIMIT = "450MB"
_ENTITIES = (
    "activity", "currency", "landed_object", "lead", "loss_reasons", "opportunity", "opportunity_load", "stage", "stage_visit",
)  # fmt: skip
#: What the entities are made from and is read by the audit alone.
_EVIDENCE = ("int_opportunity_evidence",)
_MODELS = (*_EVIDENCE, *(f"int_audit__{name}" for name in _ENTITIES))
_LATE = "coalesce(hours_behind > 36, false) OR coalesce(rows_off_count > 0, false) OR coalesce(share_gone > 0.2, false)"
_CORE = "('Opportunity', 'OpportunityHistory', 'OpportunityStage')"
#: Rule: the entity and what a failing row is, written by hand from the rule's text.
RULES = {
    "R01": ("opportunity_load", "record_id IS NULL OR copies > 1"),
    "R02": ("stage_visit", "is_mapped IS NOT TRUE"),
    "R03": ("opportunity", "stage_name <> last_history_stage_name"),
    "R04": ("opportunity", "stage_state <> flag_state"),
    "R05": ("opportunity", "last_modified_at < created_at OR first_history_at < created_at OR as_of < latest_timestamp_at"),
    "R06": ("opportunity", "is_open AND close_on < as_of_on"),
    "R07": ("opportunity", "NOT is_lost AND step_rank >= 4 AND (amount IS NULL OR amount <= 0)"),
    "R08": ("opportunity", "NOT is_lost AND step_rank >= 2 AND coalesce(contact_role_count, 0) < 1"),
    "R09": ("opportunity", "is_open AND days_open > 21 AND coalesce(days_since_customer_response > 21, true)"),
    "R10": ("opportunity", "NOT is_lost AND step_rank >= 3 AND meeting_held_at IS NULL"),
    "R11": ("stage_visit", "stages_skipped > 0 AND skip_reason IS NULL"),
    "R12": ("stage_visit", "entered_by IN ('back', 'reopened') AND return_reason IS NULL"),
    "R13": ("opportunity", "is_lost AND loss_reason IS NULL"),
    "R14": ("opportunity", "is_open AND pushes_since_review > 2"),
    "R15": ("opportunity", "is_open AND days_in_stage > service_level_days"),
    "R16": ("opportunity", "is_open AND NOT is_owner_active"),
    "R17": ("lead", "is_open AND (NOT has_owner OR hours_to_first_touch > 24)"),
    "R18": ("lead", "is_converted AND NOT (has_account AND has_contact AND coalesce(has_opportunity, true))"),
    "R19": ("opportunity", "is_open AND open_deals_alike > 1"),
    "R20": ("activity", "NOT is_internal AND (NOT is_linked OR completed_at > as_of OR direction IS NULL)"),
    "R21": ("currency", "deals_without_rate > 0"),
    "R22": ("landed_object", f"object IN {_CORE} AND ({_LATE})"),
    "R23": ("stage", "is_active AND NOT is_closed AND buyer_stage IS NULL"),
    "R24": ("loss_reasons", "share_of_other >= 0.1"),
    "R25": ("landed_object", f"object NOT IN {_CORE} AND ({_LATE})"),
    "R26": ("lead", "is_open AND open_leads_alike > 1"),
}  # fmt: skip


def main() -> None:
    """Runs the benchmark; see the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.contracts", description=__doc__)
    parser.add_argument("--opportunities", type=int, default=1_000_000)
    options = parser.parse_args()
    source = large_home.landed(options.opportunities)
    with large_home.copy_of(source) as home:
        began = time.monotonic()
        in_process(_conform, home)
        print(f"conformed in {time.monotonic() - began:.0f} s", flush=True)
        found: dict[str, list[dict[str, Any]]] = {"ours": [], "sql": []}
        for number in range(ROUNDS):
            for side, work in (("ours", _ours), ("sql", _sql)):
                found[side].append(in_process(work, home))
                print(f"round {number + 1}, {side}: {json.dumps(found[side][-1])}", flush=True)
            if number == 0:
                compared = _compare(home)
    ours, sql = (statistics.median(one["seconds"] for one in found[side]) for side in ("ours", "sql"))
    result = {
        "opportunities": options.opportunities,
        "rules": len(RULES),
        "failing_keys": compared,
        "ratio_to_sql": round(ours / sql, 2),
        "ratio_to_sql_spread": [
            round(pick(o["seconds"] for o in found["ours"]) / sql, 2) for pick in (min, max)
        ],
        "ours_s": round(ours, 2),
        "sql_s": round(sql, 2),
        "rules_alone": {side: [one["rules_s"] for one in found[side]] for side in found},
        "start_up_s": [one["start_up_s"] for one in found["ours"]],
        "peak_mb": max(one["peak_mb"] for one in found["ours"]),
        "memory_limit": MEMORY_LIMIT,
        "sql_peak_mb": max(one["peak_mb"] for one in found["sql"]),
    }  # fmt: skip
    print(json.dumps(result))


def _conform(home: Path) -> None:
    """The conformed warehouse, the rules all configured; and the SELECT of each entity, as dbt compiled it."""
    from dagster_project.warehouse.dbt_build import DbtBuild

    request = large_home.request(home)
    plan, stage_map = pipeline.make_plan(request, None)
    assert stage_map is not None
    with stage_map.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with stage_map.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*dict.fromkeys([*rows[0], "buyer_stage"])])
        writer.writeheader()
        writer.writerows({**row, "buyer_stage": row.get("buyer_stage") or "compares"} for row in rows)
    pipeline.prepare(request, plan)
    DbtBuild(request.dbt_project, request.home).build("conform")


def _ours(home: Path) -> dict[str, Any]:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    from dagster_project import contracts
    from dagster_project.warehouse.dbt_build import dbt_environment

    began = time.monotonic()
    request = large_home.request(home)
    plan = pipeline.read_plan(request.home)
    definitions = contracts.load_definitions(request.definitions)
    if {one.id for one in definitions} != set(RULES):
        sys.exit("the rules here are not those that ship: " + str({one.id for one in definitions} ^ set(RULES)))
    shutil.rmtree(request.home.state, ignore_errors=True)
    os.environ.update(dbt_environment(request.home, MEMORY_LIMIT))
    project, place = str(request.dbt_project), home / "warehouse" / "dbt"
    common = ["--project-dir", project, "--profiles-dir", project, "--target-path", str(place / "target"),
              "--log-path", str(place / "logs"), "--quiet", "--no-print", "--log-level", "none"]  # fmt: skip
    parsed = dbtRunner().invoke(["parse", *common])
    started = time.monotonic()
    outcome = dbtRunner(manifest=parsed.result).invoke(["run", "--select", *_MODELS, "--target", "conform", *common])
    if not outcome.success:
        failed = [f"{one.node.name}: {one.message}" for one in outcome.result or [] if str(one.status) == "error"]
        sys.exit(f"dbt: {outcome.exception or '; '.join(failed)}")
    DuckDBConnectionManager.close_all_connections()
    shaped = time.monotonic()
    # a run to which so little memory is given starts it when dbt is done, as here
    with contracts.AuditProcess() as auditor:
        time.sleep(6)  # until Great Expectations is imported
        judged = time.monotonic()
        report = contracts.audit(
            request.home.conformed,
            definitions,
            request.home.state,
            as_of=plan.as_of,
            run_id="bench",
            process=auditor,
            memory_limit=MEMORY_LIMIT,
        )
    ended = time.monotonic()
    if unmeasured := {one.definition_id: one.state_cause for one in report.results if one.state != "measured"}:
        sys.exit(f"not all rules were measured: {unmeasured}")
    return {
        "seconds": round(shaped - started + ended - judged, 2),
        "rules_s": round(ended - judged, 2),
        "start_up_s": round(started - began + judged - shaped, 2),
        "steps": {name: round(seconds, 2) for name, seconds in report.seconds.items()},
    }


def _sql(home: Path) -> dict[str, Any]:
    compiled = home / "warehouse" / "dbt" / "target" / "run" / "leanfunnel" / "models" / "intermediate"
    with duckdb.connect(str(home / "warehouse" / "conformed.duckdb")) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        connection.execute("DROP SCHEMA IF EXISTS plain CASCADE; CREATE SCHEMA plain")
        connection.execute("CREATE TABLE plain.breach (rule VARCHAR, row_key VARCHAR)")
        started = time.monotonic()
        for model in _MODELS:
            made = (compiled / f"{model}.sql").read_text(encoding="utf-8")
            select = made[made.index("as (") + 4 : made.rindex(")")]
            for one in _EVIDENCE:
                select = select.replace(f'"conformed"."intermediate"."{one}"', f"plain.{one}")
            connection.execute(f"CREATE TABLE plain.{model.removeprefix('int_audit__')} AS {select}")
        judged = time.monotonic()
        for rule, (name, fails) in RULES.items():
            connection.execute(f"INSERT INTO plain.breach SELECT '{rule}', row_key FROM plain.{name} WHERE {fails}")
        ended = time.monotonic()
    return {"seconds": round(ended - started, 2), "rules_s": round(ended - judged, 2)}


def _compare(home: Path) -> dict[str, int]:
    """Failing rows by rule; ends where the two sides do not name the same keys."""
    with duckdb.connect(str(home / "warehouse" / "conformed.duckdb"), read_only=True) as connection:
        ours = "SELECT definition_id, row_key FROM audit.verdict WHERE status IN ('breached', 'signalled')"
        sql = "SELECT rule, row_key FROM plain.breach"
        differ = connection.execute(
            f"SELECT 'ours', * FROM ({ours} EXCEPT ALL {sql}) UNION ALL SELECT 'sql', * FROM ({sql} EXCEPT ALL {ours}) LIMIT 5"
        ).fetchall()
        if differ:
            sys.exit(f"the two sides differ: {differ}")
        counted = dict(connection.execute(f"SELECT rule, count(*) FROM ({sql}) GROUP BY 1 ORDER BY 1").fetchall())
    return {rule: counted.get(rule, 0) for rule in RULES}


if __name__ == "__main__":
    main()
