"""A currency that is held back leaves every total and nothing else; an override puts it back."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

RATES = {"EUR": Decimal("0.5"), "GBP": Decimal("0.25")}
SINCE = datetime(2024, 9, 2, tzinfo=UTC)
CURRENCIES = ("USD", "EUR", "GBP")
ENTRY = {"definition_id": "R21", "rule_number": 21, "version": 1, "kind": "load", "mode": "enforce", "entity": "currency",
         "title": "A rate", "fix": "Add it.", "is_configured": True}  # fmt: skip


@pytest.fixture
def built(bench: Any) -> Any:
    """A function that builds with `held` currencies, overridden or not, and gives what the marts say of the money."""
    deals = [
        bench.deal(n, StageName="Proposal", CurrencyIsoCode=CURRENCIES[n % 3], Amount=f"{n}00.00", CreatedDate=SINCE)
        for n in range(1, 10)
    ]
    bench.land("Opportunity", deals)
    bench.land("OpportunityHistory", [
        {"Id": f"008{n:015d}", "IsDeleted": False, "OpportunityId": deal["Id"], "StageName": "Proposal", "Amount": deal["Amount"],
         "CurrencyIsoCode": deal["CurrencyIsoCode"], "CloseDate": deal["CloseDate"], "CreatedDate": SINCE, "SystemModstamp": SINCE}
        for n, deal in enumerate(deals)
    ])  # fmt: skip
    bench.land("CurrencyType", [
        {"Id": f"01L{n:015d}", "IsoCode": code, "ConversionRate": rate, "IsCorporate": False}
        for n, (code, rate) in enumerate(RATES.items())
    ])  # fmt: skip

    def figures(*held: str, overridden: bool = False) -> dict[str, Any]:
        bench.control(definitions=[ENTRY])
        if not held:
            bench.dbt.build("conform", tests=False)
        with bench.connect() as connection:
            connection.execute("delete from audit.held_scope")
            for code in held:
                connection.execute("insert into audit.held_scope values ('R21', 1, 'currency', ?, 1, 1, null)", [code])
            if overridden:
                connection.execute(
                    "insert into control.override values ('R21', 1, 'Ada', 'late', ?, ?)",
                    [date(2099, 1, 1), datetime(2026, 1, 1)],  # noqa: DTZ001
                )
        found: dict[str, Any] = {}
        for only, query in (
            ("fct_opportunities", "select currency_code, count(*), count(amount), sum(amount_corporate) from mart.fct_opportunities group by 1 order by 1"),
            ("rpt_run", "select is_incomplete, n_amounts_held, n_opportunities from mart.rpt_run"),
            ("fct_pipeline_movements", "select sum(amount_change_corporate), sum(without_amount_change), sum(count_change) from mart.fct_pipeline_movements"),
            ("fct_evidenced_movements", "select sum(amount_change_corporate), sum(without_amount_change), sum(count_change) from mart.fct_evidenced_movements"),
            ("fct_pipeline_weeks", "select sum(n_open), sum(n_without_amount), sum(money) from mart.fct_pipeline_weeks where week_starts_on = (select max(week_starts_on) from mart.fct_pipeline_weeks)"),
        ):  # fmt: skip
            bench.dbt.build("measure", only=only, tests=False)
            found[only] = _published(bench, query)
        return found

    yield figures
    bench.home.building.unlink(missing_ok=True)


def _published(bench: Any, query: str) -> list[tuple[Any, ...]]:
    import duckdb

    with duckdb.connect(str(bench.home.conformed), read_only=True) as connection:
        connection.execute(f"attach '{bench.home.building}' as built (read_only)")
        connection.execute("use built")
        return connection.execute(query).fetchall()


def test_one_currency_without_a_rate_does_not_stop_the_others(built: Any) -> None:
    whole = built()
    worth = {
        code: sum(Decimal(n * 100) / RATES.get(code, Decimal(1)) for n in range(1, 10) if CURRENCIES[n % 3] == code)
        for code in CURRENCIES
    }
    assert whole["fct_opportunities"] == [(code, 3, 3, worth[code]) for code in sorted(CURRENCIES)]
    assert whole["rpt_run"] == [(False, 0, 9)]
    assert whole["fct_pipeline_movements"] == whole["fct_evidenced_movements"] == [(sum(worth.values()), 0, 9)]
    assert whole["fct_pipeline_weeks"] == [(9, 0, sum(worth.values()))]

    rest = sum(worth.values()) - worth["EUR"]
    held = built("EUR")
    # the deals stand and are counted; their money is unknown, not zero, and counted apart
    assert held["fct_opportunities"] == [
        (code, 3, 3, None if code == "EUR" else worth[code]) for code in sorted(CURRENCIES)
    ]
    assert held["rpt_run"] == [(True, 3, 9)]
    assert held["fct_pipeline_movements"] == held["fct_evidenced_movements"] == [(rest, 3, 9)]
    assert held["fct_pipeline_weeks"] == [(9, 3, rest)]

    assert built("EUR", overridden=True) == whole
