"""A sample of `make coverage`: a few companies, the models that ship, the intervals against the truth."""

from __future__ import annotations

from pathlib import Path

from scipy.stats import binom

from bench.coverage import measure, measure_steady


def test_the_intervals_of_conversion_cover_what_was_planted(tmp_path: Path) -> None:
    figures = measure(range(500, 505), 1500, tmp_path / "home")
    assert figures["intervals"] >= 35
    # fewer hits than this would come once in 10,000 such samples if the intervals held their 95 %
    assert figures["covered"] >= binom.ppf(1e-4, figures["intervals"], 0.95)


def test_the_intervals_of_medians_and_of_the_forecast_cover_the_truth(tmp_path: Path) -> None:
    figures = measure_steady(range(500, 506), tmp_path / "home")
    assert figures["intervals"]["median"] == 24
    assert figures["intervals"]["forecast"] >= 18
    for kind, n in figures["intervals"].items():
        assert round(figures["coverage"][kind] * n) >= binom.ppf(1e-4, n, 0.95), figures
