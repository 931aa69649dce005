"""A large company, generated in sets: for benchmarks and tests of scale. Rows are drawn, no causes are planted.

`write_org` fills a DuckDB file with one table per object, which `Org.open` serves as it lies. Every draw is a hash of the
seed, the deal's number and a purpose, so the same arguments give the same rows on any machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from salesforce_simulator import ids, schema
from salesforce_simulator.demo import company, leads
from salesforce_simulator.demo.flow import LOST, STAGES, WON
from salesforce_simulator.errors import InputError
from salesforce_simulator.field_values import read_sql
from salesforce_simulator.org import META, STAGE_PICKLIST, quoted

_DAYS = 3 * 365
_DAY = 86_400
_CONTACTS, _OWNERS = 2, 400
#: Rows of history that a deal would have if it ran to its end, at least and beyond that at most.
_LEAST_HISTORY, _MORE_HISTORY = 3, 8
_LARGE = ("Account", "Contact", "Opportunity", "OpportunityHistory", "OpportunityContactRole", "Task", "Event",
          "EventRelation", "EmailMessage", "Lead", "LeadHistory")  # fmt: skip
#: One deal in so many began as a lead, if the lead was converted.
_DEALS_PER_LEAD = 4


def write_org(file: Path, *, opportunities: int, seed: int, now: datetime, memory: str = "3GB") -> dict[str, int]:
    """Writes the org of this seed to `file`, which must not exist; returns the number of records per object.

    Per deal about 6 rows of history and 10 activities (tasks, events, messages) over three years before `now` (UTC); one lead
    for four deals, with the history of its status.
    Raises InputError where the file is there already or cannot be written.
    """
    if file.exists():
        raise InputError("is there already.", where=str(file), advice="Remove it, or name another file.")
    try:
        with duckdb.connect(str(file), config={"memory_limit": memory}) as connection:
            return _write(connection, opportunities, seed, now)
    except (duckdb.IOException, OSError) as error:
        file.unlink(missing_ok=True)
        raise InputError(f"cannot be written: {error}.", where=str(file), advice="Check folder and space.") from None


def _write(connection: duckdb.DuckDBPyConnection, opportunities: int, seed: int, now: datetime) -> dict[str, int]:
    at = int(now.timestamp())
    tables = company.build(np.random.default_rng(seed), datetime.fromtimestamp(at, UTC), 1)
    for name, rows in tables.items():
        if name not in _LARGE and name != "User":
            _store(connection, name, pa.Table.from_pylist(rows))
    begin = datetime.fromtimestamp(at - _DAYS * _DAY, UTC)
    _store(connection, "LeadStatus", leads.statuses(int(begin.timestamp())))
    queue = {"Id": leads.QUEUE, "Name": "Inbound leads", "DeveloperName": "Inbound_leads", "Type": "Queue",
             "CreatedDate": begin, "LastModifiedDate": begin, "SystemModstamp": begin}  # fmt: skip
    _store(connection, "Group", pa.Table.from_pylist([queue]))
    offered = [
        {"RecordTypeId": r, "StageName": value, "Label": label, "Position": n}
        for r, stages in company.picklists().items() for n, (value, label) in enumerate(stages, start=1)
    ]  # fmt: skip
    with _registered(connection, "offered", pa.Table.from_pylist(offered)):
        connection.execute(f"CREATE TABLE {quoted(STAGE_PICKLIST)} AS SELECT * FROM offered")
    connection.execute(
        f"CREATE MACRO u(purpose, i, k) AS (hash('{int(seed)}', purpose, i, k) >> 11)::DOUBLE / 9007199254740992.0"
    )
    connection.execute("CREATE MACRO instant(seconds) AS make_timestamp(CAST(seconds AS BIGINT) * 1000000)")
    stages = [(process, position, name) for process, names in STAGES.items() for position, name in enumerate(names)]
    facts = [
        {"name": name, "probability": f[0], "category_name": f[1], "category": f[2], "closed": f[3], "won": f[4]}
        for name, f in company.STAGE_FACTS.items()
    ]
    order = pa.Table.from_pylist([{"process": p, "position": n, "name": s} for p, n, s in stages])
    with _registered(connection, "stage_order", order), _registered(connection, "facts", pa.Table.from_pylist(facts)):
        for statement in _statements(opportunities, at):
            connection.execute(statement)
    connection.execute("DROP TABLE deal")
    connection.execute("DROP MACRO u; DROP MACRO instant")
    connection.execute(f"CREATE TABLE {META} AS SELECT ? AS facts", [json.dumps({"now": now.isoformat()})])
    found = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'").fetchall()
    names = sorted(row[0] for row in found if row[0] not in (META, STAGE_PICKLIST))
    return {n: connection.execute(f"SELECT count(*) FROM {quoted(n)}").fetchall()[0][0] for n in names}


@contextmanager
def _registered(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> Iterator[None]:
    connection.register(name, table)
    try:
        yield
    finally:
        connection.unregister(name)


def _store(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    """Keeps a small table as an org stores it, every value typed by the standard object."""
    kind = schema.standard_object(name)
    if kind is None:
        raise KeyError(name)
    with _registered(connection, "incoming", table):
        columns = ", ".join(
            f"{read_sql(f, quoted(f.name), table.schema.field(f.name).type)} AS {quoted(f.name)}"
            if f.name in table.column_names
            else f"{_absent(f)} AS {quoted(f.name)}"
            for f in kind.fields
            if f.name in table.column_names or f.name in schema.SYSTEM_FIELDS
        )
        connection.execute(f"CREATE TABLE {quoted(name)} AS SELECT {columns} FROM incoming")


def _absent(field: schema.Field) -> str:
    if field.type == "boolean":
        return "false"
    return f"CAST('{datetime(2023, 1, 1, tzinfo=UTC):%Y-%m-%d}' AS {field.storage})"


def _record(prefix: str, number: str) -> str:
    return ids.numbered_sql(prefix, number)


def _statements(n: int, now: int) -> Iterator[str]:
    """The statements that write the large tables, in order."""
    start = now - _DAYS * _DAY
    accounts = max(20, n // 6)
    system = 'instant({0}) AS "CreatedDate", instant({1}) AS "LastModifiedDate", instant({1}) AS "SystemModstamp"'
    owner = _record("005", f"(4 + floor(u('owner', i, 0) * {_OWNERS}))")
    yield f"""
        CREATE TABLE "User" AS SELECT {_record("005", "i")} AS "Id", 'user' || i || '@large.example' AS "Username",
          'Last ' || i AS "LastName", 'First' AS "FirstName", 'First Last ' || i AS "Name",
          'user' || i || '@large.example' AS "Email", u('active', i, 0) > 0.05 OR i < 4 AS "IsActive",
          'Standard' AS "UserType", {_record("00E", "CASE WHEN i = 1 THEN 1 ELSE 2 + i % 2 END")} AS "UserRoleId",
          CASE WHEN i > 1 THEN {_record("005", "CASE WHEN i < 4 THEN 1 ELSE 2 + i % 2 END")} END AS "ManagerId",
          {system.format(start - 90 * _DAY, start - 90 * _DAY)}
        FROM range(1, {_OWNERS + 4}) AS numbers(i)"""
    yield f"""
        CREATE TABLE "Account" AS SELECT {_record("001", "i")} AS "Id", false AS "IsDeleted",
          CAST(NULL AS VARCHAR) AS "MasterRecordId", 'Customer ' || i AS "Name",
          CASE WHEN i % 3 = 0 THEN 'Customer - Direct' ELSE 'Prospect' END AS "Type",
          ['Banking', 'Energy', 'Healthcare', 'Manufacturing', 'Retail', 'Technology', 'Transportation'][1 + i % 7]
            AS "Industry", CAST(NULL AS VARCHAR) AS "ParentId",
          CASE WHEN i % 3 = 0 THEN 'EUR' ELSE 'USD' END AS "CurrencyIsoCode", {owner} AS "OwnerId",
          {system.format(f"{start - 60 * _DAY} + i // 8", f"{start - 60 * _DAY} + i // 8")}
        FROM range(1, {accounts + 1}) AS numbers(i)"""
    yield f"""
        CREATE TABLE "Contact" AS SELECT {_record("003", "i")} AS "Id", false AS "IsDeleted",
          {_record("001", f"1 + (i - 1) // {_CONTACTS}")} AS "AccountId", 'Last ' || i AS "LastName",
          'First' AS "FirstName", 'First Last ' || i AS "Name", 'contact' || i || '@customer.example' AS "Email",
          'Head of Operations' AS "Title", {owner} AS "OwnerId",
          {system.format(f"{start - 60 * _DAY} + i // 16", f"{start - 60 * _DAY} + i // 16")}
        FROM range(1, {accounts * _CONTACTS + 1}) AS numbers(i)"""
    # one row per deal: its life is cut into rows of history, of which those before now have happened
    yield f"""
        CREATE TABLE deal AS
        WITH drawn AS (
          SELECT i, CASE WHEN u('process', i, 0) < 0.68 THEN 'New_Business' ELSE 'Expansion' END AS process,
            {start} + CAST(floor((i - 1 + u('created', i, 0)) * {(_DAYS * _DAY - 3600) / n!r}) AS BIGINT) AS created,
            CAST((15 + 135 * u('life', i, 0) * u('life', i, 1)) * {_DAY} AS BIGINT) AS life,
            {_LEAST_HISTORY} + CAST(floor(u('rows', i, 0) * {_MORE_HISTORY}) AS INTEGER) AS planned,
            u('end', i, 0) AS fate, round(exp(9.6 + 1.6 * (u('amount', i, 0) - 0.5)), 2) AS amount
          FROM range(1, {n + 1}) AS numbers(i))
        SELECT *, 1 + CAST(floor(u('account', i, 0) * {accounts}) AS BIGINT) AS account,
          CAST(floor(fate * 2.9) AS INTEGER) AS reach, fate > 0.74 AS wins
        FROM drawn ORDER BY i"""
    yield _history(now)
    yield f"""
        CREATE TABLE "Opportunity" AS
        WITH newest AS (
          SELECT i, last(h ORDER BY h.j) AS h FROM (SELECT i, happened AS h FROM happened) GROUP BY i)
        SELECT {_record("006", "d.i")} AS "Id", u('deleted', d.i, 0) < 0.003 AS "IsDeleted",
          {_record("001", "d.account")} AS "AccountId",
          CASE d.process WHEN 'Expansion' THEN '{company.RECORD_TYPES["Expansion"]}'
            ELSE '{company.RECORD_TYPES["New_Business"]}' END AS "RecordTypeId", 'Deal ' || d.i AS "Name",
          h.stage AS "StageName", CAST(h.amount AS DECIMAL(18, 2)) AS "Amount", f.probability AS "Probability",
          CAST(round(h.amount * f.probability / 100, 2) AS DECIMAL(18, 2)) AS "ExpectedRevenue", h.close_on AS "CloseDate",
          CASE WHEN d.process = 'Expansion' THEN 'Existing Customer - Upgrade' ELSE 'New Customer' END AS "Type",
          CASE WHEN u('step', d.i, 0) < 0.5 THEN 'Call the "economic buyer", then send the offer' END AS "NextStep",
          ['Web', 'Phone Inquiry', 'Partner Referral', 'Purchased List', 'Other'][1 + CAST(floor(u('source', d.i, 0) * 5)
            AS INTEGER)] AS "LeadSource", f.closed AS "IsClosed", f.won AS "IsWon", f.category AS "ForecastCategory",
          f.category_name AS "ForecastCategoryName", CASE WHEN d.account % 3 = 0 THEN 'EUR' ELSE 'USD' END
            AS "CurrencyIsoCode", {owner.replace("i, 0", "d.i, 0")} AS "OwnerId",
          CAST(instant(h.sec) AS DATE) AS "LastActivityDate", instant(h.sec) AS "LastStageChangeDate",
          year(h.close_on) AS "FiscalYear", quarter(h.close_on) AS "FiscalQuarter",
          {_record("005", "1")} AS "CreatedById", {_record("005", "1")} AS "LastModifiedById",
          {system.format("d.created", "h.sec")}
        FROM deal AS d JOIN newest USING (i) JOIN facts AS f ON f.name = h.stage
        ORDER BY d.i"""
    yield f"""
        CREATE TABLE "OpportunityHistory" AS
        SELECT {_record("008", "row_number() OVER (ORDER BY sec, i, j)")} AS "Id", false AS "IsDeleted",
          {_record("006", "i")} AS "OpportunityId", stage AS "StageName", CAST(amount AS DECIMAL(18, 2)) AS "Amount",
          CAST(round(amount * f.probability / 100, 2) AS DECIMAL(18, 2)) AS "ExpectedRevenue", close_on AS "CloseDate",
          f.probability AS "Probability", f.category AS "ForecastCategory",
          CASE WHEN account % 3 = 0 THEN 'EUR' ELSE 'USD' END AS "CurrencyIsoCode", {_record("005", "1")} AS "CreatedById",
          instant(sec) AS "CreatedDate", instant(sec) AS "SystemModstamp"
        FROM happened JOIN facts AS f ON f.name = stage
        ORDER BY sec, i, j"""
    yield "DROP TABLE happened"
    yield from _activities(now, accounts, system)
    yield from _leads(n // _DEALS_PER_LEAD, start, now, system)


def _history(now: int) -> str:
    return f"""
        CREATE TABLE happened AS
        WITH rows AS (
          SELECT d.*, j, created + life * j // (planned - 1)
              + CASE WHEN j BETWEEN 1 AND planned - 2 THEN CAST(floor(u('sec', i, j) * 0.5 * life / planned) AS BIGINT) ELSE 0 END
              AS sec
          FROM deal AS d, range(planned) AS steps(j))
        SELECT r.i, r.j, r.sec, r.account,
          CASE WHEN j = planned - 1 THEN CASE WHEN wins THEN '{WON}' ELSE '{LOST}' END ELSE s.name END AS stage,
          round(r.amount * (1 + 0.1 * floor(u('moved', i, j // 2) * 3)), 2) AS amount,
          CAST(instant(created + life) AS DATE) + CAST(7 * floor(u('pushed', i, j // 3) * 3) AS INTEGER) AS close_on
        FROM rows AS r
        -- a deal climbs to its reach and, now and then, steps back once on the way
        LEFT JOIN stage_order AS s ON s.process = r.process AND s.position = greatest(0, least(
          CASE WHEN r.process = 'Expansion' THEN 2 ELSE 4 END,
          j * (1 + reach) * 2 // planned - CASE WHEN u('back', i, j) < 0.05 THEN 1 ELSE 0 END))
        WHERE sec <= {now}"""


def _activities(now: int, accounts: int, system: str) -> Iterator[str]:
    """About 5 tasks, 4 messages and 1 meeting a deal, between its creation and its end or now."""
    until = f"least(created + life, {now})"
    touches = f"""
        SELECT d.i, k, account, created + CAST(floor(({until} - created) * (k + u('{{0}}', i, k)) / n) AS BIGINT) AS sec
        FROM (SELECT *, CAST(floor(u('{{0}} n', i, 0) * {{1}}) AS INTEGER) AS n FROM deal) AS d, range(n) AS touch(k)"""
    person = _record("003", f"1 + (account - 1) * {_CONTACTS} + k % {_CONTACTS}")
    owner = _record("005", f"(4 + floor(u('owner', i, 0) * {_OWNERS}))")
    common = f"""{person} AS "WhoId", {_record("006", "i")} AS "WhatId", {_record("001", "account")} AS "AccountId",
          {owner} AS "OwnerId", sec < {now - 365 * _DAY} AS "IsArchived", CAST(instant(sec) AS DATE) AS "ActivityDate" """
    yield f"""
        CREATE TABLE "Task" AS SELECT {_record("00T", "row_number() OVER (ORDER BY sec, i, k)")} AS "Id",
          u('task gone', i, k) < 0.002 AS "IsDeleted", {common},
          CASE WHEN k % 2 = 0 THEN 'Call' ELSE 'Send a note' END AS "Subject", 'Completed' AS "Status",
          'Normal' AS "Priority", true AS "IsClosed", CASE WHEN k % 2 = 0 THEN 'Call' ELSE 'Task' END AS "TaskSubtype",
          CASE WHEN k % 2 = 0 THEN CASE WHEN u('in', i, k) < 0.3 THEN 'Inbound' ELSE 'Outbound' END END AS "CallType",
          instant(sec) AS "CompletedDateTime", {system.format("sec", "sec")}
        FROM ({touches.format("task", 11)}) ORDER BY sec, i, k"""
    yield f"""
        CREATE TABLE "EmailMessage" AS SELECT {_record("02s", "row_number() OVER (ORDER BY sec, i, k)")} AS "Id",
          false AS "IsDeleted", CAST(NULL AS VARCHAR) AS "ParentId", CAST(NULL AS VARCHAR) AS "ActivityId",
          {_record("006", "i")} AS "RelatedToId", u('reply', i, k) < 0.35 AS "Incoming", '3' AS "Status",
          instant(sec) AS "MessageDate", false AS "IsBounced", 'thread-' || i AS "ThreadIdentifier",
          CAST(NULL AS VARCHAR) AS "ReplyToEmailMessageId", 'Your proposal, revised' AS "Subject",
          {owner} AS "CreatedById", {system.format("sec", "sec")}
        FROM ({touches.format("mail", 9)}) ORDER BY sec, i, k"""
    meetings = touches.format("event", 3)
    yield f"""
        CREATE TABLE "Event" AS SELECT {_record("00U", "row_number() OVER (ORDER BY sec, i, k)")} AS "Id",
          false AS "IsDeleted", {common}, 'Meeting' AS "Subject", 'Event' AS "EventSubtype", 'Meeting' AS "Type",
          false AS "IsAllDayEvent", instant(sec - 3600) AS "StartDateTime", instant(sec) AS "EndDateTime",
          {system.format("sec", "sec")}
        FROM ({meetings}) ORDER BY sec, i, k"""
    yield f"""
        CREATE TABLE "EventRelation" AS SELECT {_record("0RE", "row_number() OVER (ORDER BY sec, i, k)")} AS "Id",
          false AS "IsDeleted", {_record("00U", "row_number() OVER (ORDER BY sec, i, k)")} AS "EventId",
          {person} AS "RelationId", CASE WHEN u('answer', i, k) < 0.1 THEN 'Declined' ELSE 'Accepted' END AS "Status",
          false AS "IsWhat", {system.format("sec", "sec")}
        FROM ({meetings}) ORDER BY sec, i, k"""
    yield f"""
        CREATE TABLE "OpportunityContactRole" AS SELECT {_record("00K", "row_number() OVER (ORDER BY i, k)")} AS "Id",
          false AS "IsDeleted", {_record("006", "i")} AS "OpportunityId", {person} AS "ContactId",
          CASE WHEN k = 0 THEN 'Decision Maker' ELSE 'Evaluator' END AS "Role", k = 0 AS "IsPrimary",
          {system.format("created", "created")}
        FROM deal, range(CAST(floor(u('roles', i, 0) * 3) AS INTEGER)) AS roles(k) ORDER BY i, k"""


def _leads(count: int, start: int, now: int, system: str) -> Iterator[str]:
    """Two in five became the deal of their turn; of the others some are refused, some worked, some wait with the queue."""
    yield f"""
        CREATE TABLE prospect AS
        WITH drawn AS (
          SELECT i, u('lead', i, 0) AS fate, CAST(u('wait', i, 0) * {4 * _DAY} AS BIGINT) AS wait,
            CAST(u('work', i, 0) * {30 * _DAY} AS BIGINT) AS work
          FROM range(1, {count + 1}) AS numbers(i)),
        begun AS (
          SELECT drawn.*, d.i AS deal, d.account AS account, CASE WHEN d.i IS NOT NULL THEN d.created - wait - work - 60
            ELSE {start} + CAST(u('asked', drawn.i, 0) * {now - start - 3600} AS BIGINT) END AS sec
          FROM drawn LEFT JOIN deal AS d ON d.i = CASE WHEN drawn.fate < 0.4 THEN drawn.i * {_DEALS_PER_LEAD} END)
        SELECT *, row_number() OVER (ORDER BY sec, i) AS number, sec + wait AS worked, sec + wait + work AS ended,
          deal IS NOT NULL AS converts, fate < 0.95 AND sec + wait <= {now} AS is_worked,
          fate < 0.95 AND sec + wait + work <= {now} AS is_ended
        FROM begun"""
    opened, working, converted, refused = leads.OPEN, leads.WORKING, leads.CONVERTED, leads.REFUSED
    owner = _record("005", f"(4 + floor(u('lead owner', i, 0) * {_OWNERS}))")
    when = "CASE WHEN is_ended THEN ended WHEN is_worked THEN worked ELSE sec END"
    yield f"""
        CREATE TABLE "Lead" AS SELECT {_record("00Q", "number")} AS "Id", false AS "IsDeleted",
          CAST(NULL AS VARCHAR) AS "MasterRecordId", 'Last ' || number AS "LastName", 'First' AS "FirstName",
          'First Last ' || number AS "Name", 'Prospect ' || number AS "Company",
          'lead' || CASE WHEN u('double', i, 0) < 0.05 THEN number // 50 ELSE number END || '@prospect.example' AS "Email",
          ['Web', 'Phone Inquiry', 'Partner Referral', 'Purchased List', 'Other'][1 + CAST(floor(u('lead source', i, 0) * 5)
            AS INTEGER)] AS "LeadSource",
          CASE WHEN converts THEN '{converted}' WHEN is_ended THEN '{refused}' WHEN is_worked THEN '{working}'
            ELSE '{opened}' END AS "Status", 'USD' AS "CurrencyIsoCode",
          CASE WHEN is_worked THEN {owner} ELSE '{leads.QUEUE}' END AS "OwnerId", converts AS "IsConverted",
          CASE WHEN converts THEN CAST(instant(ended) AS DATE) END AS "ConvertedDate",
          CASE WHEN converts THEN {_record("001", "account")} END AS "ConvertedAccountId",
          CASE WHEN converts THEN {_record("003", f"1 + (account - 1) * {_CONTACTS}")} END AS "ConvertedContactId",
          CASE WHEN converts THEN {_record("006", "deal")} END AS "ConvertedOpportunityId",
          {_record("005", "1")} AS "CreatedById", {system.format("sec", when)}
        FROM prospect ORDER BY number"""
    yield f"""
        CREATE TABLE "LeadHistory" AS
        WITH moves AS (
          SELECT number, i, worked AS moved, '{opened}' AS old, '{working}' AS new FROM prospect WHERE is_worked
          UNION ALL
          SELECT number, i, ended, '{working}', CASE WHEN converts THEN '{converted}' ELSE '{refused}' END FROM prospect WHERE is_ended)
        SELECT {_record("017", "row_number() OVER (ORDER BY moved, number, new)")} AS "Id", false AS "IsDeleted",
          {_record("00Q", "number")} AS "LeadId", 'Status' AS "Field", 'DynamicEnum' AS "DataType", old AS "OldValue",
          new AS "NewValue", {owner} AS "CreatedById", instant(moved) AS "CreatedDate"
        FROM moves ORDER BY moved, number, new"""
    yield "DROP TABLE prospect"
