"""How records change: create, update, delete and what follows from each, stamped and logged as the service does it.

The REST API writes through here. `Org` stores rows exactly as they are given; the rules are in this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from salesforce_simulator import ids
from salesforce_simulator.errors import ApiError
from salesforce_simulator.org import Org, quoted
from salesforce_simulator.schema import Field, ObjectType

#: What goes to the recycle bin together with a record, and comes back with it.
_CASCADES = {
    "Account": (("Opportunity", "AccountId"), ("Contact", "AccountId")),
    "Opportunity": (
        ("OpportunityHistory", "OpportunityId"),
        ("OpportunityContactRole", "OpportunityId"),
        ("Task", "WhatId"),
        ("Event", "WhatId"),
    ),
    "Event": (("EventRelation", "EventId"),),
}
_HISTORY = ("StageName", "Amount", "Probability", "CloseDate", "ForecastCategory")
_HISTORY_COPIES = (*_HISTORY, "CurrencyIsoCode", "ExpectedRevenue")
_FORECAST_CODES = {"Best Case": "BestCase", "Most Likely": "MostLikely", "Commit": "Forecast"}
_ACTIVITY_DONE = "Completed"


class Changes:
    """Writes to an org as one user. Every call is one moment: the org's clock."""

    def __init__(self, org: Org, user_id: str) -> None:
        self.org, self.user_id = org, user_id

    # what a user does

    def create(self, name: str, values: Mapping[str, Any]) -> str:
        """Creates a record; returns its id. Raises ApiError for fields that cannot be set or are missing."""
        kind = self._writable(name)
        given = self._settable(kind, values, "createable")
        missing = [
            f.name
            for f in kind.fields
            if not f.nillable
            and f.createable
            and f.default is None
            and f.name != "OwnerId"
            and given.get(f.name) is None
        ]
        if missing:
            raise ApiError(
                400, "REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]", missing
            )
        now = self.org.naive_now()
        row: dict[str, Any] = {f.name: False for f in kind.fields if f.type == "boolean"}
        row |= {"OwnerId": self.user_id, "CreatedById": self.user_id, "LastModifiedById": self.user_id}
        row |= {"CreatedDate": now, "LastModifiedDate": now, "SystemModstamp": now, "IsDeleted": False} | given
        self._derive(kind, row, {}, given)
        row = {k: v for k, v in row.items() if kind.field(k)}
        with self.org.lock:
            self._check_record(kind, given, row)
            row["Id"] = self.org.next_id(kind)
            self.org.upsert(kind.name, [row])
            if kind.name == "Opportunity":
                self._write_history(row)
        return str(row["Id"])

    def update(self, name: str, record_id: str, values: Mapping[str, Any]) -> None:
        """Changes a record; raises ApiError where it, or a field, cannot be changed."""
        kind = self._writable(name)
        given = self._settable(kind, values, "updateable")
        with self.org.lock:
            before = self.living(kind, record_id)
            self._check_record(kind, given, {**before, **given})
            now = self.org.naive_now()
            row = {**given, "Id": before["Id"]}
            row |= {"LastModifiedDate": now, "SystemModstamp": now, "LastModifiedById": self.user_id}
            self._derive(kind, row, before, given)
            row = {k: v for k, v in row.items() if kind.field(k)}
            self.org.upsert(kind.name, [row])
            if kind.name == "Opportunity":
                after = self.living(kind, record_id)
                if any(after.get(f) != before.get(f) for f in _HISTORY):
                    self._write_history(after)

    def delete(self, name: str, record_id: str) -> None:
        """Puts a record, and what belongs to it, into the recycle bin; where there is none it is gone for good."""
        kind = self._writable(name)
        with self.org.lock:
            row = self.living(kind, record_id)
            if kind.field("IsDeleted") is None:
                self.org.purge(kind.name, row["Id"], logged=True)
                return
            self._mark(kind, row["Id"], deleted=True)

    def undelete(self, name: str, record_id: str) -> None:
        """Takes a record, and what went with it, out of the recycle bin."""
        kind = self._writable(name)
        with self.org.lock:
            row = self.org.read(kind, record_id)
            if row is None or not row.get("IsDeleted"):
                raise ApiError(400, "UNDELETE_FAILED", "Entity is not in the recycle bin")
            self._mark(kind, row["Id"], deleted=False)

    def purge(self, name: str, record_id: str, *, logged: bool = True) -> None:
        """Empties one record out of the recycle bin: no query finds it again, getDeleted only where it is `logged`."""
        self.org.purge(name, record_id, logged=logged)

    def merge(self, name: str, winner_id: str, loser_id: str) -> None:
        """Merges an account, contact or lead into another: the loser is deleted with MasterRecordId, children move."""
        kind = self._writable(name)
        if kind.field("MasterRecordId") is None:
            raise ApiError(400, "INVALID_TYPE", f"{kind.name} records cannot be merged in this org")
        with self.org.lock:
            winner, loser = self.living(kind, winner_id)["Id"], self.living(kind, loser_id)["Id"]
            now = self.org.naive_now()
            for child in self.org.objects.values():
                for reference in child.fields:
                    if kind.name not in reference.reference_to or reference.name == "MasterRecordId":
                        continue
                    stamp = ', "SystemModstamp" = $now' if child.field("SystemModstamp") else ""
                    with self.org.cursor() as cursor:
                        cursor.execute(
                            f"UPDATE {quoted(child.name)} SET {quoted(reference.name)} = $winner{stamp} "
                            f"WHERE {quoted(reference.name)} = $loser",
                            {"winner": winner, "loser": loser} | ({"now": now} if stamp else {}),
                        )
            gone = {"Id": loser, "IsDeleted": True, "MasterRecordId": winner, "SystemModstamp": now}
            self.org.upsert(kind.name, [gone])
            self.org.upsert(kind.name, [{"Id": winner, "LastModifiedDate": now, "SystemModstamp": now}])

    def convert_lead(self, lead_id: str, opportunity: Mapping[str, Any]) -> dict[str, str]:
        """Converts a lead into an account, a contact and an opportunity; returns their ids by object name."""
        lead_kind = self._writable("Lead")
        with self.org.lock:
            lead = self.living(lead_kind, lead_id)
            made = {"Account": self.create("Account", {"Name": lead.get("Company") or lead.get("LastName")})}
            contact = {"LastName": lead.get("LastName"), "AccountId": made["Account"]}
            made["Contact"] = self.create("Contact", {k: v for k, v in contact.items() if v is not None})
            made["Opportunity"] = self.create("Opportunity", {**opportunity, "AccountId": made["Account"]})
            now = self.org.naive_now()
            row = {"Id": lead["Id"], "IsConverted": True, "ConvertedDate": now.date().isoformat()}
            row |= {f"Converted{name}Id": record_id for name, record_id in made.items()}
            row |= {"LastModifiedDate": now, "SystemModstamp": now}
            self.org.upsert("Lead", [{k: v for k, v in row.items() if lead_kind.field(k)}])
        return made

    # what an administrator does

    def set_stage(self, api_name: str, values: Mapping[str, Any]) -> None:
        """Changes a stage (its label, IsActive, …) by its ApiName; raises 404 where there is none."""
        kind = self.org.required_object("OpportunityStage")
        with self.org.lock, self.org.cursor() as cursor:
            row = cursor.execute('SELECT "Id" FROM "OpportunityStage" WHERE "ApiName" = ?', [api_name]).fetchone()
            if row is None:
                raise ApiError(404, "NOT_FOUND", f"This org has no stage {api_name}")
            now = self.org.naive_now()
            stamps = {"LastModifiedDate": now, "SystemModstamp": now}
            self.org.upsert(kind.name, [{**values, "Id": row[0], **stamps}])

    # behind the scenes

    def living(self, kind: ObjectType, record_id: str) -> dict[str, Any]:
        """A record that is not deleted; raises 404 NOT_FOUND or ENTITY_IS_DELETED."""
        row = self.org.read(kind, record_id)
        if row is None:
            raise ApiError(404, "NOT_FOUND", "The requested resource does not exist")
        if row.get("IsDeleted"):
            raise ApiError(404, "ENTITY_IS_DELETED", "entity is deleted", [])
        return row

    def _writable(self, name: str) -> ObjectType:
        kind = self.org.required_object(name)
        if not kind.createable:
            raise ApiError(
                400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type {kind.name} does not support changes"
            )
        return kind

    @staticmethod
    def _settable(kind: ObjectType, values: Mapping[str, Any], how: str) -> dict[str, Any]:
        given: dict[str, Any] = {}
        for name, value in values.items():
            if name in ("attributes", "id"):
                continue
            field = kind.field(name)
            if field is None:
                raise ApiError(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {kind.name}", [name])
            if field.name == "Id" or not getattr(field, how):
                message = (
                    f"Unable to create/update fields: {field.name}. Please check the security settings of this field."
                )
                raise ApiError(400, "INVALID_FIELD_FOR_INSERT_UPDATE", message, [field.name])
            _check_value(field, value)
            given[field.name] = value
        return given

    def _check_record(self, kind: ObjectType, given: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        """What only the whole record, or another one, can refuse."""
        for name, value in given.items():
            field = kind.field(name)
            assert field is not None
            if value is None or value == row.get("Id"):
                continue
            for target in field.reference_to:
                other = self.org.find(target)
                found = self.org.read(other, str(value)) if other else None
                if found and found.get("IsDeleted"):
                    raise ApiError(400, "ENTITY_IS_DELETED", "entity is deleted", [name])
                if found and name == "OwnerId" and target == "User" and found.get("IsActive") is False:
                    message = f"operation performed with inactive user [{found['Id']}] as owner of {kind.name}"
                    raise ApiError(400, "INACTIVE_OWNER_OR_USER", message, [name])
            if field.external_id:
                self._check_unique(kind, field, str(value), row.get("Id"))
        for refusal in self.org.refusals:
            applies = refusal.object.lower() == kind.name.lower() and str(row.get(refusal.field)) == refusal.value
            if applies and refusal.times != 0:
                refusal.times = None if refusal.times is None else refusal.times - 1
                raise ApiError(400, refusal.code, refusal.message, [])

    def _check_unique(self, kind: ObjectType, field: Field, value: str, own_id: Any) -> None:
        living = 'AND NOT "IsDeleted"' if kind.field("IsDeleted") else ""
        with self.org.cursor() as cursor:
            sql = f'SELECT "Id" FROM {quoted(kind.name)} WHERE {quoted(field.name)} = ? AND "Id" IS DISTINCT FROM ? {living}'
            found = cursor.execute(sql, [value, own_id]).fetchone()
        if found:
            message = f"duplicate value found: {field.name} duplicates value on record with id: {found[0]}"
            raise ApiError(400, "DUPLICATE_VALUE", message, [])

    def _derive(
        self, kind: ObjectType, row: dict[str, Any], before: Mapping[str, Any], given: Mapping[str, Any]
    ) -> None:
        """Fields that the service itself sets from others."""
        if kind.name == "Opportunity" and "StageName" in given and given["StageName"] != before.get("StageName"):
            stage = self.org.stage(str(given["StageName"]))
            if stage:
                row |= {"IsClosed": stage.get("IsClosed"), "IsWon": stage.get("IsWon")}
                if "Probability" not in given:
                    row["Probability"] = stage.get("DefaultProbability")
                name = stage.get("ForecastCategoryName")
                if "ForecastCategoryName" not in given:
                    row["ForecastCategoryName"] = name
                row["ForecastCategory"] = _FORECAST_CODES.get(str(name), name)
            row["LastStageChangeDate"] = self.org.naive_now() if before else None
        if kind.name == "Task" and "Status" in given:
            done = given["Status"] == _ACTIVITY_DONE
            row |= {"IsClosed": done, "CompletedDateTime": self.org.naive_now() if done else None}

    def _write_history(self, opportunity: Mapping[str, Any]) -> None:
        kind = self.org.find("OpportunityHistory")
        if kind is None:
            return
        now = self.org.naive_now()
        row: dict[str, Any] = {f: opportunity.get(f) for f in _HISTORY_COPIES}
        row |= {"OpportunityId": opportunity["Id"], "CreatedById": self.user_id, "IsDeleted": False}
        row |= {"CreatedDate": now, "SystemModstamp": now, "Id": self.org.next_id(kind)}
        self.org.upsert(kind.name, [{k: v for k, v in row.items() if kind.field(k)}])

    def _mark(self, kind: ObjectType, record_id: str, *, deleted: bool) -> None:
        now = self.org.naive_now()
        row = {"Id": record_id, "IsDeleted": deleted, "SystemModstamp": now, "LastModifiedDate": now}
        self.org.upsert(kind.name, [{k: v for k, v in row.items() if kind.field(k)}])
        for child_name, reference in _CASCADES.get(kind.name, ()):
            child = self.org.find(child_name)
            if child is None or child.field(reference) is None or child.field("IsDeleted") is None:
                continue
            with self.org.cursor() as cursor:
                found = cursor.execute(
                    f'SELECT "Id" FROM {quoted(child.name)} WHERE {quoted(reference)} = ? AND "IsDeleted" = ?',
                    [record_id, not deleted],
                ).fetchall()
            for (child_id,) in found:
                self._mark(child, child_id, deleted=deleted)


def _check_value(field: Field, value: Any) -> None:
    if value is None:
        if not field.nillable:
            raise ApiError(400, "REQUIRED_FIELD_MISSING", f"Required fields are missing: [{field.name}]", [field.name])
        return
    if field.type in ("id", "reference") and not ids.is_id(str(value)):
        raise ApiError(400, "MALFORMED_ID", f"{field.label} ID: id value of incorrect type: {value}", [field.name])
    if field.storage == "VARCHAR" and field.length and len(str(value)) > field.length:
        message = f"{field.label}: data value too large: {str(value)[:40]} (max length={field.length})"
        raise ApiError(400, "STRING_TOO_LONG", message, [field.name])
