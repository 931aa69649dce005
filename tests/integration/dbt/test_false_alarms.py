"""How often flow health signals where nothing changed: on series of independent normal values, by the model that ships, against a
simulation of the same rules in numpy. Belongs here: the rate of false alarms. Does not: the rules case by case (test_flow)."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pytest

WEEKS = (12, 26, 52)
"""Lengths of the baseline: the shortest that has limits, half a year, the whole of it."""
SERIES, GROUPS = 400, 400
RULES = ("is_outside", "is_run_of_8", "is_3_of_4", "is_range_outside")


def _signals(values: Any) -> Any:
    """Per series (row), week and rule: is there a signal? Wheeler's rules, limits from the series itself."""
    ranges = np.abs(np.diff(values, axis=1))
    mean, spread = values.mean(axis=1, keepdims=True), ranges.mean(axis=1, keepdims=True)
    found = np.zeros((len(RULES), *values.shape), dtype=bool)
    found[0] = np.abs(values - mean) > 2.66 * spread
    found[3, :, 1:] = ranges > 3.268 * spread
    for sign in (1, -1):
        beyond = sign * (values - mean)
        side, nearer = beyond > 0, beyond > 2.66 * spread - beyond
        for week in range(7, values.shape[1]):
            found[1, :, week] |= side[:, week - 7 : week + 1].all(axis=1)
        for week in range(3, values.shape[1]):
            found[2, :, week] |= nearer[:, week] & (nearer[:, week - 3 : week + 1].sum(axis=1) >= 3)
    return found


def _counts(values: Any) -> Any:
    """Signals by rule, and of any of the first three, over all series and weeks."""
    found = _signals(values)
    return np.array([*found.sum(axis=(1, 2)), found[:3].any(axis=0).sum()])


def test_noise_signals_no_oftener_than_simulated_at_each_length_of_the_baseline(bench: Any) -> None:
    bench.control()
    bench.dbt.build("conform", only="rpt_flow_health", tests=False)
    bench.home.building.unlink(missing_ok=True)
    bench.dbt.build("measure", only="rpt_flow_health", tests=False)
    rng, noise = np.random.default_rng(2026), {}
    with duckdb.connect(str(bench.home.building)) as mart:
        for weeks in WEEKS:
            noise[weeks] = rng.normal(100, 10, (SERIES, weeks))
            mart.register("noise", {"value": noise[weeks].ravel(), "place": np.arange(SERIES * weeks)})
            mart.execute(f"""
                INSERT INTO mart.fct_flow_weeks BY NAME
                SELECT 'noise: {weeks}: ' || place AS flow_week_key, DATE '2025-02-03' + 7 * (place % {weeks})::int AS week_starts_on,
                    'reported' AS basis, 'noise {weeks}: ' || (place // {weeks}) AS sales_process, 'arrivals' AS metric,
                    1 AS metric_order, 'deals' AS unit, value, 100 AS n, place % {weeks} + 1 AS period_no,
                    {weeks} - place % {weeks} AS weeks_ago, false AS carries_over, 1 AS sparse_below, 0 AS baseline_no
                FROM noise""")
    bench.dbt._invoke(["run", "--select", "rpt_flow_health", "--target", "measure"], [])
    with duckdb.connect(str(bench.home.building), read_only=True) as mart:
        told = mart.execute(f"""
            SELECT split_part(sales_process, ':', 1), count(*), min(reads), max(reads),
                {", ".join(f"sum({rule}::int)" for rule in RULES)}, sum((is_outside OR is_run_of_8 OR is_3_of_4)::int)
            FROM mart.rpt_flow_health WHERE sales_process LIKE 'noise %' GROUP BY 1""").fetchall()
    assert {row[0] for row in told} == {f"noise {weeks}" for weeks in WEEKS}
    for name, n, *reads, outside, run, three, spread, any_rule in told:
        weeks = int(name.split()[1])
        assert (n, *reads) == (SERIES * weeks, "ok", "ok")
        found = np.array([outside, run, three, spread, any_rule])
        # the same series by numpy: the same signals, to the week
        assert found == pytest.approx(_counts(noise[weeks])), weeks
        # and other series of this length: so many signals come by chance, seldom more than the bound
        simulated = np.array([_counts(rng.standard_normal((SERIES, weeks))) for _ in range(GROUPS)])
        upper = np.quantile(simulated, 0.99, axis=0)
        assert (found <= upper).all(), (weeks, found, upper)
        assert (found[[0, 1, 2, 4]] > 0).all(), "a rule that never signals proves nothing"
