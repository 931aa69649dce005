"""What a table says of a file that moves into it, whatever breaks in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from dagster_project.landing.table import AppendOnlyTable


@pytest.fixture
def file(tmp_path: Path) -> Path:
    place = tmp_path / "fetched.parquet"
    pq.write_table(pa.table({"Id": ["a", "b"]}), place)
    return place


@pytest.mark.parametrize("committed", [True, False])
def test_ctrl_c_around_a_commit_leaves_the_file_where_the_log_says(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    commit = DeltaTable.create_write_transaction

    def broken_into(self: DeltaTable, *args: Any, **options: Any) -> None:
        if committed:
            commit(self, *args, **options)
        raise KeyboardInterrupt

    table = AppendOnlyTable(tmp_path / "table")
    with monkeypatch.context() as patched:
        patched.setattr(DeltaTable, "create_write_transaction", broken_into)
        with pytest.raises(KeyboardInterrupt):
            table.adopt(file, version=1, metadata={})
    assert file.exists() != committed
    assert table.adopt(file, version=1, metadata={}) != committed
    assert table.read().column("Id").to_pylist() == ["a", "b"]
