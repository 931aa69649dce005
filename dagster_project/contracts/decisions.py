"""What people decide about breaches: appended to one Delta table beside the landing, never edited, undone by a further row.

A decision holds for the breaches of one record and one version of a definition that stood when it was made: one that comes back
later, or breaches a new version, is open again. Belongs here: the table, what stands of it, reading decisions from CSV.
Does not: the ledger (ledger), the order of the worklist (worklist), the command line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

from dagster_project.errors import SettingsError, nearest
from dagster_project.landing import AppendOnlyTable

TABLE = "decisions"
ACTIONS = ("assign", "snooze", "waive", "dispute", "fixed")
"""assign: to a person. snooze: left out until a date. waive: left out, for good or until a date. dispute: the definition's owner
looks at it. fixed: left out until the next run tells."""
_NEEDS_WHY = ("snooze", "waive", "dispute")

SCHEMA = pa.schema(
    [
        ("decision_seq", pa.int64()),
        ("batch_seq", pa.int64()),
        ("action", pa.string()),
        ("record_id", pa.string()),
        ("definition_id", pa.string()),
        ("definition_version", pa.int32()),
        ("until_on", pa.date32()),
        ("assigned_to", pa.string()),
        ("why", pa.string()),
        ("decided_by", pa.string()),
        ("decided_at", pa.timestamp("us", tz="UTC")),
        ("seen_as_of", pa.timestamp("us", tz="UTC")),
        ("undoes_seq", pa.int64()),
    ]
)
"""One row per decision on one record and definition version. `seen_as_of`: the instant of the publication that the decider saw."""


class DecisionError(SettingsError):
    """A decision names what does not stand, or is not written as it must be. Nothing of the call is written."""


@dataclass(frozen=True)
class Breach:
    """What a decision is about."""

    record_id: str
    definition_id: str
    definition_version: int


@dataclass(frozen=True)
class Decision:
    """What is decided, before it is written. `until_on`: the first day on which it no longer holds."""

    action: str
    breach: Breach
    why: str | None = None
    until_on: date | None = None
    assigned_to: str | None = None


def wanting(
    action: str, *, why: str | None, until: date | None, to: str | None, as_of_on: date
) -> tuple[str, str] | None:
    """What such a decision lacks or says too much, as (what is wrong, what to write); None where it is sound."""
    if action not in ACTIONS:
        return f"there is no decision '{action}'.{nearest(action, ACTIONS)}", f"Write one of: {', '.join(ACTIONS)}."
    if action == "snooze" and until is None:
        return "a snooze says no date.", "Write until when, as 2026-01-31."
    if until is not None and action not in ("snooze", "waive"):
        return f"'{action}' takes no date.", "Leave the date out, or write snooze or waive."
    if until is not None and until <= as_of_on:
        return f"the date {until} is not after {as_of_on}, the day of the published run.", "Write a later one."
    if action == "assign" and not to:
        return "an assignment names nobody.", "Write to whom."
    if to and action != "assign":
        return f"'{action}' goes to nobody.", "Leave the name out, or write assign."
    if action in _NEEDS_WHY and not why:
        return f"'{action}' gives no reason.", "Write why."
    return None


class Decisions:
    """The decisions of one home. Of two writers at once one fails with a LandingError and may try again."""

    def __init__(self, state: Path) -> None:
        self._table = AppendOnlyTable(state / TABLE, SCHEMA)

    def rows(self) -> pa.Table:
        """Every decision ever made, in order."""
        rows = self._table.read()
        return rows.select(SCHEMA.names).cast(SCHEMA).sort_by("decision_seq")

    def standing(self) -> pa.Table:
        """The decisions that no later row took back, undo rows left out, in order."""
        import pyarrow.compute as pc

        rows = self.rows()
        undone = rows["undoes_seq"].drop_null()
        keep = pc.and_(pc.invert(pc.is_in(rows["decision_seq"], undone)), pc.is_null(rows["undoes_seq"]))
        return rows.filter(keep)

    def append(self, decided: Sequence[Decision], *, by: str, at: datetime, seen_as_of: datetime) -> int:
        """Write them in one commit, all or none; returns the number of the batch. Instants UTC. Raises LandingError."""
        return self._write(
            [
                {
                    "action": one.action,
                    "record_id": one.breach.record_id,
                    "definition_id": one.breach.definition_id,
                    "definition_version": one.breach.definition_version,
                    "until_on": one.until_on,
                    "assigned_to": one.assigned_to,
                    "why": one.why,
                }
                for one in decided
            ],
            by=by, at=at, seen_as_of=seen_as_of,
        )  # fmt: skip

    def undo(self, names: Sequence[str], *, by: str, why: str | None, at: datetime, seen_as_of: datetime) -> int:
        """Take back decisions (`D12`) or whole batches (`B4`); returns how many. Raises DecisionError, and writes nothing,
        where a name is unknown or its decisions are taken back already.
        """
        rows = self.rows().to_pylist()
        undone = {row["undoes_seq"] for row in rows if row["undoes_seq"] is not None}
        decided = [row for row in rows if row["undoes_seq"] is None]
        taken: dict[int, dict[str, object]] = {}
        for name in names:
            letter, number = name[:1].upper(), name[1:]
            key = {"D": "decision_seq", "B": "batch_seq"}.get(letter)
            found = [row for row in decided if key and number.isdigit() and row[key] == int(number)]
            if not found:
                raise DecisionError(
                    f"there is no decision '{name}'.",
                    todo="`leanfunnel decide list` shows them: D12 is one, B4 a batch.",
                )
            standing = [row for row in found if row["decision_seq"] not in undone]
            if not standing:
                raise DecisionError(f"'{name}' is taken back already.", todo="Decide anew if that was a mistake.")
            taken |= {row["decision_seq"]: row for row in standing}
        kept = ("record_id", "definition_id", "definition_version")
        self._write(
            [
                {"action": "undo", **{name: row[name] for name in kept}, "why": why, "undoes_seq": seq}
                for seq, row in sorted(taken.items())
            ],
            by=by, at=at, seen_as_of=seen_as_of,
        )  # fmt: skip
        return len(taken)

    def _write(self, rows: list[dict[str, object]], *, by: str, at: datetime, seen_as_of: datetime) -> int:
        import pyarrow.compute as pc

        known = self._table.read()
        last, batch = (
            (pc.max(known[name]).as_py() or 0) if known.num_rows else 0 for name in ("decision_seq", "batch_seq")
        )
        batch += 1
        common = {"batch_seq": batch, "decided_by": by, "decided_at": _utc(at), "seen_as_of": _utc(seen_as_of)}
        numbered = [{**row, **common, "decision_seq": last + at_ + 1} for at_, row in enumerate(rows)]
        if not self._table.append(pa.Table.from_pylist(numbered, schema=SCHEMA), app_id=TABLE, version=batch):
            raise DecisionError("another decision was written at the same moment.", todo="Try again.")
        return batch


@dataclass(frozen=True)
class Ask:
    """One line of a CSV file, read but not yet matched with what stands. `rule` None: all that stand for the record."""

    line: int
    action: str
    record_id: str
    rule: str | None
    why: str | None
    until_on: date | None
    assigned_to: str | None


def read_csv(path: Path, *, as_of_on: date) -> list[Ask]:
    """The decisions of a CSV file with the columns record_id, decision, and where needed rule, until, to, why.

    Other columns are passed over and lines without a decision too, so that a worklist saved as CSV can be filled in and read
    back. Raises DecisionError with every mistake: file, line, what to write.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DecisionError("the file is not UTF-8 text.", where=str(path), todo="Save it as CSV UTF-8.") from None
    except OSError as error:
        raise DecisionError(
            f"cannot be read: {error.strerror}.", where=str(path), todo="Name a readable file."
        ) from None
    head = text.partition("\n")[0]
    # spreadsheets of many countries separate by semicolon
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",")
    names = [(name or "").strip() for name in reader.fieldnames or []]
    reader.fieldnames = names
    for name in ("record_id", "decision"):
        if name not in names:
            raise DecisionError(
                f"there is no column '{name}'.{nearest(name, names)}", where=f"{path}:1",
                todo="Begin with a line such as record_id,rule,decision,until,to,why.",
            )  # fmt: skip
    asked: list[Ask] = []
    mistakes: list[str] = []
    try:
        for row in reader:
            found = list(_ask(row, reader.line_num, as_of_on))
            asked += [one for one in found if isinstance(one, Ask)]
            mistakes += [f"{path}:{reader.line_num}: {one}" for one in found if isinstance(one, str)]
    except csv.Error as error:
        raise DecisionError(
            f"this is not CSV: {error}.", where=f"{path}:{reader.line_num}", todo="Save it as CSV UTF-8."
        ) from None
    told_all(mistakes)
    return asked


def _ask(row: dict[str, str | None], line: int, as_of_on: date) -> Iterator[Ask | str]:
    if None in row:
        yield "the line has more cells than the first line. Put a text that holds the separator in quotes."
        return
    # the apostrophe that keeps a spreadsheet from running a cell as a formula is not part of the value
    cell = {name: (value or "").strip() for name, value in row.items()}
    cell = {name: value[1:] if value[:2] in ("'=", "'+", "'-", "'@") else value for name, value in cell.items()}
    action = cell["decision"].lower()
    if not action:
        return
    if not cell["record_id"]:
        yield "the line names no record. Write its Id under record_id."
        return
    until = None
    if cell.get("until"):
        try:
            until = date.fromisoformat(cell["until"])
        except ValueError:
            yield f"'{cell['until']}' under until is no date. Write it as 2026-01-31."
            return
    why, to = cell.get("why") or None, cell.get("to") or None
    wrong = wanting(action, why=why, until=until, to=to, as_of_on=as_of_on)
    if wrong:
        yield " ".join(wrong)
        return
    yield Ask(line, action, cell["record_id"], cell.get("rule") or None, why, until, to)


def told_all(mistakes: Sequence[str]) -> None:
    """Raise one DecisionError for all mistakes of a file, each with its place; none: nothing."""
    if len(mistakes) == 1:
        raise DecisionError(f"{mistakes[0]} Nothing is written.")
    if mistakes:
        raise DecisionError(f"{len(mistakes)} mistakes, nothing is written: {' | '.join(mistakes)}")


def rule_id(text: str) -> str:
    """`7`, `r7` and `R07` are R07."""
    number = text.strip().upper().removeprefix("R")
    return f"R{int(number):02d}" if number.isdigit() else text


def by_record(standing: Sequence[Breach]) -> dict[str, list[Breach]]:
    """The breaches by record, under its Id of 18 characters and of 15."""
    found: dict[str, list[Breach]] = {}
    for one in standing:
        for key in {one.record_id, one.record_id[:15]}:
            found.setdefault(key, []).append(one)
    return found


def match(standing: Mapping[str, Sequence[Breach]], record: str, rule: str | None) -> list[Breach]:
    """The breaches that stand (`by_record`) for a record and a rule, or all of the record. Raises DecisionError where none does."""
    of_record = standing.get(record)
    if not of_record:
        raise DecisionError(f"no breach stands for the record '{record}'.", todo="`leanfunnel breaches` lists them.")
    found = [one for one in of_record if rule is None or one.definition_id == rule_id(rule)]
    if not found:
        known = ", ".join(sorted({one.definition_id for one in of_record}))
        raise DecisionError(f"no breach of '{rule}' stands for the record '{record}'.", todo=f"What stands: {known}.")
    return found


def _utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
