"""Companies in a steady state whose laws are known, for `bench.coverage`: what an interval must cover is planted, or simulated on.

Each seed is a sales process: deals arrive at a rate of its own and walk through four stages by themselves, dwell apart from
outcome, some of them back, none deleted. What happens after `AS_OF` is left out of the landing and kept as the truth.
Belongs here: the law, the records. Does not: the warehouse, the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

AS_OF = datetime(2026, 5, 20, tzinfo=UTC)
YEARS_BEFORE, YEARS_AFTER = 3, 1
STAGES = ("Prospecting", "Qualification", "Proposal", "Negotiation")
WON, LOST = "Closed Won", "Closed Lost"
MEAN_DAYS = (10.0, 14.0, 18.0, 12.0)
"""Dwell in each stage is gamma with shape 2, the same for every visit."""
OUTCOMES = ((0.75, 0.0), (0.70, 0.06), (0.70, 0.06), (0.60, 0.08))
"""(advanced, back) of each visit; the rest is lost."""


@dataclass(frozen=True)
class Line:
    """One process. Visits of all its deals in order of deal and time: deal number, stage (len(STAGES): won, more: lost),
    instant of entry (naive UTC); amounts by deal."""

    process: str
    deal: np.ndarray
    stage: np.ndarray
    at: np.ndarray
    amount: np.ndarray

    def won_money(self, since: datetime, before: datetime) -> float:
        """Money of the deals won in [since, before)."""
        low, high = (np.datetime64(instant.replace(tzinfo=None)) for instant in (since, before))
        mine = (self.stage == len(STAGES)) & (self.at >= low) & (self.at < high)
        return float(self.amount[self.deal[mine]].sum())


def median_days(stage: int) -> float:
    """The planted median of the dwell in a stage."""
    from scipy.stats import gamma

    return float(gamma.ppf(0.5, 2, scale=MEAN_DAYS[stage] / 2))


def walk(seed: int) -> Line:
    """The line of one seed, from `YEARS_BEFORE` years before `AS_OF` to `YEARS_AFTER` years after it."""
    rng = np.random.default_rng(seed)
    a_week = 3.0 + seed % 10
    start = np.datetime64((AS_OF - timedelta(days=365 * YEARS_BEFORE)).replace(tzinfo=None), "us")
    days = 365 * (YEARS_BEFORE + YEARS_AFTER)
    n = rng.poisson(a_week * days / 7)
    at = start + (np.sort(rng.random(n)) * days * 86_400_000_000).astype("timedelta64[us]")
    amount = np.round(rng.lognormal(9.5, 0.7, n), 2)
    deal, stage = np.arange(n), np.zeros(n, dtype=int)
    seen = []
    while len(deal):
        seen.append((deal, stage, at))
        moving = stage < len(STAGES)
        deal, stage, at = deal[moving], stage[moving], at[moving]
        mean, outcome = np.array(MEAN_DAYS)[stage], np.array(OUTCOMES)[stage]
        at = at + (rng.gamma(2.0, mean / 2) * 86_400_000_000).astype("timedelta64[us]")
        draw = rng.random(len(deal))
        advanced, back = draw < outcome[:, 0], draw >= 1 - outcome[:, 1]
        stage = np.where(advanced, stage + 1, np.where(back, stage - 1, len(STAGES) + 1))
    deal, stage, at = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    order = np.lexsort((at, deal))
    return Line(f"Line_{seed}", deal[order], stage[order], at[order], amount)


def land(lines: list[Line], folder: Path) -> None:
    """What an org would show at `AS_OF`, as the landing holds it: RecordType, Opportunity, OpportunityHistory."""
    folder.mkdir(parents=True)
    names = np.array([*STAGES, WON, LOST])
    known_until = np.datetime64(AS_OF.replace(tzinfo=None), "us")
    opportunities, histories = [], []
    for number, line in enumerate(lines):
        known = line.at <= known_until
        deal, stage, at = line.deal[known], line.stage[known], line.at[known]
        last = np.append(deal[1:] != deal[:-1], True)
        first = np.append(True, deal[1:] != deal[:-1])
        stamp, key = _instants(at[last]), _keys("006", number, deal[last])
        opportunities.append(pa.table({
            "Id": key, "IsDeleted": np.zeros(len(key), bool), "RecordTypeId": [_type(number)] * len(key), "Name": key,
            "StageName": names[stage[last]], "Amount": line.amount[deal[last]], "CloseDate": at[last].astype("datetime64[D]"),
            "IsClosed": stage[last] >= len(STAGES), "IsWon": stage[last] == len(STAGES), "CreatedDate": _instants(at[first]),
            "LastModifiedDate": stamp, "SystemModstamp": stamp, **_landed(len(key)),
        }))  # fmt: skip
        stamp = _instants(at)
        histories.append(pa.table({
            "Id": _keys("008", number, np.arange(len(deal))), "IsDeleted": np.zeros(len(deal), bool),
            "OpportunityId": _keys("006", number, deal), "StageName": names[stage], "Amount": line.amount[deal],
            "CloseDate": at.astype("datetime64[D]"), "CreatedDate": stamp, "SystemModstamp": stamp, **_landed(len(deal)),
        }))  # fmt: skip
    n = len(lines)
    types = pa.table({
        "Id": [_type(number) for number in range(n)], "DeveloperName": [line.process for line in lines],
        "SobjectType": ["Opportunity"] * n, "SystemModstamp": pa.array([AS_OF] * n, pa.timestamp("us", "UTC")), **_landed(n),
    })  # fmt: skip
    for name, table in (
        ("RecordType", types),
        ("Opportunity", pa.concat_tables(opportunities)),
        ("OpportunityHistory", pa.concat_tables(histories)),
    ):
        pq.write_table(table, folder / f"{name}.parquet")


def stage_map(lines: list[Line]) -> list[tuple[object, ...]]:
    """Rows of control.stage_map."""
    steps = (
        ("prospect", 1, "qualifying"),
        ("qualified", 2, "qualifying"),
        ("proposal", 4, "selling"),
        ("commit", 5, "selling"),
    )
    rows: list[tuple[object, ...]] = []
    for line in lines:
        for order, (stage, (step, rank, location)) in enumerate(zip(STAGES, steps, strict=True), start=1):
            rows.append((line.process, stage, order, step, rank, location, False, False, True))
        rows.append((line.process, WON, len(STAGES) + 1, "won", 6, "closed", True, True, True))
        rows.append((line.process, LOST, len(STAGES) + 2, "lost", None, "closed", True, False, True))
    return rows


def _type(number: int) -> str:
    return f"012{number:015d}"


def _keys(prefix: str, number: int, deal: np.ndarray) -> list[str]:
    return [f"{prefix}{number:05d}{one:010d}" for one in deal.tolist()]


def _instants(at: np.ndarray) -> pa.Array:
    return pa.array(at, pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))


def _landed(rows: int) -> dict[str, object]:
    return {
        "_batch_seq": np.ones(rows, dtype="int64"),
        "_extracted_at": pa.array([AS_OF] * rows, pa.timestamp("us", "UTC")),
        "_operation": ["upsert"] * rows,
    }
