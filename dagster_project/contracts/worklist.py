"""The worklist: the standing breaches of the published mart, less what was decided, one item per record, what is most at risk first.

Belongs here: the SQL of the list, its rank, who is to act. Does not: printing, and making decisions (decisions).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.contracts.conditions import literal
from dagster_project.contracts.decisions import Breach, Decisions, rule_id
from dagster_project.contracts.ledger import RUNS
from dagster_project.errors import SettingsError, nearest
from dagster_project.landing import AppendOnlyTable

NEARNESS_DAYS = 30
"""A deal that closes in so many days weighs half of one that closes today."""

OPEN, SNOOZED, WAIVED, SAID_FIXED = "open", "snoozed", "waived", "said fixed"
LEFT_OUT = (SNOOZED, WAIVED, SAID_FIXED)

# what was looked for, by the column that the definition reads: where nothing was found, this is what was not found
_LOOKED_FOR = {
    "amount": "an amount on the deal (Opportunity.Amount)",
    "amount_corporate": "an amount on the deal, at the dated rate (Opportunity.Amount)",
    "close_on": "the close date (Opportunity.CloseDate)",
    "contact_role_count": "contact roles on the deal (OpportunityContactRole)",
    "days_since_customer_response": "mails from the customer, and calls and meetings with the customer that took place",
    "last_customer_response_at": "mails from the customer, and calls and meetings with the customer that took place",
    "meeting_held_at": "a meeting that ended, was not deleted, and had a guest from outside who did not decline",
    "is_mapped": "the stage in the stage map of its process",
    "last_history_stage_name": "the last stage in history (OpportunityHistory)",
    "flag_state": "the flags IsClosed and IsWon beside the stage",
}


@dataclass(frozen=True)
class Chosen:
    """Which breaches are asked for; None: all. `age`: new, or backlog: older than the rule."""

    rule: str | None = None
    owner: str | None = None
    who: str | None = None
    stage: str | None = None
    sales_process: str | None = None
    age: str | None = None


@dataclass(frozen=True)
class Worklist:
    """`breaches`: one row per record and definition (a record breached in several visits has one), in the order of the list;
    `left_out`: how many records' breaches are snoozed, waived or said fixed. `as_of` is naive UTC.
    """

    as_of: datetime
    as_of_on: date
    breaches: list[dict[str, Any]]
    left_out: dict[str, int]

    @property
    def items(self) -> list[dict[str, Any]]:
        """One item per record with its breaches inside, ranked from 1."""
        found: dict[Any, dict[str, Any]] = {}
        for row in self.breaches:
            item = found.setdefault(row["record_key"], {name: row[name] for name in _ITEM} | {"breaches": []})
            item["breaches"].append({name: row[name] for name in _BREACH})
        return list(found.values())

    @property
    def standing(self) -> list[Breach]:
        """What can be decided about, in the order of the list."""
        return [_breach(row) for row in self.breaches if row["record_id"] is not None]

    @property
    def open(self) -> list[Breach]:
        """Those of them that are not snoozed, waived or said fixed."""
        return [_breach(row) for row in self.breaches if row["record_id"] is not None and row["state"] not in LEFT_OUT]


def _breach(row: dict[str, Any]) -> Breach:
    return Breach(row["record_id"], row["rule"], row["version"])


_ITEM = (
    "rank", "record_id", "record_name", "record_url", "sales_process", "stage", "owner", "amount", "amount_at_risk",
    "amount_is_assumed", "close_on", "days_to_close", "priority",
)  # fmt: skip
_BREACH = (
    "rule", "version", "title", "kind", "mode", "state", "age", "who", "observed", "threshold", "looked_for", "rule_why", "fix",
    "first_seen_at", "days_known", "until_on", "last_decision",
)  # fmt: skip
COLUMNS = (*_ITEM, *_BREACH)
"""The columns of the list, one line per breach."""


def worklist(
    mart: duckdb.DuckDBPyConnection, state: Path, chosen: Chosen | None = None, *, with_left_out: bool = False
) -> Worklist:
    """The list from the published mart (connection with schema `mart` first) and the state folder of its home.

    Priority of a record = amount at risk x nearness of close, nearness = 30 / (30 + days to close, at least 0), 0 for a closed
    deal; an amount that is unknown or not above 0 counts as the median of the open deals of its process (of all where there is
    none) and says so. Raises SettingsError for a rule, owner, stage or process that does not occur.
    """
    chosen = chosen or Chosen()
    list_breaches(mart, state)
    run = mart.execute("SELECT as_of, as_of_on FROM dim_run").fetchone()
    assert run is not None
    where, parameters = _conditions(mart, chosen)
    outs = ", ".join(f"'{state}'" for state in LEFT_OUT)
    left_out = dict(
        mart.execute(
            f"SELECT state, count(*) FROM listed WHERE {where} AND state IN ({outs}) GROUP BY state ORDER BY state",
            parameters,
        ).fetchall()
    )
    shown = "TRUE" if with_left_out else f"state NOT IN ({outs})"
    cursor = mart.execute(
        f"""
        SELECT record_key, dense_rank() OVER (ORDER BY priority DESC, amount_at_risk DESC, record_key) AS rank, * EXCLUDE (record_key)
        FROM listed WHERE {where} AND {shown} ORDER BY rank, rule_number, rule""",
        parameters,
    )
    names = [column[0] for column in cursor.description or []]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return Worklist(run[0], run[1], rows, left_out)


def list_breaches(mart: duckdb.DuckDBPyConnection, state: Path) -> None:
    """Temp table `listed` in the mart's connection: one row per record and definition that it breaches, whatever was decided."""
    mart.register("standing_decision", Decisions(state).standing())
    _rules(mart, state)
    mart.execute(_LIST)


def _conditions(mart: duckdb.DuckDBPyConnection, chosen: Chosen) -> tuple[str, list[Any]]:
    where, parameters = ["TRUE"], []
    for column, value in (("rule", rule_id(chosen.rule) if chosen.rule else None), ("owner", chosen.owner), ("who", chosen.who),
                          ("stage", chosen.stage), ("sales_process", chosen.sales_process)):  # fmt: skip
        if value is None:
            continue
        source = (
            "SELECT definition_id FROM dim_definition" if column == "rule" else f"SELECT DISTINCT {column} FROM listed"
        )
        known = [row[0] for row in mart.execute(source).fetchall() if row[0] is not None]
        if value not in known and (column == "rule" or known):
            what = {"sales_process": "process", "who": "person"}.get(column, column)
            raise SettingsError(
                f"the worklist knows no {what} '{value}'.{nearest(value, known)}", todo="`leanfunnel breaches` shows who and what it has."
            )  # fmt: skip
        where.append(f"{column} = ?")
        parameters.append(value)
    if chosen.age is not None:
        where.append("age = ?")
        parameters.append(chosen.age)
    return " AND ".join(where), parameters


def _rules(mart: duckdb.DuckDBPyConnection, state: Path) -> None:
    """Temp table `rule_said`: per definition and version when it was first measured, since when it holds, what it looks for.

    Read from the ledger, which keeps each version's text: the files may have changed since.
    """
    shape = "definition_id VARCHAR, definition_version INTEGER, first_measured_at TIMESTAMP, since_on DATE, looked_for VARCHAR"
    mart.execute(f"CREATE OR REPLACE TEMP TABLE rule_said ({shape})")
    files = AppendOnlyTable(state / RUNS).files()
    if not files:
        return
    listed = ", ".join(literal(file) for file in files)
    values = ", ".join(f"({literal(column)}, {literal(text)})" for column, text in _LOOKED_FOR.items())
    arguments = ", ".join(
        f"json_extract_string(definition, '$.expectations[*].arguments.{name}')"
        for name in ("column", "column_A", "column_B")
    )
    mart.execute(f"""
        INSERT INTO rule_said
        WITH version AS (
            SELECT definition_id, definition_version, arg_max(definition, run_seq) AS definition,
                min(as_of) FILTER (state = 'measured') AT TIME ZONE 'UTC' AS first_measured_at
            FROM read_parquet([{listed}], union_by_name = true) GROUP BY definition_id, definition_version
        ),
        looked AS (
            SELECT definition_id, definition_version, unnest(list_distinct(flatten([{arguments}]))) AS column_name FROM version
        ),
        said AS (
            SELECT definition_id, definition_version,
                string_agg(DISTINCT coalesce(s.said, l.column_name), '; ' ORDER BY coalesce(s.said, l.column_name)) AS looked_for
            FROM looked AS l LEFT JOIN (VALUES {values}) AS s (column_name, said) USING (column_name)
            WHERE column_name NOT IN ('as_of', 'as_of_on') GROUP BY definition_id, definition_version
        )
        SELECT definition_id, definition_version, first_measured_at,
            CAST(json_extract_string(definition, '$.since') AS DATE), looked_for
        FROM version LEFT JOIN said USING (definition_id, definition_version)""")


_LIST = f"""
CREATE OR REPLACE TEMP TABLE listed AS
WITH breach AS (
    -- one breach per record and definition: visits of one deal that breach one rule are one thing to mend
    SELECT
        coalesce(record_id, row_key) AS record_key, definition_id, any_value(definition_version) AS version,
        any_value(rule_number) AS rule_number, any_value(record_id) AS record_id, any_value(title) AS title, any_value(kind) AS kind,
        any_value(mode) AS mode, string_agg(observed_value, '; ' ORDER BY row_key) AS observed, any_value(threshold) AS threshold,
        any_value(why) AS rule_why, any_value(fix) AS fix, any_value(accountable) AS accountable,
        min(first_seen_at) AS first_seen_at, max(first_seen_at) AS newest_seen_at, max(days_known) AS days_known,
        any_value(as_of) AS as_of
    FROM rpt_definition_breaches WHERE status = 'breached' GROUP BY ALL
),
decided AS (
    SELECT
        b.record_key, b.definition_id,
        arg_max(d.assigned_to, d.decision_seq) FILTER (d.action = 'assign') AS assigned_to,
        max(d.decision_seq) FILTER (d.action <> 'assign') AS state_seq
    FROM breach AS b
    INNER JOIN standing_decision AS d
        ON d.record_id = b.record_id AND d.definition_id = b.definition_id AND d.definition_version = b.version
        -- a breach that came back after the decision is another one
        AND (b.newest_seen_at IS NULL OR b.newest_seen_at <= d.seen_as_of AT TIME ZONE 'UTC')
    GROUP BY ALL
),
usual AS (
    SELECT sales_process, quantile_disc(amount_corporate, 0.5) AS amount FROM fct_opportunities
    WHERE is_open AND NOT is_deleted AND amount_corporate > 0 GROUP BY sales_process
),
usual_of_all AS (
    SELECT quantile_disc(amount_corporate, 0.5) AS amount FROM fct_opportunities
    WHERE is_open AND NOT is_deleted AND amount_corporate > 0
),
joined AS (
    SELECT
        b.*, f.opportunity_name AS record_name, f.record_url, f.sales_process, f.stage_name AS stage, f.owner_name AS owner,
        f.amount_corporate AS amount, f.close_on, date_diff('day', run.as_of_on, f.close_on) AS days_to_close,
        f.amount_corporate IS NULL OR f.amount_corporate <= 0 AS amount_is_assumed,
        coalesce(CASE WHEN f.amount_corporate > 0 THEN f.amount_corporate END, usual.amount, usual_of_all.amount, 0) AS amount_at_risk,
        coalesce(f.is_open, NOT coalesce(f.is_won OR f.is_lost, FALSE)) AND NOT coalesce(f.is_deleted, FALSE) AS counts_as_open,
        t.action, t.until_on, t.seen_as_of AT TIME ZONE 'UTC' AS decided_as_of, d.assigned_to, run.as_of_on,
        CASE WHEN t.decision_seq IS NOT NULL THEN 'D' || t.decision_seq || ' ' || t.decided_by || coalesce(': ' || t.why, '') END
            AS last_decision,
        CASE WHEN b.first_seen_at <= r.first_measured_at AND coalesce(f.created_at < r.since_on, TRUE)
            THEN 'backlog' ELSE 'new' END AS age,
        r.looked_for,
        CASE
            WHEN d.assigned_to IS NOT NULL THEN d.assigned_to
            WHEN t.action = 'dispute' THEN said.owner
            WHEN b.accountable ILIKE '%opportunity owner%' OR lower(b.accountable) = 'owner'
                THEN coalesce(CASE WHEN o.is_active IS NOT FALSE THEN f.owner_name END, o.manager_name, said.owner)
            WHEN b.accountable ILIKE '%manager%' THEN coalesce(o.manager_name, said.owner)
            ELSE b.accountable
        END AS who
    FROM breach AS b
    CROSS JOIN dim_run AS run
    CROSS JOIN usual_of_all
    INNER JOIN dim_definition AS said ON said.definition_id = b.definition_id
    LEFT JOIN fct_opportunities AS f ON f.opportunity_id = b.record_id
    LEFT JOIN usual ON usual.sales_process = f.sales_process
    LEFT JOIN dim_owner AS o ON o.owner_id = f.owner_id
    LEFT JOIN decided AS d ON d.record_key = b.record_key AND d.definition_id = b.definition_id
    LEFT JOIN standing_decision AS t ON t.decision_seq = d.state_seq
    LEFT JOIN rule_said AS r ON r.definition_id = b.definition_id AND r.definition_version = b.version
)
SELECT
    record_key, record_id, record_name, record_url, sales_process, stage, owner, amount,
    CASE WHEN counts_as_open THEN amount_at_risk ELSE 0 END AS amount_at_risk, counts_as_open AND amount_is_assumed AS amount_is_assumed,
    close_on, days_to_close,
    CASE WHEN counts_as_open
        THEN round(CAST(amount_at_risk AS DOUBLE) * {NEARNESS_DAYS} / ({NEARNESS_DAYS} + greatest(coalesce(days_to_close, 0), 0)), 2)
        ELSE 0 END AS priority,
    definition_id AS rule, rule_number, version, title, kind, mode,
    CASE
        WHEN action = 'snooze' AND as_of_on < until_on THEN '{SNOOZED}'
        WHEN action = 'waive' AND (until_on IS NULL OR as_of_on < until_on) THEN '{WAIVED}'
        WHEN action = 'fixed' AND as_of <= decided_as_of THEN '{SAID_FIXED}'
        WHEN action = 'fixed' THEN 'said fixed, still breached'
        WHEN action = 'dispute' THEN 'disputed'
        ELSE '{OPEN}'
    END AS state,
    age, who, observed, threshold, looked_for, rule_why, fix, first_seen_at, days_known, until_on, last_decision
FROM joined
"""
