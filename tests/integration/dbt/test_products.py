"""Products of deals, as their lines stood at as_of."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

PUMP, VALVE = "01t000000000000001", "01t000000000000002"


@pytest.fixture
def day(bench: Any) -> Any:
    """An instant of January 2026, days after its first."""
    return lambda days: bench.utc(datetime(2026, 1, 1) + timedelta(days=days))  # noqa: DTZ001 (made UTC here)


def _row(key: str, at: Any, **fields: Any) -> dict[str, Any]:
    return {"Id": key, "IsDeleted": False, "CreatedDate": at, "LastModifiedDate": at, "SystemModstamp": at, **fields}


def test_lines_of_one_product_are_one_row_and_what_came_or_went_by_as_of_counts(bench: Any, day: Any) -> None:
    deal, gone = bench.deal(1)["Id"], bench.deal(2)["Id"]
    bench.land("Product2", [_row(PUMP, day(0), Name="Pump", Family="Machines"), _row(VALVE, day(0), Name="Valve")])
    bench.land("Opportunity", [bench.deal(1, mapped_segment=" North "), bench.deal(3, mapped_segment="")])
    bench.land(
        "Opportunity",
        [bench.deal(2, IsDeleted=True, LastModifiedDate=day(6), SystemModstamp=day(6))],
        operation="delete",
    )

    def line(number: int, at: Any, **fields: Any) -> dict[str, Any]:
        return _row(f"00k{number:015d}", at, **{"OpportunityId": deal, "Product2Id": PUMP, **fields})

    bench.land("OpportunityLineItem", [
        line(1, day(1), Quantity=0.1, TotalPrice="100.00"), line(2, day(1), Quantity=0.2, TotalPrice="50.00"),
        line(3, day(1), Product2Id=VALVE, TotalPrice="50.00"), line(4, day(20), Product2Id=VALVE, TotalPrice="900.00"),
        line(5, day(1), Product2Id=None, TotalPrice="7.00"),
        line(6, day(1), TotalPrice="5.00", IsDeleted=True, LastModifiedDate=day(5)),
        line(7, day(1), OpportunityId=gone, TotalPrice="0.00", IsDeleted=True, LastModifiedDate=day(6)),
    ])  # fmt: skip
    bench.control(as_of=datetime(2026, 1, 11))  # noqa: DTZ001 (as above)
    bench.build()
    made = day(1).replace(tzinfo=None)
    rows = bench.rows("select * from intermediate.int_opportunity_products order by opportunity_id, product_id")
    told = (
        "opportunity_id",
        "product_name",
        "product_family",
        "line_count",
        "first_line_at",
        "quantity",
        "total_price",
        "share_of_deal",
    )
    assert [tuple(row[name] for name in told) for row in rows] == [
        (deal, "Pump", "Machines", 2, made, 0.3, 150, 0.75),
        (deal, "Valve", None, 1, made, None, 50, 0.25),
        (gone, "Pump", "Machines", 1, made, None, 0, None),
    ]
    segments = bench.rows("select opportunity_id, segment from intermediate.int_opportunities order by opportunity_id")
    assert [row["segment"] for row in segments] == ["North", None, None]
