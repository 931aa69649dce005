"""The SQL test matrix: every offered expectation, through Great Expectations and the shim, against SQL written by hand."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagster_project.contracts import Definition, audit
from dagster_project.contracts.expectation_catalogue import OFFERED, REFUSED
from dagster_project.contracts.gx_duckdb import open_source

# expectation -> (arguments, SQL of a failing row among rows whose columns are all present)
MATRIX: dict[str, tuple[dict[str, Any], str]] = {
    "expect_column_values_to_not_be_null": ({"column": "amount"}, "amount IS NULL"),
    "expect_column_values_to_be_unique": (
        {"column": "stage_name"},
        "stage_name IN (SELECT stage_name FROM intermediate.int_audit__opportunity WHERE is_open GROUP BY 1 HAVING count(*) > 1)",
    ),
    "expect_column_values_to_be_between": ({"column": "amount", "min_value": 0, "max_value": 5, "strict_min": True}, "amount <= 0 OR amount > 5"),
    "expect_column_values_to_be_in_set": ({"column": "stage_name", "value_set": ["ab", "b%"]}, "stage_name NOT IN ('ab', 'b%')"),
    "expect_column_values_to_not_be_in_set": ({"column": "amount", "value_set": [0, 3]}, "amount IN (0, 3)"),
    "expect_column_value_lengths_to_equal": ({"column": "stage_name", "value": 2}, "length(stage_name) <> 2"),
    "expect_column_values_to_match_like_pattern": ({"column": "stage_name", "like_pattern": "a%"}, "stage_name NOT LIKE 'a%'"),
    "expect_column_values_to_not_match_like_pattern": ({"column": "stage_name", "like_pattern": "a%"}, "stage_name LIKE 'a%'"),
    "expect_column_values_to_match_like_pattern_list": (
        {"column": "stage_name", "like_pattern_list": ["a%", "é%"]}, "stage_name NOT LIKE 'a%' AND stage_name NOT LIKE 'é%'",
    ),
    "expect_column_values_to_not_match_like_pattern_list": (
        {"column": "stage_name", "like_pattern_list": ["a%", "%b"]}, "stage_name LIKE 'a%' OR stage_name LIKE '%b'",
    ),
    "expect_multicolumn_sum_to_equal": ({"column_list": ["amount", "days_open"], "sum_total": 3}, "amount + days_open <> 3"),
    "expect_multicolumn_values_to_be_equal": (
        {"column_list": ["stage_name", "last_history_stage_name", "step"]},
        "NOT (stage_name = last_history_stage_name AND last_history_stage_name = step)",
    ),
    "expect_column_pair_values_to_be_equal": ({"column_A": "stage_name", "column_B": "last_history_stage_name"}, "stage_name <> last_history_stage_name"),
    "expect_column_pair_values_a_to_be_greater_than_b": ({"column_A": "amount", "column_B": "days_open", "or_equal": True}, "amount < days_open"),
    "expect_select_column_values_to_be_unique_within_record": (
        {"column_list": ["stage_name", "last_history_stage_name", "step"]},
        "stage_name = last_history_stage_name OR stage_name = step OR last_history_stage_name = step",
    ),
}  # fmt: skip
_MISSING = {"breach": "R1", "unknown": "R2", "not_applicable": "R3"}


def definitions() -> list[Definition]:
    made = []
    for prefix, missing in enumerate(_MISSING, 1):
        for number, (name, (arguments, _)) in enumerate(MATRIX.items()):
            if name == "expect_column_values_to_not_be_null" and missing != "breach":
                continue
            made.append(Definition.model_validate({
                "id": f"R{prefix}{number:02}", "name": f"m{prefix}_{number}", "title": name, "version": 1, "entity": "opportunity",
                "sales_processes": "all", "when": [{"column": "is_open", "equals": True}], "missing": missing, "kind": "duty",
                "expectations": [{"expectation": name, "arguments": arguments}], "mode": "observe", "owner": "o",
                "accountable": "a", "agreed_by": "b", "agreed_on": "2026-01-01", "since": "2026-01-01", "why": "w", "fix": "f",
            }))  # fmt: skip
    return made


_text = st.none() | st.sampled_from(["", "a", "ab", "b%", "abc", "é'"])
_number = st.none() | st.integers(-2, 8)
_row = st.fixed_dictionaries({
    "is_open": st.sampled_from([True, True, True, False, None]), "stage_name": _text, "last_history_stage_name": _text,
    "step": _text, "amount": _number, "days_open": _number,
})  # fmt: skip


def test_the_matrix_covers_what_is_offered() -> None:
    assert set(MATRIX) == set(OFFERED)


def test_each_expectation_of_great_expectations_that_judges_rows_is_offered_or_refused_by_name() -> None:
    from great_expectations.expectations import expectation as base

    judging = (base.ColumnMapExpectation, base.ColumnPairMapExpectation, base.MulticolumnMapExpectation)
    core = {
        re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        for name, one in vars(gxe).items()
        if inspect.isclass(one) and issubclass(one, judging)
    }
    assert core == set(OFFERED) | set(REFUSED)
    assert not set(OFFERED) & set(REFUSED)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(_row, max_size=40))
def test_counts_are_those_of_plain_sql_and_add_up(
    rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory, scratch: Any, make: Any, here: Any
) -> None:
    folder = tmp_path_factory.mktemp("matrix")
    deals = [make.deal(f"d{n}", **row) for n, row in enumerate(rows)]
    path = scratch(folder / "w.duckdb", opportunities=deals)
    made = definitions()
    report = audit(path, made, folder / "state", as_of=make.AS_OF, run_id="one", record=False, process=here)
    for definition, result in zip(made, report.results, strict=True):
        assert result.raw == result.met + result.breached + result.not_applicable + result.unknown == len(rows)
        (expectation,) = definition.expectations
        missing = " OR ".join(f"{column} IS NULL" for column in expectation.columns)
        fails = MATRIX[expectation.expectation][1]
        breach = f"CASE WHEN {missing} THEN {definition.missing == 'breach'} ELSE ({fails}) END"
        unknown = f"is_open IS NULL OR (is_open AND ({missing}) AND {definition.missing == 'unknown'})"
        table = "intermediate.int_audit__opportunity"
        expected = make.query(path, f"SELECT row_key FROM {table} WHERE is_open AND {breach} ORDER BY 1")
        found = f"SELECT row_key FROM audit.verdict WHERE definition_id = '{definition.id}' AND status ="
        assert make.query(path, f"{found} 'breached' ORDER BY 1") == expected, definition.title
        expected = make.query(path, f"SELECT row_key FROM {table} WHERE {unknown} ORDER BY 1")
        assert make.query(path, f"{found} 'unknown' ORDER BY 1") == expected, definition.title


def test_the_shim_is_still_needed(tmp_path: Path, scratch: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails, Great Expectations audits DuckDB by itself: delete gx_duckdb.py."""
    from great_expectations.execution_engine import sqlalchemy_execution_engine as engine_module

    names = tuple(name for name in engine_module._PERSISTED_CONNECTION_DIALECTS if name != "duckdb")
    path = scratch(tmp_path / "w.duckdb", opportunities=[make.deal("a")])

    def judged(shimmed: bool) -> bool:
        monkeypatch.setattr(engine_module, "_PERSISTED_CONNECTION_DIALECTS", names)
        source = open_source(gx.get_context(mode="ephemeral"), path, shimmed=shimmed)
        asset = source.add_table_asset("t", table_name="int_audit__opportunity", schema_name="intermediate")
        batch = asset.add_batch_definition_whole_table("t").get_batch()
        return bool(batch.validate(gxe.ExpectColumnValuesToNotBeNull(column="row_key")).success)

    assert judged(True)
    try:
        alone = judged(False)
    except Exception:  # any failure will do: what it raises is Great Expectations' own affair
        alone = False
    assert not alone
