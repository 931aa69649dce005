"""Date literals of SOQL as half-open ranges of days, from the org's clock. Days are UTC days; weeks begin on Sunday."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta


def _add_months(day: date, months: int) -> date:
    total = day.year * 12 + day.month - 1 + months
    return date(total // 12, total % 12 + 1, 1)


def _unit_start(unit: str, today: date, fiscal_month: int) -> date:
    if unit == "DAY":
        return today
    if unit == "WEEK":
        return today - timedelta(days=(today.weekday() + 1) % 7)
    if unit == "MONTH":
        return today.replace(day=1)
    first = fiscal_month if unit.startswith("FISCAL_") else 1
    span = 3 if unit.endswith("QUARTER") else 12
    return _add_months(today, -((today.month - first) % span))


def _shift(unit: str, start: date, n: int) -> date:
    if unit in ("DAY", "WEEK"):
        return start + timedelta(days=n * (7 if unit == "WEEK" else 1))
    return _add_months(start, n * (1 if unit == "MONTH" else 3 if unit.endswith("QUARTER") else 12))


def date_range(literal: str, n: int | None, today: date, fiscal_month: int = 1) -> tuple[date, date]:
    """The days `[start, end)` of a literal such as THIS_MONTH, LAST_N_DAYS (n) or N_DAYS_AGO (n).

    LAST_N_DAYS and LAST_90_DAYS hold today as well; the other LAST_N_… end before the current unit. Raises
    OverflowError or ValueError where the range leaves the calendar.
    """
    single: dict[str, Callable[[], tuple[date, date]]] = {
        "TODAY": lambda: (today, today + timedelta(days=1)),
        "YESTERDAY": lambda: (today - timedelta(days=1), today),
        "TOMORROW": lambda: (today + timedelta(days=1), today + timedelta(days=2)),
        "LAST_90_DAYS": lambda: (today - timedelta(days=90), today + timedelta(days=1)),
        "NEXT_90_DAYS": lambda: (today + timedelta(days=1), today + timedelta(days=91)),
    }
    if literal in single:
        return single[literal]()
    if literal.endswith("_AGO"):
        unit = literal.removeprefix("N_").removesuffix("S_AGO")
        start = _shift(unit, _unit_start(unit, today, fiscal_month), -(n or 0))
        return start, _shift(unit, start, 1)
    which, _, rest = literal.partition("_")
    if rest.startswith("N_"):
        unit, count = rest.removeprefix("N_").removesuffix("S"), n or 0
        start = _unit_start(unit, today, fiscal_month)
        if which == "NEXT":
            return _shift(unit, start, 1), _shift(unit, start, 1 + count)
        return _shift(unit, start, -count), start + timedelta(days=1) if unit == "DAY" else start
    start = _shift(rest, _unit_start(rest, today, fiscal_month), {"LAST": -1, "THIS": 0, "NEXT": 1}[which])
    return start, _shift(rest, start, 1)
