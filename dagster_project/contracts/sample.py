"""Go and see: a weekly random sample of deals and of leads that were given up, to be looked at with the customer's
evidence, and the verdicts on them.

Drawn by a hash of seed, week and Id, so that anyone draws the same; once drawn it is kept, whatever the org does later. Belongs
here: drawing, verdicts, the share that holds. Does not: printing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import sqrt
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from dagster_project.errors import SettingsError, nearest
from dagster_project.landing import AppendOnlyTable

SAMPLES, VERDICTS = "samples", "sample_verdicts"
STRATA = ("open", "lost", "won", "dropped at lead")
"""open: deals open at the end of the week; lost, won: deals closed in that week; dropped at lead: leads given up in that week."""
SAYS = ("right", "wrong", "cannot tell")
"""right: the customer's evidence says what the record says (stage, amount, date). wrong: it says something else."""
_Z = 1.959963984540054

SAMPLE_SCHEMA = pa.schema(
    [
        ("week_starts_on", pa.date32()),
        ("stratum", pa.string()),
        ("draw", pa.int32()),
        ("record_id", pa.string()),
        ("stratum_size", pa.int64()),
        ("seed", pa.int64()),
        ("drawn_as_of", pa.timestamp("us", tz="UTC")),
    ]
)
VERDICT_SCHEMA = pa.schema(
    [
        ("verdict_seq", pa.int64()),
        ("week_starts_on", pa.date32()),
        ("record_id", pa.string()),
        ("verdict", pa.string()),
        ("note", pa.string()),
        ("said_by", pa.string()),
        ("said_at", pa.timestamp("us", tz="UTC")),
    ]
)


class SampleError(SettingsError):
    """A week, or a file of verdicts, that cannot be used. Nothing is written."""


@dataclass(frozen=True)
class Share:
    """How far the looked-at records of one stratum hold: `right` of `n` (right or wrong); the 95 % interval is Wilson's (1927),
    None below the minimum n, where `reads` is 'too few'. `size`: records that it was drawn from. `cannot_tell` and
    `not_looked_at` are in no share.
    """

    stratum: str
    drawn: int
    size: int
    n: int
    right: int
    cannot_tell: int
    not_looked_at: int
    share: float | None
    lower: float | None
    upper: float | None
    reads: str


def week_of(text: str) -> date:
    """The Monday of an ISO week `2026-W27`, or of the week that holds a day `2026-07-01`. Raises SampleError."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise SampleError(f"'{text}' is no week.", todo="Write it as 2026-W27, or as a day in it.") from None
    return day - timedelta(days=day.weekday())


def draw(
    mart: duckdb.DuckDBPyConnection, state: Path, week: date, *, per_stratum: int, seed: int
) -> tuple[list[dict[str, Any]], bool]:
    """The sample of the week that begins on `week` with what a person needs to look at each record, and whether it is new.

    A week that was drawn before is given again as it was, with the records as they now stand. Raises SampleError for a week that
    has not ended. Weeks end at midnight UTC on Sunday.
    """
    table = AppendOnlyTable(state / SAMPLES, SAMPLE_SCHEMA)
    mart.register("drawn", _of_week(table, SAMPLE_SCHEMA, week))
    kept = _read(mart)
    if kept:
        return kept, False
    run = mart.execute("SELECT as_of FROM dim_run").fetchone()
    assert run is not None
    after = week + timedelta(days=7)
    if after > run[0].date():
        raise SampleError(
            f"the week of {week} has not ended at {run[0]:%Y-%m-%d %H:%M} UTC, the instant of the published run.",
            todo="Name an earlier week.",
        )
    picked = mart.execute(
        f"""
        WITH deal AS (
            SELECT opportunity_id, CASE
                WHEN created_at < $end AND NOT is_deleted AND (is_open OR closed_at >= $end) THEN 'open'
                WHEN closed_at >= $start AND closed_at < $end AND NOT is_deleted AND is_lost THEN 'lost'
                WHEN closed_at >= $start AND closed_at < $end AND NOT is_deleted AND is_won THEN 'won'
            END AS stratum
            FROM fct_opportunities
            UNION ALL
            SELECT lead_id, 'dropped at lead' FROM fct_leads
            WHERE outcome = 'given up' AND closed_at >= $start AND closed_at < $end
        )
        SELECT $start::DATE AS week_starts_on, stratum, draw::INTEGER AS draw, opportunity_id AS record_id, stratum_size,
            $seed::BIGINT AS seed, $as_of::TIMESTAMP AT TIME ZONE 'UTC' AS drawn_as_of
        FROM (
            SELECT *, row_number() OVER (
                PARTITION BY stratum ORDER BY md5(concat_ws('|', $seed, $start::DATE, opportunity_id)), opportunity_id
            ) AS draw, count(*) OVER (PARTITION BY stratum) AS stratum_size
            FROM deal WHERE stratum IS NOT NULL
        ) WHERE draw <= $n ORDER BY list_position({list(STRATA)}, stratum), draw""",
        {
            "start": datetime.combine(week, datetime.min.time()), "end": datetime.combine(after, datetime.min.time()),
            "seed": seed, "n": per_stratum, "as_of": run[0],
        },
    ).to_arrow_table()  # fmt: skip
    if not picked.num_rows:
        return [], False
    if not table.append(picked.cast(SAMPLE_SCHEMA), app_id=f"{SAMPLES}-{week}", version=1):
        raise SampleError("the same week was drawn at the same moment.", todo="Run it again to read that sample.")
    mart.register("drawn", picked)
    return _read(mart), True


def _read(mart: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    cursor = mart.execute(f"""
        SELECT d.week_starts_on, d.stratum, d.record_id, coalesce(f.opportunity_name, l.lead_name) AS record_name,
            coalesce(f.record_url, l.record_url) AS record_url, coalesce(f.owner_name, l.owner_name) AS owner,
            coalesce(f.stage_name, l.lead_status) AS stage, f.evidenced_stage_name AS evidenced_stage,
            f.amount, f.currency_code, f.close_on,
            f.last_customer_response_at, NULL::VARCHAR AS verdict, NULL::VARCHAR AS note
        FROM drawn AS d
        LEFT JOIN fct_opportunities AS f ON f.opportunity_id = d.record_id
        LEFT JOIN fct_leads AS l ON l.lead_id = d.record_id
        ORDER BY list_position({list(STRATA)}, d.stratum), d.draw""")
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def record_verdicts(state: Path, week: date, file: Path, *, by: str, at: datetime) -> int:
    """Append the verdicts of a filled-in sample (columns record_id, verdict, note); lines without one are passed over.

    Returns how many. A later verdict on a record replaces an earlier one where shares are told. Raises SampleError with every
    mistake: file, line, what to write.
    """
    drawn = {
        key: row["record_id"]
        for row in _of_week(AppendOnlyTable(state / SAMPLES, SAMPLE_SCHEMA), SAMPLE_SCHEMA, week).to_pylist()
        # an Id may be copied with 15 characters
        for key in (row["record_id"], row["record_id"][:15])
    }
    if not drawn:
        raise SampleError(
            f"no sample of the week of {week} was drawn.", todo="Draw it first: `leanfunnel sample --week …`."
        )
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SampleError("the file is not UTF-8 text.", where=str(file), todo="Save it as CSV UTF-8.") from None
    except OSError as error:
        raise SampleError(f"cannot be read: {error.strerror}.", where=str(file), todo="Name a readable file.") from None
    head = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ",")
    for name in ("record_id", "verdict"):
        if name not in (reader.fieldnames or []):
            raise SampleError(
                f"there is no column '{name}'.", where=f"{file}:1", todo="Keep the first line of the sample."
            )
    said, mistakes = [], []
    for row in reader:
        verdict, record = ((row[name] or "").strip() for name in ("verdict", "record_id"))
        if not verdict:
            continue
        place = f"{file}:{reader.line_num}"
        if verdict.lower() not in SAYS:
            mistakes.append(
                f"{place}: there is no verdict '{verdict}'.{nearest(verdict, SAYS)} Write one of: {', '.join(SAYS)}."
            )
        elif record not in drawn:
            mistakes.append(
                f"{place}: the record '{record}' is not in the sample of that week. Judge only what was drawn."
            )
        else:
            said.append(
                {
                    "record_id": drawn[record],
                    "verdict": verdict.lower(),
                    "note": (row.get("note") or "").strip() or None,
                }
            )
    if mistakes:
        raise SampleError(f"{len(mistakes)} of the lines cannot be used, nothing is written: {' | '.join(mistakes)}")
    if not said:
        raise SampleError("no line holds a verdict.", where=str(file), todo=f"Write one of: {', '.join(SAYS)}.")
    table = AppendOnlyTable(state / VERDICTS, VERDICT_SCHEMA)
    last = max((row["verdict_seq"] for row in table.read().select(["verdict_seq"]).to_pylist()), default=0)
    common = {"week_starts_on": week, "said_by": by, "said_at": at.astimezone(UTC)}
    rows = [{**one, **common, "verdict_seq": last + number} for number, one in enumerate(said, 1)]
    if not table.append(pa.Table.from_pylist(rows, schema=VERDICT_SCHEMA), app_id=VERDICTS, version=last + len(rows)):
        raise SampleError("other verdicts were written at the same moment.", todo="Try again.")
    return len(rows)


def shares(state: Path, week: date | None, *, minimum_n: int) -> list[Share]:
    """What the verdicts of one week say, or of all weeks together, by stratum; the last verdict on a record and week counts.

    Of all weeks together each looked-at record weighs the same, whatever the size of its week.
    """
    drawn = _of_week(AppendOnlyTable(state / SAMPLES, SAMPLE_SCHEMA), SAMPLE_SCHEMA, week).to_pylist()
    verdicts = _of_week(AppendOnlyTable(state / VERDICTS, VERDICT_SCHEMA), VERDICT_SCHEMA, week)
    said = {
        (row["week_starts_on"], row["record_id"]): row["verdict"] for row in verdicts.sort_by("verdict_seq").to_pylist()
    }
    return [_share(stratum, [row for row in drawn if row["stratum"] == stratum], said, minimum_n) for stratum in STRATA]


def _share(stratum: str, drawn: Sequence[dict[str, Any]], said: dict[tuple[date, str], str], minimum_n: int) -> Share:
    verdicts = [said.get((row["week_starts_on"], row["record_id"])) for row in drawn]
    right, wrong, unclear = (verdicts.count(word) for word in SAYS)
    n = right + wrong
    counts = (
        stratum,
        len(drawn),
        sum({row["week_starts_on"]: row["stratum_size"] for row in drawn}.values()),
        n,
        right,
        unclear,
        verdicts.count(None),
    )
    if n == 0 or n < minimum_n:
        return Share(*counts, None, None, None, "too few")
    share = right / n
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return Share(*counts, share, max(0.0, middle - half), min(1.0, middle + half), f"{share:.0%}")


def _of_week(table: AppendOnlyTable, schema: pa.Schema, week: date | None) -> pa.Table:
    import pyarrow.compute as pc

    rows = table.read().select(schema.names).cast(schema)
    return rows if week is None else rows.filter(pc.equal(rows["week_starts_on"], pa.scalar(week, pa.date32())))
