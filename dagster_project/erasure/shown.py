"""The publications' side, those of replays too: rows of the records go from every table, their names from every other row.

Totals, medians and counts stay as they were published: they tell of nobody, but for a total of one deal, which
goes with it. The next build shows them without the records.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb

from dagster_project.erasure.rules import Told, literal, mentions, quoted, without
from dagster_project.errors import LeanfunnelError
from dagster_project.home import Home
from dagster_project.publish import publication

_OF_A_RECORD = ("record_id", "opportunity_id", "row_key")
"""Columns that say whose row it is, beside the table's first Id or key (`dim_account`) …"""
_RECORDS = ("activity_id", "lead_id", "contact_id", "case_id", "campaign_id", "account_id", "owner_id", "user_id")
"""… but for tables whose rows are records of another kind: a lead or a meeting names the deal that came of it."""
_VOCABULARY = {
    "stage_name", "previous_stage_name", "next_stage_name", "evidenced_stage_name", "limiting_stage_name", "stage_before", "sales_process",
    "step",
    "location", "definition_id", "title", "kind", "mode", "entity", "status", "state",
    "state_cause", "cause", "fix", "threshold", "accountable", "owner", "evidence", "fiscal_quarter",
    "reads", "verdict", "signal", "metric", "unit", "basis", "outcome", "object", "dimension",
    "proof", "scope", "scope_value", "dependent_views",
}  # fmt: skip
"""Words of the process and of leanfunnel itself: a customer may be called as one of them."""

_OF_ONE_DEAL = {
    "fct_outcomes": ("amount_corporate", "n_deals - n_amount_unknown = 1"),
    "rpt_flow_by_dimension": ("wip_amount_corporate", "wip - wip_without_amount = 1"),
}
"""Tables of totals so fine that some are of one deal: the column of amounts, and which of its cells are."""


def all_publications(home: Home) -> list[Path]:
    """Every publication kept in a home: its own, and those of its replays."""
    return [folder for built in _built(home) for folder in publication.publications(built.published)]


def count(folder: Path, told: Told) -> tuple[int, int]:
    """Rows that go, and cells that change, in one publication. Raises LeanfunnelError where its file cannot be read."""
    try:
        with duckdb.connect(str(folder / "leanfunnel.duckdb"), read_only=True) as connection:
            found = [_counted(connection, *one) for one in _rules(connection, told)]
    except duckdb.Error as error:
        raise LeanfunnelError(
            "is not readable, so nothing can be taken out of it.", where=str(folder), todo="Remove the folder."
        ) from error
    return sum(rows for rows, _ in found), sum(cells for _, cells in found)


def take_out_of(folder: Path, told: Told, *, note: str) -> None:
    """Take rows and names out of one publication: DuckDB file, Parquet files, manifest. Raises PublishError."""

    def change(connection: duckdb.DuckDBPyConnection) -> None:
        for table, gone, cells in list(_rules(connection, told)):
            if gone:
                connection.execute(f"DELETE FROM {table} WHERE {gone}")
            for column, (test, value) in cells.items():
                connection.execute(f"UPDATE {table} SET {column} = {value} WHERE {test}")

    def said(text: str | None) -> str | None:
        with duckdb.connect() as engine:
            row = engine.execute(
                f"SELECT {without('said', told.values)} FROM (SELECT ?::VARCHAR AS said)", [text]
            ).fetchone()
        return row[0] if row else None

    publication.rewrite(folder, change, note=note, said=said)


def clear_derived(home: Home) -> None:
    """Remove what is built again by the next run, with its logs, and pages that a killed run left in transit."""
    for built in _built(home):
        shutil.rmtree(built.warehouse, ignore_errors=True)
        for left in built.published.glob(".*"):
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
    shutil.rmtree(home.work, ignore_errors=True)


def _built(home: Home) -> Iterator[Home]:
    """The home itself, and every replay in it as a home of its own."""
    yield home
    replays = home.root / "replays"
    if replays.is_dir():
        yield from (Home(path) for path in sorted(replays.iterdir()) if path.is_dir())


def _rules(
    connection: duckdb.DuckDBPyConnection, told: Told
) -> Iterator[tuple[str, str | None, dict[str, tuple[str, str]]]]:
    """(table, SQL of rows that go, {column: (SQL of which cells change, SQL of what to)}) of every table."""
    columns: dict[tuple[str, str], list[str]] = {}
    for schema, table, column in connection.execute(
        "SELECT table_schema, table_name, column_name FROM information_schema.columns "
        "WHERE data_type = 'VARCHAR' AND table_catalog = current_database() ORDER BY table_schema, table_name, ordinal_position"
    ).fetchall():
        columns.setdefault((schema, table), []).append(column)
    for (schema, table), names in columns.items():
        keys = [name for name in names if name.endswith(("_id", "_key"))]
        is_a_record = bool(keys) and keys[0] in _RECORDS
        own = dict.fromkeys([*keys[:1], *(name for name in keys if name in _OF_A_RECORD and not is_a_record)])
        tests = [
            f"starts_with({quoted(name)}, {literal(one)})"
            if name.endswith("_key")
            else f"{quoted(name)} = {literal(one)}"
            for name in own
            for one in sorted(told.ids)
        ]
        cells = {
            quoted(name): (named, without(name, told.values))
            for name in names
            if name not in keys and name not in _VOCABULARY and not table.startswith("dim_definition")
            if (named := mentions(name, told.values))
        }
        if table in _OF_ONE_DEAL and told.ids and (schema, "fct_opportunities") in columns:
            column, test = _OF_ONE_DEAL[table]
            deals = ", ".join(literal(one) for one in sorted(told.ids))
            # read now: their rows are gone by the time that the cells change
            amounts = connection.execute(
                f"SELECT DISTINCT amount_corporate FROM {quoted(schema)}.fct_opportunities "
                f"WHERE opportunity_id IN ({deals}) AND amount_corporate IS NOT NULL ORDER BY 1"
            ).fetchall()
            if amounts:
                values = ", ".join(str(amount) for (amount,) in amounts)
                cells[quoted(column)] = (f"{test} AND {quoted(column)} IN ({values})", "NULL")
        yield f"{quoted(schema)}.{quoted(table)}", " OR ".join(tests) or None, cells


def _counted(
    connection: duckdb.DuckDBPyConnection, table: str, gone: str | None, cells: dict[str, tuple[str, str]]
) -> tuple[int, int]:
    stays = f"NOT coalesce({gone or 'false'}, false)"
    changed = " + ".join(f"count(*) FILTER (({test}) AND {stays})" for test, _ in cells.values()) or "0"
    row = connection.execute(f"SELECT count(*) FILTER ({gone or 'false'}), {changed} FROM {table}").fetchone()
    assert row is not None
    return row[0], row[1]
