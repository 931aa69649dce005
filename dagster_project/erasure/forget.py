"""Forgetting records: what of them lies where in a home, and taking it out of every place.

In this order, so that a run that is cut off may be repeated and never leaves less protected than before: a note that it began; the
tombstones, so that no extraction brings the records back; what is built anew anyway (warehouse, dbt's files and logs); every
publication; what people and audits wrote; the landing, the records themselves last; the note goes. While the note stands, no run
starts. What people saved elsewhere (exports, copies, backups) is theirs to clear.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dagster_project.erasure import kept, shown
from dagster_project.erasure.landed import Landed
from dagster_project.erasure.rules import Told
from dagster_project.erasure.tombstones import Tombstones
from dagster_project.errors import LeanfunnelError, SettingsError
from dagster_project.home import Home
from dagster_project.salesforce.ids import to_18

_NOTE = ".forgetting"
_OF_THE_ORG = (
    "Organization", "RecordType", "BusinessProcess", "OpportunityStage", "LeadStatus", "CurrencyType", "DatedConversionRate", "Period",
    "Holiday",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """One place where something of the records lies: `rows` that go, `cells` that are emptied in rows that stay."""

    place: str
    name: str
    rows: int
    cells: int


@dataclass(frozen=True)
class Found:
    """What forgetting would do. `also`: records that go along, since they were merged or converted into one that is named."""

    told: Told
    also: tuple[str, ...]
    places: tuple[Place, ...]


def look(home: Home, records: Sequence[str]) -> Found:
    """What of `records` (Ids of 15 or 18 characters) lies where. Writes nothing. Raises SettingsError, LandingError."""
    named = frozenset(to_18(record) for record in records)
    landed = Landed(home.landing)
    told = landed.told(named)
    for name in _OF_THE_ORG:
        if name in landed.tables and landed.tables[name].holds(named):
            raise SettingsError(
                f"an Id of {name} was named, which is about the org and nobody in it; nothing could be measured without.",
                todo="Name records of people and customers only.",
            )
    places = [Place("landing", name, *both) for name, both in landed.counts(told).items()]
    places += [Place("state", name, *kept.count(home.state, name, told)) for name in kept.tables(home.state)]
    places += [
        Place("published", str(folder.relative_to(home.root)), *shown.count(folder, told))
        for folder in shown.all_publications(home)
    ]
    found = tuple(place for place in places if place.rows or place.cells)
    return Found(told, tuple(sorted(told.ids - named)), found)


def forget(home: Home, records: Sequence[str], *, by: str, why: str, at: datetime) -> Found:
    """Take the records out of every place and set their tombstones; returns what was found. The caller holds the home.

    May be repeated, also for what was forgotten before. Raises SettingsError where `why` names the record, LandingError,
    PublishError.
    """
    found = look(home, records)
    told = found.told
    if any(value.casefold() in why.casefold() for value in told.values):
        raise SettingsError(
            "the reason names the record, and a tombstone keeps no personal data.",
            where="--why",
            todo="Write the number of the request.",
        )
    note = home.root / _NOTE
    note.write_text(json.dumps({"records": sorted(told.ids)}), encoding="utf-8")
    Tombstones(home.landing).set(told.ids, by=by, why=why, at=at)
    shown.clear_derived(home)
    for folder in shown.all_publications(home):
        if any(shown.count(folder, told)):
            shown.take_out_of(folder, told, note=f"records forgotten at {at.isoformat()}")
    kept.take_out_of(home.state, told)
    Landed(home.landing).take_out(told)
    note.unlink()
    return found


def refuse_unfinished(root: Path) -> None:
    """Raise LeanfunnelError where forgetting began and did not end: a build now might show what is to go."""
    note = root / _NOTE
    if not note.exists():
        return
    try:
        records = " ".join(json.loads(note.read_text(encoding="utf-8"))["records"])
    except (OSError, ValueError, KeyError, TypeError):
        records = "ID..."
    raise LeanfunnelError(
        "forgetting records was cut off before its end.",
        where=str(root),
        todo=f"Repeat it: `leanfunnel forget {records} --yes`.",
    )
