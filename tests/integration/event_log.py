"""Stage changes as an event log of pm4py, the oracle for sojourns, rework and durations of what directly follows (AGPL: in tests only).

Built from raw changes in their given order, and handed over trace by trace: tables would be sorted anew by pm4py, and changes of
one instant have no order but the one they came in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

Steps = dict[tuple[str, str], list[float]]


def event_log(changes: Iterable[tuple[str, str, datetime]]) -> Any:
    """One trace per case of (case, stage, instant in UTC); a change into the stage that stands already is none."""
    from pm4py.objects.log.obj import Event, EventLog, Trace

    traces: dict[str, Any] = {}
    for case, stage, instant in changes:
        trace = traces.setdefault(case, Trace(attributes={"concept:name": case}))
        if not trace or trace[-1]["concept:name"] != stage:
            trace.append(Event({"concept:name": stage, "time:timestamp": instant}))
    return EventLog(traces.values())


def directly_follows(log: Any) -> Steps:
    """(stage, next stage) to the days from entering the one to entering the other, ascending."""
    from pm4py.algo.discovery.dfg.variants import performance

    seconds = performance.apply(log, parameters={"aggregationMeasure": "raw_values"})
    return {pair: sorted(one / 86400 for one in found) for pair, found in seconds.items()}


def sojourns(log: Any) -> dict[str, list[float]]:
    """Stage to the days of each stay that ended, ascending."""
    found: dict[str, list[float]] = defaultdict(list)
    for (stage, _), days in directly_follows(log).items():
        found[stage] += days
    return {stage: sorted(days) for stage, days in found.items()}


def mean_sojourns(log: Any) -> dict[str, float]:
    """Stage to the mean days until the next, over all that follows it."""
    from pm4py.statistics.passed_time.log.variants import post

    found = {}
    for stage in {event["concept:name"] for trace in log for event in trace}:
        told = post.apply(log, stage)
        if told["post"]:
            found[stage] = told["post_avg_perf"] / 86400
    return found


def reworked(log: Any) -> dict[str, int]:
    """Stage to the number of cases that were in it twice or more often; a stage without one is left out."""
    from pm4py.statistics.rework.log import get

    return dict(get.apply(log))
