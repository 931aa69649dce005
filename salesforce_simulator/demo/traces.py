"""What the service keeps beside records: tracked changes of deals, and the people of tasks and mails.

OpportunityFieldHistory, TaskRelation, EmailMessageRelation; derived from the records, nothing is drawn.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from salesforce_simulator.demo.columns import DAY, Company, record_ids, texts

TRACKED_DAYS = 540
"""Field history reaches back eighteen months."""
RELATED_DAYS = 180
"""Shared activities and enhanced mail were switched on half a year ago: older activities have no relations."""

_FIELD_HISTORY = """
    WITH moves AS (
        SELECT OpportunityId, IsDeleted, CreatedById, CreatedDate, StageName AS new_stage, CloseDate AS new_close, Id,
            lag(StageName) OVER w AS old_stage, lag(CloseDate) OVER w AS old_close
        FROM history
        WINDOW w AS (PARTITION BY OpportunityId ORDER BY CreatedDate, SystemModstamp, Id)
    )
    SELECT IsDeleted, OpportunityId, 'StageName' AS "Field", 'DynamicEnum' AS "DataType", old_stage AS "OldValue",
        new_stage AS "NewValue", CreatedById, CreatedDate, Id AS moved
    FROM moves WHERE old_stage <> new_stage AND CreatedDate >= to_timestamp($since)
    UNION ALL
    SELECT IsDeleted, OpportunityId, 'CloseDate', 'DateOnly', old_close::VARCHAR, new_close::VARCHAR, CreatedById,
        CreatedDate, Id
    FROM moves WHERE old_close <> new_close AND CreatedDate >= to_timestamp($since)
    ORDER BY CreatedDate, moved, "Field"
"""
_TASK_RELATION = """
    SELECT IsDeleted, Id AS "TaskId", WhoId AS "RelationId", false AS "IsWhat", AccountId, CreatedDate,
        LastModifiedDate, SystemModstamp
    FROM task WHERE WhoId IS NOT NULL AND CreatedDate >= to_timestamp($since) ORDER BY Id
"""
_MAIL_RELATION = """
    WITH ends AS (
        SELECT *, FromAddress AS address, 'FromAddress' AS kind, 1 AS place FROM mail
        UNION ALL
        SELECT *, ToAddress, 'ToAddress', 2 FROM mail
    ),
    known AS (
        SELECT lower(Email) AS address, min(Id) AS id, 'Contact' AS kind FROM contact GROUP BY 1
        UNION ALL
        SELECT lower(Email), min(Id), 'User' FROM people GROUP BY 1
    )
    SELECT e.IsDeleted, e.Id AS "EmailMessageId", k.id AS "RelationId", e.kind AS "RelationType",
        e.address AS "RelationAddress", k.kind AS "RelationObjectType", e.CreatedDate, e.LastModifiedDate, e.SystemModstamp
    FROM ends e LEFT JOIN known k ON k.address = lower(e.address)
    WHERE e.CreatedDate >= to_timestamp($since)
    ORDER BY e.Id, e.place
"""


def build(company: Company) -> dict[str, pa.Table]:
    """Without activities in the company there are none of theirs either."""
    tables = company.tables
    made = {}
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("history", tables["OpportunityHistory"])
        since = {"since": company.now - TRACKED_DAYS * DAY}
        found = connection.execute(_FIELD_HISTORY, since).to_arrow_table().drop_columns(["moved"])
        since = {"since": company.now - RELATED_DAYS * DAY}
        made["OpportunityFieldHistory"] = _numbered("017", found)
        if "Task" in tables:
            connection.register("task", tables["Task"])
            made["TaskRelation"] = _numbered("0RT", connection.execute(_TASK_RELATION, since).to_arrow_table())
        if "EmailMessage" in tables:
            for name, table in (("mail", "EmailMessage"), ("contact", "Contact"), ("people", "User")):
                connection.register(name, tables[table])
            made["EmailMessageRelation"] = _numbered("0hM", connection.execute(_MAIL_RELATION, since).to_arrow_table())
    return made


def _numbered(prefix: str, table: pa.Table) -> pa.Table:
    return table.add_column(0, "Id", texts(record_ids(prefix, table.num_rows)))
