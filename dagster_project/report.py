"""What people read in a terminal: the summary, the worklist, any published view. Reads only what was published."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.errors import SettingsError, nearest
from dagster_project.publish.publication import PublishError, caveats, read_manifest

# a cell that a spreadsheet would run as a formula is prefixed with an apostrophe (OWASP, CSV injection)
_LONGEST_CELL = 300
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_TABLE_ROWS = 40
_WIDEST = 40


@contextmanager
def open_mart(publication: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published mart, read-only, with schema `mart` first. Raises PublishError."""
    path = publication / "leanfunnel.duckdb"
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise PublishError("cannot be opened.", where=str(path), todo="Run `leanfunnel run --rebuild`.") from error
    try:
        connection.execute("SET schema = 'mart'; SET enable_progress_bar = false")
        yield connection
    finally:
        connection.close()


def print_view(
    publication: Path, view: str | None, *, output: str, limit: int | None, columns: Sequence[str] = ()
) -> None:
    """A published table as a table, JSON or CSV; without a name, the list of them. `columns`: these alone, in this order.

    A table shows what fits the width of the screen, and names the rest. Raises SettingsError for what is not there.
    """
    with open_mart(publication) as mart:
        names = [
            row[0]
            for row in mart.execute(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'mart' ORDER BY 1"
            ).fetchall()
        ]
        if view is None:
            rows = mart.execute(
                "SELECT table_name, estimated_size, coalesce(comment, '') FROM duckdb_tables() WHERE schema_name = 'mart' "
                "ORDER BY table_name LIKE 'rpt%' DESC, 1"
            ).fetchall()
            write_rows(["view", "rows", "what"], [(n, r, _question(c)) for n, r, c in rows], output)
            return
        if view not in names:
            raise SettingsError(
                f"there is no view '{view}'.{nearest(view, names)}",
                where=str(publication),
                todo="`leanfunnel show` lists them.",
            )
        known = [row[0] for row in mart.execute(f'DESCRIBE "{view}"').fetchall()]
        for name in columns:
            if name not in known:
                raise SettingsError(f"{view} has no column '{name}'.{nearest(name, known)}", todo=", ".join(known))
        wanted = ", ".join(f'"{name}"' for name in columns) or "*"
        shown, rows = _query(mart, f'SELECT {wanted} FROM "{view}"', limit, output)
        if output == "table" and not columns:
            _print_fitting(shown, rows)
        else:
            write_rows(shown, rows, output)


def _print_fitting(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table of what fits the width of the screen; what it leaves out is said on stderr.

    One row, or rows that are all alike, are turned: a line for each column. What is the same in all rows is told once.
    """
    widths = [
        max(max(map(len, name.split("_"))), min(_WIDEST, max((len(_shown(row[at])) for row in rows), default=0))) + 3
        for at, name in enumerate(names)
    ]
    room = _console().width - 2
    if sum(widths) <= room:
        _console().print(_table(names, rows))
        return
    same = [at for at in range(len(names)) if rows and all(row[at] == rows[0][at] for row in rows)]
    if len(same) == len(names):
        _console().print(_table(["column", "value"], list(zip(names, rows[0], strict=True))))
        return
    shown: list[int] = []
    left: list[int] = []
    # people read names: Ids and links come last
    for at in sorted(range(len(names)), key=lambda at: names[at].endswith(("_id", "_url"))):
        if at in same or (at == 0 and names[at].endswith("_key")):
            continue
        if widths[at] <= room or not shown:
            shown.append(at)
            room -= widths[at]
        else:
            left.append(at)
            room = 0 if not names[at].endswith(("_id", "_url")) else room
    shown.sort()
    if same:
        told = " · ".join(f"{names[at]} {_shown(rows[0][at])}" for at in same)
        sys.stderr.write(f"the same in all of these rows: {told}\n")
    if left:
        sys.stderr.write(
            f"beyond the width of the screen: {', '.join(names[at] for at in left)}; --columns A,B picks, --format csv shows all\n"
        )
    table = _table([names[at] for at in shown], [[row[at] for at in shown] for row in rows])
    for column, at in zip(table.columns, shown, strict=True):
        column.width = min(widths[at] - 3, _console().width - 2)
    _console().print(table)


def print_worklist(
    items: Sequence[dict[str, Any]],
    breaches: Sequence[dict[str, Any]],
    *,
    columns: Sequence[str],
    output: str,
    limit: int | None,
    left_out: dict[str, int],
) -> None:
    """The worklist: a table and JSON with one item per record, CSV with a line per breach. `limit` counts records.

    How many there are, how many are older than their rule and how many are left out is said on stderr.
    """
    shown = items[: limit or (_TABLE_ROWS if output == "table" else None)]
    if output == "json":
        json.dump(shown, sys.stdout, indent=1, default=_plain)
        sys.stdout.write("\n")
    elif output == "csv":
        keep = {item["rank"] for item in shown}
        blank = ["decision", "until", "to", "why"]  # to be filled in and read back by `decide from-csv`
        rows = [[row[c] for c in columns] + [None] * len(blank) for row in breaches if row["rank"] in keep]
        write_rows([*columns, *blank], rows, output)
    else:
        write_rows(
            ["rank", "record", "stage", "amount", "close", "who", "what is owed: what was seen", "link"],
            [_item(item) for item in shown],
            output,
        )
    older = sum(row["age"] == "backlog" for row in breaches)
    away = "".join(f"; {count} {state}" for state, count in left_out.items())
    sys.stderr.write(
        f"{len(items)} records, {len(breaches)} breaches: {len(breaches) - older} new, {older} older than their rule"
        f"{f'; left out{away[1:]}' if away else ''}\n"
    )
    if len(shown) < len(items):
        sys.stderr.write(f"the first {len(shown)} records; --limit N shows more, --format csv all\n")


def _item(item: dict[str, Any]) -> list[Any]:
    owed = "\n".join(
        f"{one['rule']} {one['threshold']}: {one['observed'] or 'nothing found'}"
        + (f" [{one['state']}]" if one["state"] != "open" else "")
        + (" [backlog]" if one["age"] == "backlog" else "")
        + f"\n    {one['fix']}"
        for one in item["breaches"]
    )
    who = "\n".join(dict.fromkeys(one["who"] or "nobody" for one in item["breaches"]))
    amount = f"{_shown(item['amount_at_risk'])} (assumed)" if item["amount_is_assumed"] else item["amount"]
    return [item["rank"], item["record_name"] or item["record_id"], item["stage"], amount, item["close_on"], who, owed,
            item["record_url"]]  # fmt: skip


def _query(
    mart: duckdb.DuckDBPyConnection, query: str, limit: int | None, output: str, parameters: Sequence[Any] = ()
) -> tuple[list[str], list[tuple[Any, ...]]]:
    if limit is None and output == "table":
        limit = _TABLE_ROWS
    cursor = mart.execute(query, list(parameters))
    names = [column[0] for column in cursor.description or []]
    rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
    if limit is not None and len(rows) > limit:
        rows = rows[:limit]
        if output == "table":
            sys.stderr.write(f"the first {limit} rows; --limit N shows more, --format csv all\n")
    return names, rows


def write_rows(names: Sequence[str], rows: Sequence[Sequence[Any]], output: str) -> None:
    """Rows as a table, JSON (a list of objects) or CSV whose cells no spreadsheet runs as a formula; on stdout."""
    if output == "json":
        json.dump([dict(zip(names, map(_plain, row), strict=True)) for row in rows], sys.stdout, indent=1)
        sys.stdout.write("\n")
    elif output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([[_cell(_plain(value)) for value in row] for row in rows])
    else:
        _console().print(_table(names, rows))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _console() -> Any:
    from rich.console import Console

    # a pipe has no width: wide enough that no cell is folded
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", pad_edge=False)
    for at, name in enumerate(names):
        numeric = any(isinstance(row[at], int | float | Decimal) and not isinstance(row[at], bool) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_shown(value) for value in row))
    return table


def _shown(value: Any) -> str:
    from rich.markup import escape

    if value is None:
        return "·"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float | Decimal):
        return f"{value:,.0f}" if abs(float(value)) >= 1000 else f"{value:,.2f}".rstrip("0").rstrip(".")
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M") if value.time() != datetime.min.time() else value.strftime("%Y-%m-%d")
    text = str(value)
    # a list of thousands of record ids is for csv and json, which hold it whole
    return escape(text if len(text) <= _LONGEST_CELL else text[:_LONGEST_CELL] + " …")


def _question(text: str) -> str:
    """The question that a view answers, else the first words of its description."""
    flat = " ".join(text.split())
    asked = [part.rsplit(". ", 1)[-1] + "?" for part in flat.split("?")[:1] if "?" in flat]
    return asked[0] if asked else flat[:100]


def print_summary(publication: Path) -> None:
    """What a manager reads first: the constraint, the conversion by stage, the deals that need a hand, the definitions."""
    from rich.markup import escape

    console = _console()
    manifest = read_manifest(publication)
    with open_mart(publication) as mart:
        run = _record(mart, "SELECT * FROM rpt_run")
        console.print(
            f"\n[bold]As of {_shown(run['as_of'])} UTC[/bold]   {run['n_open']:,} open deals, {run['n_won']:,} won, "
            f"{run['n_lost']:,} lost; {run['n_set_aside']:,} set aside because they contradict themselves"
        )
        console.print("\n[bold]Where is the constraint?[/bold]")
        for line in _constraint_lines(mart):
            console.print(f"  {line}")
        console.print(
            _table(
                ["process", "stage", "entered", "moved on", "95 % interval", "with evidence", "95 % interval ", "n"],
                mart.execute(_CONVERSION).fetchall(),
                title=f"Conversion: of first entries, the share that moved on within {run['conversion_days']} days",
            )
        )
        console.print(
            _table(
                ["deal", "owner", "stage", "days there", "amount", "why"],
                mart.execute(_NEEDS_A_HAND).fetchall(),
                title="Deals that need a hand first",
            )
        )
        console.print(
            _table(
                ["rule", "what was agreed", "kind", "met", "needs a look", "unknown", "state"],
                mart.execute(_SCORECARD).fetchall(),
                title="What needs a look, by definition",
            )
        )
    assert manifest is not None
    for line in caveats(publication):
        console.print(f"[bold]{escape(line)}[/bold]")
    console.print(f"The mart: {publication / 'leanfunnel.duckdb'} (schema mart), Parquet beside it", soft_wrap=True)
    home = publication.parent.parent
    console.print(f"Next: leanfunnel breaches --home {home} · leanfunnel show --home {home}", soft_wrap=True)


_CONVERSION = """
SELECT reported.sales_process, reported.stage_name, reported.n_entered, reported.shown, reported.span, defined.shown, defined.span,
       defined.n_rate
FROM (
    SELECT *, CASE WHEN rate_within_days IS NULL THEN reads ELSE format('{:.0f} %', 100 * rate_within_days) END AS shown,
           CASE WHEN rate_lower IS NULL THEN '' ELSE format('{:.0f} to {:.0f} %', 100 * rate_lower, 100 * rate_upper) END AS span
    FROM rpt_stage_conversion WHERE cohort = 'all' AND exit_kind = 'onward' AND basis = 'reported'
) AS reported
LEFT JOIN (
    SELECT *, CASE WHEN rate_within_days IS NULL THEN reads ELSE format('{:.0f} %', 100 * rate_within_days) END AS shown,
           CASE WHEN rate_lower IS NULL THEN '' ELSE format('{:.0f} to {:.0f} %', 100 * rate_lower, 100 * rate_upper) END AS span
    FROM rpt_stage_conversion WHERE cohort = 'all' AND exit_kind = 'onward' AND basis = 'defined'
) AS defined USING (sales_process, stage_name)
ORDER BY reported.sales_process, reported.stage_order"""

_NEEDS_A_HAND = """
SELECT opportunity_name, owner_name, stage_name, round(age_days), round(amount_corporate), attention_reason
FROM rpt_wip_aging ORDER BY attention_rank LIMIT 8"""

_SCORECARD = """
SELECT definition_id, title, replace(kind, '_', ' '), met, breached, unknown,
       CASE WHEN state = 'measured' THEN mode ELSE state || coalesce(': ' || state_cause, '') END
FROM rpt_definition_scorecard WHERE scope = 'all' AND is_latest ORDER BY rule_number"""


def _constraint_lines(mart: duckdb.DuckDBPyConnection) -> Iterator[str]:
    newest = mart.execute("""
        SELECT sales_process, location, limiting_stage_name, verdict, state, theta_wins, evidence_for, evidence_against
        FROM rpt_bottleneck WHERE basis = 'reported' AND week_starts_on = (SELECT max(week_starts_on) FROM rpt_bottleneck)
        ORDER BY sales_process, verdict = 'constraint' DESC, theta_wins NULLS LAST, location""").fetchall()
    for process in dict.fromkeys(row[0] for row in newest):
        rows = [row for row in newest if row[0] == process]
        found = [row for row in rows if row[3] == "constraint"]
        if found:
            _, location, stage, _, _, wins, why, against = found[0]
            at_most = f", {wins:.1f} wins a week at the most" if wins is not None else ""
            at = f", at {stage}" if stage else ""
            yield f"{process}: [bold]{location}[/bold]{at}{at_most}. For it: {_clean(why)}."
            if _clean(against):
                yield f"{' ' * len(process)}  Against it: {_clean(against)}."
        else:
            measured = [row for row in rows if row[4] == "measured"]
            closest = measured[0] if measured else rows[0]
            yield f"{process}: undetermined: the evidence does not agree. Nearest: {closest[1]} ({_clean(closest[7])})."
    unmeasured = sorted({row[1] for row in newest if row[4] != "measured"})
    if unmeasured:
        yield f"[dim]Not measured: {', '.join(unmeasured)} (leads, campaigns and cases are not loaded).[/dim]"


def _clean(text: str | None) -> str:
    return (text or "").strip().rstrip(";. ")


def _record(mart: duckdb.DuckDBPyConnection, query: str) -> dict[str, Any]:
    cursor = mart.execute(query)
    row = cursor.fetchone()
    if row is None:
        raise PublishError("holds no run.", where="rpt_run", todo="Run `leanfunnel run --rebuild`.")
    return dict(zip([column[0] for column in cursor.description or []], row, strict=True))
