"""The landing log: one commit carries rows, watermark and proof; a repeated, foreign or torn batch changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_project.errors import LandingError
from dagster_project.landing import AppendOnlyTable, InventoryRow, LandingLog

ORG = "00D000000000001AAA"
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Rows:
    """A batch as extraction makes it, with rows given here."""

    table: pa.Table
    base_seq: int = 0
    object: str = "Opportunity"
    org_id: str = ORG
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """A fresh file at each call: landing moves it away."""
        file = Path(tempfile.mkdtemp(prefix="batch-")) / "batch.parquet"
        seq = pa.array([self.base_seq + 1] * self.table.num_rows, pa.int64())
        pq.write_table(self.table.append_column("_batch_seq", seq), file)
        return file

    def facts(self) -> dict[str, Any]:
        return {
            "mode": "full",
            "watermark": {"field": "SystemModstamp", "value": START.isoformat()},
            "proof": {"received": self.table.num_rows},
            "missing_fields": ["Region__c"],
            "extracted_at": START.isoformat(),
            **self.extra,
        }


def _rows(ids: list[str], *, at: datetime = START, **columns: pa.Array) -> pa.Table:
    n = len(ids)
    return pa.table(
        {
            "Id": pa.array(ids, pa.string()),
            "SystemModstamp": pa.array([at] * n, pa.timestamp("us", "UTC")),
            **columns,
            "_operation": pa.array(["upsert"] * n, pa.string()),
        }
    )


def _read(log: LandingLog, name: str = "Opportunity") -> list[tuple[Any, ...]]:
    return duckdb.execute(
        "SELECT * FROM read_parquet(?, union_by_name = true) ORDER BY _batch_seq, Id", [log.state(name).files]
    ).fetchall()


def test_a_commit_carries_rows_watermark_and_proof_together(tmp_path: Path) -> None:
    log = LandingLog(tmp_path)
    assert log.state("Opportunity").batch_seq == 0
    assert log.org_id is None

    committed = log.commit(Rows(_rows(["006a", "006b"])), run_id="r1")

    state = LandingLog(tmp_path).state("Opportunity")
    assert committed is not None
    assert (committed.batch_seq, state.batch_seq, state.org_id, state.run_id) == (1, 1, ORG, "r1")
    assert state.watermark == {"field": "SystemModstamp", "value": START.isoformat()}
    assert state.facts["proof"] == {"received": 2}
    assert state.missing_fields == ("Region__c",)
    assert state.extracted_at == START
    assert set(state.columns) == {"Id", "SystemModstamp", "_operation", "_batch_seq"}
    assert sum("leanfunnel" in commit for commit in DeltaTable(tmp_path / "Opportunity").history()) == 1
    assert [row[-1] for row in _read(log)] == [1, 1]


def test_a_repeated_batch_is_a_no_op(tmp_path: Path) -> None:
    log = LandingLog(tmp_path)
    log.commit(Rows(_rows(["006a"])), run_id="r1")
    assert log.commit(Rows(_rows(["006z"])), run_id="r2") is None
    assert [row[0] for row in _read(log)] == ["006a"]
    assert log.state("Opportunity").table_version == 1


def test_a_table_loaded_anew_has_another_id(tmp_path: Path) -> None:
    log = LandingLog(tmp_path)
    assert log.state("Opportunity").table_id == ""
    log.commit(Rows(_rows(["006a"])), run_id="r1")
    first = log.state("Opportunity")
    log.commit(Rows(_rows(["006b"]), base_seq=1), run_id="r2")
    assert log.state("Opportunity").table_id == first.table_id
    shutil.rmtree(tmp_path / "Opportunity")
    log.commit(Rows(_rows(["006a"])), run_id="r3")
    again = log.state("Opportunity")
    assert again.table_version == first.table_version
    assert again.table_id not in ("", first.table_id)


def test_an_empty_first_batch_lands_its_schema(tmp_path: Path) -> None:
    log = LandingLog(tmp_path)
    assert log.commit(Rows(_rows([])), run_id="r1") is not None
    state = log.state("Opportunity")
    assert state.batch_seq == 1
    assert "Id" in state.columns


def test_the_state_is_read_when_the_newest_commit_is_not_ours_and_after_checkpoints(tmp_path: Path) -> None:
    log = LandingLog(tmp_path)
    log.commit(Rows(_rows(["006a"])), run_id="r1")
    table = DeltaTable(tmp_path / "Opportunity")
    table.create_checkpoint()
    table.alter.set_table_description("a person wrote this")
    state = log.state("Opportunity")
    assert state.table_version == 2
    assert (state.batch_seq, state.run_id) == (1, "r1")

    # the log before the checkpoint is gone: the number stands, the watermark does not, so the object is read in full
    DeltaTable(tmp_path / "Opportunity").create_checkpoint()
    for commit in (tmp_path / "Opportunity" / "_delta_log").glob("*0[01].json"):
        commit.unlink()
    state = log.state("Opportunity")
    assert state.batch_seq == 1
    assert state.watermark is None


def test_files_are_pruned_by_batch_and_by_time(tmp_path: Path) -> None:
    log = LandingLog(tmp_path)
    for seq in range(3):
        log.commit(Rows(_rows([f"006{seq}"], at=START + timedelta(days=seq)), base_seq=seq), run_id="r")
    state = log.state("Opportunity")
    assert len(state.files) == 3
    assert len(state.files_since_batch(1)) == 2
    assert len(state.files_reaching("SystemModstamp", START + timedelta(days=2))) == 1
    assert len(state.files_reaching("SystemModstamp", START)) == 3
    assert state.files_reaching("NoSuchColumn", START) == state.files


def test_a_new_column_merges_and_a_lost_one_becomes_null(tmp_path: Path) -> None:
    log = LandingLog(tmp_path)
    log.commit(Rows(_rows(["006a"], Old=pa.array(["x"]))), run_id="r1")
    log.commit(Rows(_rows(["006b"], New=pa.array([True])), base_seq=1), run_id="r2")
    rows = duckdb.execute(
        'SELECT Id, "Old", "New" FROM read_parquet(?, union_by_name = true) ORDER BY 1',
        [log.state("Opportunity").files],
    ).fetchall()
    assert rows == [("006a", "x", None), ("006b", None, True)]


def test_numbers_widen_without_loss(tmp_path: Path) -> None:
    log = LandingLog(tmp_path)
    money = pa.array([Decimal("12345678901234.56")], pa.decimal128(18, 2))
    log.commit(Rows(_rows(["006a"], N=pa.array([7], pa.int64()), Amount=money)), run_id="r1")
    finer = pa.array([Decimal("1.2345")], pa.decimal128(18, 4))
    log.commit(Rows(_rows(["006b"], N=pa.array([1.5]), Amount=finer), base_seq=1), run_id="r2")
    rows = duckdb.execute(
        "SELECT Id, N, Amount, _batch_seq FROM read_parquet(?, union_by_name = true) ORDER BY 1",
        [log.state("Opportunity").files],
    ).fetchall()
    assert rows == [("006a", 7.0, Decimal("12345678901234.5600"), 1), ("006b", 1.5, Decimal("1.2345"), 2)]
    # a narrower batch afterwards is cast into what stands
    log.commit(Rows(_rows(["006c"], N=pa.array([3], pa.int64())), base_seq=2), run_id="r3")
    assert log.state("Opportunity").batch_seq == 3


@pytest.mark.parametrize(
    "changed", [pa.array(["text"]), pa.array([True]), pa.array([START], pa.timestamp("us", "UTC"))]
)
def test_a_retyped_column_is_refused_and_nothing_lands(tmp_path: Path, changed: pa.Array) -> None:
    log = LandingLog(tmp_path)
    log.commit(Rows(_rows(["006a"], N=pa.array([7], pa.int64()))), run_id="r1")
    with pytest.raises(LandingError, match="N was landed as int64"):
        log.commit(Rows(_rows(["006b"], N=changed), base_seq=1), run_id="r2")
    assert log.state("Opportunity").batch_seq == 1
    assert len(_read(log)) == 1


def test_another_org_is_refused_in_every_table(tmp_path: Path) -> None:
    log = LandingLog(tmp_path)
    log.commit(Rows(_rows(["006a"])), run_id="r1")
    with pytest.raises(LandingError, match="these come from org 00D000000000002AAA"):
        LandingLog(tmp_path).commit(Rows(_rows(["001a"]), object="Account", org_id="00D000000000002AAA"), run_id="r2")
    assert log.objects() == ["Opportunity"]


def test_a_file_that_cannot_be_read_lands_nothing(tmp_path: Path) -> None:
    log = LandingLog(tmp_path)
    log.commit(Rows(_rows(["006a"])), run_id="r1")

    class Torn(Rows):
        @property
        def path(self) -> Path:
            file = super().path
            file.write_bytes(file.read_bytes()[:-20])
            return file

    with pytest.raises(LandingError):
        log.commit(Torn(_rows(["006b"]), base_seq=1), run_id="r2")
    assert [row[0] for row in _read(log)] == ["006a"]
    assert log.commit(Rows(_rows(["006b"]), base_seq=1), run_id="r3") is not None
    assert [row[0] for row in _read(log)] == ["006a", "006b"]


def test_a_commit_that_fails_gives_the_file_back_and_leaves_none_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LandingLog(tmp_path)
    log.commit(Rows(_rows(["006a"])), run_id="r1")

    class Kept(Rows):
        @property
        def path(self) -> Path:
            if not kept.exists():
                super().path.rename(kept)
            return kept

    def refused(*args: Any, **kwargs: Any) -> None:
        raise DeltaError("Generic error: No space left on device (os error 28)")

    kept = tmp_path / "kept.parquet"
    batch = Kept(_rows(["006b"]), base_seq=1)
    with monkeypatch.context() as patched:
        patched.setattr(DeltaTable, "create_write_transaction", refused)
        with pytest.raises(LandingError, match="disk is full"):
            log.commit(batch, run_id="r2")
    assert len(list((tmp_path / "Opportunity").glob("*.parquet"))) == 1
    assert log.commit(batch, run_id="r3") is not None
    assert [row[0] for row in _read(log)] == ["006a", "006b"]


def test_a_kill_between_creating_the_table_and_landing_means_nothing_was_landed(tmp_path: Path) -> None:
    DeltaTable.create(tmp_path / "Opportunity", _rows(["006a"]).schema)
    log = LandingLog(tmp_path)
    state = log.state("Opportunity")
    assert (state.batch_seq, state.files, log.org_id) == (0, [], None)
    assert log.commit(Rows(_rows(["006a"])), run_id="r1") is not None
    assert [row[0] for row in _read(log)] == ["006a"]


def test_files_that_cannot_hold_newer_rows_are_left_out(tmp_path: Path) -> None:
    """By the statistics that are written beside a file that was moved in."""
    log = LandingLog(tmp_path)
    days = [START + timedelta(days=n) for n in range(3)]
    for n, day in enumerate(days):
        log.commit(Rows(_rows([f"006{n}"], at=day), base_seq=n), run_id=f"r{n}")
    state = log.state("Opportunity")
    assert [len(state.files_reaching("SystemModstamp", day)) for day in days] == [3, 2, 1]
    assert state.files_reaching("SystemModstamp", days[2] + timedelta(microseconds=1)) == []
    assert [len(state.files_since_batch(n)) for n in range(4)] == [3, 2, 1, 0]


def test_a_corrupted_log_is_one_clear_error(tmp_path: Path) -> None:
    log = LandingLog(tmp_path)
    log.commit(Rows(_rows(["006a"])), run_id="r1")
    (tmp_path / "Opportunity" / "_delta_log" / f"{0:020}.json").write_text("{nonsense")
    with pytest.raises(LandingError) as caught:
        log.state("Opportunity")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "Opportunity") in str(caught.value)


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LandingLog(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(LandingError, match="disk is full"):
        log.commit(Rows(_rows(["006a"])), run_id="r1")
    assert log.objects() == []


_LIMITED = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from dagster_project.errors import LandingError
from dagster_project.landing import AppendOnlyTable
import random
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
rows = pa.table({"a": [str(random.random()) for _ in range(50_000)]})
try:
    AppendOnlyTable(Path(sys.argv[1])).append(rows, version=1)
except LandingError as error:
    print(error)
"""


def test_a_file_that_may_not_grow_is_told_and_the_next_commit_goes_on(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(tmp_path / "t")], capture_output=True, text=True, check=True
    )
    assert "the disk is full or a file may not grow" in done.stdout
    table = AppendOnlyTable(tmp_path / "t")
    assert table.files() == []
    assert table.append(pa.table({"a": ["x"]}), version=1)
    assert table.read().num_rows == 1


def test_a_folder_without_rights_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    as_root = os.geteuid() == 0
    if as_root:  # root may write everywhere: become nobody for a moment
        os.seteuid(65534)
    try:
        with pytest.raises(LandingError, match="no right"):
            LandingLog(tmp_path).commit(Rows(_rows(["006a"])), run_id="r")
    finally:
        if as_root:
            os.seteuid(0)
        tmp_path.chmod(0o755)


def test_the_inventory_grows_only_by_what_changed(tmp_path: Path) -> None:
    log = LandingLog(tmp_path)
    first = [InventoryRow("Opportunity", None, "present"), InventoryRow("Opportunity", "Amount", "present", "currency")]
    assert log.record_inventory(first, run_id="r1") == 2
    assert log.record_inventory(first, run_id="r2") == 0
    assert log.record_inventory([InventoryRow("Opportunity", "Amount", "hidden")], run_id="r3") == 1
    assert log.inventory() == [first[0], InventoryRow("Opportunity", "Amount", "hidden")]
    assert DeltaTable(tmp_path / "_inventory").version() == 1
    assert log.objects() == []


def test_state_tables_append_once_per_version(tmp_path: Path) -> None:
    table = AppendOnlyTable(tmp_path / "spells", pa.schema([("id", pa.string())]))
    assert table.read().schema.names == ["id"]
    assert table.version() is None
    assert table.append(pa.table({"id": ["a"]}), version=5)
    assert not table.append(pa.table({"id": ["b"]}), version=5)
    assert table.append(pa.table({"id": ["b"]}))
    assert sorted(table.read()["id"].to_pylist()) == ["a", "b"]
    assert table.version() == 5


def test_a_table_that_others_wrote_keeps_working(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "Foreign", pa.table({"Id": ["x"]}))
    state = LandingLog(tmp_path).state("Foreign")
    assert (state.batch_seq, state.watermark, len(state.files)) == (0, None, 1)


def test_facts_are_plain_json_in_the_commit(tmp_path: Path) -> None:
    LandingLog(tmp_path).commit(Rows(_rows(["006a"])), run_id="r1")
    text = (tmp_path / "Opportunity" / "_delta_log" / f"{1:020}.json").read_text().splitlines()
    info = next(json.loads(line)["commitInfo"] for line in text if "commitInfo" in line)
    assert json.loads(info["leanfunnel"])["batch_seq"] == 1


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.text(max_size=5), min_size=1, max_size=4), min_size=1, max_size=4))
def test_what_was_landed_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, batches: list[list[str]]) -> None:
    log = LandingLog(tmp_path_factory.mktemp("log"))
    for seq, ids in enumerate(batches):
        log.commit(Rows(_rows(ids), base_seq=seq), run_id="r")
        log.commit(Rows(_rows(ids), base_seq=seq), run_id="again")
    expected = sorted((seq + 1, name) for seq, ids in enumerate(batches) for name in ids)
    assert sorted((row[-1], row[0]) for row in _read(log)) == expected
