"""What "every row, equal" means: the simulator's own read-out against what a client brought, value by value, by hash.

Values are brought to one spelling by the type that describe gives: an instant to UTC seconds, a number to its shortest
decimal, empty text to null (CSV cannot tell them apart). A field that a client leaves out makes the two differ.
"""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

#: Objects that every client extracts whole: few columns and many, deleted rows, archived rows, quotes and line breaks.
OBJECTS = ("Account", "Opportunity", "OpportunityHistory", "Task")


@dataclass(frozen=True)
class Extract:
    """What a client brought of one object; `of` names the rows it was asked for."""

    rows: int
    digest: str
    wanted_rows: int
    wanted_digest: str

    @property
    def equal(self) -> bool:
        """Whether it is what the org holds, no more and no less."""
        return (self.rows, self.digest) == (self.wanted_rows, self.wanted_digest)


class Truth:
    """The org as its simulator reads it out (`--control`)."""

    def __init__(self, url: str, describes: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.url = url
        self.types: dict[str, dict[str, str]] = {k: dict(v) for k, v in (describes or {}).items()}

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Every record of an object as it is stored, deleted ones too."""
        with urllib.request.urlopen(f"{self.url}/simulator/truth/{name}") as answer:
            return json.load(answer)

    def compare(
        self, name: str, brought: Iterable[Mapping[str, Any]], *, deleted: bool, only: set[str] | None = None
    ) -> Extract:
        """What was brought beside what the org holds: all of it, or without `deleted` rows and archived ones; `only`
        restricts the truth to those Ids."""
        wanted = [
            r for r in self.rows(name)
            if (deleted or not (r.get("IsDeleted") or r.get("IsArchived"))) and (only is None or r["Id"] in only)
        ]  # fmt: skip
        got = list(brought)
        types = self.types[name]
        return Extract(len(got), digest(got, types), len(wanted), digest(wanted, types))


def digest(rows: Iterable[Mapping[str, Any]], types: Mapping[str, str]) -> str:
    """One hash of rows, whatever their order; fields that describe does not list do not count."""
    lines = sorted(
        json.dumps([row.get("Id"), *([n, spelled(row.get(n), t)] for n, t in sorted(types.items()))]) for row in rows
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def spelled(value: Any, type_: str) -> str | None:
    """A value in the one spelling of its type; None for null and empty text. Raises ValueError on what is none."""
    if value is None or value == "":
        return None
    if type_ == "datetime":
        return _instant(value).strftime("%Y-%m-%dT%H:%M:%SZ")
    if type_ == "date":
        return str(value)[:10]
    if type_ == "boolean":
        return {"true": "true", "false": "false", "1": "true", "0": "false"}[str(value).lower()]
    if type_ in ("int", "long", "double", "percent", "currency"):
        return format(Decimal(repr(value) if isinstance(value, float) else str(value)).normalize(), "f")
    return str(value)


def _instant(value: Any) -> datetime:
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value / 1000, UTC)
    moment = datetime.fromisoformat(str(value).replace(" ", "T"))
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
