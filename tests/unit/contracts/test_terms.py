"""Terms: each declared once, and every reference, in the models and in the definitions, resolves to that declaration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from dagster_project.contracts import DefinitionsError, load_definitions, load_terms
from dagster_project.contracts.entities import ENTITIES, TERMS, term_column
from dagster_project.contracts.terms import OBSERVED, condition_sql
from dagster_project.warehouse import stage_map

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = (ROOT / "expectations" / "terms.yml").read_text(encoding="utf-8")
MODELS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "dbt" / "models").rglob("*.sql"))}
_CALL = re.compile(r"\{\{\s*term\('(\w+)'\)\s*\}\}( as (\w+))?")


def test_every_reference_in_the_models_resolves_to_one_declaration() -> None:
    declared = [term.name for term in load_terms(ROOT / "expectations")]
    rendered = {model: _CALL.findall(sql) for model, sql in MODELS.items() if _CALL.search(sql)}
    assert sorted(declared) == sorted(TERMS)
    assert sorted(call[0] for calls in rendered.values() for call in calls) == sorted(declared), "each rendered once"
    assert all(call[2] == term_column(call[0]) for calls in rendered.values() for call in calls)


def test_no_model_spells_a_term_of_its_own() -> None:
    """A column of a term's name comes from the macro or from another model; what a term observes is read where it is rendered."""
    for model, sql in MODELS.items():
        for name in TERMS:
            spelled = re.findall(rf"(\S+) as {term_column(name)}\b", sql)
            carried = re.compile(rf"(\}}\}}|(\w+\.)?{term_column(name)}|false\))")
            assert all(carried.fullmatch(one) for one in spelled), (model, spelled)
        if model not in ("int_activity_records", "int_activity_log", "stg_salesforce__email_message"):
            assert not re.search(r"\bis_bounced\b|\bis_with_customer\b|\bhas_ended\b|Declined", sql), model


def test_every_reference_in_the_definitions_resolves(tmp_path: Path) -> None:
    shipped = load_definitions(ROOT / "expectations")
    named = {when.term for definition in shipped for when in definition.when if when.term}
    assert named <= set(TERMS)
    (tmp_path / "terms.yml").write_text(SHIPPED, encoding="utf-8")
    text = (ROOT / "expectations" / "opportunity.yml").read_text(encoding="utf-8")
    (tmp_path / "opportunity.yml").write_text(
        text.replace("{column: is_open, equals: true}", "{term: qualified}"), encoding="utf-8"
    )
    definition = next(one for one in load_definitions(tmp_path) if one.id == "R06")
    assert [one.sql() for one in definition.conditions] == ['"is_qualified" = TRUE']


def test_the_steps_have_one_order() -> None:
    spelled = [
        p for p in (ROOT / "dagster_project").rglob("*.py") if re.search(r"\"qualified\": 2\b", p.read_text("utf-8"))
    ]
    assert [path.name for path in spelled] == ["stage_map.py"]
    definition = next(one for one in load_definitions(ROOT / "expectations") if one.id == "R07")
    assert definition.from_step_rank == stage_map.STEP_RANKS["proposal"]


def test_what_is_observed_are_columns_of_the_models() -> None:
    for entity, model in (("opportunity", "int_opportunities"), ("activity", "int_activity_log")):
        assert all(re.search(rf"\b{column}\b", MODELS[model]) for column in OBSERVED[entity])
        assert all(term_column(name) in ENTITIES[entity].columns for name, of in TERMS.items() if of == entity)


@pytest.mark.parametrize(
    ("row", "held", "response"),
    [
        (("event", "outbound", True, True, False), True, True),
        (("event", "outbound", True, False, False), False, False),
        (("event", "internal", False, True, False), False, False),
        (("email", "inbound", True, True, False), False, True),
        (("email", "inbound", True, True, True), False, False),
        (("email", "outbound", True, True, False), False, False),
        (("email", None, True, True, False), False, False),
        (("task", "inbound", True, True, False), False, False),
        ((None, None, None, None, None), False, False),
    ],
)
def test_the_shipped_terms_say_what_they_said(row: tuple[Any, ...], held: bool, response: bool) -> None:
    terms = {term.name: term for term in load_terms(ROOT / "expectations")}
    sql = ", ".join(condition_sql(terms[name], list(terms.values())) for name in ("meeting_held", "customer_response"))
    columns = ", ".join(f"? AS {name}" for name in OBSERVED["activity"])
    assert duckdb.execute(f"SELECT {sql} FROM (SELECT {columns})", list(row)).fetchone() == (held, response)


def test_an_org_without_the_file_has_the_terms_shipped(tmp_path: Path) -> None:
    assert load_terms(tmp_path) == load_terms(ROOT / "expectations")


MISTAKES = {
    "no list": ("terms:", "term:", 9, "holds no list of terms"),
    "unknown term": ("name: qualified", "name: qualifid", 11, "Did you mean 'qualified'"),
    "name in capitals": ("name: qualified", "name: Qualified", 11, "small letters"),
    "declared twice": ("name: meeting_held", "name: qualified", 22, "declared twice"),
    "term left out": ("name: meeting_held", "name: qualified", 9, "'meeting_held' is not declared"),
    "of another entity": ("entity: opportunity", "entity: activity", 14, "is a term of opportunity"),
    "unknown entity": ("entity: opportunity", "entity: deal", 14, "Write one of"),
    "unknown key": ("    why: Both", "    wy: Both", 20, "Did you mean 'why'"),
    "no owner": ("    owner: rev-ops\n", "", 11, "'owner' is not said"),
    "version zero": ("version: 1", "version: 0", 13, "greater than or equal to 1"),
    "column misspelled": ("column: step,", "column: stp,", 16, "Did you mean 'step'"),
    "value of another type": ("equals: event", "equals: 3", 27, "is a text"),
    "no condition": ("    when:\n      - {column: step, in: [qualified, solution, proposal, commit, won]}\n", "", 11, "either `when` or `any_of`"),
    "term that is none": ("{term: meeting_held}", "{term: meeting}", 40, "Did you mean 'meeting_held'"),
    "term of another entity": ("{term: meeting_held}", "{term: qualified}", 40, "a term of opportunity"),
    "term beside a column": ("{term: meeting_held}", "{term: meeting_held, column: direction, equals: inbound}", 40, "stands beside"),
    "circular": ("- {column: activity_kind, equals: event}", "- {term: customer_response}", 26, "rests on itself"),
    "condition without column": ("{column: activity_kind, equals: event}", "{equals: event}", 27, "names no column"),
    "date malformed": ("agreed_on: 2026-01-01", "agreed_on: soon", 19, "2026-01-31"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_in_a_term_is_told_with_its_line_and_what_to_write(kind: str, tmp_path: Path) -> None:
    old, new, line, said = MISTAKES[kind]
    assert old in SHIPPED
    head, tail = SHIPPED.split("\nterms:", 1)
    tail = ("\nterms:" + tail).replace(old, new, 1)
    (tmp_path / "terms.yml").write_text(head + tail, encoding="utf-8")
    with pytest.raises(DefinitionsError) as caught:
        load_terms(tmp_path)
    assert all(mistake.what and mistake.todo for mistake in caught.value.mistakes)
    fitting = [one for one in caught.value.mistakes if said in f"{one.what} {one.todo}"]
    assert fitting, [str(one) for one in caught.value.mistakes]
    assert (Path(fitting[0].file).name, fitting[0].line) == ("terms.yml", line), fitting


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("{term: qualifid}", "Did you mean 'qualified'"),
        ("{term: customer_response}", "'opportunity' has no term 'customer_response'"),
        ("{term: qualified, equals: true}", "stands beside"),
        ("{equals: true}", "names no column"),
    ],
)
def test_a_definition_that_names_a_term_wrongly_is_refused(condition: str, said: str, tmp_path: Path) -> None:
    text = (ROOT / "expectations" / "opportunity.yml").read_text(encoding="utf-8")
    (tmp_path / "opportunity.yml").write_text(text.replace("{column: is_open, equals: true}", condition, 1), "utf-8")
    with pytest.raises(DefinitionsError, match=re.escape(said)):
        load_definitions(tmp_path)


def test_the_file_shipped_is_plain_yaml() -> None:
    assert [term["name"] for term in yaml.safe_load(SHIPPED)["terms"]] == list(TERMS)
