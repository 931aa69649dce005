"""Overridden stops: what stands on a day, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dagster_project.contracts.overrides import Overrides, definition_named
from dagster_project.errors import SettingsError

AT = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)


def _rule(name: str = "R02", version: int = 1) -> Any:
    return SimpleNamespace(id=name, version=version)


def _give(state: Path, definition: Any, until: date, **words: str) -> None:
    said = {"who": "Ada", "why": "the map is late", **words}
    Overrides(state).give(definition, until_on=until, by="ada", at=AT, seen_as_of=AT, **said)


def test_an_override_holds_for_one_version_until_its_day(tmp_path: Path) -> None:
    _give(tmp_path, _rule(), date(2026, 7, 10))
    overrides = Overrides(tmp_path)
    assert set(overrides.standing(date(2026, 7, 9))) == {("R02", 1)}
    assert not overrides.standing(date(2026, 7, 10))
    _give(tmp_path, _rule(version=2), date(2026, 8, 1))
    assert set(overrides.standing(date(2026, 7, 10))) == {("R02", 2)}


def test_a_later_word_replaces_an_earlier_one_and_may_end_it_sooner(tmp_path: Path) -> None:
    _give(tmp_path, _rule(), date(2026, 12, 1))
    _give(tmp_path, _rule(), date(2026, 7, 2), who=" Bo ", why="mended  tonight")
    standing = Overrides(tmp_path).standing(date(2026, 7, 1))[("R02", 1)]
    assert standing.text == "R02 is overridden by Bo until 2026-07-02: mended tonight"
    assert standing.given_at == AT
    assert not Overrides(tmp_path).standing(date(2026, 7, 2))


@pytest.mark.parametrize(
    ("words", "until", "told"),
    [
        ({"who": " "}, date(2026, 8, 1), "needs --who"),
        ({"why": ""}, date(2026, 8, 1), "needs --why"),
        ({}, date(2026, 7, 1), "2026-07-01 is not a day to come"),
    ],
)
def test_an_override_without_name_reason_or_end_is_refused(
    words: dict[str, str], until: date, told: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=told):
        _give(tmp_path, _rule(), until, **words)
    assert not Overrides(tmp_path).standing(date(2026, 6, 1))


def test_only_a_rule_that_stops_the_line_is_overridden() -> None:
    rules = [_rule("R02"), _rule("R22")]
    assert definition_named(rules, "2", ["R02"]).id == "R02"
    assert definition_named(rules, "r22", ["R02", "R22"]).id == "R22"
    with pytest.raises(SettingsError, match="stopped nothing"):
        definition_named(rules, "R22", ["R02"])
    with pytest.raises(SettingsError, match="no definition"):
        definition_named(rules, "R2", [])
