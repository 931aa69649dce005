"""A sample of the fault schedules (`python -m tests.faults` plays them all)."""

from __future__ import annotations

import pytest

from tests.faults.play import play_seed


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_schedule_ends_as_the_org_stands(seed: int) -> None:
    outcome = play_seed(seed)
    assert not outcome.is_red, outcome
