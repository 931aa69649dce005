"""Generated companies whose constraint is known: a line of queues from the market to the customer's cases.

`generate` gives a `LineOrg`: `tables` (Arrow, by object, API names) and `truth`. Planted are arrival rates, capacities, yields
and the mix, nothing else; every history, activity and date comes out of the queues. `plans` says what is planted, `queues`
runs the line, `records` writes what it left behind. Nothing here measures anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from salesforce_simulator.lines import queues, records
from salesforce_simulator.lines.plans import DECOYS, LOCATIONS, STRENGTHS, Plan, plan

__all__ = ["DECOYS", "LOCATIONS", "NOW", "STRENGTHS", "LineOrg", "Plan", "generate"]

NOW = datetime(2026, 7, 1, tzinfo=UTC)


@dataclass(frozen=True)
class LineOrg:
    """Tables by object, and what was planted."""

    tables: dict[str, pa.Table]
    truth: Plan


def generate(scenario: str, strength: str | None = None, seed: int = 0) -> LineOrg:
    """The company of this seed at `NOW`: `scenario` a location (with a strength), 'balanced', 'mix' or 'season' (without one).

    Raises ValueError for another scenario or strength.
    """
    kinds, strengths = (*LOCATIONS, "balanced", *DECOYS), (None, *STRENGTHS)
    if scenario not in kinds or strength not in strengths:
        raise ValueError(f"no line is called {scenario!r} {strength or ''}".rstrip())
    rng = np.random.default_rng([seed, kinds.index(scenario), strengths.index(strength)])
    planted = plan(scenario, strength, rng)
    return LineOrg(records.build(queues.run(planted, rng), rng, int(NOW.timestamp())), planted)
