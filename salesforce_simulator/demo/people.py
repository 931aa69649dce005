"""What more the company keeps of its contacts: role, source, whom they report to. Adds columns to Contact, moves none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from salesforce_simulator.demo.columns import Company, texts

_DEPARTMENTS = np.array(["Operations", "Laboratory", "Purchasing", "Finance"], dtype=object)
_SOURCES = np.array(["Web", "Phone Inquiry", "Partner Referral", "Other"], dtype=object)


def build(company: Company) -> dict[str, pa.Table]:
    """Contact with further columns; the second contact of an account reports to the first."""
    rng, contacts = company.rng(6), company.tables["Contact"]
    count = contacts.num_rows
    second = np.arange(count) % 2 == 1
    first = company.column("Contact", "Id")[np.arange(count) // 2 * 2]
    more = {
        "MasterRecordId": pa.nulls(count, pa.string()), "ReportsToId": texts(first, second),
        "Department": texts(_DEPARTMENTS[rng.integers(0, 4, count)]), "LeadSource": texts(_SOURCES[rng.integers(0, 4, count)]),
        "IsEmailBounced": pa.array(rng.random(count) < 0.02), "CurrencyIsoCode": texts(np.full(count, "USD")),
        "Phone": texts([f"+1 556 {n:07d}" for n in range(count)]), "LastActivityDate": pa.nulls(count, pa.date32()),
    }  # fmt: skip
    for name, column in more.items():
        contacts = contacts.append_column(name, column)
    return {"Contact": contacts}
