"""What a line leaves behind in Salesforce: records, histories and activities, written from the journal of the queues."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from salesforce_simulator.demo.columns import DAY, dates, instants, record_ids, stamps, texts
from salesforce_simulator.ids import numbered
from salesforce_simulator.lines.plans import STAGES, WEEKS
from salesforce_simulator.lines.queues import QUALIFIERS, SELLERS, Journal

OPEN, WORKING, CONVERTED, REFUSED = (
    "Open - Not Contacted", "Working - Contacted", "Closed - Converted", "Closed - Not Converted",
)  # fmt: skip
CAMPAIGN_DAYS = 42


def build(journal: Journal, rng: np.random.Generator, now: int) -> dict[str, pa.Table]:
    """Tables by object, API names; the journal's last day ends at `now` (seconds since 1970)."""
    start = now - WEEKS * 7 * DAY

    def seconds(days: Any) -> np.ndarray[Any, np.dtype[Any]]:
        return (start + np.asarray(days, dtype=np.float64) * DAY).astype(np.int64)

    people = record_ids("005", QUALIFIERS + SELLERS).astype(object)
    staff = {"qualifier": people[:QUALIFIERS], "seller": people[QUALIFIERS:]}
    deals = _deals(journal, rng, seconds, staff)
    return {
        "User": pa.table({
            "Id": texts(people), "Name": texts([f"Person {n + 1}" for n in range(len(people))]),
            "IsActive": pa.array([True] * len(people)), "UserType": texts(["Standard"] * len(people)),
            **stamps(np.full(len(people), start)),
        }),
        "OpportunityStage": _stages(start),
        "LeadStatus": _statuses(start),
        **deals,
        **_leads(journal, seconds, staff),
        **_campaigns(journal, seconds, start, now),
        **_cases(journal, seconds, staff),
        **_activities(journal, seconds, staff),
    }  # fmt: skip


def _stages(start: int) -> pa.Table:
    names = [*(stage.name for stage in STAGES), "Closed Won", "Closed Lost"]
    closed = [name.startswith("Closed") for name in names]
    return pa.table({
        "Id": texts([numbered("01J", 1 + n) for n in range(len(names))]), "MasterLabel": texts(names), "ApiName": texts(names),
        "IsActive": pa.array([True] * len(names)), "SortOrder": pa.array(range(1, len(names) + 1)), "IsClosed": pa.array(closed),
        "IsWon": pa.array([name == "Closed Won" for name in names]), **stamps(np.full(len(names), start)),
    })  # fmt: skip


def _statuses(start: int) -> pa.Table:
    names = (OPEN, WORKING, CONVERTED, REFUSED)
    return pa.table({
        "Id": texts([numbered("01J", 101 + n) for n in range(len(names))]), "MasterLabel": texts(names), "ApiName": texts(names),
        "SortOrder": pa.array(range(1, 5)), "IsDefault": pa.array([name == OPEN for name in names]),
        "IsConverted": pa.array([name == CONVERTED for name in names]), **stamps(np.full(len(names), start)),
    })  # fmt: skip


def _deals(journal: Journal, rng: np.random.Generator, seconds: Any, staff: Any) -> dict[str, pa.Table]:
    deals = journal.deals
    count = len(deals)
    ids = record_ids("006", count).astype(object)
    amounts = np.round(rng.lognormal(9.5, 0.6, count), 2)
    created = seconds([deal["visits"][0][1] for deal in deals])
    changed = seconds([deal["visits"][-1][1] for deal in deals])
    stage = [deal["visits"][-1][0] for deal in deals]
    closed = np.array([name.startswith("Closed") for name in stage], dtype=bool)
    closes = np.where(closed, changed, changed + 30 * DAY)
    owners = staff["seller"][[deal["person"] for deal in deals]]
    slow = np.array([deal["slow"] for deal in deals], dtype=bool)
    opportunities = pa.table({
        "Id": texts(ids), "IsDeleted": pa.array(np.zeros(count, dtype=bool)),
        "Name": texts([f"Deal {n + 1}" for n in range(count)]), "StageName": texts(stage),
        "Amount": pa.array(amounts), "CloseDate": dates(closes), "Type": texts(np.where(slow, "Enterprise", "Standard")),
        "LeadSource": texts(["Web"] * count), "IsClosed": pa.array(closed),
        "IsWon": pa.array([name == "Closed Won" for name in stage]), "OwnerId": texts(owners),
        "LastStageChangeDate": instants(changed), **stamps(created, changed),
    })  # fmt: skip
    rows = [(n, name, at) for n, deal in enumerate(deals) for name, at in deal["visits"]]
    of = np.array([row[0] for row in rows], dtype=np.int64)
    at = seconds([row[2] for row in rows])
    order = np.argsort(at, kind="stable")
    of, at = of[order], at[order]
    history = pa.table({
        "Id": texts(record_ids("008", len(rows))), "IsDeleted": pa.array(np.zeros(len(rows), dtype=bool)),
        "OpportunityId": texts(ids[of]), "StageName": texts(np.array([row[1] for row in rows], dtype=object)[order]),
        "Amount": pa.array(amounts[of]), "CloseDate": dates(closes[of]), "CreatedById": texts(owners[of]),
        "CreatedDate": instants(at), "SystemModstamp": instants(at),
    })  # fmt: skip
    return {"Opportunity": opportunities, "OpportunityHistory": history}


def _leads(journal: Journal, seconds: Any, staff: Any) -> dict[str, pa.Table]:
    leads = journal.leads
    count = len(leads)
    ids = record_ids("00Q", count).astype(object)
    owners = staff["qualifier"][[lead["person"] for lead in leads]]
    worked = np.array([lead["worked"] is not None for lead in leads], dtype=bool)
    closed = np.array([lead["closed"] is not None for lead in leads], dtype=bool)
    converted = np.array([lead["deal"] is not None for lead in leads], dtype=bool)
    created = seconds([lead["created"] for lead in leads])
    worked_at = np.where(worked, seconds([lead["worked"] or 0.0 for lead in leads]), 0)
    closed_at = np.where(closed, seconds([lead["closed"] or 0.0 for lead in leads]), 0)
    deals = record_ids("006", len(journal.deals)).astype(object)
    status = np.where(converted, CONVERTED, np.where(closed, REFUSED, np.where(worked, WORKING, OPEN)))
    table = pa.table({
        "Id": texts(ids), "IsDeleted": pa.array(np.zeros(count, dtype=bool)),
        "LeadSource": texts(np.where([lead["member"] is None for lead in leads], "Web", "Campaign")), "Status": texts(status),
        "OwnerId": texts(owners), "IsConverted": pa.array(converted), "ConvertedDate": dates(closed_at, converted),
        "ConvertedOpportunityId": texts(deals[[lead["deal"] or 0 for lead in leads]], converted),
        **stamps(created, np.maximum(created, np.maximum(worked_at, closed_at))),
    })  # fmt: skip
    groups = [
        (ids[worked], worked_at[worked], OPEN, WORKING),
        (ids[closed & worked & converted], closed_at[closed & worked & converted], WORKING, CONVERTED),
        (ids[closed & worked & ~converted], closed_at[closed & worked & ~converted], WORKING, REFUSED),
        (ids[closed & ~worked], closed_at[closed & ~worked], OPEN, REFUSED),
    ]
    of, at = np.concatenate([group[0] for group in groups]), np.concatenate([group[1] for group in groups])
    old = np.concatenate([np.full(len(group[0]), group[2], dtype=object) for group in groups])
    new = np.concatenate([np.full(len(group[0]), group[3], dtype=object) for group in groups])
    order = np.argsort(at, kind="stable")
    history = pa.table({
        "Id": texts(record_ids("017", len(of))), "IsDeleted": pa.array(np.zeros(len(of), dtype=bool)), "LeadId": texts(of[order]),
        "Field": texts(["Status"] * len(of)), "DataType": texts(["DynamicEnum"] * len(of)), "OldValue": texts(old[order]),
        "NewValue": texts(new[order]), "CreatedDate": instants(at[order]),
    })  # fmt: skip
    return {"Lead": table, "LeadHistory": history}


def _campaigns(journal: Journal, seconds: Any, start: int, now: int) -> dict[str, pa.Table]:
    begins = np.arange(start, now, CAMPAIGN_DAYS * DAY)
    ids = record_ids("701", len(begins)).astype(object)
    campaigns = pa.table({
        "Id": texts(ids), "IsDeleted": pa.array(np.zeros(len(begins), dtype=bool)),
        "Name": texts([f"Campaign {n + 1}" for n in range(len(begins))]), "Type": texts(["Email"] * len(begins)),
        "Status": texts(["Completed"] * len(begins)), "StartDate": dates(begins),
        "EndDate": dates(begins + (CAMPAIGN_DAYS - 1) * DAY), "IsActive": pa.array(np.ones(len(begins), dtype=bool)),
        **stamps(begins),
    })  # fmt: skip
    count = len(journal.reached)
    reached = seconds([at for at, _ in journal.reached])
    responds = np.array([later is not None for _, later in journal.reached], dtype=bool)
    responded = np.where(responds, seconds([later or 0.0 for _, later in journal.reached]), 0)
    lead_of = np.zeros(count, dtype=np.int64)
    for number, lead in enumerate(journal.leads):
        if lead["member"] is not None:
            lead_of[lead["member"]] = number
    leads = record_ids("00Q", len(journal.leads)).astype(object)
    members = pa.table({
        "Id": texts(record_ids("00v", count)), "IsDeleted": pa.array(np.zeros(count, dtype=bool)),
        "CampaignId": texts(ids[(reached - start) // (CAMPAIGN_DAYS * DAY)]), "LeadId": texts(leads[lead_of], responds),
        "Status": texts(np.where(responds, "Responded", "Sent")), "HasResponded": pa.array(responds),
        "FirstRespondedDate": dates(responded, responds), **stamps(reached, np.maximum(reached, responded)),
    })  # fmt: skip
    return {"Campaign": campaigns, "CampaignMember": members}


def _cases(journal: Journal, seconds: Any, staff: Any) -> dict[str, pa.Table]:
    cases = journal.cases
    count = len(cases)
    closed = np.array([case["closed"] is not None for case in cases], dtype=bool)
    begun = np.array([case["begun"] is not None for case in cases], dtype=bool)
    created = seconds([case["created"] for case in cases])
    closed_at = np.where(closed, seconds([case["closed"] or 0.0 for case in cases]), 0)
    return {"Case": pa.table({
        "Id": texts(record_ids("500", count)), "IsDeleted": pa.array(np.zeros(count, dtype=bool)),
        "Status": texts(np.where(closed, "Closed", np.where(begun, "Working", "New"))), "IsClosed": pa.array(closed),
        "ClosedDate": instants(closed_at, closed), "OwnerId": texts(staff["seller"][[case["person"] for case in cases]]),
        **stamps(created, np.maximum(created, closed_at)),
    })}  # fmt: skip


def _activities(journal: Journal, seconds: Any, staff: Any) -> dict[str, pa.Table]:
    """Every fifth touch of a deal is a mail, the rest are calls; a customer's answer is a mail."""
    touches = journal.touches
    count = len(touches)
    at = seconds([touch[0] for touch in touches])
    owner = np.empty(count, dtype=object)
    for n, (_, _, _, role, person) in enumerate(touches):
        pool = staff[role]
        owner[n] = pool[person % len(pool)]
    prefix = {"lead": "00Q", "deal": "006", "case": "500"}
    sizes = {"lead": len(journal.leads), "deal": len(journal.deals), "case": len(journal.cases)}
    ids = {kind: record_ids(prefix[kind], sizes[kind]).astype(object) for kind in prefix}
    about = np.array([ids[touch[1]][touch[2]] for touch in touches], dtype=object)
    is_lead = np.array([touch[1] == "lead" for touch in touches], dtype=bool)
    is_mail = np.array([touch[1] == "deal" for touch in touches], dtype=bool) & (np.arange(count) % 5 == 0)
    task, mail = ~is_mail, is_mail
    tasks = pa.table({
        "Id": texts(record_ids("00T", int(task.sum()))), "IsDeleted": pa.array(np.zeros(int(task.sum()), dtype=bool)),
        "WhoId": texts(about[task], is_lead[task]), "WhatId": texts(about[task], ~is_lead[task]), "OwnerId": texts(owner[task]),
        "Status": texts(["Completed"] * int(task.sum())), "TaskSubtype": texts(["Call"] * int(task.sum())),
        "CallType": texts(["Outbound"] * int(task.sum())), "IsClosed": pa.array(np.ones(int(task.sum()), dtype=bool)),
        "ActivityDate": dates(at[task]), "CompletedDateTime": instants(at[task]), **stamps(at[task]),
    })  # fmt: skip
    answered = seconds([when for when, _ in journal.answers])
    sender = ids["deal"][[deal for _, deal in journal.answers]] if journal.answers else np.empty(0, dtype=object)
    when = np.concatenate([at[mail], answered])
    count = len(when)
    incoming = np.arange(count) >= count - len(answered)
    # the service writes what customers send
    writer = np.concatenate([owner[mail], np.full(len(answered), staff["qualifier"][0], dtype=object)])
    mails = pa.table({
        "Id": texts(record_ids("02s", count)), "IsDeleted": pa.array(np.zeros(count, dtype=bool)),
        "RelatedToId": texts(np.concatenate([about[mail], sender])), "Incoming": pa.array(incoming),
        "Status": texts(["3"] * count), "MessageDate": instants(when), "CreatedById": texts(writer), **stamps(when),
    })  # fmt: skip
    return {"Task": tasks, "EmailMessage": mails}
