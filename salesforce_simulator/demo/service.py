"""After the sale: cases of customers and how they went. Case, CaseHistory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from salesforce_simulator.demo.columns import DAY, Company, instants, record_ids, stamps, texts, tracked
from salesforce_simulator.demo.flow import WON
from salesforce_simulator.ids import numbered

QUEUE = numbered("00G", 2)
_ORIGINS = np.array(["Phone", "Email", "Web"], dtype=object)
_KINDS = np.array(["Problem", "Feature Request", "Question"], dtype=object)
_REASONS = np.array(["Installation", "Performance", "Breakdown", "Feedback"], dtype=object)
_PRIORITIES = np.array(["High", "Medium", "Low"], dtype=object)


def build(company: Company) -> dict[str, pa.Table]:
    """Each won deal brings cases in the half year after it, four in five deals on average."""
    rng, now = company.rng(5), company.now
    deals = company.tables["Opportunity"]
    won_at = company.column("Opportunity", "LastStageChangeDate")
    won = np.flatnonzero(
        (company.column("Opportunity", "StageName") == WON) & ~company.column("Opportunity", "IsDeleted").astype(bool)
    )
    deal = np.repeat(won, rng.poisson(0.8, len(won)))
    created = won_at[deal] + (rng.uniform(1, 180, len(deal)) * DAY).astype(np.int64)
    deal, created = deal[created < now - 3600], created[created < now - 3600]
    order = np.argsort(created, kind="stable")
    deal, created = deal[order], created[order]
    count = len(deal)
    begun = created + (rng.exponential(0.3, count) * DAY).astype(np.int64) + 60
    closed = begun + (rng.lognormal(2.3, 1.0, count) * DAY).astype(np.int64) + 60
    raised = begun + (closed - begun) // 2
    escalated = (rng.random(count) < 0.1) & (raised < now)
    is_begun, is_closed = begun < now, closed < now
    account = np.asarray(pc.index_in(deals["AccountId"].take(deal), value_set=company.tables["Account"]["Id"]))
    ids = record_ids("500", count).astype(object)
    agents = record_ids("005", 4).astype(object)
    owner = agents[rng.integers(2, 4, count)]
    status = np.where(is_closed, "Closed", np.where(escalated, "Escalated", np.where(is_begun, "Working", "New")))
    modified = np.where(is_closed, closed, np.where(escalated, raised, np.where(is_begun, begun, created)))
    cases = pa.table({
        "Id": texts(ids), "IsDeleted": pa.array(rng.random(count) < 0.005),
        "MasterRecordId": pa.nulls(count, pa.string()), "CaseNumber": texts([f"{n:08d}" for n in range(1001, 1001 + count)]),
        "ParentId": pa.nulls(count, pa.string()), "AccountId": deals["AccountId"].take(deal),
        "ContactId": company.tables["Contact"]["Id"].take(2 * account),
        "SuppliedEmail": company.tables["Contact"]["Email"].take(2 * account), "OwnerId": texts(np.where(is_begun, owner, QUEUE)),
        "Type": texts(_KINDS[rng.integers(0, 3, count)]), "Status": texts(status),
        "Reason": texts(_REASONS[rng.integers(0, 4, count)]), "Origin": texts(_ORIGINS[rng.integers(0, 3, count)]),
        "Priority": texts(_PRIORITIES[rng.integers(0, 3, count)]), "Subject": texts(np.full(count, "Private words")),
        "IsClosed": pa.array(is_closed), "IsEscalated": pa.array(escalated), "ClosedDate": instants(closed, is_closed),
        "CurrencyIsoCode": deals["CurrencyIsoCode"].take(deal), "CreatedById": texts(np.full(count, agents[2])),
        **stamps(created, modified),
    })  # fmt: skip
    ended = np.where(escalated, "Escalated", "Working")
    history = tracked("CaseId", [
        {"of": ids, "at": created, "by": agents[2], "field": "created", "type": "Text", "old": None, "new": None},
        {"of": ids[is_begun], "at": begun[is_begun], "by": owner[is_begun], "field": "Owner", "type": "EntityId",
         "old": QUEUE, "new": owner[is_begun]},
        {"of": ids[is_begun], "at": begun[is_begun], "by": owner[is_begun], "field": "Status", "type": "DynamicEnum",
         "old": "New", "new": "Working"},
        {"of": ids[escalated], "at": raised[escalated], "by": owner[escalated], "field": "Status", "type": "DynamicEnum",
         "old": "Working", "new": "Escalated"},
        {"of": ids[is_closed], "at": closed[is_closed], "by": owner[is_closed], "field": "Status", "type": "DynamicEnum",
         "old": ended[is_closed], "new": "Closed"},
    ], first=20_000_001)  # fmt: skip
    return {"Case": cases, "CaseHistory": history}
