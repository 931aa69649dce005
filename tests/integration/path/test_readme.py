"""What the README tells a newcomer to write is what works."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[3]


def test_the_definition_of_the_readme_works_as_it_stands(demo) -> None:
    example = next(
        block
        for block in re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
        if "- id: R31" in block
    )
    shutil.copytree(ROOT / "expectations", demo.home / "expectations")
    path = demo.home / "expectations" / "opportunity.yml"
    path.write_text(path.read_text() + "\n" + example)
    try:
        demo.run()
        flagged = {
            row[0]
            for row in demo.query(
                "SELECT record_id FROM rpt_definition_breaches WHERE definition_id = 'R31' AND status = 'breached'"
            )
        }
        with duckdb.connect(str(demo.home / "warehouse/conformed.duckdb"), read_only=True) as warehouse:
            owed = warehouse.execute(
                "SELECT record_id FROM intermediate.int_audit__opportunity "
                "WHERE is_open AND amount_corporate >= 30000 AND contact_role_count < 2"
            ).fetchall()
        assert flagged
        assert flagged == {row[0] for row in owed}
        (mode, state) = demo.query(
            "SELECT mode, state FROM rpt_definition_scorecard WHERE scope = 'all' AND is_latest AND definition_id = 'R31'"
        )[0]
        assert (mode, state) == ("observe", "measured")
    finally:
        shutil.rmtree(demo.home / "expectations")


def test_every_command_of_the_readme_exists() -> None:
    from dagster_project.cli import leanfunnel

    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"`leanfunnel ([a-z-]+)", text))
    # every second part stands between fences
    for block in re.split(r"(?m)^```.*$", text)[1::2]:
        named |= set(re.findall(r"(?m)^(?:\.venv/bin/)?leanfunnel ([a-z-]+)", block))
    assert named == set(leanfunnel.commands)
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make ([a-z-]+)", text, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_every_view_of_the_readme_is_published(demo) -> None:
    named = set(re.findall(r"`(rpt_[a-z_]+)`", (ROOT / "README.md").read_text()))
    assert named
    assert named <= set(demo.manifest()["tables"])
