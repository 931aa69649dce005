"""The catalogue: which objects and fields are read, their logical types, and what Salesforce's types become.

Chosen for flow metrics and least privilege: no message bodies, no telephone numbers, no names of the customer's people;
e-mail addresses as `guards` lands them. Further fields and objects come by setting. No requests here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

STAGE_PICKLIST = "OpportunityStagePicklist"
ESSENTIAL = ("Opportunity", "OpportunityHistory", "OpportunityStage")
"""Without these there is nothing to measure: an org that lacks or hides one is an error, any other absence a finding."""
CURSORS = ("SystemModstamp", "LastModifiedDate", "CreatedDate")
"""Preference for the incremental cursor; describe decides which of them the org offers for filtering."""

_STAMPS = "CreatedDate:datetime LastModifiedDate:datetime SystemModstamp:datetime"
_TRACKED = "Field:text DataType:text? OldValue:tracked NewValue:tracked CreatedById:id CreatedDate:datetime"

# `Field:logical type`; `address` is an e-mail address, `tracked` an old or new value of a field history: both are text that
# `guards` lands. A trailing `?` marks what depends on the org's edition and features: where it is absent it is
# 'missing'. Any other field exists in every org, so where describe does not list it, it is 'hidden' from this user.
_NOTATION = {
    "Organization": "Id:id Name:text OrganizationType:text IsSandbox:bool InstanceName:text TimeZoneSidKey:text "
    f"FiscalYearStartMonth:int UsesStartDateAsFiscalYearName:bool {_STAMPS}",
    "User": f"Id:id Name:text IsActive:bool UserRoleId:id ManagerId:id UserType:text {_STAMPS}",
    "Account": "Id:id IsDeleted:bool MasterRecordId:id Name:text Type:text Industry:text ParentId:id OwnerId:id "
    f"CurrencyIsoCode:text? {_STAMPS}",
    "RecordType": f"Id:id Name:text DeveloperName:text SobjectType:text BusinessProcessId:id? IsActive:bool {_STAMPS}",
    "OpportunityStage": "Id:id MasterLabel:text ApiName:text IsActive:bool SortOrder:int IsClosed:bool IsWon:bool "
    f"ForecastCategoryName:text DefaultProbability:double {_STAMPS}",
    STAGE_PICKLIST: "RecordTypeId:id StageName:text Label:text Position:int",
    "Opportunity": "Id:id IsDeleted:bool AccountId:id RecordTypeId:id? Name:text StageName:text Amount:currency "
    "CurrencyIsoCode:text? Probability:double CloseDate:date Type:text LeadSource:text IsClosed:bool IsWon:bool "
    f"ForecastCategoryName:text CampaignId:id? OwnerId:id CreatedById:id {_STAMPS} LastActivityDate:date "
    "LastStageChangeDate:datetime?",
    "OpportunityHistory": "Id:id IsDeleted:bool OpportunityId:id StageName:text Amount:currency CloseDate:date "
    "Probability:double ForecastCategory:text CurrencyIsoCode:text? CreatedById:id CreatedDate:datetime "
    "SystemModstamp:datetime",
    "OpportunityContactRole": f"Id:id IsDeleted:bool OpportunityId:id ContactId:id Role:text IsPrimary:bool {_STAMPS}",
    # Leanfunnel_Key__c: a task of the worklist, written by leanfunnel itself
    "Task": "Id:id IsDeleted:bool IsArchived:bool WhoId:id WhatId:id AccountId:id OwnerId:id Status:text IsClosed:bool "
    "ActivityDate:date TaskSubtype:text? CallType:text? Type:text? CompletedDateTime:datetime? "
    f"Leanfunnel_Key__c:text? {_STAMPS}",
    "Event": "Id:id IsDeleted:bool IsArchived:bool WhoId:id WhatId:id AccountId:id OwnerId:id EventSubtype:text? "
    f"Type:text? IsAllDayEvent:bool ActivityDate:date StartDateTime:datetime EndDateTime:datetime {_STAMPS}",
    "EventRelation": f"Id:id IsDeleted:bool EventId:id RelationId:id Status:text IsWhat:bool? {_STAMPS}",
    "EmailMessage": "Id:id IsDeleted:bool ParentId:id ActivityId:id RelatedToId:id? Incoming:bool Status:text "
    "MessageDate:datetime IsBounced:bool? ThreadIdentifier:text? ReplyToEmailMessageId:id? CreatedById:id "
    f"{_STAMPS}",
    "CurrencyType": "Id:id IsoCode:text ConversionRate:double DecimalPlaces:int IsActive:bool IsCorporate:bool "
    f"{_STAMPS}",
    "DatedConversionRate": f"Id:id IsoCode:text ConversionRate:double StartDate:date NextStartDate:date {_STAMPS}",
    # marketing: campaigns, leads and how a lead went
    "Campaign": "Id:id IsDeleted:bool Name:text ParentId:id Type:text Status:text StartDate:date EndDate:date "
    f"IsActive:bool BudgetedCost:currency ActualCost:currency CurrencyIsoCode:text? OwnerId:id {_STAMPS}",
    "CampaignMember": "Id:id IsDeleted:bool CampaignId:id LeadId:id ContactId:id Status:text HasResponded:bool "
    f"FirstRespondedDate:date {_STAMPS}",
    "LeadStatus": f"Id:id MasterLabel:text ApiName:text SortOrder:int IsDefault:bool IsConverted:bool {_STAMPS}",
    "Lead": "Id:id IsDeleted:bool MasterRecordId:id RecordTypeId:id? Email:address Company:text Title:text Industry:text "
    "Rating:text LeadSource:text Status:text OwnerId:id IsConverted:bool ConvertedDate:date ConvertedAccountId:id "
    "ConvertedContactId:id ConvertedOpportunityId:id CurrencyIsoCode:text? CreatedById:id "
    f"{_STAMPS} LastActivityDate:date",
    "LeadHistory": f"Id:id IsDeleted:bool LeadId:id {_TRACKED}",
    # selling: people, products, what was changed on a deal, who took part in an activity
    "Contact": "Id:id IsDeleted:bool MasterRecordId:id AccountId:id ReportsToId:id RecordTypeId:id? Email:address "
    "Title:text Department:text LeadSource:text OwnerId:id IsEmailBounced:bool? CurrencyIsoCode:text? "
    f"{_STAMPS} LastActivityDate:date",
    "Product2": "Id:id IsDeleted:bool Name:text ProductCode:text Family:text IsActive:bool CurrencyIsoCode:text? "
    f"{_STAMPS}",
    "OpportunityLineItem": "Id:id IsDeleted:bool OpportunityId:id Product2Id:id Quantity:double UnitPrice:currency "
    f"ListPrice:currency TotalPrice:currency Discount:double ServiceDate:date CurrencyIsoCode:text? {_STAMPS}",
    "OpportunityFieldHistory": f"Id:id IsDeleted:bool OpportunityId:id {_TRACKED}",
    "TaskRelation": f"Id:id IsDeleted:bool TaskId:id RelationId:id IsWhat:bool? {_STAMPS}",
    "EmailMessageRelation": "Id:id IsDeleted:bool EmailMessageId:id RelationId:id RelationType:text "
    f"RelationObjectType:text RelationAddress:address {_STAMPS}",
    # after the sale
    "Case": "Id:id IsDeleted:bool MasterRecordId:id ParentId:id AccountId:id ContactId:id RecordTypeId:id? OwnerId:id "
    "Type:text Status:text Reason:text Origin:text Priority:text IsClosed:bool IsEscalated:bool ClosedDate:datetime "
    f"CurrencyIsoCode:text? CreatedById:id {_STAMPS}",
    "CaseHistory": f"Id:id IsDeleted:bool CaseId:id {_TRACKED}",
    # the organization: teams, processes, calendar, targets
    "UserRole": "Id:id Name:text DeveloperName:text ParentRoleId:id LastModifiedDate:datetime SystemModstamp:datetime",
    "Group": f"Id:id Name:text DeveloperName:text Type:text RelatedId:id OwnerId:id {_STAMPS}",
    "BusinessProcess": f"Id:id Name:text TableEnumOrId:text IsActive:bool {_STAMPS}",
    "Period": "Id:id FiscalYearSettingsId:id Type:text Number:int StartDate:date EndDate:date IsForecastPeriod:bool "
    "QuarterLabel:text PeriodLabel:text FullyQualifiedLabel:text SystemModstamp:datetime",
    "ForecastingQuota": "Id:id QuotaOwnerId:id PeriodId:id StartDate:date IsAmount:bool IsQuantity:bool "
    f"QuotaAmount:currency QuotaQuantity:double ForecastingTypeId:id CurrencyIsoCode:text? {_STAMPS}",
    "Holiday": "Id:id Name:text ActivityDate:date IsAllDay:bool StartTimeInMinutes:int EndTimeInMinutes:int "
    "IsRecurrence:bool RecurrenceType:text RecurrenceStartDate:date RecurrenceEndDateOnly:date RecurrenceInterval:int "
    "RecurrenceDayOfWeekMask:int RecurrenceDayOfMonth:int RecurrenceInstance:text RecurrenceMonthOfYear:text "
    f"{_STAMPS}",
}

TEAM = "team"
DIMENSIONS = tuple(f"dimension_{number}" for number in range(1, 5))
"""What the setting `dimensions` names, in its order."""
MAPPED_FIELDS: Mapping[str, tuple[str, str, str]] = {
    "skip_reason": ("Opportunity", "text", "why a stage was skipped"),
    "return_reason": ("Opportunity", "text", "why a deal went back to an earlier stage, or was reopened"),
    "loss_reason": ("Opportunity", "text", "why a deal was lost"),
    "close_date_reviewed_on": ("Opportunity", "date", "when the manager last reviewed the close date"),
    "segment": (
        "Opportunity",
        "text",
        "the part of the business that the deal belongs to, such as a region or a market",
    ),
    TEAM: ("User", "text", "the team of a user, where the setting `team` names a field"),
    **dict.fromkeys(DIMENSIONS, ("Opportunity", "text", "a field of the org's own by which flow is told apart")),
}
"""Meanings that every org keeps in a field of its own, if at all: name -> (object, logical type, what it says)."""

_LOGICAL = {
    "id": "id",
    "reference": "id",
    "boolean": "bool",
    "int": "int",
    "long": "int",
    "double": "double",
    "percent": "double",
    "currency": "currency",
    "date": "date",
    "datetime": "datetime",
}
_TEXT = {
    "string", "textarea", "picklist", "multipicklist", "combobox", "email", "phone", "url", "encryptedstring", "time",
    "anyType", "DataCategoryGroupReference", "json",
}  # fmt: skip


def logical_type(salesforce_type: str) -> str | None:
    """id, text, bool, int, double, currency, date or datetime; None where a type cannot be landed (address, base64 …)."""
    return _LOGICAL.get(salesforce_type) or ("text" if salesforce_type in _TEXT else None)


@dataclass(frozen=True)
class FieldSpec:
    """One field of the catalogue. `optional`: it depends on the org's edition or features. `guard`: 'address' or
    'tracked' where the value lands only as `guards` allows."""

    name: str
    logical: str
    optional: bool = False
    guard: str | None = None


@dataclass(frozen=True)
class ObjectSpec:
    """One object of the catalogue; `key` identifies a record. `described`: it has a describe and answers SOQL."""

    name: str
    fields: tuple[FieldSpec, ...]
    key: tuple[str, ...] = ("Id",)
    described: bool = True

    @cached_property
    def by_name(self) -> Mapping[str, FieldSpec]:
        """The fields by name."""
        return {field.name: field for field in self.fields}


def _parsed(name: str, text: str) -> ObjectSpec:
    fields = []
    for word in text.split():
        field, _, kind = word.partition(":")
        logical, optional = kind.rstrip("?"), kind.endswith("?")
        guard = logical if logical in ("address", "tracked") else None
        fields.append(FieldSpec(field, "text" if guard else logical, optional, guard))
    if name == STAGE_PICKLIST:
        return ObjectSpec(name, tuple(fields), key=("RecordTypeId", "StageName"), described=False)
    return ObjectSpec(name, tuple(fields))


OBJECTS: Mapping[str, ObjectSpec] = {name: _parsed(name, text) for name, text in _NOTATION.items()}
"""Every object that is read, in order."""


def custom_object(name: str) -> ObjectSpec:
    """An object that a setting adds: its Id and stamps where the org has them, and the fields that the setting names."""
    return _parsed(
        name, "Id:id IsDeleted:bool? CreatedDate:datetime? LastModifiedDate:datetime? SystemModstamp:datetime?"
    )


def catalogue(extra: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, dict[str, str]]:
    """{object: {field: logical type}}, with `extra` fields (object -> field -> logical type) at the end of each.

    Mapped fields stand among them under the name of their meaning: `mapped_loss_reason`.
    """
    extra = extra or {}
    return {
        name: {
            **{field.name: field.logical for field in spec.fields},
            **{mapped_column(m): kind for m, (of, kind, _) in MAPPED_FIELDS.items() if of == name},
            **extra.get(name, {}),
        }
        for name, spec in OBJECTS.items()
    }


def mapped_column(meaning: str) -> str:
    """The landing column of a mapped field."""
    return f"mapped_{meaning}"


def mapped_source(mapped: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """{object: {landing column: the org's field}} of `mapped` (meaning -> Object.Field)."""
    found: dict[str, dict[str, str]] = {}
    for meaning, path in mapped.items():
        name, _, field = path.partition(".")
        found.setdefault(name, {})[mapped_column(meaning)] = field
    return found


def mapped_inventory(
    mapped: Mapping[str, str], inventory: Iterable[tuple[str, str | None, str, str | None]]
) -> list[tuple[str, str, str]]:
    """Inventory rows ('mapped', meaning, status) of every meaning, from rows (object, field, status, Salesforce type).

    Status: present, not mapped, or what is wrong with the field, as `Opportunity.Loss__c is missing`.
    """
    known = {(name, field): (status, kind) for name, field, status, kind in inventory}
    fits = {"text": {"text"}, "date": {"date", "datetime"}}
    rows = []
    for meaning, (_, wanted, _) in MAPPED_FIELDS.items():
        status = "not mapped"
        if meaning in mapped:
            name, _, field = mapped[meaning].partition(".")
            status, kind = known.get((name, field), ("not landed", None))
            if status == "present" and kind is not None and logical_type(kind) not in fits[wanted]:
                status = f"a {kind}, not a {wanted}"
            if status != "present":
                status = f"{mapped[meaning]} is {status}"
        rows.append(("mapped", meaning, status))
    return rows


def dimension_rows(
    mapped: Mapping[str, str], inventory: Iterable[tuple[str, str | None, str]]
) -> list[tuple[int, str, str]]:
    """(number, field, status) of each dimension that is set, from the inventory with its rows of `mapped_inventory`."""
    status = {field: state for name, field, state in inventory if name == "mapped"}
    return [
        (number, mapped[meaning].partition(".")[2], status.get(meaning, "not landed"))
        for number, meaning in enumerate(DIMENSIONS, start=1)
        if meaning in mapped
    ]
