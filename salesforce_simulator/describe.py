"""What the org says of its objects and fields: describe, global and per object."""

from __future__ import annotations

from typing import Any

from salesforce_simulator import ids, schema
from salesforce_simulator.http_types import Request, Response, Route, route
from salesforce_simulator.org import Org, quoted
from salesforce_simulator.schema import Field, ObjectType

_SOBJECTS = "/services/data/v{version}/sobjects"
#: Values found in the records are listed as picklist values up to this number.
_MAX_FOUND = 200
_SOAP = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "long": "xsd:long",
    "double": "xsd:double",
    "percent": "xsd:double",
    "currency": "xsd:double",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "time": "xsd:time",
}


class Describe:
    """Answers describe from the org as it is now."""

    def __init__(self, org: Org) -> None:
        self.org = org

    def routes(self) -> list[Route]:
        """The endpoints of this module."""
        return [
            route("GET", _SOBJECTS, "describe_global", self.everything),
            route("GET", f"{_SOBJECTS}/{{object}}", "sobject", self.basic),
            route("GET", f"{_SOBJECTS}/{{object}}/describe", "describe", self.one),
        ]

    def everything(self, request: Request) -> Response:
        """All objects, without their fields."""
        found = [_head(o, request.version) for o in sorted(self.org.objects.values(), key=lambda o: o.name)]
        return Response.of_json({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": found}, request.pretty)

    def basic(self, request: Request) -> Response:
        """One object without its fields."""
        kind = self.org.required_object(request.parts["object"])
        return Response.of_json({"objectDescribe": _head(kind, request.version), "recentItems": []}, request.pretty)

    def one(self, request: Request) -> Response:
        """One object with all its fields."""
        kind = self.org.required_object(request.parts["object"])
        body = _head(kind, request.version) | {
            "actionOverrides": [],
            "childRelationships": self._children(kind),
            "compactLayoutable": True,
            "fields": [self._field(kind, f) for f in kind.fields],
            "listviewable": None,
            "lookupLayoutable": None,
            "namedLayoutInfos": [],
            "networkScopeFieldName": None,
            "recordTypeInfos": self._record_types(kind, request.version),
            "sobjectDescribeOption": "FULL",
            "supportedScopes": [{"label": "All", "name": "everything"}],
        }
        return Response.of_json(body, request.pretty)

    def _children(self, kind: ObjectType) -> list[dict[str, Any]]:
        return [
            {
                "cascadeDelete": False,
                "childSObject": child.name,
                "deprecatedAndHidden": False,
                "field": reference.name,
                "junctionIdListNames": [],
                "junctionReferenceTo": [],
                "relationshipName": reference.child_relationship,
                "restrictedDelete": False,
            }
            for child in self.org.objects.values()
            for reference in child.fields
            if kind.name in reference.reference_to
        ]

    def _record_types(self, kind: ObjectType, version: str) -> list[dict[str, Any]]:
        rows = []
        types = self.org.find("RecordType")
        if types is not None and all(types.field(n) for n in ("SobjectType", "DeveloperName", "Name")):
            active = '"IsActive"' if types.field("IsActive") else "true"
            with self.org.cursor() as cursor:
                rows = cursor.execute(
                    f'SELECT "Id", "Name", "DeveloperName", {active} FROM "RecordType" WHERE "SobjectType" = ?',
                    [kind.name],
                ).fetchall()
        rows.append((ids.MASTER_RECORD_TYPE_ID, "Master", "Master", True))
        return [
            {
                "active": bool(active),
                "available": True,
                "defaultRecordTypeMapping": place == 0,
                "developerName": developer_name,
                "master": record_id == ids.MASTER_RECORD_TYPE_ID,
                "name": name,
                "recordTypeId": record_id,
                "urls": {"layout": f"/services/data/v{version}/sobjects/{kind.name}/describe/layouts/{record_id}"},
            }
            for place, (record_id, name, developer_name, active) in enumerate(rows)
        ]

    def _picklist(self, kind: ObjectType, field: Field) -> list[dict[str, Any]]:
        if field.type not in ("picklist", "multipicklist", "combobox"):
            return []
        labelled: dict[str, tuple[str, bool]] = {}
        if field.name == "StageName":
            for value, label, active in self._stages():
                labelled[value] = (label, active)
        for value in field.picklist:
            labelled.setdefault(value, (value, True))
        with self.org.cursor() as cursor:
            column = quoted(field.name)
            found = cursor.execute(
                f"SELECT DISTINCT {column} FROM {quoted(kind.name)} WHERE {column} <> '' ORDER BY 1 LIMIT {_MAX_FOUND}"
            ).fetchall()
        for (value,) in found:
            labelled.setdefault(value, (value, field.name != "StageName" or not self.org.find("OpportunityStage")))
        return [
            {"active": active, "defaultValue": False, "label": label, "validFor": None, "value": value}
            for value, (label, active) in labelled.items()
        ]

    def _stages(self) -> list[tuple[str, str, bool]]:
        stage = self.org.find("OpportunityStage")
        if stage is None or not (stage.field("MasterLabel") or stage.field("ApiName")):
            return []
        name = "ApiName" if stage.field("ApiName") else "MasterLabel"
        label = "MasterLabel" if stage.field("MasterLabel") else name
        active = '"IsActive"' if stage.field("IsActive") else "true"
        order = '"SortOrder"' if stage.field("SortOrder") else "rowid"
        with self.org.cursor() as cursor:
            sql = f'SELECT "{name}", "{label}", {active} FROM "OpportunityStage" ORDER BY {order}'
            return [(value, shown, bool(is_active)) for value, shown, is_active in cursor.execute(sql).fetchall()]

    def _field(self, kind: ObjectType, field: Field) -> dict[str, Any]:
        text = field.storage == "VARCHAR"
        targets = [r for r in field.reference_to if self.org.find(r)] or list(field.reference_to)
        return {
            "aggregatable": field.type != "boolean" and field.filterable,
            "aiPredictionField": False,
            "autoNumber": False,
            "byteLength": field.length * 3 if text else 0,
            "calculated": field.calculated,
            "calculatedFormula": None,
            "cascadeDelete": False,
            "caseSensitive": False,
            "compoundFieldName": None,
            "controllerName": None,
            "createable": field.createable and kind.createable,
            "custom": field.custom,
            "defaultValue": False if field.type == "boolean" else None,
            "defaultValueFormula": None,
            "defaultedOnCreate": not field.nillable and (field.type == "boolean" or not field.createable),
            "dependentPicklist": False,
            "deprecatedAndHidden": False,
            "digits": 9 if field.type == "int" else 0,
            "displayLocationInDecimal": False,
            "encrypted": False,
            "externalId": field.external_id,
            "extraTypeInfo": None,
            "filterable": field.filterable,
            "filteredLookupInfo": None,
            "formulaTreatNullNumberAsZero": False,
            "groupable": field.groupable,
            "highScaleNumber": False,
            "htmlFormatted": False,
            "idLookup": field.type == "id" or field.external_id,
            "inlineHelpText": None,
            "label": field.label,
            "length": field.length,
            "mask": None,
            "maskType": None,
            "name": field.name,
            "nameField": field.name_field,
            "namePointing": len(targets) > 1,
            "nillable": field.nillable,
            "permissionable": field.nillable and field.createable,
            "picklistValues": self._picklist(kind, field),
            "polymorphicForeignKey": len(targets) > 1,
            "precision": field.precision,
            "queryByDistance": False,
            "referenceTargetField": None,
            "referenceTo": targets,
            "relationshipName": field.relationship_name,
            "relationshipOrder": None,
            "restrictedDelete": False,
            "restrictedPicklist": False,
            "scale": field.scale,
            "searchPrefilterable": field.type in schema.ID_TYPES,
            "soapType": _SOAP.get(field.type, "xsd:string"),
            "sortable": field.sortable,
            "type": field.type,
            "unique": field.external_id,
            "updateable": field.updateable and kind.createable,
            "writeRequiresMasterRead": False,
        }


def _head(kind: ObjectType, version: str) -> dict[str, Any]:
    base = f"/services/data/v{version}/sobjects/{kind.name}"
    urls = {"rowTemplate": f"{base}/{{ID}}", "describe": f"{base}/describe", "sobject": base}
    return {
        "activateable": False,
        "associateEntityType": None,
        "associateParentEntity": None,
        "createable": kind.createable,
        "custom": kind.custom,
        "customSetting": False,
        "deepCloneable": False,
        "deletable": kind.createable,
        "deprecatedAndHidden": False,
        "feedEnabled": False,
        "hasSubtypes": False,
        "isInterface": False,
        "isSubtype": False,
        "keyPrefix": kind.key_prefix,
        "label": kind.label,
        "labelPlural": kind.label_plural,
        "layoutable": True,
        "mergeable": kind.name in ("Account", "Contact", "Lead"),
        "mruEnabled": True,
        "name": kind.name,
        "queryable": kind.queryable,
        "replicateable": kind.field("SystemModstamp") is not None,
        "retrieveable": True,
        "searchable": kind.createable,
        "triggerable": kind.createable,
        "undeletable": kind.field("IsDeleted") is not None and kind.createable,
        "updateable": kind.createable,
        "urls": urls,
    }
