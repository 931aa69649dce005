"""One asset graph from the Salesforce objects to the published mart, materialised in one process on a simulated org."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from salesforce_simulator.process import running_simulator

EMAIL_KEY = "canary-email-key-of-32-characters"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory):
    """The job `full_path` run once, with the definitions it came from."""
    folder = tmp_path_factory.mktemp("dagster")
    with (
        running_simulator(("--demo", "--seed", "3", "--opportunities", "400")) as org,
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
            yield run, defs, folder / "home", org


def test_the_job_builds_everything_from_objects_to_the_published_mart(result) -> None:
    run, _, home, _ = result
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
    _, defs, _, _ = result
    from dagster import AssetKey

    graph = defs.resolve_asset_graph()
    staging = AssetKey(["staging", "stg_salesforce__opportunity"])
    assert AssetKey(["salesforce", "Opportunity"]) in graph.get(staging).parent_keys
    ancestors = graph.get_ancestor_asset_keys(AssetKey(["published", "mart"]))
    assert {AssetKey(["salesforce", "Opportunity"]), AssetKey(["audit", "verdict"]), staging} <= set(ancestors)


def test_each_definition_is_an_asset_check_with_counts_and_samples(result) -> None:
    run, _, _, org = result
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
    run, _, home, org = result
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
    _, defs, _, _ = result
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
