"""Leads: where they came from, how they were worked, and which became a deal. LeadStatus, Lead, LeadHistory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from salesforce_simulator.demo.columns import DAY, Company, dates, record_ids, stamps, texts, tracked
from salesforce_simulator.demo.flow import YEARS
from salesforce_simulator.ids import numbered

OPEN, WORKING, CONVERTED, REFUSED = (
    "Open - Not Contacted", "Working - Contacted", "Closed - Converted", "Closed - Not Converted",
)  # fmt: skip
QUEUE = numbered("00G", 1)
CONVERTED_SHARE, OTHERS_SHARE = 0.45, 0.5
_FIRST = np.array(["Ada", "Bruno", "Carla", "Dario", "Edda", "Felix", "Gina", "Henri"], dtype=object)
_LAST = np.array(["Moreau", "Novak", "Olsen", "Perez", "Quist", "Rossi", "Silva", "Tanaka", "Urban"], dtype=object)
_SOURCES = np.array(["Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other"], dtype=object)
_INDUSTRIES = np.array(["Banking", "Consulting", "Manufacturing", "Retail", "Technology", "Other"], dtype=object)


def build(company: Company) -> dict[str, pa.Table]:
    """About two fifths of the new business deals began as a lead; others were refused, are worked, or wait."""
    rng, now = company.rng(1), company.now
    deals = company.tables["Opportunity"]
    began = company.column("Opportunity", "CreatedDate")
    fits = (
        (company.column("Opportunity", "Type") == "New Customer")
        & ~company.column("Opportunity", "IsDeleted").astype(bool)
        & (rng.random(len(deals)) < CONVERTED_SHARE)
    )
    chosen = np.flatnonzero(fits)
    won, other = len(chosen), round(len(deals) * OTHERS_SHARE)
    count = won + other
    wait = np.minimum(rng.exponential(1.5, count) + 0.01, 12.0)
    work = rng.uniform(0.5, 30.0, count)
    converts = np.arange(count) < won
    end = np.concatenate([began[chosen], np.zeros(other, dtype=np.int64)])
    start = now - YEARS * 52 * 7 * DAY
    created = np.where(
        converts, end - ((wait + work) * DAY).astype(np.int64) - 60, (start + (now - start - 3600) * rng.random(count))
    ).astype(np.int64)
    contacted = created + (wait * DAY).astype(np.int64)
    closed = np.where(converts, end, contacted + (work * DAY).astype(np.int64))
    never = ~converts & (rng.random(count) < 0.08)
    is_contacted = ~never & (contacted < now)
    is_closed = is_contacted & (closed < now) | converts
    # in order of creation, as an org numbers them
    order = np.argsort(created, kind="stable")
    place = np.empty(count, dtype=np.int64)
    place[order] = np.arange(count)
    ids = record_ids("00Q", count)[place]

    accounts = company.tables["Account"]
    at_account = np.asarray(pc.index_in(deals["AccountId"].take(chosen), value_set=accounts["Id"]))
    first = _FIRST[rng.integers(0, len(_FIRST), count)]
    last = _LAST[rng.integers(0, len(_LAST), count)]
    number = place.astype("U8").astype(object)
    firm = np.concatenate([company.column("Account", "Name")[at_account], "Prospect " + number[won:]])
    email = np.concatenate([
        company.column("Contact", "Email")[2 * at_account], first[won:] + "." + last[won:] + number[won:] + "@Lead.Example",
    ])  # fmt: skip
    first[:won] = company.column("Contact", "FirstName")[2 * at_account]
    last[:won] = company.column("Contact", "LastName")[2 * at_account]
    sellers = record_ids("005", 18).astype(object)
    owner = sellers[rng.integers(4, 18, count)]
    owner[:won] = company.column("Opportunity", "OwnerId")[chosen]
    source = _SOURCES[rng.integers(0, len(_SOURCES), count)]
    source[:won] = company.column("Opportunity", "LeadSource")[chosen]
    # a few refused leads were doubles: merged into another, the loser is deleted and names its master
    merged = ~converts & is_closed & (rng.random(count) < 0.02)
    master = ids[np.argmax(converts)] if won else ids[0]
    merged &= ids != master
    status = np.where(converts, CONVERTED, np.where(is_closed, REFUSED, np.where(is_contacted, WORKING, OPEN)))
    modified = np.where(is_closed, closed, np.where(is_contacted, contacted, created))
    leads = pa.table({
        "Id": texts(ids), "IsDeleted": pa.array(merged), "MasterRecordId": texts(np.full(count, master), merged),
        "FirstName": texts(first), "LastName": texts(last), "Name": texts(first + " " + last), "Company": texts(firm),
        "Title": texts(np.where(rng.random(count) < 0.4, "Head of Operations", "Laboratory Manager")),
        "Industry": texts(_INDUSTRIES[rng.integers(0, len(_INDUSTRIES), count)]),
        "Rating": texts(np.array(["Hot", "Warm", "Cold"], dtype=object)[rng.integers(0, 3, count)], rng.random(count) < 0.8),
        "Email": texts(email, rng.random(count) < 0.97), "Phone": texts("+1 555 " + number), "LeadSource": texts(source),
        "Status": texts(status), "CurrencyIsoCode": texts(np.full(count, "USD")),
        "OwnerId": texts(np.where(is_contacted | converts, owner, QUEUE)), "IsConverted": pa.array(converts),
        "ConvertedDate": dates(end, converts), "ConvertedAccountId": _padded(deals["AccountId"].take(chosen), other),
        "ConvertedContactId": _padded(company.tables["Contact"]["Id"].take(2 * at_account), other),
        "ConvertedOpportunityId": _padded(deals["Id"].take(chosen), other), "CreatedById": texts(np.full(count, sellers[0])),
        "LastActivityDate": dates(modified, is_contacted | converts), **stamps(created, modified),
    }).take(order)  # fmt: skip
    worked, refused, moved = is_contacted | converts, is_closed & ~converts, rng.random(count) < 0.03
    history = tracked("LeadId", [
        {"of": ids, "at": created, "by": sellers[0], "field": "created", "type": "Text", "old": None, "new": None},
        {"of": ids[worked], "at": contacted[worked], "by": owner[worked], "field": "Owner", "type": "EntityId",
         "old": QUEUE, "new": owner[worked]},
        {"of": ids[worked], "at": contacted[worked], "by": owner[worked], "field": "Status", "type": "DynamicEnum",
         "old": OPEN, "new": WORKING},
        {"of": ids[moved & worked], "at": contacted[moved & worked], "by": owner[moved & worked], "field": "Email",
         "type": "Text", "old": "old." + email[moved & worked], "new": email[moved & worked]},
        {"of": ids[refused], "at": closed[refused], "by": owner[refused], "field": "Status", "type": "DynamicEnum",
         "old": WORKING, "new": REFUSED},
        {"of": ids[converts], "at": closed[converts], "by": owner[converts], "field": "Status", "type": "DynamicEnum",
         "old": WORKING, "new": CONVERTED},
        {"of": ids[converts], "at": closed[converts], "by": owner[converts], "field": "leadConverted", "type": "Text",
         "old": None, "new": None},
    ], first=10_000_001)  # fmt: skip
    return {"LeadStatus": statuses(start), "Lead": leads, "LeadHistory": history}


def _padded(known: pa.ChunkedArray, nulls: int) -> pa.Array:
    return pa.concat_arrays([pa.array(known.to_pylist(), pa.string()), pa.nulls(nulls, pa.string())])


def statuses(begin: int) -> pa.Table:
    """LeadStatus: one row per value of the picklist, all made at `begin` (seconds)."""
    names = (OPEN, WORKING, CONVERTED, REFUSED)
    return pa.table({
        "Id": texts([numbered("01J", 101 + n) for n in range(len(names))]), "MasterLabel": texts(names),
        "ApiName": texts(names), "SortOrder": pa.array(range(1, len(names) + 1)),
        "IsDefault": pa.array([name == OPEN for name in names]),
        "IsConverted": pa.array([name == CONVERTED for name in names]), **stamps(np.full(len(names), begin)),
    })  # fmt: skip
