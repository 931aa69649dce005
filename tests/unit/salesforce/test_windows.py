"""Where windows are cut: by counts alone, whatever lies between."""

from __future__ import annotations

import bisect
import random
from datetime import UTC, datetime, timedelta

import pytest

from dagster_project.salesforce.soql import Window
from dagster_project.salesforce.windows import next_window

HIGH = datetime(2026, 1, 1, tzinfo=UTC)


class _Rows:
    """Cursor values, counted as the org would."""

    def __init__(self, stamps: list[datetime]) -> None:
        self.stamps, self.counts = sorted(stamps), 0

    def inside(self, window: Window) -> list[datetime]:
        low = bisect.bisect_left(self.stamps, window.low) if window.low else 0
        high = (
            bisect.bisect_left(self.stamps, window.before)
            if window.before
            else bisect.bisect_right(self.stamps, window.high)
        )
        return self.stamps[low:high]

    def count(self, window: Window) -> int:
        self.counts += 1
        return len(self.inside(window))

    def oldest(self, window: Window) -> datetime | None:
        found = self.inside(window)
        return found[0] if found else None

    def cut(self, most: int) -> list[tuple[Window, int]]:
        """All windows, one after the other."""
        rest, found = Window("SystemModstamp", None, HIGH), []
        while True:
            window, rows = next_window(rest, len(self.inside(rest)), most, count=self.count, oldest=self.oldest)
            found.append((window, rows))
            if window.before is None:
                return found
            rest = Window("SystemModstamp", window.before, HIGH)


def _even(count: int) -> list[datetime]:
    return [HIGH - timedelta(minutes=n) for n in range(count)]


def _skewed(count: int) -> list[datetime]:
    """Twenty years of a few, and a mass import within an hour."""
    draws = random.Random(5)
    few = [HIGH - timedelta(days=draws.uniform(0, 7000)) for _ in range(count // 20)]
    start = HIGH - timedelta(days=900)
    return few + [start + timedelta(seconds=draws.randint(0, 3600)) for _ in range(count)]


def _tied(count: int) -> list[datetime]:
    return _even(count) + [HIGH - timedelta(days=3)] * count


@pytest.mark.parametrize("made", [_even, _skewed, _tied])
def test_windows_hold_every_row_once_and_no_more_than_they_may(made) -> None:
    rows = _Rows([stamp.replace(microsecond=0) for stamp in made(5000)])
    found = rows.cut(400)
    assert [stamp for window, _ in found for stamp in rows.inside(window)] == rows.stamps
    for window, count in found:
        inside = rows.inside(window)
        assert len(inside) == count
        assert count <= 400 or len(set(inside)) == 1 or made is _tied
    # equal stamps lie in one window
    homes = [set(rows.inside(window)) for window, _ in found]
    assert sum(len(home) for home in homes) == len(set(rows.stamps))
    # the search is cheap: a handful of counts a window
    assert rows.counts <= 14 * len(found)


def test_what_fits_is_one_window_and_costs_no_count() -> None:
    rows = _Rows(_even(300))
    assert rows.cut(300) == [(Window("SystemModstamp", None, HIGH), 300)]
    assert rows.counts == 0


def test_more_rows_in_one_second_than_a_window_may_hold_are_read_together() -> None:
    rows = _Rows([HIGH - timedelta(days=1)] * 900)
    assert [count for _, count in rows.cut(100)] == [900]
    rows = _Rows([HIGH - timedelta(days=1)] * 900 + [HIGH] * 5)
    assert [count for _, count in rows.cut(100)] == [900, 5]


def test_without_a_cursor_there_is_nothing_to_cut_by() -> None:
    whole = Window(None, None, HIGH)
    assert next_window(whole, 900, 100, count=lambda w: 0, oldest=lambda w: None) == (whole, 900)
