"""The Great Expectations core expectations that a definition may use, each with its arguments and the columns it reads.

Offered is what judges single rows and gives on DuckDB, through `gx_duckdb`, the same rows as plain SQL (the SQL test matrix
in the tests). Of Great Expectations' own that judge rows, `REFUSED` says of each other one why it is not; those that judge
the table as a whole are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Offered:
    """`columns`: arguments that name a column or a list of them. `arguments`: the others, name -> kind of value.

    `needs_one_of`: at least one of these must be given. `types`: what the columns must hold; empty means anything.
    """

    columns: tuple[str, ...]
    arguments: Mapping[str, str]
    required: tuple[str, ...] = ()
    needs_one_of: tuple[str, ...] = ()
    types: frozenset[str] = frozenset()
    fixed: Mapping[str, Any] | None = None


_PAIR = {"ignore_row_if": "either_value_is_missing"}
_MANY = {"ignore_row_if": "any_value_is_missing"}
_TEXT = frozenset({"text"})
_ORDERED = frozenset({"number", "date", "timestamp"})

OFFERED: dict[str, Offered] = {
    "expect_column_values_to_not_be_null": Offered(("column",), {}),
    "expect_column_values_to_be_unique": Offered(("column",), {}),
    "expect_column_values_to_be_between": Offered(
        ("column",),
        {"min_value": "bound", "max_value": "bound", "strict_min": "boolean", "strict_max": "boolean"},
        needs_one_of=("min_value", "max_value"),
        types=_ORDERED,
    ),
    "expect_column_values_to_be_in_set": Offered(("column",), {"value_set": "list"}, required=("value_set",)),
    "expect_column_values_to_not_be_in_set": Offered(("column",), {"value_set": "list"}, required=("value_set",)),
    "expect_column_value_lengths_to_equal": Offered(
        ("column",), {"value": "integer"}, required=("value",), types=_TEXT
    ),
    "expect_column_values_to_match_like_pattern": Offered(
        ("column",), {"like_pattern": "text"}, required=("like_pattern",), types=_TEXT
    ),
    "expect_column_values_to_not_match_like_pattern": Offered(
        ("column",), {"like_pattern": "text"}, required=("like_pattern",), types=_TEXT
    ),
    "expect_column_values_to_match_like_pattern_list": Offered(
        ("column",), {"like_pattern_list": "list"}, required=("like_pattern_list",), types=_TEXT
    ),
    "expect_column_values_to_not_match_like_pattern_list": Offered(
        ("column",), {"like_pattern_list": "list"}, required=("like_pattern_list",), types=_TEXT
    ),
    "expect_multicolumn_sum_to_equal": Offered(
        ("column_list",), {"sum_total": "bound"}, required=("sum_total",), types=frozenset({"number"}), fixed=_MANY
    ),
    "expect_multicolumn_values_to_be_equal": Offered(("column_list",), {}, fixed=_MANY),
    "expect_column_pair_values_to_be_equal": Offered(("column_A", "column_B"), {}, fixed=_PAIR),
    "expect_column_pair_values_a_to_be_greater_than_b": Offered(
        ("column_A", "column_B"), {"or_equal": "boolean"}, types=_ORDERED, fixed=_PAIR
    ),
    "expect_select_column_values_to_be_unique_within_record": Offered(("column_list",), {}, fixed=_MANY),
}

_REGEX = "DuckDB's regular expressions match the whole value, other engines' a part: use a like_pattern"
_UNBOUND = "its query comes with parameters that nobody fills in, so that the failing rows cannot be found"
_NO_SQL = "Great Expectations judges it outside SQL only"
_OF_COLUMN = "it judges the column's type, not the rows"
REFUSED: dict[str, str] = {
    "expect_column_values_to_be_null": "an empty value is judged by `missing`: write the condition that must not hold under `when`",
    "expect_column_values_to_match_regex": _REGEX,
    "expect_column_values_to_not_match_regex": _REGEX,
    "expect_column_values_to_match_regex_list": _REGEX,
    "expect_column_values_to_not_match_regex_list": _REGEX,
    "expect_column_value_lengths_to_be_between": _UNBOUND,
    "expect_column_pair_values_to_be_in_set": _UNBOUND,
    "expect_compound_columns_to_be_unique": _UNBOUND,
    "expect_column_values_to_be_of_type": _OF_COLUMN,
    "expect_column_values_to_be_in_type_list": _OF_COLUMN,
    "expect_column_values_to_be_increasing": _NO_SQL,
    "expect_column_values_to_be_decreasing": _NO_SQL,
    "expect_column_values_to_be_dateutil_parseable": _NO_SQL,
    "expect_column_values_to_match_strftime_format": _NO_SQL,
    "expect_column_values_to_be_json_parseable": _NO_SQL,
    "expect_column_values_to_match_json_schema": _NO_SQL,
    "expect_column_values_to_not_be_outliers": _NO_SQL,
    "expect_column_value_z_scores_to_be_less_than": "its threshold moves with the other rows, so that no record can be mended by itself",
    "expect_multicolumn_values_to_be_unique": "Great Expectations replaced it: use expect_select_column_values_to_be_unique_within_record",
}
"""Great Expectations' own that judge rows and are not offered, each with the reason."""

SAID_ELSEWHERE = {
    "mostly": "write `mostly:` beside `mode:`, once per definition",
    "row_condition": "write `when:`",
    "condition_parser": "write `when:`",
    "ignore_row_if": "write `missing:`",
    "severity": "write `kind:`",
    "meta": "write `why:` and `fix:`",
    "notes": "write `why:`",
    "result_format": "leave it out",
}
"""Arguments of Great Expectations that this language says in its own words."""


def class_name(expectation: str) -> str:
    """The Great Expectations class of an expectation: expect_a_b -> ExpectAB."""
    return "".join(part.capitalize() for part in expectation.split("_"))
