"""Turns a 2022 report-style export (`Opportunity.csv`, `Opportunity History.csv`) into the form of Salesforce's Data Export.

    python tests/trials/export_2022.py SOURCE TARGET
    python -m salesforce_simulator serve --export TARGET

What is changed, and nothing else:
- dates dd/mm/yyyy [hh:mm] become ISO 8601; a day without a time is midnight UTC; CloseDate stays a date;
- the history gets the service's column names (OppID -> OpportunityId) and an Id counted in file order under key prefix 008,
  since rows of one deal on one day have no other order;
- OpportunityStage is made from the stages and sort orders that the history names: the closed ones are those called "Closed",
  the won one "Closed Won";
- SystemModstamp of a history row is its CreatedDate (history rows are never edited).
Flags, stages and the contradictions between dates are left as they are: they are what the definitions are tried on.
"""

from __future__ import annotations

import csv
import sys
from datetime import datetime
from pathlib import Path

_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DATES = ("CreatedDate", "LastModifiedDate", "SystemModstamp", "LastActivityDate", "LastStageChangeDate", "LastViewedDate",
          "LastReferencedDate")  # fmt: skip


def convert(source: Path, target: Path) -> None:
    """Write `Opportunity.csv`, `OpportunityHistory.csv` and `OpportunityStage.csv` into `target`. Raises ValueError on a malformed date."""
    target.mkdir(parents=True, exist_ok=True)
    opportunities = read(source / "Opportunity.csv")
    for row in opportunities:
        row["CloseDate"] = _instant(row["CloseDate"])[:10]
        for name in _DATES:
            row[name] = _instant(row[name]) if row[name] else ""
    write(target / "Opportunity.csv", opportunities)

    history, stages = [], {}
    for number, row in enumerate(read(source / "Opportunity History.csv"), start=1):
        created = _instant(row["CreatedDate"])
        stages[row["StageName"]] = int(row["SortOrder"])
        history.append(
            {"Id": salesforce_id("008", number), "OpportunityId": row["OppID"], "StageName": row["StageName"],
             "CreatedDate": created, "SystemModstamp": created}
        )  # fmt: skip
    write(target / "OpportunityHistory.csv", history)

    write(target / "OpportunityStage.csv", [
        {"Id": salesforce_id("01J", order), "MasterLabel": name, "ApiName": name, "IsActive": "true", "SortOrder": order,
         "IsClosed": str(name.startswith("Closed")).lower(), "IsWon": str(name == "Closed Won").lower()}
        for name, order in sorted(stages.items(), key=lambda item: item[1])
    ])  # fmt: skip


def _instant(text: str) -> str:
    parsed = datetime.strptime(text, "%d/%m/%Y %H:%M" if ":" in text else "%d/%m/%Y")  # noqa: DTZ007 (UTC by definition)
    return parsed.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def salesforce_id(prefix: str, number: int) -> str:
    """The 18-character Id of the `number`-th record under a key prefix."""
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    short = prefix + digits.rjust(12, "0")
    checks = (sum(1 << bit for bit, char in enumerate(short[at : at + 5]) if char.isupper()) for at in (0, 5, 10))
    return short + "".join(_SUFFIX[check] for check in checks)


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, by column."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, object]] | list[dict[str, str]]) -> None:
    """Write rows that have the same columns as a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
