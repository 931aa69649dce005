"""The landing log: one table per object, one commit per batch that carries data, watermark, proof and run together.

So data and cursor cannot disagree: what a table's log says is all there is. Also the inventory of what the org offers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from deltalake import DeltaTable

from dagster_project.errors import LandingError
from dagster_project.landing.faults import told_clearly
from dagster_project.landing.table import KEY, REWRITTEN, AppendOnlyTable, live_files

INVENTORY = "_inventory"
LOOKS = "_looks"
_INVENTORY_SCHEMA = pa.schema(
    [
        ("batch_seq", pa.int64()),
        ("object", pa.string()),
        ("field", pa.string()),
        ("status", pa.string()),
        ("salesforce_type", pa.string()),
    ]
)
_LOOKS_SCHEMA = pa.schema(
    [
        ("object", pa.string()),
        ("kind", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
        ("received", pa.int64()),
        ("gone", pa.int64()),
        ("missed", pa.int64()),
        ("refreshed", pa.int64()),
        ("due", pa.string()),
        ("run_id", pa.string()),
    ]
)


class Batch(Protocol):
    """What is landed in one commit: a Parquet file of typed rows, `_operation`, `_extracted_at` and `_batch_seq` last."""

    @property
    def object(self) -> str:
        """The table's name."""

    @property
    def base_seq(self) -> int:
        """The batch_seq of the landing that this batch was made against; it becomes the next one."""

    @property
    def org_id(self) -> str:
        """The org that the rows come from."""

    @property
    def path(self) -> Path:
        """The file; it is moved into the table, or read where its columns must be fitted to those that are landed."""

    def facts(self) -> dict[str, Any]:
        """What the commit carries beside them, as JSON: mode, watermark, window, proof, missing_fields …"""


@dataclass(frozen=True)
class Committed:
    """A batch that stands in the log."""

    object: str
    batch_seq: int
    table_version: int


@dataclass(frozen=True)
class InventoryRow:
    """One object (`field` None) or field: 'present', 'missing' or 'hidden' in the org."""

    object: str
    field: str | None
    status: str
    salesforce_type: str | None = None


@dataclass(frozen=True)
class ObjectState:
    """What the log says of one object. Nothing landed yet: batch_seq 0 and no files.

    `watermark` {field, value} is that of the newest batch of ours; None also where its commit can no longer be read,
    and then the object is loaded in full again. `table_id` is Delta's own of this table: a folder that was put back or
    loaded anew has another, even where `table_version` is the same, and so has one that rows were taken out of.
    """

    object: str
    batch_seq: int = 0
    table_id: str = ""
    table_version: int | None = None
    watermark: Mapping[str, Any] | None = None
    org_id: str | None = None
    missing_fields: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    extracted_at: datetime | None = None
    run_id: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    _table: DeltaTable | None = field(default=None, repr=False, compare=False)
    _path: Path | None = field(default=None, repr=False, compare=False)

    @property
    def schema(self) -> pa.Schema:
        """The columns and their types, empty where nothing landed."""
        return pa.schema([]) if self._table is None else pa.schema(self._table.schema().to_arrow())

    @property
    def files(self) -> list[str]:
        """Absolute paths of the live Parquet files; read by name (`union_by_name`): older ones lack newer columns."""
        return [] if self._table is None or self._path is None else live_files(self._table, self._path)

    def files_since_batch(self, seq: int) -> list[str]:
        """The files that may hold rows with `_batch_seq` > `seq`."""
        return self._pruned("_batch_seq", lambda high: int(high) > seq)

    def files_reaching(self, column: str, low: datetime) -> list[str]:
        """The files that may hold rows with `column` >= `low` (UTC), by the statistics in the log."""
        return self._pruned(column, lambda high: _instant(high) >= low)

    def _pruned(self, column: str, keeps: Any) -> list[str]:
        if self._table is None:
            return []
        actions = pa.table(self._table.get_add_actions(flatten=True))
        if f"max.{column}" not in actions.column_names:
            return self.files
        highs = actions.column(f"max.{column}").to_pylist()
        paths = actions.column("path").to_pylist()
        kept = {Path(path).name for path, high in zip(paths, highs, strict=True) if high is None or keeps(high)}
        return [path for path in self.files if Path(path).name in kept]


class LandingLog:
    """All tables of one org under `root`. It refuses a batch of another org."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._org_id: str | None = None

    def objects(self) -> list[str]:
        """The objects that have a table."""
        with told_clearly(self.root, "read"):
            if not self.root.is_dir():
                return []
            names = sorted(path.name for path in self.root.iterdir() if (path / "_delta_log").is_dir())
        # `_inventory` and the like are ours, no object of the org
        return [name for name in names if not name.startswith("_")]

    @property
    def org_id(self) -> str | None:
        """The org whose records lie here; None while there are none."""
        if self._org_id is None:
            self._org_id = next((org for name in self.objects() if (org := self.state(name).org_id)), None)
        return self._org_id

    def state(self, name: str) -> ObjectState:
        """What the log says of one object. Raises LandingError where the log is broken or cannot be read."""
        path = self._path(name)
        table = AppendOnlyTable(path).open()
        if table is None:
            return ObjectState(name)
        with told_clearly(path, "read"):
            facts = newest_facts(table)
            seq = table.transaction_version(KEY) or 0
            columns = tuple(pa.schema(table.schema().to_arrow()).names)
            version, table_id = table.version(), _lineage(table)
        return ObjectState(
            name,
            batch_seq=max(seq, int(facts.get("batch_seq", 0))),
            table_id=table_id,
            table_version=version,
            # a watermark of an older batch is safe (more is read again), one that does not parse is not
            watermark=facts.get("watermark"),
            org_id=facts.get("org_id"),
            missing_fields=tuple(facts.get("missing_fields", ())),
            columns=columns,
            extracted_at=_instant(facts["extracted_at"]) if facts.get("extracted_at") else None,
            run_id=facts.get("run_id"),
            facts=facts,
            _table=table,
            _path=path,
        )

    def facts_at(self, name: str, known_at: datetime) -> Mapping[str, Any]:
        """What the newest commit of ours that was extracted by `known_at` (UTC) carries; empty where nothing was. Raises LandingError."""
        path = self._path(name)
        table = AppendOnlyTable(path).open()
        if table is None:
            return {}
        with told_clearly(path, "read"):
            return newest_facts(table, known_at)

    def commit(self, batch: Batch, *, run_id: str) -> Committed | None:
        """Land a batch in one commit. None where that batch_seq stands already (a repeated commit changes nothing).

        Raises LandingError: another org's rows, a type that cannot be merged, a full disk, a broken log, no rights.
        """
        known = self.org_id
        if known is not None and known != batch.org_id:
            raise LandingError(
                f"holds the records of org {known}, and these come from org {batch.org_id}.",
                where=str(self.root),
                todo="Give each org a home of its own (--home), or correct the login.",
            )
        seq = batch.base_seq + 1
        facts = {"run_id": run_id, "object": batch.object, "batch_seq": seq, "org_id": batch.org_id, **batch.facts()}
        table = AppendOnlyTable(self._path(batch.object))
        landed = table.adopt(batch.path, version=seq, metadata=facts)
        if not landed:
            return None
        self._org_id = batch.org_id
        opened = table.open()
        assert opened is not None
        return Committed(batch.object, seq, opened.version())

    def inventory(self) -> list[InventoryRow]:
        """What the org offers by the newest word on each object and field."""
        return list(self._inventory()[1].values())

    def record_inventory(self, rows: Iterable[Any], *, run_id: str) -> int:
        """Append those of `rows` (object, field, status, salesforce_type) that are news; returns their number."""
        table, known = self._inventory()
        fresh = [InventoryRow(row.object, row.field, row.status, row.salesforce_type) for row in rows]
        changed = [row for row in fresh if known.get((row.object, row.field)) != row]
        if changed:
            seq = (table.version() or 0) + 1
            columns = {name: [getattr(row, name) for row in changed] for name in _INVENTORY_SCHEMA.names[1:]}
            arrow = pa.table({"batch_seq": [seq] * len(changed), **columns}, schema=_INVENTORY_SCHEMA)
            table.append(arrow, version=seq, metadata={"run_id": run_id, "batch_seq": seq})
        return len(changed)

    def last_looks(self, known_at: datetime | None = None) -> dict[tuple[str, str], datetime]:
        """(object, kind of look) to the instant (UTC) that the newest one (by `known_at`) covers: what the source was compared
        for, apart from what changed."""
        newest: dict[tuple[str, str], datetime] = {}
        for row in AppendOnlyTable(self.root / LOOKS, _LOOKS_SCHEMA).read().to_pylist():
            key, at = (row["object"], row["kind"]), _instant(row["at"])
            if known_at is None or at <= known_at:
                newest[key] = max(at, newest.get(key, at))
        return newest

    def record_looks(self, looks: Sequence[Any], *, run_id: str) -> None:
        """Append looks (object, kind, at, received, gone, missed, refreshed, due) whose batches are landed."""
        if looks:
            columns = {name: [getattr(look, name) for look in looks] for name in _LOOKS_SCHEMA.names[:-1]}
            arrow = pa.table({**columns, "run_id": [run_id] * len(looks)}, schema=_LOOKS_SCHEMA)
            AppendOnlyTable(self.root / LOOKS, _LOOKS_SCHEMA).append(arrow)

    def _inventory(self) -> tuple[AppendOnlyTable, dict[tuple[str, str | None], InventoryRow]]:
        table = AppendOnlyTable(self.root / INVENTORY, _INVENTORY_SCHEMA)
        rows = sorted(table.read().to_pylist(), key=lambda row: row["batch_seq"])
        return table, {
            (row["object"], row["field"]): InventoryRow(
                row["object"], row["field"], row["status"], row["salesforce_type"]
            )
            for row in rows
        }

    def _path(self, name: str) -> Path:
        if not (name.isidentifier() and name.isascii()):
            raise LandingError(f"'{name}' is no name of a table.", where=str(self.root))
        return self.root / name


def newest_facts(table: DeltaTable, known_at: datetime | None = None) -> dict[str, Any]:
    """Our metadata of the newest commit that has some, or that was extracted by `known_at`: usually the first one looked at, else
    further back."""
    for limit in (1, None):
        for commit in table.history(limit):
            if isinstance(commit.get(KEY), str):
                try:
                    facts = json.loads(commit[KEY])
                except ValueError as error:
                    raise LandingError(
                        f"the metadata of version {commit['version']} is not readable.",
                        where=str(table.table_uri),
                        todo="Restore the folder from a backup, or move it away to load the object anew.",
                    ) from error
                if not isinstance(facts, dict) or "batch_seq" not in facts:
                    continue
                extracted_at = facts.get("extracted_at")
                if known_at is None or (extracted_at and _instant(extracted_at) <= known_at):
                    return facts
    return {}


def _lineage(table: DeltaTable) -> str:
    """Delta's id of the table and how often rows were taken out of it: what was built on others must start from nothing."""
    rewritten = table.transaction_version(REWRITTEN)
    return f"{table.metadata().id}" + (f"#{rewritten}" if rewritten else "")


def _instant(value: Any) -> datetime:
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
