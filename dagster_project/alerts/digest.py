"""The weekly digest: to each person who is to act at most ten items with their fixes, to managers counts by cause.

Belongs here: what it says, and that each recipient gets it once an ISO week. Does not: ranking (the worklist does), printing.
People are sent their own items by e-mail alone, to the addresses in `addresses.csv` of the home (columns `owner`, `address`);
Slack, Teams and `email_to` get the counts, which name no person. On record stays a hash of the address, not the address.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dagster_project.alerts.receivers import AlertError, Email, Receiver
from dagster_project.contracts.worklist import Worklist, worklist
from dagster_project.errors import LeanfunnelError, SettingsError
from dagster_project.home import Home
from dagster_project.landing import AppendOnlyTable
from dagster_project.warehouse.database import open_database

if TYPE_CHECKING:
    from dagster_project.alerts.teller import Teller

MOST = 10
"""Items that one person is shown; how many more there are is said."""
TABLE = "digests"
SCHEMA = pa.schema([("week", pa.string()), ("recipient", pa.string())])
_NAMES = ("owner", "address")


@dataclass(frozen=True)
class Digest:
    """`by_person`: who is to act, with title and text; `counts`: title and text for managers. `week`: as 2026-W26."""

    week: str
    by_person: dict[str, tuple[str, str]]
    counts: tuple[str, str]


def read(home: Home) -> Digest:
    """The digest of the published mart. Raises SettingsError where nothing was published."""
    file = home.current / "leanfunnel.duckdb"
    if not file.exists():
        raise SettingsError("nothing is published here.", where=str(home.root), todo="Run `leanfunnel run` first.")
    with open_database(file, read_only=True) as mart:
        mart.execute("SET schema = 'mart'")
        return made(worklist(mart, home.state))


def made(found: Worklist) -> Digest:
    """The digest of a worklist."""
    year, week, _ = found.as_of_on.isocalendar()
    name = f"{year}-W{week:02d}"
    return Digest(
        name, {who: _of_person(items, name) for who, items in _by_person(found).items()}, _counts(found, name)
    )


def send(home: Home, teller: Teller) -> list[str]:
    """Send it to whoever did not get that week's. Returns what was sent, a line each; what was not is in `teller.problems`.

    Raises SettingsError for a mistake in addresses.csv, or where nothing was published.
    """
    digest, addresses = read(home), read_addresses(home.root / "addresses.csv")
    table = AppendOnlyTable(home.state / TABLE, SCHEMA)
    had = {(row["week"], row["recipient"]) for row in table.read().to_pylist()}
    lines, sent = [], []
    mail = next((one for one in teller.receivers if isinstance(one, Email)), None)
    wanted: list[tuple[str, Receiver, str, tuple[str, str]]] = [
        (one.name, one, f"counts by {one.name}", digest.counts) for one in teller.receivers
    ]
    if mail:
        wanted += [
            (addresses[who], mail.to(addresses[who]), f"the items of {who}", digest.by_person[who])
            for who in sorted(digest.by_person)
            if who in addresses
        ]
    for recipient, receiver, what, (title, text) in wanted:
        key = (digest.week, hashlib.sha256(recipient.encode()).hexdigest())
        if key in had:
            lines.append(f"{what}: sent already in {digest.week}")
            continue
        try:
            receiver.send(title, text)
        except AlertError as error:
            teller.problems.append(f"{what} were not sent: {error}")
            continue
        sent.append(key)
        lines.append(f"{what}: sent")
    if without := sorted(set(digest.by_person) - set(addresses)) if mail else []:
        lines.append(f"no address in addresses.csv for {len(without)} of {len(digest.by_person)} who have items")
    if sent:
        rows = pa.Table.from_pylist([{"week": week, "recipient": who} for week, who in sent], schema=SCHEMA)
        try:
            table.append(rows, version=(table.version() or 0) + 1)
        except LeanfunnelError as error:
            teller.problems.append(f"what was sent could not be kept: {error}")
    return lines


def read_addresses(path: Path) -> dict[str, str]:
    """Person, as the worklist names them, to e-mail address. Raises SettingsError with the line."""
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in _NAMES if name not in (reader.fieldnames or [])]:
                raise SettingsError(
                    f"lacks the column {' and '.join(missing)}.", where=str(path), todo="Begin it with owner,address."
                )
            found: dict[str, str] = {}
            for row in reader:
                owner, address = ((row[name] or "").strip() for name in _NAMES)
                where = f"{path}:{reader.line_num}"
                if not owner and not address:
                    continue
                if (
                    not owner
                    or address.count("@") != 1
                    or not all(address.split("@"))
                    or any(map(str.isspace, address))
                ):
                    raise SettingsError(
                        "is no owner with an e-mail address.",
                        where=where,
                        todo="Write for example: Ann Lee,ann@example.com",
                    )
                if found.setdefault(owner, address) != address:
                    raise SettingsError(f"names {owner} twice.", where=where, todo="Keep one line for each person.")
            return found
    except UnicodeDecodeError as error:
        raise SettingsError("is not UTF-8 text.", where=str(path), todo="Save it as UTF-8.") from error


def _by_person(found: Worklist) -> dict[str, list[dict[str, Any]]]:
    """Each person's items in the order of the worklist, with the breaches that are theirs."""
    by_person: dict[str, list[dict[str, Any]]] = {}
    for item in found.items:
        for who in dict.fromkeys(breach["who"] for breach in item["breaches"] if breach["who"]):
            mine = [breach for breach in item["breaches"] if breach["who"] == who and breach["mode"] == "enforce"]
            if mine:
                by_person.setdefault(who, []).append({**item, "breaches": mine})
    return by_person


def _of_person(items: Sequence[dict[str, Any]], week: str) -> tuple[str, str]:
    lines = []
    for item in items[:MOST]:
        name, stage = item["record_name"] or item["record_id"] or "a record", item["stage"]
        lines.append(f"{name}{f' ({stage})' if stage else ''} {item['record_url'] or ''}".rstrip())
        lines += [
            f"  {one['rule']} {one['title']}: {one['observed'] or 'nothing found'}. {one['fix']}"
            for one in item["breaches"]
        ]
    more = len(items) - MOST
    if more > 0:
        lines.append(f"and {more} more: `leanfunnel breaches --who` shows them.")
    shown = min(len(items), MOST)
    return f"{shown} {'item' if shown == 1 else 'items'} to look at, {week}", "\n".join(lines)


def _counts(found: Worklist, week: str) -> tuple[str, str]:
    """By cause, which is the definition: never by person."""
    causes: dict[tuple[str, str], list[date | str]] = {}
    for row in found.breaches:
        if row["mode"] == "enforce":
            causes.setdefault((row["rule"], row["title"]), []).append(row["age"])
    lines = [
        f"{rule} {title}: {len(ages):,} open, {ages.count('new'):,} of them since the rule holds"
        for (rule, title), ages in sorted(causes.items(), key=lambda one: (-len(one[1]), one[0]))
    ]
    return f"Open breaches by cause, {week}", "\n".join(lines) or "None."
