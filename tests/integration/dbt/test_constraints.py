"""The locator on generated lines: one planted constraint a location is named, and none where there is none. One tuning seed here;
`make constraints` gives the whole confusion matrix.
"""

from __future__ import annotations

import pytest

from bench.constraints import Bench, cases, holds, verdict
from salesforce_simulator import lines

SEED = 1


@pytest.fixture(scope="module")
def locator(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("constraints"))


@pytest.mark.parametrize("location", lines.LOCATIONS)
def test_a_planted_constraint_of_medium_strength_is_named(locator: Bench, location: str) -> None:
    rows = locator.locate(lines.generate(location, "medium", SEED))
    assert [row["location"] for row in rows] == sorted(lines.LOCATIONS)
    assert verdict(rows) == location
    (named,) = [row for row in rows if row["location"] == location]
    assert named["signals_for"] >= 2
    assert named["evidence_for"]
    assert all(row["state"] == "measured" and row["evidence_against"] for row in rows if row is not named)


def test_a_balanced_org_has_no_constraint(locator: Bench) -> None:
    rows = locator.locate(lines.generate("balanced", None, SEED))
    assert verdict(rows) == "undetermined"
    assert not any(row["is_waiting_on_us"] for row in rows)


def test_the_matrix_holds_only_where_nine_of_ten_are_right() -> None:
    matrix = {f"{location} medium": {location: 9, "undetermined": 1} for location in lines.LOCATIONS}
    matrix |= {scenario: {"undetermined": 9, "selling": 1} for scenario in ("balanced", *lines.DECOYS)}
    figures = {"seeds": [0, 10], "matrix": matrix}
    assert holds(figures)
    matrix["mix"] = {"undetermined": 8, "selling": 2}
    assert not holds(figures)
    assert len(list(cases(range(20)))) == 20 * (5 * 3 + 3)
