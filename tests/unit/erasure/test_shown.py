"""Taking rows and names out of a publication: its own rows go, other rows keep the Id, files and manifest agree."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from dagster_project.erasure import shown
from dagster_project.erasure.rules import Told
from dagster_project.errors import LeanfunnelError
from dagster_project.home import Home
from dagster_project.publish.publication import Manifest, publish, read_manifest

DEAL, ACCOUNT, OWNER, LEAD = "006000000000001AAA", "001000000000001AAA", "005000000000001AAA", "00Q000000000001EAA"
TABLES = {
    "dim_account": f"SELECT '{ACCOUNT}' AS account_id, 'Zweig Canary' AS account_name UNION ALL SELECT '001b', 'Bau AG'",
    "dim_owner": f"SELECT '{OWNER}' AS owner_id, 'Zoë Canary' AS owner_name UNION ALL SELECT '005b', 'Bo'",
    "fct_opportunities": f"SELECT '{DEAL}' AS opportunity_id, 'Deal Canary' AS opportunity_name, '{ACCOUNT}' AS account_id, '{OWNER}' AS owner_id, 'Zoë Canary' AS owner_name, 'Proposal' AS stage_name "
    f"UNION ALL SELECT '006b', 'Zweig Canary renewal', '{ACCOUNT}', '{OWNER}', 'Zoë Canary', 'Zoë Canary'",
    "fct_stage_visits": f"SELECT '{DEAL}|1' AS visit_id, '{DEAL}' AS opportunity_id UNION ALL SELECT '006b|1', '006b'",
    "fct_activities": f"SELECT '00Ta' AS activity_id, '{DEAL}' AS opportunity_id",
    "fct_leads": f"SELECT '{LEAD}' AS lead_id, '006b' AS opportunity_id UNION ALL SELECT '00Qb', '{DEAL}'",
    "rpt_definition_breaches": f"SELECT 'R02|{DEAL}' AS verdict_key, '{DEAL}' AS record_id, 'seen' AS observed_value UNION ALL SELECT 'R16|006b', '006b', 'owner_name Zoë Canary, gone'",
    "rpt_yield": "SELECT 'all' AS yield_key, 4711.07 AS won",
}  # fmt: skip
TOLD = Told(frozenset({DEAL, ACCOUNT, OWNER, LEAD}), frozenset({"Zweig Canary", "Zoë Canary", "Deal Canary"}))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "it's ü")
    home.warehouse.mkdir(parents=True)
    with duckdb.connect(str(home.building)) as mart:
        mart.execute("CREATE SCHEMA mart")
        for name, query in TABLES.items():
            mart.execute(f"CREATE TABLE mart.{name} AS {query}")
        mart.execute("COMMENT ON TABLE mart.rpt_yield IS 'what is won'")
    publish(home.building, home.published, Manifest("p1", "2026-07-01", "2026-07-01", "f", "00D"), keep=3)
    return home


def _rows(folder: Path, name: str) -> list[tuple]:
    with duckdb.connect(str(folder / "leanfunnel.duckdb"), read_only=True) as mart:
        rows = mart.execute(f"SELECT * FROM mart.{name} ORDER BY 1").fetchall()
    assert (
        rows
        == duckdb.execute(
            "SELECT * FROM read_parquet(?) ORDER BY 1", [str(folder / f"parquet/{name}.parquet")]
        ).fetchall()
    )
    return rows


def test_rows_of_the_records_go_and_other_rows_keep_the_id_alone(home: Home) -> None:
    (folder,) = shown.all_publications(home)
    before = read_manifest(folder)
    # an account, an owner, a deal with its visit and breach, a lead; names in the other deal, and in what was seen of it
    assert shown.count(folder, TOLD) == (6, 3)
    shown.take_out_of(folder, TOLD, note="why")
    assert _rows(folder, "dim_account") == [("001b", "Bau AG")]
    assert _rows(folder, "dim_owner") == [("005b", "Bo")]
    # a stage that is called as the owner is the process's own word
    assert _rows(folder, "fct_opportunities") == [("006b", "(forgotten) renewal", ACCOUNT, OWNER, None, "Zoë Canary")]
    assert _rows(folder, "fct_stage_visits") == [("006b|1", "006b")]
    assert _rows(folder, "fct_activities") == [("00Ta", DEAL)]
    assert _rows(folder, "fct_leads") == [("00Qb", DEAL)]
    assert [row[2] for row in _rows(folder, "rpt_definition_breaches")] == ["owner_name (forgotten), gone"]
    assert shown.count(folder, TOLD) == (0, 0)
    after = read_manifest(folder)
    assert before is not None
    assert after is not None
    assert after.inputs == {"rewritten": ["why"]}
    assert {name: table.rows for name, table in after.tables.items()} == {
        name: len(_rows(folder, name)) for name in TABLES
    }
    assert after.tables["rpt_yield"] == before.tables["rpt_yield"], "nothing of it changed"
    assert after.tables["dim_owner"].sha256 != before.tables["dim_owner"].sha256
    assert (home.current / "manifest.json").read_text() == (folder / "manifest.json").read_text(), "the pointer holds"
    with duckdb.connect(str(folder / "leanfunnel.duckdb"), read_only=True) as mart:
        assert mart.execute("SELECT comment FROM duckdb_tables() WHERE table_name = 'rpt_yield'").fetchone() == (
            "what is won",
        )
    assert "Deal Canary" not in (folder / "leanfunnel.duckdb").read_bytes().decode("utf-8", "replace")
    assert [path.name for path in home.published.iterdir() if path.name.startswith(".")] == []


def test_a_reader_keeps_what_it_had_open(home: Home) -> None:
    (folder,) = shown.all_publications(home)
    with duckdb.connect(str(folder / "leanfunnel.duckdb"), read_only=True) as reader:
        assert reader.execute("SELECT count(*) FROM mart.dim_owner").fetchone() == (2,)
        with (folder / "leanfunnel.duckdb").open("rb") as held:
            other = Home(home.root)
            reader.close()
            shown.take_out_of(folder, TOLD, note="why")
            assert other.current.exists()
            assert held.read(4096), "the old file is whole for whoever had it open"


def test_a_publication_that_cannot_be_read_is_one_clear_error(home: Home) -> None:
    (folder,) = shown.all_publications(home)
    (folder / "leanfunnel.duckdb").write_bytes(b"torn")
    with pytest.raises(LeanfunnelError, match=r"nothing can be taken out of it\. Remove the folder"):
        shown.count(folder, TOLD)


def test_what_is_built_again_goes_with_its_logs_and_what_was_in_transit(home: Home) -> None:
    for place in (
        home.warehouse / "dbt/logs/dbt.log",
        home.work / "extract-x/page.csv",
        home.published / ".preparing-x/a",
        home.root / "replays/r/warehouse/conformed.duckdb",
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("Zoë Canary")
    shown.clear_derived(home)
    assert {path.name for path in home.root.rglob("*") if path.is_file()} == {
        "leanfunnel.duckdb",
        "manifest.json",
        *(f"{name}.parquet" for name in TABLES),
    }
    assert json.loads((home.current / "manifest.json").read_text())["publication_id"] == "p1"
