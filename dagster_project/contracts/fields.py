"""Which fields of Salesforce a definition speaks of, so that trust can be told by object and field.

Belongs here: from the columns that a definition compares to the object and field that they come from. Does not: how the models
make those columns.
"""

from __future__ import annotations

from dagster_project.contracts.definition import Definition

OBJECTS = {
    "opportunity": "Opportunity", "opportunity_load": "Opportunity", "loss_reasons": "Opportunity", "stage_visit": "Opportunity",
    "activity": "Activity", "stage": "OpportunityStage", "currency": "CurrencyType", "lead": "Lead",
}  # fmt: skip
"""The object whose records an entity's rows stand for. Activity: Task, Event and EmailMessage together."""

_FIELDS = {
    "amount": "Opportunity.Amount",
    "amount_corporate": "Opportunity.Amount",
    "close_on": "Opportunity.CloseDate",
    "close_date_pushes": "Opportunity.CloseDate",
    "pushes_since_review": "Opportunity.CloseDate",
    "flag_state": "Opportunity.StageName",
    "last_history_stage_name": "Opportunity.StageName",
    "stage_name": "Opportunity.StageName",
    "is_mapped": "Opportunity.StageName",
    "is_stage_mapped": "Opportunity.StageName",
    "is_owner_active": "Opportunity.OwnerId",
    "open_deals_alike": "Opportunity.AccountId",
    "loss_reason": "Opportunity.loss_reason",
    "segment": "Opportunity.segment",
    "skip_reason": "Opportunity.skip_reason",
    "return_reason": "Opportunity.return_reason",
    "created_at": "Opportunity.CreatedDate",
    "last_modified_at": "Opportunity.LastModifiedDate",
    "contact_role_count": "OpportunityContactRole",
    "meeting_held_at": "Event",
    "last_customer_response_at": "Activity",
    "days_since_customer_response": "Activity",
}
"""Of the entities that stand for deals: where a column comes from. A mapped field goes by its meaning."""
_DEALS = ("opportunity", "stage_visit", "opportunity_load", "loss_reasons")


def fields_of(definition: Definition) -> list[tuple[str, str | None]]:
    """(object, field) that the expectations of `definition` compare; field None: the record as a whole."""
    whole = OBJECTS.get(definition.entity, definition.entity)
    found: dict[tuple[str, str | None], None] = {}
    for expectation in definition.expectations:
        for column in expectation.columns:
            place = _FIELDS.get(column) if definition.entity in _DEALS else None
            if place is not None:
                name, _, field = place.partition(".")
                found[name, field or None] = None
    return list(found) or [(whole, None)]
