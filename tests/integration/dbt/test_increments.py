"""A warehouse that grew by increments equals one built from nothing, row for row, in every conformed table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from dagster_project.errors import WarehouseError
from tests.integration.dbt.conftest import AS_OF, at

ROWS = Mapping[str, Iterable[Mapping[str, Any]]]


def _stamped(id_: str, day: float, **fields: Any) -> dict[str, Any]:
    return {"Id": id_, "IsDeleted": False, "CreatedDate": at(1), "LastModifiedDate": at(day), "SystemModstamp": at(day),
            **fields}  # fmt: skip


def _deal(number: int, day: float, **fields: Any) -> dict[str, Any]:
    from tests.integration.dbt.conftest import deal

    return deal(number, LastModifiedDate=at(day), SystemModstamp=at(day), **fields)


def _of(number: int) -> str:
    return f"006{number:015d}"


def _history(id_: str, number: int, day: float, stage: str, **fields: Any) -> dict[str, Any]:
    return {"Id": f"008{id_:>015}", "IsDeleted": False, "OpportunityId": _of(number), "StageName": stage, "Amount": "1000.00",
            "CloseDate": "2026-03-01", "CreatedDate": at(day), "SystemModstamp": at(day), **fields}  # fmt: skip


def _task(number: int, day: float, **fields: Any) -> dict[str, Any]:
    return _stamped(f"00T{number:015d}", day, **{"WhatId": _of(1), "WhoId": "003000000000000001", "IsClosed": True,
                    "CompletedDateTime": at(3), "OwnerId": "005000000000000001", **fields})  # fmt: skip


def _event(number: int, day: float, **fields: Any) -> dict[str, Any]:
    return _stamped(
        f"00U{number:015d}", day, **{"WhatId": _of(1), "StartDateTime": at(4), "EndDateTime": at(4.1), **fields}
    )


def _mail(number: int, day: float, **fields: Any) -> dict[str, Any]:
    return _stamped(f"02s{number:015d}", day, **{"RelatedToId": _of(2), "Incoming": True, "Status": "1", "MessageDate": at(5),
                    **fields})  # fmt: skip


def _relation(number: int, event: int, day: float, **fields: Any) -> dict[str, Any]:
    return _stamped(f"0RE{number:015d}", day, **{"EventId": f"00U{event:015d}", "RelationId": "003000000000000001",
                    "IsWhat": False, **fields})  # fmt: skip


FIRST: ROWS = {
    "RecordType": [_stamped(f"012{n:015d}", 1, DeveloperName=name, SobjectType="Opportunity")
                   for n, name in ((1, "default"), (2, "partner"))],
    "Opportunity": [_deal(n, 2, RecordTypeId=f"012{1 + n % 2:015d}", StageName="Proposal") for n in range(1, 13)],
    "OpportunityHistory": [_history(f"{n}{i}", n, day, stage) for n in range(1, 9) for i, (day, stage) in enumerate(
        [(0, "Prospecting"), (1, "Qualification"), (1, "Prospecting"), (2, "Proposal")])],
    "OpportunityContactRole": [_stamped(f"00K{n:015d}", 2, OpportunityId=_of(n), ContactId="003000000000000001")
                               for n in range(1, 10)],
    "Task": [_task(n, 2) for n in range(1, 9)],
    "Event": [_event(n, 2) for n in range(1, 6)],
    "EventRelation": [_relation(n, n, 2) for n in range(1, 4)],
    "EmailMessage": [_mail(n, 2, Status="5" if n == 4 else "1") for n in range(1, 7)],
    "Contact": [_stamped(f"003{n:015d}", 1) for n in (1, 2)],
}  # fmt: skip
# each a later batch of its objects: (what changes, operation)
LATER: list[tuple[ROWS, str]] = [
    ({  # another deal, another task behind a mail, a draft that is sent, an invitation declined, a deal that moves on
        "Task": [_task(1, 8, WhatId=_of(2)), _task(2, 8, IsClosed=False), _task(20, 8, WhoId=None, WhatId=None)],
        "EmailMessage": [_mail(1, 8, ActivityId=f"00T{3:015d}"), _mail(2, 8, ActivityId=f"00T{20:015d}", RelatedToId=None),
                         _mail(4, 8), _mail(7, 8)],
        "EventRelation": [_relation(1, 1, 8, Status="Declined"), _relation(4, 4, 8)],
        "Opportunity": [_deal(1, 8, StageName="Negotiation", RecordTypeId=f"012{2:015d}"),
                        _deal(20, 8, StageName="Qualification")],
        "OpportunityHistory": [_history("1x", 1, 8, "Negotiation")],
     }, "upsert"),
    ({  # gone: with what they were, and by their Id alone
        "Task": [_task(4, 9, IsDeleted=True)],
        "EventRelation": [_relation(2, 2, 9, IsDeleted=True)],
        "Opportunity": [_deal(2, 9, IsDeleted=True, StageName="Proposal", RecordTypeId=f"012{1:015d}"),
                        {"Id": _of(3)}],
        "OpportunityHistory": [_history("22", 2, 1, "Prospecting", IsDeleted=True), _history("42", 4, 1, "Prospecting", IsDeleted=True)],
        "EmailMessage": [{"Id": f"02s{5:015d}"}],
        "Event": [{"Id": f"00U{5:015d}"}],
        "OpportunityContactRole": [{"Id": f"00K{4:015d}"}],
     }, "delete"),
    ({  # late history of old and of unknown past, a mail behind another task, a task behind a mail, another record type's name
        "OpportunityHistory": [_history("5y", 5, 0.5, "Negotiation"), _history("10y", 10, 0.5, "Qualification"),
                               _history("10z", 10, 3, "Closed Won"), _history("6y", 6, 40, "Closed Lost"),
                               _history("11y", 11, 41, "Negotiation")],
        "EmailMessage": [_mail(1, 12, ActivityId=f"00T{5:015d}")],
        "Task": [_task(20, 12, WhoId="003000000000000002")],
        "Opportunity": [_deal(10, 12, StageName="Closed Won", IsClosed=True, IsWon=True)],
        "RecordType": [_stamped(f"012{2:015d}", 12, DeveloperName="reseller", SobjectType="Opportunity")],
     }, "upsert"),
    ({"Opportunity": [_deal(3, 14, StageName="Closed Lost", IsClosed=True)],  # back from the recycle bin
      "Event": [_event(2, 14, WhatId=_of(7), EndDateTime=at(45))],
      "Contact": [_stamped(f"003{2:015d}", 14, IsDeleted=True, MasterRecordId=f"003{1:015d}")]}, "upsert"),
]  # fmt: skip


def _conformed(bench: Any) -> dict[str, list[dict[str, Any]]]:
    tables = bench.rows(
        "select table_name as name from information_schema.tables where table_schema = 'intermediate' order by 1"
    )
    rows = {table["name"]: bench.rows(f"select * from intermediate.{table['name']} order by all") for table in tables}
    rows.pop("int_deals_reflected")
    for row in rows["int_deal_state"]:  # what a run had to do is not what it found
        del row["is_marked"], row["_build_id"]
    return rows


def _control(bench: Any, days: int, stage_map: Iterable[Any] | None = None) -> None:
    processes = [row for name in ("default", "partner", "reseller") for row in bench.process_map(name)]
    bench.control(
        as_of=AS_OF + timedelta(days=days),
        stage_map=stage_map or processes,
        definitions=[bench.stage_entry("R07", "amount", 4), bench.stage_entry("R08", "contact_role", 2),
                     bench.stage_entry("R10", "meeting_held", 3)],
    )  # fmt: skip


def _land(bench: Any, rows: ROWS, batch: int, operation: str = "upsert") -> None:
    for name, versions in rows.items():
        bench.land(name, list(versions), batch=batch, operation=operation)


def _build(bench: Any, *, full_refresh: bool = False) -> None:
    """The models alone: what their data tests hold, other tests show."""
    bench.dbt.build("conform", tests=False, full_refresh=full_refresh)


@pytest.mark.parametrize("by_step", [True, False])
def test_increments_give_the_rows_of_a_rebuild(bench: Any, by_step: bool) -> None:
    """After each batch, and after all of them at once; as_of moves on meanwhile."""
    _land(bench, FIRST, 1)
    _control(bench, 0)
    _build(bench)
    for number, (rows, operation) in enumerate(LATER, start=2):
        _land(bench, rows, number, operation)
        if by_step or number == len(LATER) + 1:
            _control(bench, 2 * number)
            _build(bench)
    by_increments = _conformed(bench)
    _build(bench, full_refresh=True)
    from_nothing = _conformed(bench)
    assert len(from_nothing) > 30
    for name, rows in from_nothing.items():
        assert by_increments[name] == rows, name
    assert len(from_nothing["int_activity_records"]) == 21  # 9 tasks, 5 events, 7 mails: what was deleted stays, marked


def test_a_changed_stage_map_reaches_every_deal_of_its_process(bench: Any) -> None:
    _land(bench, FIRST, 1)
    _control(bench, 0)
    _build(bench)
    rows = [row for name in ("default", "partner") for row in bench.process_map(name)]
    renamed = [
        (*row[:3], "lost", None, "closed", True, False, True) if row[:2] == ("partner", "Proposal") else row
        for row in rows
    ]
    _control(bench, 0, renamed)
    _build(bench)
    by_increments = _conformed(bench)
    _build(bench, full_refresh=True)
    assert _conformed(bench) == by_increments
    closed = {
        (row["sales_process"], row["is_closed_stage"])
        for row in by_increments["int_stage_visits"]
        if row["stage_name"] == "Proposal"
    }
    assert closed == {("default", False), ("partner", True)}


def test_what_is_read_after_known_at_is_in_no_timeline(bench: Any) -> None:
    _land(bench, FIRST, 1)
    bench.land(
        "OpportunityHistory", [_history("1x", 1, 8, "Negotiation")], batch=2, extracted_at=AS_OF + timedelta(days=1)
    )
    bench.control(known_at=AS_OF)
    _build(bench)
    stages = bench.rows(
        "select stage_name from intermediate.int_stage_timeline where opportunity_id like '%1' order by visit_seq"
    )
    assert stages
    assert all(row["stage_name"] != "Negotiation" for row in stages)


def test_what_a_run_that_was_cut_off_staged_is_not_lost(bench: Any) -> None:
    """Staging has committed, what rests on it has not: the next run still sees the change."""
    _land(bench, FIRST, 1)
    _control(bench, 0)
    _build(bench)
    _land(bench, LATER[0][0], 2)
    with bench.connect() as connection:  # a column of the wrong type ends the model's own transaction
        connection.execute(
            "alter table intermediate.int_activity_records rename column is_linked to is_linked_elsewhere"
        )
    with pytest.raises(WarehouseError, match="int_activity_records"):
        _build(bench)
    assert bench.rows("select max(_batch_seq) as n from staging.stg_salesforce__task") == [{"n": 2}]
    with bench.connect() as connection:
        connection.execute(
            "alter table intermediate.int_activity_records rename column is_linked_elsewhere to is_linked"
        )
    _build(bench)
    by_increments = _conformed(bench)
    _build(bench, full_refresh=True)
    assert _conformed(bench) == by_increments


def _marked(bench: Any) -> set[int]:
    """Numbers of the deals that the last run made anew."""
    rows = bench.rows("select opportunity_id as id from intermediate.int_deal_state where is_marked")
    return {int(row["id"][3:]) for row in rows}


def _equals_a_rebuild(bench: Any) -> None:
    by_increments = _conformed(bench)
    _build(bench, full_refresh=True)
    from_nothing = _conformed(bench)
    _same(by_increments, from_nothing)


def _same(one: dict[str, list[dict[str, Any]]], other: dict[str, list[dict[str, Any]]]) -> None:
    """Tables of the same rows; of the first that differs, the rows that do."""
    assert one.keys() == other.keys()
    for name in one:
        here, there = ({tuple(row.values()) for row in rows[name]} for rows in (one, other))
        assert (name, here - there, there - here) == (name, set(), set())
        assert len(one[name]) == len(other[name]), name


def test_only_deals_of_which_something_else_is_known_are_made_anew(bench: Any) -> None:
    _land(bench, FIRST, 1)
    _control(bench, 0)
    _build(bench)
    assert _marked(bench) == set(range(1, 13))
    _control(bench, 1)
    _build(bench)
    assert _marked(bench) == set()  # a day has passed, in which nothing happened
    _land(bench, {"Task": [_task(1, 8, WhatId=_of(4))],  # of deal 1 until now
                  "OpportunityContactRole": [_stamped(f"00K{9:015d}", 8, OpportunityId=_of(9), ContactId="003000000000000002")],
                  "OpportunityHistory": [_history("7z", 7, 33, "Negotiation")]}, 2)  # fmt: skip
    _control(bench, 2)
    _build(bench)
    assert _marked(bench) == {1, 4, 7, 9}
    _control(bench, 40)
    _build(bench)
    assert _marked(bench) == {7}  # what lay ahead has happened
    assert bench.rows(f"select * from intermediate.int_evidenced_stage_visits where opportunity_id = '{_of(7)}'")
    _equals_a_rebuild(bench)


@pytest.mark.parametrize("days", [(30, 2, 30), (2, 9, 50), (50, -30, 10)])
def test_as_of_may_move_either_way(bench: Any, days: tuple[int, ...]) -> None:
    """In a home of its own a replay starts from nothing; an earlier as_of in the same one gives the same rows all the same."""
    _land(bench, FIRST, 1)
    for number, (rows, operation) in enumerate(LATER, start=2):
        _land(bench, rows, number, operation)
    _land(bench, {"OpportunityContactRole": [_stamped(f"00K{9:015d}", 38, IsDeleted=True, OpportunityId=_of(9), ContactId="003000000000000001")]},
          len(LATER) + 2, "delete")  # fmt: skip
    for one in days:
        _control(bench, one)
        _build(bench)
    _equals_a_rebuild(bench)


def test_a_changed_definition_reaches_every_deal(bench: Any) -> None:
    _land(bench, FIRST, 1)
    _control(bench, 0)
    _build(bench)
    before = bench.rows("select count(*) as n from intermediate.int_evidenced_stage_visits")
    bench.control(
        stage_map=[row for name in ("default", "partner", "reseller") for row in bench.process_map(name)],
        definitions=[bench.stage_entry("R10", "meeting_held", 1)],
    )
    _build(bench)
    assert _marked(bench) == set(range(1, 13))
    assert bench.rows("select count(*) as n from intermediate.int_evidenced_stage_visits") != before
    _equals_a_rebuild(bench)


def test_what_an_account_won_reaches_its_other_deals(bench: Any) -> None:
    account = f"001{1:015d}"
    deals = [_deal(n, 2, StageName="Proposal", AccountId=account) for n in (1, 2)]
    rows = {**FIRST, "Account": [_stamped(account, 1)], "Opportunity": [*deals, _deal(3, 2, StageName="Proposal")]}
    _land(bench, rows, 1)
    _land(bench, {"OpportunityHistory": [_history("2x", 2, 8, "Negotiation")]}, 1)
    _control(bench, 0)
    _build(bench)
    _land(bench, {"Opportunity": [_deal(1, 8, StageName="Closed Won", IsClosed=True, IsWon=True, AccountId=account)],
                  "OpportunityHistory": [_history("1x", 1, 2.5, "Closed Won")]}, 2)  # fmt: skip
    _control(bench, 2)
    _build(bench)
    assert _marked(bench) == {1, 2}
    standing = bench.rows(
        f"select distinct account_standing from intermediate.int_stage_entries where opportunity_id = '{_of(2)}' order by 1"
    )
    assert [row["account_standing"] for row in standing] == ["customer", "no win yet"]
    _equals_a_rebuild(bench)


def test_a_changed_rate_reaches_the_deals_that_ever_knew_its_currency(bench: Any) -> None:
    """Whether an amount went up or down depends on what it was worth."""
    codes = {1: "EUR", 2: "USD", 3: "GBP", 4: "EUR"}
    history = [
        _history(f"{n}{i}", n, day, "Proposal", CurrencyIsoCode=code, Amount=f"{100 + i}.00")
        for n, code in codes.items()
        for i, day in enumerate((0, 5))
    ]
    history[1] |= {"CurrencyIsoCode": "USD"}  # deal 1 knew EUR once
    rate = {"Id": f"04w{1:015d}", "IsDeleted": False, "IsoCode": "EUR", "ConversionRate": 0.8, "StartDate": "2026-01-01",
            "NextStartDate": "9999-12-31", "CreatedDate": at(1), "SystemModstamp": at(1)}  # fmt: skip
    _land(bench, {
        "Opportunity": [_deal(n, 2, StageName="Proposal", CurrencyIsoCode="USD" if n == 1 else code) for n, code in codes.items()],
        "OpportunityHistory": history,
        "CurrencyType": [_stamped(f"01L{n:015d}", 1, IsoCode=code, ConversionRate=worth, IsCorporate=code == "USD")
                         for n, (code, worth) in enumerate([("USD", 1), ("EUR", 0.5), ("GBP", 0.7)])],
        "DatedConversionRate": [rate],
    }, 1)  # fmt: skip
    _control(bench, 0)
    _build(bench)
    _control(bench, 1)
    _build(bench)
    assert _marked(bench) == set()
    money = "select opportunity_id, change_no, amount_corporate from intermediate.int_pipeline_movements order by all"
    before = bench.rows(money)
    _land(bench, {"DatedConversionRate": [{**rate, "ConversionRate": 0.4, "SystemModstamp": at(8)}]}, 2)
    _build(bench)
    assert _marked(bench) == {1, 4}
    assert bench.rows(money) != before
    _equals_a_rebuild(bench)


def test_a_deal_stays_marked_until_every_model_has_its_rows(bench: Any) -> None:
    """Cut off between two models, and as_of back where it was: the first has rows of the run that was cut off."""
    _land(bench, FIRST, 1)
    _land(bench, {"OpportunityHistory": [_history("7z", 7, 33, "Negotiation")]}, 2)
    _control(bench, 0)
    _build(bench)
    with bench.connect() as connection:
        connection.execute("alter table intermediate.int_stage_entries rename column way_in to way_in_elsewhere")
    _control(bench, 40)
    with pytest.raises(WarehouseError, match="int_stage_entries"):
        _build(bench)
    with bench.connect() as connection:
        connection.execute("alter table intermediate.int_stage_entries rename column way_in_elsewhere to way_in")
    _control(bench, 0)
    _build(bench)
    assert _marked(bench) == {7}
    _equals_a_rebuild(bench)
