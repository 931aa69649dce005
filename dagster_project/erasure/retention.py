"""How long rows are kept, by object: `retention_days: {EmailMessage: 730}` in leanfunnel.yml.

Each version of a record counts by when the org last touched it: SystemModstamp, else LastModifiedDate, else CreatedDate, else the
instant at which it was extracted. A version older than that many days before the org's clock at the last extraction leaves the
landing, and so every mart that is built afterwards. So the older versions of a record that is still worked on go one by one, and a
record that nothing touched for so long goes whole. What figures rest on goes with it: with the history of stages
(OpportunityHistory) the visits before the limit. Publications that stand are pruned by `keep_publications`, not by age of rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from dagster_project.erasure.rules import literal, quoted
from dagster_project.landing import LandingLog
from dagster_project.landing.rewriting import purge, take_out

_TOUCHED = ("SystemModstamp", "LastModifiedDate", "CreatedDate", "_extracted_at")


@dataclass(frozen=True)
class Retained:
    """What retention did, or would do, to one object. `rows`: versions past the limit; `records`: those of them that go whole;
    `kept`: versions that stay; `before`: the limit (UTC)."""

    object: str
    days: int
    before: datetime
    rows: int
    records: int
    kept: int


def too_old(columns: Collection[str], days: int, at: datetime) -> str | None:
    """SQL: whether a row is past its `days` at the instant `at`; None where no column says when it was touched."""
    touched = [quoted(column) for column in _TOUCHED if column in columns]
    if not touched:
        return None
    limit = before(days, at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return f"coalesce({', '.join(touched)}) < CAST({literal(limit)} AS TIMESTAMP WITH TIME ZONE)"


def before(days: int, at: datetime) -> datetime:
    """The limit: `days` of 24 hours before `at`."""
    return at.astimezone(UTC) - timedelta(days=days)


def retain(landing: Path, retention_days: Mapping[str, int], *, at: datetime, write: bool) -> list[Retained]:
    """Take out of the landing what is past its days at the org's instant `at`, or only count it. One row per object that has
    a limit and a table. May be repeated where it was cut off. Raises LandingError."""
    log, found = LandingLog(landing), []
    for name in log.objects():
        if name not in retention_days:
            continue
        state, days = log.state(name), retention_days[name]
        test = too_old(state.columns, days, at)
        if test is None or not state.files:
            continue
        source = f"read_parquet([{', '.join(literal(file) for file in state.files)}], union_by_name = true)"
        key = quoted("Id") if "Id" in state.columns else "NULL"
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            row = connection.execute(
                f"WITH v AS (SELECT {key} AS id, ({test}) AS is_old FROM {source}) SELECT count(*) FILTER (is_old), "
                "(SELECT count(*) FROM (SELECT id FROM v WHERE id IS NOT NULL GROUP BY id HAVING bool_and(is_old))), "
                "count(*) FILTER (NOT is_old) FROM v"
            ).fetchone()
        assert row is not None
        if write and row[0]:
            take_out(log.root / name, gone=test)
        if write:
            purge(log.root / name)
        found.append(Retained(name, days, before(days, at), *row))
    return found
