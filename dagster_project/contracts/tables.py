"""Definitions as rows: for `control.definition`, and for people. Small by nature: one row per definition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dagster_project.contracts.definition import Definition
from dagster_project.contracts.evidence import asked_sql, evidence_sql
from dagster_project.contracts.fields import fields_of


def definitions_table(
    definitions: Sequence[Definition], inventory: Iterable[tuple[str, str | None, str]]
) -> list[dict[str, Any]]:
    """One row per definition, keyed by the columns of `control.definition`, with `fields` for `control.definition_field`.

    Inventory rows: (object, field or None, status).
    """
    known = list(inventory)
    return [
        {
            "definition_id": definition.id,
            "rule_number": definition.rule_number,
            "name": definition.name,
            "version": definition.version,
            "title": definition.title,
            "entity": definition.entity,
            "kind": definition.kind,
            "mode": definition.mode,
            "from_step_rank": definition.from_step_rank,
            "evidence": definition.evidence,
            "evidence_sql": evidence_sql(definition),
            "asked_sql": asked_sql(definition),
            "threshold": definition.threshold_text,
            "owner": definition.owner,
            "accountable": definition.accountable,
            "why": definition.why,
            "fix": definition.fix,
            "agreed_by": definition.agreed_by,
            "agreed_on": definition.agreed_on,
            "since_on": definition.since,
            "is_configured": definition.lacking(known) is None,
            "fields": fields_of(definition),
        }
        for definition in definitions
    ]


def describe(definitions: Sequence[Definition]) -> list[dict[str, Any]]:
    """One row per definition as a person wants to read it."""
    return [
        {
            "id": definition.id,
            "title": definition.title,
            "kind": definition.kind.replace("_", " "),
            "mode": definition.mode,
            "entity": definition.entity,
            "threshold": definition.threshold_text,
            "missing": definition.missing.replace("_", " "),
            "owner": definition.owner,
            "accountable": definition.accountable,
            "version": definition.version,
            "agreed_by": definition.agreed_by,
            "agreed_on": definition.agreed_on,
            "why": definition.why,
            "fix": definition.fix,
        }
        for definition in definitions
    ]
