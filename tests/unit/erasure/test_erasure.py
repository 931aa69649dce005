"""Which rows and cells go, what stays, what the gate keeps out, and what has its days."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagster_project.erasure import Gate, Tombstones, retain
from dagster_project.erasure.landed import Landed
from dagster_project.erasure.rules import Told, gone, mentions, without
from dagster_project.errors import SettingsError
from dagster_project.landing import LandingLog
from dagster_project.salesforce.ids import to_18
from dagster_project.salesforce.objects import OBJECTS
from dagster_project.settings import read_options
from salesforce_simulator.ids import numbered
from salesforce_simulator.ids import to_18 as simulated_to_18

AT = datetime(2026, 7, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Rows:
    """A batch as extraction hands it over."""

    object: str
    path: Path
    base_seq: int = 0
    org_id: str = "00D"
    rows: int = 0
    deleted: int = 0
    extracted_at: datetime = AT
    missing_fields: tuple[str, ...] = ()
    watermark: dict[str, Any] | None = None
    said: dict[str, Any] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        return {"org_id": self.org_id, "watermark": None, "missing_fields": []}


def _batch(folder: Path, name: str, rows: list[dict], seq: int = 1) -> Rows:
    names = dict.fromkeys(column for row in rows for column in row)
    kinds = {"SystemModstamp": pa.timestamp("us", "UTC")}
    schema = pa.schema(
        [
            *((n, kinds.get(n, pa.string())) for n in names),
            ("_operation", pa.string()),
            ("_extracted_at", pa.timestamp("us", "UTC")),
            ("_batch_seq", pa.int64()),
        ]
    )
    table = pa.Table.from_pylist(
        [{"_operation": "upsert", "_extracted_at": AT, "_batch_seq": seq, **row} for row in rows], schema=schema
    )
    path = folder / f"{name}-{seq}.parquet"
    pq.write_table(table, path)
    return Rows(name, path, seq - 1, rows=len(rows))


def _land(root: Path, name: str, rows: list[dict], seq: int = 1) -> None:
    root.mkdir(exist_ok=True)
    LandingLog(root).commit(_batch(root, name, rows, seq), run_id="r")


def _rows(root: Path, name: str) -> list[dict]:
    files = LandingLog(root).state(name).files
    return (
        duckdb.execute("SELECT * FROM read_parquet(?, union_by_name = true) ORDER BY 1, _batch_seq", [files])
        .to_arrow_table()
        .to_pylist()
        if files
        else []
    )


ZOE, BOB, LEAD, OLD = numbered("003", 1), numbered("003", 2), numbered("00Q", 1), numbered("003", 9)


def test_the_person_goes_with_who_is_the_same_and_others_keep_the_id_alone(tmp_path: Path) -> None:
    root = tmp_path / "landing"
    _land(
        root,
        "Contact",
        [
            {"Id": ZOE, "Email": "h-zoe", "MasterRecordId": None},
            {"Id": OLD, "Email": "h-old", "MasterRecordId": ZOE},
            {"Id": BOB, "Email": "h-bob", "MasterRecordId": None},
        ],
    )
    _land(root, "Lead", [{"Id": LEAD, "ConvertedContactId": ZOE, "Company": "Z"}])
    _land(
        root,
        "LeadHistory",
        [{"Id": "017a", "LeadId": LEAD, "NewValue": "x"}, {"Id": "017b", "LeadId": "00Qother", "NewValue": "y"}],
    )
    _land(root, "Task", [{"Id": "00Ta", "WhoId": ZOE, "Status": "Completed"}])
    _land(root, "OpportunityContactRole", [{"Id": "00Ka", "ContactId": ZOE, "Role": "Decision Maker"}])
    _land(
        root,
        "EmailMessageRelation",
        [
            {"Id": "1", "RelationId": ZOE, "RelationAddress": "another"},
            {"Id": "2", "RelationId": None, "RelationAddress": "h-old"},
            {"Id": "3", "RelationId": BOB, "RelationAddress": "h-bob"},
        ],
    )
    landed = Landed(root)
    told = landed.told([ZOE])
    assert told == Told(frozenset({ZOE, OLD, LEAD}), frozenset({"h-zoe", "h-old"}))
    assert landed.counts(told) == {
        "Contact": (2, 0),
        "Lead": (1, 0),
        "LeadHistory": (1, 0),
        "EmailMessageRelation": (0, 2),
    }
    landed.take_out(told)
    assert [row["Id"] for row in _rows(root, "Contact")] == [BOB]
    assert _rows(root, "Lead") == []
    assert [row["Id"] for row in _rows(root, "LeadHistory")] == ["017b"]
    assert [(row["WhoId"], row["Status"]) for row in _rows(root, "Task")] == [(ZOE, "Completed")]
    assert [row["Role"] for row in _rows(root, "OpportunityContactRole")] == ["Decision Maker"]
    assert [row["RelationAddress"] for row in _rows(root, "EmailMessageRelation")] == [None, None, "h-bob"]
    assert Landed(root).counts(told) == {}


def test_rows_that_are_nothing_without_their_record_go_with_it() -> None:
    told = Told(frozenset({"x"}))
    parents = {
        "OpportunityHistory": "OpportunityId",
        "OpportunityFieldHistory": "OpportunityId",
        "LeadHistory": "LeadId",
        "CaseHistory": "CaseId",
        "OpportunityLineItem": "OpportunityId",
        "EventRelation": "EventId",
    }
    for name, parent in parents.items():
        assert f"\"{parent}\" IN ('x')" in (gone(name, OBJECTS[name].by_name, told) or ""), name
    assert gone("Visit__History", ["Id", "ParentId"], told) == "\"Id\" IN ('x') OR \"ParentId\" IN ('x')"
    for name, spec in OBJECTS.items():  # a history that is added to the catalogue is somebody's
        if name.endswith("History"):
            assert len((gone(name, spec.by_name, told) or "").split(" OR ")) == 2, name


@given(st.sets(st.integers(1, 30), max_size=8), st.sets(st.integers(1, 40), max_size=8))
def test_forgetting_takes_the_named_rows_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, landed: set[int], named: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("some")
    rows = [{"Id": numbered("001", n), "Name": f"Name {n:03}"} for n in sorted(landed)]
    if rows:
        _land(folder / "l", "Account", rows)
    tables = Landed(folder / "l")
    tables.take_out(tables.told(numbered("001", n) for n in named))
    assert {row["Id"] for row in _rows(folder / "l", "Account")} == {numbered("001", n) for n in landed - named}


@given(st.text(min_size=2, max_size=12), st.text(max_size=30))
def test_a_text_without_a_name_holds_it_no_more(name: str, rest: str) -> None:
    if "\0" in name + rest or name in "(forgotten)":
        return
    for text in (name, f"{rest}{name}", rest):
        with duckdb.connect() as engine:
            engine.execute("CREATE TABLE t AS SELECT ?::VARCHAR AS note", [text])
            hit, left = engine.execute(
                f"SELECT {mentions('note', [name])}, {without('note', [name])} FROM t"
            ).fetchone() or (None, None)
        if len(name) >= 4 or text == name:
            assert hit == (name in text)
            assert left is None or name not in left.replace("(forgotten)", "\0")
        if name not in text:
            assert left == text


def test_the_gate_lets_nothing_back_and_lands_no_empty_batch(tmp_path: Path) -> None:
    root = tmp_path / "landing"
    Tombstones(root).set([ZOE], by="dpo", why="GDPR 1", at=AT)
    log, gate = LandingLog(root), Gate(root)
    assert log.objects() == []
    mixed = _batch(tmp_path, "Contact", [{"Id": ZOE, "Email": "h"}, {"Id": BOB, "Email": "b"}])
    through = gate.through(mixed, log.state("Contact"))
    assert through is not None
    assert (through.rows, pq.read_table(through.path)["Id"].to_pylist(), mixed.path.exists()) == (1, [BOB], False)
    assert pq.read_schema(through.path).names[-3:] == ["_operation", "_extracted_at", "_batch_seq"]
    log.commit(through, run_id="r")
    only = _batch(tmp_path, "Contact", [{"Id": ZOE, "Email": "h2"}], 2)
    assert gate.through(only, log.state("Contact")) is None
    # news of the object itself land, with or without rows
    grown = _batch(tmp_path, "Contact", [{"Id": ZOE, "Email": "h2", "New__c": "x"}], 2)
    landed = gate.through(grown, log.state("Contact"))
    assert landed is not None
    assert landed.rows == 0
    assert (
        gate.through(
            replace(
                only, path=_batch(tmp_path, "Contact", [{"Id": ZOE, "Email": "h2"}], 3).path, missing_fields=("Email",)
            ),
            log.state("Contact"),
        )
        is not None
    )
    link = gate.through(
        _batch(tmp_path, "EmailMessageRelation", [{"Id": "1", "RelationId": ZOE, "RelationAddress": "h"}]),
        log.state("EmailMessageRelation"),
    )
    assert link is not None
    assert pq.read_table(link.path)["RelationAddress"].to_pylist() == [None]
    untouched = _batch(tmp_path, "Task", [{"Id": "00T", "WhoId": ZOE}])
    assert gate.through(untouched, log.state("Task")) is untouched
    assert gate.withheld["Contact"] >= 2


def _touched(days_ago: float | None) -> datetime | None:
    return None if days_ago is None else AT - timedelta(days=days_ago)


def test_versions_past_their_days_leave_and_stay_away(tmp_path: Path) -> None:
    root = tmp_path / "landing"
    first = [
        {"Id": "a", "SystemModstamp": _touched(800)},
        {"Id": "b", "SystemModstamp": _touched(731)},
        {"Id": "c", "SystemModstamp": _touched(730)},
        {"Id": "d", "SystemModstamp": _touched(None)},
    ]
    _land(root, "EmailMessage", first)
    _land(root, "EmailMessage", [{"Id": "b", "SystemModstamp": _touched(3)}], 2)
    _land(root, "Task", [{"Id": "t", "SystemModstamp": _touched(5000)}])
    (shown,) = retain(root, {"EmailMessage": 730, "Case": 10}, at=AT, write=False)
    assert (shown.rows, shown.records, shown.kept) == (2, 1, 3)
    assert len(_rows(root, "EmailMessage")) == 5, "only shown"
    assert retain(root, {"EmailMessage": 730}, at=AT, write=True) == [shown]
    assert [(row["Id"], row["_batch_seq"]) for row in _rows(root, "EmailMessage")] == [("b", 2), ("c", 1), ("d", 1)]
    assert len(_rows(root, "Task")) == 1, "it has no limit"
    assert [one.rows for one in retain(root, {"EmailMessage": 730}, at=AT, write=True)] == [0]
    gate = Gate(root, {"EmailMessage": 730})
    again = gate.through(
        _batch(tmp_path, "EmailMessage", [*first, {"Id": "e", "SystemModstamp": _touched(1)}], 3),
        LandingLog(root).state("EmailMessage"),
    )
    assert again is not None
    assert pq.read_table(again.path)["Id"].to_pylist() == ["c", "d", "e"]
    assert gate.withheld == {"EmailMessage": 2}


def test_a_limit_for_an_unknown_object_names_the_nearest(tmp_path: Path) -> None:
    def read(text: str) -> dict[str, int]:
        (tmp_path / "leanfunnel.yml").write_text(text)
        return read_options(tmp_path / "leanfunnel.yml").retention_days

    assert read("retention_days: {EmailMessage: 730, Visit__c: 10}\nextra_objects: {Visit__c: [Name]}") == {
        "EmailMessage": 730,
        "Visit__c": 10,
    }
    with pytest.raises(SettingsError, match=r"no object 'EmailMesage' is landed\. Did you mean 'EmailMessage'"):
        read("retention_days: {EmailMesage: 730}")
    with pytest.raises(SettingsError, match=r"retention_days.Task: .*greater than or equal to 1"):
        read("retention_days: {Task: 0}")


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", min_size=15, max_size=15))
def test_an_id_of_15_is_the_one_of_18(short: str) -> None:
    assert to_18(f" {short}\n") == simulated_to_18(short) == to_18(to_18(short))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "006",
        "00600000000000'",
        "0060000000000012",
        "006000000000001AAB",
        "0060000000000é1",
        "006 00000000001",
        "٠٠٦٠٠٠٠٠٠٠٠٠٠٠١",
    ],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="no record id"):
        to_18(text)
