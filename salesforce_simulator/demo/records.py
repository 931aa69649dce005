"""Writes the records of deals and their activities, acting on the plan. One pass per deal; rows by object."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np

from salesforce_simulator.demo.company import (
    HISTORIC_STAGE,
    RECORD_TYPES,
    STAGE_FACTS,
    UNKNOWN_STAGE,
    Rows,
    at,
    stamped,
)
from salesforce_simulator.demo.flow import DAY, LOST, WON, Deal
from salesforce_simulator.demo.planting import RANK, Plan
from salesforce_simulator.ids import numbered

_ROLES = ("Decision Maker", "Business User", "Evaluator", "Technical Buyer")
_SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other")


class Writer:
    """Collects rows by object; `now` in seconds since 1970."""

    def __init__(self, rng: np.random.Generator, plan: Plan, now: int, company: dict[str, Rows]) -> None:
        self.rows: dict[str, Rows] = {
            name: [] for name in ("Opportunity", "OpportunityHistory", "OpportunityContactRole", "Task", "Event",
                                  "EventRelation", "EmailMessage")
        }  # fmt: skip
        self.plan, self.now, self.company = plan, now, company
        self._rng = rng
        self._pool: Iterator[float] = iter(())

    def draw(self) -> float:
        """A uniform draw in [0, 1)."""
        for value in self._pool:
            return float(value)
        self._pool = iter(self._rng.random(65_536).tolist())
        return self.draw()

    def _id(self, prefix: str, name: str) -> str:
        return numbered(prefix, len(self.rows[name]) + 1)

    def deal(self, i: int, deal: Deal, *, activities: bool) -> None:
        """Writes one deal, its history and, if wanted, its contact roles and activities."""
        breach = {r: p[i] for r, p in self.plan.breach.items() if i in p}
        near = {r: p[i] for r, p in self.plan.near.items() if i in p}
        deleted, stage, now = i in self.plan.deleted, self.plan.stage[i], self.now
        record, account = (
            numbered("006", i + 1),
            self.company["Account"][int(self.draw() * len(self.company["Account"]))],
        )
        owner = numbered("005", 4 + int(self.draw() * 15))
        today = at(now).date()
        last = deal.visits[-1][1]
        if stage in (WON, LOST):
            close = at(last).date()
        elif 6 in breach:
            close = today - timedelta(days=1 if breach[6] == "yesterday" else 5 + int(self.draw() * 40))
        else:
            close = today + timedelta(days=0 if 6 in near else 1 + int(self.draw() * 90))
        amount: float | None = round(math.exp(9.6 + 1.6 * (self.draw() - 0.5)), 2)
        if 7 in breach:
            amount = None if breach[7] == "null" else 0.0
        elif 7 in near:
            amount = 0.01
        moments = [(s, t, True) for s, t in deal.visits]
        quiet = near.get(5) == "created is modified"
        for (s, t), until in zip(deal.visits, [t for _, t in deal.visits[1:]] + [now], strict=True):
            if s not in (WON, LOST) and not quiet:
                moments += [
                    (s, t + 1 + int((until - t - 2) * self.draw()), False)
                    for _ in range(int(self.draw() * 3))
                    if until - t > 4
                ]
        if near.get(2):
            t = next(b[1] for a, b in zip(deal.visits, deal.visits[1:], strict=False)
                     if a[0] == "Needs Analysis" and b[0] == "Proposal/Price Quote" and b[1] - a[1] > DAY)  # fmt: skip
            moments.append((HISTORIC_STAGE, t - 1, True))
        if 2 in breach:
            moments.append((UNKNOWN_STAGE, last - 1, True))
        moments.sort(key=lambda m: m[1])
        tie = (self.draw() < 0.01 and not quiet) or 3 in near
        known = False
        for n, (s, t, _) in enumerate(moments):
            final = n == len(moments) - 1
            # an estimate that was made once stays, and is revised now and then on the way to the last one
            known = (final or RANK.get(s, 3) >= 4 or 7 in breach or self.draw() < 0.7) or known
            revision = 0 if final or not amount or amount < 1 else (i + n // 2 * 3) % 7 - 3
            estimate = round(amount * (1 + revision / 20), 2) if amount else amount
            date = close if final else close - timedelta(days=int(self.draw() * 3) * 14)
            self._history(record, s, t, estimate if known else None, date, account, owner, deleted)
            if tie and final:
                self._history(record, s, t, amount, close, account, owner, deleted)
        created, modified = deal.created, moments[-1][1]
        stamp = modified
        if near.get(5) == "modified is now":
            modified = stamp = now
        cause = breach.get(5)
        if cause == "modified before created":
            modified = created - DAY
        elif cause == "history before created":
            created += 3600 if last - created > 7200 else (last - created) // 2 or 1
        elif cause == "modified in the future":
            modified = now + 7200
        facts = STAGE_FACTS[stage]
        closed, won = facts[3], facts[4]
        if 4 in breach:
            closed, won = (False, False) if breach[4] == "shown open" else (True, True)
        self.rows["Opportunity"].append({
            "Id": record, "IsDeleted": deleted, "AccountId": account["Id"], "RecordTypeId": RECORD_TYPES[deal.process],
            "Name": f"{account['Name']} {deal.process.replace('_', ' ')} {i + 1}", "StageName": stage, "Amount": amount,
            "CurrencyIsoCode": account["CurrencyIsoCode"], "Probability": facts[0], "CloseDate": close,
            "Type": "New Customer" if deal.process == "New_Business" else "Existing Customer - Upgrade",
            "LeadSource": _SOURCES[int(self.draw() * 5)], "IsClosed": closed, "IsWon": won,
            "ForecastCategoryName": facts[1], "CampaignId": None, "OwnerId": owner, "CreatedById": owner,
            "CreatedDate": at(created), "LastModifiedDate": at(modified), "SystemModstamp": at(stamp),
            "LastActivityDate": None, "LastStageChangeDate": at(last)})  # fmt: skip
        if activities:
            self._people(record, deal, stage, account, breach, near)
            self._contacts(i, record, deal, stage, account, owner, breach, near)

    def _history(self, record: str, stage: str, t: int, amount: float | None, close: Any, account: dict[str, Any],
                 owner: str, deleted: bool) -> None:  # fmt: skip
        facts = STAGE_FACTS.get(stage, (50.0, "Pipeline", "Pipeline"))
        self.rows["OpportunityHistory"].append({
            "Id": self._id("008", "OpportunityHistory"), "IsDeleted": deleted, "OpportunityId": record, "StageName": stage,  # noqa: E501
            "Amount": amount, "CloseDate": close, "Probability": facts[0], "ForecastCategory": facts[2],
            "CurrencyIsoCode": account["CurrencyIsoCode"], "CreatedById": owner, "CreatedDate": at(t),
            "SystemModstamp": at(t)})  # fmt: skip

    def _contact(self, account: dict[str, Any], k: int) -> dict[str, Any]:
        return self.company["Contact"][2 * self._account_number(account) + k]

    def _account_number(self, account: dict[str, Any]) -> int:
        return int((account["CreatedDate"] - self.company["Account"][0]["CreatedDate"]).total_seconds() // 60)

    def _people(self, record: str, deal: Deal, stage: str, account: dict[str, Any], breach: dict[int, str],
                near: dict[int, str]) -> None:  # fmt: skip
        need = RANK[stage] >= 2
        if 8 in breach:
            count = 0 if breach[8] == "none" else 1
        else:
            count = 1 if 8 in near else (1 + int(self.draw() * 2) if need or self.draw() < 0.6 else 0)
        entered = next((t for s, t in deal.visits if RANK[s] >= 2), deal.created)
        for k in range(count):
            t = min(max(entered + int((self.draw() * 11 - 5) * DAY), deal.created), self.now - 60)
            self.rows["OpportunityContactRole"].append(stamped({
                "Id": self._id("00K", "OpportunityContactRole"), "IsDeleted": 8 in breach, "OpportunityId": record,
                "ContactId": self._contact(account, k)["Id"], "Role": _ROLES[int(self.draw() * 4)], "IsPrimary": k == 0},  # noqa: E501
                at(max(t, deal.created))))  # fmt: skip

    def _contacts(self, i: int, record: str, deal: Deal, stage: str, account: dict[str, Any], owner: str,
                  breach: dict[int, str], near: dict[int, str]) -> None:  # fmt: skip
        now, is_open = self.now, stage not in (WON, LOST)
        end = now if is_open else deal.visits[-1][1]
        latest = now - 60  # no response after this
        if is_open and 9 in breach:
            latest = now - 22 * DAY
        elif near.get(9) == "21 days":
            latest = now - 21 * DAY
        silent = breach.get(9) == "none" or near.get(9) == "young, no response"
        person = self._contact(account, 0)

        def within(low: int, high: int) -> int:
            return low + int(max(0, high - low) * self.draw())

        for _ in range(2 + int(self.draw() * 5)):
            t = within(deal.created, max(deal.created, end - 60))
            self.rows["Task"].append(stamped(self._activity("00T", "Task", t, person, record, account, owner) | {
                "Subject": "Call", "Status": "Completed", "IsClosed": True, "TaskSubtype": "Call", "CallType": "Outbound",  # noqa: E501
                "Type": "Call", "CompletedDateTime": at(t)}, at(t)))  # fmt: skip
        for _ in range(2 + int(self.draw() * 3)):
            self._email(record, within(deal.created, max(deal.created, end - 60)), False, person, owner)
        if not silent:
            replies = [
                within(deal.created, max(deal.created, min(latest, end - 60))) for _ in range(1 + int(self.draw() * 3))
            ]
            if (is_open and breach.get(9) == "22 days") or near.get(9) == "21 days":
                replies.append(latest)
            elif is_open and 9 not in breach and now - deal.created > 21 * DAY:
                replies.append(now - int((0.5 + 20 * self.draw()) * DAY))
            if is_open or (stage == WON and self.draw() < 0.95) or (stage == LOST and self.draw() < 0.5):
                for t in replies:
                    self._email(record, t, True, person, owner)
        cause, close = breach.get(10), near.get(10)
        needed = RANK[stage] >= 3
        entered = next((t for s, t in deal.visits if RANK[s] >= 3), deal.created)
        t = max(min(entered + int((self.draw() * 11 - 6) * DAY), end - 60, latest), deal.created)
        if cause == "declined":
            self._event(record, t, person, account, owner, ("Declined",))
        elif cause == "deleted":
            self._event(record, t, person, account, owner, ("Accepted",), deleted=True)
        elif cause == "internal":
            self._event(record, t, None, account, owner, ())
        elif cause == "not over yet":
            self._event(record, now + 1800, person, account, owner, ("Accepted",))
        elif close == "just over":
            self._event(record, now - 60, person, account, owner, ("Accepted",))
        elif close == "one of two declined":
            self._event(record, t, person, account, owner, ("Declined", "Accepted"))
        # "none" as the cause of rule 9 leaves a deal that owes a meeting with its old one: the answer is stale, not absent  # noqa: E501
        elif cause is None and (needed or (not silent and stage == LOST and self.draw() < 0.4)):
            self._event(record, t, person, account, owner, ("Accepted" if self.draw() < 0.7 else "Undecided",))

    def _activity(self, prefix: str, name: str, t: int, person: dict[str, Any] | None, record: str,
                  account: dict[str, Any], owner: str) -> dict[str, Any]:  # fmt: skip
        return {"Id": self._id(prefix, name), "IsDeleted": name == "Task" and self.draw() < 0.005,
                "IsArchived": self.now - t > 365 * DAY, "WhoId": person["Id"] if person else None, "WhatId": record,
                "AccountId": account["Id"], "OwnerId": owner, "ActivityDate": at(t).date()}  # fmt: skip

    def _event(self, record: str, t: int, person: dict[str, Any] | None, account: dict[str, Any], owner: str,
               answers: tuple[str, ...], *, deleted: bool = False) -> None:  # fmt: skip
        made = at(min(t, self.now - 3600) - DAY)
        row = stamped(self._activity("00U", "Event", t, person, record, account, owner) | {
            "IsDeleted": deleted, "Subject": "Meeting", "EventSubtype": "Event", "Type": "Meeting", "IsAllDayEvent": False,  # noqa: E501
            "StartDateTime": at(t - 3600), "EndDateTime": at(t)}, made)  # fmt: skip
        self.rows["Event"].append(row)
        people = [(self._contact(account, k)["Id"], answer) for k, answer in enumerate(answers)]
        for who, answer in [*people, (owner, "Accepted")]:
            self.rows["EventRelation"].append(stamped({
                "Id": self._id("0RE", "EventRelation"), "IsDeleted": False, "EventId": row["Id"], "RelationId": who,
                "Status": answer, "IsWhat": False}, made))  # fmt: skip

    def _email(self, record: str, t: int, incoming: bool, person: dict[str, Any], owner: str) -> None:
        ours = f"user{int(owner[3:15], 36)}@larkfield.example"
        sender, receiver = (person["Email"], ours) if incoming else (ours, person["Email"])
        self.rows["EmailMessage"].append(stamped({
            "Id": self._id("02s", "EmailMessage"), "IsDeleted": False, "ParentId": None, "ActivityId": None,
            "RelatedToId": record, "Incoming": incoming, "Status": "1" if incoming else "3", "MessageDate": at(t),
            "IsBounced": False, "ThreadIdentifier": f"thread-{record}", "ReplyToEmailMessageId": None,
            "FromAddress": sender, "ToAddress": receiver, "Subject": "Your proposal",
            "TextBody": f"Hello, private words of {person['Name']}.", "CreatedById": owner}, at(t)))  # fmt: skip
