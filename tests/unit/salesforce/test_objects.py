"""The catalogue against what the service describes, and what it may not read."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagster_project.errors import SettingsError
from dagster_project.salesforce.description import FieldDescription, ObjectDescription, readable_fields
from dagster_project.salesforce.guards import Addresses
from dagster_project.salesforce.objects import OBJECTS, FieldSpec, catalogue, custom_object, logical_type
from salesforce_simulator import schema

SHIPPED = Path(__file__).resolve().parents[3] / "salesforce/force-app/main/default/objects/Activity/fields"
DESCRIBED = [name for name, spec in OBJECTS.items() if spec.described]
# what least privilege keeps out, whoever adds to the catalogue
PRIVATE_TYPES = {"phone"}
PRIVATE_FIELDS = {
    "TextBody", "HtmlBody", "Headers", "Description", "Subject", "Comments", "FromAddress", "ToAddress", "CcAddress",
    "BccAddress", "SuppliedEmail", "FirstName", "LastName", "Birthdate",
}  # fmt: skip


def _of_the_service(name: str) -> list[FieldSpec]:
    """Its fields but those that leanfunnel itself brings to an org."""
    return [field for field in OBJECTS[name].fields if not field.name.startswith("Leanfunnel_")]


def test_a_field_of_our_own_is_one_that_we_ship() -> None:
    own = [field for spec in OBJECTS.values() for field in spec.fields if field.name.startswith("Leanfunnel_")]
    assert [field.name for field in own] == ["Leanfunnel_Key__c"]
    for field in own:
        assert field.optional
        assert (SHIPPED / f"{field.name}.field-meta.xml").exists()


@pytest.mark.parametrize("name", DESCRIBED)
def test_every_field_is_one_that_the_service_describes_with_that_type(name: str) -> None:
    described = schema.standard_object(name)
    assert described is not None
    for field in _of_the_service(name):
        found = described.field(field.name)
        assert found is not None, field.name
        assert found.name == field.name
        assert logical_type(found.type) == field.logical, (field.name, found.type)


@pytest.mark.parametrize("name", DESCRIBED)
def test_nothing_private_is_read(name: str) -> None:
    described = schema.standard_object(name)
    assert described is not None
    assert not PRIVATE_FIELDS & set(OBJECTS[name].by_name)
    for field in _of_the_service(name):
        found = described.field(field.name)
        assert found is not None
        assert found.type not in PRIVATE_TYPES
        assert found.type != "textarea"
        assert (found.type == "email") <= (field.guard == "address")


def test_guarded_fields_are_text_in_the_landing_views() -> None:
    logical = catalogue()
    guarded = {(name, field.name): field for name, spec in OBJECTS.items() for field in spec.fields if field.guard}
    assert {("Contact", "Email"), ("Lead", "Email"), ("LeadHistory", "OldValue")} <= set(guarded)
    assert {logical[name][field] for name, field in guarded} == {"text"}


def _described(*fields: tuple[str, str]) -> ObjectDescription:
    return ObjectDescription("Visit__c", {name: FieldDescription(name, kind) for name, kind in fields})


def test_a_misspelled_field_of_a_custom_object_names_the_nearest_and_the_setting() -> None:
    found = _described(("Id", "id"), ("Held_On__c", "date"))
    with pytest.raises(SettingsError, match="Did you mean 'Held_On__c'") as caught:
        readable_fields(custom_object("Visit__c"), found, ["Held_Om__c"])
    assert caught.value.where == "extra_objects, Visit__c"


def test_an_address_that_the_settings_leave_out_is_in_the_inventory() -> None:
    found = _described(("Id", "id"), ("Mail__c", "email"))
    for addresses in (None, Addresses("none"), Addresses("hashed", None)):
        names, rows = readable_fields(custom_object("Visit__c"), found, ["Mail__c"], addresses=addresses)
        assert names == ["Id"]
        assert [row.status for row in rows if row.field == "Mail__c"] == ["left out"]
    names, rows = readable_fields(custom_object("Visit__c"), found, ["Mail__c"], addresses=Addresses("plain"))
    assert names == ["Id", "Mail__c"]
    assert [row.status for row in rows if row.field == "Mail__c"] == ["present"]
