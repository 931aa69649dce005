"""Did a window arrive whole? Judged by counts taken before and after it, and by what changed meanwhile. No requests here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dagster_project.errors import IncompleteExtractError


def judge(
    name: str, *, before: int, received: int, after: int, changed_since: Callable[[], int | None]
) -> dict[str, Any]:
    """What the commit says of the counts: `stated`, `stated_after` and, where they differ from what arrived, `moved`: the
    rows that bear a cursor later than the run's beginning, which the next run reads.

    On a live org rows are edited out of a window while it is read. What arrived must lie between the two counts, and no more
    may be missing than came back with a later cursor; `changed_since` counts those, None where the object has no cursor.
    Raises IncompleteExtractError otherwise.
    """
    proof: dict[str, Any] = {"stated": before, "stated_after": after}
    if before == received == after:
        return proof
    if not min(before, after) <= received <= max(before, after):
        raise short(name, received, after, "COUNT() of the same window")
    missing = max(before - received, 0)
    moved = changed_since() if missing else 0
    if missing > (moved or 0):
        raise short(name, received, before, "COUNT() before the reading")
    return {**proof, "moved": missing}


def short(name: str, received: int, stated: int, source: str) -> IncompleteExtractError:
    """The error for rows that did not arrive, or arrived too often."""
    return IncompleteExtractError(
        f"{received:,} rows arrived where {source} states {stated:,}.",
        where=name,
        todo="Run again; nothing of this window was landed.",
    )
