"""Layers of the dbt project, read from its manifest: only staging calls source(), views read marts only, and so on."""

from __future__ import annotations

import re
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


def test_what_works_on_changes_does_not_depend_on_as_of(manifest: Any) -> None:
    """An increment keeps rows that were built under another as_of: neither it nor what it rests on may read the run."""
    free = [node for node in _models(manifest) if "as_of_free" in node.tags]
    assert len(free) >= 3
    for node in _models(manifest):
        if _layer(node) == "intermediate":
            assert (node.config.materialized == "incremental") == bool(
                {"as_of_free", "deal_by_deal"} & set(node.tags)
            ), node.name
    todo, seen = [node.unique_id for node in free], set()
    while todo:
        key = todo.pop()
        if key in seen or key not in manifest.nodes or _layer(manifest.nodes[key]) != "intermediate":
            continue
        seen.add(key)
        parents = manifest.nodes[key].depends_on.nodes
        assert not [parent for parent in parents if parent.endswith(".stg_control__run")], key
        todo += parents


def test_what_works_deal_by_deal_rests_on_what_marks_a_deal(manifest: Any) -> None:
    """Such a model keeps rows of deals of which nothing changed: it may read nothing that `int_deal_state` does not sum up."""
    models = {node.name: node for node in _models(manifest)}
    kept = {node.name for node in models.values() if "deal_by_deal" in node.tags}
    assert len(kept) >= 11

    def parents(name: str) -> set[str]:
        return {key.split(".")[-1] for key in models[name].depends_on.nodes if key.startswith("model.")}

    views = {name for name, node in models.items() if node.config.materialized == "view"}
    # of record, history and record type alone, which are summed up
    histories = {"int_stage_timeline", "int_opportunity_history"}
    summed_up = parents("int_deal_state") | kept | histories | {"int_deal_state"}
    todo = set().union(*map(parents, kept))
    while todo:
        name = todo.pop()
        if name in summed_up:
            continue
        # a view holds nothing: what it reads counts
        assert name in views, name
        todo |= parents(name)
    assert kept <= parents("int_deals_reflected")
    for name in kept:
        assert [hook for hook in models[name].config.pre_hook if "delete_marked_deals" in hook.sql], name


def test_a_test_of_marked_deals_stands_before_they_are_taken_for_done(manifest: Any) -> None:
    """Where it fails the deals stay marked, and the next run looks at them again: dbt builds nothing behind a failed test."""
    (done,) = (node for node in _models(manifest) if node.name == "int_deals_reflected")
    before = {parent.unique_id for parent in _ancestors(manifest, done)}
    (state,) = (key for key in before if key.endswith(".int_deal_state"))
    of_marked = [
        node
        for node in manifest.nodes.values()
        if node.resource_type == "test" and state in node.depends_on.nodes and len(node.depends_on.nodes) > 1
    ]
    assert len(of_marked) > 15
    late = {node.name: set(node.depends_on.nodes) - before for node in of_marked}
    assert not {name: parents for name, parents in late.items() if parents}


def test_words_stored_by_number_are_columns_of_a_table_and_known(manifest: Any) -> None:
    """Of the process alone: a name that is erased from the rows would stay in the type of the column."""
    known = {"stage", "sales_process", "step", "location"}
    tables = [node for node in _models(manifest) if "words" in node.config.meta]
    assert len(tables) >= 8
    for node in tables:
        assert node.config.materialized == "table", node.name
        assert "marts" in _layer(node), node.name
        for column, words in node.config.meta["words"].items():
            assert node.columns[column].data_type == "varchar", f"{node.name}.{column}"
            if isinstance(words, str):
                assert words in known, f"{node.name}.{column}"
                assert "model.leanfunnel.int_words" in node.depends_on.nodes, node.name
            else:
                assert 0 < len(set(words)) == len(words), f"{node.name}.{column}"


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


CARRIED_BACK = "current value carried back"
FROM_HISTORY = "from history where it changed after as_of"
# columns that share a name with a carried-back one and are something else
NOT_CARRIED_BACK = {
    ("int_audit__currency", "currency_code"): "the currency's own key",
    ("int_opportunity_campaigns", "campaign_id"): "the first campaign in time, where no primary campaign is set",
    ("fct_opportunity_campaigns", "campaign_id"): "the first campaign in time, where no primary campaign is set",
    ("rpt_definition_scorecard", "sales_process"): "as audited on that day",
    ("rpt_definition_scorecard", "team_id"): "as audited on that day",
    ("rpt_definition_scorecard", "team_name"): "as audited on that day",
}
BACKTESTS = (
    "fct_win_curves",
    "fct_new_win_flow",
    "fct_pipeline_weeks",
    "rpt_forecast_calibration",
    "rpt_forecast_reliability",
)


def _ancestors(manifest: Any, node: Any) -> Iterator[Any]:
    for name in node.depends_on.nodes:
        if (parent := manifest.nodes.get(name)) is not None:
            yield parent
            yield from _ancestors(manifest, parent)


def _carried_back(node: Any) -> set[str]:
    return {name for name, column in node.columns.items() if CARRIED_BACK in column.description}


def test_a_column_that_knows_no_past_says_so_in_every_model_that_it_reaches(manifest: Any) -> None:
    """Where the records keep no history, a mart of a past as_of shows what stands now; the column says it, from its source on."""
    missing, marked = [], 0
    for node in _models(manifest):
        if _layer(node) not in ("intermediate", "marts", "views"):
            continue
        ancestors = {parent.unique_id: parent for parent in _ancestors(manifest, node)}.values()
        known = set().union(*(_carried_back(parent) for parent in ancestors if _layer(parent) == "intermediate"), set())
        told = _carried_back(node)
        marked += len(told)
        missing += [
            f"{node.name}.{name}"
            for name in known & set(node.columns) - told
            if (node.name, name) not in NOT_CARRIED_BACK
        ]
    assert not missing, missing
    assert marked > 100


def test_what_a_deal_was_comes_from_history_and_says_so(manifest: Any) -> None:
    models = {node.name: node for node in _models(manifest)}
    for name in ("int_opportunities", "fct_opportunities", "rpt_wip_aging", "fct_deal_forecasts"):
        for column in {"stage_name", "amount", "amount_corporate", "close_on"} & set(models[name].columns):
            assert FROM_HISTORY in models[name].columns[column].description, f"{name}.{column}"


def test_a_backtest_rests_on_no_value_that_was_carried_back_but_the_sales_process(manifest: Any) -> None:
    models = {node.name: node for node in _models(manifest)}
    for name in BACKTESTS:
        assert _carried_back(models[name]) <= {"sales_process"}, name


# DuckDB's own words for which a macro stands, or ought to
_DUCKDB_ONLY = re.compile(
    r"::|\bqualify\b|\bexclude\s*\(|\basof\b|\bdistinct on\b|"
    r"\b(unnest|generate_series|list_\w+|struct_pack|epoch\w*|strptime|strftime|string_agg|product|quantile\w*|median|hash|arg_max|"
    r"arg_min|date_diff|any_value|make_timestamp|regexp_matches)\s*\("
)


def test_what_engines_spell_differently_stands_in_macros(manifest: Any) -> None:
    wrong = []
    for node in manifest.nodes.values():
        if node.resource_type not in ("model", "test") or not node.original_file_path.endswith(".sql"):
            continue
        text = re.sub(r"--.*", "", re.sub(r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}", "", node.raw_code, flags=re.DOTALL))
        wrong += [f"{node.name}: {found.group()}" for found in _DUCKDB_ONLY.finditer(text)]
    assert not wrong, wrong


def test_a_macro_that_duckdb_spells_its_own_way_is_spelled_for_spark_too(manifest: Any) -> None:
    names = {macro.name for macro in manifest.macros.values() if macro.package_name == "leanfunnel"}
    duckdb = {name.removeprefix("duckdb__") for name in names if name.startswith("duckdb__")}
    spark = {name.removeprefix("spark__") for name in names if name.startswith("spark__")}
    # what is landed is staged where it is landed
    # and how a table is stored is each engine's own affair: dbt has its own macros for that
    of_storage = {"create_table_as", "format_column", "get_columns_in_relation", "get_table_columns_and_constraints"}
    assert duckdb - {"newest_versions"} - of_storage == spark
    assert len(spark) > 10


def test_what_a_run_tells_the_models_is_an_asset_each(manifest: Any) -> None:
    from dagster_project.assets.prepared import CONTROL_TABLES

    assert set(CONTROL_TABLES) == {one.name for one in manifest.sources.values() if one.source_name == "control"}
