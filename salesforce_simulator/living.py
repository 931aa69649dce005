"""A living org: changes by script, or drawn at random from a seed, each at its own moment of the org's clock.

What a single change entails is in `changes`. Random changes are drawn from what the org has: an org without leads
converts none.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from salesforce_simulator import schema
from salesforce_simulator.changes import Changes
from salesforce_simulator.errors import ApiError
from salesforce_simulator.org import Org, quoted

#: How often each random change is drawn, relative to the others.
_WEIGHTS = {
    "create": 6,
    "edit": 10,
    "move_stage": 14,
    "close": 5,
    "reopen": 2,
    "delete": 2,
    "undelete": 1,
    "purge": 1,
    "merge": 1,
    "convert_lead": 2,
    "edit_quietly": 2,
    "commit_late": 2,
    "deactivate_owner": 1,
}
_LATE = timedelta(minutes=7)
#: What a script calls an argument -> what the method calls it.
_ARGUMENTS = {"object": "name", "id": "record_id", "type": "type_"}


class LivingOrg:
    """Plays changes on an org; the same org, seed and calls give the same changes.

    `done` holds one record per change that was played: its kind, its moment, the object and the id it touched.
    """

    def __init__(self, org: Org, user_id: str, seed: int = 7) -> None:
        self.org, self.changes = org, Changes(org, user_id)
        self.draws = random.Random(seed)
        self.done: list[dict[str, Any]] = []
        self._plays: dict[str, Callable[[], tuple[str, str] | None]] = {
            name: getattr(self, f"_{name}") for name in _WEIGHTS
        }

    def random_changes(self, count: int, *, most_seconds: int = 10_800) -> list[dict[str, Any]]:
        """Plays that many random changes, the clock going on by up to `most_seconds` before each; returns them.

        Raises ApiError where the org has no opportunities to change.
        """
        first = len(self.done)
        misses = 0
        while len(self.done) - first < count:
            self.org.set_now(self.org.now + timedelta(seconds=self.draws.randint(1, most_seconds)))
            kind = self.draws.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
            touched = self._plays[kind]()
            if touched is None:
                misses += 1
                if misses > 200:
                    raise ApiError(400, "NOTHING_TO_CHANGE", "This org holds nothing that could change")
                continue
            misses = 0
            self.done.append({"change": kind, "at": self.org.now.isoformat(), "object": touched[0], "id": touched[1]})
        return self.done[first:]

    def play(self, change: Mapping[str, Any]) -> Any:
        """Plays one change of a script: `change` names it, the rest are its arguments. Raises ApiError.

        create, update (object, id, values), delete, undelete (object, id), purge (object, id, logged), merge (object,
        id, loser), convert_lead (id, values), set_stage (stage, values), add_field, retype_field (object, field, type,
        arguments), remove_field, hide_field (object, field), forget_deleted, random (count, most_seconds).
        """
        given = {_ARGUMENTS.get(name, name): value for name, value in change.items()}
        kind = given.pop("change", None)
        c, org = self.changes, self.org
        plays: dict[str, Callable[..., Any]] = {
            "create": c.create,
            "update": c.update,
            "delete": c.delete,
            "undelete": c.undelete,
            "purge": c.purge,
            "merge": lambda name, record_id, loser: c.merge(name, record_id, loser),
            "convert_lead": lambda record_id, values: c.convert_lead(record_id, values),
            "set_stage": lambda stage, values: c.set_stage(stage, values),
            "add_field": lambda name, field, type_, arguments="": org.add_field(name, _field(field, type_, arguments)),
            "retype_field": lambda name, field, type_, arguments="": org.retype_field(
                name, _field(field, type_, arguments)
            ),
            "remove_field": lambda name, field: org.remove_field(name, field),
            "hide_field": lambda name, field: org.hide_field(name, field),
            "forget_deleted": org.forget_purged,
            "random": lambda count=1, most_seconds=10_800: self.random_changes(count, most_seconds=most_seconds),
        }
        if kind not in plays:
            raise ApiError(400, "INVALID_CHANGE", f"change must be one of {', '.join(plays)}, not {kind!r}")
        try:
            return plays[kind](**given)
        except TypeError as error:
            raise ApiError(400, "INVALID_CHANGE", f"{kind}: {error}") from None

    # random changes: each gives object and id of what it touched, or None where there is nothing to touch

    def _pick(self, name: str, where: str) -> str | None:
        """An id drawn from the records that meet a condition; None too where the org lacks a field that it names."""
        kind = self.org.find(name)
        if kind is None or not all(kind.field(needed) for needed in re.findall(r'"(\w+)"', where)):
            return None
        with self.org.cursor() as cursor:
            sql = f'SELECT "Id" FROM {quoted(kind.name)} WHERE {where} ORDER BY "Id"'
            found = cursor.execute(sql).fetchall()
        return self.draws.choice(found)[0] if found else None

    def _stages(self, *, closed: bool) -> list[str]:
        flags = self.org.stage_flags()
        return sorted(name for name, flag in flags.items() if bool(flag["closed"]) is closed)

    def _open_deal(self) -> str | None:
        kind = self.org.find("Opportunity")
        return (
            self._pick("Opportunity", 'NOT "IsDeleted" AND NOT "IsClosed"') if kind and kind.field("IsClosed") else None
        )

    def _deal_values(self) -> dict[str, Any] | None:
        stages = self._stages(closed=False)
        kind = self.org.find("Opportunity")
        if not stages or kind is None:
            return None
        close_on = self.org.now.date() + timedelta(days=self.draws.randint(20, 200))
        values = {"Name": f"Deal {self.draws.randint(10**6, 10**7)}", "StageName": stages[0]}
        values |= {"CloseDate": close_on.isoformat()}
        return {name: value for name, value in values.items() if kind.field(name)}

    def _create(self) -> tuple[str, str] | None:
        values = self._deal_values()
        return ("Opportunity", self.changes.create("Opportunity", values)) if values else None

    def _edit(self) -> tuple[str, str] | None:
        return self._change_deal({"Amount": float(self.draws.randint(1, 400) * 250)})

    def _move_stage(self) -> tuple[str, str] | None:
        stages = self._stages(closed=False)
        return self._change_deal({"StageName": self.draws.choice(stages)}) if stages else None

    def _close(self) -> tuple[str, str] | None:
        stages = self._stages(closed=True)
        return self._change_deal({"StageName": self.draws.choice(stages)}) if stages else None

    def _change_deal(self, values: dict[str, Any]) -> tuple[str, str] | None:
        deal, kind = self._open_deal(), self.org.find("Opportunity")
        if deal is None or kind is None or not all(kind.field(name) for name in values):
            return None
        self.changes.update("Opportunity", deal, values)
        return "Opportunity", deal

    def _reopen(self) -> tuple[str, str] | None:
        stages = self._stages(closed=False)
        deal = self._pick("Opportunity", 'NOT "IsDeleted" AND "IsClosed"') if stages else None
        if deal is None:
            return None
        self.changes.update("Opportunity", deal, {"StageName": self.draws.choice(stages)})
        return "Opportunity", deal

    def _delete(self) -> tuple[str, str] | None:
        deal = self._pick("Opportunity", 'NOT "IsDeleted"')
        if deal is None:
            return None
        self.changes.delete("Opportunity", deal)
        return "Opportunity", deal

    def _undelete(self) -> tuple[str, str] | None:
        deal = self._pick("Opportunity", '"IsDeleted"')
        if deal is None:
            return None
        self.changes.undelete("Opportunity", deal)
        return "Opportunity", deal

    def _purge(self) -> tuple[str, str] | None:
        deal = self._pick("Opportunity", '"IsDeleted"')
        if deal is None:
            return None
        self.changes.purge("Opportunity", deal)
        return "Opportunity", deal

    def _merge(self) -> tuple[str, str] | None:
        kind = self.org.find("Account")
        if kind is None or kind.field("MasterRecordId") is None:
            return None
        winner, loser = (self._pick("Account", 'NOT "IsDeleted"') for _ in range(2))
        if winner is None or loser is None or winner == loser:
            return None
        self.changes.merge("Account", winner, loser)
        return "Account", loser

    def _convert_lead(self) -> tuple[str, str] | None:
        values = self._deal_values()
        lead = self._pick("Lead", 'NOT "IsDeleted" AND NOT "IsConverted"') if values else None
        if lead is None or values is None or self.org.find("Contact") is None or self.org.find("Account") is None:
            return None
        self.changes.convert_lead(lead, values)
        return "Lead", lead

    def _edit_quietly(self) -> tuple[str, str] | None:
        """A formula or roll-up changes: the value is new, no stamp moves."""
        deal = self._open_deal()
        kind = self.org.find("Opportunity")
        if deal is None or kind is None or kind.field("ExpectedRevenue") is None:
            return None
        self.org.upsert("Opportunity", [{"Id": deal, "ExpectedRevenue": float(self.draws.randint(1, 400) * 250)}])
        return "Opportunity", deal

    def _commit_late(self) -> tuple[str, str] | None:
        """A transaction that began minutes ago becomes visible: its stamps lie under a watermark taken since."""
        now = self.org.now
        self.org.set_now(now - _LATE)
        try:
            return self._create()
        finally:
            self.org.set_now(now)

    def _deactivate_owner(self) -> tuple[str, str] | None:
        kind = self.org.find("User")
        if kind is None or kind.field("IsActive") is None:
            return None
        user = self._pick("User", '"IsActive"')
        if user is None:
            return None
        self.changes.update("User", user, {"IsActive": False})
        return "User", user


def _field(name: str, type_: str, arguments: str) -> schema.Field:
    if type_ not in schema.STORAGE:
        raise ApiError(400, "INVALID_CHANGE", f"{type_!r} is no field type: {', '.join(schema.STORAGE)}")
    return schema.make_field(name, type_, arguments)
