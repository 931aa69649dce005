from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import duckdb
import pytest

from dagster_project import report
from dagster_project.errors import SettingsError
from dagster_project.publish.publication import PublishError


@pytest.fixture
def publication(tmp_path: Path) -> Path:
    with duckdb.connect(str(tmp_path / "leanfunnel.duckdb")) as connection:
        connection.execute("""
            CREATE SCHEMA mart;
            CREATE TABLE mart.rpt_x (n INTEGER, name VARCHAR, amount DECIMAL(18, 2), seen_at TIMESTAMP);
            COMMENT ON TABLE mart.rpt_x IS 'Grain: a row. What is x? Read it so.';
            INSERT INTO mart.rpt_x VALUES (1, '=HYPERLINK("http://x")', 1234.5, TIMESTAMP '2026-07-01 00:00:00'), (2, '[bold]x', NULL, NULL)""")
    return tmp_path


def test_csv_is_safe_to_open_in_a_spreadsheet(publication: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.print_view(publication, "rpt_x", output="csv", limit=None)
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows == [
        ["n", "name", "amount", "seen_at"],
        ["1", '\'=HYPERLINK("http://x")', "1234.5", "2026-07-01T00:00:00"],
        ["2", "[bold]x", "", ""],
    ]


def test_json_keeps_types_and_unknown_values(publication: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.print_view(publication, "rpt_x", output="json", limit=1)
    assert json.loads(capsys.readouterr().out) == [
        {"n": 1, "name": '=HYPERLINK("http://x")', "amount": 1234.5, "seen_at": "2026-07-01T00:00:00"}
    ]


def test_a_table_shows_text_as_it_is_and_says_when_it_is_cut(
    publication: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report.print_view(publication, "rpt_x", output="table", limit=None)
    assert "[bold]x" in capsys.readouterr().out
    report.print_view(publication, "rpt_x", output="table", limit=1)
    assert "the first 1 rows" in capsys.readouterr().err


def test_a_table_that_is_too_wide_says_what_it_leaves_out(
    publication: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = [f"column_number_{at}" for at in range(30)]
    with duckdb.connect(str(publication / "leanfunnel.duckdb")) as connection:
        values = ", ".join(f"10000000 * n + {at} AS {name}" for at, name in enumerate(wide))
        connection.execute(
            f"CREATE TABLE mart.rpt_wide AS SELECT 'reported: ' || n AS row_key, 'reported' AS basis, {values} "
            "FROM range(1, 3) AS t (n)"
        )
    report.print_view(publication, "rpt_wide", output="table", limit=None)
    told = capsys.readouterr()
    assert "the same in all of these rows: basis reported" in told.err
    left = told.err.split("beyond the width of the screen: ")[1].split(";")[0].split(", ")
    assert 5 < len(left) < 25
    assert left == wide[-len(left) :]
    assert told.out.count("10,000,0") == 30 - len(left)
    assert "row" not in told.out
    report.print_view(publication, "rpt_wide", output="table", limit=1)
    told = capsys.readouterr()
    assert all(f" {name} " in told.out for name in ("row_key", "basis", *wide))
    assert "beyond" not in told.err
    with duckdb.connect(str(publication / "leanfunnel.duckdb")) as connection:
        connection.execute("DELETE FROM mart.rpt_wide")
    report.print_view(publication, "rpt_wide", output="table", limit=None)
    told = capsys.readouterr()
    assert "the same" not in told.err
    assert "basis" in told.out


def test_columns_are_picked_in_their_order(publication: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.print_view(publication, "rpt_x", output="csv", limit=1, columns=["name", "n"])
    assert capsys.readouterr().out.splitlines()[0] == "name,n"
    with pytest.raises(SettingsError, match=r"has no column 'nane'.*Did you mean 'name'"):
        report.print_view(publication, "rpt_x", output="table", limit=None, columns=["nane"])


def test_the_list_of_views_says_what_each_answers(publication: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.print_view(publication, None, output="csv", limit=None)
    assert "rpt_x,2,What is x?" in capsys.readouterr().out


def test_an_unknown_view_and_a_missing_mart_are_told(publication: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Did you mean 'rpt_x'"):
        report.print_view(publication, "rpt_y", output="table", limit=None)
    with pytest.raises(PublishError, match="cannot be opened"):
        report.print_view(tmp_path / "nowhere", "rpt_x", output="table", limit=None)
