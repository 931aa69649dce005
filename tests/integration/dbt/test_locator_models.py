"""What the locator rests on, from a few records made by hand: how leads were worked, who waited for us, and the weeks of the line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pytest

START = datetime(2026, 1, 1)  # noqa: DTZ001 (the warehouse holds naive UTC); a Thursday, as_of is day 30
SELLER, CALLER = "005000000000000001", "005000000000000002"
WEEKS = [date(2025, 12, 29) + timedelta(days=7 * n) for n in range(4)]
OPEN, WORKING, CONVERTED, REFUSED = (
    "Open - Not Contacted", "Working - Contacted", "Closed - Converted", "Closed - Not Converted",
)  # fmt: skip


def _day(day: float) -> datetime:
    return START + timedelta(days=day)


def _lead(utc: Any, number: int, created: float, status: str, modified: float, **fields: Any) -> dict[str, Any]:
    return {
        "Id": f"00Q{number:015d}", "IsDeleted": False, "Status": status, "IsConverted": False, "CreatedDate": utc(_day(created)),
        "LastModifiedDate": utc(_day(modified)), "SystemModstamp": utc(_day(modified)), **fields,
    }  # fmt: skip


def _land(bench: Any) -> None:
    utc = bench.utc
    bench.land("Opportunity", [
        bench.deal(1, StageName="Closed Lost", CreatedDate=utc(_day(0)), OwnerId=SELLER),
        bench.deal(2, CreatedDate=utc(_day(0)), OwnerId=SELLER),
    ])  # fmt: skip
    moves = [(1, 0, "Prospecting"), (1, 10, "Proposal"), (1, 20, "Closed Lost"), (2, 0, "Prospecting")]
    bench.land("OpportunityHistory", [
        {"Id": f"008{n:015d}", "OpportunityId": f"006{deal:015d}", "StageName": stage, "IsDeleted": False,
         "CreatedDate": utc(_day(day)), "SystemModstamp": utc(_day(day))}
        for n, (deal, day, stage) in enumerate(moves)
    ])  # fmt: skip
    bench.land("Lead", [
        _lead(utc, 1, 2, CONVERTED, 10, IsConverted=True, ConvertedDate=_day(10).date(), ConvertedOpportunityId=f"006{1:015d}"),
        _lead(utc, 2, 2, REFUSED, 9),
        _lead(utc, 3, 3, OPEN, 3),
        _lead(utc, 4, 4, "Unqualified", 12),
        _lead(utc, 5, 4, OPEN, 7, IsDeleted=True),
        _lead(utc, 6, 31, OPEN, 31),
        _lead(utc, 7, 1, WORKING, 8),
        _lead(utc, 8, 5, REFUSED, 35),
        _lead(utc, 9, 5, CONVERTED, 35, IsConverted=True, ConvertedDate=_day(35).date()),
    ])  # fmt: skip
    changes = [
        (1, 4, OPEN, WORKING), (1, 10.5, WORKING, CONVERTED), (2, 9, OPEN, REFUSED), (7, 6, OPEN, REFUSED), (7, 8, REFUSED, WORKING),
        (8, 35, OPEN, REFUSED),
    ]  # fmt: skip
    bench.land("LeadHistory", [
        {"Id": f"017{n:015d}", "LeadId": f"00Q{lead:015d}", "Field": "Status", "OldValue": old, "NewValue": new, "IsDeleted": False,
         "CreatedDate": utc(_day(day))}
        for n, (lead, day, old, new) in enumerate(changes)
    ])  # fmt: skip
    bench.land("CampaignMember", [
        {"Id": f"00v{n:015d}", "IsDeleted": False, "CampaignId": "701000000000000001", "LeadId": lead, "HasResponded": answered is not None,
         "FirstRespondedDate": answered and _day(answered).date(), "CreatedDate": utc(_day(1)), "LastModifiedDate": utc(_day(1)),
         "SystemModstamp": utc(_day(1))}
        for n, (lead, answered) in enumerate([(f"00Q{1:015d}", 2), (None, None), (None, 40)])
    ])  # fmt: skip
    # on deal 1 (6 is a deal), lead 3, a case
    touches = [(f"006{1:015d}", None, 3, SELLER), (f"006{2:015d}", None, 1, SELLER), (None, f"00Q{3:015d}", 5, CALLER),
               (f"500{1:015d}", None, 15, SELLER), (f"006{2:015d}", None, 0.5, CALLER)]  # fmt: skip
    bench.land("Task", [
        {"Id": f"00T{n:015d}", "IsDeleted": False, "WhatId": what, "WhoId": who, "OwnerId": owner, "Status": "Completed", "IsClosed": True,
         "TaskSubtype": "Call", "CallType": "Outbound", "CompletedDateTime": utc(_day(day)), "CreatedDate": utc(_day(day)),
         "LastModifiedDate": utc(_day(day)), "SystemModstamp": utc(_day(day))}
        for n, (what, who, day, owner) in enumerate(touches)
    ])  # fmt: skip
    answers = [(1, 1), (1, 2), (1, 12), (1, 22), (2, 5)]
    bench.land("EmailMessage", [
        {"Id": f"02s{n:015d}", "IsDeleted": False, "RelatedToId": f"006{deal:015d}", "Incoming": True, "Status": "3",
         "MessageDate": utc(_day(day)), "CreatedDate": utc(_day(day)), "LastModifiedDate": utc(_day(day)), "SystemModstamp": utc(_day(day))}
        for n, (deal, day) in enumerate(answers)
    ])  # fmt: skip
    bench.land("Case", [
        {"Id": f"500{n:015d}", "IsDeleted": n == 3, "IsClosed": n == 1, "ClosedDate": utc(_day(18)) if n == 1 else None, "Status": "New",
         "CreatedDate": utc(_day(14)), "LastModifiedDate": utc(_day(18)), "SystemModstamp": utc(_day(18))}
        for n in (1, 2, 3)
    ])  # fmt: skip


class Made:
    """Rows of the conformed file and of the mart."""

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self._mart = duckdb.connect(str(bench.home.building), read_only=True)

    def conformed(self, sql: str) -> list[tuple[Any, ...]]:
        with self._bench.connect(read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def mart(self, sql: str) -> list[tuple[Any, ...]]:
        return self._mart.execute(sql).fetchall()

    def close(self) -> None:
        self._mart.close()


@pytest.fixture(scope="module")
def made(_session_bench: Any) -> Iterator[Made]:
    bench = _session_bench
    bench.reset()
    _land(bench)
    bench.control(stage_map=bench.process_map("default"))
    bench.home.building.unlink(missing_ok=True)
    bench.dbt.build("conform", only="rpt_bottleneck")
    bench.dbt.build("measure", only="rpt_bottleneck")
    rows = Made(bench)
    yield rows
    rows.close()
    bench.home.building.unlink(missing_ok=True)


def test_a_lead_tells_when_it_was_worked_and_how_it_ended(made: Made) -> None:
    rows = made.conformed("""
        select cast(substr(lead_id, 4) as integer), outcome, first_worked_at, closed_at, opportunity_id
        from intermediate.int_lead_work order by 1""")  # fmt: skip
    assert rows == [
        (1, "converted", _day(4), _day(10.5), f"006{1:015d}"),
        (2, "given up", None, _day(9), None),
        (3, "open", _day(5), None, None),
        (4, "given up", None, _day(12), None),  # its history was not tracked: the record's last change stands for it
        (5, "deleted", None, _day(7), None),
        (7, "open", _day(8), None, None),  # given up, and taken up again
        (8, "open", None, None, None),  # refused after as_of
        (9, "open", None, None, None),  # converted after as_of
    ]


def test_a_customer_waits_from_the_first_response_to_our_touch_or_the_close(made: Made) -> None:
    rows = made.conformed("""
        select opportunity_id, location, began_at, ended_at from intermediate.int_deal_waits order by began_at""")
    assert rows == [
        (f"006{1:015d}", "qualifying", _day(1), _day(3)),
        (f"006{2:015d}", "qualifying", _day(5), None),
        (f"006{1:015d}", "selling", _day(12), _day(20)),
    ]  # fmt: skip
    weeks = made.mart("""
        select location, week_starts_on, open_deals, waiting_deals, waits_begun from mart.fct_deal_wait_weeks order by 1, 2""")
    assert weeks == [
        ("qualifying", WEEKS[0], 2, 0, 1), ("qualifying", WEEKS[1], 1, 1, 1), ("qualifying", WEEKS[2], 1, 1, 0),
        ("qualifying", WEEKS[3], 1, 1, 0), ("selling", WEEKS[1], 1, 0, 0), ("selling", WEEKS[2], 1, 1, 1), ("selling", WEEKS[3], 0, 0, 0),
    ]  # fmt: skip


def test_each_source_counts_from_its_first_record_on(made: Made) -> None:
    columns = ("reached", "responses", "inquiries", "unprompted", "worked_leads", "closed_leads", "given_up_leads", "unworked_leads",
               "cases_opened", "cases_closed", "deal_touches", "case_touches", "seller_touches")  # fmt: skip
    rows = made.mart(f"select week_starts_on, {', '.join(columns)} from mart.fct_value_stream_weeks order by 1")
    # leads 1, 2, 3 and 7 came in the first week; 4, 8, 9 in the second; 5 was deleted
    assert rows == [
        (WEEKS[0], 3, 1, 4, 3, 0, 0, 0, 4, None, None, 2, 0, 2),
        (WEEKS[1], 0, 0, 3, 3, 3, 2, 1, 3, None, None, 0, 0, 0),
        (WEEKS[2], 0, 0, 0, 0, 0, 1, 1, 2, 2, 0, 0, 1, 1),
        (WEEKS[3], 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0),
    ]  # fmt: skip
    leads = made.mart(
        "select week_starts_on, arrivals, exits, worked_exits, end_wip, theta_wins from mart.fct_lead_weeks order by 1"
    )
    assert leads == [
        (WEEKS[0], 4, 0, 0, 4, None), (WEEKS[1], 3, 2, 1, 5, None), (WEEKS[2], 0, 1, 0, 4, None), (WEEKS[3], 0, 0, 0, 4, None),
    ]  # fmt: skip


def test_what_is_not_loaded_long_enough_is_not_measured_and_says_so(made: Made) -> None:
    rows = made.mart(f"""
        select location, state, state_cause, signals_for, verdict from mart.rpt_bottleneck
        where basis = 'reported' and week_starts_on = date '{WEEKS[3]}' and location in ('market', 'marketing', 'servicing') order by 1""")  # fmt: skip
    assert rows == [
        ("market", "not measured", "no leads are loaded, or for less than 13 weeks", None, "undetermined"),
        ("marketing", "not measured", "no leads and campaigns are loaded, or for less than 13 weeks", None, "undetermined"),
        ("servicing", "not measured", "no cases are loaded, or for less than 13 weeks", None, "undetermined"),
    ]  # fmt: skip
