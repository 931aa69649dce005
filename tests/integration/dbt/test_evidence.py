"""A stage entry changed in the organisation's own file changes what the contract judges and what the mart counts, alike."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dagster_project.contracts import audit, definitions_table, load_definitions

SHIPPED = Path(__file__).resolve().parents[3] / "expectations" / "opportunity.yml"
DEALS = {
    1: ("Proposal", None, 0),
    2: ("Proposal", "500.00", 0),
    3: ("Proposal", "2000.00", 2),
    4: ("Needs Analysis", "500.00", 1),
    5: ("Needs Analysis", "2000.00", 1),
}
"""Deal -> stage, amount, contact roles."""


class Here:
    """Great Expectations in this process, on a copy of the file."""

    def __init__(self, folder: Path) -> None:
        self._copy = folder / "copy.duckdb"

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def run(self, request: dict[str, Any]) -> dict[str, dict[str, Any]]:
        from dagster_project.contracts.gx_process import run

        shutil.copy(request["database"], self._copy)
        return run({**request, "database": str(self._copy)})


def _definition(folder: Path, rule: str, *changes: tuple[str, str]) -> list[Any]:
    """One definition of the file shipped, changed, as the organisation's only one."""
    head, *entries = SHIPPED.read_text(encoding="utf-8").split("  - id: ")
    (text,) = (entry for entry in entries if entry.startswith(rule))
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    folder.mkdir()
    (folder / "opportunity.yml").write_text(f"{head}  - id: {text}", encoding="utf-8")
    return load_definitions(folder)


# the change -> deals that breach; in which stage each of the five is evidenced
CASES: dict[str, tuple[str, tuple[tuple[str, str], ...], set[int], str]] = {
    "as shipped": ("R07", (), {1}, "NPPNN"),
    "threshold and stage": (
        "R07", (("from_step: proposal", "from_step: solution"), ("min_value: 0", "min_value: 1000")), {1, 2, 4}, "QQPQN",
    ),
    "a segment": (
        "R07",
        (("    from_step", "    when: [{column: currency_code, not_equals: USD}]\n    from_step"),), set(), "PPPNN",
    ),
    "more than one role": ("R08", (("min_value: 1", "min_value: 2"),), {1, 2, 4, 5}, "RRPRR"),
}  # fmt: skip
STAGES = {"N": "Needs Analysis", "P": "Proposal", "Q": "Qualification", "R": "Prospecting"}


@pytest.mark.parametrize("case", CASES)
def test_a_changed_stage_entry_changes_verdicts_and_evidenced_stages_alike(
    case: str, bench: Any, tmp_path: Path
) -> None:
    rule, changes, breaching, stages = CASES[case]
    start = bench.deal(1)["CreatedDate"]
    bench.land(
        "Opportunity", [bench.deal(n, StageName=stage, Amount=amount) for n, (stage, amount, _) in DEALS.items()]
    )
    bench.land("OpportunityContactRole", [
        {"Id": f"00K{n:09d}{i:06d}", "IsDeleted": False, "OpportunityId": bench.deal(n)["Id"],
         "CreatedDate": start + timedelta(days=i), "LastModifiedDate": start, "SystemModstamp": start}
        for n, (_, _, roles) in DEALS.items() for i in range(roles)
    ])  # fmt: skip
    definitions = _definition(tmp_path / "mine", rule, *changes)
    inventory = [
        ("Opportunity", None, "present"),
        ("Opportunity", "Amount", "present"),
        ("OpportunityContactRole", None, "present"),
        ("EventRelation", None, "present"),
    ]
    bench.control(definitions=definitions_table(definitions, inventory), inventory=inventory)
    bench.dbt.build("conform", tests=False)
    (as_of,) = bench.rows("select as_of from control.run")
    report = audit(
        bench.home.conformed, definitions, tmp_path / "state", as_of=as_of["as_of"], run_id="r", process=Here(tmp_path)
    )
    assert [result.state for result in report.results] == ["measured"]
    verdicts = bench.rows("select record_id from audit.verdict where status = 'breached'")
    assert {int(row["record_id"][3:]) for row in verdicts} == breaching
    visits = bench.rows("""
        select opportunity_id, stage_name from intermediate.int_evidenced_stage_visits
        where exit_kind = 'open' order by opportunity_id""")
    found = {int(row["opportunity_id"][3:]): row["stage_name"] for row in visits}
    assert found == {deal: STAGES[letter] for deal, letter in enumerate(stages, start=1)}
    # a deal breaches exactly where it does not count in the stage that it says
    assert breaching == {deal for deal, stage in found.items() if stage != DEALS[deal][0]}
