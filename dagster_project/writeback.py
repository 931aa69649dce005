"""The worklist back into Salesforce: what the org should hold, what it holds, and the difference written.

The plan is a set operation over the published mart and what was read back. Only fields that leanfunnel owns are sent, to its own
object (by external id) or to tasks that it made (by its own mark); nothing is deleted, and no opportunity is touched.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.contracts.conditions import literal
from dagster_project.contracts.worklist import LEFT_OUT, list_breaches
from dagster_project.errors import BudgetReachedError, SalesforceError
from dagster_project.home import Home
from dagster_project.salesforce import writing
from dagster_project.salesforce.auth import Credentials
from dagster_project.salesforce.budget import Bounds, Budget
from dagster_project.salesforce.client import SalesforceClient
from dagster_project.salesforce.rest import query_all

CREATE, UPDATE, REOPEN, CLOSE = "create", "update", "reopen", "close"
UNCHANGED, BY_HAND, KEPT, REFUSED, LATER = "unchanged", "closed by hand", "kept", "refused", "later"
WRITES = (CREATE, UPDATE, REOPEN, CLOSE)
"""What is sent. Not sent: `closed by hand` (a person closed it while the breach stands: left alone), `kept` (a rule of it was
not measured this time, so nobody knows whether it is resolved), `refused`, and `later` (beyond the limit)."""


@dataclass(frozen=True)
class Column:
    """A field that leanfunnel owns: `value` is SQL over the items; text is cut to `length` characters."""

    name: str
    kind: str
    value: str
    length: int | None = None


@dataclass(frozen=True)
class Target:
    """Where items go. `key` says which record an item is about; `closed_on` that leanfunnel closed it, not a person;
    `closed_flag` is the org's own field that says whether it is closed, where several statuses may.
    """

    object: str
    key: str
    rules: str
    accountable: str
    closed_on: str
    status: str
    status_open: str
    status_closed: str
    columns: tuple[Column, ...]
    on_create: dict[str, str] = field(default_factory=dict)
    by_external_id: bool = True
    needs_owner: bool = False
    permission_set: str = ""
    closed_flag: str | None = None

    @property
    def fields(self) -> list[str]:
        """Every field that is ever sent."""
        own = [self.key, *(column.name for column in self.columns), "OwnerId", self.status, self.closed_on]
        return [*own, *self.on_create]

    @property
    def is_closed(self) -> str:
        """SQL over a record `r` that was read back."""
        return (
            f"r.{self.closed_flag} = 'true'" if self.closed_flag else f"r.{self.status} = {literal(self.status_closed)}"
        )


_RULES, _WHO = "rules", "who"
_TASK_TEXT = """concat_ws(chr(10) || chr(10), what, 'Why: ' || why, 'Fix: ' || fix, record_url)"""

TARGETS = {
    "object": Target(
        "Leanfunnel_Item__c", "Item_Key__c", "Rules__c", "Accountable__c", "Closed_On__c", "Status__c", "Open", "Closed",
        (
            Column("Opportunity__c", "text", "CASE WHEN record_id LIKE '006%' THEN record_id END", 18),
            Column("Record_Name__c", "text", "record_name", 255),
            Column("Record_URL__c", "text", "record_url", 255),
            Column("Headline__c", "text", "headline", 255),
            Column("Rules__c", "text", _RULES, 255),
            Column("Rule_Count__c", "number", "rule_count"),
            Column("What__c", "text", "what", 8000),
            Column("Why__c", "text", "why", 8000),
            Column("Fix__c", "text", "fix", 8000),
            Column("Accountable__c", "text", _WHO, 255),
            Column("Amount_At_Risk__c", "number", "amount_at_risk"),
            Column("Close_Date__c", "date", "close_on"),
            Column("Standing_Since__c", "instant", "standing_since"),
        ),
        permission_set="Leanfunnel_Write_Items",
    ),
    "tasks": Target(
        "Task", "Leanfunnel_Key__c", "Leanfunnel_Rules__c", "Leanfunnel_Accountable__c", "Leanfunnel_Closed_On__c", "Status",
        "Not Started", "Completed",
        (
            # a task hangs on a deal or an account; an activity cannot hang on another one
            Column("WhatId", "text", "CASE WHEN left(record_id, 3) IN ('001', '006') THEN record_id END", 18),
            Column("Subject", "text", "concat_ws(': ', record_name, headline)", 255),
            Column("Description", "text", _TASK_TEXT, 32000),
            Column("Leanfunnel_Rules__c", "text", _RULES, 255),
            Column("Leanfunnel_Accountable__c", "text", _WHO, 255),
        ),
        {"Priority": "Normal"}, by_external_id=False, needs_owner=True, permission_set="Leanfunnel_Write_Tasks", closed_flag="IsClosed",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """What is done about one record. `body`: the fields that are sent, none where nothing is. `note` says why it is as it is."""

    action: str
    key: str
    record_name: str | None
    accountable: str | None
    body: dict[str, Any]
    note: str | None = None


@dataclass
class Outcome:
    """The plan, and after writing what became of it: `refused` by key. `without_record`: breaches of no single record."""

    target: Target
    entries: list[Entry]
    without_record: int
    refused: dict[str, str] = field(default_factory=dict)
    written: int = 0
    calls: int = 0

    def counts(self) -> dict[str, int]:
        """Entries by action."""
        found: dict[str, int] = {}
        for entry in self.entries:
            found[entry.action] = found.get(entry.action, 0) + 1
        return found

    @property
    def to_write(self) -> list[Entry]:
        """What is sent, most at risk first."""
        return [entry for entry in self.entries if entry.action in WRITES]

    @property
    def planned(self) -> int:
        """Records that the plan speaks of, less those beyond the limit: written + unchanged + refused."""
        return len(self.entries) - self.counts().get(LATER, 0)

    @property
    def unchanged(self) -> int:
        """Records that the org holds as they should be, or that are left alone."""
        return sum(self.counts().get(action, 0) for action in (UNCHANGED, BY_HAND, KEPT))


def plan(
    mart: duckdb.DuckDBPyConnection, state: Path, client: SalesforceClient, form: str, *, limit: int | None = None
) -> Outcome:
    """What the org lacks of the published worklist. Reads the org, writes nothing.

    Raises SalesforceError where this org is not the mart's, or lacks the fields that are to be written.
    """
    target = TARGETS[form]
    _check_org(mart, client)
    _check_fields(client, target)
    list_breaches(mart, state)
    for statement in _wanted(target):
        mart.execute(statement)
    _read_back(mart, client, target)
    rows = mart.execute(_plan(target, limit)).fetchall()
    without = mart.execute(f"SELECT count(*) FROM listed WHERE {_ACTED_ON} AND record_id IS NULL").fetchone()
    entries = [
        Entry(action, key, name, who, json.loads(body) if body else {}, note)
        for action, key, name, who, body, note in rows
    ]
    return Outcome(target, entries, int(without[0]) if without else 0, calls=_calls(client))


def apply(client: SalesforceClient, outcome: Outcome) -> None:
    """Writes what is planned, in sets of 200; what the org refuses is kept in `outcome` and stops nothing else.

    Raises SalesforceError where a call as a whole fails; a further run goes on from what the org then holds.
    """
    _check_budget(client, outcome)
    target = outcome.target
    for is_new, batch in _batches(outcome.to_write, apart=not target.by_external_id):
        bodies = [{"attributes": {"type": target.object}, **entry.body} for entry in batch]
        try:
            if target.by_external_id:
                answers = writing.upsert(client, target.object, target.key, bodies)
            else:
                answers = writing.create(client, bodies) if is_new else writing.update(client, bodies)
        except SalesforceError as error:
            done = f"{outcome.written} of {len(outcome.to_write)} records were written before"
            error.what = f"{error.what.rstrip('.')}; {done}."
            error.todo = (
                f"{error.todo or ''} Then run it again: what stands is read back first, nothing is written twice."
            )
            raise
        for entry, answer in zip(batch, answers, strict=True):
            if answer.refused:
                outcome.refused[entry.key] = answer.refused
            else:
                outcome.written += 1
    outcome.calls = _calls(client)


def write_back(
    home: Home,
    credentials: Credentials,
    api_version: str,
    form: str,
    *,
    bounds: Bounds,
    write: bool,
    limit: int | None = None,
) -> Outcome:
    """The plan for the publication of a home, written where `write` says so. Whoever writes holds the home's lock.

    Raises BudgetReachedError where `bounds` leave too few API requests.
    """
    from dagster_project import report

    with SalesforceClient(credentials, api_version=api_version) as client, report.open_mart(home.current) as mart:
        client.budget = Budget(bounds)
        outcome = plan(mart, home.state, client, form, limit=limit)
        if write:
            apply(client, outcome)
    return outcome


def shown(outcome: Outcome, *, in_full: bool) -> list[list[Any]]:
    """A row per record that is not unchanged: action, record, its name, who is to act, note, and what is sent (or the rules)."""
    return [
        [
            entry.action, entry.key, entry.record_name, entry.accountable, outcome.refused.get(entry.key) or entry.note,
json.dumps(entry.body) if in_full else entry.body.get(outcome.target.rules),
        ]
        for entry in outcome.entries
        if entry.action != UNCHANGED
    ]  # fmt: skip


def told(outcome: Outcome, *, wrote: bool) -> list[str]:
    """What was done, or is to be done, in a few lines whose numbers add up."""
    counts = outcome.counts()
    actions = ", ".join(f"{counts.get(action, 0)} {action}" for action in WRITES)
    refused = len(outcome.refused) + counts.get(REFUSED, 0)
    verb, number = ("written", outcome.written) if wrote else ("to write", len(outcome.to_write))
    lines = [
        f"{outcome.target.object}: {outcome.planned} records = {number} {verb} + {outcome.unchanged} unchanged + {refused} refused",
        f"planned    {actions}; {outcome.calls} API calls",
    ]
    if counts.get(LATER):
        lines.append(f"later      {counts[LATER]} records beyond --limit")
    if outcome.without_record:
        lines.append(f"left out   {outcome.without_record} breaches that are of no single record")
    if not wrote:
        lines.append("not written: the same command with --yes writes it")
    return lines


def _batches(entries: list[Entry], *, apart: bool) -> Iterator[tuple[bool, list[Entry]]]:
    """Sets of at most 200; `apart`: new ones by themselves."""
    news = [entry for entry in entries if entry.action == CREATE] if apart else []
    others = [entry for entry in entries if entry.action != CREATE] if apart else entries
    for is_new, group in ((True, news), (False, others)):
        for start in range(0, len(group), writing.MOST):
            yield is_new, group[start : start + writing.MOST]


# what the org must be and have


def _check_org(mart: duckdb.DuckDBPyConnection, client: SalesforceClient) -> None:
    row = mart.execute("SELECT org_id FROM dim_run").fetchone()
    published, found = str(row[0]) if row else "", client.organization().id
    if published[:15] != found[:15]:
        raise SalesforceError(
            f"the mart was made from the org {published}, and this login is of {found}.", where=client.instance_url,
            todo="Log in to the org that the mart comes from; nothing was written.",
        )  # fmt: skip


def _check_fields(client: SalesforceClient, target: Target) -> None:
    seen = client.describe(target.object)
    missing = [name for name in target.fields if seen is None or name not in seen.fields]
    if missing:
        what = f"lacks {', '.join(missing)}" if seen else "is not in this org"
        raise SalesforceError(
            f"the object {what}, or this user does not see it.", where=target.object,
            todo=f"Deploy salesforce/ (sf project deploy start) and give this user the permission set {target.permission_set}.",
        )  # fmt: skip


def _check_budget(client: SalesforceClient, outcome: Outcome) -> None:
    left = client.budget.calls_left if client.budget else None
    needed = sum(1 for _ in _batches(outcome.to_write, apart=not outcome.target.by_external_id))
    if left is not None and needed > left:
        raise BudgetReachedError(
            f"writing takes {needed} API requests, and {left} are left.", where=client.instance_url,
            todo="Run it later, write fewer by --limit, or raise api_calls_per_run or api_share_of_day.",
        )  # fmt: skip


def _calls(client: SalesforceClient) -> int:
    return client.budget.calls if client.budget else 0


# what it should hold

_ACTED_ON = f"mode = 'enforce' AND state NOT IN ({', '.join(literal(state) for state in LEFT_OUT)})"


def _text(value: str, length: int | None) -> str:
    """Text as the org keeps it: without carriage returns and outer blanks, empty is null."""
    clean = f"trim(replace(CAST({value} AS VARCHAR), chr(13), ''), ' ' || chr(9) || chr(10))"
    cut = f"trim(left({clean}, {length}), ' ' || chr(9) || chr(10))" if length else clean
    return f"nullif({cut}, '')"


def _canonical(column: Column, value: str) -> str:
    """`value` of a column in the one form in which wanted and held are compared."""
    return {
        "text": _text(value, column.length),
        "number": f"round(CAST({value} AS DOUBLE), 2)",
        "date": f"CAST(CAST({value} AS DATE) AS VARCHAR)",
        # to the second, as Salesforce keeps it
        "instant": f"replace(left(CAST({value} AS VARCHAR), 19), ' ', 'T') || '.000+0000'",
    }[column.kind]


def _wanted(target: Target) -> list[str]:
    columns = ", ".join(f"{_canonical(column, column.value)} AS {column.name}" for column in target.columns)
    return [
        """
        CREATE OR REPLACE TEMP TABLE acting_user AS
        -- who acts for a user: the user, else the nearest manager who can log in
        WITH RECURSIVE chain AS (
            SELECT owner_id, owner_id AS acts, is_active IS NOT FALSE AS can_act, 0 AS steps FROM dim_owner
            UNION ALL
            SELECT c.owner_id, m.owner_id, m.is_active IS NOT FALSE, c.steps + 1
            FROM chain AS c INNER JOIN dim_owner AS o ON o.owner_id = c.acts INNER JOIN dim_owner AS m ON m.owner_id = o.manager_id
            WHERE NOT c.can_act AND c.steps < 10
        )
        SELECT owner_id, arg_min(acts, steps) FILTER (can_act) AS acts FROM chain GROUP BY owner_id""",
        f"""
        CREATE OR REPLACE TEMP TABLE item AS
        SELECT
            record_id, any_value(record_name) AS record_name, any_value(record_url) AS record_url, max(priority) AS priority,
            any_value(amount_at_risk) AS amount_at_risk, any_value(close_on) AS close_on, min(first_seen_at) AS standing_since,
            count(*) AS rule_count, string_agg(rule, '; ' ORDER BY rule_number, rule) AS rules,
            string_agg(rule || ' ' || title, '; ' ORDER BY rule_number, rule) AS headline,
            string_agg(
                rule || ' ' || title || coalesce(': ' || observed, '') || coalesce(' (agreed: ' || threshold || ')', ''), chr(10)
                ORDER BY rule_number, rule
            ) AS what,
            string_agg(rule_why, chr(10) ORDER BY rule_number, rule) AS why, string_agg(fix, chr(10) ORDER BY rule_number, rule) AS fix,
            -- the person of the first rule: integrity before duty
            arg_min(who, (rule_number, rule)) AS who
        FROM listed WHERE {_ACTED_ON} AND record_id IS NOT NULL GROUP BY record_id""",
        f"""
        CREATE OR REPLACE TEMP TABLE wanted AS
        WITH record_owner AS (
            SELECT record_id, any_value(owner_id) AS owner_id, any_value(owner_name) AS owner_name
            FROM rpt_definition_breaches WHERE record_id IS NOT NULL GROUP BY record_id
        ),
        named AS (
            SELECT owner_name, count(*) AS users, count(*) FILTER (is_active IS NOT FALSE) AS active,
                min(owner_id) AS any_id, min(owner_id) FILTER (is_active IS NOT FALSE) AS active_id
            FROM dim_owner GROUP BY owner_name
        ),
        found AS (
            SELECT i.*, n.users, n.active,
                CASE WHEN r.owner_name = i.who THEN r.owner_id WHEN n.active = 1 THEN n.active_id
                    WHEN n.active = 0 AND n.users = 1 THEN n.any_id END AS user_id
            FROM item AS i LEFT JOIN record_owner AS r USING (record_id) LEFT JOIN named AS n ON n.owner_name = i.who
        )
        SELECT record_id AS item_key, record_name AS item_name, who AS item_who, priority, acts AS item_owner,
            CASE WHEN acts IS NOT NULL THEN NULL
                WHEN users IS NULL THEN 'no user of the org is called ' || coalesce(who, 'nothing')
                WHEN user_id IS NULL THEN users || ' users of the org are called ' || who
                ELSE who || ' is inactive, and no manager above is active' END AS problem,
            {columns}
        FROM found LEFT JOIN acting_user ON acting_user.owner_id = found.user_id""",
    ]


# what it holds


def _read_back(mart: duckdb.DuckDBPyConnection, client: SalesforceClient, target: Target) -> None:
    """Temp table `held`: one row per key, the oldest where someone copied one."""
    names = [
        "Id",
        "CreatedDate",
        target.key,
        target.status,
        target.closed_on,
        *(column.name for column in target.columns),
    ]
    names += [target.closed_flag] if target.closed_flag else []
    marked = f"{target.key} != null AND IsDeleted = false"
    kinds = {column.name: "DOUBLE" if column.kind == "number" else "VARCHAR" for column in target.columns}
    struct = ", ".join(f'"{name}" {kinds.get(name, "VARCHAR")}' for name in names)
    columns = ", ".join(f"{_canonical(column, f'r.{column.name}')} AS {column.name}" for column in target.columns)
    with tempfile.TemporaryDirectory(prefix="leanfunnel-") as folder:
        soql = f"SELECT {', '.join(names)} FROM {target.object} WHERE {marked}"
        pages, _ = query_all(client, soql, Path(folder), name=target.object)
        files = ", ".join(literal(str(page)) for page in pages)
        mart.execute(f"""
            CREATE OR REPLACE TEMP TABLE held AS
            SELECT r."Id" AS held_id, r.{target.key} AS held_key, {target.is_closed} AS is_closed,
                r.{target.closed_on} AS held_closed_on, {columns}
            FROM (
                SELECT unnest(records) AS r FROM read_json(
                    [{files}], format = 'unstructured', maximum_object_size = 268435456, columns = {{records: 'STRUCT({struct})[]'}}
                )
            )
            QUALIFY row_number() OVER (PARTITION BY held_key ORDER BY r."CreatedDate", held_id) = 1""")


# the difference


def _plan(target: Target, limit: int | None) -> str:
    """SQL: action, key, record name, accountable, body as JSON text, note; most at risk first."""
    differs = " OR ".join(f"w.{c.name} IS DISTINCT FROM h.{c.name}" for c in target.columns)
    handed = f"(h.held_key IS NULL OR h.held_closed_on IS NOT NULL OR w.{target.accountable} IS DISTINCT FROM h.{target.accountable})"
    ownerless = f"{str(target.needs_owner).upper()} AND w.problem IS NOT NULL AND {handed}"

    def sent(name: str, value: str) -> str:
        return f"""'"{name}":' || coalesce(CAST(to_json({value}) AS VARCHAR), 'null')"""

    # concat_ws leaves out what is NULL: fields that are not sent
    content = ", ".join(sent(c.name, f'w."{c.name}"') for c in target.columns)
    owner = f"CASE WHEN {handed} AND w.item_owner IS NOT NULL THEN {sent('OwnerId', 'w.item_owner')} END"
    opened = f"{sent(target.status, literal(target.status_open))}, {sent(target.closed_on, 'NULL')}"
    is_new = ", ".join(sent(name, literal(value)) for name, value in target.on_create.items())
    closed = f"{sent(target.status, literal(target.status_closed))}, {sent(target.closed_on, 'run.as_of_on')}"
    key = sent(target.key, "coalesce(w.item_key, h.held_key)")
    which = key if target.by_external_id else sent("id", "h.held_id")
    return f"""
        WITH joined AS (
            SELECT
                CASE
                    WHEN w.item_key IS NULL AND h.held_closed_on IS NOT NULL THEN NULL
                    WHEN w.item_key IS NULL AND EXISTS (
                        FROM dim_definition AS d
                        WHERE list_contains(string_split(h.{target.rules}, '; '), d.definition_id) AND d.state IS DISTINCT FROM 'measured'
                    ) THEN '{KEPT}'
                    WHEN w.item_key IS NULL AND EXISTS (
                        FROM rpt_definition_breaches AS b WHERE b.record_id = h.held_key AND b.status = 'unknown'
                        AND list_contains(string_split(h.{target.rules}, '; '), b.definition_id)
                    ) THEN '{KEPT}'
                    WHEN w.item_key IS NULL THEN '{CLOSE}'
                    WHEN h.is_closed AND h.held_closed_on IS NULL THEN '{BY_HAND}'
                    WHEN {ownerless} THEN '{REFUSED}'
                    WHEN h.held_key IS NULL THEN '{CREATE}'
                    WHEN h.held_closed_on IS NOT NULL THEN '{REOPEN}'
                    WHEN {differs} THEN '{UPDATE}'
                    ELSE '{UNCHANGED}'
                END AS action,
                coalesce(w.item_key, h.held_key) AS item_key, w.item_name, coalesce(w.item_who, h.{target.accountable}) AS who,
                w.priority, w.problem,
                concat_ws(',', {key}, {content}, {owner}, {opened}{f", {is_new}" if is_new else ""}) AS on_create,
                concat_ws(',', {which}, {content}, {owner}, {opened}) AS on_reopen,
                concat_ws(',', {which}, {content}, {owner}) AS on_update,
                concat_ws(',', {which}, {closed}) AS on_close
            FROM wanted AS w FULL JOIN held AS h ON h.held_key = w.item_key CROSS JOIN dim_run AS run
        ),
        ranked AS (
            SELECT *, action IN ({", ".join(literal(a) for a in WRITES)}) AS writes,
                row_number() OVER (PARTITION BY writes ORDER BY priority DESC NULLS LAST, item_key) AS place
            FROM joined WHERE action IS NOT NULL
        )
        SELECT
            CASE WHEN writes AND place > {limit if limit is not None else "place"} THEN '{LATER}' ELSE action END AS done,
            item_key, item_name, who,
            '{{' || CASE done WHEN '{CREATE}' THEN on_create WHEN '{REOPEN}' THEN on_reopen WHEN '{UPDATE}' THEN on_update
                WHEN '{CLOSE}' THEN on_close END || '}}',
            CASE WHEN done IN ('{REFUSED}', '{CREATE}', '{REOPEN}', '{UPDATE}') THEN problem
                WHEN done = '{BY_HAND}' THEN 'a person closed it while the breach stands'
                WHEN done = '{KEPT}' THEN 'a rule of it was not measured: nobody knows whether it is resolved' END
        FROM ranked ORDER BY NOT writes, priority DESC NULLS LAST, item_key"""
