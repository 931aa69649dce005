from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from dagster_project.warehouse.landing_views import LandedFiles, create_landing_views, view_name

CATALOGUE = {
    "Opportunity": {"Id": "id", "Amount": "currency", "CreatedDate": "datetime", "CloseDate": "date"},
    "User": {"Id": "id"},
}


@pytest.mark.parametrize(
    ("name", "view"),
    [("User", "user"), ("OpportunityHistory", "opportunity_history"), ("Region__c", "region__c"), ("OpportunityStagePicklist", "opportunity_stage_picklist")],
)  # fmt: skip
def test_views_are_named_in_snake_case(name: str, view: str) -> None:
    assert view_name(name) == view


def test_a_missing_object_or_field_is_a_typed_null_not_a_failure(tmp_path: Path) -> None:
    path = str(tmp_path / "a.parquet")
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'Asia/Tokyo'")
    relation = connection.sql(
        "SELECT 'x' AS \"Id\", TIMESTAMPTZ '2024-03-01 12:00:00+00' AS \"CreatedDate\", 1::BIGINT AS _batch_seq"
    )
    relation.write_parquet(path)
    create_landing_views(connection, CATALOGUE, {"Opportunity": LandedFiles([path], frozenset(relation.columns))})
    opportunity = connection.sql("SELECT * FROM landing.opportunity")
    assert [str(kind) for kind in opportunity.types][:4] == ["VARCHAR", "DECIMAL(18,2)", "TIMESTAMP", "DATE"]
    # the session's zone does not move an instant
    assert opportunity.fetchall() == [("x", None, datetime(2024, 3, 1, 12), None, 1, None, None)]  # noqa: DTZ001
    assert connection.sql('SELECT count(*) FROM landing."user"').fetchall() == [(0,)]


def test_files_of_different_columns_read_as_one(tmp_path: Path) -> None:
    connection = duckdb.connect()
    paths = [str(tmp_path / "o'ne.parquet"), str(tmp_path / "two.parquet")]
    connection.sql("SELECT 'a' AS \"Id\", 1::BIGINT AS _batch_seq").write_parquet(paths[0])
    connection.sql('SELECT \'b\' AS "Id", 2.5::DOUBLE AS "Amount", 2::BIGINT AS _batch_seq').write_parquet(paths[1])
    create_landing_views(
        connection, CATALOGUE, {"Opportunity": LandedFiles(paths, frozenset({"Id", "Amount", "_batch_seq"}))}
    )
    rows = connection.sql('SELECT "Id", "Amount"::VARCHAR FROM landing.opportunity ORDER BY 1').fetchall()
    assert rows == [("a", None), ("b", "2.50")]


@pytest.mark.parametrize("kind", ["DATE '2024-03-01'", "TIMESTAMPTZ '2024-03-01 22:00:00+00'"])
def test_a_mapped_field_stands_under_the_name_of_its_meaning(kind: str, tmp_path: Path) -> None:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'Asia/Tokyo'")
    path = str(tmp_path / "a.parquet")
    relation = connection.sql(f'SELECT \'x\' AS "Id", \'Price\' AS "Loss__c", {kind} AS "Seen__c"')
    relation.write_parquet(path)
    create_landing_views(
        connection,
        {"Opportunity": {"Id": "id", "mapped_loss": "text", "mapped_seen": "date", "mapped_skip": "text"}},
        {"Opportunity": LandedFiles([path], frozenset(relation.columns))},
        {"Opportunity": {"mapped_loss": "Loss__c", "mapped_seen": "Seen__c", "mapped_skip": "Gone__c"}},
    )
    rows = connection.sql("SELECT mapped_loss, mapped_seen, mapped_skip FROM landing.opportunity").fetchall()
    assert rows == [("Price", date(2024, 3, 1), None)]
