"""The state's side: spells of the ledger, decisions, verdicts on samples.

A spell is what an audit saw of the record, so it goes. A decision and a verdict keep their row and number, for what others were
told (`D12`, shares of a week), and lose what people wrote and observed.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

from dagster_project.erasure.rules import Told, among, literal, mentions, quoted, without
from dagster_project.landing import AppendOnlyTable
from dagster_project.landing.rewriting import purge, take_out

# the columns that people fill, which are emptied in the rows of the record
_WRITTEN = {"decisions": ("why", "assigned_to"), "sample_verdicts": ("note",)}
_NUMBERED = frozenset(_WRITTEN) | {"samples"}
# words of the definitions and of leanfunnel itself: a customer may be called as one of them
_VOCABULARY = {
    "definition", "definition_id", "kind", "mode", "entity", "state", "state_cause", "cause",
    "event", "fingerprint", "run_id", "action", "verdict", "stratum", "sales_process", "stage_name",
}  # fmt: skip
_OF_RECORD = ("record_id", "opportunity_id", "row_key")


def tables(state: Path) -> list[str]:
    """The tables of a state folder."""
    return sorted(path.parent.name for path in state.glob("*/_delta_log")) if state.is_dir() else []


def count(state: Path, name: str, told: Told) -> tuple[int, int]:
    """Rows that go, and rows in which cells are emptied, of one table."""
    gone, setters, where = _rules(state, name, told)
    files = AppendOnlyTable(state / name).files()
    if not files or not (gone or setters):
        return 0, 0
    stays = f"NOT coalesce({gone or 'false'}, false)"
    query = (
        f"SELECT count(*) FILTER ({gone or 'false'}), count(*) FILTER (({where or 'false'}) AND {stays}) "
        f"FROM read_parquet([{', '.join(literal(file) for file in files)}], union_by_name = true)"
    )
    with duckdb.connect() as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0], row[1]


def take_out_of(state: Path, told: Told) -> None:
    """Take out rows and cells of every table, and clear what lies outside their live versions."""
    for name in tables(state):
        gone, setters, where = _rules(state, name, told)
        rows, cells = count(state, name, told)
        take_out(
            state / name,
            gone=gone if rows else None,
            blanked=setters if cells else None,
            where=where if cells else None,
        )
        purge(state / name)


def _rules(state: Path, name: str, told: Told) -> tuple[str | None, dict[str, str], str | None]:
    """(SQL of rows that go, {column: SQL}, SQL of the rows whose cells change) of one table."""
    table = AppendOnlyTable(state / name).open()
    if table is None:
        return None, {}, None
    schema = pa.schema(table.schema().to_arrow())
    columns = [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    of_record = " OR ".join(
        test
        for column in _OF_RECORD
        if column in columns
        for test in (
            # a row key may go on after the Id, as that of a stage visit does
            [f"starts_with({quoted(column)}, {literal(one)})" for one in sorted(told.ids)]
            if column == "row_key"
            else [among(column, told.ids) or "false"]
        )
    )
    written = _WRITTEN.get(name, ())
    values = sorted(told.values)
    cases: dict[str, str] = {}
    tests: list[str] = []
    for column in columns:
        if column in _VOCABULARY or column.endswith(("_id", "_key")):
            continue
        named = mentions(column, values)
        parts = []
        if column in written and of_record:
            parts.append((f"({of_record}) AND {quoted(column)} IS NOT NULL", "NULL"))
        if named:
            parts.append((named, without(column, values)))
        if parts:
            branches = " ".join(f"WHEN {test} THEN {value}" for test, value in parts)
            cases[quoted(column)] = f"CASE {branches} ELSE {quoted(column)} END"
            tests += [test for test, _ in parts]
    gone = of_record if name not in _NUMBERED and of_record else None
    return gone, cases, " OR ".join(f"({test})" for test in tests) or None
