"""A sample of `make coverage`: five companies, the models that ship, the intervals against what was planted."""

from __future__ import annotations

from pathlib import Path

from scipy.stats import binom

from bench.coverage import measure


def test_the_intervals_of_conversion_cover_what_was_planted(tmp_path: Path) -> None:
    figures = measure(range(500, 505), 1500, tmp_path / "home")
    assert figures["intervals"] >= 35
    # fewer hits than this would come once in 10,000 such samples if the intervals held their 95 %
    assert figures["covered"] >= binom.ppf(1e-4, figures["intervals"], 0.95)
