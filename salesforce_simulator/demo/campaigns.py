"""Campaigns, one every six weeks, and the leads and contacts that they reached. Campaign, CampaignMember."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from salesforce_simulator.demo.columns import DAY, Company, dates, day, money, record_ids, stamps, texts
from salesforce_simulator.demo.flow import YEARS

LENGTH = 42 * DAY
_TYPES = ("Webinar", "Trade Show", "Email", "Conference")


def build(company: Company) -> dict[str, pa.Table]:
    """Members among the leads joined when the lead was made; needs `Lead`."""
    rng, now = company.rng(2), company.now
    start = now - YEARS * 52 * 7 * DAY
    begins = np.arange(start, now, LENGTH)
    count = len(begins)
    ends, made = begins + LENGTH - DAY, begins - 14 * DAY
    over = ends < now
    kinds = [_TYPES[n % len(_TYPES)] for n in range(count)]
    ids = record_ids("701", count).astype(object)
    budget = rng.integers(20, 200, count) * 10_000
    campaigns = pa.table({
        "Id": texts(ids), "IsDeleted": pa.array(np.zeros(count, dtype=bool)),
        "Name": texts([f"{day(int(b)):%Y-%m} {kind}" for b, kind in zip(begins, kinds, strict=True)]),
        "ParentId": texts(np.full(count, None), np.zeros(count, dtype=bool)), "Type": texts(kinds),
        "Status": texts(np.where(over, "Completed", "In Progress")), "StartDate": dates(begins), "EndDate": dates(ends),
        "IsActive": pa.array(~over), "BudgetedCost": money(budget), "ActualCost": money(budget * rng.integers(70, 120, count) // 100),
        "CurrencyIsoCode": texts(np.full(count, "USD")), "OwnerId": texts(np.full(count, record_ids("005", 3)[-1])),
        **stamps(made, np.where(over, ends, made)),
    })  # fmt: skip
    begun = company.column("Lead", "CreatedDate")
    reached = np.flatnonzero((rng.random(len(begun)) < 0.55) & (begun >= start))
    people = np.flatnonzero(rng.random(company.tables["Contact"].num_rows) < 0.2)
    when = np.concatenate([begun[reached], rng.integers(start, now, len(people))]).astype(np.int64)
    campaign = (when - start) // LENGTH
    size, leads = len(when), len(reached)
    is_lead = np.arange(size) < leads
    responded = is_lead | (rng.random(size) < 0.3)
    order = np.argsort(when, kind="stable")
    members = pa.table({
        "IsDeleted": pa.array(rng.random(size) < 0.005), "CampaignId": texts(ids[campaign]),
        "LeadId": texts(np.concatenate([company.column("Lead", "Id")[reached], np.full(len(people), None)])),
        "ContactId": texts(np.concatenate([np.full(leads, None), company.column("Contact", "Id")[people]])),
        "Status": texts(np.where(responded, "Responded", "Sent")), "HasResponded": pa.array(responded),
        "FirstRespondedDate": dates(when, responded), **stamps(when),
    }).take(order)  # fmt: skip
    return {"Campaign": campaigns, "CampaignMember": members.add_column(0, "Id", texts(record_ids("00v", size)))}
