"""What people are told of a run: a stop, the breaches of one definition that it found for the first time, a chart that shows more
than noise, a failure. Texts hold rules, counts and figures, and no person but those whom a definition itself names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dagster_project.contracts.conditions import literal
from dagster_project.contracts.ledger import RUNS
from dagster_project.contracts.report import DefinitionResult
from dagster_project.landing import AppendOnlyTable
from dagster_project.warehouse.database import open_database

STOP, BREACHES, SHIFT, FAILED = "stop", "breaches", "shift", "failed"
STANDING = (STOP, SHIFT, FAILED)
"""Kinds that stand until a run ends them: not told again before. The others happen once."""


@dataclass(frozen=True)
class Signal:
    """One thing to tell. `key` says what is the same thing; counts and names in the text do not make it another."""

    kind: str
    key: str
    title: str
    text: str


def of_stops(stops: Sequence[DefinitionResult], published_as_of: str | None) -> list[Signal]:
    """One per definition and version that stops the line."""
    stays = f"Readers still see {published_as_of}." if published_as_of else "Nothing was published before."
    return [
        Signal(
            STOP,
            f"{STOP} {one.definition_id} v{one.definition_version}",
            f"Publication stopped by {one.definition_id}: {one.title}",
            f"{one.stop_reason}.\nTo do: {one.fix}\nOwner of the rule: {one.owner}. {stays}",
        )
        for one in stops
    ]


def of_failure(kind: str, text: str) -> list[Signal]:
    """A run that failed. The same kind of failure is one signal for as long as it lasts."""
    return [
        Signal(FAILED, f"{FAILED} {kind}", "The run failed", f"{text}\nReaders still see what was published before.")
    ]


def of_charts(mart: Path) -> list[Signal]:
    """One per metric and sales process, or definition, whose newest point is a signal by the XmR rules.

    Charts whose limits are only approximate (stocks, sparse series) are shown in the views and not told; the definitions' own,
    by day, are, since they have no others.
    """
    if not mart.exists():
        return []
    with open_database(mart, read_only=True) as connection:
        rows = connection.execute(
            """
            SELECT 'shift ' || sales_process || ' ' || metric, metric || ' in ' || sales_process, signal,
                'week of ' || week_starts_on, value, unit, mean_value, lower_limit, upper_limit
            FROM mart.rpt_flow_health
            WHERE basis = 'reported' AND signal <> 'none' AND reads = 'ok'
                AND week_starts_on = (SELECT max(week_starts_on) FROM mart.rpt_flow_health)
            UNION ALL
            SELECT 'shift ' || definition_id || ' v' || definition_version, 'rate of records that meet ' || definition_id || ' (' || title
                || ')', signal, 'day ' || as_of_on, met_rate, 'share', mean_rate, lower_limit, upper_limit
            FROM mart.rpt_definition_scorecard
            WHERE is_latest AND scope = 'all' AND signal <> 'none' AND mode = 'enforce'
            ORDER BY 1"""
        ).fetchall()
    return [
        Signal(
            SHIFT,
            key,
            f"More than noise: {what}",
            f"{signal} ({when}): {_figure(value)} {unit}, beside a mean of {_figure(mean)} and limits of "
            f"{_figure(lower)} to {_figure(upper)}. Look for what changed; a chart blames nobody.",
        )
        for key, what, signal, when, value, unit, mean, lower, upper in rows
    ]


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{float(value):,.4g}"


def of_breaches(conformed: Path, state: Path, as_of: datetime) -> list[Signal]:
    """One per enforced definition with breaches that the audit at `as_of` (naive UTC) found for the first time.

    What stood when a version of a definition was first measured is its backlog, and no news.
    """
    files = AppendOnlyTable(state / RUNS).files()
    if not files or not conformed.exists():
        return []
    listed = ", ".join(literal(file) for file in files)
    with open_database(conformed, read_only=True) as connection:
        rows = connection.execute(
            f"""
            WITH first AS (
                SELECT definition_id, definition_version, min(as_of) AT TIME ZONE 'UTC' AS measured_at
                FROM read_parquet([{listed}], union_by_name = true) WHERE state = 'measured' GROUP BY ALL
            )
            SELECT d.definition_id, d.version, any_value(d.title), any_value(d.accountable), any_value(d.fix),
                count(DISTINCT coalesce(l.record_id, l.row_key))
            FROM audit.ledger AS l
            INNER JOIN control.definition AS d ON d.definition_id = l.definition_id AND d.version = l.definition_version
            INNER JOIN first ON first.definition_id = d.definition_id AND first.definition_version = d.version
            WHERE l.first_seen_at = ? AND l.resolved_at IS NULL AND first.measured_at < ?
                AND d.mode = 'enforce' AND d.kind <> 'signal'
            GROUP BY d.definition_id, d.version ORDER BY d.definition_id""",
            [as_of, as_of],
        ).fetchall()
    return [
        Signal(
            BREACHES,
            f"{BREACHES} {rule} v{version} {as_of.isoformat()}",
            f"{rule}: {count:,} new {'record' if count == 1 else 'records'} to look at: {title}",
            f"To do: {fix}\nWho acts: {who}. `leanfunnel breaches --rule {rule} --new` lists them.",
        )
        for rule, version, title, who, fix, count in rows
    ]
