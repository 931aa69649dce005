"""Which rows of the landing are a record's, which cells of other rows tell of it, and which only name it. SQL text, no files.

A record's own rows go, with those that have no meaning without it: its history, its products and roles, its relations, and a record
that was merged into it or (a lead) turned into it, which is the same person. A row of another record that names it keeps the Id and
nothing more: that a meeting took place with somebody is a fact of the deal, and the figures of the past must not change. Where such
a row repeats something of the record (its address in the relation of an e-mail, its name among the tracked changes of a deal), that
cell is emptied.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from dagster_project.salesforce.objects import OBJECTS

_PART_OF = {
    "OpportunityLineItem": ("OpportunityId",),
    "OpportunityContactRole": ("OpportunityId",),
    "CampaignMember": ("CampaignId",),
    "EventRelation": ("EventId",),
    "TaskRelation": ("TaskId",),
    "EmailMessageRelation": ("EmailMessageId",),
}
_SAME = ("MasterRecordId", "ConvertedContactId")
"""Fields by which a record says into which other one it went: merged, or converted."""
_ADDRESS_OF = {"EmailMessageRelation": ("RelationId",)}
"""Link rows that repeat an address of the record that they name."""
_HISTORY = re.compile(r"(?P<of>\w+?)(?:Field)?History")
_LONG = 4
"""Shorter names are parts of other words; they are looked for as whole values only."""
FORGOTTEN = "(forgotten)"
"""What stands in the place of a name inside a longer text."""


@dataclass(frozen=True)
class Told:
    """What is looked for: the `ids` (18 characters), and the `values` that tell who or what they are: names, addresses as landed."""

    ids: frozenset[str]
    values: frozenset[str] = frozenset()


def owners(name: str, columns: Collection[str]) -> list[str]:
    """The columns of an object that say whose row it is: its Id, and the record that it is a part of or went into."""
    found = ["Id", *_PART_OF.get(name, ()), *_SAME]
    history = _HISTORY.fullmatch(name)
    if history:
        found += [f"{history['of']}Id", "ParentId"]
    return [column for column in found if column in columns]


def gone(name: str, columns: Collection[str], told: Told) -> str | None:
    """SQL: whether a row goes; None where no row of this object can."""
    tests = [among(column, told.ids) for column in owners(name, columns)]
    return " OR ".join(test for test in tests if test) or None


def blanked(name: str, columns: Mapping[str, bool], told: Told) -> dict[str, str]:
    """{column: SQL of whether its cell is emptied} of the rows that stay. `columns`: name -> whether it holds text.

    Looked at are addresses, tracked values, and texts that a setting added; not the words of picklists.
    """
    spec = OBJECTS.get(name)
    known = spec.by_name if spec else {}
    found = {}
    for column, is_text in columns.items():
        if not is_text or column.startswith("_") or column.endswith("Id"):
            continue
        guard = known[column].guard if column in known else "added"
        if guard is None:
            continue
        tests = [among(column, told.values)]
        if guard == "address":
            tests += [among(link, told.ids) for link in _ADDRESS_OF.get(name, ()) if link in columns]
        test = " OR ".join(one for one in tests if one)
        if test:
            found[column] = f"{quoted(column)} IS NOT NULL AND ({test})"
    return found


def tells(name: str, columns: Mapping[str, bool]) -> list[str]:
    """The columns whose values say who or what a record is: its name and its addresses."""
    spec = OBJECTS.get(name)
    addresses = [field.name for field in spec.fields if field.guard == "address"] if spec else []
    return [column for column in ["Name", *addresses] if columns.get(column)]


def among(column: str, values: Iterable[str]) -> str | None:
    """SQL: whether a column holds one of the values; None for no values."""
    listed = ", ".join(literal(value) for value in sorted(values))
    return f"{quoted(column)} IN ({listed})" if listed else None


def mentions(column: str, values: Iterable[str]) -> str | None:
    """SQL: whether a text is one of the values or, of at least `_LONG` characters, holds it somewhere; None for no values."""
    tests = [among(column, values), *(f"strpos({quoted(column)}, {literal(v)}) > 0" for v in _long(values))]
    return " OR ".join(f"({test})" for test in tests if test) or None


def without(column: str, values: Iterable[str]) -> str:
    """SQL: a text that `mentions` the values without them: NULL where it is one, else with each of them replaced."""
    text = quoted(column)
    for value in _long(values):
        text = f"replace({text}, {literal(value)}, {literal(FORGOTTEN)})"
    whole = among(column, values)
    return f"CASE WHEN {whole} THEN NULL ELSE {text} END" if whole else text


def _long(values: Iterable[str]) -> list[str]:
    """Longest first, so that a name inside another leaves nothing of it."""
    return sorted((value for value in values if len(value) >= _LONG), key=lambda value: (-len(value), value))


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def quoted(identifier: str) -> str:
    """An identifier as SQL."""
    return '"' + identifier.replace('"', '""') + '"'
