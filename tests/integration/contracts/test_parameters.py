"""One definition with other thresholds by sales process and segment: in verdicts, texts and evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagster_project.contracts import audit, load_definitions
from dagster_project.contracts.evidence import asked_sql, evidence_sql
from dagster_project.contracts.loading import json_schema

SHIPPED = Path(__file__).resolve().parents[3] / "expectations" / "opportunity.yml"


def _changed(folder: Path, rule: str, *changes: tuple[str, str]) -> Any:
    head, *entries = SHIPPED.read_text(encoding="utf-8").split("  - id: ")
    (text,) = (entry for entry in entries if entry.startswith(rule))
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "opportunity.yml").write_text(f"{head}  - id: {text}", encoding="utf-8")
    (definition,) = load_definitions(folder)
    return definition


@pytest.fixture
def slow_renewals(tmp_path: Path) -> Any:
    """R09 with 45 days for renewals, and with 7 for deals in yen, whatever their process."""
    by = "\n      max_days: 21\n      by:\n        sales_process: {Renewal: {max_days: 45}}\n        currency_code: {JPY: {max_days: 7}}"
    return _changed(tmp_path, "R09", ("parameters: {max_days: 21}", f"parameters:{by}"))


def _deal(make: Any, key: str, days: int | None, **more: Any) -> dict[str, Any]:
    return make.deal(key, days_since_customer_response=days, days_open=60, **more)


def test_each_process_and_segment_is_judged_by_its_own_threshold(
    slow_renewals: Any, tmp_path: Path, scratch: Any, make: Any, here: Any
) -> None:
    renewal = {"sales_process": "Renewal"}
    deals = [
        _deal(make, "new-breach", 22), _deal(make, "new-near", 21), _deal(make, "new-none", None),
        _deal(make, "renewal-breach", 46, **renewal), _deal(make, "renewal-near", 45, **renewal),
        _deal(make, "renewal-young", 50, **renewal) | {"days_open": 40},
        _deal(make, "yen-breach", 8, currency_code="JPY"), _deal(make, "yen-near", 7, currency_code="JPY"),
        _deal(make, "yen-renewal-breach", 8, currency_code="JPY", **renewal),
        _deal(make, "nobody-knows", 99, sales_process=None), _deal(make, "closed", 99, is_open=False, sales_process=None),
    ]  # fmt: skip
    path = scratch(tmp_path / "w.duckdb", opportunities=deals)
    report = audit(path, [slow_renewals], tmp_path / "state", as_of=make.AS_OF, run_id="one", process=here)
    found = make.query(path, "SELECT row_key, status, cause, threshold FROM audit.verdict ORDER BY 1")
    text = "a response in the last {} days"
    assert found == [
        ("new-breach", "breached", None, text.format(21)), ("new-none", "breached", None, text.format(21)),
        ("nobody-knows", "unknown", "sales_process missing", None), ("renewal-breach", "breached", None, text.format(45)),
        ("yen-breach", "breached", None, text.format(7)), ("yen-renewal-breach", "breached", None, text.format(7)),
    ]  # fmt: skip
    (result,) = report.results
    assert (result.raw, result.met, result.breached, result.not_applicable, result.unknown) == (11, 3, 5, 2, 1)
    assert result.threshold.startswith("a response in the last 21 days; ")
    assert (
        "sales_process equals Renewal and currency_code not in JPY: a response in the last 45 days" in result.threshold
    )


def test_a_threshold_by_process_is_that_of_the_evidence_too(tmp_path: Path) -> None:
    import duckdb

    definition = _changed(
        tmp_path, "R07",
        ("min_value: 0", "min_value: $least"),
        ("threshold: an amount above 0", "parameters: {least: 0, by: {sales_process: {Renewal: {least: 500}}}}\n    threshold: above $least"),
    )  # fmt: skip
    rows = (
        "(VALUES ('New', 1), ('New', 0), ('Renewal', 501), ('Renewal', 500), (NULL, 900)) AS t (sales_process, amount)"
    )
    with duckdb.connect() as connection:
        met = connection.execute(f"SELECT {evidence_sql(definition)}, {asked_sql(definition)} FROM {rows}").fetchall()
    assert met == [(True, True), (False, True), (True, True), (False, True), (None, None)]


def test_the_schema_for_editors_knows_parameters() -> None:
    schema = json_schema()["$defs"]
    assert set(schema["Parameters"]["properties"]) == {"by"}
    assert schema["Parameters"]["additionalProperties"]
    assert any("pattern" in one for one in schema["When"]["properties"]["more_than"]["anyOf"])
