"""What a query's columns are, as `query?columns=true` tells it: the Salesforce CLI asks for this before it prints rows."""

from __future__ import annotations

from typing import Any

from salesforce_simulator import schema
from salesforce_simulator.soql.to_sql import Compiled, Output

_APEX = {
    "id": "Id",
    "reference": "Id",
    "boolean": "Boolean",
    "int": "Integer",
    "long": "Long",
    "double": "Double",
    "percent": "Double",
    "currency": "Double",
    "date": "Date",
    "datetime": "Datetime",
    "time": "Time",
}


def column_metadata(compiled: Compiled) -> dict[str, Any]:
    """The answer to a query with `columns=true`: its columns, parents and child subqueries as joined ones; no rows."""
    return {
        "columnMetadata": _columns(compiled),
        "entityName": compiled.kind.name,
        "groupBy": compiled.aggregate,
        "idSelected": any(o.name == "Id" and not o.parents for o in compiled.outputs),
        "keyPrefix": compiled.kind.key_prefix,
    }


def _columns(compiled: Compiled) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    if not compiled.count_only:
        for output in compiled.outputs:
            into = made
            for parent in output.parents:
                joined = next((c for c in into if c["columnName"] == parent), None)
                if joined is None:
                    joined = _joined(parent, aggregate=False)
                    into.append(joined)
                into = joined["joinColumns"]
            into.append(_column(compiled, output))
    for child in compiled.children:
        joined = _joined(child.relationship, aggregate=True)
        joined["joinColumns"] = _columns(child.compiled)
        made.append(joined)
    return made


def _joined(name: str, *, aggregate: bool) -> dict[str, Any]:
    return {
        "aggregate": aggregate,
        "apexType": None,
        "booleanType": False,
        "columnName": name,
        "custom": name.endswith("__r"),
        "displayName": name,
        "foreignKeyName": None if aggregate else f"{name}Id",
        "insertable": False,
        "joinColumns": [],
        "numberType": False,
        "textType": False,
        "updatable": False,
    }


def _column(compiled: Compiled, output: Output) -> dict[str, Any]:
    field = None if output.parents or compiled.aggregate else compiled.kind.field(output.name)
    return {
        "aggregate": compiled.aggregate,
        "apexType": _APEX.get(output.type, "String"),
        "booleanType": output.type == "boolean",
        "columnName": output.name,
        "custom": output.name.endswith("__c"),
        "displayName": output.name,
        "foreignKeyName": None,
        "insertable": field is not None and field.createable,
        "joinColumns": [],
        "numberType": output.type in schema.NUMBER_TYPES,
        "textType": output.type in schema.TEXT_TYPES,
        "updatable": field is not None and field.updateable,
    }
