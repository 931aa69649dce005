"""The ledger: spells by as_of, kept across rebuilds, and never written twice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from dagster_project.contracts import AuditReport, Definition, audit

DAY = timedelta(days=1)


@pytest.fixture
def audit_day(tmp_path: Path, scratch: Any, make: Any, here: Any, shipped: Any) -> Any:
    """Audit amounts on a day: `audit_day(0, a=0)` has deal a with amount 0."""
    default = [next(definition for definition in shipped if definition.id == "R07")]

    def run(
        day: int, definitions: list[Definition] = default, inventory: Any = None, **amounts: Any
    ) -> tuple[AuditReport, list[Any]]:
        as_of = make.AS_OF + day * DAY
        path = tmp_path / f"w{day}.duckdb"
        path.unlink(missing_ok=True)  # every audit in a warehouse rebuilt from nothing
        deals = [
            make.deal(key, **({"step_rank": None} if amount == "?" else {"amount": amount}))
            for key, amount in amounts.items()
        ]
        scratch(path, opportunities=deals, as_of=as_of, **({"inventory": inventory} if inventory else {}))
        report = audit(path, definitions, tmp_path / "state", as_of=as_of, run_id=f"run{day}", process=here)
        rows = make.query(
            path,
            f"SELECT definition_version, row_key, date_diff('day', TIMESTAMP '{make.AS_OF}', first_seen_at), "
            f"date_diff('day', TIMESTAMP '{make.AS_OF}', last_seen_at), date_diff('day', TIMESTAMP '{make.AS_OF}', resolved_at) "
            "FROM audit.ledger ORDER BY 1, 2, 3",
        )
        return report, rows

    return run


def test_a_breach_that_comes_back_is_a_new_spell(audit_day: Any) -> None:
    report, rows = audit_day(0, a=0, b=0, c=5)
    assert (report.opened, report.resolved) == (2, 0)
    assert rows == [(1, "a", 0, 0, None), (1, "b", 0, 0, None)]
    audit_day(1, a=0, b=5, c=5)
    audit_day(2, a=0, b=5, c=5)
    report, rows = audit_day(3, a=0, b=0, c=5)
    assert (report.opened, report.resolved) == (1, 0)
    assert rows == [(1, "a", 0, 3, None), (1, "b", 0, 0, 1), (1, "b", 3, 3, None)]


def test_the_same_audit_again_appends_nothing(audit_day: Any, tmp_path: Path) -> None:
    first, rows = audit_day(0, a=0)
    versions = [DeltaTable(tmp_path / "state" / name).version() for name in ("definition_spells", "definition_runs")]
    again, same = audit_day(0, a=0)
    assert (first.opened, again.opened, again.resolved) == (1, 0, 0)
    assert same == rows
    assert [
        DeltaTable(tmp_path / "state" / name).version() for name in ("definition_spells", "definition_runs")
    ] == versions


def test_an_unknown_row_keeps_its_spell(audit_day: Any) -> None:
    audit_day(0, a=0)
    report, rows = audit_day(1, a="?")
    assert (report.opened, report.resolved) == (0, 0)
    assert rows[0][4] is None


def test_a_rule_that_is_not_configured_resolves_nothing(audit_day: Any) -> None:
    audit_day(0, a=0)
    report, rows = audit_day(1, inventory=[("Opportunity", None, "present"), ("Opportunity", "Amount", "hidden")], a=5)
    assert report.results[0].state == "not configured"
    assert rows == [(1, "a", 0, 0, None)]


def test_a_new_version_closes_the_old_spells_and_opens_its_own(audit_day: Any, shipped: Any) -> None:
    audit_day(0, a=0)
    definition = next(definition for definition in shipped if definition.id == "R07").model_copy(update={"version": 2})
    report, rows = audit_day(1, definitions=[definition], a=0)
    assert (report.opened, report.resolved) == (1, 1)
    assert rows == [(1, "a", 0, 0, 1), (2, "a", 1, 1, None)]


def test_an_audit_of_the_past_sees_the_ledger_as_it_was_and_records_nothing(audit_day: Any, tmp_path: Path) -> None:
    audit_day(0, a=0)
    audit_day(2, a=5)
    version = DeltaTable(tmp_path / "state" / "definition_spells").version()
    report, rows = audit_day(1, a=0)
    assert not report.recorded
    assert rows == [(1, "a", 0, 1, None)]
    assert DeltaTable(tmp_path / "state" / "definition_spells").version() == version
