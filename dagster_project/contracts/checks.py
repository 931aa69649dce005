"""Checks of a well-formed definition across its fields and against the entity's columns. All mistakes are found, not one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

from dagster_project.contracts.definition import REFERENCE, Definition, EntityName, Expectation, When
from dagster_project.contracts.entities import ENTITIES, MAPPED, SCOPES, TERMS
from dagster_project.contracts.evidence import OVER_TIME, SEGMENTS, SHOWN_IN
from dagster_project.contracts.expectation_catalogue import OFFERED, REFUSED, SAID_ELSEWHERE
from dagster_project.errors import nearest

_KINDS = {"text": (str,), "number": (int, float), "boolean": (bool,)}
_ORDERING = {"<", "<=", ">", ">="}
_SENTENCE = {
    "bound": "a number",
    "integer": "a whole number from 0 on",
    "boolean": "true or false",
    "list": "a list of values",
    "text": "a text",
}


class Finding(NamedTuple):
    """A mistake at `path` inside the definition: what is wrong and what to write."""

    path: tuple[str | int, ...]
    what: str
    todo: str


def findings(definition: Definition) -> Iterator[Finding]:
    """Every mistake of one definition that its types alone do not show."""
    columns = definition.audited.columns
    misnamed = list(_parameters(definition, columns))
    yield from misnamed
    told: set[Finding] = set()
    for variant in [] if misnamed else reversed(definition.variants):
        for finding in _compared(variant.definition, columns):
            if finding not in told:
                told.add(finding)
                # what the values for the rest do not show stands with the segment's own
                yield finding._replace(path=("parameters", *variant.place)) if variant.place else finding
    yield from _steps(definition, columns)
    yield from _measurable(definition, columns)
    for index, need in enumerate(definition.needs):
        for alternative in need.split(" or "):
            name, _, field = alternative.strip().partition(".")
            if name == "mapped" and field not in MAPPED:
                todo = nearest(field, MAPPED).strip() or f"Known: {', '.join(f'mapped.{one}' for one in MAPPED)}."
                yield Finding(("needs", index), f"no field can be mapped to '{field}'.", todo)
    if definition.sales_processes != "all":
        if not definition.sales_processes:
            yield Finding(
                ("sales_processes",), "the list of sales processes is empty.", "Write `all` or at least one name."
            )
        elif "sales_process" not in columns:
            yield Finding(
                ("sales_processes",), f"'{definition.entity}' has no sales process.", "Write `sales_processes: all`."
            )
    if definition.kind == "signal" and definition.stop is not None:
        yield Finding(
            ("stop",), "a signal is a hint and never stops the publication.", "Leave `stop` out, or write another kind."
        )
    if definition.kind in ("duty", "stage_entry") and definition.stop is not None:
        yield Finding(
            ("stop",),
            f"a {definition.kind} never stops the publication.",
            "Leave `stop` out; load and integrity may have it.",
        )
    scope = definition.stop_scope
    if scope != "publication" and SCOPES[scope][0] != definition.entity:
        todo = f"Write it in {SCOPES[scope][0]}.yml, or leave `scope` out: then the whole publication stops."
        yield Finding(("stop", "scope"), f"a row of '{definition.entity}' is no {scope}.", todo)
    if definition.since < definition.agreed_on:
        yield Finding(
            ("since",), "the definition holds since before it was agreed.", "Write `since` not before `agreed_on`."
        )


def _compared(definition: Definition, columns: dict[str, str]) -> Iterator[Finding]:
    for index, when in enumerate(definition.when):
        yield from _when(when, columns, ("when", index), definition.entity)
    for index, expectation in enumerate(definition.expectations):
        yield from _expectation(expectation, definition, columns, ("expectations", index))


def _parameters(definition: Definition, columns: dict[str, str]) -> Iterator[Finding]:
    """Parameters that are named and not declared or the reverse, and segments that cannot be told apart."""
    declared = definition.parameters.values if definition.parameters else {}
    named = dict(_named(definition))
    for path, name in named.items():
        if name not in declared:
            hint = nearest(name, declared).strip() or f"Write `parameters: {{{name}: …}}`."
            yield Finding(path, f"there is no parameter '{name}'.", hint)
    for name in declared:
        if name not in named.values():
            yield Finding(
                ("parameters", name), f"the parameter '{name}' is not used.", f"Write `${name}` where it holds."
            )
    by = definition.parameters.by if definition.parameters else {}
    varying = {name for own in by.values() for values in own.values() for name in values}
    for column, own in by.items():
        path = ("parameters", "by", column)
        wrong = list(_column(column, columns, path, definition.entity))
        yield from wrong
        if not wrong and columns[column] != "text":
            yield Finding(
                path, f"'{column}' is a {columns[column]}; parameters differ by a text.", "Name a text column."
            )
        elif not wrong and definition.kind == "stage_entry" and column not in SEGMENTS:
            what = f"'{column}' changes as the deal moves; a stage_entry is asked by what a deal is."
            yield Finding(path, what, f"Name one of: {', '.join(SEGMENTS)}.")
        if not own:
            yield Finding(
                path, f"no value of '{column}' is named.", "Write a value and its parameters, or leave it out."
            )
        for value, values in own.items():
            for name in values:
                if name not in declared:
                    hint = nearest(name, declared).strip() or f"Write `{name}:` under `parameters:`, for all others."
                    yield Finding((*path, value, name), f"there is no parameter '{name}'.", hint)
            if (
                column == "sales_process"
                and definition.sales_processes != "all"
                and value not in definition.sales_processes
            ):
                todo = f"Write one of: {', '.join(definition.sales_processes)}."
                yield Finding((*path, value), f"the definition does not hold for '{value}'.", todo)
    for name in sorted(varying & set(declared)) if definition.threshold else []:
        if name not in named.values() or f"${name}" not in str(definition.threshold):
            what = f"the threshold is written out, and '{name}' differs by segment."
            yield Finding(("threshold",), what, f"Write `${name}` in it, or leave `threshold` out.")


def _named(definition: Definition) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where a parameter is named, and which."""
    for index, when in enumerate(definition.when):
        for word, value in when.model_dump(by_alias=True, exclude_none=True).items():
            yield from _references(value, ("when", index, word))
    for index, expectation in enumerate(definition.expectations):
        for word, value in expectation.arguments.items():
            yield from _references(value, ("expectations", index, "arguments", word))
    for number, found in enumerate(REFERENCE.finditer(definition.threshold or "")):
        yield ("threshold", number), found[1]


def _references(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for number, one in enumerate(value if isinstance(value, list) else [value]):
        if isinstance(one, str) and (found := REFERENCE.fullmatch(one)):
            yield (*path, number), found[1]


def _column(name: Any, columns: dict[str, str], path: tuple[str | int, ...], entity: str) -> Iterator[Finding]:
    if not isinstance(name, str):
        yield Finding(path, f"a column is named by text, not by {name!r}.", f"Write one of: {', '.join(columns)}.")
    elif name not in columns:
        hint = nearest(name, columns).strip() or f"Its columns: {', '.join(columns)}."
        yield Finding(path, f"'{entity}' has no column '{name}'.", hint)


def _when(when: When, columns: dict[str, str], path: tuple[str | int, ...], entity: str) -> Iterator[Finding]:
    if when.term is None:
        yield from condition_findings(when, columns, path, entity)
        return
    yield from beside_term(when, path)
    of = [name for name, owner in TERMS.items() if owner == entity]
    if when.term not in of:
        hint = nearest(when.term, of).strip() or (f"Its terms: {', '.join(of)}." if of else "Name a column instead.")
        yield Finding((*path, "term"), f"'{entity}' has no term '{when.term}'.", hint)


def beside_term(when: When, path: tuple[str | int, ...]) -> Iterator[Finding]:
    """A term stands alone in its condition: a column or a comparison beside it is a mistake."""
    if when.column is not None or when.written():
        todo = f"Write `{{term: {when.term}}}` alone, and the rest as a condition of its own."
        yield Finding(path, "a term stands beside a column or a comparison.", todo)


def condition_findings(
    when: When, columns: dict[str, str], path: tuple[str | int, ...], entity: str
) -> Iterator[Finding]:
    """Every mistake of one condition on a column of `columns` (name -> type)."""
    if when.column is None:
        yield Finding(path, "a condition names no column.", "Write `column:` and a comparison, or `term:`.")
        return
    yield from _column(when.column, columns, (*path, "column"), entity)
    found = when.comparisons()
    if len(found) != 1:
        words = "equals, not_equals, less_than, at_most, more_than, at_least, in, not_in, is_null, is_not_null"
        yield Finding(
            path, f"a condition has one comparison, here are {len(found)}.", f"Write exactly one of: {words}."
        )
    if when.column not in columns:
        return
    type_ = columns[when.column]
    for comparison in found:
        if comparison.operator.startswith("IS_"):
            continue
        if type_ not in _KINDS:
            todo = "Compare two columns by `expect_column_pair_values_a_to_be_greater_than_b`, or use is_null or is_not_null."
            yield Finding(
                path, f"'{when.column}' is a {type_}; a condition cannot compare it with a fixed value.", todo
            )
            continue
        if type_ == "boolean" and comparison.operator not in ("==", "!="):
            yield Finding(path, f"'{when.column}' is true or false.", "Write `equals: true` or `equals: false`.")
        elif comparison.operator in _ORDERING and type_ != "number":
            yield Finding(
                path, f"'{when.column}' is a {type_} and has no order.", "Write equals, not_equals, in or not_in."
            )
        else:
            for value in comparison.value if isinstance(comparison.value, list) else [comparison.value]:
                if not _fits(value, type_):
                    yield Finding(path, f"'{when.column}' is a {type_}, {value!r} is not.", f"Write a {type_} value.")


def _fits(value: Any, type_: str) -> bool:
    if type_ == "number" and isinstance(value, bool):
        return False
    return isinstance(value, _KINDS.get(type_, (str,)))


def _expectation(
    expectation: Expectation, definition: Definition, columns: dict[str, str], path: tuple[str | int, ...]
) -> Iterator[Finding]:
    name, arguments = expectation.expectation, expectation.arguments
    offered = OFFERED.get(name)
    if offered is None:
        hint = "" if name in REFUSED else nearest(name, OFFERED).strip()
        todo = " ".join(filter(None, [hint, f"Offered: {', '.join(sorted(OFFERED))}."]))
        why = f": {REFUSED[name]}" if name in REFUSED else ""
        yield Finding((*path, "expectation"), f"the expectation '{name}' is not offered{why}.", todo)
        return
    at = (*path, "arguments")
    allowed = {*offered.columns, *offered.arguments}
    for key in arguments:
        if key in SAID_ELSEWHERE:
            yield Finding((*at, key), f"'{key}' is not an argument here.", f"Instead, {SAID_ELSEWHERE[key]}.")
        elif key not in allowed:
            todo = nearest(key, allowed).strip() or f"Arguments: {', '.join(sorted(allowed))}."
            yield Finding((*at, key), f"'{name}' has no argument '{key}'.", todo)
    for key in (*offered.columns, *offered.required):
        if key not in arguments:
            yield Finding(at, f"'{name}' lacks its argument '{key}'.", f"Write `{key}:` under `arguments:`.")
    if offered.needs_one_of and not any(arguments.get(key) is not None for key in offered.needs_one_of):
        yield Finding(at, f"'{name}' has no bound.", f"Write {' or '.join(offered.needs_one_of)} under `arguments:`.")
    yield from _argument_columns(expectation, definition, columns, at)
    for key, kind in offered.arguments.items():
        if key in arguments and not _is(arguments[key], kind):
            yield Finding((*at, key), f"'{key}' is {arguments[key]!r}.", f"Write {_SENTENCE[kind]}.")
    low, high = arguments.get("min_value"), arguments.get("max_value")
    if _is(low, "bound") and _is(high, "bound") and float(str(low)) > float(str(high)):
        yield Finding((*at, "min_value"), f"min_value {low} is above max_value {high}.", "Exchange them.")
    if name == "expect_column_values_to_not_be_null" and (expectation.missing or definition.missing) != "breach":
        yield Finding(
            path, "for 'expect_column_values_to_not_be_null' a missing value is the breach.", "Write `missing: breach`."
        )


def _argument_columns(
    expectation: Expectation, definition: Definition, columns: dict[str, str], at: tuple[str | int, ...]
) -> Iterator[Finding]:
    offered, arguments = OFFERED[expectation.expectation], expectation.arguments
    named: list[str] = []
    for key in offered.columns:
        value = arguments.get(key)
        if key == "column_list":
            if key in arguments and (not isinstance(value, list) or len(value) < 2):
                yield Finding(
                    (*at, key), "'column_list' names fewer than two columns.", "Write a list of two or more columns."
                )
                continue
            names = value or []
        else:
            names = [value] if key in arguments else []
        for one in names:
            wrong = list(_column(one, columns, (*at, key), definition.entity))
            yield from wrong
            if wrong:
                continue
            named.append(one)
            if offered.types and columns[one] not in offered.types:
                todo = f"Write a column of type {' or '.join(sorted(offered.types))}."
                yield Finding(
                    (*at, key), f"'{one}' is a {columns[one]}; '{expectation.expectation}' cannot judge it.", todo
                )
    if expectation.expectation == "expect_column_values_to_be_between":
        for one in named:
            if columns[one] in ("date", "timestamp"):
                todo = "Compare it with another column by `expect_column_pair_values_a_to_be_greater_than_b`."
                yield Finding((*at, "column"), f"'{one}' is a {columns[one]}; fixed bounds on it grow old.", todo)
    orders = {"date": "time", "timestamp": "time"}
    if len(named) > 1 and len({orders.get(columns[one], columns[one]) for one in named}) > 1:
        kinds = ", ".join(f"{one} is a {columns[one]}" for one in named)
        yield Finding(at, f"the columns cannot be compared: {kinds}.", "Name columns of one type.")
    values = arguments.get("value_set")
    if isinstance(values, list) and named:
        type_ = columns[named[0]]
        for value in values:
            if not _fits(value, type_):
                yield Finding(
                    (*at, "value_set"), f"'{named[0]}' is a {type_}, {value!r} is not.", f"Write {type_} values."
                )


def _is(value: Any, kind: str) -> bool:
    if kind == "bound":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "list":
        return isinstance(value, list) and bool(value)
    return isinstance(value, str) and bool(value)


def _steps(definition: Definition, columns: dict[str, str]) -> Iterator[Finding]:
    if definition.kind == "stage_entry":
        if definition.from_step is None:
            todo = "Write `from_step:` prospect, qualified, solution, proposal, commit or won."
            yield Finding(("kind",), "a stage_entry says no step from which it holds.", todo)
        if definition.evidence is None:
            todo = "Write `evidence:` amount, contact_role or meeting_held."
            yield Finding(("kind",), "a stage_entry names no evidence.", todo)
        else:
            yield from _over_time(definition)
    elif definition.evidence is not None:
        yield Finding(
            ("evidence",),
            f"a {definition.kind} has no evidence.",
            "Leave `evidence` out, or write `kind: stage_entry`.",
        )
    if definition.from_step is not None and "step_rank" not in columns:
        yield Finding(
            ("from_step",),
            f"'{definition.entity}' has no step.",
            "Leave `from_step` out, or move it to opportunity.yml.",
        )


def _over_time(definition: Definition) -> Iterator[Finding]:
    """A stage entry is judged at each moment of the past, too: by what was seen of the deal then."""
    column = SHOWN_IN[str(definition.evidence)]
    for index, expectation in enumerate(definition.expectations):
        path = ("expectations", index)
        if expectation.expectation not in OVER_TIME:
            if expectation.expectation in OFFERED:
                what = f"'{expectation.expectation}' cannot be judged over time, as a stage_entry is."
                yield Finding((*path, "expectation"), what, f"Write one of: {', '.join(OVER_TIME)}.")
            continue
        other = expectation.arguments.get("column")
        if other != column and other in definition.audited.columns:
            what = f"the evidence {definition.evidence} is seen in '{column}', not in '{other}'."
            yield Finding((*path, "arguments", "column"), what, f"Write `column: {column}`, or another `evidence`.")
        if (expectation.missing or definition.missing) != "breach":
            what = "what was not seen is no evidence: in a stage_entry a missing value breaches."
            place = (*path, "missing") if expectation.missing else ("missing",)
            yield Finding(place, what, "Write `missing: breach`, or another kind.")
    for index, when in enumerate(definition.when):
        if (when.column in definition.audited.columns and when.column not in SEGMENTS) or when.term:
            what = f"'{when.term or when.column}' changes as the deal moves; a stage_entry is asked by what a deal is."
            yield Finding(("when", index), what, f"Name one of: {', '.join(SEGMENTS)}; `from_step` says from where on.")


def _measurable(definition: Definition, columns: dict[str, str]) -> Iterator[Finding]:
    rule = definition.measurable_if
    if rule is None:
        return
    yield from _column(rule.recorded, columns, ("measurable_if", "recorded"), definition.entity)
    for index, when in enumerate(rule.among):
        yield from _when(when, columns, ("measurable_if", "among", index), definition.entity)
    share = rule.missing_share_at_most
    if not isinstance(share, str) and not 0 <= share <= 1:
        path = ("measurable_if", "missing_share_at_most")
        yield Finding(path, f"{share} is no share.", "Write a number from 0 to 1, or measurable_share.")


assert set(ENTITIES) == set(get_args(EntityName))  # the model's Literal repeats them for editors
