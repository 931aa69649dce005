"""A sample of the fault schedules (`python -m tests.faults` plays them by the thousand), and the suite itself put to the test:
five bugs, put into the product on purpose, each turn it red."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.faults.play import play
from tests.faults.schedule import Kill, Round, Schedule, schedule


def _hand_made(*rounds: tuple[Sequence[str], tuple[dict[str, Any], ...], Kill | None]) -> Schedule:
    return Schedule(
        -1, 1, 6, tuple(Round(tuple(changes), faults, kill) for changes, faults, kill in rounds), False, None
    )


_DROPPED = ({"kind": "drop_row", "on": "bulk_results", "count": 1000, "skip": 0},)
_BUSY = ("random", "random", "random")
#: Where each bug shows: rows dropped from pages; a run killed once its cursor is written and before its rows are; changes that
#: become visible at the edge of what is read again, or within it; deletions.
_PLANS = {
    "no_count_check": _hand_made((("random",), _DROPPED, None)),
    "cursor_outside_commit": _hand_made((("random",), (), None), (_BUSY, (), Kill("land", 1))),
    "strict": _hand_made((("random",), (), None), (("late_edge",), (), None)),
    "no_overlap": _hand_made((("random",), (), None), (("late",), (), None)),
    "tombstones_dropped": _hand_made((("random",), (), None), (("deletion", "deletion"), (), None)),
}


@pytest.mark.parametrize("seed", [1, 2, 4, 9, 62])
def test_a_schedule_ends_as_the_org_stands(seed: int) -> None:
    outcome = play(schedule(seed))
    assert not outcome.is_red, outcome


@pytest.mark.parametrize("bug", sorted(_PLANS))
def test_a_bug_put_in_on_purpose_turns_the_suite_red(bug: str) -> None:
    sound = play(_PLANS[bug])
    assert not sound.is_red, sound
    broken = play(_PLANS[bug], bug=bug)
    assert broken.is_red, f"{bug} went unnoticed: {broken}"
