from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_simulator import ids
from salesforce_simulator.errors import InputError
from salesforce_simulator.large import write_org
from salesforce_simulator.org import Org
from salesforce_simulator.rendering import json_sql, render
from salesforce_simulator.soql.to_sql import compile_query

NOW = datetime(2026, 7, 1, tzinfo=UTC)
DEALS = 600


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("large") / "org.duckdb"
    write_org(file, opportunities=DEALS, seed=3, now=NOW)
    return file


def _rows(file: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@given(st.integers(min_value=0, max_value=62**5 - 1))
def test_sql_numbers_ids_as_python_does(number: int) -> None:
    assert duckdb.execute(f"SELECT {ids.numbered_sql('00T', str(number))}").fetchone() == (ids.numbered("00T", number),)


def test_a_deal_has_its_share_of_history_and_activities(file: Path) -> None:
    counts = {
        n: _rows(file, f'SELECT count(*) FROM "{n}"')[0][0]
        for n in ("OpportunityHistory", "Task", "Event", "EmailMessage")
    }
    assert 5 < counts["OpportunityHistory"] / DEALS < 7.5
    assert 9 < (counts["Task"] + counts["Event"] + counts["EmailMessage"]) / DEALS < 11


def test_a_converted_lead_was_worked_before_its_deal_began(file: Path) -> None:
    converted = '''FROM "Lead" AS l JOIN "Opportunity" AS o ON o."Id" = l."ConvertedOpportunityId"'''
    assert _rows(file, f'SELECT count(*) FILTER (l."LastModifiedDate" >= o."CreatedDate") {converted}') == [(0,)]
    kinds = dict(_rows(file, 'SELECT "Status", count(*) FROM "Lead" GROUP BY 1'))
    assert sum(kinds.values()) == DEALS // 4
    assert len(kinds) == 4
    unlike = """SELECT count(*) FROM "Lead" AS l JOIN (SELECT "LeadId", arg_max("NewValue", "CreatedDate") AS status
        FROM "LeadHistory" GROUP BY 1) AS h ON h."LeadId" = l."Id" WHERE h.status <> l."Status\""""
    assert _rows(file, unlike) == [(0,)]


def test_the_record_is_what_its_newest_history_says(file: Path) -> None:
    differing = """
        SELECT count(*) FROM "Opportunity" AS o JOIN (
            SELECT "OpportunityId" AS id, arg_max(("StageName", "Amount", "CloseDate"), "Id") AS newest FROM "OpportunityHistory"
            GROUP BY 1) AS h ON h.id = o."Id"
        WHERE h.newest <> ROW(o."StageName", o."Amount", o."CloseDate")"""
    assert _rows(file, differing) == [(0,)]
    assert _rows(file, 'SELECT count(DISTINCT "OpportunityId") FROM "OpportunityHistory"') == [(DEALS,)]


def test_nothing_happens_after_now_and_ids_follow_time(file: Path) -> None:
    for name in ("OpportunityHistory", "Task", "Event", "EmailMessage", "Lead"):
        late = f"""SELECT count(*) FILTER ("SystemModstamp" > '2026-07-01'), count(*) FILTER (earlier > "CreatedDate")
            FROM (SELECT *, lag("CreatedDate") OVER (ORDER BY "Id") AS earlier FROM "{name}")"""
        assert _rows(file, late) == [(0, 0)], name


@pytest.mark.parametrize(
    ("child", "field", "parent"),
    [("OpportunityHistory", "OpportunityId", "Opportunity"), ("Opportunity", "AccountId", "Account"),
     ("Task", "WhoId", "Contact"), ("Task", "WhatId", "Opportunity"), ("EventRelation", "EventId", "Event"),
     ("EventRelation", "RelationId", "Contact"), ("Opportunity", "OwnerId", "User"), ("Contact", "AccountId", "Account"),
     ("LeadHistory", "LeadId", "Lead"), ("Lead", "ConvertedAccountId", "Account"), ("Lead", "ConvertedContactId", "Contact"),
     ("Lead", "ConvertedOpportunityId", "Opportunity")],
)  # fmt: skip
def test_every_reference_finds_its_record(file: Path, child: str, field: str, parent: str) -> None:
    lost = f'SELECT count(*) FROM "{child}" WHERE "{field}" NOT IN (SELECT "Id" FROM "{parent}")'
    assert _rows(file, lost) == [(0,)]


def test_the_same_seed_gives_the_same_rows(file: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again.duckdb", tmp_path / "other.duckdb"
    write_org(again, opportunities=DEALS, seed=3, now=NOW)
    write_org(other, opportunities=DEALS, seed=4, now=NOW)
    for name in ("Opportunity", "OpportunityHistory", "Task"):
        sql = f'SELECT count(*), bit_xor(hash(r::VARCHAR)) FROM "{name}" AS r'
        assert _rows(again, sql) == _rows(file, sql), name
        assert _rows(other, sql) != _rows(file, sql), name


def test_it_is_served_and_changed_as_any_org(tmp_path: Path) -> None:
    file = tmp_path / "org.duckdb"
    written = write_org(file, opportunities=50, seed=1, now=NOW)
    org = Org.open(file)
    try:
        assert org.now == NOW
        assert org.counts() == written
        compiled = compile_query(org, "SELECT Name, Account.Name FROM Opportunity WHERE Id = '006000000000001AAA'")
        with org.cursor() as cursor:
            rows = render(cursor, json_sql(compiled, "62.0"), compiled.parameters)
        assert b'"Name":"Deal 1"' in rows.read(0, 1)
        org.upsert("Opportunity", [{"Id": "006000000000001AAA", "Name": "Renamed"}])
        assert '"Name":"Renamed"' in org.truth("Opportunity")[0]
        assert org.stage_values(_rows_of(org)) is not None
    finally:
        org.close()


def _rows_of(org: Org) -> str:
    with org.cursor() as cursor:
        return cursor.execute('SELECT min("Id") FROM "RecordType"').fetchall()[0][0]


def test_a_file_that_is_there_is_not_overwritten(file: Path) -> None:
    with pytest.raises(InputError, match="there already"):
        write_org(file, opportunities=1, seed=1, now=NOW)


@pytest.mark.parametrize("content", [None, b"no database", b""])
def test_what_is_no_org_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "org.duckdb"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match="generate"):
        Org.open(file)
