"""The main job on the generated company: what was planted is found, what did not change is not done again, and what was
built can be built again from the landing alone."""

from __future__ import annotations

import csv
import io
import itertools
import json
import shutil
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dagster_project.landing import LandingLog
from dagster_project.salesforce.reconcile import IDS

RULES = [str(number) for number in range(2, 11)]
CLOSED = ("Closed Won", "Closed Lost")
NOT_MAPPED = ["R11", "R12", "R13", "R14", "R23", "R24", "R26"]


@pytest.fixture(scope="module")
def demo(demo):
    """The home that grew on the same org at another address, run once more: its links are made anew."""
    assert "published" in demo.run()
    return demo


@pytest.fixture(scope="module")
def records() -> dict[str, list[dict]]:
    """The demo org's records, for rules that nothing was planted for: what they find follows from the company itself."""
    from salesforce_simulator.demo import generate

    return {name: table.to_pylist() for name, table in generate(11, 1200).tables.items()}


def _open(records: dict[str, list[dict]]) -> list[dict]:
    return [deal for deal in records["Opportunity"] if not deal["IsDeleted"] and deal["StageName"] not in CLOSED]


def _found(demo, rule: int, status: str = "breached") -> set[str]:
    return {
        row[0]
        for row in demo.query(
            f"SELECT record_id FROM rpt_definition_breaches WHERE rule_number = {rule} AND status = '{status}'"
        )
    }


def _ledger(bench) -> list[tuple]:
    import duckdb

    with duckdb.connect(str(bench.home / "warehouse/conformed.duckdb"), read_only=True) as warehouse:
        return sorted(map(repr, warehouse.execute("SELECT * FROM audit.ledger").fetchall()))


@pytest.mark.parametrize("rule", RULES)
def test_every_planted_breach_is_found_and_no_near_miss_is_flagged(demo, rule: str) -> None:
    found = {
        row[0]
        for row in demo.query(
            f"SELECT record_id FROM rpt_definition_breaches WHERE rule_number = {rule} AND status = 'breached'"
        )
    }
    assert demo.truth["breaches"][rule], "nothing was planted"
    assert found == set(demo.truth["breaches"][rule])
    assert not found & set(demo.truth["near_misses"].get(rule, []))


def test_open_deals_of_who_has_left_and_deals_alike_are_found(demo, records) -> None:
    left = {user["Id"] for user in records["User"] if not user["IsActive"]}
    alike = Counter((deal["AccountId"], deal["Type"]) for deal in _open(records))
    orphaned = {deal["Id"] for deal in _open(records) if deal["OwnerId"] in left}
    twice = {deal["Id"] for deal in _open(records) if alike[deal["AccountId"], deal["Type"]] > 1}
    assert orphaned
    assert twice
    assert _found(demo, 16) == orphaned
    assert _found(demo, 19) == twice
    assert _found(demo, 20) == set(), "every activity of the company names a person or a deal"
    # every currency has its rates; every object was read just now, wholly, and nothing is gone from it
    assert demo.query("SELECT definition_id, raw, breached, unknown FROM rpt_definition_scorecard WHERE scope = 'all' AND rule_number IN (21, 22, 25) ORDER BY 1") == [
        ("R21", 2, 0, 0), ("R22", 13, 0, 0), ("R25", 13, 0, 0),
    ]  # fmt: skip


def test_age_beyond_the_service_level_is_shown_and_is_no_breach(demo, records) -> None:
    now = datetime(2026, 7, 1, tzinfo=UTC)
    process = {kind["Id"]: kind["DeveloperName"] for kind in records["RecordType"]}
    deals = {deal["Id"]: deal for deal in records["Opportunity"]}
    changes = defaultdict(list)
    for row in records["OpportunityHistory"]:
        changes[row["OpportunityId"]].append((row["CreatedDate"], row["Id"], row["StageName"]))
    stays, entered = defaultdict(list), {}
    for key, rows in changes.items():
        ordered = sorted(rows)
        visits = [ordered[0]] + [b for a, b in itertools.pairwise(ordered) if a[2] != b[2]]
        for (start, _, stage), (end, _, _) in itertools.pairwise(visits):
            stays[process[deals[key]["RecordTypeId"]], stage].append((end - start) / timedelta(days=1))
        entered[key] = visits[-1]
    levels = {key: float(np.quantile(days, 0.85)) for key, days in stays.items() if len(days) >= 20}
    old, unknown = set(), set()
    for deal in _open(records):
        since, _, stage = entered[deal["Id"]]
        level = levels.get((process[deal["RecordTypeId"]], deal["StageName"]))
        if stage != deal["StageName"] or level is None:
            unknown.add(deal["Id"])
        elif (now - since) / timedelta(days=1) > level:
            old.add(deal["Id"])
    assert old
    assert _found(demo, 15, "signalled") == old
    assert _found(demo, 15, "unknown") == unknown
    assert demo.query("SELECT breached FROM rpt_definition_scorecard WHERE scope = 'all' AND rule_number = 15") == [
        (0,)
    ]


def test_each_definition_accounts_for_every_row(demo) -> None:
    rows = demo.query(
        "SELECT definition_id, state, raw, met + breached + not_applicable + unknown FROM rpt_definition_scorecard WHERE scope = 'all' "
        "ORDER BY definition_id"
    )
    assert [row[0] for row in rows if row[1] != "measured"] == NOT_MAPPED
    assert {row[1:] for row in rows if row[0] in NOT_MAPPED} == {("not configured", None, None)}
    assert all(raw == parts for _, state, raw, parts in rows if state == "measured"), rows


def test_the_proof_of_each_object_is_published(demo) -> None:
    rows = demo.query(
        "SELECT object, counted, received, proof, ids_compared_at, days_since_ids_compared FROM rpt_extract_proof"
    )
    log = LandingLog(demo.home / "landing")
    assert {name for name, *_ in rows} == set(log.objects())
    assert {(proof, counted == received) for _, counted, received, proof, *_ in rows} == {("exact", True)}
    # the last time that all Ids were compared stands beside, for those objects whose Ids can be
    compared = {name: at for (name, kind), at in log.last_looks().items() if kind == IDS}
    assert compared
    assert {name: at.replace(tzinfo=UTC) for name, *_, at, days in rows if days is not None} == compared


def test_a_breach_says_who_what_and_how_to_mend_it(demo) -> None:
    rows = demo.query(
        "SELECT record_url, owner_name, observed_value, threshold, why, fix, first_seen_at, rule_number "
        "FROM rpt_definition_breaches WHERE status = 'breached'"
    )
    for url, owner, observed, threshold, why, fix, first_seen, rule in rows:
        assert url.startswith(demo.org["url"])
        assert owner or rule == 17  # a lead in a queue has none: that is its breach
        assert threshold
        assert why
        assert fix
        assert first_seen is not None
        assert observed is not None or rule in (7, 9, 10)  # a missing value is what these observed


def test_the_worklist_comes_as_table_json_and_csv(demo) -> None:
    table = demo.command("breaches", "--rule", "8")
    assert table.returncode == 0
    as_json = json.loads(demo.command("breaches", "--rule", "R08", "--format", "json").stdout)
    as_csv = list(csv.DictReader(io.StringIO(demo.command("breaches", "--rule", "8", "--format", "csv").stdout)))
    planted = set(demo.truth["breaches"]["8"])
    assert {row["record_id"] for row in as_json} == {row["record_id"] for row in as_csv} == planted


def test_the_backtest_says_with_an_interval_whether_ours_beats_the_crms_figures(demo) -> None:
    """On the generated company it does: in Brier and in absolute error of money, against the weighted figure and the commit."""
    rows = demo.query("""
        SELECT sales_process, method, brier_gap, brier_gap_lower, brier_gap_upper, brier_verdict FROM rpt_forecast_calibration
        WHERE fiscal_quarter = 'all' AND method <> 'survival model'
        UNION ALL
        SELECT sales_process, method, money_gap, money_gap_lower, money_gap_upper, money_verdict FROM rpt_forecast_calibration
        WHERE fiscal_quarter = 'all' AND method LIKE 'CRM%'""")
    assert len(rows) == 3 * 4 + 3 * 3
    for process, method, gap, lower, upper, verdict in rows:
        assert lower <= gap <= upper
        expected = (
            "ours is better"
            if lower > 0
            else "ours does not beat it: " + ("it is better" if upper < 0 else "no difference shown")
        )
        assert verdict == expected, (process, method)
        if process == "all processes" and method in ("CRM probability", "CRM commit"):
            assert verdict == "ours is better", (method, gap, lower, upper)


def test_every_published_table_lies_beside_as_parquet(demo) -> None:
    import duckdb

    manifest = demo.manifest()
    assert {
        "rpt_stage_conversion",
        "rpt_stage_duration",
        "rpt_wip_aging",
        "rpt_bottleneck",
        "rpt_definition_breaches",
    } <= set(manifest["tables"])
    for name, table in manifest["tables"].items():
        path = demo.home / "published/current/parquet" / f"{name}.parquet"
        assert duckdb.sql(f"SELECT count(*) FROM '{path}'").fetchone() == (table["rows"],)


def test_a_segment_that_nobody_mapped_says_so(demo) -> None:
    reads = demo.query("SELECT DISTINCT trait_value, reads FROM rpt_winnability WHERE trait = 'segment'")
    assert reads == [("unknown", "not mapped")]


def test_a_deals_products_share_its_lines_money(demo) -> None:
    ((deals, unlike),) = demo.query("""
        SELECT count(*), count(*) FILTER (abs(share - 1) > 1e-9) FROM (
            SELECT sum(share_of_deal) AS share FROM fct_opportunity_products GROUP BY opportunity_id HAVING count(share_of_deal) > 0)""")
    assert deals > 0
    assert unlike == 0


def test_nothing_new_is_skipped_and_said(demo) -> None:
    before = demo.manifest()
    told = demo.run()
    assert "landed     nothing new" in told
    assert (
        "skipped    conform, audit, measure, publish: neither data nor definitions nor the date of as_of changed, and nothing was decided"
        in told
    )
    assert demo.manifest() == before


def test_the_same_as_of_twice_changes_nothing(demo) -> None:
    as_of = demo.manifest()["as_of"]
    demo.run("--as-of", as_of)
    first, ledger = demo.manifest(), _ledger(demo)
    demo.run("--as-of", as_of, "--rebuild")
    assert demo.manifest()["tables"] == first["tables"]
    assert demo.manifest()["publication_id"] == first["publication_id"]
    assert _ledger(demo) == ledger
    demo.run()


def test_without_the_warehouse_the_landing_gives_the_same_mart_and_ledger_and_salesforce_is_not_called(demo) -> None:
    before, ledger = demo.manifest(), _ledger(demo)
    shutil.rmtree(demo.home / "warehouse")
    shutil.rmtree(demo.home / "published")
    calls = demo.control("requests")
    told = demo.run(
        "--from-landing", SALESFORCE_LOGIN_URL=None, SALESFORCE_CLIENT_ID=None, SALESFORCE_CLIENT_SECRET=None
    )
    assert "landed" not in told
    assert demo.control("requests") == calls
    assert demo.manifest()["tables"] == before["tables"]
    assert demo.manifest()["publication_id"] == before["publication_id"]
    assert _ledger(demo) == ledger


def test_a_replay_builds_apart_and_knows_nothing_later(demo) -> None:
    before, ledger = demo.manifest(), _ledger(demo)
    told = demo.run("--as-of", "2025-06-30T00:00Z")
    assert "a replay" in told
    assert demo.manifest() == before
    assert _ledger(demo) == ledger
    replay = demo.home / "replays/20250630T000000Z/published/current"
    latest = demo.query(
        "SELECT max(created_at), (SELECT max(entered_at) FROM fct_stage_visits) FROM fct_opportunities", replay
    )
    assert all(str(instant) <= "2025-06-30 00:00:00" for instant in latest[0])
    assert (
        demo.query("SELECT count(*) FROM fct_opportunities", replay)[0][0]
        < before["tables"]["fct_opportunities"]["rows"]
    )


def test_a_stop_keeps_the_last_good_publication(demo) -> None:
    before, stage_map = demo.manifest(), demo.home / "stage_map.csv"
    text = stage_map.read_text()
    stage_map.write_text("".join(line for line in text.splitlines(True) if ",Qualification," not in line))
    despite = ("publish", "--who", "Ada", "--why", "[the map] is late", "--until", "2099-01-01", "--despite")
    try:
        stopped = demo.command("run")
        assert stopped.returncode == 7
        assert "R02" in stopped.stderr
        assert f"The publication as of {before['as_of']} stays." in stopped.stderr
        assert demo.manifest() == before
        shown = demo.command("show", "rpt_run", "--format", "json")
        assert "stale: 0 hours older than the newest data, held back by" in shown.stderr
        assert "breach R02" in shown.stderr
        refused = demo.command(*despite, "R22")
        assert refused.returncode == 2
        assert "R22 stopped nothing in the last audit. R02 stops the line now." in refused.stderr
        published = demo.command(*despite, "2")
        assert published.returncode == 0, published.stderr
    finally:
        stage_map.write_text(text)
    (override,) = demo.manifest()["overrides"]
    assert (override["definition_id"], override["who"], override["until_on"]) == ("R02", "Ada", "2099-01-01")
    told = demo.command("show", "rpt_overrides", "--format", "json")
    assert "published despite R02: Ada answers for it until 2099-01-01: [the map] is late" in told.stderr
    assert "stale" not in told.stderr
    row = json.loads(told.stdout)[0]
    assert (row["who"], row["is_needed"], row["breached"] > 0) == ("Ada", True, True)
    demo.run()
    # the rule holds again: the override stands in the record, and nothing is published despite it
    assert demo.manifest()["overrides"] == []
    assert demo.query("SELECT definition_id, is_needed FROM rpt_overrides") == [("R02", False)]
    assert _but_overrides(demo.manifest()["tables"]) == _but_overrides(before["tables"])


def _but_overrides(tables: dict[str, object]) -> dict[str, object]:
    # a run's id stands for all of its inputs, the override that stands among them; what the stopped run found stays in the ledger
    left_out = ("_overrides", "_run", "fct_breach_spells")
    return {name: table for name, table in tables.items() if not name.endswith(left_out)}


def test_a_change_in_the_org_reaches_mart_and_ledger_alone(demo) -> None:
    """A mended record leaves the worklist and its spell is resolved; a new breach opens one."""
    mended, broken = demo.truth["breaches"]["6"][0], demo.truth["near_misses"]["6"][0]
    later = "2026-07-01T06:00:00Z"
    demo.control("clock", {"now": later})
    stamp = "2026-07-01T05:30:00.000+0000"
    demo.control("rows/Opportunity", [
        {"Id": mended, "CloseDate": "2026-09-30", "LastModifiedDate": stamp, "SystemModstamp": stamp},
        {"Id": broken, "CloseDate": "2026-06-01", "LastModifiedDate": stamp, "SystemModstamp": stamp},
    ])  # fmt: skip
    told = demo.run("--as-of", later)
    assert "landed     2 rows of 1 objects" in told
    found = {row[0] for row in demo.query("SELECT record_id FROM rpt_definition_breaches WHERE rule_number = 6")}
    assert broken in found
    assert mended not in found
    import duckdb

    with duckdb.connect(str(Path(demo.home) / "warehouse/conformed.duckdb"), read_only=True) as warehouse:
        spells = warehouse.execute(
            "SELECT record_id, resolved_at IS NULL FROM audit.ledger WHERE definition_id = 'R06' AND record_id IN (?, ?) ORDER BY 2",
            [mended, broken],
        ).fetchall()
    assert spells == [(mended, False), (broken, True)]


def test_a_stop_of_a_currency_or_an_object_lets_the_rest_be_published(demo) -> None:
    """R21 and R25 made to fail for EUR and Task alone: amounts in EUR leave the totals, the views that rest on Task are named."""
    before = demo.manifest()
    money = (
        "SELECT count(*), count(amount), sum(amount_corporate) FILTER (currency_code <> 'EUR') FROM fct_opportunities"
    )
    lost = "SELECT count(amount_corporate) FROM fct_opportunities WHERE currency_code = 'EUR'"
    rest, in_euro = demo.query(money), demo.query(lost)
    assert in_euro[0][0] > 0
    folder = demo.home / "expectations"
    shutil.copytree(Path(__file__).resolve().parents[3] / "expectations", folder)
    try:
        for name, old, new in (
            (
                "currency.yml",
                "    expectations:",
                "    when: [{column: currency_code, equals: EUR}]\n    expectations:",
            ),
            ("currency.yml", "max_value: 0", "max_value: -1"),
            ("landed_object.yml", "not_in: [Opportunity, OpportunityHistory, OpportunityStage]", "equals: Task"),
        ):
            text = (folder / name).read_text()
            assert old in text
            (folder / name).write_text(text.replace(old, new, 1))
        head, further = (folder / "landed_object.yml").read_text().split("  - id: R25")
        (folder / "landed_object.yml").write_text(
            f"{head}  - id: R25{further.replace('max_value: 36', 'max_value: -1')}"
        )
        told = demo.run("--as-of", before["as_of"])
    finally:
        shutil.rmtree(folder)
    (euro, task) = demo.manifest()["incomplete"]
    assert euro.startswith("currency EUR: its amounts are in no total; breaches R21")
    assert task.startswith("object Task: it bears on ")
    named = set(task.split("; ")[0].removeprefix("object Task: it bears on ").split(", "))
    assert {"rpt_owner_load", "rpt_win_loss"} <= named
    assert "rpt_runs" not in named
    assert named <= set(demo.manifest()["tables"])
    shown = demo.command("show", "rpt_incomplete", "--format", "json")
    for line in (euro, task):
        assert f"incomplete {line}" in told
        assert f"incomplete: {line}" in shown.stderr
    assert {row["scope_value"] for row in json.loads(shown.stdout)} == {"EUR", "Task"}
    # every deal stands, and every amount as it was entered; only the totals lack what is held back, and say how much
    assert demo.query(money) == rest
    assert demo.query(lost) == [(0,)]
    held = demo.query(
        "SELECT count(*) FROM fct_opportunities WHERE currency_code = 'EUR' AND amount IS NOT NULL AND NOT is_deleted"
    )
    assert demo.query("SELECT is_incomplete, n_amounts_held FROM rpt_run") == [(True, held[0][0])]
    assert demo.query("SELECT n_deals FROM rpt_incomplete WHERE scope = 'currency'") == held
    for rule, raw, parts in demo.query(
        "SELECT definition_id, raw, met + breached + not_applicable + unknown FROM rpt_definition_scorecard WHERE scope = 'all'"
    ):
        assert raw == parts, rule
