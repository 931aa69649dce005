"""What `bench.mart` works out by itself: the exponent, and that the reference writes every table that is compared."""

from __future__ import annotations

import re

import duckdb
import pytest

from bench import mart


@pytest.mark.parametrize("power", [0.9, 1.0, 1.15, 2.0])
def test_the_exponent_is_that_of_a_planted_power_law(power: float) -> None:
    seconds = {size: 7.5 + 3e-5 * size**power for size in (250_000, 500_000, 1_000_000, 2_000_000)}
    assert mart.exponent(seconds, fixed=7.5) == pytest.approx(power, abs=1e-3)


def test_a_size_within_the_fixed_cost_gives_no_exponent() -> None:
    assert mart.exponent({1_000: 7.0, 2_000: 9.0}, fixed=7.5) is None


def test_the_reference_parses_and_writes_every_compared_table() -> None:
    statements = duckdb.extract_statements(mart.REFERENCE.read_text(encoding="utf-8"))
    written = {name for one in statements for name in re.findall(r"CREATE TABLE plain\.(\w+)", one.query)}
    assert set(mart.COMPARED) <= written
