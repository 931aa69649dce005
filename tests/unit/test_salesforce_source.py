"""The Salesforce project that is shipped: well-formed, whole, and the same as what the code writes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from dagster_project.writeback import TARGETS

PROJECT = Path(__file__).resolve().parents[2] / "salesforce"
BASE = PROJECT / "force-app/main/default"
ITEM = "Leanfunnel_Item__c"
NS = "{http://soap.sforce.com/2006/04/metadata}"
STANDARD = {"OwnerId", "Status", "Priority", "WhatId", "Subject", "Description"}
TAGS = {
    "object": "CustomObject", "field": "CustomField", "listView": "ListView", "permissionset": "PermissionSet",
    "layout": "Layout", "tab": "CustomTab",
}  # fmt: skip
FILES = sorted(BASE.glob("**/*-meta.xml"))


def _fields(folder: str) -> dict[str, ElementTree.Element]:
    files = (BASE / "objects" / folder / "fields").glob("*.field-meta.xml")
    return {file.name.removesuffix(".field-meta.xml"): ElementTree.parse(file).getroot() for file in files}


def _texts(root: ElementTree.Element, path: str) -> list[str]:
    return [found.text or "" for found in root.findall("/".join(NS + part for part in path.split("/")))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_file_is_the_metadata_that_its_name_says(file: Path) -> None:
    root = ElementTree.parse(file).getroot()
    name, kind = file.name.removesuffix("-meta.xml").rsplit(".", 1)
    assert root.tag == NS + TAGS[kind]
    for said in _texts(root, "fullName"):
        assert said == name
    assert all(element.tag.startswith(NS) for element in root.iter())


def test_the_project_names_the_folder_and_leaves_no_file_out() -> None:
    project = json.loads((PROJECT / "sfdx-project.json").read_text())
    assert [package["path"] for package in project["packageDirectories"]] == ["force-app"]
    shipped = {path for path in PROJECT.rglob("*") if path.is_file()}
    assert shipped == {*FILES, PROJECT / "sfdx-project.json"}
    assert len(FILES) == len(_fields(ITEM)) + len(_fields("Activity")) + 9


@pytest.mark.parametrize(("form", "folder"), [("object", ITEM), ("tasks", "Activity")])
def test_every_field_that_is_written_is_shipped_and_fits(form: str, folder: str) -> None:
    target, fields = TARGETS[form], _fields(folder)
    assert set(target.fields) - STANDARD == set(fields)
    kinds = {
        "text": {"Text", "LongTextArea", "Url", "Lookup"},
        "number": {"Number"},
        "date": {"Date"},
        "instant": {"DateTime"},
    }
    for column in target.columns:
        if column.name in STANDARD:
            continue
        root = fields[column.name]
        assert _texts(root, "type")[0] in kinds[column.kind]
        if _texts(root, "length"):
            assert column.length == int(_texts(root, "length")[0])
    if target.by_external_id:
        key = fields[target.key]
        assert (_texts(key, "externalId"), _texts(key, "unique")) == (["true"], ["true"])
        assert _texts(fields[target.status], "valueSet/valueSetDefinition/value/fullName") == [
            target.status_open, target.status_closed,
        ]  # fmt: skip


def test_list_views_and_the_layout_show_fields_that_are_there() -> None:
    known = {*_fields(ITEM), "NAME", "Name", "OwnerId"}
    views = sorted((BASE / "objects" / ITEM / "listViews").glob("*"))
    assert len(views) == 3
    for view in views:
        root = ElementTree.parse(view).getroot()
        assert {*_texts(root, "columns"), *_texts(root, "filters/field")} <= known
    layout = ElementTree.parse(BASE / f"layouts/{ITEM}-Leanfunnel Item Layout.layout-meta.xml").getroot()
    assert set(_texts(layout, "layoutSections/layoutColumns/layoutItems/field")) == known - {"NAME"}


def test_permission_sets_grant_the_fields_that_are_written_and_nothing_else() -> None:
    def granted(name: str) -> tuple[set[str], set[str], set[str]]:
        root = ElementTree.parse(BASE / f"permissionsets/{name}.permissionset-meta.xml").getroot()
        editable = {
            field.findtext(f"{NS}field") or ""
            for field in root.findall(f"{NS}fieldPermissions")
            if field.findtext(f"{NS}editable") == "true"
        }
        return editable, set(_texts(root, "objectPermissions/object")), set(_texts(root, "userPermissions/name"))

    items = {f"{ITEM}.{name}" for name in _fields(ITEM)}
    # an activity's field is granted for tasks and events together, or not at all
    marks = {f"{kind}.{name}" for name in _fields("Activity") for kind in ("Task", "Event")}
    assert granted(TARGETS["object"].permission_set) == (items, {ITEM}, set())
    assert granted(TARGETS["tasks"].permission_set) == (marks, set(), {"EditTask"})
    assert granted("Leanfunnel_Items") == (set(), {ITEM}, set())
