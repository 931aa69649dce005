from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from dagster_project.errors import SettingsError
from dagster_project.warehouse import experiments, targets

PROCESSES = {"New_Business", "Expansion"}
VIEWS = Path(__file__).parents[3] / "dbt" / "models" / "views"


def _tried(tmp_path: Path, *rows: str) -> list[experiments.Experiment]:
    path = tmp_path / "experiments.csv"
    path.write_text(experiments.empty() + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return experiments.read(path, PROCESSES)


def _wanted(tmp_path: Path, *rows: str) -> list[targets.Target]:
    path = tmp_path / "targets.csv"
    path.write_text(targets.empty() + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return targets.read(path, PROCESSES)


def test_rows_are_read_as_they_are_written_and_empty_cells_are_none(tmp_path: Path) -> None:
    assert _tried(
        tmp_path,
        'K1,"pushed, again",slips,Expansion,slips fall by a third,2026-01-05,2026-03-29,Ann',
        ",,,,,,,",
        "K2,few wins,win_rate,,from 20 to 25 %,2026-02-02,,Bob",
    ) == [
        experiments.Experiment(
            "K1",
            "pushed, again",
            "slips",
            "Expansion",
            "slips fall by a third",
            date(2026, 1, 5),
            date(2026, 3, 29),
            "Ann",
        ),
        experiments.Experiment("K2", "few wins", "win_rate", None, "from 20 to 25 %", date(2026, 2, 2), None, "Bob"),
    ]
    assert _wanted(tmp_path, "2026-Q3,New_Business,East,,250000.50,", "2026-Q3,,,,,12") == [
        targets.Target("2026-Q3", "New_Business", "East", None, Decimal("250000.50"), None),
        targets.Target("2026-Q3", None, None, None, None, Decimal(12)),
    ]


def test_no_file_is_no_experiment_and_no_target(tmp_path: Path) -> None:
    assert experiments.read(tmp_path / "experiments.csv", PROCESSES) == []
    assert targets.read(tmp_path / "targets.csv", PROCESSES) == []


def test_the_metrics_are_those_that_flow_health_charts() -> None:
    (view,) = yaml.safe_load((VIEWS / "rpt_flow_health.yml").read_text(encoding="utf-8"))["models"]
    (metric,) = [column for column in view["columns"] if column["name"] == "metric"]
    assert metric["data_tests"][0]["accepted_values"]["arguments"]["values"] == list(experiments.METRICS)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("K1,late,slips,,,2026-01-05,,Ann", ("line 2", "there is no prediction", "Say beforehand")),
        (
            "K1,late,slipps,,fewer,2026-01-05,,Ann",
            ("unknown metric 'slipps'", "Did you mean 'slips'?", "Known: arrivals"),
        ),
        ("K1,late,slips,Expanson,fewer,2026-01-05,,Ann", ("unknown sales_process", "Did you mean 'Expansion'?")),
        ("K1,late,slips,,fewer,5.1.2026,,Ann", ("start '5.1.2026' is no date", "2026-07-01")),
        ("K1,late,slips,,fewer,2026-01-05,soon,Ann", ("end 'soon' is no date",)),
        ("K1,late,slips,,fewer,2026-01-05,2026-01-04,Ann", ("the end 2026-01-04 lies before the start 2026-01-05",)),
        ("K1,late,slips,,fewer,2026-01-05,,", ("there is no owner", "Fill in owner")),
        ("K1,late,slips,,a, b,2026-01-05,,Ann", ("has 9 cells, not 8", "quotes")),
        (
            "K1,late,slips,,fewer,2026-01-05,,Ann\nK1,late,won,,more,2026-01-05,,Ann",
            ("line 3", "stands twice", "line 2"),
        ),
    ],
)
def test_each_mistake_in_the_register_is_told_with_its_line_and_what_to_do(
    tmp_path: Path, row: str, told: tuple[str, ...]
) -> None:
    with pytest.raises(SettingsError) as caught:
        _tried(tmp_path, row)
    assert all(part in str(caught.value) for part in ("experiments.csv, line", *told)), str(caught.value)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("2026-3,,,,1,", ("fiscal_quarter '2026-3' is no quarter", "2026-Q3")),
        ("2026-Q3,,East,Ann,1,", ("names a team and an owner",)),
        ("2026-Q3,,,,,", ("neither an amount nor wins",)),
        ("2026-Q3,New_Busines,,,1,", ("Did you mean 'New_Business'?",)),
        ('2026-Q3,,,,"1,000",', ("amount '1,000' is no number above 0", "without separators")),
        ("2026-Q3,,,,,0", ("wins '0' is no number above 0",)),
        ("2026-Q3,,,,nan,", ("amount 'nan' is no number",)),
        ("2026-Q3,,,,1,\n2026-Q3,,,,2,", ("line 3", "have a target already (line 2)")),
    ],
)
def test_each_mistake_in_the_targets_is_told_with_its_line_and_what_to_do(
    tmp_path: Path, row: str, told: tuple[str, ...]
) -> None:
    with pytest.raises(SettingsError) as caught:
        _wanted(tmp_path, row)
    assert all(part in str(caught.value) for part in ("targets.csv, line", *told)), str(caught.value)


def test_another_header_is_refused_with_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "experiments.csv"
    path.write_text("problem;metric\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"line 1: has another header. Write: experiment,problem,metric"):
        experiments.read(path, PROCESSES)
