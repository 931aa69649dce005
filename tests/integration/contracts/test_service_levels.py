"""What an audit measured as a service level stands still until its definition changes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dagster_project.contracts import Definition, audit, frozen_service_levels

DAY = timedelta(days=1)
FIRST = [
    ("New_Business", "Proposal", 12.5, 40, None),
    ("New_Business", "Qualification", None, 19, None),
]


@pytest.fixture
def r15(shipped: Any) -> Definition:
    return next(definition for definition in shipped if definition.id == "R15")


def test_levels_are_frozen_once_and_hold_for_later_runs_of_the_version(
    tmp_path: Path, scratch: Any, make: Any, here: Any, r15: Definition
) -> None:
    state = tmp_path / "state"

    def run(as_of: Any, levels: list[Any], definition: Definition = r15, **more: Any) -> None:
        path = scratch(tmp_path / "w.duckdb", opportunities=[make.deal("a", as_of=as_of)], levels=levels, as_of=as_of)
        audit(path, [definition], state, as_of=as_of, run_id="one", process=here, **more)

    frozen = ("New_Business", "Proposal", 12.5, 40, make.AS_OF)
    run(make.AS_OF, FIRST, record=False)
    assert frozen_service_levels(state, [r15], make.AS_OF) == [], "a replay freezes nothing"
    run(make.AS_OF, FIRST)
    assert frozen_service_levels(state, [r15], make.AS_OF) == [frozen], "too few visits freeze nothing"
    run(make.AS_OF, FIRST)
    assert frozen_service_levels(state, [r15], make.AS_OF) == [frozen], "the same audit again adds nothing"
    # the next run reads what was frozen, and freezes what has enough visits by now
    later = make.AS_OF + DAY
    run(later, [frozen, ("New_Business", "Qualification", 9.0, 20, None)])
    second = ("New_Business", "Qualification", 9.0, 20, later)
    assert frozen_service_levels(state, [r15], later) == [frozen, second]
    assert frozen_service_levels(state, [r15], make.AS_OF) == [frozen], "a replay does not know what was frozen later"
    assert frozen_service_levels(state, [r15], make.AS_OF - DAY) == []
    changed = r15.model_copy(update={"version": 2})
    assert frozen_service_levels(state, [changed], later) == [], "a new version measures anew"
    run(later, [("New_Business", "Proposal", 20.0, 60, None)], changed)
    assert frozen_service_levels(state, [changed], later) == [("New_Business", "Proposal", 20.0, 60, later)]
    assert frozen_service_levels(state, [r15], later) == [frozen, second]


def test_without_a_definition_that_compares_with_them_nothing_is_frozen(
    tmp_path: Path, scratch: Any, make: Any, here: Any, shipped: Any
) -> None:
    (r07,) = (definition for definition in shipped if definition.id == "R07")
    path = scratch(tmp_path / "w.duckdb", opportunities=[make.deal("a")], levels=FIRST)
    audit(path, [r07], tmp_path / "state", as_of=make.AS_OF, run_id="one", process=here)
    assert frozen_service_levels(tmp_path / "state", [r07], make.AS_OF) == []
    assert not (tmp_path / "state" / "service_levels").exists()
