"""Turns an export of Pipedrive in its long format (`deal_changes.csv`, `stages.csv`, `users.csv`, `activity.csv`) into the form of
Salesforce's Data Export.

    python -m tests.trials.pipedrive_export SOURCE TARGET
    python -m salesforce_simulator serve --export TARGET

What is mapped, and nothing else:
- a deal begins at each `add_time` in file order: some ids carry two deals, whose rows follow each other;
- a `stage_id` is a row of OpportunityHistory; a `lost_reason` is one too, into the stage "Closed Lost", and the deal's
  LossReason__c; a deal without one stands in its last stage;
- CloseDate, which Pipedrive has not, is the day of the loss, else of the last change;
- the last `user_id` owns the deal; an activity is a Task, of the first deal that bears its deal_id, where there is one;
- Ids are counted in file order; instants are UTC; rows of one deal keep their order.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

from tests.trials.export_2022 import read, salesforce_id, write

LOST = "Closed Lost"


class Change(NamedTuple):
    """One row of `deal_changes.csv`: `at` as the file writes it."""

    at: str
    field: str
    value: str


def deals(source: Path) -> list[tuple[str, list[Change]]]:
    """(Pipedrive's id, changes in file order) of each deal."""
    found: list[tuple[str, list[Change]]] = []
    for row in read(source / "deal_changes.csv"):
        if row["changed_field_key"] == "add_time":
            found.append((row["deal_id"], []))
        if not found or found[-1][0] != row["deal_id"]:
            raise ValueError(f"deal {row['deal_id']} changes at {row['change_time']} before it is added")
        found[-1][1].append(Change(row["change_time"], row["changed_field_key"], row["new_value"]))
    return found


def convert(source: Path, target: Path) -> None:
    """Write Opportunity, OpportunityHistory, OpportunityStage, User, Task and `schema.csv` into `target`. Raises ValueError."""
    target.mkdir(parents=True, exist_ok=True)
    stages = {row["stage_id"]: row["stage_name"] for row in read(source / "stages.csv")}
    (options,) = (
        row["FIELD_VALUE_OPTIONS"] for row in read(source / "fields.csv") if row["FIELD_KEY"] == "lost_reason"
    )
    reasons = {option["id"]: option["label"] for option in json.loads(options)}
    opportunities: list[dict[str, object]] = []
    history: list[dict[str, object]] = []
    of_deal: dict[str, str] = {}
    for number, (deal_id, changes) in enumerate(deals(source), start=1):
        key = salesforce_id("006", number)
        of_deal.setdefault(deal_id, key)
        stage, owner, reason = "", "", ""
        for change in changes:
            if change.field == "user_id":
                owner = salesforce_id("005", int(change.value))
            if change.field not in ("stage_id", "lost_reason"):
                continue
            stage = stages[change.value] if change.field == "stage_id" else LOST
            reason = reasons[change.value] if change.field == "lost_reason" else reason
            history.append(
                {"Id": salesforce_id("008", len(history) + 1), "IsDeleted": "false", "OpportunityId": key, "StageName": stage,
                 "CreatedDate": _instant(change.at), "SystemModstamp": _instant(change.at)}
            )  # fmt: skip
        last = changes[-1].at
        opportunities.append(
            {"Id": key, "IsDeleted": "false", "Name": f"Pipedrive {deal_id}", "StageName": stage, "CloseDate": last[:10],
             "IsClosed": str(stage == LOST).lower(), "IsWon": "false", "OwnerId": owner, "LossReason__c": reason,
             "CreatedDate": _instant(changes[0].at), "LastModifiedDate": _instant(last), "SystemModstamp": _instant(last)}
        )  # fmt: skip
    write(target / "Opportunity.csv", opportunities)
    write(target / "OpportunityHistory.csv", history)
    write(target / "OpportunityStage.csv", [
        {"Id": salesforce_id("01J", order), "MasterLabel": name, "ApiName": name, "IsActive": "true", "SortOrder": order,
         "IsClosed": str(name == LOST).lower(), "IsWon": "false"}
        for order, name in enumerate([*stages.values(), LOST], start=1)
    ])  # fmt: skip
    write(target / "User.csv", [
        {"Id": salesforce_id("005", int(row["id"])), "Name": row["name"], "IsActive": "true",
         "SystemModstamp": _instant(row["modified"])}
        for row in read(source / "users.csv")
    ])  # fmt: skip
    write(target / "Task.csv", [
        {"Id": salesforce_id("00T", number), "IsDeleted": "false", "WhatId": of_deal.get(row["deal_id"], ""), "Type": row["type"],
         "OwnerId": salesforce_id("005", int(row["assigned_to_user"])), "IsClosed": row["done"].lower(),
         "Status": "Completed" if row["done"] == "True" else "Open", "ActivityDate": row["due_to"][:10],
         "CreatedDate": _instant(row["due_to"]), "LastModifiedDate": _instant(row["due_to"]),
         "SystemModstamp": _instant(row["due_to"])}
        for number, row in enumerate(read(source / "activity.csv"), start=1)
    ])  # fmt: skip


def _instant(text: str) -> str:
    return text[:19].replace(" ", "T") + ".000Z"


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
