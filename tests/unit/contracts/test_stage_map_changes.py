"""What a run keeps of the stage maps that it found."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dagster_project.contracts.stage_map_changes import StageMapChanges
from dagster_project.warehouse.stage_map import MappedStage

FIRST = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = timedelta(days=7)


def _stage(process: str, name: str, order: int) -> MappedStage:
    return MappedStage(process, name, order, "prospect", "qualifying", False, False, True, buyer_stage="looks around")


MAP = [_stage("P", "New", 1), _stage("P", "Contacted", 2), _stage("Q", "New", 1)]


def test_the_first_map_of_a_process_holds_since_ever(tmp_path: Path) -> None:
    changes = StageMapChanges(tmp_path)
    assert changes.since(FIRST) == []
    assert changes.record(MAP, FIRST) == 2
    assert changes.record([*MAP, _stage("R", "New", 1)], FIRST + WEEK) == 1
    assert changes.since(FIRST + WEEK) == []


def test_a_change_belongs_to_its_process_and_is_kept_once(tmp_path: Path) -> None:
    changes = StageMapChanges(tmp_path)
    changes.record(MAP, FIRST)
    moved = [replace(MAP[0], stage_order=2), replace(MAP[1], stage_order=1), MAP[2]]
    assert changes.record(moved, FIRST + WEEK) == 1
    assert changes.record(moved, FIRST + 2 * WEEK) == 0
    assert changes.since(FIRST + 2 * WEEK) == [("P", (FIRST + WEEK).replace(tzinfo=None))]


def test_what_goes_back_has_changed_twice_and_an_earlier_reader_knows_less(tmp_path: Path) -> None:
    changes = StageMapChanges(tmp_path)
    for week, stages in enumerate((MAP, MAP[:1] + MAP[2:], MAP)):
        changes.record(stages, FIRST + week * WEEK)
    both = [("P", (FIRST + week * WEEK).replace(tzinfo=None)) for week in (1, 2)]
    assert StageMapChanges(tmp_path).since(FIRST + 2 * WEEK) == both
    assert StageMapChanges(tmp_path).since(FIRST + WEEK) == both[:1]


def test_words_and_the_order_of_rows_change_no_map(tmp_path: Path) -> None:
    changes = StageMapChanges(tmp_path)
    changes.record(MAP, FIRST)
    assert changes.record([replace(stage, buyer_stage="compares") for stage in reversed(MAP)], FIRST + WEEK) == 0
