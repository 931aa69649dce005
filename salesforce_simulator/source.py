"""Deploys the objects and fields of a Salesforce source folder (`sf project`) into an org. No layouts, no permissions.

`force-app/main/default/objects/<Object>/<Object>.object-meta.xml` makes a custom object; each
`fields/<Field>.field-meta.xml` below adds a field, also to an object that the org has; those of `Activity` go to Task and Event.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

from salesforce_simulator import schema
from salesforce_simulator.errors import InputError
from salesforce_simulator.org import Org
from salesforce_simulator.schema import Field, ObjectType

NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"
_TYPES = {
    "Text": "string",
    "TextArea": "textarea",
    "LongTextArea": "textarea",
    "Url": "url",
    "Number": "double",
    "Currency": "currency",
    "Percent": "percent",
    "Checkbox": "boolean",
    "Date": "date",
    "DateTime": "datetime",
    "Picklist": "picklist",
    "Lookup": "reference",
    "Email": "email",
    "Phone": "phone",
}
_SYSTEM = (
    ("Id", "id", "", ""),
    ("OwnerId", "reference", "Group,User", ""),
    ("IsDeleted", "boolean", "", "readonly"),
    ("CreatedDate", "datetime", "", "readonly"),
    ("CreatedById", "reference", "User", "rel=CreatedBy"),
    ("LastModifiedDate", "datetime", "", "readonly"),
    ("LastModifiedById", "reference", "User", "rel=LastModifiedBy"),
    ("SystemModstamp", "datetime", "", "readonly"),
)


def deploy(org: Org, folder: Path) -> list[str]:
    """Adds what the folder holds; the names of what was added, fields as `Object.Field`.

    Raises InputError for a file that is no metadata, a type that is not known, or a field of an object that neither the org
    nor the folder has.
    """
    objects = sorted(folder.glob("**/objects/*"))
    if not objects:
        raise InputError("holds no objects/.", where=str(folder), advice="Name the folder of a Salesforce project.")
    added: list[str] = []
    for place in objects:
        definition = place / f"{place.name}.object-meta.xml"
        targets = [n for n in ("Task", "Event") if org.find(n)] if place.name == "Activity" else [place.name]
        if definition.is_file() and org.find(place.name) is None:
            org.add_object(_object(definition))
            added.append(place.name)
        for target in targets:
            _complete(org, target)
        for file in sorted(place.glob("fields/*.field-meta.xml")):
            made = _field(file)
            for target in targets:
                if org.find(target) is None:
                    raise InputError(f"the org has no object {target}.", where=str(file), advice="Deploy it too.")
                org.add_field(target, made)
                added.append(f"{target}.{made.name}")
    return added


def _complete(org: Org, name: str) -> None:
    """Standard fields that an object's data left out: an org in which it is set up has them all."""
    kind, standard = org.find(name), schema.standard_object(name)
    for missing in standard.fields if kind and standard else ():
        if kind and kind.field(missing.name) is None:
            org.add_field(name, missing)


def _object(file: Path) -> ObjectType:
    root = _read(file, "CustomObject")
    name = file.name.removesuffix(".object-meta.xml")
    numbered = root.findtext(f"{NAMESPACE}nameField/{NAMESPACE}type") == "AutoNumber"
    fields = [schema.make_field(*part[:3], flags=part[3]) for part in _SYSTEM]
    fields.insert(1, schema.make_field("Name", "string", "80", flags="name readonly" if numbered else "name"))
    label = root.findtext(f"{NAMESPACE}label") or name
    return ObjectType(name, None, label, root.findtext(f"{NAMESPACE}pluralLabel") or label, tuple(fields))


def _field(file: Path) -> Field:
    root = _read(file, "CustomField")

    def said(tag: str) -> str:
        return root.findtext(f"{NAMESPACE}{tag}") or ""

    if said("type") not in _TYPES:
        raise InputError(f"the type '{said('type')}' is not known here.", where=str(file), advice="Use another type.")
    kind = _TYPES[said("type")]
    arguments = {"reference": said("referenceTo")}.get(kind) or said("length")
    if kind in schema.NUMBER_TYPES:
        # Salesforce's precision counts all digits
        arguments = f"{said('precision')},{said('scale')}"
    values = "|".join(v.findtext(f"{NAMESPACE}fullName") or "" for v in root.iter(f"{NAMESPACE}value"))
    flags = " ".join(
        word for word, tag in (("!", "required"), ("external", "externalId")) if said(tag) == "true"
    )  # fmt: skip
    made = schema.make_field(said("fullName"), kind, arguments, values, flags)
    return replace(made, label=said("label"))


def _read(file: Path, tag: str) -> ElementTree.Element:
    try:
        root = ElementTree.parse(file).getroot()  # noqa: S314 - a folder that whoever runs the simulator names
    except (OSError, ElementTree.ParseError) as error:
        raise InputError(f"cannot be read: {error}.", where=str(file), advice="Mend the file.") from None
    if root.tag != f"{NAMESPACE}{tag}":
        raise InputError(f"is no {tag}.", where=str(file), advice=f"Its root must be {tag} of Salesforce's metadata.")
    return root
