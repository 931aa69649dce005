"""Where a big object is cut into windows of its cursor, by counts alone: no requests of its own, no rows.

Windows run from old to new and share no row. A second is never split, so rows of one stamp stay together. A row that changes
while the windows are read moves past the upper bound of them all, and the next run reads it there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from dagster_project.salesforce.soql import Window

_SECOND = timedelta(seconds=1)
#: After so many counts any cut will do; a search that found none goes on until one second is left.
_ENOUGH_COUNTS, _MOST_COUNTS = 12, 64
#: A window between these shares of the bound is good enough: the search for a better one would cost more counts.
_LEAST_SHARE, _AIM = 0.5, 0.8


def next_window(
    rest: Window, rows: int, most: int, *, count: Callable[[Window], int], oldest: Callable[[Window], datetime | None]
) -> tuple[Window, int]:
    """The first part of `rest` (which holds `rows`) with at most `most` rows, and how many it holds; `rest` where it fits.

    More than `most` only where one second alone holds more. `count` asks for the rows of a window, `oldest` for the least
    cursor value in it (UTC).
    """
    if rows <= most or rest.cursor is None:
        return rest, rows
    first = oldest(rest)
    if first is None:
        return rest, rows
    # rows with a cursor below `low` are `under`, those below `high` are `over`: the cut lies between
    low, under = first.replace(microsecond=0), 0
    high, over = rest.high.replace(microsecond=0) + _SECOND, rows
    for number in range(_MOST_COUNTS):
        if under >= most * _LEAST_SHARE or high - low <= _SECOND or (under and number >= _ENOUGH_COUNTS):
            break
        # by proportion where rows lie evenly, by halves where that leads nowhere
        share = (most * _AIM - under) / max(over - under, 1) if number % 3 < 2 else 0.5
        step = timedelta(seconds=int((high - low).total_seconds() * min(max(share, 0.01), 0.99)))
        middle = min(max(low + step, low + _SECOND), high - _SECOND)
        held = count(replace(rest, before=middle))
        if held <= most:
            low, under = middle, held
        else:
            high, over = middle, held
    if under:
        return replace(rest, before=low), under
    # one second holds more than a window may: it is read whole, and with it the rest where nothing else is left
    if over >= rows:
        return rest, rows
    return replace(rest, before=high), over
