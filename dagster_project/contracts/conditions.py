"""Conditions on an entity's columns: one structure, from which both Great Expectations' row condition and SQL are made.

In SQL a condition has three values; NULL means that nobody can say whether the definition applies to the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal, NamedTuple

Operator = Literal["==", "!=", "<", "<=", ">", ">=", "IN", "NOT_IN", "IS_NULL", "IS_NOT_NULL"]

# the word in a definition file -> the operator
WORDS: dict[str, Operator] = {
    "equals": "==", "not_equals": "!=", "less_than": "<", "at_most": "<=", "more_than": ">", "at_least": ">=",
    "in": "IN", "not_in": "NOT_IN", "is_null": "IS_NULL", "is_not_null": "IS_NOT_NULL",
}  # fmt: skip
_SQL = {"==": "=", "!=": "<>", "IN": "IN", "NOT_IN": "NOT IN"}


class Comparison(NamedTuple):
    """`column operator value`. `value` is a list for IN and NOT_IN and None for the two null operators."""

    column: str
    operator: Operator
    value: Any = None

    def sql(self) -> str:
        """As SQL, three-valued."""
        column = quoted(self.column)
        if self.operator == "IS_NULL":
            return f"{column} IS NULL"
        if self.operator == "IS_NOT_NULL":
            return f"{column} IS NOT NULL"
        if self.operator in ("IN", "NOT_IN"):
            return f"{column} {_SQL[self.operator]} ({', '.join(literal(item) for item in self.value)})"
        return f"{column} {_SQL.get(self.operator, self.operator)} {literal(self.value)}"

    def gx(self) -> dict[str, Any]:
        """As the JSON form of Great Expectations' row condition."""
        column = {"name": self.column}
        if self.operator in ("IS_NULL", "IS_NOT_NULL"):
            return {"type": "nullity", "column": column, "is_null": self.operator == "IS_NULL"}
        value = self.value.isoformat() if isinstance(self.value, (date, datetime)) else self.value
        return {"type": "comparison", "column": column, "operator": self.operator, "parameter": value}


def conjunction_sql(conditions: Sequence[Comparison]) -> str:
    """All of them as SQL; TRUE where there are none."""
    return " AND ".join(f"({condition.sql()})" for condition in conditions) or "TRUE"


def conjunction_gx(conditions: Sequence[Comparison]) -> dict[str, Any] | None:
    """All of them as one row condition in JSON form; None where there are none."""
    if not conditions:
        return None
    if len(conditions) == 1:
        return conditions[0].gx()
    return {"type": "and", "conditions": [condition.gx() for condition in conditions]}


def undecided_columns(conditions: Sequence[Comparison]) -> list[str]:
    """The columns whose missing value leaves a condition undecided."""
    named = (c.column for c in conditions if c.operator not in ("IS_NULL", "IS_NOT_NULL"))
    return list(dict.fromkeys(named))


def text(conditions: Sequence[Comparison]) -> str:
    """For people: `is_open equals true and days_open more than 21`."""
    words = {operator: word.replace("_", " ") for word, operator in WORDS.items()}
    return " and ".join(
        f"{c.column} {words[c.operator]}" + ("" if c.operator.startswith("IS_") else f" {shown(c.value)}")
        for c in conditions
    )


def shown(value: Any) -> str:
    """A value as a person writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(item) for item in value)
    return str(value)


def quoted(column: str) -> str:
    """A column name safe in SQL."""
    return '"' + column.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """A value as a SQL literal."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return "'" + str(value).replace("'", "''") + "'"
