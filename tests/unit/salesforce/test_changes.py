from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagster_project.errors import IncompleteExtractError
from dagster_project.salesforce.changes import check_keys

WHOLE = ["006000000000001AAA", "006000000000002AAA"]


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        ([*WHOLE, WHOLE[0]], "1 records came twice"),
        ([*WHOLE, "\x00006000000000003AAA"], "1 records came without a whole Id"),
        ([*WHOLE, "00600000000"], "1 records came without a whole Id"),
        ([*WHOLE, None], "1 records came without a whole Id"),
    ],
)
def test_a_record_that_came_twice_or_with_a_damaged_id_is_not_landed(tmp_path: Path, ids: list, told: str) -> None:
    pq.write_table(pa.table({"Id": pa.array(ids, pa.string())}), tmp_path / "typed.parquet")
    with pytest.raises(IncompleteExtractError, match=told):
        check_keys(duckdb.connect(), "Opportunity", ("Id",), tmp_path / "typed.parquet")


def test_records_that_came_once_pass_and_so_do_keys_of_two_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"Id": WHOLE}), tmp_path / "typed.parquet")
    check_keys(duckdb.connect(), "Opportunity", ("Id",), tmp_path / "typed.parquet")
    stages = pa.table({"RecordTypeId": [WHOLE[0]] * 2, "StageName": ["Open", "Won"]})
    pq.write_table(stages, tmp_path / "stages.parquet")
    check_keys(duckdb.connect(), "Stages", ("RecordTypeId", "StageName"), tmp_path / "stages.parquet")
