"""Calendar and targets: fiscal periods, quotas of the sellers, holidays, and the groups that own or share records.

Period, ForecastingQuota, Holiday, Group. Roles and users are those of `company`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from salesforce_simulator.demo.columns import DAY, Company, day, money, record_ids, stamps, texts
from salesforce_simulator.demo.flow import YEARS

_KINDS = (("Year", 12), ("Quarter", 3), ("Month", 1))
_HOLIDAYS = ((1, 1, "New Year", "January"), (5, 1, "Labour Day", "May"), (12, 25, "Christmas Day", "December"))


def build(company: Company) -> dict[str, pa.Table]:
    """Four or five calendar years of periods, of which the last is the current one; one quota a seller and quarter."""
    rng = company.rng(4)
    begin = company.now - (YEARS * 52 * 7 + 30) * DAY
    years = range(day(begin).year, day(company.now).year + 1)
    periods = _periods(years, begin)
    quarters = [row for row in periods if row["Type"] == "Quarter"]
    sellers = [n for n, active in enumerate(company.column("User", "IsActive")) if n >= 4 and active]
    base = rng.integers(20, 60, len(sellers)) * 1_000_000
    rows = [(q, s) for q in range(len(quarters)) for s in range(len(sellers))]
    made = np.array([min(_seconds(quarters[q]["StartDate"]) - 20 * DAY, company.now - DAY) for q, _ in rows])
    users = company.column("User", "Id")
    quotas = pa.table({
        "Id": texts(record_ids("0J9", len(rows))), "IsDeleted": pa.array(np.zeros(len(rows), dtype=bool)),
        "QuotaOwnerId": texts([users[sellers[s]] for _, s in rows]), "PeriodId": texts([quarters[q]["Id"] for q, _ in rows]),
        "StartDate": pa.array([quarters[q]["StartDate"] for q, _ in rows]),
        "IsAmount": pa.array(np.ones(len(rows), dtype=bool)), "IsQuantity": pa.array(np.zeros(len(rows), dtype=bool)),
        "QuotaAmount": money(np.array([base[s] * (100 + 2 * q) // 100 for q, s in rows])),
        "QuotaQuantity": pa.nulls(len(rows), pa.float64()), "ForecastingTypeId": pa.nulls(len(rows), pa.string()),
        "CurrencyIsoCode": texts(np.full(len(rows), "USD")), **stamps(made),
    })  # fmt: skip
    return {
        "Period": pa.Table.from_pylist(periods), "ForecastingQuota": quotas, "Holiday": _holidays(years, begin),
        "Group": _groups(company, begin),
    }  # fmt: skip


def _seconds(on: date) -> int:
    return int(datetime(on.year, on.month, on.day, tzinfo=UTC).timestamp())


def _periods(years: range, begin: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for year in years:
        for kind, months in _KINDS:
            for n in range(12 // months):
                start = date(year, 1 + n * months, 1)
                following = date(year + (n + 1) * months // 12, (n + 1) * months % 12 + 1, 1)
                rows.append({
                    "FiscalYearSettingsId": None, "Type": kind, "Number": year if kind == "Year" else n + 1,
                    "StartDate": start, "EndDate": following - timedelta(days=1), "IsForecastPeriod": kind == "Quarter",
                    "QuarterLabel": f"Quarter {n + 1}" if kind == "Quarter" else None,
                    "PeriodLabel": f"{start:%B}" if kind == "Month" else None,
                    "FullyQualifiedLabel": {"Year": f"FY {year}", "Quarter": f"Q{n + 1} FY {year}",
                                            "Month": f"{start:%B} FY {year}"}[kind],
                    "SystemModstamp": day(begin)})  # fmt: skip
    ids = record_ids("026", len(rows)).tolist()
    return [{"Id": record_id, **row} for record_id, row in zip(ids, rows, strict=True)]


def _holidays(years: range, begin: int) -> pa.Table:
    yearly: list[dict[str, Any]] = [
        {"Name": name, "ActivityDate": date(years[0], month, on), "IsAllDay": True, "IsRecurrence": True,
         "RecurrenceType": "RecursYearly", "RecurrenceStartDate": date(years[0], month, on), "RecurrenceInterval": None,
         "RecurrenceDayOfMonth": on, "RecurrenceMonthOfYear": spelled}
        for month, on, name, spelled in _HOLIDAYS
    ]  # fmt: skip
    once: list[dict[str, Any]] = [
        {"Name": f"Company day {year}", "ActivityDate": date(year, 9, 15), "IsAllDay": True, "IsRecurrence": False}
        for year in years
    ]
    rows = [*yearly, *once]
    table = pa.table({
        name: pa.array([row.get(name) for row in rows], kind)
        for name, kind in (
            ("Name", pa.string()), ("ActivityDate", pa.date32()), ("IsAllDay", pa.bool_()), ("IsRecurrence", pa.bool_()),
            ("RecurrenceType", pa.string()), ("RecurrenceStartDate", pa.date32()), ("RecurrenceInterval", pa.int64()),
            ("RecurrenceDayOfMonth", pa.int64()), ("RecurrenceMonthOfYear", pa.string()))
    })  # fmt: skip
    table = table.add_column(0, "Id", texts(record_ids("0C0", len(rows))))
    for name in ("StartTimeInMinutes", "EndTimeInMinutes", "RecurrenceDayOfWeekMask"):
        table = table.append_column(name, pa.nulls(len(rows), pa.int64()))
    table = table.append_column("RecurrenceEndDateOnly", pa.nulls(len(rows), pa.date32()))
    table = table.append_column("RecurrenceInstance", pa.nulls(len(rows), pa.string()))
    for name, column in stamps(np.full(len(rows), begin)).items():
        table = table.append_column(name, column)
    return table


def _groups(company: Company, begin: int) -> pa.Table:
    """Two queues, a regular group, and the group that the service keeps for each role."""
    roles = company.tables["UserRole"].to_pylist()
    names = ["Inbound leads", "Support", "Deal desk", *(role["Name"] for role in roles)]
    kinds = ["Queue", "Queue", "Regular", *("Role" for _ in roles)]
    count = len(names)
    return pa.table({
        "Id": texts(record_ids("00G", count)), "Name": texts([n if k != "Role" else None for n, k in zip(names, kinds, strict=True)]),
        "DeveloperName": texts([name.replace(" ", "_") for name in names]), "Type": texts(kinds),
        "RelatedId": texts([None, None, None, *(role["Id"] for role in roles)]),
        "OwnerId": texts(np.full(count, record_ids("005", 1)[0])), **stamps(np.full(count, begin)),
    })  # fmt: skip
