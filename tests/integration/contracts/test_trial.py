"""Definitions tried before they hold: what they would flag, who enters and leaves, and nothing of the home touched."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from dagster_project.contracts import audit
from dagster_project.contracts.definition import Definition, Expectation, When
from dagster_project.contracts.trial import compare, never_seen, not_raised, try_out
from dagster_project.errors import WarehouseError


@pytest.fixture
def conformed(tmp_path: Path, scratch: Any, make: Any, here: Any, shipped: list[Definition]) -> Path:
    """Deals of 0, 100, 1000 and without an amount, audited by the shipped R07: the first and the last breach."""
    amounts = {"a": 0, "b": 100, "c": 1000, "d": None}
    path = scratch(
        tmp_path / "w.duckdb", opportunities=[make.deal(key, amount=amount) for key, amount in amounts.items()]
    )
    audit(path, [_rule(shipped)], tmp_path / "state", as_of=make.AS_OF, run_id="r", process=here)
    return path


def _rule(shipped: list[Definition], **changed: Any) -> Definition:
    return next(one for one in shipped if one.id == "R07").model_copy(update=changed)


def _at_least(amount: float) -> list[Expectation]:
    return [
        Expectation(
            expectation="expect_column_values_to_be_between", arguments={"column": "amount", "min_value": amount}
        )
    ]


def test_a_trial_says_who_is_flagged_and_who_is_new_and_touches_nothing(
    conformed: Path, shipped: list[Definition], here: Any
) -> None:
    before = {
        path: hashlib.sha256(path.read_bytes()).hexdigest() for path in conformed.parent.rglob("*") if path.is_file()
    }
    other = _rule(shipped, id="R31", name="other", expectations=_at_least(1000))
    first, second = try_out(
        conformed, [_rule(shipped, expectations=_at_least(500), missing="unknown"), other], process=lambda: here
    )
    assert first.after is not None
    assert (first.after.raw, first.after.met, first.after.breached, first.after.unknown) == (4, 1, 2, 1)
    assert (first.enters, first.leaves) == (1, 1)
    assert [(one.record_id, one.record_name, one.observed_value) for one in first.entering] == [
        ("b", "Deal b", "100.00")
    ]
    assert [one.record_id for one in first.leaving] == ["d"]
    assert (second.definition_id, second.enters, second.leaves) == ("R31", 3, 0)
    assert [one.record_id for one in second.after.samples] == ["a", "b", "d"]
    after = {
        path: hashlib.sha256(path.read_bytes()).hexdigest() for path in conformed.parent.rglob("*") if path.is_file()
    }
    assert after == before


def test_two_folders_differ_by_the_records_that_enter_and_leave(
    conformed: Path, shipped: list[Definition], here: Any
) -> None:
    gone, come = _rule(shipped, id="R40", name="gone"), _rule(shipped, id="R41", name="come")
    changes = compare(
        conformed,
        [_rule(shipped), gone],
        [_rule(shipped, expectations=_at_least(500), version=2), come],
        process=lambda: here,
    )
    told = {
        one.definition_id: (one.before is not None, one.after is not None, one.enters, one.leaves, one.is_same)
        for one in changes
    }
    assert told == {
        "R07": (True, True, 1, 0, False), "R40": (True, False, 0, 2, False), "R41": (False, True, 2, 0, False),
    }  # fmt: skip


def test_the_same_definitions_are_the_same(conformed: Path, shipped: list[Definition], here: Any) -> None:
    (change,) = compare(conformed, [_rule(shipped)], [_rule(shipped)], process=lambda: here)
    assert change.is_same
    (change,) = compare(conformed, [_rule(shipped)], [_rule(shipped, mode="observe")], process=lambda: here)
    assert not change.is_same


def test_a_meaning_that_changes_under_the_same_version_is_told(shipped: list[Definition]) -> None:
    old = [_rule(shipped)]
    assert not_raised(old, [_rule(shipped, expectations=_at_least(5))]) == ["R07"]
    assert not_raised(old, [_rule(shipped, expectations=_at_least(5), version=2)]) == []
    assert not_raised(old, [_rule(shipped, why="other words", mode="observe")]) == []


def test_a_name_that_no_record_has_is_told(conformed: Path, shipped: list[Definition]) -> None:
    slip = _rule(
        shipped, sales_processes=["New_Business", "New_Busines"], when=[When(column="stage_name", equals="Proposal")]
    )
    assert never_seen(conformed, [slip]) == [
        "R07: no opportunity has sales_process 'New_Busines'. Did you mean 'New_Business'?"
    ]
    with pytest.raises(WarehouseError, match=r"Run `leanfunnel run` first\."):
        never_seen(conformed.with_name("absent.duckdb"), [slip])
