"""Taking rows out of a Delta table: gone from the disk and from the log, the rest and the table's own facts as they were."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from dagster_project.landing import AppendOnlyTable, LandingLog
from dagster_project.landing.rewriting import purge, take_out

AT = datetime(2026, 1, 1, tzinfo=UTC)
FACTS = {"watermark": {"field": "SystemModstamp", "value": "2026-01-01"}, "org_id": "00D", "missing_fields": ["X"]}


def _land(folder: Path, seq: int, rows: list[dict]) -> None:
    columns = {
        "Id": pa.string(),
        "Name": pa.string(),
        "Amount": pa.decimal128(18, 2),
        "SystemModstamp": pa.timestamp("us", "UTC"),
    }
    if seq > 1:
        columns["New"] = (
            pa.string()
        )  # a column that older files lack: written through delta-rs, which notes text in the log
    schema = pa.schema([*columns.items(), ("_batch_seq", pa.int64())])
    table = pa.Table.from_pylist([{"SystemModstamp": AT, "_batch_seq": seq, **row} for row in rows], schema=schema)
    AppendOnlyTable(folder).append(table, version=seq, metadata={"batch_seq": seq, **FACTS})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    _land(
        tmp_path / "Account",
        1,
        [{"Id": "a", "Name": "Zoë Canary"}, {"Id": "b", "Name": "Bob", "Amount": Decimal("1.50")}],
    )
    _land(
        tmp_path / "Account",
        2,
        [{"Id": "a", "Name": "Zoë Canary II", "Amount": Decimal("4711.07"), "New": "seen by Zoë Canary"}],
    )
    _land(tmp_path / "Account", 3, [{"Id": "b", "Name": "Bob", "New": "met Zoë Canary"}])
    return tmp_path


def _bytes(root: Path) -> str:
    return "".join(p.read_bytes().decode("utf-8", "replace") for p in root.rglob("*") if p.is_file())


def test_rows_leave_files_statistics_and_predicates_and_the_rest_stays(root: Path) -> None:
    before = LandingLog(root).state("Account")
    assert "Zoë Canary" in _bytes(root)
    count = take_out(
        root / "Account", gone="\"Id\" = 'a'", blanked={'"New"': "NULL"}, where="strpos(\"New\", 'Zoë Canary') > 0"
    )
    assert count == 3
    assert "Zoë Canary" in _bytes(root), "the old files are there until they are cleared"
    assert purge(root / "Account") > 0
    text = _bytes(root)
    assert "Canary" not in text
    assert "4711.07" not in text
    rows = sorted(AppendOnlyTable(root / "Account").read().to_pylist(), key=lambda row: row["_batch_seq"])
    assert [(row["Id"], row["Name"], row["Amount"], row["New"]) for row in rows] == [
        ("b", "Bob", Decimal("1.50"), None),
        ("b", "Bob", None, None),
    ]
    after = LandingLog(root).state("Account")
    assert (after.batch_seq, after.watermark, after.org_id, after.missing_fields, after.schema) == (
        before.batch_seq,
        before.watermark,
        before.org_id,
        before.missing_fields,
        before.schema,
    )
    assert after.table_id != before.table_id, "what was built on the old rows must start from nothing"
    assert [path for path in after.files if not Path(path).exists()] == []
    # it goes on as a table does: a batch that stands is not landed twice, the next one is; other runs' words are kept
    assert AppendOnlyTable(root / "Account").append(pa.table({"Id": ["c"]}), version=3) is False
    _land(root / "Account", 4, [{"Id": "c", "Name": "Cy"}])
    assert LandingLog(root).state("Account").batch_seq == 4
    assert LandingLog(root).state("Account").table_id == after.table_id
    commits = [
        json.loads(line)
        for file in (root / "Account/_delta_log").glob("*.json")
        for line in file.read_text().splitlines()
    ]
    assert {
        json.loads(c["commitInfo"]["leanfunnel"])["batch_seq"]
        for c in commits
        if "leanfunnel" in c.get("commitInfo", {})
    } == {1, 2, 3, 4}


def test_clearing_may_be_cut_off_and_repeated(root: Path) -> None:
    take_out(root / "Account", gone="\"Id\" = 'a'")
    orphan = root / "Account/part-killed.parquet"  # a file that a killed run moved in before its commit
    orphan.write_bytes(b"Zoe Canary")
    dead = next(
        p
        for p in (root / "Account").glob("*.parquet")
        if str(p) not in LandingLog(root).state("Account").files and p != orphan
    )
    dead.unlink()  # as far as a killed run came
    purge(root / "Account")
    assert purge(root / "Account") == 0
    assert not orphan.exists()
    assert AppendOnlyTable(root / "Account").read().num_rows == 2


def test_a_checkpoint_is_cleared_too_and_the_log_reads_without(root: Path) -> None:
    table = AppendOnlyTable(root / "Account").open()
    assert table is not None
    table.create_checkpoint()
    take_out(root / "Account", gone="\"Id\" = 'a'")
    purge(root / "Account")
    assert list((root / "Account/_delta_log").glob("*checkpoint*")) == []
    assert LandingLog(root).state("Account").batch_seq == 3
    assert AppendOnlyTable(root / "Account").read().num_rows == 2


def test_nothing_to_take_out_of_no_table(tmp_path: Path) -> None:
    assert take_out(tmp_path / "None", gone="true") == 0
    assert purge(tmp_path / "None") == 0
