"""A term changed in the organisation's own terms.yml changes what the marts read and what the contracts judge, alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dagster_project.contracts import load_terms, terms_table

SHIPPED = Path(__file__).resolve().parents[3] / "expectations" / "terms.yml"
CALL = "      - [{column: activity_kind, equals: task}, {column: direction, equals: inbound}, {column: is_with_customer, equals: true}]\n"


def test_a_changed_term_changes_mart_and_contract_alike(bench: Any, tmp_path: Path) -> None:
    at, deal = bench.utc, bench.deal
    bench.land("Opportunity", [deal(1, StageName="Qualification"), deal(2, StageName="Proposal"), deal(3)])
    when = deal(1)["CreatedDate"]
    call = {
        "Id": "00T000000000000001", "WhatId": deal(1)["Id"], "WhoId": "003000000000000001", "IsClosed": True, "IsDeleted": False,
        "CallType": "Inbound", "CompletedDateTime": when, "CreatedDate": when, "LastModifiedDate": when, "SystemModstamp": when,
    }  # fmt: skip
    bench.land("Task", [call])
    assert at is not None

    def figures() -> tuple[Any, ...]:
        bench.control()
        bench.build()
        of = "select opportunity_id from intermediate.{} where is_qualified order by 1"
        mart = [row["opportunity_id"][-1] for row in bench.rows(of.format("int_opportunities"))]
        judged = [
            row["opportunity_id"][-1]
            for row in bench.rows(
                of.replace("opportunity_id", "record_id as opportunity_id", 1).format("int_audit__opportunity")
            )
        ]
        responses = bench.rows("select response_kind from intermediate.int_customer_responses")
        audited = bench.rows(
            "select record_id from intermediate.int_audit__opportunity where last_customer_response_at is not null"
        )
        activities = bench.rows("select record_id from intermediate.int_audit__activity where is_customer_response")
        return mart, judged, [row["response_kind"] for row in responses], len(audited), len(activities)

    shipped = bench.terms
    try:
        assert figures() == (["1", "2"], ["1", "2"], [], 0, 0)
        text = SHIPPED.read_text(encoding="utf-8").replace("in: [qualified, solution,", "in: [solution,", 1)
        text = text.replace("      - [{term: meeting_held}]\n", "      - [{term: meeting_held}]\n" + CALL, 1)
        (tmp_path / "terms.yml").write_text(text, encoding="utf-8")
        bench.terms = terms_table(load_terms(tmp_path))
        assert figures() == (["2"], ["2"], ["other"], 1, 1)
    finally:
        bench.terms = shipped
