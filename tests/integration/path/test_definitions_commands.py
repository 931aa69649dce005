"""Trying definitions by the command, on the generated company."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_what_holds_already_flags_what_was_planted_and_nobody_new(demo) -> None:
    done = demo.command("definitions", "check", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {row["rule"]: row for row in json.loads(done.stdout)}
    for rule, planted in demo.truth["breaches"].items():
        row = rows[f"R{int(rule):02d}"]
        assert (row["would_flag"], row["newly"], row["no_longer"]) == (len(planted), 0, 0), rule
    assert f"{len(rows)} definitions can be read; nothing was written" in done.stderr
    assert len(rows) == sum(
        len(re.findall(r"^  - id: R", f.read_text(), re.M)) for f in (ROOT / "expectations").glob("*.yml")
    )


def test_a_mistake_in_a_definition_is_told_with_its_line(demo, tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "expectations", tmp_path / "mine")
    file = folder / "opportunity.yml"
    text = file.read_text()
    line = text[: text.index("column: amount,")].count("\n") + 1
    file.write_text(text.replace("column: amount,", "column: amout,", 1))
    done = demo.command("definitions", "check", str(folder))
    assert done.returncode == 2
    assert f"opportunity.yml:{line}: 'opportunity' has no column 'amout'. Did you mean 'amount'?" in done.stderr


def test_diff_names_the_records_and_the_figures_that_change(demo, tmp_path: Path) -> None:
    folder = shutil.copytree(ROOT / "expectations", tmp_path / "mine")
    file = folder / "opportunity.yml"
    text = file.read_text()
    first, _, rest = text.partition("  - id: R04")
    # R03 no longer sets anyone aside
    file.write_text(
        first.replace("mode: enforce", "mode: observe")
        + "  - id: R04"
        + rest.replace("min_value: 0, strict_min: true", "min_value: 5000", 1)
    )
    before = demo.manifest()
    done = demo.command("definitions", "diff", str(ROOT / "expectations"), str(folder), "--format", "json")
    assert done.returncode == 0, done.stderr
    changed = {row["rule"]: row for row in json.loads(done.stdout)}
    assert set(changed) == {"R03", "R07"}
    assert (changed["R03"]["enter"], changed["R03"]["leave"]) == (0, 0)
    assert changed["R07"]["enter"] > 0
    assert "R07 asks for something else under the same version: raise `version`." in done.stderr
    done = demo.command("definitions", "diff", str(ROOT / "expectations"), str(folder), "--figures", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    aside = next(row for row in rows if row["figure"] == "deals set aside")
    fewer = [row for row in rows if row["figure"].startswith("evidenced in the same stage: ")]
    assert fewer, "a deal below the new threshold counts in an earlier stage"
    published = demo.query("SELECT n_set_aside FROM rpt_run")[0][0]
    only_by_r03 = demo.query("SELECT count(*) FROM fct_opportunities WHERE set_aside_by = 'R03'")[0][0]
    assert only_by_r03 > 0
    assert (aside["before"], aside["after"]) == (published, published - only_by_r03)
    assert demo.manifest() == before


def test_data_docs_show_counts_and_no_values(demo, tmp_path: Path) -> None:
    out = tmp_path / "docs"
    done = demo.command("definitions", "docs", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == out / "index.html"
    (page,) = (out / "validations" / "int_audit__opportunity").rglob("*.html")
    text = page.read_text()
    breached = len(demo.truth["breaches"]["8"])
    assert re.search(rf"{breached} unexpected values found", text)
    records = {record for planted in demo.truth["breaches"].values() for record in planted}
    assert not any(record in file.read_text() for file in out.rglob("*.html") for record in sorted(records)[:20])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("keep")
    refused = demo.command("definitions", "docs", "--out", str(tmp_path / "other"))
    assert refused.returncode == 2
    assert "the folder holds something else" in refused.stderr
    assert (tmp_path / "other" / "mine.txt").exists()


def test_the_schema_for_editors_is_printed() -> None:
    from click.testing import CliRunner

    from dagster_project.cli import leanfunnel

    done = CliRunner().invoke(leanfunnel, ["definitions", "schema"])
    assert done.exit_code == 0
    assert {"entity", "definitions"} == set(json.loads(done.output)["properties"])
