"""Conditions of a query to SQL, with each literal checked against the type of its field and bound as a parameter."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import NoReturn

from salesforce_simulator import ids, schema
from salesforce_simulator.soql.dates import date_range
from salesforce_simulator.soql.lexer import malformed
from salesforce_simulator.soql.tree import Comparison, Condition, Expression, Literal, Query

_TYPE_WORD = {"datetime": "dateTime", "id": "ID", "reference": "ID"}
_PLAIN = ("=", "!=", "<", "<=", ">", ">=")


class Parameters:
    """The values of a statement, bound by name, so that no text of a query ever becomes SQL."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}

    def add(self, value: object) -> str:
        """Binds a value; returns its placeholder."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"${name}"


class Conditions:
    """Compiles the conditions of one SELECT.

    `typed` gives SQL, type and name of an expression and raises where it may not stand; `subquery` compiles the query
    of an IN. Nulls follow SOQL: a comparison with a missing value is false, `!=` and NOT of it true.
    """

    def __init__(
        self,
        text: str,
        parameters: Parameters,
        typed: Callable[[Expression], tuple[str, schema.Field]],
        subquery: Callable[[Query], str],
        today: date,
        fiscal_month: int,
    ) -> None:
        self.text, self.parameters, self.typed, self.subquery = text, parameters, typed, subquery
        self.today, self.fiscal_month = today, fiscal_month

    def sql(self, condition: Condition) -> str:
        """The condition as a boolean expression that is never null."""
        if isinstance(condition, Comparison):
            return self._comparison(condition)
        if condition.operator == "NOT":
            return f"(NOT {self.sql(condition.terms[0])})"
        return "(" + f" {condition.operator} ".join(self.sql(t) for t in condition.terms) + ")"

    def _fail(self, at: int, message: str, code: str = "INVALID_FIELD") -> NoReturn:
        raise malformed(self.text, at, message, code)

    def _comparison(self, comparison: Comparison) -> str:
        left, kind = self.typed(comparison.left)
        if not kind.filterable:
            self._fail(comparison.at, f"field '{kind.name}' can not be filtered in a query call")
        operator, right = comparison.operator, comparison.right
        if isinstance(right, Query):
            if kind.type not in schema.ID_TYPES:
                self._fail(
                    comparison.at,
                    "semi join sub-selects are only allowed on id and reference fields",
                    "MALFORMED_QUERY",
                )
            inner = f"coalesce({left} IN ({self.subquery(right)}), false)"
            return f"(NOT {inner})" if operator == "NOT IN" else inner
        if isinstance(right, tuple):
            return self._list(comparison, left, kind, right)
        if right.kind == "null":
            if operator not in ("=", "!="):
                self._fail(right.at, f"invalid operator {operator} with null", "INVALID_QUERY_FILTER_OPERATOR")
            return f"({left} IS {'NOT ' if operator == '!=' else ''}NULL)"
        if operator == "LIKE":
            if kind.storage != "VARCHAR" or kind.type in schema.ID_TYPES:
                self._fail(comparison.at, f"invalid operator on {kind.type} field", "INVALID_QUERY_FILTER_OPERATOR")
            if right.kind != "string":
                self._wrong_type(kind, right)
            return f"coalesce({left} ILIKE {self.parameters.add(right.pattern)} ESCAPE '\\', false)"
        if operator not in _PLAIN:
            self._fail(comparison.at, f"unexpected operator {operator}", "MALFORMED_QUERY")
        if right.kind == "date_literal":
            return self._range(left, kind, operator, right)
        if kind.type == "boolean" and operator not in ("=", "!="):
            self._fail(comparison.at, "invalid operator on boolean field", "INVALID_QUERY_FILTER_OPERATOR")
        side = self._side(left, kind)
        value = self._value(kind, right)
        if operator == "=":
            return f"coalesce({side} = {value}, false)"
        if operator == "!=":
            return f"({side} IS DISTINCT FROM {value})"
        return f"coalesce({side} {operator} {value}, false)"

    def _list(self, comparison: Comparison, left: str, kind: schema.Field, values: tuple[Literal, ...]) -> str:
        operator = comparison.operator
        if operator in ("INCLUDES", "EXCLUDES"):
            if kind.type != "multipicklist":
                self._fail(comparison.at, f"invalid operator on {kind.type} field", "INVALID_QUERY_FILTER_OPERATOR")
            options = []
            for value in values:
                if value.kind != "string":
                    self._wrong_type(kind, value)
                wanted = self.parameters.add([part.lower() for part in value.text.split(";")])
                options.append(f"list_has_all(string_split(lower({left}), ';'), {wanted})")
            inside = f"coalesce({' OR '.join(options)}, false)"
            return f"(NOT {inside})" if operator == "EXCLUDES" else inside
        parts = []
        plain = [v for v in values if v.kind not in ("null", "date_literal")]
        if plain:
            placeholders = ", ".join(self._value(kind, v) for v in plain)
            parts.append(f"coalesce({self._side(left, kind)} IN ({placeholders}), false)")
        parts += [self._range(left, kind, "=", v) for v in values if v.kind == "date_literal"]
        if any(v.kind == "null" for v in values):
            parts.append(f"({left} IS NULL)")
        inside = "(" + " OR ".join(parts) + ")"
        return f"(NOT {inside})" if operator == "NOT IN" else inside

    @staticmethod
    def _side(left: str, kind: schema.Field) -> str:
        # the service compares text whatever its case, ids exactly
        return f"lower({left})" if kind.storage == "VARCHAR" and kind.type not in schema.ID_TYPES else left

    def _value(self, kind: schema.Field, literal: Literal) -> str:
        add = self.parameters.add
        if kind.type in schema.ID_TYPES:
            if literal.kind != "string":
                self._wrong_type(kind, literal)
            if not ids.is_id(literal.text):
                self._fail(literal.at, f"invalid ID field: {literal.text}", "INVALID_QUERY_FILTER_OPERATOR")
            return add(ids.to_18(literal.text))
        if kind.storage == "VARCHAR":
            if literal.kind != "string":
                self._wrong_type(kind, literal)
            return f"lower({add(literal.text)})"
        if kind.type == "boolean":
            if literal.kind != "boolean":
                self._wrong_type(kind, literal)
            return add(literal.text == "true")
        if kind.type in schema.NUMBER_TYPES:
            if literal.kind != "number":
                self._wrong_type(kind, literal)
            return f"CAST({add(literal.text)} AS DOUBLE)" if self._finite(literal) else self._wrong_type(kind, literal)
        if kind.type != literal.kind:
            self._wrong_type(kind, literal)
        try:
            if kind.type == "date":
                return add(date.fromisoformat(literal.text))
            return add(_instant(literal.text))
        except (ValueError, OverflowError):
            self._fail(literal.at, f"Invalid {kind.type}: {literal.text}", "MALFORMED_QUERY")

    @staticmethod
    def _finite(literal: Literal) -> bool:
        return abs(float(literal.text)) < 1e300

    def _wrong_type(self, kind: schema.Field, literal: Literal) -> NoReturn:
        wanted = _TYPE_WORD.get(kind.type, "string" if kind.storage == "VARCHAR" else kind.type)
        quotes = ""
        if literal.kind == "string" and kind.storage != "VARCHAR":
            quotes = " and should not be enclosed in quotes"
        elif literal.kind != "string" and kind.storage == "VARCHAR":
            quotes = " and should be enclosed in quotes"
        self._fail(literal.at, f"value of filter criterion for field '{kind.name}' must be of type {wanted}{quotes}")

    def _range(self, left: str, kind: schema.Field, operator: str, literal: Literal) -> str:
        if kind.type not in ("date", "datetime"):
            self._wrong_type(kind, literal)
        try:
            start, end = date_range(literal.text, literal.n, self.today, self.fiscal_month)
        except (ValueError, OverflowError):
            self._fail(literal.at, f"{literal.text}:{literal.n} leaves the calendar", "MALFORMED_QUERY")
        bound = lambda day: self.parameters.add(day if kind.type == "date" else datetime.combine(day, time()))  # noqa: E731
        if operator in ("=", "!="):
            inside = f"coalesce({left} >= {bound(start)} AND {left} < {bound(end)}, false)"
            return f"(NOT {inside})" if operator == "!=" else inside
        form, day = {"<": ("<", start), "<=": ("<", end), ">": (">=", end), ">=": (">=", start)}[operator]
        return f"coalesce({left} {form} {bound(day)}, false)"


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text.upper())
    # the service ignores what is less than a second
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0)
