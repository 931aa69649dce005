"""What the audit's models show of planted records: the columns that the definitions compare, near misses beside them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

AS_OF = datetime(2026, 1, 31)  # noqa: DTZ001 (the warehouse holds naive UTC)
ACCOUNT, CONTACT, DEAL = "001000000000000001", "003000000000000001", "006000000000000001"
MAPPED = ("skip_reason", "return_reason", "loss_reason", "close_date_reviewed_on")


@pytest.fixture
def day(bench: Any) -> Any:
    """An instant of January 2026, days after its first."""
    return lambda days: bench.utc(AS_OF - timedelta(days=30) + timedelta(days=days))


def row(key: str, at: datetime, **fields: Any) -> dict[str, Any]:
    return {
        "Id": key, "IsDeleted": False, "OwnerId": "005000000000000001", "CreatedDate": at, "LastModifiedDate": at,
        "SystemModstamp": at, **fields,
    }  # fmt: skip


def land(bench: Any, name: str, rows: list[dict[str, Any]]) -> None:
    """Rows of different shapes as one batch: Arrow takes its columns from the first row."""
    columns = dict.fromkeys(column for one in rows for column in one)
    bench.land(name, [{column: one.get(column) for column in columns} for one in rows])


def history(bench: Any, day: Any, number: int, *steps: tuple[float, str, date]) -> None:
    """History rows of deal `number`: (day, stage, close date)."""
    land(bench, "OpportunityHistory", [
        {"Id": f"008{number:08d}{n:07d}", "IsDeleted": False, "OpportunityId": f"006{number:015d}", "StageName": stage,
         "CloseDate": close, "CreatedDate": day(at), "SystemModstamp": day(at)}
        for n, (at, stage, close) in enumerate(steps)
    ])  # fmt: skip


def by_key(bench: Any, model: str, columns: str) -> dict[str, tuple[Any, ...]]:
    rows = bench.rows(f"select row_key, {columns} from intermediate.{model}")
    return {found.pop("row_key"): tuple(found.values()) for found in rows}


def number(n: int) -> str:
    return f"006{n:015d}"


def test_skips_and_returns_say_how_the_deal_came_to_each_stage(bench: Any, day: Any) -> None:
    close = date(2026, 2, 15)
    land(bench, "Opportunity", [
        bench.deal(1, StageName="Qualification", mapped_skip_reason=" ", mapped_return_reason="New buyer"),
        bench.deal(2, StageName="Proposal"),
        bench.deal(3, StageName="Needs Analysis", mapped_skip_reason="They knew us"),
    ])  # fmt: skip
    history(bench, day, 1, (0, "Prospecting", close), (1, "Proposal", close), (2, "Qualification", close))
    history(bench, day, 2, (0, "Qualification", close), (1, "Closed Lost", close), (2, "Proposal", close))
    history(bench, day, 3, (0, "Prospecting", close), (1, "Renamed", close), (2, "Needs Analysis", close))
    bench.control()
    bench.build()
    found = by_key(bench, "int_audit__stage_visit", "entered_by, stages_skipped, skip_reason, return_reason")
    assert found == {
        f"{number(1)}-1": ("first", 0, None, "New buyer"),
        f"{number(1)}-2": ("advanced", 2, None, "New buyer"),
        f"{number(1)}-3": ("back", 0, None, "New buyer"),
        f"{number(2)}-1": ("first", 0, None, None),
        f"{number(2)}-2": ("lost", 0, None, None),
        f"{number(2)}-3": ("reopened", 0, None, None),
        f"{number(3)}-1": ("first", 0, "They knew us", None),
        f"{number(3)}-2": (None, None, "They knew us", None),
        f"{number(3)}-3": (None, None, "They knew us", None),
    }


def test_a_push_is_a_later_close_date_and_the_review_settles_those_before(bench: Any, day: Any) -> None:
    first, second, third = date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1)
    pushed = [
        (0, "Prospecting", first),
        (5, "Prospecting", second),
        (10, "Prospecting", first),
        (15.5, "Prospecting", third),
    ]
    land(bench, "Opportunity", [
        bench.deal(1),
        bench.deal(2, mapped_close_date_reviewed_on=date(2026, 1, 15)),
        bench.deal(3, mapped_close_date_reviewed_on=date(2026, 1, 16)),
        bench.deal(4),
    ])  # fmt: skip
    for n in (1, 2, 3):
        history(bench, day, n, *pushed, (29, "Prospecting", third))
    bench.control()
    bench.build()
    found = by_key(bench, "int_audit__opportunity", "close_date_pushes, pushes_since_review")
    assert found == {number(1): (2, 2), number(2): (2, 1), number(3): (2, 0), number(4): (None, None)}


def test_a_service_level_is_the_p85_of_what_left_and_what_was_frozen_holds(bench: Any, day: Any) -> None:
    close = date(2026, 2, 15)
    land(bench, "Opportunity", [bench.deal(n, StageName="Qualification") for n in range(1, 23)])
    for n in range(1, 23):  # stays of 1 to 20 days, then two that have not left yet
        left = [(n, "Qualification", close)] if n <= 20 else []
        history(bench, day, n, (0, "Prospecting", close), *left)
    bench.control()
    bench.build()
    levels = "select * from intermediate.int_stage_service_levels where stage_name in ('Prospecting', 'Qualification') order by stage_order"
    levels = levels.replace("stage_order", "stage_name")
    prospecting, qualification = bench.rows(levels)
    assert prospecting["service_level_days"] == pytest.approx(1 + 0.85 * 19)
    assert (prospecting["n_closed"], prospecting["frozen_at"]) == (20, None)
    assert (qualification["service_level_days"], qualification["n_closed"]) == (None, 0), "too few"
    found = by_key(bench, "int_audit__opportunity", "days_in_stage, service_level_days")
    assert found[number(20)] == (10.0, None)
    assert found[number(21)] == (None, None), "the record stands in another stage than its history"
    with bench.connect() as connection:
        connection.execute("insert into control.service_level values ('default', 'Prospecting', 3.5, 40, '2025-12-01')")
    bench.build()
    prospecting = bench.rows(levels)[0]
    assert (prospecting["service_level_days"], prospecting["n_closed"]) == (3.5, 40)


def test_owner_and_deals_alike(bench: Any, day: Any) -> None:
    merged = "001000000000000002"
    land(bench, "User", [
        {"Id": "005000000000000001", "Name": "Ann", "IsActive": True, "CreatedDate": day(0), "SystemModstamp": day(0)},
        {"Id": "005000000000000002", "Name": "Bob", "IsActive": False, "CreatedDate": day(0), "SystemModstamp": day(0)},
    ])  # fmt: skip
    land(
        bench, "Account", [row(ACCOUNT, day(0), Name="A"), row(merged, day(0), IsDeleted=True, MasterRecordId=ACCOUNT)]
    )
    same = {"AccountId": ACCOUNT, "Type": "New"}
    land(bench, "Opportunity", [
        bench.deal(1, **same),
        bench.deal(2, **{**same, "AccountId": merged}, OwnerId="005000000000000002"),
        bench.deal(3, AccountId=ACCOUNT, Type="Upgrade", OwnerId="005000000000000009"),
        bench.deal(4, **same, StageName="Closed Won"),
        bench.deal(5, **same, IsDeleted=True),
        bench.deal(6, AccountId=ACCOUNT),
        bench.deal(7, AccountId=ACCOUNT),
    ])  # fmt: skip
    bench.control()
    bench.build()
    found = by_key(bench, "int_audit__opportunity", "is_owner_active, open_deals_alike")
    assert found == {
        number(1): (True, 2), number(2): (False, 2), number(3): (None, 1), number(4): (True, None), number(6): (True, None),
        number(7): (True, None),
    }  # fmt: skip


def test_an_activity_shows_link_completion_and_direction(bench: Any, day: Any) -> None:
    call = {"TaskSubtype": "Call", "CallType": "Inbound", "IsClosed": True, "CompletedDateTime": day(5)}
    future = day(40)
    land(bench, "Task", [
        row("00T-near", day(1), WhatId=DEAL, **call),
        row("00T-person", day(1), WhoId=CONTACT, **call),
        row("00T-account-only", day(1), WhatId=ACCOUNT, **call),
        row("00T-future", day(1), WhatId=DEAL, **{**call, "CompletedDateTime": future}),
        row("00T-dated-later", day(1), WhatId=DEAL, **{**call, "CompletedDateTime": None, "ActivityDate": date(2026, 2, 1)}),
        row("00T-silent", day(1), WhatId=DEAL, **{**call, "CallType": None}),
        row("00T-to-do", day(1), WhatId=DEAL, IsClosed=False, ActivityDate=date(2026, 5, 1)),
        row("00T-of-a-mail", day(1), WhoId=CONTACT, IsClosed=True, TaskSubtype="Email"),
        row("00T-deleted", day(1), IsDeleted=True),
        row("00T-of-the-worklist", day(1), WhatId=DEAL, Leanfunnel_Key__c="006-R06", **call),
    ])  # fmt: skip
    land(bench, "Event", [
        row("00U-near", day(1), EndDateTime=future), row("00U-among-us", day(1)), row("00U-account", day(1), WhatId=ACCOUNT),
    ])  # fmt: skip
    land(bench, "EventRelation", [row("0RE1", day(1), EventId="00U-near", RelationId=CONTACT)])
    land(bench, "EmailMessage", [
        row("02s-near", day(1), RelatedToId=DEAL, Incoming=True, MessageDate=day(2)),
        row("02s-by-task", day(1), ActivityId="00T-of-a-mail", Incoming=False, MessageDate=day(2)),
        row("02s-nobody-knows", day(1), RelatedToId=ACCOUNT, MessageDate=future),
        row("02s-draft", day(1), Status="5"),
    ])  # fmt: skip
    bench.control(inventory=[("Task", "CallType", "present"), ("EventRelation", None, "present")])
    bench.build()
    columns = "is_linked, is_internal, completed_at is not null, coalesce(completed_at > as_of, false), direction"
    assert by_key(bench, "int_audit__activity", columns) == {
        "00T-near": (True, False, True, False, "inbound"),
        "00T-person": (True, False, True, False, "inbound"),
        "00T-account-only": (False, False, True, False, "inbound"),
        "00T-future": (True, False, True, True, "inbound"),
        "00T-dated-later": (True, False, True, True, "inbound"),
        "00T-silent": (True, False, True, False, None),
        "00T-to-do": (True, False, False, False, "none"),
        "00U-near": (True, False, False, False, "none"),
        "00U-among-us": (False, True, False, False, "none"),
        "00U-account": (False, False, False, False, "none"),
        "02s-near": (True, False, True, False, "inbound"),
        "02s-by-task": (True, False, True, False, "outbound"),
        "02s-nobody-knows": (None, False, True, True, None),
    }
    bench.control(inventory=[("Task", "CallType", "missing")])
    bench.build()
    assert by_key(bench, "int_audit__activity", "direction")["00T-silent"] == ("none",), "the org keeps no direction"


def test_what_was_completed_after_a_replayed_as_of_is_no_error(bench: Any, day: Any) -> None:
    done = {"IsClosed": True, "WhatId": DEAL}
    land(bench, "Task", [
        row("00T-later", day(1), CompletedDateTime=day(20), **done),
        row("00T-in-the-future", day(1), CompletedDateTime=day(40), **done),
        row("00T-created-later", day(20), **done),
    ])  # fmt: skip
    bench.control(as_of=datetime(2026, 1, 11))  # noqa: DTZ001 (as above)
    bench.build()
    found = by_key(bench, "int_audit__activity", "completed_at > as_of")
    assert found == {"00T-later": (None,), "00T-in-the-future": (True,)}


def _rate(key: str, code: str, start: date, end: date | None, at: datetime, rate: float = 0.9) -> dict[str, Any]:
    fields = {"IsoCode": code, "ConversionRate": rate, "StartDate": start, "NextStartDate": end}
    return {name: value for name, value in row(key, at, **fields).items() if name not in ("IsDeleted", "OwnerId")}


def test_a_currency_owes_a_rate_for_each_close_date(bench: Any, day: Any) -> None:
    land(bench, "CurrencyType", [
        {"Id": code, "IsoCode": code, "ConversionRate": rate, "IsCorporate": code == "USD", "SystemModstamp": day(0)}
        for code, rate in (("USD", 1.0), ("EUR", 0.9), ("JPY", 0.0))
    ])  # fmt: skip
    land(bench, "Opportunity", [
        bench.deal(1),
        bench.deal(2, CurrencyIsoCode="EUR"),
        bench.deal(3, CurrencyIsoCode="EUR", CloseDate=date(2026, 3, 1)),
        bench.deal(4, CurrencyIsoCode="JPY"),
        bench.deal(5, CurrencyIsoCode="JPY", Amount=None),
        bench.deal(6, CurrencyIsoCode="GBP", IsDeleted=True),
        bench.deal(7, CurrencyIsoCode=None),
    ])  # fmt: skip
    bench.control()
    bench.build()
    columns = "is_corporate, deals, cast(deals_without_rate as integer)"
    assert by_key(bench, "int_audit__currency", columns) == {
        "USD": (True, 1, 0),
        "EUR": (False, 2, 0),
        "JPY": (False, 2, 1),
    }
    # once the org dates its rates, the close date must lie in one: from the first day, up to and without the last
    land(bench, "DatedConversionRate", [_rate("04w1", "EUR", date(2026, 1, 1), date(2026, 3, 1), day(0))])
    bench.build()
    assert by_key(bench, "int_audit__currency", columns)["EUR"] == (False, 2, 1)


def test_the_share_of_other_is_of_the_losses_of_a_year_that_say_why(bench: Any, day: Any) -> None:
    lost = {"StageName": "Closed Lost", "CreatedDate": day(-500)}
    reasons = ["Price"] * 18 + ["Other", "other (say what)", None, "Other"]
    land(bench, "Opportunity", [
        *(bench.deal(n, **lost, mapped_loss_reason=reason) for n, reason in enumerate(reasons, 1)),
        bench.deal(30, mapped_loss_reason="Other"),
        bench.deal(31, **lost, mapped_loss_reason="Other", IsDeleted=True),
    ])  # fmt: skip
    for n in range(1, len(reasons)):
        history(bench, day, n, (-400, "Prospecting", date(2026, 1, 1)), (10, "Closed Lost", date(2026, 1, 1)))
    old = len(reasons)  # lost more than a year ago
    history(bench, day, old, (-450, "Prospecting", date(2025, 1, 1)), (-400, "Closed Lost", date(2025, 1, 1)))
    bench.control()
    bench.build()
    columns = "deals_with_reason, cast(deals_with_other as integer), share_of_other"
    assert by_key(bench, "int_audit__loss_reasons", columns) == {"all": (20, 2, 0.1)}
    with bench.connect() as connection:
        connection.execute("update control.run set minimum_n = 21")
    bench.build()
    assert by_key(bench, "int_audit__loss_reasons", columns) == {"all": (20, 2, None)}, "too few"


def test_a_stage_shows_what_the_buyer_does(bench: Any) -> None:
    bench.control()
    with bench.connect() as connection:
        connection.execute("insert into control.buyer_stage values ('default', 'Proposal', 'Compares offers')")
    bench.build()
    found = by_key(bench, "int_audit__stage", "is_active, is_closed, buyer_stage")
    assert found["default: Proposal"] == (True, False, "Compares offers")
    assert found["default: Qualification"] == (True, False, None)
    assert found["default: Closed Won"] == (True, True, None)


def test_a_landed_object_shows_when_it_was_read_what_it_lacks_and_what_is_gone(bench: Any, day: Any) -> None:
    bench.land("Opportunity", [bench.deal(n, IsDeleted=n == 1) for n in range(1, 11)])
    bench.land("User", [{"Id": f"005{n}", "Name": "U", "SystemModstamp": day(0)} for n in range(4)])
    read = AS_OF - timedelta(hours=12)
    bench.control()
    with bench.connect() as connection:
        connection.executemany(
            "insert into control.landed_object values (?, ?, ?, ?, ?, ?, ?, ?, ?, null, null)",
            [
                # the second window of a first load: what was deleted long ago is no fall
                ("Opportunity", 2, "full", 10, 10, 10, read, True, True),
                ("User", 1, "full", 5, None, 4, read, True, True),
                ("Task", 1, "full", 100, 90, 95, read - timedelta(hours=37), True, True),
                ("Event", 1, "full", 100, 110, 111, read, True, True),
                ("Account", 2, "incremental", None, None, None, read, False, False),
                ("Organization", 1, "full", 1, None, 1, read + timedelta(hours=1), True, True),
            ],
        )
    bench.build()
    columns = "hours_behind, rows_off_count, cast(rows_standing as integer), cast(rows_gone as integer), share_gone"
    assert by_key(bench, "int_audit__landed_object", columns) == {
        "Opportunity": (1.0, 0, 9, 1, 0.0),
        "User": (1.0, 1, 4, 0, 0.0),
        "Task": (38.0, 0, 0, 0, 0.0),
        "Event": (1.0, 1, 0, 0, 0.0),
        "Account": (1.0, None, 0, 0, None),
    }
    # the second batch deletes three of the nine that stood, and nothing of what was gone before
    bench.land("Opportunity", [bench.deal(n, IsDeleted=True) for n in (2, 3, 4)], batch=2, operation="delete")
    with bench.connect() as connection:
        connection.execute("update control.landed_object set is_first_load = false where object = 'Opportunity'")
    bench.build()
    found = by_key(
        bench, "int_audit__landed_object", "cast(rows_standing as integer), cast(rows_gone as integer), share_gone"
    )
    assert found["Opportunity"] == (6, 3, pytest.approx(3 / 9))
