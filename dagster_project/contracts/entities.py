"""What can be audited: each entity's table in the warehouse and its columns with their types. No rule stands here.

The tables are dbt models; a definition that names a column they do not have is refused when it is read.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = "intermediate"
STEP_RANKS = {"prospect": 1, "qualified": 2, "solution": 3, "proposal": 4, "commit": 5, "won": 6}
"""The canonical steps that a deal can enter with evidence, in order. A lost deal has no rank."""


@dataclass(frozen=True)
class Entity:
    """One auditable table: one row per `row_key`. `columns`: name -> text, number, boolean, date or timestamp."""

    name: str
    columns: dict[str, str]

    @property
    def table(self) -> str:
        """The table's name inside the schema `intermediate`."""
        return f"int_audit__{self.name}"

    @property
    def relation(self) -> str:
        """The table's name with its schema."""
        return f"{SCHEMA}.{self.table}"


def _columns(**by_type: str) -> dict[str, str]:
    return {name: type_ for type_, names in by_type.items() for name in names.split()}


ENTITIES = {
    entity.name: entity
    for entity in (
        Entity(
            "opportunity",
            _columns(
                text="record_id row_key record_name record_url owner_id owner_name sales_process stage_name step currency_code "
                "last_history_stage_name stage_state flag_state",
                number="stage_order step_rank amount amount_corporate contact_role_count days_open days_since_customer_response",
                boolean="is_open is_won is_lost is_stage_mapped",
                date="close_on as_of_on",
                timestamp="as_of created_at last_modified_at first_history_at latest_timestamp_at last_customer_response_at "
                "meeting_held_at",
            ),
        ),
        Entity(
            "stage_visit",
            _columns(
                text="record_id row_key record_name record_url owner_id owner_name sales_process stage_name",
                boolean="is_mapped",
                timestamp="entered_at",
            ),
        ),
        Entity("opportunity_load", _columns(text="record_id row_key", number="copies")),
    )
}
