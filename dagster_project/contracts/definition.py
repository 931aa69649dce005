"""What a definition says: its shape as it stands in a file, strictly typed, and what follows from it.

Belongs here: the model, derived conditions and threshold text. Does not: reading files (loading), checks across fields
and columns (checks), running anything.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from dagster_project.contracts import conditions
from dagster_project.contracts.conditions import Comparison
from dagster_project.contracts.entities import ENTITIES, Entity, term_column
from dagster_project.contracts.expectation_catalogue import OFFERED
from dagster_project.warehouse.stage_map import STEP_RANKS

Missing = Literal["breach", "unknown", "not_applicable"]
Kind = Literal["integrity", "stage_entry", "duty", "signal", "load"]
Mode = Literal["observe", "enforce"]
Scope = Literal["publication", "currency", "object"]
Step = Literal["prospect", "qualified", "solution", "proposal", "commit", "won"]
EntityName = Literal[
    "opportunity",
    "stage_visit",
    "opportunity_load",
    "activity",
    "lead",
    "loss_reasons",
    "stage",
    "landed_object",
    "currency",
]
Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
Word = Field(min_length=1)
REFERENCE = re.compile(r"\$([a-z][a-z0-9_]*)")
"""How a definition names one of its parameters: `$max_days`."""
Reference = Annotated[StrictStr, Field(pattern=r"^\$[a-z][a-z0-9_]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class When(_Strict):
    """One condition: a column and exactly one comparison, or a term. Several in a list hold together (and)."""

    column: StrictStr | None = None
    term: StrictStr | None = None
    equals: Scalar | None = None
    not_equals: Scalar | None = None
    less_than: StrictInt | StrictFloat | Reference | None = None
    at_most: StrictInt | StrictFloat | Reference | None = None
    more_than: StrictInt | StrictFloat | Reference | None = None
    at_least: StrictInt | StrictFloat | Reference | None = None
    in_: list[Scalar] | None = Field(default=None, alias="in", min_length=1)
    not_in: list[Scalar] | None = Field(default=None, min_length=1)
    is_null: Literal[True] | None = None
    is_not_null: Literal[True] | None = None

    def comparisons(self) -> list[Comparison]:
        """The comparisons that were written; a valid condition has one. A term is read from the column that dbt renders."""
        if self.term is not None:
            return [Comparison(term_column(self.term), "==", True)]
        return self.written()

    def written(self) -> list[Comparison]:
        """The comparisons with the column, apart from a term."""
        found = []
        for word, operator in conditions.WORDS.items():
            value = getattr(self, "in_" if word == "in" else word)
            if value is not None:
                found.append(Comparison(self.column or "", operator, None if operator.startswith("IS_") else value))
        return found


class Expectation(_Strict):
    """One Great Expectations expectation by its own name and arguments, and how its missing values count."""

    expectation: StrictStr
    arguments: dict[StrictStr, Any]
    missing: Missing | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads, in the order of its arguments."""
        found: list[str] = []
        for name in OFFERED[self.expectation].columns:
            value = self.arguments[name]
            found += value if isinstance(value, list) else [value]
        return tuple(found)

    @property
    def gx_arguments(self) -> dict[str, Any]:
        """The arguments as Great Expectations takes them: rows with a missing value are judged by `missing` alone."""
        return {**self.arguments, **(OFFERED[self.expectation].fixed or {})}

    @property
    def text(self) -> str:
        """For people: `amount more than 0`."""
        name, a = self.expectation, self.arguments
        columns = " and ".join(self.columns)
        if name == "expect_column_values_to_be_between":
            parts = []
            if "min_value" in a:
                parts.append(f"{'more than' if a.get('strict_min') else 'at least'} {a['min_value']}")
            if "max_value" in a:
                parts.append(f"{'less than' if a.get('strict_max') else 'at most'} {a['max_value']}")
            return f"{columns} {' and '.join(parts)}"
        if name == "expect_column_pair_values_a_to_be_greater_than_b":
            return f"{a['column_A']} {'not before' if a.get('or_equal') else 'after'} {a['column_B']}"
        if name == "expect_column_pair_values_to_be_equal":
            return f"{a['column_A']} equals {a['column_B']}"
        words = (
            name.removeprefix("expect_").removeprefix("column_").removeprefix("select_column_").removeprefix("values_")
        )
        rest = "; ".join(f"{key} {conditions.shown(a[key])}" for key in a if key not in OFFERED[name].columns)
        return f"{columns} {words.replace('_', ' ')}" + (f" ({rest})" if rest else "")


class Parameters(BaseModel):
    """Thresholds by name, named elsewhere as `$name`; `by` gives others to the rows in which a column holds a value:
    `by: {sales_process: {Renewal: {max_days: 45}}}`. With several columns the later one has the word.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Scalar]

    by: dict[StrictStr, dict[StrictStr, dict[StrictStr, Scalar]]] = {}

    @property
    def values(self) -> dict[str, Any]:
        """Name -> value, where `by` says nothing else."""
        return dict(self.__pydantic_extra__)


class Variant(NamedTuple):
    """A definition with its parameters put in, and the rows for which it holds so."""

    segment: tuple[Comparison, ...]
    definition: Definition
    place: tuple[str, ...] = ()
    """Where its values stand under `parameters`."""

    @property
    def conditions(self) -> list[Comparison]:
        """All that must hold for the rule to apply with these values."""
        return [*self.segment, *self.definition.conditions]


class MeasurableIf(_Strict):
    """The rule can be measured if, `among` these rows, `recorded` is missing in a share of at most `missing_share_at_most`.

    A share given as `measurable_share` is the setting of that name. With no rows at all nothing speaks against measuring.
    """

    among: list[When] = Field(min_length=1)
    recorded: StrictStr
    missing_share_at_most: Literal["measurable_share"] | StrictFloat | StrictInt
    cause: StrictStr = Word


class Stop(_Strict):
    """The line stops if breaches are more than this share of the rows that the rule judged, in the scope that they touch:
    the publication as a whole, one currency (its amounts are held back), or one object (what rests on it is named incomplete).
    """

    above_share: StrictFloat | StrictInt = Field(default=0, ge=0, lt=1)
    scope: Scope = "publication"


class Definition(_Strict):
    """One operational definition. `entity` is said once at the head of the file."""

    id: StrictStr = Field(pattern=r"^R\d{2,4}$")
    name: StrictStr = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: StrictStr = Word
    version: StrictInt = Field(ge=1)
    entity: EntityName
    sales_processes: Literal["all"] | list[StrictStr]
    when: list[When] = []
    expectations: list[Expectation] = Field(min_length=1)
    missing: Missing
    kind: Kind
    mode: Mode
    mostly: StrictFloat | StrictInt = Field(default=1.0, gt=0, le=1)
    from_step: Step | None = None
    evidence: Literal["amount", "contact_role", "meeting_held"] | None = None
    stop: Literal["any_breach"] | Stop | None = None
    needs: list[StrictStr] = []
    measurable_if: MeasurableIf | None = None
    parameters: Parameters | None = None
    threshold: StrictStr | None = None
    owner: StrictStr = Word
    accountable: StrictStr = Word
    agreed_by: StrictStr = Word
    agreed_on: date
    since: date
    why: StrictStr = Word
    fix: StrictStr = Word

    @property
    def rule_number(self) -> int:
        """R07 -> 7."""
        return int(self.id[1:])

    @property
    def audited(self) -> Entity:
        """The entity whose rows are judged."""
        return ENTITIES[self.entity]

    @property
    def from_step_rank(self) -> int | None:
        """The rank of the step from which the evidence is required."""
        return None if self.from_step is None else STEP_RANKS[self.from_step]

    @property
    def variants(self) -> list[Variant]:
        """The definition with its parameters put in: once, or for each segment that has values of its own and for the rest.

        Each row is of one of them, or its column is empty: then nobody knows which values hold.
        """
        if self.parameters is None:
            return [Variant((), self)]
        by = [(column, [*own, None]) for column, own in self.parameters.by.items()]
        found = []
        for chosen in itertools.product(*(values for _, values in by)):
            segment: list[Comparison] = []
            values, place = self.parameters.values, tuple[str, ...]()
            for (column, known), value in zip(by, chosen, strict=True):
                if value is None:
                    segment.append(Comparison(column, "NOT_IN", known[:-1]))
                else:
                    segment.append(Comparison(column, "==", value))
                    values, place = {**values, **self.parameters.by[column][value]}, ("by", column, value)
            found.append(Variant(tuple(segment), self._with(values), place))
        return found

    def _with(self, values: Mapping[str, Any]) -> Definition:
        whens = [
            when.model_copy(update={name: put_in(value, values) for name, value in when if value is not None})
            for when in self.when
        ]
        expectations = [
            one.model_copy(update={"arguments": {key: put_in(value, values) for key, value in one.arguments.items()}})
            for one in self.expectations
        ]
        threshold = self.threshold and REFERENCE.sub(lambda name: conditions.shown(values[name[1]]), self.threshold)
        changed = {"when": whens, "expectations": expectations, "threshold": threshold, "parameters": None}
        return self.model_copy(update=changed)

    @property
    def applies_sql(self) -> str:
        """Whether the rule applies to a row, as SQL with three values."""
        parts = [conditions.conjunction_sql(variant.conditions) for variant in self.variants]
        return parts[0] if len(parts) == 1 else " OR ".join(f"({part})" for part in parts)

    @property
    def conditions(self) -> list[Comparison]:
        """All that must hold for the rule to apply: sales processes, step and `when`; with parameters, see `variants`.

        `from_step` means: not lost, and in this step or a later one, won included.
        """
        found: list[Comparison] = []
        if self.sales_processes != "all":
            found.append(Comparison("sales_process", "IN", list(self.sales_processes)))
        if self.from_step is not None:
            found.append(Comparison("is_lost", "==", False))
            found.append(Comparison("step_rank", ">=", self.from_step_rank))
        for when in self.when:
            found += when.comparisons()
        return found

    @property
    def checks(self) -> list[tuple[Expectation, Missing]]:
        """The expectations with how a missing value counts in each; a missing value that breaches is a check of its own."""
        found: list[tuple[Expectation, Missing]] = []
        for expectation in self.expectations:
            missing = expectation.missing or self.missing
            found.append((expectation, missing))
            if missing == "breach" and expectation.expectation != "expect_column_values_to_not_be_null":
                for column in expectation.columns:
                    null = Expectation(expectation="expect_column_values_to_not_be_null", arguments={"column": column})
                    if (null, missing) not in found:
                        found.append((null, missing))
        return found

    @property
    def threshold_text(self) -> str:
        """What is required, for people: `threshold` where written, else derived from expectations and conditions."""
        if self.parameters is not None:
            *own, rest = self.variants
            told = [f"{conditions.text(one.segment)}: {one.definition.threshold_text}" for one in own]
            return "; ".join([rest.definition.threshold_text, *told])
        if self.threshold:
            return self.threshold
        required = "; ".join(expectation.text for expectation in self.expectations)
        when = []
        if self.from_step:
            when.append(f"from {self.from_step} on")
        if self.when:
            when.append("when " + conditions.text([c for w in self.when for c in w.comparisons()]))
        return ", ".join([required, *when])

    @property
    def stop_above_share(self) -> float | None:
        """The share of breaches above which the publication stops; None where this rule never stops it as a whole."""
        return self._stop_share if self.stop_scope == "publication" else None

    @property
    def hold_above_share(self) -> float | None:
        """The share of breaches above which a currency or an object is held back; None where this rule holds none."""
        return None if self.stop_scope == "publication" else self._stop_share

    @property
    def stop_scope(self) -> Scope:
        """What stops where this rule stops."""
        return self.stop.scope if isinstance(self.stop, Stop) else "publication"

    @property
    def _stop_share(self) -> float | None:
        if self.mode != "enforce" or self.stop is None:
            return None
        return float(self.stop.above_share) if isinstance(self.stop, Stop) else 0.0

    def lacking(self, inventory: Sequence[tuple[str, str | None, str]]) -> str | None:
        """What the org lacks of `needs`, as a cause for people, or None. Inventory rows: (object, field or None, status)."""
        status = {(obj, field): state for obj, field, state in inventory}
        objects = {obj for (obj, _), state in status.items() if state == "present"}

        def lack(need: str) -> str | None:
            obj, _, field = need.partition(".")
            if obj == "mapped":
                state = status.get((obj, field), "not mapped")
                if state == "not mapped":
                    return f"no field is mapped to {field} (mapped_fields in leanfunnel.yml)"
                return None if state == "present" else f"{state} (mapped to {field})"
            if obj not in objects or status.get((obj, None), "present") != "present":
                return f"{obj} is {status.get((obj, None), 'not landed')}"
            state = status.get((obj, field), "not landed") if field else "present"
            return None if state == "present" else f"{need} is {state}"

        causes = []
        for need in self.needs:
            lacks = [lack(alternative.strip()) for alternative in need.split(" or ")]
            if all(lacks):
                causes.append(" and ".join(cause for cause in lacks if cause))
        return "; ".join(causes) or None


def put_in(value: Any, values: Mapping[str, Any]) -> Any:
    """The value, or the parameter's that it names."""
    if isinstance(value, list):
        return [put_in(one, values) for one in value]
    name = REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return values[name[1]] if name else value


class DefinitionFile(_Strict):
    """A whole file: the entity and its definitions. The source of the JSON Schema for editors."""

    entity: EntityName
    definitions: list[Definition] = Field(min_length=1)
