"""Stops that somebody overrides on the record: appended to one Delta table beside the landing, never edited.

An override holds for one version of a definition until a day, and a later one for the same version replaces it. Belongs here:
the table, what stands at an instant. Does not: whether a rule stops (auditing), the publication.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from dagster_project.errors import SettingsError, nearest
from dagster_project.landing import AppendOnlyTable

if TYPE_CHECKING:
    from dagster_project.contracts.definition import Definition

TABLE = "overrides"
SCHEMA = pa.schema(
    [
        ("override_seq", pa.int64()),
        ("definition_id", pa.string()),
        ("definition_version", pa.int32()),
        ("who", pa.string()),
        ("why", pa.string()),
        ("until_on", pa.date32()),
        ("given_at", pa.timestamp("us", tz="UTC")),
        ("given_by", pa.string()),
        ("seen_as_of", pa.timestamp("us", tz="UTC")),
    ]
)
"""`who` answers for it, `given_by` typed it. `until_on`: the first day on which it no longer holds. `seen_as_of`: of the run that
was stopped."""


@dataclass(frozen=True)
class Override:
    """One that stands."""

    definition_id: str
    definition_version: int
    who: str
    why: str
    until_on: date
    given_at: datetime

    @property
    def text(self) -> str:
        """In one line, for people."""
        return f"{self.definition_id} is overridden by {self.who} until {self.until_on}: {self.why}"

    def facts(self) -> dict[str, str | int]:
        """For a manifest."""
        return {
            "definition_id": self.definition_id,
            "definition_version": self.definition_version,
            "who": self.who,
            "why": self.why,
            "until_on": self.until_on.isoformat(),
            "given_at": self.given_at.isoformat(),
        }


class Overrides:
    """The overrides of one home."""

    def __init__(self, state: Path) -> None:
        self._table = AppendOnlyTable(state / TABLE, SCHEMA)

    def standing(self, on: date) -> Mapping[tuple[str, int], Override]:
        """Those that hold on a day, by definition and version: the newest word on each, unless its day has come."""
        rows = sorted(self._table.read().to_pylist(), key=lambda row: row["override_seq"])
        newest = {(row["definition_id"], row["definition_version"]): row for row in rows}
        kept = Override.__dataclass_fields__
        return {
            key: Override(**{name: row[name] for name in kept}) for key, row in newest.items() if on < row["until_on"]
        }

    def give(
        self,
        definition: Definition,
        *,
        who: str,
        why: str,
        until_on: date,
        by: str,
        at: datetime,
        seen_as_of: datetime,
    ) -> Override:
        """Write one. Instants UTC. Raises SettingsError where it says no who, no why, or a day that is past; LandingError."""
        for name, value in (("--who", who), ("--why", why)):
            if not value.strip():
                raise SettingsError(
                    f"an override needs {name}.", where=definition.id, todo="Every reader is shown who answers for it and why."
                )  # fmt: skip
        if until_on <= max(at, seen_as_of).date():
            raise SettingsError(
                f"{until_on} is not a day to come.", where="--until", todo="Write the first day on which it ends."
            )
        seq = (self._table.version() or 0) + 1
        given = Override(definition.id, definition.version, who.strip(), " ".join(why.split()), until_on, at)
        row = {**asdict(given), "override_seq": seq, "given_by": by, "seen_as_of": seen_as_of}
        self._table.append(pa.Table.from_pylist([row], schema=SCHEMA), version=seq)
        return given


def definition_named(definitions: Sequence[Definition], name: str, stopping: Sequence[str]) -> Definition:
    """The definition of a rule that stops the line, by `R02` or `2`. Raises SettingsError where there is none, or it stops nothing."""
    wanted = f"R{int(name):02d}" if name.isdigit() else name.upper()
    by_id = {definition.id: definition for definition in definitions}
    stops = f"{', '.join(stopping)} stops the line now." if stopping else "Nothing stops the line now."
    if wanted not in by_id:
        raise SettingsError(f"there is no definition '{name}'.{nearest(wanted, by_id)}", where="--despite", todo=stops)
    if wanted not in stopping:
        raise SettingsError(f"{wanted} stopped nothing in the last audit.", where="--despite", todo=stops)
    return by_id[wanted]
