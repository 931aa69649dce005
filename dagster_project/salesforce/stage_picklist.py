"""Which stages each record type of Opportunity offers, in order: from the UI API, since no object lists it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from dagster_project.errors import IncompleteExtractError, SalesforceError
from dagster_project.salesforce.client import NO_ACCESS, SalesforceClient
from dagster_project.salesforce.description import FieldDescription, ObjectDescription
from dagster_project.salesforce.objects import ObjectSpec

MASTER_RECORD_TYPE = "012000000000000AAA"
"""Stands for opportunities without a record type."""
_TYPES = {"id": "id", "text": "string", "int": "int"}


def description(spec: ObjectSpec) -> ObjectDescription:
    """The pseudo object as if describe listed it."""
    fields = {field.name: FieldDescription(field.name, _TYPES[field.logical]) for field in spec.fields}
    return ObjectDescription(spec.name, fields)


def offered(client: SalesforceClient) -> dict[str, list[dict[str, str]]] | None:
    """The values that each record type offers; None where the UI API is closed to this user altogether.

    Nothing would else read as stages removed. Raises SalesforceError where it is the org that refuses, and
    IncompleteExtractError where record types are missing from the answer.
    """
    found = {record_type: _values(client, record_type) for record_type in _record_types(client)}
    shown = {record_type: values for record_type, values in found.items() if values is not None}
    return shown or None


def page(values: Mapping[str, list[dict[str, str]]], folder: Path) -> tuple[Path, int]:
    """A page of records (RecordTypeId, StageName, Label, Position from 1) and how many values the UI API listed."""
    records = [
        {"RecordTypeId": record_type, "StageName": value["value"], "Label": value["label"], "Position": position}
        for record_type, offers in values.items()
        for position, value in enumerate(offers, start=1)
    ]
    target = folder / "page-000000.json"
    target.write_text(json.dumps({"records": records}), encoding="utf-8")
    return target, len(records)


def _record_types(client: SalesforceClient) -> list[str]:
    found = client.describe("RecordType")
    if found is None or not {"Id", "SobjectType"} <= set(found.fields):
        return [MASTER_RECORD_TYPE]
    from simple_salesforce.format import format_soql

    query = format_soql("SELECT Id FROM RecordType WHERE SobjectType = {}", "Opportunity")
    body = client.query(query, doing="record types of Opportunity")
    if not body.get("done", True):
        raise SalesforceError("more record types than one page holds.", where="Opportunity")
    if len(body["records"]) != body.get("totalSize"):
        raise IncompleteExtractError(
            f"{len(body['records'])} record types arrived where {body.get('totalSize')} were stated.",
            where="record types of Opportunity",
            todo="Run again.",
        )
    ids = sorted(str(record["Id"]) for record in body["records"])
    return [MASTER_RECORD_TYPE, *(name for name in ids if name != MASTER_RECORD_TYPE)]


def _values(client: SalesforceClient, record_type: str) -> list[dict[str, str]] | None:
    from dagster_project.salesforce.http import error_of, refused

    path = f"ui-api/object-info/Opportunity/picklist-values/{record_type}/StageName"
    response = client.request("GET", path, doing="stages of a record type", allow=(400, 403, 404))
    # the UI API is closed to some users, and some record types are not this user's: then there is no order to be had
    if response.status_code != 200:
        if response.status_code == 403 and error_of(response)[0] not in NO_ACCESS:
            raise refused(response, "stages of a record type")
        return None
    values = response.json().get("values")
    if not isinstance(values, list):
        raise SalesforceError("the UI API's answer lists no values.", where=path)
    return values
