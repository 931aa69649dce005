"""What the demo company has before any deal: organization, people, accounts, processes, stages, currencies."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from salesforce_simulator.demo.flow import LOST, STAGES, WON
from salesforce_simulator.ids import numbered

RECORD_TYPES = {"New_Business": numbered("012", 101), "Expansion": numbered("012", 102)}
HISTORIC_STAGE, UNKNOWN_STAGE = "Value Proposition", "Verbal Agreement"
#: name: (probability, forecast category name, forecast category in history, closed, won, active)
STAGE_FACTS: dict[str, tuple[float, str, str, bool, bool, bool]] = {
    "Prospecting": (10.0, "Pipeline", "Pipeline", False, False, True),
    "Qualification": (20.0, "Pipeline", "Pipeline", False, False, True),
    "Needs Analysis": (35.0, "Pipeline", "Pipeline", False, False, True),
    HISTORIC_STAGE: (45.0, "Pipeline", "Pipeline", False, False, False),
    "Proposal/Price Quote": (60.0, "Best Case", "BestCase", False, False, True),
    "Negotiation/Review": (80.0, "Commit", "Forecast", False, False, True),
    WON: (100.0, "Closed", "Closed", True, True, True),
    LOST: (0.0, "Omitted", "Omitted", True, False, True),
}
_SYLLABLES = ("Alder", "Brook", "Cedar", "Dover", "Elm", "Fair", "Glen", "Harbor", "Iris", "Juno", "Kestrel", "Lark")
_KINDS = ("Logistics", "Foods", "Systems", "Energy", "Health", "Media", "Works", "Labs")
_FIRST = ("Ana", "Ben", "Chloe", "David", "Elena", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kira", "Liam")
_LAST = ("Adler", "Baker", "Costa", "Dietz", "Evans", "Fischer", "Garcia", "Hansen", "Ito", "Jansen", "Keller", "Lopez")
_INDUSTRIES = ("Banking", "Energy", "Healthcare", "Manufacturing", "Retail", "Technology", "Transportation")
Rows = list[dict[str, Any]]


def at(seconds: int) -> datetime:
    """The instant of these seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def stamped(row: dict[str, Any], created: datetime, modified: datetime | None = None) -> dict[str, Any]:
    """The row with the three system timestamps."""
    row |= {"CreatedDate": created, "LastModifiedDate": modified or created, "SystemModstamp": modified or created}
    return row


def picklists() -> dict[str, list[tuple[str, str]]]:
    """(value, label) of each record type's stages in order, closed ones included."""
    return {RECORD_TYPES[p]: [(s, s) for s in (*stages, WON, LOST)] for p, stages in STAGES.items()}


def build(rng: np.random.Generator, now: datetime, opportunities: int) -> dict[str, Rows]:
    """Rows by object for everything but deals and activities."""
    begin = now - timedelta(days=1200)
    tables: dict[str, Rows] = {
        "Organization": [
            stamped(
                {
                    "Id": numbered("00D", 1), "Name": "Larkfield Instruments", "OrganizationType": "Enterprise Edition",
                    "IsSandbox": False, "InstanceName": "EU1", "TimeZoneSidKey": "UTC", "FiscalYearStartMonth": 1,
                    "UsesStartDateAsFiscalYearName": False,
                },
                begin,
            )
        ]
    }  # fmt: skip
    tables["UserRole"] = [
        {"Id": numbered("00E", n + 1), "Name": name, "ParentRoleId": numbered("00E", 1) if n else None,
         "DeveloperName": name.replace(" ", "_"), "LastModifiedDate": begin, "SystemModstamp": begin}
        for n, name in enumerate(("Sales Director", "Team North", "Team South"))
    ]  # fmt: skip
    tables["User"] = [_user(n, begin) for n in range(18)]
    tables["BusinessProcess"] = [
        stamped({"Id": numbered("019", n + 1), "Name": p.replace("_", " "), "TableEnumOrId": "Opportunity",
                 "IsActive": True}, begin)
        for n, p in enumerate(STAGES)
    ]  # fmt: skip
    tables["RecordType"] = [
        stamped({"Id": RECORD_TYPES[p], "Name": p.replace("_", " "), "DeveloperName": p, "SobjectType": "Opportunity",
                 "BusinessProcessId": numbered("019", n + 1), "IsActive": True}, begin)
        for n, p in enumerate(STAGES)
    ]  # fmt: skip
    tables["OpportunityStage"] = [
        stamped({"Id": numbered("01J", n + 1), "MasterLabel": s, "ApiName": s, "IsActive": f[5], "SortOrder": n + 1,
                 "IsClosed": f[3], "IsWon": f[4], "ForecastCategoryName": f[1], "DefaultProbability": f[0]}, begin)
        for n, (s, f) in enumerate(STAGE_FACTS.items())
    ]  # fmt: skip
    tables["CurrencyType"] = [
        stamped({"Id": numbered("01L", n + 1), "IsoCode": iso, "ConversionRate": rate, "DecimalPlaces": 2,
                 "IsActive": True, "IsCorporate": iso == "USD"}, begin)
        for n, (iso, rate) in enumerate((("USD", 1.0), ("EUR", 0.92)))
    ]  # fmt: skip
    tables["DatedConversionRate"] = _rates(begin, now)
    accounts, contacts = [], []
    for n in range(max(20, opportunities // 6)):
        name = f"{_SYLLABLES[n % 12]} {_KINDS[(n // 12) % 8]} {n // 96 + 1}"
        created = begin + timedelta(minutes=n)
        accounts.append(
            stamped({"Id": numbered("001", n + 1), "IsDeleted": False, "MasterRecordId": None, "Name": name,
                     "Type": "Prospect" if n % 3 else "Customer - Direct", "Industry": _INDUSTRIES[n % 7],
                     "ParentId": None, "OwnerId": numbered("005", int(rng.integers(4, 18))),
                     "CurrencyIsoCode": "EUR" if n % 3 == 0 else "USD", "Phone": f"+1 555 {n:07d}"}, created)
        )  # fmt: skip
        for k in range(2):
            i = 2 * n + k
            first, last = _FIRST[i % 12], _LAST[(i // 12) % 12]
            contacts.append(
                stamped({"Id": numbered("003", i + 1), "IsDeleted": False, "AccountId": accounts[-1]["Id"],
                         "FirstName": first, "LastName": last, "Name": f"{first} {last}", "Title": "Head of Operations",
                         "Email": f"{first}.{last}.{i}@customer.example".lower(), "OwnerId": accounts[-1]["OwnerId"]},
                        created)
            )  # fmt: skip
    tables["Account"], tables["Contact"] = accounts, contacts
    return tables


def _user(n: int, created: datetime) -> dict[str, Any]:
    first, last = _FIRST[n % 12], _LAST[(n * 5 + n // 12) % 12]
    manager = None if n == 0 else (1 if n < 3 else 2 + n % 2)
    return stamped(
        {"Id": numbered("005", n + 1), "Username": f"user{n + 1}@larkfield.example", "FirstName": first,
         "LastName": last, "Name": f"{first} {last}", "Email": f"user{n + 1}@larkfield.example",
         "IsActive": n not in (15, 16), "UserType": "Standard",
         "UserRoleId": numbered("00E", 1 if n == 0 else 2 + n % 2),
         "ManagerId": numbered("005", manager) if manager else None}, created)  # fmt: skip


def _rates(begin: datetime, now: datetime) -> Rows:
    rates: Rows = []
    start, n = date(begin.year, 1, 1), 0
    while start <= now.date():
        following = date(start.year + (start.month > 6), 7 if start.month < 7 else 1, 1)
        last = following > now.date()
        for iso, rate in (("USD", 1.0), ("EUR", round(0.95 - 0.005 * (n % 7), 3))):
            rates.append(
                stamped({"Id": numbered("04w", len(rates) + 1), "IsoCode": iso, "ConversionRate": rate,
                         "StartDate": start, "NextStartDate": date(9999, 12, 31) if last else following}, begin)
            )  # fmt: skip
        start, n = following, n + 1
    return rates
