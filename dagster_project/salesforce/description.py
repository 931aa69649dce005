"""What describe says of an object, and which of the wanted fields that leaves. No requests here."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_project.errors import SalesforceError, SettingsError, nearest
from dagster_project.salesforce.guards import LEFT_OUT, Addresses, is_address
from dagster_project.salesforce.objects import CURSORS, OBJECTS, ObjectSpec, logical_type

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class FieldDescription:
    """One field as this user sees it."""

    name: str
    type: str
    scale: int = 0
    precision: int = 0
    filterable: bool = True
    calculated: bool = False


@dataclass(frozen=True)
class ObjectDescription:
    """One object as this user sees it; `key_prefix` opens the ids of its records."""

    name: str
    fields: Mapping[str, FieldDescription]
    queryable: bool = True
    key_prefix: str | None = None

    @property
    def cursor(self) -> str | None:
        """The field that says when a record last changed, or None: then it is always read in full."""
        stamps = (self.fields.get(name) for name in CURSORS)
        return next((f.name for f in stamps if f and f.filterable and f.type == "datetime"), None)


@dataclass(frozen=True)
class InventoryRow:
    """One object (`field` None) or field: 'present', 'missing' (in the org), 'hidden' (from this user), or 'left out' (by
    the settings: e-mail addresses)."""

    object: str
    field: str | None
    status: str
    salesforce_type: str | None = None


def parse(body: Mapping[str, Any]) -> ObjectDescription:
    """Describe's JSON. Raises SalesforceError where it is none, or holds a name that is no identifier."""
    try:
        fields = {
            str(f["name"]): FieldDescription(
                str(f["name"]), str(f["type"]), int(f.get("scale") or 0), int(f.get("precision") or 0),
                bool(f.get("filterable", True)), bool(f.get("calculated", False)),
            )
            for f in body["fields"]
        }  # fmt: skip
        name = str(body["name"])
    except (KeyError, TypeError, ValueError):
        raise SalesforceError(
            "describe's answer cannot be read.",
            where="describe",
            todo="Check the API version (SALESFORCE_API_VERSION).",
        ) from None
    if odd := [word for word in (name, *fields) if not _NAME.fullmatch(word)]:
        raise SalesforceError(f"describe lists a name that is no identifier: {odd[0]!r}.", where=name[:80])
    return ObjectDescription(name, fields, bool(body.get("queryable", True)), body.get("keyPrefix"))


def readable_fields(
    spec: ObjectSpec,
    description: ObjectDescription,
    extra: Sequence[str] = (),
    mapped: Collection[str] = (),
    addresses: Addresses | None = None,
) -> tuple[list[str], list[InventoryRow]]:
    """The fields to read, in the catalogue's order, and the inventory of all that are wanted. Addresses land as
    `addresses` says, not at all without it.

    Raises SettingsError for an extra field that the org has not, with the nearest name, or that cannot be landed. One of
    `mapped` that the org has not is left out and noted: the definitions that need it then say so.
    """
    names, rows = [], []

    def take(found: FieldDescription) -> None:
        if is_address(spec, found) and not (addresses and addresses.landed):
            rows.append(InventoryRow(spec.name, found.name, LEFT_OUT, found.type))
            return
        names.append(found.name)
        rows.append(InventoryRow(spec.name, found.name, "present", found.type))

    for field in spec.fields:
        found = description.fields.get(field.name)
        if found is not None and logical_type(found.type):
            take(found)
        else:
            rows.append(InventoryRow(spec.name, field.name, "missing" if field.optional else "hidden"))
    for name in dict.fromkeys((*extra, *mapped)):
        if name in spec.by_name:
            continue
        found = description.fields.get(name)
        where = f"{'extra_fields' if spec.name in OBJECTS else 'extra_objects'}, {spec.name}"
        if name in mapped and (found is None or logical_type(found.type) is None):
            rows.append(InventoryRow(spec.name, name, "missing"))
            continue
        if found is None:
            raise SettingsError(
                f"the org shows no field '{name}'.{nearest(name, description.fields)}",
                where=where,
                todo="Write the API name that Setup, Object Manager shows, and let this user read the field.",
            )
        if logical_type(found.type) is None:
            raise SettingsError(
                f"'{name}' is of the type {found.type}, which cannot be landed.", where=where, todo="Leave it out."
            )
        take(found)
    return names, rows
