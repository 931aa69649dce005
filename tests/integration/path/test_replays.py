"""A past instant, as it was known then and as it is known now: from one landing, each in a publication of its own."""

from __future__ import annotations

import runpy
from datetime import datetime, timedelta
from pathlib import Path

from salesforce_simulator.process import running_simulator
from tests.integration.path.conftest import Bench

ROOT = Path(__file__).resolve().parents[3]
convert = runpy.run_path(str(ROOT / "tests/trials/export_2022.py"))["convert"]
AS_OF = "2022-06-01"
DEAL = "0068d0000000008AAA"
BEFORE = [
    ("Prospecting", "2022-04-08"), ("Qualification", "2022-04-17"), ("Value Proposition", "2022-04-26"),
]  # fmt: skip
LATE = ("Negotiation/Review", "2022-05-10")
# these tell the run itself: its id, and what it knew
OF_THE_RUN = ("dim_run", "rpt_run")


def test_a_late_change_is_told_from_when_it_was_known_and_what_was_known_then_is_rebuilt_to_the_row(
    tmp_path: Path,
) -> None:
    convert(ROOT / "tests/trials/like_2022", tmp_path / "export")
    with running_simulator(("--export", str(tmp_path / "export"), "--control")) as org:
        bench = Bench(tmp_path / "home", org)
        published = bench.home / "replays/20220601T000000Z/published/current"

        def visits() -> list[tuple[str, str]]:
            return bench.query(
                f"SELECT stage_name, strftime(entered_at, '%Y-%m-%d') FROM fct_stage_visits "
                f"WHERE basis = 'reported' AND opportunity_id = '{DEAL}' ORDER BY visit_seq",
                published,
            )

        def hashes() -> dict[str, object]:
            tables = bench.manifest(published)["tables"]
            return {name: table for name, table in tables.items() if name not in OF_THE_RUN}

        assert "a replay" in bench.run("--as-of", AS_OF)
        known_at = bench.manifest(published)["known_at"]
        then = hashes()
        assert visits() == BEFORE
        assert len(then) > 50

        # the change is of May, and the org shows it only a day after the first extraction
        later = (datetime.fromisoformat(known_at) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        bench.control("clock", {"now": later})
        bench.control("rows/OpportunityHistory", [
            {"Id": "00800000000zzzzAAA", "OpportunityId": DEAL, "StageName": LATE[0], "IsDeleted": False,
             "CreatedDate": f"{LATE[1]}T00:00:00.000+0000", "SystemModstamp": later},
        ])  # fmt: skip
        told = bench.run("--as-of", AS_OF)
        assert "landed     1 rows of 1 objects" in told
        assert visits() == [*BEFORE, LATE]
        assert hashes() != then
        now_known = bench.manifest(published)["publication_id"]

        bench.run("--from-landing", "--as-of", AS_OF, "--known-at", known_at)
        assert visits() == BEFORE
        assert hashes() == then
        assert bench.manifest(published)["publication_id"] != now_known

        refused = bench.command("run", "--from-landing", "--as-of", AS_OF, "--known-at", "2021-01-01")
        assert refused.returncode == 2
        assert "nothing had been extracted of Opportunity" in refused.stderr
        assert not (bench.home / "published").exists(), "a replay moves no pointer but its own"
