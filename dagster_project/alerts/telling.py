"""Send each new signal once to each receiver, and keep on record what was told: one Delta table, appended only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from dagster_project.alerts.receivers import AlertError, Receiver
from dagster_project.alerts.signals import STANDING, Signal
from dagster_project.landing import AppendOnlyTable

TABLE = "alerts"
SCHEMA = pa.schema(
    [
        ("alert_seq", pa.int64()),
        ("event", pa.string()),
        ("receiver", pa.string()),
        ("kind", pa.string()),
        ("key", pa.string()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("at", pa.timestamp("us", tz="UTC")),
        ("reason", pa.string()),
    ]
)
"""`event`: told, failed (the receiver did not take it; `reason`), or ended (what stood is over: if it comes back it is news)."""
TOLD, NOT_TOLD, ENDED = "told", "failed", "ended"


def rows(state: Path) -> list[dict[str, Any]]:
    """Every event, in order."""
    found = AppendOnlyTable(state / TABLE, SCHEMA).read().select(SCHEMA.names).cast(SCHEMA)
    return found.sort_by("alert_seq").to_pylist()


def tell(
    state: Path, receivers: Sequence[Receiver], current: Sequence[Signal], *, at: datetime, known: Collection[str] = ()
) -> list[str]:
    """Send what each receiver was not told yet, and what it did not take last time. `known`: the kinds of which `current`
    holds all that stand: those of them that are no longer in it are over. `at`: now (UTC).

    Returns what went wrong, a line each, without raising it. Raises LandingError where the record cannot be written.
    """
    if not receivers:
        return []
    newest = {(row["receiver"], row["key"]): row for row in rows(state)}
    standing = {signal.key for signal in current}
    written: list[dict[str, Any]] = []
    problems = []
    for receiver in receivers:
        mine = {key: row for (name, key), row in newest.items() if name == receiver.name}
        over = [
            row for key, row in mine.items()
            if row["kind"] in STANDING and row["kind"] in known and key not in standing and row["event"] != ENDED
        ]  # fmt: skip
        written += [{**row, "event": ENDED, "reason": None} for row in over]
        gone = {row["key"] for row in over}
        late = [
            Signal(row["kind"], row["key"], row["title"], row["text"])
            for key, row in mine.items()
            if row["event"] == NOT_TOLD and key not in standing and key not in gone
        ]
        new = [signal for signal in current if signal.key not in mine or mine[signal.key]["event"] != TOLD]
        refused: str | None = None
        for signal in (*late, *new):
            if refused is None:  # one that does not answer is not asked once per signal
                try:
                    receiver.send(signal.title, signal.text)
                except AlertError as error:
                    refused = str(error)
                    problems.append(f"alerts by {receiver.name} were not sent: {refused}")
            written.append(
                {
                    "event": TOLD if refused is None else NOT_TOLD, "receiver": receiver.name, "kind": signal.kind, "key": signal.key,
                    "title": signal.title, "text": signal.text, "reason": refused,
                }
            )  # fmt: skip
    if written:
        table = AppendOnlyTable(state / TABLE, SCHEMA)
        version = (table.version() or 0) + 1
        first = max((row["alert_seq"] for row in newest.values()), default=0) + 1
        numbered = [{**row, "alert_seq": first + number, "at": at} for number, row in enumerate(written)]
        table.append(pa.Table.from_pylist(numbered, schema=SCHEMA), version=version)
    return problems
