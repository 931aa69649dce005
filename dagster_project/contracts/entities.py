"""What can be audited: each entity's table in the warehouse and its columns with their types. No rule stands here.

The tables are dbt models; a definition that names a column they do not have is refused when it is read.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = "intermediate"
TERMS = {"qualified": "opportunity", "meeting_held": "activity", "customer_response": "activity"}
"""The terms that dbt renders, with the entity of which each is said; their meaning stands in terms.yml alone."""
MAPPED = ("skip_reason", "return_reason", "loss_reason", "close_date_reviewed_on", "segment")
"""What an org keeps in a field of its own, if at all: `needs: [mapped.loss_reason]`."""


SCOPES = {"currency": ("currency", "currency_code"), "object": ("landed_object", "object")}
"""What a stop may hold back alone -> the entity whose rows are such things, and the column that names them."""


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


def term_column(term: str) -> str:
    """The column as which dbt renders a term."""
    return f"is_{term}"


def _columns(**by_type: str) -> dict[str, str]:
    return {name: type_ for type_, names in by_type.items() for name in names.split()}


ENTITIES = {
    entity.name: entity
    for entity in (
        Entity(
            "opportunity",
            _columns(
                text="record_id row_key record_name record_url owner_id owner_name sales_process stage_name step currency_code "
                "last_history_stage_name stage_state flag_state account_id opportunity_type segment loss_reason",
                number="stage_order step_rank amount amount_corporate contact_role_count days_open days_since_customer_response "
                "close_date_pushes pushes_since_review days_in_stage service_level_days open_deals_alike",
                boolean="is_open is_won is_lost is_stage_mapped is_owner_active is_qualified",
                date="close_on as_of_on close_date_reviewed_on",
                timestamp="as_of created_at last_modified_at first_history_at latest_timestamp_at last_customer_response_at "
                "meeting_held_at",
            ),
        ),
        Entity(
            "stage_visit",
            _columns(
                text="record_id row_key record_name record_url owner_id owner_name sales_process stage_name entered_by "
                "skip_reason return_reason",
                number="stages_skipped",
                boolean="is_mapped",
                timestamp="entered_at",
            ),
        ),
        Entity("opportunity_load", _columns(text="record_id row_key", number="copies")),
        Entity(
            "activity",
            _columns(
                text="record_id row_key record_url activity_kind owner_id owner_name direction",
                boolean="is_linked is_internal is_meeting_held is_customer_response",
                timestamp="completed_at as_of",
            ),
        ),
        Entity(
            "lead",
            _columns(
                text="record_id row_key record_name record_url owner_id owner_name lead_source lead_status outcome",
                number="hours_to_first_touch open_leads_alike",
                boolean="is_open is_converted has_owner has_account has_contact has_opportunity",
                timestamp="created_at first_worked_at as_of",
            ),
        ),
        Entity(
            "loss_reasons",
            _columns(text="record_id row_key", number="deals_with_reason deals_with_other share_of_other"),
        ),
        Entity(
            "stage",
            _columns(
                text="record_id row_key sales_process stage_name step buyer_stage",
                number="step_rank",
                boolean="is_closed is_active",
            ),
        ),
        Entity(
            "landed_object",
            _columns(
                text="record_id row_key object mode",
                number="counted received rows_off_count rows_standing rows_gone share_gone hours_behind",
                timestamp="read_at",
            ),
        ),
        Entity(
            "currency",
            _columns(text="record_id row_key currency_code", number="deals deals_without_rate", boolean="is_corporate"),
        ),
    )
}
