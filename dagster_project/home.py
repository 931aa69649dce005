"""Where one org's files lie: the home of a run. A leaf: paths only, nothing is read or written here.

Landing and state are the truth and are kept; warehouse and publications can be rebuilt from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


def stamp(instant: datetime) -> str:
    """`instant` (UTC) as a name for files and folders: `20260701T000000Z`."""
    return instant.strftime("%Y%m%dT%H%M%SZ")


@dataclass(frozen=True)
class Home:
    """The folders of one org. A replay (`replay`) shares landing, state and rules, and builds everything else apart."""

    root: Path
    replay: datetime | None = None

    @property
    def landing(self) -> Path:
        """The append-only log: one Delta table per Salesforce object."""
        return self.root / "landing"

    @property
    def state(self) -> Path:
        """What people and audits decided (ledger): append-only Delta tables, never rebuilt."""
        return self.root / "state"

    @property
    def settings_file(self) -> Path:
        """Optional settings without secrets."""
        return self.root / "leanfunnel.yml"

    @property
    def stage_map(self) -> Path:
        """Which step each stage of each sales process is; rev-ops edits it."""
        return self.root / "stage_map.csv"

    @property
    def experiments(self) -> Path:
        """The register of experiments; people keep it. Optional."""
        return self.root / "experiments.csv"

    @property
    def targets(self) -> Path:
        """What each fiscal quarter shall bring; people keep it. Optional."""
        return self.root / "targets.csv"

    @property
    def expectations(self) -> Path:
        """The org's own definitions; where absent, those shipped with leanfunnel hold."""
        return self.root / "expectations"

    @property
    def built(self) -> Path:
        """The folder of what is built: the home itself, or the replay's own."""
        return self.root if self.replay is None else self.root / "replays" / stamp(self.replay)

    @property
    def warehouse(self) -> Path:
        """Files that one writer at a time may write."""
        return self.built / "warehouse"

    @property
    def conformed(self) -> Path:
        """Staging and intermediate: the DuckDB file that dbt's `conform` target writes."""
        return self.warehouse / "conformed.duckdb"

    @property
    def building(self) -> Path:
        """The next publication while it is built."""
        return self.warehouse / "leanfunnel.duckdb"

    @property
    def plan(self) -> Path:
        """What the run in progress (or the last one) was asked to build."""
        return self.warehouse / "plan.json"

    @property
    def lock(self) -> Path:
        """Held by whoever writes landing, warehouse or publications of this home."""
        return self.root / ".lock"

    @property
    def work(self) -> Path:
        """Pages in transit; empty between runs."""
        return self.root / ".work"

    @property
    def published(self) -> Path:
        """Publications by id, and `current`, the one pointer."""
        return self.built / "published"

    @property
    def current(self) -> Path:
        """The pointer that readers follow."""
        return self.published / "current"
