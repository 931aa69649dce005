# ruff: noqa: T201 - it reports to the terminal
"""`python -m tests.faults --seeds 0:1000`: the schedules on two processes; the last line is JSON. Exit 1 where one is red."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.faults.mutations import MUTATIONS
from tests.faults.play import Outcome, play_seed
from tests.faults.schedule import FAULTS, schedule


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--seeds", default="0:1000", metavar="FROM:TO", help="the range of seeds (0:1000)")
    asked.add_argument("--seed", type=int, help="one seed, with all that happened")
    parser.add_argument("--kills", type=int, default=0, help="fail where fewer processes were killed")
    parser.add_argument("--bug", choices=sorted(MUTATIONS), help="put this bug into the product")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if options.seed is not None:
        print(schedule(options.seed))
        outcome = play_seed(options.seed, options.bug)
        print(outcome)
        return int(outcome.is_red)
    first, last = (int(part) for part in options.seeds.split(":"))
    started, total = time.monotonic(), Outcome(-1)
    red: list[int] = []
    with ProcessPoolExecutor(options.processes, mp_context=get_context("forkserver")) as pool:
        running = [pool.submit(play_seed, seed, options.bug) for seed in range(first, last)]
        for number, done in enumerate(running, start=1):
            outcome = done.result()
            for name in ("wrong", "fired", "kills", "changes"):
                getattr(total, name).update(getattr(outcome, name))
            total.warehouse_checked += outcome.warehouse_checked
            if outcome.is_red:
                red.append(outcome.seed)
                why = outcome.failed or dict(outcome.wrong)
                print(
                    f"seed {outcome.seed}: {why}; again with: python -m tests.faults --seed {outcome.seed}", flush=True
                )
            if number % 100 == 0:
                print(f"{number} schedules, {time.monotonic() - started:.0f} s", flush=True)
    fired = {kind: total.fired[kind] for kind in sorted(FAULTS)}
    kills = sum(total.kills.values())
    never = [kind for kind, count in fired.items() if not count] if last - first >= 1000 else []
    facts = {
        "schedules": last - first, "kills": kills, "kills_by_stage": dict(Counter(total.kills)),
        "lost": total.wrong["lost"], "doubled": total.wrong["doubled"], "stale": total.wrong["stale"],
        "red_seeds": red, "never_fired": never, "warehouse_checked": total.warehouse_checked,
        "changes": dict(total.changes), "faults_fired": fired, "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip
    print(json.dumps(facts))
    return int(bool(red or never or kills < options.kills))


if __name__ == "__main__":
    sys.exit(main())
