"""Products, and what each late deal is made of. Product2, OpportunityLineItem."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from salesforce_simulator.demo.columns import DAY, Company, money, record_ids, stamps, texts
from salesforce_simulator.demo.flow import YEARS

PRODUCTS = (
    ("Balance 200", "Instruments"), ("Balance 500", "Instruments"), ("Spectrometer S", "Instruments"),
    ("Spectrometer L", "Instruments"), ("Installation", "Services"), ("Calibration", "Services"),
    ("Training", "Services"), ("Reagent Kit", "Consumables"), ("Filter Set", "Consumables"),
)  # fmt: skip
STAGES = ("Proposal/Price Quote", "Negotiation/Review", "Closed Won")
MOST_LINES = 3


def build(company: Company) -> dict[str, pa.Table]:
    """From the proposal on, a deal has one to three lines that add up to its amount, to the cent; they are made as it enters it."""
    rng = company.rng(3)
    begin = company.now - YEARS * 52 * 7 * DAY
    count = len(PRODUCTS)
    products = pa.table({
        "Id": texts(record_ids("01t", count)), "IsDeleted": pa.array([False] * count),
        "Name": texts([name for name, _ in PRODUCTS]), "ProductCode": texts([f"P-{n:03d}" for n in range(1, count + 1)]),
        "Family": texts([family for _, family in PRODUCTS]), "IsActive": pa.array([n != 1 for n in range(count)]),
        "CurrencyIsoCode": texts(np.full(count, "USD")), **stamps(np.full(count, begin)),
    })  # fmt: skip
    deals = company.tables["Opportunity"]
    cents = np.asarray(pc.cast(pc.multiply(deals["Amount"].cast(pa.float64()).fill_null(0), 100), pa.float64())).round()
    proposed = _proposed(company)
    chosen = np.flatnonzero((cents >= 1_000) & np.isfinite(proposed))
    lines = rng.integers(1, MOST_LINES + 1, len(chosen))
    deal = np.repeat(np.arange(len(chosen)), lines)
    last = np.zeros(len(deal), dtype=bool)
    last[np.cumsum(lines) - 1] = True
    whole = cents[chosen].astype(np.int64)
    part = np.where(last, 0, (whole[deal] * rng.uniform(0.15, 0.3, len(deal))).astype(np.int64))
    # the last line takes what is left, so that a deal and its lines agree
    part[last] = whole - np.bincount(deal, part, len(chosen)).astype(np.int64)
    wished = rng.integers(1, 9, len(deal))
    quantity = np.where(part % wished == 0, wished, 1)
    made = proposed[chosen][deal].astype(np.int64)
    changed = np.maximum(company.column("Opportunity", "SystemModstamp")[chosen][deal], made)
    source = deals.take(chosen[deal])
    items = pa.table({
        "Id": texts(record_ids("00k", len(deal))), "IsDeleted": source["IsDeleted"], "OpportunityId": source["Id"],
        "Product2Id": texts(record_ids("01t", count)[rng.integers(0, count, len(deal))]),
        "Quantity": pa.array(quantity.astype(np.float64)), "UnitPrice": money(part // quantity),
        "ListPrice": money(part // quantity), "TotalPrice": money(part),
        "Discount": pa.nulls(len(deal), pa.float64()), "ServiceDate": source["CloseDate"],
        "CurrencyIsoCode": source["CurrencyIsoCode"], **stamps(made, changed),
    })  # fmt: skip
    return {"Product2": products, "OpportunityLineItem": items}


def _proposed(company: Company) -> np.ndarray:
    """When each deal first came to a proposal by its history, seconds since 1970; NaN: never."""
    late = np.isin(company.column("OpportunityHistory", "StageName").astype("U40"), STAGES)
    ids = company.column("OpportunityHistory", "OpportunityId")[late].astype("U18")
    at = company.column("OpportunityHistory", "CreatedDate")[late]
    order = np.argsort(at, kind="stable")
    found, first = np.unique(ids[order], return_index=True)
    deals = company.column("Opportunity", "Id").astype("U18")
    if not len(found):
        return np.full(len(deals), np.nan)
    place = np.minimum(np.searchsorted(found, deals), len(found) - 1)
    return np.where(found[place] == deals, at[order][first[place]].astype(np.float64), np.nan)
