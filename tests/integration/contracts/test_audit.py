"""How an audit behaves: kinds and modes, what cannot be measured, missing values, and what it refuses."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dagster_project.contracts import AuditProcess, Definition, audit
from dagster_project.errors import ContractError

KINDS = ("integrity", "stage_entry", "duty", "signal", "load")


def variant(definition: Definition, number: int, **changed: Any) -> Definition:
    """`definition` under another id, changed, and validated anew."""
    data = definition.model_dump(by_alias=True, exclude_none=True)
    return Definition.model_validate({**data, "id": f"R{number}", "name": f"variant_{number}", **changed})


@pytest.fixture
def by_id(shipped: Any) -> dict[str, Definition]:
    return {definition.id: definition for definition in shipped}


def test_only_load_and_stop_rules_in_enforce_mode_stop_and_signals_never_breach(
    tmp_path: Path, scratch: Any, make: Any, here: Any, by_id: Any
) -> None:
    definitions, expected = [], {}
    number = 100
    for kind in KINDS:
        for mode in ("observe", "enforce"):
            for stop in (None, "any_breach"):
                if stop and kind not in ("integrity", "load"):
                    continue
                number += 1
                entry = (
                    {"from_step": "proposal", "evidence": "amount"}
                    if kind == "stage_entry"
                    else {"from_step": None, "evidence": None}
                )
                definitions.append(variant(by_id["R07"], number, kind=kind, mode=mode, stop=stop, **entry))
                expected[f"R{number}"] = (kind, mode, mode == "enforce" and stop is not None)
    path = scratch(tmp_path / "w.duckdb", opportunities=[make.deal("bad", amount=0), make.deal("good")])
    report = audit(path, definitions, tmp_path / "state", as_of=make.AS_OF, run_id="one", process=here)
    assert {r.definition_id: (r.kind, r.mode, r.stops) for r in report.results} == expected
    for result in report.results:
        breached = 0 if result.kind == "signal" else 1
        assert (result.raw, result.met, result.breached) == (2, 2 - breached, breached), result.kind
    statuses = make.query(path, "SELECT DISTINCT kind, status FROM audit.verdict ORDER BY 1")
    assert dict(statuses) == {kind: "signalled" if kind == "signal" else "breached" for kind in KINDS}
    assert (
        make.query(
            path,
            "SELECT DISTINCT kind FROM audit.ledger JOIN audit.definition_run USING (definition_id) WHERE kind = 'signal'",
        )
        == []
    )


@pytest.mark.parametrize(("breaches", "stops"), [(5, False), (6, True)])
def test_rule_2_stops_above_five_percent_of_visits(
    breaches: int, stops: bool, tmp_path: Path, scratch: Any, make: Any, here: Any, by_id: Any
) -> None:
    visits = [make.visit(f"v{n}", "a", is_mapped=n >= breaches) for n in range(100)]
    path = scratch(tmp_path / "w.duckdb", visits=visits)
    report = audit(path, [by_id["R02"]], tmp_path / "state", as_of=make.AS_OF, run_id="one", process=here)
    assert [result.breached for result in report.results] == [breaches]
    assert bool(report.stops) is stops


def test_mostly_governs_success_and_every_breach_is_kept(
    tmp_path: Path, scratch: Any, make: Any, here: Any, by_id: Any
) -> None:
    path = scratch(tmp_path / "w.duckdb", opportunities=[make.deal(f"d{n}", amount=n) for n in range(10)])
    definitions = [variant(by_id["R07"], 101, mostly=0.9), variant(by_id["R07"], 102, mostly=0.91)]
    report = audit(path, definitions, tmp_path / "state", as_of=make.AS_OF, run_id="one", process=here)
    assert [(r.success, r.breached) for r in report.results] == [(True, 1), (False, 1)]
    assert len(make.query(path, "SELECT * FROM audit.ledger")) == 2


@pytest.mark.parametrize(
    ("missing", "counts"),
    [("breach", (1, 2, 1, 0)), ("unknown", (1, 1, 1, 1)), ("not_applicable", (1, 1, 2, 0))],
)
def test_a_missing_value_counts_as_the_definition_says(
    missing: str, counts: tuple[int, ...], tmp_path: Path, scratch: Any, make: Any, here: Any, by_id: Any
) -> None:
    deals = [
        make.deal("good"),
        make.deal("bad", amount=0),
        make.deal("none", amount=None),
        make.deal("early", amount=None, step="solution", step_rank=3),
    ]
    path = scratch(tmp_path / "w.duckdb", opportunities=deals)
    definition = variant(by_id["R07"], 101, missing=missing)
    (result,) = audit(path, [definition], tmp_path / "state", as_of=make.AS_OF, run_id="one", process=here).results
    assert (result.met, result.breached, result.not_applicable, result.unknown) == counts


def test_not_configured_and_not_measurable_say_their_cause_and_count_nothing(
    tmp_path: Path, scratch: Any, make: Any, here: Any, by_id: Any
) -> None:
    closed = {"is_open": False, "is_won": True, "step": "won", "step_rank": 6}
    silent = {"last_customer_response_at": None, "days_since_customer_response": None}
    deals = [make.deal(f"w{n}", **closed, **(silent if n < 3 else {})) for n in range(10)] + [
        make.deal("open", **silent)
    ]
    inventory = [
        ("EmailMessage", None, "present"),
        ("Opportunity", None, "present"),
        ("Opportunity", "Amount", "hidden"),
    ]
    path = scratch(tmp_path / "w.duckdb", opportunities=deals, inventory=inventory)
    report = audit(path, [by_id["R07"], by_id["R09"]], tmp_path / "state", as_of=make.AS_OF, run_id="one", process=here)
    seven, nine = report.results
    assert (seven.state, seven.state_cause) == ("not configured", "Opportunity.Amount is hidden")
    assert nine.state == "not measurable"
    assert "3 of 10, 30%; at most 20%" in (nine.state_cause or "")
    for result in report.results:
        assert (result.raw, result.met, result.breached, result.success, result.stops) == (
            None,
            None,
            None,
            None,
            False,
        )
    assert make.query(path, "SELECT count(*) FROM audit.verdict") == [(0,)]


def test_exactly_the_measurable_share_is_measured(
    tmp_path: Path, scratch: Any, make: Any, here: Any, by_id: Any
) -> None:
    closed = {"is_open": False, "is_won": True, "step": "won", "step_rank": 6}
    deals = [make.deal(f"w{n}", **closed, last_customer_response_at=None if n < 2 else make.AS_OF) for n in range(10)]
    path = scratch(tmp_path / "w.duckdb", opportunities=deals)
    (nine,) = audit(path, [by_id["R09"]], tmp_path / "state", as_of=make.AS_OF, run_id="one", process=here).results
    assert nine.state == "measured"


def test_a_rule_for_some_sales_processes_leaves_the_others_out(
    tmp_path: Path, scratch: Any, make: Any, here: Any, by_id: Any
) -> None:
    deals = [make.deal("a", amount=0), make.deal("b", amount=0, sales_process="Expansion")]
    path = scratch(tmp_path / "w.duckdb", opportunities=deals)
    definition = variant(by_id["R07"], 101, sales_processes=["Expansion"])
    (result,) = audit(path, [definition], tmp_path / "state", as_of=make.AS_OF, run_id="one", process=here).results
    assert (result.breached, result.not_applicable) == (1, 1)
    assert [sample.record_id for sample in result.samples] == ["b"]


def test_an_empty_warehouse_meets_every_rule(tmp_path: Path, scratch: Any, make: Any, here: Any, shipped: Any) -> None:
    report = audit(
        scratch(tmp_path / "w.duckdb"), shipped, tmp_path / "state", as_of=make.AS_OF, run_id="one", process=here
    )
    assert [(r.raw, r.breached, r.success, r.stops) for r in report.results] == [(0, 0, True, False)] * len(shipped)


def test_what_cannot_be_audited_is_one_clear_error(
    tmp_path: Path, scratch: Any, make: Any, here: Any, by_id: Any
) -> None:
    path = scratch(tmp_path / "w.duckdb", opportunities=[make.deal("a")])
    arguments = {"as_of": make.AS_OF, "run_id": "one", "process": here}
    with pytest.raises(ContractError, match="another as_of"):
        audit(path, [by_id["R07"]], tmp_path / "state", **{**arguments, "as_of": make.AS_OF + timedelta(days=1)})


def test_a_crash_of_the_audit_process_is_one_contract_error(tmp_path: Path, scratch: Any, make: Any) -> None:
    path = scratch(tmp_path / "w.duckdb", opportunities=[make.deal("a")])
    check = {"key": "x", "schema": "intermediate", "table": "int_audit__opportunity", "row_condition": None,
             "expectation": "expect_column_values_to_not_be_null", "arguments": {"column": "nowhere"}}  # fmt: skip
    with AuditProcess() as process, pytest.raises(ContractError, match="nowhere"):
        process.run({"database": str(path), "memory_limit": "1GB", "checks": [check]})
    with AuditProcess() as process:
        assert process._process is not None
        os.kill(process._process.pid, 9)
        with pytest.raises(ContractError, match="could not carry out"):
            process.run({"database": str(path), "memory_limit": "1GB", "checks": [check]})


def test_an_audit_process_that_was_never_asked_leaves_nothing_behind() -> None:
    with AuditProcess() as process:
        assert process._process is not None
        pid = process._process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
