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


def test_the_list_of_views_says_what_each_answers(publication: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.print_view(publication, None, output="csv", limit=None)
    assert "rpt_x,2,What is x?" in capsys.readouterr().out


def test_an_unknown_view_and_a_missing_mart_are_told(publication: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Did you mean 'rpt_x'"):
        report.print_view(publication, "rpt_y", output="table", limit=None)
    with pytest.raises(PublishError, match="cannot be opened"):
        report.print_view(tmp_path / "nowhere", "rpt_x", output="table", limit=None)
