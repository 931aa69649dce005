from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from dagster_project.publish.publication import Manifest, PublishError, publish, read_manifest


def _built(folder: Path, *, value: int = 1) -> Path:
    path = folder / "leanfunnel.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE SCHEMA mart; CREATE TABLE mart.rpt_x AS SELECT i AS n, ? AS v FROM range(3) t(i)", [value]
        )
        connection.execute("CREATE SCHEMA other; CREATE TABLE other.hidden AS SELECT 1 AS a")
    return path


def _manifest(name: str) -> Manifest:
    return Manifest(
        publication_id=name,
        as_of="2026-07-01T00:00:00Z",
        known_at="2026-07-01T00:00:00Z",
        fingerprint="f",
        org_id="00D",
    )


def test_a_publication_holds_the_file_parquet_and_a_manifest_behind_one_pointer(tmp_path: Path) -> None:
    published = tmp_path / "published"
    manifest = publish(_built(tmp_path), published, _manifest("a"), keep=3)
    current = published / "current"
    assert current.is_symlink()
    assert current.resolve().name == "a"
    with duckdb.connect(str(current / "leanfunnel.duckdb"), read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM mart.rpt_x").fetchone() == (3,)
    assert duckdb.sql(f"SELECT sum(n) FROM '{current}/parquet/rpt_x.parquet'").fetchone() == (3,)
    assert [path.name for path in (current / "parquet").iterdir()] == ["rpt_x.parquet"]
    assert read_manifest(current) == manifest
    assert json.loads((current / "manifest.json").read_text())["tables"]["rpt_x"]["rows"] == 3


def test_a_reader_of_the_old_one_keeps_working(tmp_path: Path) -> None:
    published = tmp_path / "published"
    publish(_built(tmp_path), published, _manifest("a"), keep=1)
    with duckdb.connect(str(published / "current" / "leanfunnel.duckdb"), read_only=True) as reader:
        publish(_built(tmp_path, value=2), published, _manifest("b"), keep=1)
        assert not (published / "a").exists()
        assert reader.sql("SELECT max(v) FROM mart.rpt_x").fetchone() == (1,)
    with duckdb.connect(str(published / "current" / "leanfunnel.duckdb"), read_only=True) as reader:
        assert reader.sql("SELECT max(v) FROM mart.rpt_x").fetchone() == (2,)


def test_the_last_ones_are_kept_and_older_ones_go(tmp_path: Path) -> None:
    published = tmp_path / "published"
    for number, name in enumerate("abcd"):
        publish(_built(tmp_path, value=number), published, _manifest(name), keep=3)
    assert sorted(path.name for path in published.iterdir()) == ["b", "c", "current", "d"]


def test_the_same_rows_give_the_same_hashes_and_leave_the_folder(tmp_path: Path) -> None:
    published = tmp_path / "published"
    first = publish(_built(tmp_path), published, _manifest("a"), keep=3)
    before = (published / "a").stat().st_ino
    second = publish(_built(tmp_path), published, _manifest("a"), keep=3)
    assert first.tables == second.tables
    assert (published / "a").stat().st_ino == before
    third = publish(_built(tmp_path, value=9), published, _manifest("a"), keep=3)
    assert third.tables != first.tables
    assert (published / "current").resolve().name == "a.2"


def test_a_failure_leaves_the_last_good_one(tmp_path: Path) -> None:
    published = tmp_path / "published"
    publish(_built(tmp_path), published, _manifest("a"), keep=3)
    broken = tmp_path / "leanfunnel.duckdb"
    broken.write_bytes(b"this is no database" * 1000)
    with pytest.raises(PublishError, match="could not be published"):
        publish(broken, published, _manifest("b"), keep=3)
    assert (published / "current").resolve().name == "a"
    assert sorted(path.name for path in published.iterdir()) == ["a", "current"]


def test_an_unreadable_manifest_is_told(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(PublishError, match="not a readable manifest"):
        read_manifest(tmp_path)
    assert read_manifest(tmp_path / "nowhere") is None
