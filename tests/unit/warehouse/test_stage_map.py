from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from dagster_project.errors import SettingsError
from dagster_project.warehouse import stage_map
from dagster_project.warehouse.landing_views import LandedFiles, create_landing_views

CATALOGUE = {
    "OpportunityStage": {
        "Id": "id", "MasterLabel": "text", "ApiName": "text", "IsActive": "bool", "SortOrder": "int", "IsClosed": "bool",
        "IsWon": "bool", "SystemModstamp": "datetime",
    },
    "OpportunityStagePicklist": {"RecordTypeId": "id", "StageName": "text", "Label": "text", "Position": "int"},
    "RecordType": {"Id": "id", "DeveloperName": "text", "SobjectType": "text"},
    "Opportunity": {"Id": "id", "RecordTypeId": "id"},
}  # fmt: skip

STAGES = [  # name, active, sort order, closed, won
    ("Prospecting", True, 1, False, False),
    ("Qualification", True, 2, False, False),
    ("Old Demo", False, 3, False, False),
    ("Needs Analysis", True, 4, False, False),
    ("Proposal/Price Quote", True, 5, False, False),
    ("Negotiation/Review", True, 6, False, False),
    ("Closed Won", True, 8, True, True),
    ("Closed Lost", True, 9, True, False),
]


def _org(
    tmp_path: Path, picklists: list[tuple[str, str, int]], types: list[tuple[str, str]]
) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    files: dict[str, LandedFiles] = {}

    def land(name: str, query: str) -> None:
        path = str(tmp_path / f"{name}.parquet")
        relation = connection.sql(f"SELECT *, 1::BIGINT AS _batch_seq, 'upsert' AS _operation FROM ({query})")
        relation.write_parquet(path)
        files[name] = LandedFiles([path], frozenset(relation.columns))

    values = ", ".join(f"('{n}', {a}, {o}, {c}, {w})" for n, a, o, c, w in STAGES)
    land(
        "OpportunityStage",
        'SELECT n AS "Id", n AS "MasterLabel", n AS "ApiName", a AS "IsActive", o AS "SortOrder", c AS "IsClosed", w AS "IsWon",'
        f" TIMESTAMPTZ '2024-01-01 00:00:00+00' AS \"SystemModstamp\" FROM (VALUES {values}) v(n, a, o, c, w)",
    )
    if picklists:
        rows = ", ".join(f"('{t}', '{s}', {p})" for t, s, p in picklists)
        land(
            "OpportunityStagePicklist",
            f'SELECT t AS "RecordTypeId", s AS "StageName", p AS "Position" FROM (VALUES {rows}) v(t, s, p)',
        )
    if types:
        rows = ", ".join(f"('{i}', '{n}')" for i, n in types)
        land(
            "RecordType",
            f'SELECT i AS "Id", n AS "DeveloperName", \'Opportunity\' AS "SobjectType" FROM (VALUES {rows}) v(i, n)',
        )
    create_landing_views(connection, CATALOGUE, files)
    return connection


def test_each_process_takes_the_order_of_its_own_picklist(tmp_path: Path) -> None:
    connection = _org(
        tmp_path,
        [
            ("012A", "Qualification", 1),
            ("012A", "Closed Won", 2),
            ("012B", "Needs Analysis", 1),
            ("012B", "Qualification", 2),
        ],
        [("012A", "Short"), ("012B", "Odd")],
    )
    proposed = stage_map.propose(connection)
    active = {p: [s.stage_name for s in proposed if s.sales_process == p and s.is_active] for p in ("Odd", "Short")}
    assert active == {"Odd": ["Needs Analysis", "Qualification"], "Short": ["Qualification", "Closed Won"]}


def test_an_inactive_stage_stays_valid_for_history_between_its_neighbours(tmp_path: Path) -> None:
    proposed = stage_map.propose(_org(tmp_path, [], []))
    names = [stage.stage_name for stage in proposed]
    assert names.index("Qualification") < names.index("Old Demo") < names.index("Needs Analysis")
    assert [stage.stage_order for stage in proposed] == list(range(1, len(proposed) + 1))
    assert [stage.is_active for stage in proposed if stage.stage_name == "Old Demo"] == [False]
    assert {stage.sales_process for stage in proposed} == {"default"}


def test_steps_follow_the_default_names_and_never_fall(tmp_path: Path) -> None:
    steps = {stage.stage_name: stage.step for stage in stage_map.propose(_org(tmp_path, [], []))}
    assert steps == {
        "Prospecting": "prospect", "Qualification": "qualified", "Old Demo": "solution", "Needs Analysis": "solution",
        "Proposal/Price Quote": "proposal", "Negotiation/Review": "commit", "Closed Won": "won", "Closed Lost": "lost",
    }  # fmt: skip
    assert stage_map.guess_step("Zebra", at_least=3) == "solution"
    assert stage_map.guess_step("Prospecting again", at_least=4) == "proposal"


def test_an_org_without_stages_is_told_what_to_grant() -> None:
    connection = duckdb.connect()
    create_landing_views(connection, CATALOGUE, {})
    with pytest.raises(SettingsError, match="no opportunity stages"):
        stage_map.propose(connection)


def test_what_is_written_reads_back_the_same(tmp_path: Path) -> None:
    proposed = stage_map.propose(_org(tmp_path, [], []))
    path = tmp_path / "stage_map.csv"
    path.write_text(stage_map.dump(proposed), encoding="utf-8")
    assert stage_map.read(path) == proposed


def test_a_stage_of_the_buyers_may_stand_behind(tmp_path: Path) -> None:
    path = tmp_path / "stage_map.csv"
    head, *rows = (
        HEADER.strip(),
        "P,A,1,prospect,qualifying,false,false,true",
        "P,B,2,qualified,qualifying,false,false,true",
    )
    path.write_text("\n".join([f"{head},buyer_stage", f"{rows[0]}, Compares offers ", f"{rows[1]},"]), encoding="utf-8")
    assert [stage.buyer_stage for stage in stage_map.read(path)] == ["Compares offers", ""]
    path.write_text("\n".join([head, *rows]), encoding="utf-8")
    assert [stage.buyer_stage for stage in stage_map.read(path)] == [None, None]
    path.write_text("\n".join([f"{head},buyer_stage", *rows]), encoding="utf-8")
    with pytest.raises(SettingsError, match="line 2: has 8 cells, not 9"):
        stage_map.read(path)


HEADER = "sales_process,stage_name,stage_order,step,location,is_closed,is_won,is_active\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n", "line 1: the header"),
        (HEADER, "holds no stage"),
        (HEADER + "P,A,1,prospect\n", "line 2: has 4 cells"),
        (HEADER + "P,,1,prospect,qualifying,false,false,true\n", "line 2: sales_process and stage_name"),
        (HEADER + "P,A,x,prospect,qualifying,false,false,true\n", "stage_order 'x'"),
        (HEADER + "P,A,1,prospct,qualifying,false,false,true\n", "Did you mean 'prospect'"),
        (HEADER + "P,A,1,prospect,qualifing,false,false,true\n", "Did you mean 'qualifying'"),
        (HEADER + "P,A,1,prospect,qualifying,no,false,true\n", "are true or false"),
        (HEADER + "P,A,1,won,closed,true,false,true\n", "does not fit"),
        (HEADER + 2 * "P,A,1,prospect,qualifying,false,false,true\n", "line 3: stage 'A' stands twice"),
        (HEADER + "P,A,1,prospect,qualifying,false,false,true\nP,B,1,prospect,qualifying,false,false,true\n", "stage_order 1 stands twice"),
    ],
)  # fmt: skip
def test_each_mistake_in_the_file_names_its_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "stage_map.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        stage_map.read(path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)
