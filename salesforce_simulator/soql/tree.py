"""The tree of a query: plain records, each with its position in the text. No meaning is attached here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class Path:
    """A field by way of its parents: `Account.Owner.Name`."""

    parts: tuple[str, ...]
    at: int

    def __str__(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True)
class Call:
    """A function of a field, a call in a call, or of nothing: `COUNT()`, `MAX(Amount)`, `CALENDAR_YEAR(CloseDate)`."""

    name: str
    argument: Path | Call | None
    at: int


Expression: TypeAlias = "Path | Call"


@dataclass(frozen=True)
class Literal:
    """A value as written: string, number, currency, date, datetime, boolean, null or date_literal (with its n)."""

    kind: str
    text: str
    at: int
    pattern: str = ""
    n: int | None = None


@dataclass(frozen=True)
class Comparison:
    """`left operator right`; the operator is one of = != < <= > >= LIKE, IN, NOT IN, INCLUDES, EXCLUDES."""

    left: Expression
    operator: str
    right: Literal | tuple[Literal, ...] | Query
    at: int


@dataclass(frozen=True)
class Logic:
    """AND or OR of two or more terms, NOT of one."""

    operator: str
    terms: tuple[Condition, ...]


Condition: TypeAlias = "Comparison | Logic"


@dataclass(frozen=True)
class Item:
    """One thing selected: a field or call with its alias."""

    expression: Expression
    alias: str | None


@dataclass(frozen=True)
class AllFields:
    """FIELDS(ALL | STANDARD | CUSTOM)."""

    which: str
    at: int


@dataclass(frozen=True)
class Ordering:
    """One term of ORDER BY; `nulls_first` is None where the query does not say."""

    expression: Expression
    descending: bool
    nulls_first: bool | None


@dataclass(frozen=True)
class Query:
    """A whole query, or one nested in another."""

    select: tuple[Item | AllFields | Query, ...]
    source: Path
    alias: str | None = None
    where: Condition | None = None
    group_by: tuple[Expression, ...] = ()
    having: Condition | None = None
    order_by: tuple[Ordering, ...] = ()
    limit: int | None = None
    offset: int | None = None
    all_rows: bool = False
    at: int = 0
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
