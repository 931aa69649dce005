"""One asset graph from the Salesforce objects to the published mart, materialised in one process on a simulated org."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from salesforce_simulator.process import running_simulator

EMAIL_KEY = "canary-email-key-of-32-characters"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory):
    """The job `full_path` run once, with the definitions it came from."""
    folder = tmp_path_factory.mktemp("dagster")
    with (
        running_simulator(("--demo", "--seed", "3", "--opportunities", "400", "--control")) as org,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("LEANFUNNEL_HOME", str(folder / "home"))
        patch.setenv("SALESFORCE_LOGIN_URL", org["url"])
        patch.setenv("SALESFORCE_CLIENT_ID", org["client_id"])
        patch.setenv("SALESFORCE_CLIENT_SECRET", org["client_secret"])
        patch.setenv("LEANFUNNEL_EMAIL_KEY", EMAIL_KEY)
        patch.chdir(folder)
        from dagster import DagsterInstance

        from dagster_project import settings
        from dagster_project.definitions import build_defs

        defs = build_defs(settings.load())
        (folder / "dagster").mkdir()
        with DagsterInstance.local_temp(str(folder / "dagster")) as instance:
            run = defs.resolve_job_def("full_path").execute_in_process(instance=instance)
            yield run, defs, folder / "home", org, instance


def _control(org: dict[str, str], *faults: dict[str, object]) -> None:
    """These faults and no others from now on."""
    url, kind = f"{org['url']}/simulator/faults", {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=30).close()
    if faults:
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(faults).encode(), kind), timeout=30).close()


def test_the_job_builds_everything_from_objects_to_the_published_mart(result) -> None:
    run, _, home, *_ = result
    assert run.success
    keys = {event.asset_key.to_user_string() for event in run.get_asset_materialization_events()}
    assert {
        "salesforce/Opportunity",
        "control/run",
        "staging/stg_salesforce__opportunity",
        "intermediate/int_stage_visits",
    } <= keys
    assert {"audit/verdict", "mart/rpt_stage_conversion", "published/mart"} <= keys
    assert (home / "published/current/leanfunnel.duckdb").exists()


def test_the_sources_of_dbt_are_the_landed_objects(result) -> None:
    _, defs, *_ = result
    from dagster import AssetKey

    graph = defs.resolve_asset_graph()
    staging = AssetKey(["staging", "stg_salesforce__opportunity"])
    assert AssetKey(["salesforce", "Opportunity"]) in graph.get(staging).parent_keys
    ancestors = graph.get_ancestor_asset_keys(AssetKey(["published", "mart"]))
    assert {AssetKey(["salesforce", "Opportunity"]), AssetKey(["audit", "verdict"]), staging} <= set(ancestors)


def test_each_definition_is_an_asset_check_with_counts_and_samples(result) -> None:
    run, _, _, org, _ = result
    checks = {
        evaluation.check_name: evaluation
        for evaluation in run.get_asset_check_evaluations()
        if evaluation.asset_key.path == ["audit", "verdict"]
    }
    names = {name.split("_")[0] for name in checks if name.startswith("r")}
    assert {f"r{number:02d}" for number in range(1, 11)} <= names
    breached = next(evaluation for name, evaluation in checks.items() if name.startswith("r08"))
    assert not breached.passed
    assert breached.metadata["breached"].value > 0
    sample = breached.metadata["sample_ids"].value[0]
    assert f"{org['url']}/{sample}" in breached.metadata["samples"].value
    assert next(evaluation for name, evaluation in checks.items() if name.startswith("r01")).passed


def test_no_secret_is_part_of_the_run_or_its_events(result) -> None:
    run, _, home, org, _ = result
    for secret in (org["client_secret"], EMAIL_KEY):
        assert secret not in "".join(map(str, run.all_events))
        assert secret not in str(run.dagster_run.run_config)
        files = [path for path in home.parent.rglob("*") if path.is_file()]
        assert {"dagster", "home"} <= {path.relative_to(home.parent).parts[0] for path in files}
        for path in files:
            # logs, events, commits, state, dbt's files; the cells of Parquet files are read, since they are compressed
            assert secret.encode() not in path.read_bytes(), path
            if path.suffix == ".parquet":
                query = f"SELECT count(*) FROM (SELECT t::VARCHAR AS row FROM read_parquet('{path}') AS t) WHERE contains(row, ?)"
                assert duckdb.execute(query, [secret]).fetchone() == (0,), path
        for name in ("published/current/leanfunnel.duckdb", "warehouse/conformed.duckdb"):
            with duckdb.connect(str(home / name), read_only=True) as mart:
                for schema, table in mart.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():
                    query = f'SELECT count(*) FROM "{schema}"."{table}" AS t WHERE contains(t::VARCHAR, ?)'
                    assert mart.execute(query, [secret]).fetchone() == (0,), table


def test_a_daily_schedule_and_pools_of_one_are_shipped(result, tmp_path: Path) -> None:
    _, defs, *_ = result
    from dagster import AssetKey

    from dagster_project.dev import write_instance
    from dagster_project.resources import WAREHOUSE_POOL

    assert [schedule.cron_schedule for schedule in defs.schedules] == ["0 5 * * *"]
    writers = [assets for assets in defs.assets if assets.op.pool]
    assert len(writers) == len(list(defs.assets))
    assert {assets.op.pool for assets in writers} == {WAREHOUSE_POOL}
    # nothing is written to the org unless leanfunnel.yml says so
    assert AssetKey(["salesforce", "worklist"]) not in {key for assets in defs.assets for key in assets.keys}
    text = (write_instance(tmp_path / "dagster") / "dagster.yaml").read_text()
    assert "default_limit: 1" in text
    assert "enabled: false" in text


def test_each_object_tells_what_came_and_what_it_cost(result) -> None:
    run, _, home, *_ = result
    told = {
        event.asset_key.path[1]: {name: value.value for name, value in event.materialization.metadata.items()}
        for event in run.get_asset_materialization_events()
        if event.asset_key.path[0] == "salesforce"
    }
    opportunity = told["Opportunity"]
    landed = duckdb.sql(f"SELECT count(*) FROM '{home}/landing/Opportunity/*.parquet'").fetchone()
    assert opportunity["dagster/row_count"] == opportunity["rows"] == landed[0]
    assert opportunity["bytes"] == sum(file.stat().st_size for file in (home / "landing/Opportunity").glob("*.parquet"))
    assert opportunity["seconds"] > 0
    # describe, the count, and at least one page
    assert opportunity["api_calls"] >= 3
    assert 0 < opportunity["api_calls_left"] < 100_000
    with duckdb.connect(str(home / "published/current/leanfunnel.duckdb"), read_only=True) as mart:
        shown = mart.execute("SELECT object, landed, bytes, api_calls, api_calls_left FROM mart.rpt_runs").fetchall()
    facts = ("rows", "bytes", "api_calls", "api_calls_left")
    assert {row[0]: row[1:] for row in shown} == {
        name: tuple(one[fact] for fact in facts) for name, one in told.items() if one["state"] != "missing"
    }


def test_a_back_fill_lands_what_differs_in_its_months_and_nothing_else(result) -> None:
    """Names are damaged in the landing behind the cursor's back, in two months; one month is read again, then both."""
    from dagster import AssetKey

    from dagster_project.landing import LandingLog

    _, defs, home, _, instance = result
    log = LandingLog(home / "landing")
    before = log.state("Opportunity")
    files = before.files
    months = dict(
        duckdb.sql(
            "SELECT strftime(date_trunc('month', CreatedDate AT TIME ZONE 'UTC'), '%Y-%m-01'), count(*) "
            f"FROM read_parquet({files}) GROUP BY ALL ORDER BY 2 DESC LIMIT 2"
        ).fetchall()
    )
    first, second = sorted(months)
    damaged = home / "damaged.parquet"
    duckdb.sql(
        f"COPY (SELECT * REPLACE (Name || ' damaged' AS Name, _batch_seq + 1 AS _batch_seq) FROM read_parquet({files}) WHERE "
        f"strftime(CreatedDate AT TIME ZONE 'UTC', '%Y-%m-01') IN ('{first}', '{second}')) TO '{damaged}' (FORMAT parquet)"
    )
    facts = before.facts
    log.commit(
        SimpleNamespace(
            object="Opportunity", base_seq=before.batch_seq, org_id=before.org_id, path=damaged, facts=lambda: dict(facts)
        ),
        run_id="damage",
    )  # fmt: skip

    def still_damaged() -> int:
        return duckdb.sql(
            f"SELECT count(*) FROM (SELECT Name FROM read_parquet({log.state('Opportunity').files}, union_by_name = true) "
            "QUALIFY row_number() OVER (PARTITION BY Id ORDER BY _batch_seq DESC) = 1) WHERE Name LIKE '% damaged'"
        ).fetchone()[0]

    def read_again(start: str, end: str) -> dict[str, object]:
        run = defs.resolve_job_def("back_fill").execute_in_process(
            instance=instance,
            asset_selection=[AssetKey(["back_fill", "Opportunity"])],
            tags={"dagster/asset_partition_range_start": start, "dagster/asset_partition_range_end": end},
        )
        event = run.get_asset_materialization_events()[-1]
        return {name: value.value for name, value in event.materialization.metadata.items()}

    assert still_damaged() == months[first] + months[second]
    told = read_again(first, first)
    assert told["mode"] == "back-fill"
    assert told["rows"] == months[first]
    assert still_damaged() == months[second]
    assert read_again(first, second)["rows"] == months[second]
    assert still_damaged() == 0
    again = read_again(first, second)
    assert (again["state"], again["rows"]) == ("unchanged", 0)
    after = log.state("Opportunity")
    assert after.watermark == before.watermark
    assert after.batch_seq == before.batch_seq + 3


def test_what_passes_by_itself_is_tried_again_and_nothing_else(result) -> None:
    from dagster import AssetKey, AssetSelection, RetryPolicy, materialize

    from dagster_project.assets.landed import build_landed
    from dagster_project.resources import LeanfunnelResource

    _, _, home, org, instance = result

    def attempts() -> tuple[bool, int, str]:
        run = materialize(
            [build_landed(RetryPolicy(max_retries=2))],
            selection=AssetSelection.assets(AssetKey(["salesforce", "OpportunityStage"])),
            resources={"leanfunnel": LeanfunnelResource(home=str(home))},
            instance=instance,
            raise_on_error=False,
        )
        kinds = [event.event_type_value for event in run.all_events]
        told = next((e.event_specific_data.error.message for e in run.all_events if e.is_step_failure), "")
        return run.success, 1 + kinds.count("STEP_RESTARTED"), told

    # a page that lacks a row, twice: the extraction's own second try fails, too
    _control(org, {"kind": "drop_row", "on": "rest_query", "skip": 1, "count": 4})
    assert attempts() == (True, 2, "")
    _control(org, {"kind": "login_refused", "on": "token", "count": 1})
    success, tries, told = attempts()
    assert (success, tries) == (False, 1)
    assert org["client_secret"] not in told


def test_a_run_that_stops_half_way_tells_what_it_landed(result) -> None:
    from dagster import AssetKey, AssetSelection, RetryPolicy, materialize

    from dagster_project.assets.landed import build_landed
    from dagster_project.resources import LeanfunnelResource

    _, _, home, org, instance = result
    wanted = ("Opportunity", "OpportunityHistory", "RecordType", "Task")
    # the requests of the day are used up in the middle
    fault = {"kind": "request_limit_exceeded", "on": "rest_query", "skip": 6, "count": 50}
    _control(org, fault)
    run = materialize(
        [build_landed(RetryPolicy(max_retries=0))],
        selection=AssetSelection.assets(*(AssetKey(["salesforce", name]) for name in wanted)),
        resources={"leanfunnel": LeanfunnelResource(home=str(home))},
        instance=instance,
        raise_on_error=False,
    )
    _control(org)
    assert not run.success
    error = next(e.event_specific_data.error.message for e in run.all_events if e.is_step_failure)
    told = {event.asset_key.path[1] for event in run.get_asset_materialization_events()}
    named = re.search(r"not to the end: ([\w, ]+)\.", error)
    assert named, error
    unread = set(named[1].split(", "))
    assert told, error
    assert told | unread == set(wanted)
    assert not told & unread


def test_a_run_in_dagster_is_as_of_what_it_has_just_read(result) -> None:
    """A publication stands already, with an earlier as_of."""
    from dagster import AssetKey

    _, defs, _, org, instance = result
    later = {"now": "2026-07-02T06:00:00Z"}
    request = urllib.request.Request(
        f"{org['url']}/simulator/clock", json.dumps(later).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=30).close()
    keys = [key for key in defs.resolve_asset_graph().get_all_asset_keys() if key.path[0] == "control"]
    run = defs.resolve_job_def("full_path").execute_in_process(
        instance=instance, asset_selection=[AssetKey(["salesforce", "OpportunityStage"]), *keys]
    )
    as_of = {
        event.materialization.metadata["as_of"].value
        for event in run.get_asset_materialization_events()
        if event.asset_key.path[0] == "control"
    }
    assert {text[:13] for text in as_of} == {"2026-07-02T06"}


def test_an_object_that_was_not_read_for_a_day_is_told(result) -> None:
    from dagster import AssetKey

    _, defs, *_ = result
    graph = defs.resolve_asset_graph()
    for key in (["salesforce", "Opportunity"], ["published", "mart"]):
        policy = graph.get(AssetKey(key)).freshness_policy
        assert policy.warn_window.to_timedelta().total_seconds() == 26 * 3600
        assert policy.fail_window.to_timedelta().total_seconds() == 30 * 3600
    # a month of the past is read once, and does not grow old
    assert graph.get(AssetKey(["back_fill", "Opportunity"])).freshness_policy is None


def test_a_back_fill_gives_way_to_the_full_path(result, tmp_path: Path) -> None:
    import yaml
    from dagster import DagsterInstance

    from dagster_project.dev import write_instance

    _, defs, *_ = result
    jobs = {job.name: job for job in defs.jobs}
    assert int(jobs["full_path"].tags["dagster/priority"]) > int(jobs["back_fill"].tags["dagster/priority"])
    folder = write_instance(tmp_path / "dagster")
    with DagsterInstance.from_config(str(folder)) as instance:
        queue = instance.get_concurrency_config().run_queue_config
    limits = {limit["key"]: limit["limit"] for limit in queue.tag_concurrency_limits}
    assert limits == dict.fromkeys({*jobs["back_fill"].tags} & {*limits}, 1) != {}
    assert yaml.safe_load((folder / "dagster.yaml").read_text())["freshness"]["enabled"]


def test_a_failed_run_is_told_once_by_the_sensor(result) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    from dagster import (
        AssetKey,
        AssetSelection,
        DagsterEventType,
        EventRecordsFilter,
        RetryPolicy,
        build_run_status_sensor_context,
        materialize,
    )

    from dagster_project import settings
    from dagster_project.assets.landed import build_landed
    from dagster_project.definitions import build_defs
    from dagster_project.resources import LeanfunnelResource

    _, _, home, org, instance = result
    heard: list[str] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = home / "leanfunnel.yml"
    file.write_text("alerts: [slack]\n")
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LEANFUNNEL_SLACK_WEBHOOK", f"http://127.0.0.1:{server.server_address[1]}/canary-hook")
            defs = build_defs(settings.load())
            assert {schedule.name for schedule in defs.schedules} == {"every_morning", "every_monday"}
            (sensor,) = defs.sensors
            for _ in range(2):
                _control(org, {"kind": "login_refused", "on": "token", "count": 1})
                run = materialize(
                    [build_landed(RetryPolicy(max_retries=0))],
                    selection=AssetSelection.assets(AssetKey(["salesforce", "RecordType"])),
                    resources={"leanfunnel": LeanfunnelResource(home=str(home))},
                    instance=instance,
                    raise_on_error=False,
                )
                assert not run.success
                failures = EventRecordsFilter(DagsterEventType.RUN_FAILURE)
                event = instance.get_event_records(failures, limit=1)[0].event_log_entry.dagster_event
                context = build_run_status_sensor_context(
                    sensor_name=sensor.name, dagster_event=event, dagster_instance=instance, dagster_run=run.dagster_run
                ).for_run_failure()
                sensor(context)
        (text,) = heard
        assert text.startswith("*The run failed*")
        assert org["client_secret"] not in text
    finally:
        file.unlink()
        server.shutdown()
        server.server_close()
