"""Terms that marts and contracts share, as `expectations/terms.yml` declares them: their shape and their SQL.

dbt renders a term as the column `is_<name>` of its entity (macro `term`, from `control.term`); a definition reads that column.
Belongs here: the model, the condition as SQL. Does not: reading files (loading).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from dagster_project.contracts.checks import Finding, beside_term, condition_findings
from dagster_project.contracts.conditions import conjunction_sql
from dagster_project.contracts.definition import When
from dagster_project.contracts.entities import ENTITIES, TERMS, term_column
from dagster_project.errors import nearest

OBSERVED: dict[str, dict[str, str]] = {
    "opportunity": {"sales_process": "text", "stage_name": "text", "step": "text", "step_rank": "number"},
    "activity": {
        "activity_kind": "text", "direction": "text", "is_with_customer": "boolean", "has_ended": "boolean",
        "is_bounced": "boolean",
    },
}  # fmt: skip
"""What a term may name: the columns that dbt holds before any term is applied. Entity -> column -> type."""
_Word = Field(min_length=1)


class Term(BaseModel):
    """One term. True where all of `when` hold, or all of one list in `any_of`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: StrictStr = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: StrictStr = _Word
    version: StrictInt = Field(ge=1)
    entity: Literal["opportunity", "activity"]
    when: list[When] = []
    any_of: list[list[When]] = []
    owner: StrictStr = _Word
    agreed_by: StrictStr = _Word
    agreed_on: date
    why: StrictStr = _Word

    @property
    def alternatives(self) -> list[list[When]]:
        """The lists of conditions of which one must hold whole."""
        return self.any_of or [self.when]

    @property
    def named(self) -> set[str]:
        """The other terms that it rests on."""
        return {when.term for part in self.alternatives for when in part if when.term}


class TermMistake(NamedTuple):
    """A mistake of the term at `position` of the list; -1: of the list as a whole."""

    position: int
    finding: Finding


def term_mistakes(terms: Sequence[Term]) -> Iterator[TermMistake]:
    """Every mistake that the types alone do not show: columns, comparisons, terms unknown, circular, twice or lacking."""
    by_name = {term.name: term for term in terms}
    seen: set[str] = set()
    for index, term in enumerate(terms):
        if term.name in seen:
            yield TermMistake(index, Finding(("name",), f"the term '{term.name}' is declared twice.", "Delete one."))
        seen.add(term.name)
        if term.name not in TERMS:
            hint = nearest(term.name, TERMS).strip() or f"Known: {', '.join(TERMS)}."
            yield TermMistake(index, Finding(("name",), f"no model renders a term '{term.name}'.", hint))
        elif TERMS[term.name] != term.entity:
            todo = f"Write `entity: {TERMS[term.name]}`."
            yield TermMistake(
                index, Finding(("entity",), f"'{term.name}' is a term of {TERMS[term.name]}, not {term.entity}.", todo)
            )
        if bool(term.when) == bool(term.any_of):
            what = "a term has either `when` or `any_of`."
            yield TermMistake(
                index, Finding((), what, "Write `when:` and a list of conditions, or `any_of:` and lists.")
            )
        key = "any_of" if term.any_of else "when"
        for place, part in enumerate(term.alternatives):
            for number, when in enumerate(part):
                path = (key, place, number) if term.any_of else (key, number)
                for finding in _condition(when, term, by_name, path):
                    yield TermMistake(index, finding)
        if _is_circular(term, by_name):
            todo = "Write the condition in columns in one of them."
            yield TermMistake(index, Finding((key,), f"'{term.name}' rests on itself.", todo))
    for lacking in sorted(TERMS.keys() - seen):
        what = f"the term '{lacking}' is not declared."
        yield TermMistake(-1, Finding((), what, f"Write `- name: {lacking}`, as the file shipped has it."))


def _condition(when: When, term: Term, by_name: Mapping[str, Term], path: tuple[str | int, ...]) -> Iterator[Finding]:
    if when.term is None:
        yield from condition_findings(when, OBSERVED[term.entity], path, term.entity)
        return
    yield from beside_term(when, path)
    other = by_name.get(when.term)
    if other is None:
        hint = nearest(when.term, by_name).strip() or f"Declared: {', '.join(by_name)}."
        yield Finding((*path, "term"), f"there is no term '{when.term}'.", hint)
    elif other.entity != term.entity:
        what = f"'{when.term}' is a term of {other.entity}, '{term.name}' of {term.entity}."
        yield Finding((*path, "term"), what, f"Name a term of {term.entity}, or a column.")


def _is_circular(term: Term, by_name: Mapping[str, Term]) -> bool:
    todo, seen = list(term.named), set()
    while todo:
        name = todo.pop()
        if name == term.name:
            return True
        if name not in seen and name in by_name:
            seen.add(name)
            todo += by_name[name].named
    return False


def condition_sql(term: Term, terms: Sequence[Term]) -> str:
    """The term as SQL over the columns of `OBSERVED`: true or false, never NULL."""
    by_name = {one.name: one for one in terms}
    parts = []
    for part in term.alternatives:
        columns = [when for when in part if when.term is None]
        conditions = [conjunction_sql([one for when in columns for one in when.comparisons()])] if columns else []
        conditions += [condition_sql(by_name[when.term], terms) for when in part if when.term]
        parts.append(" AND ".join(conditions))
    return f"coalesce({' OR '.join(f'({part})' for part in parts)}, FALSE)"


def terms_table(terms: Sequence[Term]) -> list[tuple[Any, ...]]:
    """One row per term, as `control.term` holds it."""
    return [
        (term.name, term.entity, term.version, term.title, condition_sql(term, terms), term.owner, term.agreed_by,
         term.agreed_on, term.why)
        for term in terms
    ]  # fmt: skip


# a definition reads the column that dbt renders: it must stand in the entity
assert all(term_column(name) in ENTITIES[entity].columns for name, entity in TERMS.items())
