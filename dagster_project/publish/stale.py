"""What says that the publication readers see is not the newest there could be: a run was stopped after it.

A file beside `current`, since a publication itself is never changed. The next publication removes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

_FILE = "stale.json"


@dataclass(frozen=True)
class Stale:
    """The newest stop since the publication. `as_of`: of the run that was stopped (ISO, UTC); `stopped_by`: rule, reason."""

    as_of: str
    stopped_by: Mapping[str, str]

    def text(self, published_as_of: str) -> str:
        """In one line, for people: how old the publication is by now, and why."""
        hours = (datetime.fromisoformat(self.as_of) - datetime.fromisoformat(published_as_of)).total_seconds() / 3600
        age = f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours"
        return f"stale: {age} older than the newest data, held back by {'; '.join(self.stopped_by.values())}"


def mark_stale(published: Path, stale: Stale) -> None:
    """Say so beside `current`, whole or not at all; nothing where nothing was published."""
    if not (published / "current").exists():
        return
    beside = published / f".{_FILE}.{os.getpid()}"
    beside.write_text(json.dumps(asdict(stale), indent=2), encoding="utf-8")
    beside.replace(published / _FILE)


def read_stale(published: Path) -> Stale | None:
    """What was said, or None where the publication is the newest."""
    try:
        return Stale(**json.loads((published / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # none there; one that is half readable says nothing of use


def clear_stale(published: Path) -> None:
    """A new publication stands."""
    (published / _FILE).unlink(missing_ok=True)
