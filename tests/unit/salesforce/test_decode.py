from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from dagster_project.errors import IncompleteExtractError, SalesforceError
from dagster_project.salesforce import auth, decode, stage_picklist
from dagster_project.salesforce.bulk import Page
from dagster_project.salesforce.client import SalesforceClient
from dagster_project.salesforce.description import FieldDescription

STAMP = decode.Stamp(datetime(2026, 7, 1, tzinfo=UTC), 3)


def _fields(**types: str) -> dict[str, FieldDescription]:
    return {name: FieldDescription(name, kind) for name, kind in types.items()}


def _page(folder: Path, text: str, stated: int, name: str = "page-000000.csv") -> Page:
    (folder / name).write_text(text, encoding="utf-8")
    return Page(folder / name, stated)


def _decode(folder: Path, fields: dict[str, FieldDescription], *pages: Page, stamp: decode.Stamp | None = None) -> list:
    connection = decode.connect(folder)
    try:
        target = decode.Target(folder / "typed.parquet", stamp)
        found = decode.csv_pages(connection, "Thing__c", fields, pages, target)
        rows = duckdb.execute(f"SELECT * FROM '{found.path}' ORDER BY Id").fetchall()
        assert found.rows == len(rows)
        return rows
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("text", "value"), [("12", 12), ("12.0", 12), ("-3.000", -3), ("", None), ("9007199254740993", 9007199254740993)]
)
def test_a_whole_number_is_read_whole(tmp_path: Path, text: str, value: int | None) -> None:
    rows = _decode(tmp_path, _fields(Id="id", N="int"), _page(tmp_path, f'"Id","N"\n"a","{text}"\n', 1))
    assert rows == [("a", value)]


@pytest.mark.parametrize("text", ["12.7", "1.2.3", "many", "0.5"])
def test_a_fraction_in_a_whole_number_is_an_error_not_a_rounding(tmp_path: Path, text: str) -> None:
    page = _page(tmp_path, f'"Id","N"\n"a","1"\n"b","{text}"\n', 2)
    with pytest.raises(SalesforceError, match="N of record b is") as caught:
        _decode(tmp_path, _fields(Id="id", N="int"), page)
    assert text in caught.value.what


def test_what_text_holds_stays_as_it_is(tmp_path: Path) -> None:
    values = ["NA", "null", 'say ""hi""', "two\nlines", "a,b", "🙂", "x" * 131_072, " padded ", "=1+1", "O'Brien; --"]
    lines = "".join(f'"{n:03}","{value}"\n' for n, value in enumerate(values))
    rows = _decode(tmp_path, _fields(Id="id", T="textarea"), _page(tmp_path, '"Id","T"\n' + lines, len(values)))
    assert [row[1] for row in rows] == [value.replace('""', '"') for value in values]


def test_ancient_and_far_instants_and_offsets_are_read_to_utc(tmp_path: Path) -> None:
    stamps = ["1700-01-01T00:00:00.000Z", "2026-03-29T02:30:00.000+0100", "4000-12-31T23:59:59.000+0000", ""]
    lines = "".join(f'"{n}","{stamp}"\n' for n, stamp in enumerate(stamps))
    _decode(tmp_path, _fields(Id="id", Since="datetime"), _page(tmp_path, '"Id","Since"\n' + lines, 4))
    found = duckdb.execute(
        f"SELECT strftime(Since AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M') FROM '{tmp_path / 'typed.parquet'}' ORDER BY Id"
    ).fetchall()
    assert [row[0] for row in found] == ["1700-01-01 00:00", "2026-03-29 01:30", "4000-12-31 23:59", None]


def test_a_first_load_is_written_as_it_lands(tmp_path: Path) -> None:
    page = _page(tmp_path, '"Id","IsDeleted"\n"a","false"\n"b","true"\n', 2)
    rows = _decode(tmp_path, _fields(Id="id", IsDeleted="boolean"), page, stamp=STAMP)
    assert [row[:3] + row[4:] for row in rows] == [("a", False, "upsert", 3), ("b", True, "delete", 3)]
    assert {row[3].astimezone(UTC) for row in rows} == {STAMP.extracted_at}


def test_pages_that_hold_other_numbers_than_stated_are_told_by_page(tmp_path: Path) -> None:
    whole = _page(tmp_path, '"Id"\n"a"\n"b"\n', 2)
    short = _page(tmp_path, '"Id"\n"c"\n', 2, "page-000001.csv")
    with pytest.raises(IncompleteExtractError, match="a page holds 1 rows where the server stated 2"):
        _decode(tmp_path, _fields(Id="id"), whole, short)


def test_a_torn_row_and_other_columns_are_incomplete(tmp_path: Path) -> None:
    with pytest.raises(IncompleteExtractError):
        _decode(tmp_path, _fields(Id="id", N="int"), _page(tmp_path, '"Id","N"\n"a","1"\n"b"', 2))
    with pytest.raises(IncompleteExtractError, match="other columns"):
        _decode(tmp_path, _fields(Id="id", N="int"), _page(tmp_path, '"Id","M"\n"a","1"\n', 1))


# the last line break alone is no loss; half a row that ends at a comma is told by the number of bytes, not here
@pytest.mark.parametrize("cut", [2, 3, *range(5, 24)])
def test_a_page_that_breaks_off_anywhere_is_incomplete(tmp_path: Path, cut: int) -> None:
    """Whatever the reader of CSV makes of half a row, among whole pages and in a page of its own."""
    text = '"Id","Name","N"\n' + "".join(f'"{n:015}","a ""name""\nof two","{n}"\n' for n in range(9))
    whole = _page(tmp_path, text, 9)
    for number, start in enumerate((0, 3)):
        torn = _page(tmp_path, text[:-cut], 9 if number == 0 else 10, f"page-00000{number + 1}.csv")
        with pytest.raises(IncompleteExtractError):
            _decode(tmp_path, _fields(Id="id", Name="string", N="int"), *([whole] * bool(start)), torn)


def _client(status: int, code: str, monkeypatch: pytest.MonkeyPatch) -> SalesforceClient:
    client = SalesforceClient(auth.AccessToken("http://127.0.0.1:1", "token-0123456789"))
    body: Any = [{"errorCode": code, "message": "no"}]
    answer = SimpleNamespace(
        status_code=status, url="http://127.0.0.1:1/x", json=lambda: body, text=json.dumps(body), headers={}
    )
    monkeypatch.setattr(client, "request", lambda *a, **k: answer)
    return client


def test_an_object_that_is_closed_to_the_user_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _client(403, "INSUFFICIENT_ACCESS", monkeypatch).describe("Case") is None
    assert _client(404, "NOT_FOUND", monkeypatch).describe("Case") is None


@pytest.mark.parametrize("code", ["REQUEST_LIMIT_EXCEEDED", "API_DISABLED_FOR_ORG"])
def test_a_refusal_of_the_whole_org_is_no_word_on_one_object(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SalesforceError):
        _client(403, code, monkeypatch).describe("Case")
    client = _client(403, code, monkeypatch)
    with pytest.raises(SalesforceError):
        stage_picklist._values(client, stage_picklist.MASTER_RECORD_TYPE)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("2026-03-29T01:00:00.000Z", "2026-03-29 01:00:00+00"),
        ("2026-03-29T01:00:00.000+0000", "2026-03-29 01:00:00+00"),
        ("2026-10-25T02:30:00.12+0200", "2026-10-25 00:30:00.12+00"),
        ("2016-12-31T23:59:59.9Z", "2016-12-31 23:59:59.9+00"),
        ("1700-01-01T00:00:00.000Z", "1700-01-01 00:00:00+00"),
        ("4000-12-31T23:59:59.000Z", "4000-12-31 23:59:59+00"),
        ("0001-01-01T00:00:00.000Z", "0001-01-01 00:00:00+00"),
        ("", None),
    ],
)
def test_an_instant_is_the_same_instant_whatever_its_spelling(tmp_path: Path, text: str, seen: str | None) -> None:
    page = _page(tmp_path, f'"Id","At"\n"a","{text}"\n', 1)
    connection = decode.connect(tmp_path)
    decode.csv_pages(
        connection, "Thing__c", _fields(Id="id", At="datetime"), [page], decode.Target(tmp_path / "typed.parquet", None)
    )
    assert connection.execute(f"SELECT \"At\"::VARCHAR FROM '{tmp_path}/typed.parquet'").fetchone() == (seen,)
    connection.close()


@pytest.mark.parametrize(
    "text", ["2016-12-31T23:59:61Z", "2026-02-29T00:00:00Z", "24:00", "yesterday", "0000-00-00T00:00:00Z"]
)
def test_what_is_no_instant_is_an_error_that_names_the_record(tmp_path: Path, text: str) -> None:
    page = _page(tmp_path, f'"Id","At"\n"a","{text}"\n', 1)
    with pytest.raises(SalesforceError, match="At of record a is"):
        _decode(tmp_path, _fields(Id="id", At="datetime"), page)
