"""A generated company: causes are planted, records follow, and the truth is written apart.

`generate` gives a `DemoOrg`: `tables` (Arrow, by object, API names) and `truth`. The table
`OpportunityStagePicklist` (RecordTypeId, StageName, Label, Position) says which stages each record type offers, in
order, closed ones included; `picklists` is the same, {record type id: [(value, label)]}. Nothing here evaluates a rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from salesforce_simulator.demo import campaigns, company, flow, leads, people, products, service, targets, traces
from salesforce_simulator.demo.columns import Company
from salesforce_simulator.demo.planting import plan
from salesforce_simulator.demo.records import Writer
from salesforce_simulator.ids import numbered

_NOW = datetime(2026, 7, 1, tzinfo=UTC)


@dataclass(frozen=True)
class DemoOrg:
    """Tables by object, what was planted, and the stages of each record type."""

    tables: dict[str, pa.Table]
    truth: dict[str, Any]
    picklists: dict[str, list[tuple[str, str]]]


def generate(seed: int = 7, opportunities: int = 5000, now: datetime = _NOW, *, activities: bool = True) -> DemoOrg:
    """The company of this seed at `now` (UTC), three years long. Without `activities` there are no contact roles and no
    activities, and then truth holds no breaches of rules 8 to 10."""
    seconds = int(now.timestamp())
    rng = np.random.default_rng(seed)
    deals = flow.run(rng, opportunities, seconds)
    planned = plan(rng, deals, seconds)
    rows = company.build(rng, datetime.fromtimestamp(seconds, UTC), opportunities)
    writer = Writer(rng, planned, seconds, rows)
    for i, deal in enumerate(deals):
        writer.deal(i, deal, activities=activities)
    rows |= {name: made for name, made in writer.rows.items() if made}
    tables = {name: _table(made) for name, made in rows.items()}
    for part in (people, leads, campaigns, products, targets, service, traces):
        tables |= part.build(Company(tables, seed, seconds))
    offered = company.picklists()
    tables["OpportunityStagePicklist"] = pa.Table.from_pylist([
        {"RecordTypeId": r, "StageName": value, "Label": label, "Position": n}
        for r, stages in offered.items() for n, (value, label) in enumerate(stages, start=1)
    ])  # fmt: skip
    judged = range(2, 11 if activities else 8)
    truth = {
        "counts": {name: table.num_rows for name, table in tables.items() if name != "OpportunityStagePicklist"},
        "breaches": {str(r): sorted(numbered("006", i + 1) for i in planned.breach[r]) for r in judged},
        "near_misses": {str(r): sorted(numbered("006", i + 1) for i in planned.near[r]) for r in judged},
        "transitions": flow.planted_transitions(),
        "constraint": {"location": "selling", "sales_process": flow.CONSTRAINT[0], "stage": flow.CONSTRAINT[1]},
        "now": now.isoformat(),
    }
    return DemoOrg(tables, truth, offered)


def _table(rows: company.Rows) -> pa.Table:
    table = pa.Table.from_pylist(rows)
    for n, column in enumerate(table.schema):
        if pa.types.is_null(column.type):
            table = table.set_column(n, column.name, pa.nulls(len(table), pa.string()))
        elif column.name == "Amount":
            table = table.set_column(n, column.name, table["Amount"].cast(pa.decimal128(18, 2)))
    return table
