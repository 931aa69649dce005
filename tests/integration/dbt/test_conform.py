"""Conform against a plain-Python account of visits, increments against rebuilds, money and replays."""

from __future__ import annotations

import os
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dagster_project.warehouse.dbt_build import dbt_environment

START = datetime(2026, 1, 1)  # noqa: DTZ001 (the warehouse holds naive UTC)
AS_OF = datetime(2026, 1, 31)  # noqa: DTZ001 (the warehouse holds naive UTC)
ORDER = {
    "Prospecting": 1, "Qualification": 2, "Needs Analysis": 3, "Proposal": 4, "Negotiation": 5, "Closed Won": 6,
    "Closed Lost": 7,
}  # fmt: skip
CLOSED = ("Closed Won", "Closed Lost")
STAGES = (*ORDER, "Renamed")


def _visits(history: list[tuple[datetime, str]]) -> list[dict[str, Any]]:
    """Visits of one deal from its ordered history, by plain reading of the rules. Knows no SQL."""
    runs: list[tuple[datetime, str]] = []
    for instant, stage in history:
        if not runs or runs[-1][1] != stage:
            runs.append((instant, stage))
    visits, cycle, seen = [], 1, defaultdict(int)
    for i, (entered, stage) in enumerate(runs):
        following = runs[i + 1] if i + 1 < len(runs) else None
        if i and runs[i - 1][1] in CLOSED:
            cycle += 1
        seen[stage] += 1
        skipped = 0
        if i and stage != "Closed Lost" and stage in ORDER and runs[i - 1][1] in ORDER:
            skipped = sum(1 for other, n in ORDER.items()
                          if other not in CLOSED and ORDER[runs[i - 1][1]] < n < ORDER[stage])  # fmt: skip
        visits.append({
            "visit_seq": i + 1, "visit_no": seen[stage], "cycle_no": cycle, "stage_name": stage, "entered_at": entered,
            "exited_at": following[0] if following else None,
            "exit_kind": _exit(stage, following[1] if following else None),
            "stages_skipped": skipped, "is_tie": bool(following) and following[0] == entered,
            "is_left_truncated": i == 0 and ORDER.get(stage, 0) > 1,
        })  # fmt: skip
    return visits


def _exit(stage: str, following: str | None) -> str:
    if following is None:
        return "open"
    if stage in CLOSED:
        return "reopened"
    if following in CLOSED:
        return "won" if following == "Closed Won" else "lost"
    if stage not in ORDER or following not in ORDER:
        return "lateral"
    return "advanced" if ORDER[following] > ORDER[stage] else "back"


_CHANGE = st.tuples(st.integers(0, 40), st.sampled_from(STAGES))
_HISTORIES = st.lists(st.lists(_CHANGE, min_size=1, max_size=9), min_size=150, max_size=150)


@settings(
    max_examples=3, derandomize=True, deadline=None, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large,
                           HealthCheck.large_base_example],
)  # fmt: skip
@given(histories=_HISTORIES)
def test_visits_equal_a_plain_reading_of_the_rules(bench: Any, histories: list[list[tuple[int, str]]]) -> None:
    bench.reset()
    deals, rows, expected = [], [], {}
    for number, history in enumerate(histories, start=1):
        # days 0, 0, 1 …: few instants, so that ties are common; beyond day 30 lies after as_of
        ordered = sorted(((START + timedelta(days=day), stage) for day, stage in history), key=lambda change: change[0])
        opportunity = bench.deal(number, StageName=ordered[-1][1])
        deals.append(opportunity)
        for position, (instant, stage) in enumerate(ordered):
            rows.append({"Id": f"008{number:09d}{position:06d}", "OpportunityId": opportunity["Id"], "StageName": stage,
                         "CreatedDate": bench.utc(instant), "SystemModstamp": bench.utc(instant), "IsDeleted": False})  # fmt: skip
        past = [change for change in ordered if change[0] <= AS_OF]
        # without a past the deal stands in its first known stage since creation
        expected[opportunity["Id"]] = _visits(past or [(START, ordered[0][1])])
    bench.land("Opportunity", deals)
    bench.land("OpportunityHistory", rows)
    bench.land("OpportunityContactRole", [
        {"Id": f"00K{number:015d}", "IsDeleted": False, "OpportunityId": row["Id"], "ContactId": "003000000000000001",
         "CreatedDate": bench.utc(START + timedelta(days=number % 33)), "LastModifiedDate": bench.utc(START),
         "SystemModstamp": bench.utc(START)}
        for number, row in enumerate(deals) if number % 3
    ])  # fmt: skip
    bench.control(definitions=[bench.stage_entry("R08", "contact_role", 2)])
    bench.build()  # runs the invariants as data tests: no gap, entered = exits, ties, evidenced never beyond reported

    found = defaultdict(list)
    columns = tuple(next(iter(expected.values()))[0])
    for row in bench.rows(
        f"select opportunity_id, {', '.join(columns)} from intermediate.int_stage_visits order by 1, visit_seq"
    ):
        found[row.pop("opportunity_id")].append(row)
    assert dict(found) == expected


def _state(bench: Any) -> dict[str, Any]:
    return {
        name: bench.rows(f"select * from staging.stg_salesforce__{name} order by 1")
        for name in ("opportunity", "opportunity_history", "account")
    }


def test_increments_and_a_rebuild_give_the_same_rows(bench: Any) -> None:
    bench.land("Opportunity", [bench.deal(1), bench.deal(2), bench.deal(3)], batch=1)
    bench.control()
    bench.build()
    # one changed, seen twice in the batch; one deleted by a tombstone that carries the Id alone; one new
    older = bench.deal(1, StageName="Qualification", SystemModstamp=bench.utc(START + timedelta(days=2)))
    newer = bench.deal(1, StageName="Proposal", SystemModstamp=bench.utc(START + timedelta(days=3)))
    bench.land("Opportunity", [newer, older, bench.deal(4)], batch=2)
    bench.land("Opportunity", [{"Id": bench.deal(2)["Id"]}], batch=3, operation="delete")
    bench.build()
    bench.land("Opportunity", [bench.deal(3, Name="Renamed")], batch=4)
    bench.build()
    by_increments = _state(bench)
    bench.build(full_refresh=True)
    assert _state(bench) == by_increments
    states = {row["opportunity_id"][-1]: row for row in by_increments["opportunity"]}
    assert {number: row["stage_name"] for number, row in states.items()} == {
        "1": "Proposal", "2": "Prospecting", "3": "Prospecting", "4": "Prospecting",
    }  # fmt: skip
    assert [states[number]["is_deleted"] for number in "1234"] == [False, True, False, False]
    assert [states[number]["_batch_seq"] for number in "1234"] == [2, 3, 4, 2]


def test_amounts_are_converted_at_the_dated_rate_else_the_currency_s_own_else_unknown(bench: Any) -> None:
    bench.land("Opportunity", [
        bench.deal(1, CurrencyIsoCode="EUR", Amount="100.00"),
        bench.deal(2, CurrencyIsoCode="GBP", Amount="100.00"),
        bench.deal(3, CurrencyIsoCode="JPY", Amount="100.00"),
        bench.deal(4, CurrencyIsoCode="USD", Amount="100.00"),
        bench.deal(5, CurrencyIsoCode=None, Amount="100.00"),
        bench.deal(6, CurrencyIsoCode="EUR", Amount=None),
    ])  # fmt: skip
    bench.land("CurrencyType", [
        {"Id": "01L000000000000001", "IsoCode": "EUR", "ConversionRate": 0.5, "IsCorporate": False},
        {"Id": "01L000000000000002", "IsoCode": "GBP", "ConversionRate": 0.5, "IsCorporate": False},
    ])  # fmt: skip
    bench.land("DatedConversionRate", [
        {"Id": f"04w00000000000000{n}", "IsoCode": "EUR", "ConversionRate": rate, "StartDate": start, "NextStartDate": end}
        for n, rate, start, end in [(1, 0.8, "2026-01-01", "2026-02-15"), (2, 0.4, "2026-02-15", "9999-12-31")]
    ])  # fmt: skip
    bench.control()
    bench.build()
    amounts = bench.rows(
        "select amount_corporate::double as a from intermediate.int_opportunities order by opportunity_id"
    )
    assert [row["a"] for row in amounts] == [250.0, 200.0, None, 100.0, 100.0, None]


def test_a_past_as_of_takes_stage_and_amount_from_the_history(bench: Any) -> None:
    bench.land("Opportunity", [bench.deal(1, StageName="Closed Won", IsClosed=True, IsWon=True, Amount="900.00")])
    bench.land("OpportunityHistory", [
        {"Id": f"00800000000000000{n}", "IsDeleted": False, "OpportunityId": bench.deal(1)["Id"], "StageName": stage,
         "Amount": amount, "CloseDate": "2026-03-01", "CreatedDate": bench.utc(START + timedelta(days=day)),
         "SystemModstamp": bench.utc(START + timedelta(days=day))}
        for n, day, stage, amount in [(1, 0, "Prospecting", None), (2, 5, "Proposal", "500.00"), (3, 20, "Closed Won", "900.00")]
    ])  # fmt: skip
    bench.control(as_of=START + timedelta(days=10))
    bench.build()
    (row,) = bench.rows("select * from intermediate.int_opportunities")
    assert (row["stage_name"], row["is_open"], float(row["amount"])) == ("Proposal", True, 500.0)
    assert row["is_closed_flag"] is None
    assert row["is_from_history"] is True
    (audited,) = bench.rows("select latest_timestamp_at, as_of from intermediate.int_audit__opportunity")
    assert audited["latest_timestamp_at"] <= audited["as_of"]


def test_evidence_decides_the_stage_from_the_moment_it_is_there(bench: Any) -> None:
    days = [(0, "Prospecting"), (2, "Qualification"), (4, "Proposal"), (10, "Closed Won")]
    bench.land("Opportunity", [bench.deal(n, StageName="Closed Won", Amount=None) for n in (1, 2)])
    bench.land("OpportunityHistory", [
        {"Id": f"008{n:09d}{i:06d}", "IsDeleted": False, "OpportunityId": bench.deal(n)["Id"], "StageName": stage,
         "CreatedDate": bench.utc(START + timedelta(days=day)), "SystemModstamp": bench.utc(START + timedelta(days=day))}
        for n in (1, 2) for i, (day, stage) in enumerate(days)
    ])  # fmt: skip
    role = {"Id": "00K000000000000001", "IsDeleted": False, "OpportunityId": bench.deal(1)["Id"],
            "CreatedDate": bench.utc(START + timedelta(days=6)), "SystemModstamp": bench.utc(START)}  # fmt: skip
    bench.land("OpportunityContactRole", [role])
    bench.control(definitions=[bench.stage_entry("R08", "contact_role", 2)])
    bench.build()
    rows = bench.rows("""
        select right(opportunity_id, 1) as deal, stage_name,
               date_diff('day', timestamp '2026-01-01', entered_at) as day,
               exit_kind
        from intermediate.int_evidenced_stage_visits order by opportunity_id, visit_seq""")
    assert [tuple(row.values()) for row in rows] == [
        ("1", "Prospecting", 0, "advanced"), ("1", "Proposal", 6, "won"), ("1", "Closed Won", 10, "open"),
        ("2", "Prospecting", 0, "won_without_evidence"),
    ]  # fmt: skip


def test_every_case_of_stage_visits_holds(bench: Any) -> None:
    """The dbt unit tests of the conform half; they need the columns of a built warehouse."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    bench.land("Opportunity", [bench.deal(1)])
    bench.control()
    bench.build()
    os.environ.update(dbt_environment(bench.home))
    project = str(bench.project)
    try:
        result = dbtRunner().invoke([
            "test", "--select", "test_type:unit,tag:conform", "--project-dir", project, "--profiles-dir", project, "--quiet",
            "--target-path", str(bench.home.warehouse / "unit"), "--log-path", str(bench.home.warehouse / "unit"),
        ])  # fmt: skip
    finally:
        DuckDBConnectionManager.close_all_connections()
    assert result.success, result.exception
    statuses = [str(node.status) for node in result.result.results]
    assert len(statuses) >= 17
    assert set(statuses) == {"pass"}
