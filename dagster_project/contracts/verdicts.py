"""From Great Expectations' counts and queries to rows of `audit.verdict`, inside the warehouse, in sets.

Great Expectations gives, per check, a count and the query that finds the failing rows; that query leaves out the row
condition and the treatment of missing values, which are put back here, and the two counts must be equal. Belongs here: SQL
of one definition. Does not: who runs it when, and the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from dagster_project.contracts import conditions
from dagster_project.contracts.conditions import literal, quoted
from dagster_project.contracts.definition import Definition, Expectation, Variant
from dagster_project.contracts.entities import SCHEMA, SCOPES
from dagster_project.errors import ContractError

_NOT_NULL = "expect_column_values_to_not_be_null"
OWNERS = f"{SCHEMA}.int_owners"
"""One row per user, with the team."""


@dataclass(frozen=True)
class Counts:
    """raw = met + breached + not_applicable + unknown."""

    raw: int
    met: int
    breached: int
    not_applicable: int
    unknown: int


def check_key(definition: Definition, variant: int, part: int) -> str:
    """The name of one check in the question to Great Expectations."""
    return f"{definition.id}/{variant}/{part}"


def gx_checks(definition: Definition) -> list[dict[str, Any]]:
    """The checks of one definition as the audit process takes them."""
    return [
        {
            "key": check_key(definition, number, part),
            "schema": SCHEMA,
            "table": definition.audited.table,
            "expectation": expectation.expectation,
            "arguments": expectation.gx_arguments,
            "row_condition": conditions.conjunction_gx(variant.conditions),
        }
        for number, variant in enumerate(definition.variants)
        for part, (expectation, _) in enumerate(variant.definition.checks)
    ]


def write_verdicts(
    connection: duckdb.DuckDBPyConnection,
    definition: Definition,
    answers: Mapping[str, Mapping[str, Any]],
    types: Mapping[str, str],
    *,
    teams: bool = False,
) -> Counts:
    """Insert the failing and unknown rows of `definition` into `audit.verdict` and count all rows, by sales process and, where
    the warehouse has `teams`, by the team of the owner, in `audit.definition_count`; what a stop in a smaller scope holds back, in
    `audit.held_scope`.

    `types`: the entity's column types in DuckDB. Raises ContractError where a count differs from Great Expectations' own.
    """
    connection.execute("CREATE OR REPLACE TEMP TABLE failing (part INTEGER, row_key VARCHAR, observed VARCHAR)")
    relation = definition.audited.relation
    variants = definition.variants
    checks = [
        (n, part, check) for n, one in enumerate(variants) for part, (check, _) in enumerate(one.definition.checks)
    ]
    applying = [conditions.conjunction_sql(variant.conditions) for variant in variants]
    raw, *sizes = _row(
        connection,
        f"SELECT {', '.join(['count(*)', *(f'count(*) FILTER ({applies})' for applies in applying)])} FROM {relation}",
    )
    # an entity may have millions of rows: those that any check names are looked up in one pass
    named, holds, observed = [], [], []
    for part, (number, place, expectation) in enumerate(checks):
        answer = answers[check_key(definition, number, place)]
        if answer["unexpected_count"]:
            query = str(answer["unexpected_index_query"]).rstrip().rstrip(";")
            present = "TRUE" if expectation.expectation == _NOT_NULL else f"NOT {_missing(expectation)}"
            named.append(f"SELECT {part} AS part, row_key AS named_key FROM ({query})")
            holds.append(f"WHEN {part} THEN ({applying[number]}) AND {present}")
            observed.append(f"WHEN {part} THEN {_observed(definition, expectation, types)}")
    if named:
        connection.execute(
            f"INSERT INTO failing SELECT part, row_key, CASE part {' '.join(observed)} END FROM {relation} "
            f"INNER JOIN ({' UNION ALL '.join(named)}) AS named ON row_key = named_key WHERE CASE part {' '.join(holds)} END"
        )
    found = dict(connection.execute("SELECT part, count(*) FROM failing GROUP BY part").fetchall())
    for part, (number, place, expectation) in enumerate(checks):
        answer = answers[check_key(definition, number, place)]
        for what, ours, theirs in (
            ("failing rows", found.get(part, 0), answer["unexpected_count"]),
            ("rows the rule applies to", sizes[number], answer["element_count"]),
        ):
            if ours != theirs:
                raise ContractError(
                    f"the warehouse counts {ours} {what}, Great Expectations {theirs}.",
                    where=f"{definition.id} {expectation.expectation}",
                    todo="No verdict of this run can be trusted; nothing is published. Report it with the definition.",
                )
    # only rows that fail or are unknown are written down: of all others their number is enough
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE failed AS SELECT row_key, string_agg(observed, '; ' ORDER BY part) AS observed "
        "FROM failing GROUP BY row_key"
    )
    process, owner = (f"e.{name}" if name in types else "NULL::VARCHAR" for name in ("sales_process", "owner_id"))
    judged = (
        f"(SELECT e.row_key, e.record_id, {process} AS sales_process, {owner} AS owner_id, f.observed, "
        f"{_status(definition)} AS status, {_cause(definition)} AS cause, {_threshold(variants)} AS threshold "
        f"FROM {relation} AS e LEFT JOIN failed AS f ON f.row_key = e.row_key) AS judged"
    )
    said = "signalled" if definition.kind == "signal" else "breached"
    connection.execute(
        "INSERT INTO audit.verdict SELECT "
        f"{literal(definition.id)}, {definition.version}, {definition.rule_number}, {literal(definition.kind)}, "
        f"{literal(definition.mode)}, {literal(definition.entity)}, row_key, record_id, "
        f"CASE status WHEN 'breached' THEN '{said}' ELSE status END, "
        "CASE WHEN status = 'breached' THEN observed END, CASE WHEN status = 'unknown' THEN cause END, sales_process, owner_id, threshold "
        f"FROM {judged} WHERE status IN ('breached', 'unknown') ORDER BY row_key"
    )
    has_team = teams and owner != "NULL::VARCHAR"
    by_team = f"LEFT JOIN {OWNERS} AS o ON o.owner_id = counted.owner_id" if has_team else ""
    team = "o.team_id, o.team_name" if has_team else "NULL::VARCHAR AS team_id, NULL::VARCHAR AS team_name"
    met = "'met', 'breached'" if definition.kind == "signal" else "'met'"
    broken = "FALSE" if definition.kind == "signal" else "status = 'breached'"
    # rows are counted before their owner's team is looked up
    connection.execute(
        "INSERT INTO audit.definition_count WITH counted AS ("
        "SELECT sales_process, owner_id, status, CASE WHEN status = 'unknown' THEN cause END AS cause, count(*) AS n "
        f"FROM {judged} GROUP BY ALL), of_teams AS ("
        f"SELECT sales_process, {team}, status, cause, sum(n)::BIGINT AS n FROM counted {by_team} GROUP BY ALL) "
        f"SELECT NULL, {literal(definition.id)}, {definition.version}, sales_process, team_id, team_name, sum(n), "
        f"coalesce(sum(n) FILTER (status IN ({met})), 0), coalesce(sum(n) FILTER ({broken}), 0), "
        "coalesce(sum(n) FILTER (status = 'not_applicable'), 0), coalesce(sum(n) FILTER (status = 'unknown'), 0), "
        "string_agg(cause || ': ' || n, '; ' ORDER BY cause) FROM of_teams GROUP BY sales_process, team_id, team_name"
    )
    if (share := definition.hold_above_share) is not None:
        column = SCOPES[definition.stop_scope][1]
        connection.execute(
            f"INSERT INTO audit.held_scope SELECT {literal(definition.id)}, {definition.version}, {literal(definition.stop_scope)}, "
            f"e.{quoted(column)}, count(*) FILTER ({broken}) AS broken, count(*) FILTER (status IN ('met', 'breached')) AS judged, NULL "
            f"FROM {judged} INNER JOIN {relation} AS e ON e.row_key = judged.row_key GROUP BY 4 "
            f"HAVING count(*) FILTER ({broken}) > {share} * count(*) FILTER (status IN ('met', 'breached')) ORDER BY 4"
        )
    sums = connection.execute(
        "SELECT coalesce(sum(met), 0), coalesce(sum(breached), 0), coalesce(sum(not_applicable), 0), coalesce(sum(unknown), 0) "
        "FROM audit.definition_count WHERE as_of IS NULL AND definition_id = ?",
        [definition.id],
    ).fetchone()
    assert sums is not None
    counts = Counts(raw, *(int(number) for number in sums))
    breached = _one(
        connection,
        f"SELECT count(*) FROM audit.verdict WHERE definition_id = {literal(definition.id)} AND status IN ('breached', 'signalled')",
    )
    distinct = _one(connection, "SELECT count(*) FROM failed")
    assert breached == distinct, f"{definition.id}: {breached} breached rows, {distinct} failing keys"
    total = counts.met + counts.breached + counts.not_applicable + counts.unknown
    assert counts.raw == total, f"{definition.id}: {counts.raw} rows, {total} judged"
    return counts


def _missing(expectation: Expectation) -> str:
    return "(" + " OR ".join(f"{quoted(column)} IS NULL" for column in expectation.columns) + ")"


def _status(definition: Definition) -> str:
    """A row breaches if any part fails; else it is unknown if the condition or any part is; else met if any part was judged."""
    applies = definition.applies_sql
    judged = [(expectation, expectation.missing or definition.missing) for expectation in definition.expectations]
    unknown = [_missing(expectation) for expectation, missing in judged if missing == "unknown"]
    silent = [_missing(expectation) if missing == "not_applicable" else "FALSE" for expectation, missing in judged]
    return (
        "CASE WHEN f.row_key IS NOT NULL THEN 'breached' "
        f"WHEN ({applies}) IS NULL THEN 'unknown' WHEN NOT ({applies}) THEN 'not_applicable' "
        f"WHEN {' OR '.join(unknown) or 'FALSE'} THEN 'unknown' "
        f"WHEN {' AND '.join(silent)} THEN 'not_applicable' ELSE 'met' END"
    )


def _cause(definition: Definition) -> str:
    """Which empty columns leave a row unknown: those of the condition, else those of the parts that say unknown."""
    applies = definition.applies_sql
    of_parts = [
        column
        for expectation in definition.expectations
        if (expectation.missing or definition.missing) == "unknown"
        for column in expectation.columns
    ]

    undecided = conditions.undecided_columns([one for variant in definition.variants for one in variant.conditions])

    def listed(columns: list[str]) -> str:
        names = ", ".join(f"CASE WHEN {quoted(c)} IS NULL THEN '{c}' END" for c in dict.fromkeys(columns))
        return f"concat_ws(', ', {names}) || ' missing'" if columns else "NULL"

    return f"CASE WHEN ({applies}) IS NULL THEN {listed(undecided)} ELSE {listed(of_parts)} END"


def _threshold(variants: Sequence[Variant]) -> str:
    """What is owed of the row, in words."""
    if len(variants) == 1:
        return literal(variants[0].definition.threshold_text)
    cases = " ".join(
        f"WHEN {conditions.conjunction_sql(one.segment)} THEN {literal(one.definition.threshold_text)}"
        for one in variants
    )
    return f"CASE {cases} END"


def _observed(definition: Definition, expectation: Expectation, types: Mapping[str, str]) -> str:
    """The value seen, as text; with its column's name wherever more than one column is involved."""
    several = len({column for part in definition.expectations for column in part.columns}) > 1

    def one(column: str) -> str:
        value = f"round({quoted(column)}, 4)" if types[column] in ("DOUBLE", "FLOAT") else quoted(column)
        seen = f"coalesce(CAST({value} AS VARCHAR), 'missing')"
        return f"'{column} ' || {seen}" if several else seen

    return " || ', ' || ".join(one(column) for column in expectation.columns)


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    return _row(connection, query)[0]


def _row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row
