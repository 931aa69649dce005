"""Writes the committed fixture `tests/trials/like_2022`: 24 made-up deals in the form of the 2022 report-style export, with its
quirks counted: days without times, ties in file order, flags that do not fit the stage, creation after the last
modification, a last history stage that is not the deal's. `EXPECTED` says how many of each.

    python tests/trials/make_like_2022.py
"""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path

FOLDER = Path(__file__).parent / "like_2022"
EXPECTED = {"opportunities": 24, "regressions": 5, "R03": 3, "R04": 7, "R05": 9}
_ORDER = {
    "Prospecting": 1,
    "Qualification": 2,
    "Value Proposition": 4,
    "Negotiation/Review": 8,
    "Closed Won": 9,
    "Closed Lost": 10,
}
_PATHS = [
    ["Prospecting", "Qualification", "Value Proposition"],
    ["Prospecting", "Value Proposition", "Negotiation/Review", "Closed Won"],
    ["Qualification", "Closed Lost"],
    ["Prospecting", "Qualification", "Qualification", "Negotiation/Review"],  # a row that repeats its stage: one visit
]
_BACK = ["Negotiation/Review", "Prospecting", "Closed Won"]


def main() -> None:
    """Write `Opportunity.csv` and `Opportunity History.csv`."""
    opportunities, history = [], []
    for number in range(EXPECTED["opportunities"]):
        identifier = f"0068d00000{number:05d}" + "AAA"
        first = date(2022, 1, 10) + timedelta(days=11 * number)
        path = _BACK if number < EXPECTED["regressions"] else _PATHS[number % len(_PATHS)]
        tie = number % 6 == 5  # all changes on one day: file order decides
        for step, stage in enumerate(path):
            day = first + timedelta(days=0 if tie else 9 * step)
            history.append(
                {"OppID": identifier, "CreatedDate": _day(day), "StageName": stage, "SortOrder": _ORDER[stage]}
            )
        stage = path[-1]
        if number >= EXPECTED["opportunities"] - EXPECTED["R03"]:
            stage = "Closed Lost" if stage != "Closed Lost" else "Prospecting"
        closed, won = stage.startswith("Closed"), stage == "Closed Won"
        if number % 3 == 1 and number // 3 < EXPECTED["R04"]:
            closed, won = (not closed, False) if not won else (True, False)
        after = number % 2 == 0 and number // 2 < EXPECTED["R05"]
        modified = first - timedelta(days=3) if after else first + timedelta(days=60)
        opportunities.append(
            {"CreatedDate": _day(first), "Id": identifier, "IsDeleted": "FALSE", "AccountId": "0018d000007K0NXAA0", "Name": f"deal {number}",
             "Amount": "" if number == 3 else 1000 * (number + 1), "Probability": 10, "CloseDate": _day(first + timedelta(days=10)),
             "IsClosed": str(closed).upper(), "IsWon": str(won).upper(), "OwnerId": "0058d000002C3D2AAK",
             "CreatedById": "0058d000002C2lpAAC", "LastModifiedDate": f"{_day(modified)} 16:11", "SystemModstamp": f"{_day(modified)} 16:11",
             "LastActivityDate": "", "LastStageChangeDate": "", "LastViewedDate": "", "LastReferencedDate": "",
             "MainCompetitors__c": 'Acme, "the" other', "StageName": stage}
        )  # fmt: skip
    for name, rows in (("Opportunity.csv", opportunities), ("Opportunity History.csv", history)):
        with (FOLDER / name).open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _day(day: date) -> str:
    return day.strftime("%d/%m/%Y")


if __name__ == "__main__":
    main()
