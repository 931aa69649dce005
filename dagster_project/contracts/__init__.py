"""3 AUDIT: the operational definitions in `expectations/*.yml`, run by Great Expectations inside the warehouse.

Belongs here: the language of a definition, the audit, verdicts, ledger. Does not: Dagster, Salesforce, dbt models, the
figures that definitions govern. Names are imported when first used: Great Expectations and Delta cost seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster_project.contracts.auditing import audit
    from dagster_project.contracts.definition import Definition
    from dagster_project.contracts.gx_client import AuditProcess
    from dagster_project.contracts.loading import (
        DefinitionsError,
        fingerprint,
        load_definitions,
        load_terms,
        write_observe_copy,
    )
    from dagster_project.contracts.report import AuditReport, DefinitionResult, Sample
    from dagster_project.contracts.service_levels import frozen_service_levels
    from dagster_project.contracts.tables import definitions_table, describe
    from dagster_project.contracts.terms import terms_table

_HOME = {
    "AuditProcess": "gx_client",
    "AuditReport": "report",
    "Definition": "definition",
    "DefinitionResult": "report",
    "DefinitionsError": "loading",
    "Sample": "report",
    "audit": "auditing",
    "definitions_table": "tables",
    "describe": "tables",
    "fingerprint": "loading",
    "frozen_service_levels": "service_levels",
    "load_definitions": "loading",
    "load_terms": "loading",
    "terms_table": "terms",
    "write_observe_copy": "loading",
}

__all__ = [
    "AuditProcess",
    "AuditReport",
    "Definition",
    "DefinitionResult",
    "DefinitionsError",
    "Sample",
    "audit",
    "definitions_table",
    "describe",
    "fingerprint",
    "frozen_service_levels",
    "load_definitions",
    "load_terms",
    "terms_table",
    "write_observe_copy",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
