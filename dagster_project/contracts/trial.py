"""Definitions tried on what is conformed already: judged in a scratch copy of the audited tables, so that nothing of the home
changes. Belongs here: the copy, and comparing two sets of definitions. Does not: judging (auditing), printing.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.contracts.auditing import audit
from dagster_project.contracts.conditions import literal, quoted
from dagster_project.contracts.definition import Definition
from dagster_project.contracts.entities import ENTITIES
from dagster_project.contracts.gx_client import AuditProcess
from dagster_project.contracts.report import DefinitionResult
from dagster_project.contracts.tables import definitions_table
from dagster_project.errors import WarehouseError, nearest
from dagster_project.home import Home
from dagster_project.warehouse.control import DEFINITION_COLUMNS
from dagster_project.warehouse.database import open_database
from dagster_project.warehouse.dbt_build import DbtBuild

SAMPLES = 5


@dataclass(frozen=True)
class Record:
    """One row that enters or leaves a definition."""

    record_id: str | None
    record_name: str | None
    record_url: str | None
    observed_value: str | None


@dataclass(frozen=True)
class Change:
    """One definition before and after. A result is None where the definition does not stand on that side; `before` also where
    the last run judged it. `enters` and `leaves` count rows that breach (a signal: that are signalled) on one side only;
    samples are the first by key.
    """

    definition_id: str
    before: DefinitionResult | None
    after: DefinitionResult | None
    enters: int
    leaves: int
    entering: tuple[Record, ...]
    leaving: tuple[Record, ...]

    @property
    def is_same(self) -> bool:
        """True where neither its text nor its verdicts differ, as far as readers see them."""
        if self.before is None or self.after is None or self.enters or self.leaves:
            return False
        shown = (
            "definition_version",
            "title",
            "kind",
            "mode",
            "state",
            "threshold",
            "raw",
            "met",
            "breached",
            "not_applicable",
            "unknown",
        )
        return all(getattr(self.before, name) == getattr(self.after, name) for name in shown)


def try_out(
    conformed: Path, definitions: Sequence[Definition], *, process: Callable[[], AuditProcess] = AuditProcess
) -> list[Change]:
    """What each definition would flag on the records of the last run, and who enters and leaves against that run's verdicts.

    `conformed` is only read. Raises WarehouseError where nothing is conformed, ContractError where the audit failed.
    """
    with tempfile.TemporaryDirectory(prefix="leanfunnel-") as place:
        scratch = Path(place) / "scratch.duckdb"
        as_of = _copy(conformed, scratch)
        _keep(scratch, "before")
        after = _judge(scratch, definitions, as_of, process())
        _keep(scratch, "after")
        with open_database(scratch, read_only=True) as connection:
            return [_change(connection, key, None, result) for key, result in after.items()]


def compare(
    conformed: Path,
    before: Sequence[Definition],
    after: Sequence[Definition],
    *,
    process: Callable[[], AuditProcess] = AuditProcess,
) -> list[Change]:
    """What changes, by definition, if `after` holds instead of `before`, on the records of the last run.

    `conformed` is only read. Raises WarehouseError where nothing is conformed, ContractError where an audit failed.
    """
    with tempfile.TemporaryDirectory(prefix="leanfunnel-") as place:
        scratch = Path(place) / "scratch.duckdb"
        as_of = _copy(conformed, scratch)
        sides = []
        for name, definitions in (("before", before), ("after", after)):
            sides.append(_judge(scratch, definitions, as_of, process()))
            _keep(scratch, name)
        known = sorted({*sides[0], *sides[1]}, key=lambda key: (int(key[1:]), key))
        with open_database(scratch, read_only=True) as connection:
            return [_change(connection, key, sides[0].get(key), sides[1].get(key)) for key in known]


def figures(
    home: Home,
    dbt_project: Path,
    before: Sequence[Definition],
    after: Sequence[Definition],
    *,
    process: Callable[[], AuditProcess] = AuditProcess,
) -> list[tuple[Any, ...]]:
    """The published figures that differ: (figure, basis, sales process, stage, before, n before, after, n after).

    Both marts are built apart, from a copy of what is conformed. A figure is a count, a share (0 to 1) or days; where it is not
    given, n alone may differ. Raises WarehouseError, ContractError.
    """
    with tempfile.TemporaryDirectory(prefix="leanfunnel-") as place:
        apart = Home(Path(place))
        apart.warehouse.mkdir(parents=True)
        with open_database(_present(home.conformed), read_only=True):  # no run may write while it is copied
            shutil.copyfile(home.conformed, apart.conformed)
        for name, definitions in (("before", before), ("after", after)):
            with open_database(apart.conformed) as connection:
                row = connection.execute("SELECT as_of FROM control.run").fetchone()
                inventory = connection.execute("SELECT object, field, status FROM control.field_inventory").fetchall()
                connection.execute("DELETE FROM control.definition")
                connection.executemany(
                    f"INSERT INTO control.definition ({', '.join(DEFINITION_COLUMNS)}) VALUES ({', '.join('?' * len(DEFINITION_COLUMNS))})",
                    [
                        [one[column] for column in DEFINITION_COLUMNS]
                        for one in definitions_table(definitions, inventory)
                    ],
                )
            assert row is not None
            audit(apart.conformed, definitions, apart.state, as_of=row[0], run_id=name, record=False, process=process())
            builder = DbtBuild(dbt_project, apart)
            # what a stage entry asks for decides the evidenced stages, which were conformed by the definitions that hold
            builder.build("conform", below="int_deal_state", tests=False)
            builder.build("measure")
            apart.building.rename(apart.warehouse / f"{name}.duckdb")
        with duckdb.connect() as connection:
            for name in ("before", "after"):
                connection.execute(
                    f"ATTACH {literal(str(apart.warehouse / f'{name}.duckdb'))} AS mart_{name} (READ_ONLY)"
                )
                connection.execute(f"CREATE TEMP TABLE figures_{name} AS {_FIGURES.format(mart=f'mart_{name}.mart')}")
            return connection.execute("""
                SELECT figure, basis, sales_process, stage_name, b.value, b.n, a.value, a.n
                FROM figures_before AS b FULL JOIN figures_after AS a USING (figure, basis, sales_process, stage_name)
                WHERE b.value IS DISTINCT FROM a.value OR b.n IS DISTINCT FROM a.n ORDER BY ALL
            """).fetchall()


def not_raised(before: Sequence[Definition], after: Sequence[Definition]) -> list[str]:
    """Definitions that ask for something else under the version that they had: their ledger would mix two meanings."""
    known = {definition.id: definition for definition in before}
    asks = {"sales_processes", "when", "expectations", "missing", "from_step", "entity"}
    return [
        new.id
        for new in after
        if new.id in known
        and new.version == known[new.id].version
        and new.model_dump(include=asks) != known[new.id].model_dump(include=asks)
    ]


_FIGURES = """
SELECT 'deals set aside' AS figure, 'all' AS basis, 'all' AS sales_process, 'all' AS stage_name, n_set_aside::DOUBLE AS value,
    n_opportunities::BIGINT AS n
FROM {mart}.rpt_run
UNION ALL
SELECT 'moved on within ' || conversion_days || ' days', basis, sales_process, stage_name, rate_within_days, n_rate
FROM {mart}.rpt_stage_conversion WHERE cohort = 'all' AND exit_kind = 'onward'
UNION ALL
SELECT 'median days in stage', basis, sales_process, stage_name, km_p50_days, n_visits FROM {mart}.rpt_stage_duration
UNION ALL
SELECT 'evidenced in the same stage: ' || replace(figure, 'stage_seconds', 'stage_days'), 'defined', sales_process, stage_name,
    evidenced_same::DOUBLE / CASE figure WHEN 'stage_seconds' THEN 86400 ELSE 1 END, NULL
FROM {mart}.rpt_evidenced_split WHERE view_name IN ('fct_opportunities', 'fct_stage_visits')"""


def never_seen(conformed: Path, definitions: Sequence[Definition]) -> list[str]:
    """Sales processes and other texts that a condition names and no record has, a sentence each: most often a slip of the pen."""
    told = []
    with open_database(_present(conformed), read_only=True) as connection:
        for definition in definitions:
            for column, value in _named_texts(definition):
                known = [
                    row[0]
                    for row in connection.execute(
                        f"SELECT DISTINCT {quoted(column)} FROM {definition.audited.relation} WHERE {quoted(column)} IS NOT NULL"
                    ).fetchall()
                ]
                if value not in known:
                    told.append(
                        f"{definition.id}: no {definition.entity} has {column} '{value}'.{nearest(value, known)}"
                    )
    return told


def _named_texts(definition: Definition) -> Iterator[tuple[str, str]]:
    named: dict[tuple[str, str], None] = {}
    for one in (condition for variant in definition.variants for condition in variant.conditions):
        values = one.value if isinstance(one.value, (list, tuple)) else [one.value]
        named |= {(one.column, value): None for value in values if isinstance(value, str)}
    yield from named


def _present(conformed: Path) -> Path:
    if not conformed.exists():
        raise WarehouseError(
            "there are no records to try definitions on.", where=str(conformed), todo="Run `leanfunnel run` first."
        )
    return conformed


def _copy(conformed: Path, scratch: Path) -> datetime:
    """The tables that an audit reads and writes, without the rest of the warehouse; returns its as_of."""
    tables = [
        *(entity.relation for entity in ENTITIES.values()),
        "control.run", "control.field_inventory", "audit.verdict", "audit.definition_run", "audit.ledger",
        "audit.definition_history", "audit.definition_count", "audit.held_scope", "audit.decision", "audit.sample",
    ]  # fmt: skip
    # held open first: where a run is writing, the error names this file and not the scratch
    with open_database(_present(conformed), read_only=True):
        return _copy_tables(conformed, scratch, tables)


def _copy_tables(conformed: Path, scratch: Path, tables: Sequence[str]) -> datetime:
    with open_database(scratch) as connection:
        # by the name that its views spell
        connection.execute(f"ATTACH {literal(str(conformed))} AS conformed (READ_ONLY)")
        for table in tables:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.partition('.')[0]}")
            connection.execute(f"CREATE TABLE {table} AS FROM conformed.{table}")
        row = connection.execute("SELECT as_of FROM control.run").fetchone()
    assert row is not None
    as_of: datetime = row[0]
    return as_of


def _judge(
    scratch: Path, definitions: Sequence[Definition], as_of: datetime, process: AuditProcess
) -> dict[str, DefinitionResult]:
    report = audit(
        scratch, definitions, scratch.parent / "state", as_of=as_of, run_id="trial", record=False, process=process
    )
    return {result.definition_id: result for result in report.results}


def _keep(scratch: Path, name: str) -> None:
    with open_database(scratch) as connection:
        connection.execute(
            f"CREATE TABLE verdict_{name} AS SELECT * FROM audit.verdict WHERE status IN ('breached', 'signalled')"
        )


def _change(
    connection: duckdb.DuckDBPyConnection, key: str, before: DefinitionResult | None, after: DefinitionResult | None
) -> Change:
    result = after or before
    assert result is not None
    entity = ENTITIES[result.entity]
    name, url = (column if column in entity.columns else "NULL" for column in ("record_name", "record_url"))

    def only_in(one: str, other: str) -> tuple[int, tuple[Record, ...]]:
        query = (
            f"FROM (SELECT * FROM verdict_{one} WHERE definition_id = ?) AS v "
            f"ANTI JOIN (SELECT * FROM verdict_{other} WHERE definition_id = ?) AS w USING (row_key) "
            f"INNER JOIN {entity.relation} AS e USING (row_key)"
        )
        count = connection.execute(f"SELECT count(*) {query}", [key, key]).fetchone()
        rows = connection.execute(
            f"SELECT v.record_id, {name}, {url}, v.observed_value {query} ORDER BY row_key LIMIT {SAMPLES}", [key, key]
        ).fetchall()
        assert count is not None
        return count[0], tuple(Record(*row) for row in rows)

    enters, entering = only_in("after", "before")
    leaves, leaving = only_in("before", "after")
    return Change(key, before, after, enters, leaves, entering, leaving)
