"""Reading decisions from CSV, and what a decision must say: every mistake is told with its place and what to write."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from dagster_project.contracts.decisions import Breach, DecisionError, by_record, match, read_csv, rule_id, wanting

TODAY = date(2026, 7, 1)
HEAD = "record_id,rule,decision,until,to,why\n"


def _read(tmp_path: Path, text: str) -> list:
    file = tmp_path / "look.csv"
    file.write_bytes(text.encode("utf-8"))
    return read_csv(file, as_of_on=TODAY)


def test_a_file_holds_every_kind_of_decision_and_lines_without_one_are_passed_over(tmp_path: Path) -> None:
    asked = _read(
        tmp_path,
        HEAD + "006A,R07,snooze,2026-08-01,,on leave\n006B,,assign,,Ann,\n006C,R09,,,,\n006D,7,WAIVE,,,agreed\n"
        '006E,R06,dispute,,,"wrong, they moved it"\n006F,R08,fixed,,,\n',
    )
    assert [(one.line, one.action, one.record_id, one.rule) for one in asked] == [
        (2, "snooze", "006A", "R07"), (3, "assign", "006B", None), (5, "waive", "006D", "7"), (6, "dispute", "006E", "R06"),
        (7, "fixed", "006F", "R08"),
    ]  # fmt: skip
    assert (asked[0].until_on, asked[1].assigned_to, asked[3].why) == (date(2026, 8, 1), "Ann", "wrong, they moved it")


def test_what_spreadsheets_do_to_a_file_is_understood(tmp_path: Path) -> None:
    text = "\ufeffrank;record_id;decision;why\r\n1;006A;waive;'=agreed\r\n"
    (one,) = _read(tmp_path, text)
    assert (one.record_id, one.action, one.why) == ("006A", "waive", "=agreed")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("record,decision\n1,waive\n", "look.csv:1: there is no column 'record_id'. Did you mean 'record'?"),
        (
            HEAD + "006A,R07,snoze,,,x\n",
            "look.csv:2: there is no decision 'snoze'. Did you mean 'snooze'? Write one of: assign,",
        ),
        (HEAD + "006A,R07,snooze,,,x\n", "look.csv:2: a snooze says no date. Write until when, as 2026-01-31."),
        (
            HEAD + "006A,R07,snooze,1.8.2026,,x\n",
            "look.csv:2: '1.8.2026' under until is no date. Write it as 2026-01-31.",
        ),
        (HEAD + "006A,R07,snooze,2026-07-01,,x\n", "look.csv:2: the date 2026-07-01 is not after 2026-07-01"),
        (HEAD + "006A,R07,waive,,,\n", "look.csv:2: 'waive' gives no reason. Write why."),
        (HEAD + "006A,R07,assign,,,\n", "look.csv:2: an assignment names nobody. Write to whom."),
        (HEAD + ",R07,fixed,,,\n", "look.csv:2: the line names no record."),
        (HEAD + "006A,R07,fixed,,,a,b\n", "look.csv:2: the line has more cells than the first line."),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_to_write(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DecisionError) as error:
        _read(tmp_path, text)
    assert told in str(error.value)


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DecisionError, match=r"2 mistakes, nothing is written: .*look.csv:2: .* \| .*look.csv:3: "):
        _read(tmp_path, HEAD + "006A,R07,waive,,,\n006B,R07,what,,,\n")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "look.csv"
    file.write_bytes(b"record_id,decision\n\xff\xfe,waive\n")
    with pytest.raises(DecisionError, match="not UTF-8"):
        read_csv(file, as_of_on=TODAY)
    with pytest.raises(DecisionError, match="cannot be read"):
        read_csv(tmp_path / "absent.csv", as_of_on=TODAY)


def test_a_decision_says_no_more_than_its_kind_takes() -> None:
    assert wanting("fixed", why=None, until=None, to=None, as_of_on=TODAY) is None
    assert wanting("waive", why="x", until=date(2026, 8, 1), to=None, as_of_on=TODAY) is None
    assert wanting("fixed", why=None, until=date(2026, 8, 1), to=None, as_of_on=TODAY)
    assert wanting("waive", why="x", until=None, to="Ann", as_of_on=TODAY)


def test_records_are_found_by_either_length_of_id_and_unknown_ones_are_refused() -> None:
    one, two = Breach("0060000000000IkAAI", "R06", 1), Breach("0060000000000IkAAI", "R07", 2)
    standing = by_record([one, two, Breach("0060000000000HqAAI", "R06", 1)])
    assert match(standing, "0060000000000Ik", None) == [one, two]
    assert match(standing, "0060000000000IkAAI", "7") == [two]
    with pytest.raises(DecisionError, match=r"no breach stands for the record '0060000000000IxAAI'\."):
        match(standing, "0060000000000IxAAI", None)
    with pytest.raises(DecisionError, match=r"no breach of 'R09' .* What stands: R06, R07."):
        match(standing, "0060000000000IkAAI", "R09")
    assert [rule_id(text) for text in ("7", "r7", "R07", "R31")] == ["R07", "R07", "R07", "R31"]
