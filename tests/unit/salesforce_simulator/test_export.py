from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from salesforce_simulator.cli import main
from salesforce_simulator.errors import InputError
from salesforce_simulator.export import read_export

_GOOD = "Id,Name,Amount,CloseDate,CreatedDate,IsWon\n"
_STAMP = "2024-01-01T00:00:00.000Z"


def _folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path


def test_an_export_becomes_an_org_whose_clock_follows_its_newest_record(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path,
        Opportunity=f'\ufeff{_GOOD}006000000000001,"a ""b"", c\nd",10.5,2024-02-01,{_STAMP},1\n006000000000002,,,,,\n',
        OpportunityStage="MasterLabel,CreatedDate\nOpen,2024-03-05T10:00:00.000+0000\n",
    )
    org = read_export(folder)
    assert org.now == datetime(2024, 3, 5, 10, 0, 1, tzinfo=UTC)
    with org.cursor() as cursor:
        rows = cursor.execute('SELECT "Id", "Name", "Amount", "IsWon" FROM "Opportunity" ORDER BY 1').fetchall()
    assert [(r[0], r[1], r[2] and float(r[2]), r[3]) for r in rows] == [
        ("006000000000001AAA", 'a "b", c\nd', 10.5, True),
        ("006000000000002AAA", None, None, None),
    ]
    assert org.counts() == {"Opportunity": 2, "OpportunityStage": 1, "Organization": 1}
    assert any(line.startswith("Organization: made up") for line in org.reports)
    assert read_export(folder, now=datetime(2025, 1, 1, tzinfo=UTC)).now.year == 2025


def test_field_names_become_canonical_and_unknown_fields_text(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path,
        account="id,NAME,Score__c,createddate\n001000000000001,a,007," + _STAMP + "\n",
        Widget__c="Id,Size__c,CreatedDate\na00000000000001,3.5," + _STAMP + "\n",
        schema='Object,Field,Type,Arguments\nWidget__c,Size__c,double,"18,1"\n',
    )
    org = read_export(folder)
    account, widget = org.find("Account"), org.find("Widget__c")
    assert account is not None
    assert widget is not None
    assert [f.name for f in account.fields[:2]] == ["Id", "IsDeleted"]
    assert [(f.name, f.type) for f in account.fields if f.custom] == [("Score__c", "string")]
    assert widget.key_prefix == "a00"
    size = widget.field("Size__c")
    assert size is not None
    assert (size.type, size.precision, size.scale) == ("double", 18, 1)
    assert any("Account.Score__c: not a standard field" in r for r in org.reports)


@pytest.mark.parametrize(
    ("rows", "line", "column", "what"),
    [
        (f"006000000000001,a,1,2024-13-01,{_STAMP},1\n", 2, "4 (CloseDate)", "'2024-13-01' is no date"),
        (f"006000000000001,a,1,01.02.2024,{_STAMP},1\n", 2, "4 (CloseDate)", "'01.02.2024' is no date"),
        (
            f'006000000000001,"a\nb",1,,{_STAMP},1\n006000000000002,b,much,,,\n',
            4,
            "3 (Amount)",
            "'much' is no currency",
        ),
        ("006000000000001,a,1,,yesterday,1\n", 2, "5 (CreatedDate)", "'yesterday' is no datetime"),
        (f"006000000000001,a,1,,{_STAMP},perhaps\n", 2, "6 (IsWon)", "'perhaps' is no boolean"),
        (f"x,a,1,,{_STAMP},1\n", 2, "1 (Id)", "'x' is no id"),
        (
            f'006000000000001,"\n",,,,\n006000000000002,b,,,{_STAMP},\n006000000000001AAA,,,,,\n',
            5,
            "1 (Id)",
            "second time",
        ),
    ],
)
def test_a_bad_value_is_named_with_file_line_and_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: str, line: int, column: str, what: str
) -> None:
    folder = _folder(tmp_path, Opportunity=_GOOD + rows)
    assert main(["serve", "--export", str(folder)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(f"{folder / 'Opportunity.csv'}, line {line}, column {column}: ")
    assert what in captured.err


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("Opportunity", "", "line 1: is empty"),
        ("Opportunity", "Id,Name,name\n", "column 3: the field name stands there twice"),
        ("Opportunity", "Id,Stage Name\n", "column 2: 'Stage Name' is no API field name"),
        ("Opportunity", "Id,Name\n006000000000001,a\n006000000000002,a,b\n", "line 3 has 3 values, the header 2"),
        (
            "schema",
            "Object,Field,Type\nOpportunity,X__c,colour\n",
            "line 2, column 3 (Type): 'colour' is no field type",
        ),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, name: str, text: str, what: str) -> None:
    folder = _folder(tmp_path, Account="Id\n", **{name: text})
    with pytest.raises(InputError) as error:
        read_export(folder)
    assert what in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_not_utf8_or_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "Account.csv").write_bytes("Id,Name\n001000000000001,Bü\n".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        read_export(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        read_export(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no"):
        read_export(tmp_path / "empty")
