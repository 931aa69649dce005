"""Names of a query to columns: fields, parents as joins, child relationships. No conditions and no rendering."""

from __future__ import annotations

from dataclasses import dataclass, field

from salesforce_simulator import schema
from salesforce_simulator.errors import ApiError
from salesforce_simulator.org import Org, quoted
from salesforce_simulator.schema import Field, ObjectType
from salesforce_simulator.soql.lexer import malformed
from salesforce_simulator.soql.tree import Path

_NAME_FIELDS = (
    schema.make_field("Id", "id"),
    schema.make_field("Name", "string", "255", flags="name"),
    schema.make_field("Type", "picklist"),
)
_SEE = "Please reference your WSDL or the describe call for the appropriate names."
_TRYING = " If you are attempting to use a custom"
_NO_COLUMN = f"{_TRYING} field, be sure to append the '__c' after the custom field name. {_SEE}"
_NO_TYPE = f"{_TRYING} object, be sure to append the '__c' after the entity name. {_SEE}"
_NO_RELATIONSHIP = f"{_TRYING} relationship, be sure to append the '__r' after the custom relationship name. {_SEE}"


@dataclass(frozen=True)
class Column:
    """A field of the query's object or of a parent: the SQL that reads it and the names that lead to it."""

    sql: str
    field: Field
    parents: tuple[str, ...]

    @property
    def header(self) -> str:
        """The name as a CSV header gives it: `Account.Name`."""
        return ".".join((*self.parents, self.field.name))


@dataclass
class Join:
    """A parent that the query reaches: the alias of its table, what it is, and whether it may be of several objects."""

    alias: str
    kind: ObjectType
    sql: str
    polymorphic: bool = False


@dataclass
class Scope:
    """The names that one SELECT can see. `prefix` keeps the aliases of nested queries apart."""

    org: Org
    text: str
    kind: ObjectType
    alias: str | None
    aliases: dict[str, tuple[str, ...]]
    prefix: str
    joins: dict[tuple[str, ...], Join] = field(default_factory=dict)

    @property
    def table(self) -> str:
        """The alias of the object's own table."""
        return f"{self.prefix}0"

    def from_sql(self) -> str:
        """The FROM clause with all joins asked for so far."""
        return " ".join([f"{quoted(self.kind.name)} AS {self.table}", *(j.sql for j in self.joins.values())])

    def column(self, path: Path) -> Column:
        """The column of a path; raises INVALID_FIELD with the position where a name leads nowhere."""
        parts = list(path.parts)
        if len(parts) > 1:
            first = parts[0].lower()
            if first in self.aliases:
                expanded = list(self.aliases[first])
                if self.alias and expanded[0].lower() == self.alias.lower():
                    expanded = expanded[1:]
                parts = [*expanded, *parts[1:]]
            elif (self.alias and first == self.alias.lower()) or (
                first == self.kind.name.lower() and self.kind.relationship(parts[0]) is None
            ):
                parts = parts[1:]
        parents: tuple[str, ...] = ()
        kind, alias = self.kind, self.table
        for name in parts[:-1]:
            parents, kind, alias = self._step(path, kind, alias, parents, name)
        found = kind.field(parts[-1])
        if found is None:
            raise malformed(
                self.text,
                path.at,
                f"No such column '{parts[-1]}' on entity '{kind.name}'.{_NO_COLUMN}",
                "INVALID_FIELD",
            )
        return Column(f"{alias}.{quoted(found.name)}", found, parents)

    def _step(
        self, path: Path, kind: ObjectType, alias: str, parents: tuple[str, ...], name: str
    ) -> tuple[tuple[str, ...], ObjectType, str]:
        reference = kind.relationship(name)
        targets = [] if reference is None else [o for r in reference.reference_to if (o := self.org.find(r))]
        if reference is None or not targets:
            raise malformed(
                self.text,
                path.at,
                f"Didn't understand relationship '{name}' in field path.{_NO_RELATIONSHIP}",
                "INVALID_FIELD",
            )
        key = (*parents, reference.relationship_name or name)
        join = self.joins.get(key)
        if join is None:
            join = self._join(reference, targets, alias)
            self.joins[key] = join
        return key, join.kind, join.alias

    def _join(self, reference: Field, targets: list[ObjectType], alias: str) -> Join:
        joined = f"{self.prefix}{len(self.joins) + 1}"
        on = f'{alias}.{quoted(reference.name)} = {joined}."Id"'
        if len(reference.reference_to) == 1:
            return Join(joined, targets[0], f"LEFT JOIN {quoted(targets[0].name)} AS {joined} ON {on}")
        parts = []
        for target in targets:
            named = quoted(target.name_field) if target.name_field else "NULL"
            parts.append(f'SELECT "Id", {named} AS "Name", \'{target.name}\' AS "Type" FROM {quoted(target.name)}')
        kind = ObjectType("Name", None, "Name", "Names", _NAME_FIELDS)
        return Join(joined, kind, f"LEFT JOIN ({' UNION ALL '.join(parts)}) AS {joined} ON {on}", polymorphic=True)

    def child(self, path: Path) -> tuple[ObjectType, Field]:
        """The object and reference field behind a child relationship; raises INVALID_TYPE where there is none."""
        wanted = path.parts[-1].lower()
        for candidate in self.org.objects.values():
            for reference in candidate.fields:
                named = reference.child_relationship
                if named and named.lower() == wanted and self.kind.name in reference.reference_to:
                    return candidate, reference
        raise malformed(
            self.text,
            path.at,
            f"Didn't understand relationship '{path}' in FROM part of query call.{_NO_RELATIONSHIP}",
            "INVALID_TYPE",
        )


def source_object(org: Org, text: str, source: Path) -> ObjectType:
    """The object that a query names; raises INVALID_TYPE with the position where the org has none of that name."""
    kind = org.find(source.parts[0]) if len(source.parts) == 1 else None
    if kind is None or not kind.queryable:
        raise malformed(
            text,
            source.at,
            f"sObject type '{source}' is not supported.{_NO_TYPE}",
            "INVALID_TYPE",
        )
    return kind


def refused(message: str, code: str = "MALFORMED_QUERY") -> ApiError:
    """A query that is read but cannot be served."""
    return ApiError(400, code, message)
