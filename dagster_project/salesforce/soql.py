"""SOQL text: identifiers only where describe lists them, values only through format_soql. No requests here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dagster_project.errors import SalesforceError
from dagster_project.salesforce.description import ObjectDescription


@dataclass(frozen=True)
class Window:
    """`low` <= cursor <= `high` (UTC, whole seconds); no `low`: the whole history; no cursor: everything.

    `before`: a part that ends earlier, cursor < `before`, so that the next one begins there and shares no row with it.
    """

    cursor: str | None
    low: datetime | None
    high: datetime
    before: datetime | None = None

    def as_facts(self) -> dict[str, str | None]:
        """For the commit."""
        facts = {
            "cursor": self.cursor,
            "low": self.low.isoformat() if self.low else None,
            "high": self.high.isoformat(),
        }
        return {**facts, "before": self.before.isoformat()} if self.before else facts


def select(description: ObjectDescription, fields: Sequence[str], window: Window) -> str:
    """The rows of a window. No ORDER BY: Bulk API splits by key, and Id makes rows unique."""
    for name in fields:
        if name not in description.fields:
            raise SalesforceError(f"describe lists no field {name}.", where=description.name)
    return f"SELECT {', '.join(fields)} FROM {description.name}{_where(description, window)}"


def count(description: ObjectDescription, window: Window) -> str:
    """How many rows a window holds."""
    return f"SELECT COUNT() FROM {description.name}{_where(description, window)}"


def count_since(description: ObjectDescription, window: Window) -> str:
    """How many rows carry a cursor after `high`: what changed since the run began."""
    from simple_salesforce.format import format_soql

    return f"SELECT COUNT() FROM {description.name} WHERE " + format_soql(
        f"{_cursor(description, window)} > {{}}", window.high
    )


def oldest(description: ObjectDescription, window: Window) -> str:
    """The row with the least cursor of a window."""
    name = _cursor(description, window)
    return f"SELECT {name} FROM {description.name}{_where(description, window)} ORDER BY {name} LIMIT 1"


def _cursor(description: ObjectDescription, window: Window) -> str:
    if window.cursor is None or window.cursor not in description.fields:
        raise SalesforceError(f"describe lists no field {window.cursor}.", where=description.name)
    return window.cursor


def _where(description: ObjectDescription, window: Window) -> str:
    if window.cursor is None:
        return ""
    _cursor(description, window)
    from simple_salesforce.format import format_soql

    # the field name comes from describe; instants pass through format_soql, without milliseconds, which SOQL ignores
    parts = [] if window.low is None else [format_soql(f"{window.cursor} >= {{}}", window.low)]
    if window.before is None:
        parts.append(format_soql(f"{window.cursor} <= {{}}", window.high))
    else:
        parts.append(format_soql(f"{window.cursor} < {{}}", window.before))
    return f" WHERE {' AND '.join(parts)}"
