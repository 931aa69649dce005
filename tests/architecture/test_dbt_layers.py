"""Layers of the dbt project, read from its manifest: only staging calls source(), views read marts only, and so on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_READ = {
    "staging": {"source", "staging"},
    "intermediate": {"staging", "intermediate", "seed"},
    "marts": {"intermediate", "marts", "staging_audit", "staging_control"},
    "views": {"marts"},
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from dbt.cli.main import dbtRunner

    place = tmp_path_factory.mktemp("dbt")
    project = str(ROOT / "dbt")
    result = dbtRunner().invoke(
        ["parse", "--project-dir", project, "--profiles-dir", project, "--target-path", str(place), "--log-path", str(place),
         "--quiet"]
    )  # fmt: skip
    assert result.success, result.exception
    return result.result


def _layer(node: Any) -> str:
    if node.resource_type in ("source", "seed"):
        return str(node.resource_type)
    parts = Path(node.original_file_path).parts
    layer = parts[1]
    return f"staging_{parts[2]}" if layer == "staging" and parts[2] in ("audit", "control") else layer


def _models(manifest: Any) -> Iterator[Any]:
    return (node for node in manifest.nodes.values() if node.resource_type == "model")


def test_each_model_reads_only_what_its_layer_may(manifest: Any) -> None:
    everything = {**manifest.nodes, **manifest.sources}
    wrong = []
    for node in _models(manifest):
        layer = _layer(node)
        allowed = MAY_READ["staging" if layer.startswith("staging") else layer]
        for parent_id in node.depends_on.nodes:
            parent = _layer(everything[parent_id])
            if parent not in allowed and not (parent.startswith("staging") and "staging" in allowed):
                wrong.append(f"{node.name} ({layer}) reads {parent_id} ({parent})")
    assert not wrong, wrong


def test_every_model_is_tagged_for_one_selection_and_lies_in_its_database(manifest: Any) -> None:
    for node in _models(manifest):
        phases = {"conform", "measure"} & set(node.tags)
        assert len(phases) == 1, f"{node.name}: {node.tags}"
        expected = "conformed" if phases == {"conform"} else "leanfunnel"
        assert node.database == expected, f"{node.name} lies in {node.database}"


def test_no_model_is_ephemeral(manifest: Any) -> None:
    # one manifest serves several builds; dbt adds an ephemeral parent to it in the first only
    assert not [node.name for node in _models(manifest) if node.config.materialized == "ephemeral"]


def test_every_mart_and_view_has_an_enforced_contract_and_says_its_grain_first(manifest: Any) -> None:
    for node in _models(manifest):
        if _layer(node) in ("marts", "views"):
            assert node.contract.enforced, node.name
            assert node.description.strip().lower().startswith("grain"), f"{node.name}: {node.description[:60]!r}"
            undescribed = [name for name, column in node.columns.items() if not column.description]
            assert not undescribed, f"{node.name}: {undescribed}"


def test_each_row_of_an_audited_entity_is_judged_once(manifest: Any) -> None:
    """Verdicts are keyed by row_key, which the audit relies on and does not count again."""
    unique = {
        node.attached_node
        for node in manifest.nodes.values()
        if getattr(node, "column_name", None) == "row_key" and node.test_metadata.name in ("unique", "primary_key")
    }
    audited = {node.unique_id for node in _models(manifest) if node.name.startswith("int_audit__")}
    assert audited
    assert audited <= unique, audited - unique


def test_no_model_reads_a_clock(manifest: Any) -> None:
    clocks = ("current_timestamp", "now()", "current_date", "getdate", "today()", "get_current_timestamp")
    for node in _models(manifest):
        code = node.raw_code.lower()
        assert not [clock for clock in clocks if clock in code], node.name


def test_every_number_of_a_view_with_both_bases_is_declared_additive_or_says_why_not(manifest: Any) -> None:
    """The inventory behind the split into evidenced stages: a column that is left out of it would be split nowhere."""
    wrong, both, additive = [], set(), 0
    for node in _models(manifest):
        if _layer(node) != "views" or "basis" not in node.columns:
            continue
        both.add(node.name)
        for name, column in node.columns.items():
            if (column.data_type or "").split("(")[0] not in ("bigint", "integer", "double", "decimal"):
                continue
            declared = column.config.meta.get("additive")
            additive += declared is True
            exact = (column.data_type or "").split("(")[0] in ("bigint", "decimal")
            if declared is True and not exact:
                wrong.append(f"{node.name}.{name}: a float cannot be split exactly")
            if declared is not True and not (declared is False and column.config.meta.get("why")):
                wrong.append(f"{node.name}.{name}: neither additive nor additive: false with why")
    assert not wrong, wrong
    assert additive > 25
    (split,) = (node for node in manifest.nodes.values() if node.name == "assert_additive_columns_are_split")
    assert both == {parent.split(".")[-1] for parent in split.depends_on.nodes} - {"rpt_evidenced_split"}
