"""A stage entry as SQL over time: dbt finds by it when a deal first showed what the contract judges, at the same threshold.

dbt lists what could be seen of a deal and when (`int_stage_evidence`); here is which column each kind of evidence shows and
the condition that a definition puts on it. Belongs here: that condition. Does not: the verdict of today (verdicts).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster_project.contracts.conditions import Comparison, conjunction_sql, literal, quoted

if TYPE_CHECKING:
    from dagster_project.contracts.definition import Definition, Expectation

SHOWN_IN = {"amount": "amount", "contact_role": "contact_role_count", "meeting_held": "meeting_held_at"}
"""The column of the entity opportunity in which each kind of evidence is judged."""
SEGMENTS = ("sales_process", "segment", "opportunity_type", "currency_code", "account_id", "owner_id")
"""What says which deals a stage entry is asked of: what a deal is. Where it stands changes with time, and `from_step` says it."""
_NOT_NULL, _BETWEEN = "expect_column_values_to_not_be_null", "expect_column_values_to_be_between"
OVER_TIME = (_NOT_NULL, _BETWEEN, "expect_column_values_to_be_in_set")
"""The expectations that can be judged at each moment."""


def evidence_sql(definition: Definition) -> str | None:
    """What the evidence must show, as SQL over the columns of `SHOWN_IN`; None for other kinds than a stage entry.

    True where Great Expectations would find nothing to say; a missing value is no evidence.
    """
    if definition.kind != "stage_entry" or definition.evidence is None:
        return None
    parts = [
        " AND ".join([conjunction_sql(one.segment), *(f"({_met(part)})" for part in one.definition.expectations)])
        for one in definition.variants
    ]
    return " OR ".join(f"({part})" for part in parts)


def asked_sql(definition: Definition) -> str | None:
    """Of which deals the evidence is asked, as SQL over the columns of `SEGMENTS`; None for other kinds than a stage entry."""
    if definition.kind != "stage_entry":
        return None
    parts = [conjunction_sql([c for c in one.conditions if c.column in SEGMENTS]) for one in definition.variants]
    return " OR ".join(f"({part})" for part in parts)


def _met(expectation: Expectation) -> str:
    (column,), arguments = expectation.columns, expectation.arguments
    if expectation.expectation == _BETWEEN:
        bounds = []
        if (low := arguments.get("min_value")) is not None:
            bounds.append(f"{quoted(column)} {'>' if arguments.get('strict_min') else '>='} {literal(low)}")
        if (high := arguments.get("max_value")) is not None:
            bounds.append(f"{quoted(column)} {'<' if arguments.get('strict_max') else '<='} {literal(high)}")
        return " AND ".join(bounds)
    if expectation.expectation == _NOT_NULL:
        return f"{quoted(column)} IS NOT NULL"
    return Comparison(column, "IN", arguments["value_set"]).sql()
