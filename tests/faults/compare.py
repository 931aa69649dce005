"""The landing's newest versions against the org's records: row for row, column for column."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from dagster_project.landing import LandingLog
from dagster_project.salesforce.objects import OBJECTS, STAGE_PICKLIST
from dagster_project.salesforce.stage_picklist import MASTER_RECORD_TYPE
from salesforce_simulator.org import Org


def truth(org: Org, name: str) -> pa.Table:
    """Every record of an object as the org stores it, with the catalogue's fields that it shows."""
    if name == STAGE_PICKLIST:
        with org.cursor() as cursor:
            found = cursor.execute('SELECT "Id" FROM "RecordType" WHERE "SobjectType" = \'Opportunity\'').fetchall()
        rows = [
            {"RecordTypeId": kind, "StageName": value, "Label": label, "Position": position}
            for kind in sorted({MASTER_RECORD_TYPE, *(row[0] for row in found)})
            for position, (value, label) in enumerate(org.stage_values(kind) or [], start=1)
        ]
        return pa.Table.from_pylist(rows)
    kind = org.required_object(name)
    fields = ", ".join(f'"{f.name}"' for f in OBJECTS[name].fields if kind.field(f.name))
    with org.cursor() as cursor:
        return cursor.execute(f'SELECT {fields} FROM "{kind.name}"').to_arrow_table()


def compare(org: Org, landing: Path, names: tuple[str, ...]) -> Counter[str]:
    """How many records are `lost` (not landed, or taken for deleted), `doubled` (one version twice, or still there though
    gone) and `stale` (a value differs)."""
    log, wrong = LandingLog(landing), Counter({"lost": 0, "doubled": 0, "stale": 0})
    with duckdb.connect(config={"threads": 1}) as db:
        db.execute("SET TimeZone = 'UTC'")
        for name in names:
            db.register("truth", truth(org, name))
            state = log.state(name)
            if not state.files:
                wrong["lost"] += _one(db, "SELECT count(*) FROM truth")
                continue
            wrong += _compared(db, name, state.files, state.columns)
            db.unregister("truth")
    return wrong


def _compared(db: duckdb.DuckDBPyConnection, name: str, files: list[str], columns: tuple[str, ...]) -> Counter[str]:
    key = ", ".join(f'"{column}"' for column in OBJECTS[name].key)
    shown = {row[0]: row[1] for row in db.execute("DESCRIBE truth").fetchall()}
    landed = [column for column in columns if not column.startswith("_")]
    db.execute("CREATE OR REPLACE TEMP TABLE landed AS SELECT * FROM read_parquet(?, union_by_name = true)", [files])
    db.execute(
        f"CREATE OR REPLACE TEMP TABLE newest AS SELECT * FROM landed "
        f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY _batch_seq DESC) = 1"
    )
    gone = 't."IsDeleted"' if "IsDeleted" in shown else "false"
    same = " AND ".join(
        f't."{c}" IS NOT DISTINCT FROM CAST(n."{c}" AS {kind})' if c in landed else "false" for c, kind in shown.items()
    )
    whole = ", ".join(f'"{column}"' for column in [*landed, "_operation"])
    on = " AND ".join(f't."{column}" = n."{column}"' for column in OBJECTS[name].key)
    again = (
        f"SELECT count(*) FROM (SELECT ({whole}) AS v, lag(v) OVER (PARTITION BY {key} ORDER BY _batch_seq) AS before "
        "FROM landed) WHERE v = before"
    )
    return Counter(
        lost=_one(db, f"SELECT count(*) FROM truth t LEFT JOIN newest n ON {on} "
                      f"WHERE n._operation IS NULL OR (n._operation = 'delete' AND NOT {gone})"),
        doubled=_one(db, f"SELECT count(*) - count(DISTINCT ({key}, _batch_seq)) FROM landed") + _one(db, again)
        + _one(db, f"SELECT count(*) FROM newest n ANTI JOIN truth t ON {on} WHERE n._operation <> 'delete'"),
        stale=_one(db, f"SELECT count(*) FROM truth t JOIN newest n ON {on} WHERE NOT (n._operation = 'delete' AND NOT {gone}) "
                       f"AND NOT ({same} AND n._operation = CASE WHEN {gone} THEN 'delete' ELSE 'upsert' END)"),
    )  # fmt: skip


def _one(db: duckdb.DuckDBPyConnection, sql: str) -> int:
    row: Any = db.execute(sql).fetchone()
    return int(row[0])


_STAGING = {
    "opportunity": ("Opportunity", {"opportunity_id": "Id", "stage_name": "StageName", "opportunity_name": "Name",
                                    "close_on": "CloseDate", "owner_id": "OwnerId", "is_deleted": "IsDeleted",
                                    "last_modified_at": "LastModifiedDate", "system_modstamp_at": "SystemModstamp"}),
    "account": ("Account", {"account_id": "Id", "account_name": "Name", "master_account_id": "MasterRecordId",
                            "is_deleted": "IsDeleted", "system_modstamp_at": "SystemModstamp"}),
    "user": ("User", {"user_id": "Id", "user_name": "Name", "is_active": "IsActive", "system_modstamp_at": "SystemModstamp"}),
}  # fmt: skip


def compare_staging(org: Org, warehouse: Path) -> Counter[str]:
    """The same of the staged opportunities, accounts and users, by the columns that staging takes over as they are: those in
    the recycle bin with what their deletion tells; what the org no longer has may be staged as deleted only."""
    wrong: Counter[str] = Counter()
    with duckdb.connect(str(warehouse), read_only=True) as db:
        db.execute("SET TimeZone = 'UTC'")
        for model, (name, columns) in _STAGING.items():
            db.register("truth", truth(org, name))
            row = db.execute("SELECT table_schema FROM information_schema.tables WHERE table_name = ?",
                             [f"stg_salesforce__{model}"]).fetchone()  # fmt: skip
            if row is None:
                raise AssertionError(f"no model stg_salesforce__{model}")
            key = next(iter(columns))
            staged = f'"{row[0]}".stg_salesforce__{model}'
            on, same = (
                f's.{key} = t."Id"',
                " AND ".join(f's.{s} IS NOT DISTINCT FROM t."{t}"' for s, t in columns.items()),
            )
            wrong += Counter(
                lost=_one(db, f"SELECT count(*) FROM truth t ANTI JOIN {staged} s ON {on}"),
                doubled=_one(db, f"SELECT count(*) - count(DISTINCT {key}) FROM {staged}")
                + _one(db, f"SELECT count(*) FROM {staged} s ANTI JOIN truth t ON {on} WHERE NOT s.is_deleted"),
                stale=_one(db, f"SELECT count(*) FROM truth t JOIN {staged} s ON {on} WHERE NOT ({same})"),
            )
            db.unregister("truth")
    return wrong
