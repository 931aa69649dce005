"""The commands of every morning: the worklist, what is decided about it, and the weekly sample. No rule and no SQL here.

Heavy imports stand inside the commands: `leanfunnel --help` must answer at once.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dagster_project.errors import SettingsError
from dagster_project.options import FORMAT, HOME, Day, publication_of, settings_of

if TYPE_CHECKING:
    from dagster_project.contracts.decisions import Breach, Decision
    from dagster_project.contracts.worklist import Worklist

_F = TypeVar("_F", bound=Callable[..., Any])
_PREVIEW = 10


def _chosen(command: _F) -> _F:
    """The options that pick breaches."""
    for option in (
        click.option("--process", "sales_process", help="Only records of this sales process."),
        click.option("--stage", help="Only records that stand in this stage."),
        click.option("--who", help="Only what this person (or role) is to act on."),
        click.option("--owner", help="Only records of this owner (name)."),
        click.option("--rule", help="Only this definition, e.g. R07 or 7."),
    ):
        command = option(command)
    return command


@click.command()
@HOME
@FORMAT
@_chosen
@click.option("--new", "age", flag_value="new", help="Only breaches that are not older than their rule.")
@click.option("--backlog", "age", flag_value="backlog", help="Only breaches that are older than their rule.")
@click.option("--all", "everything", is_flag=True, help="Those snoozed, waived or said fixed too.")
@click.option("--limit", type=click.IntRange(1), help="At most so many records (table: 40 unless told).")
def breaches(
    home: Path | None, output: str, age: str | None, everything: bool, limit: int | None, **chosen: str | None
) -> None:
    """What needs a look, one item per record, most at risk first: what was seen, what is owed, who, and the fix."""
    from dagster_project import report
    from dagster_project.contracts.worklist import COLUMNS

    found = _worklist(home, {**chosen, "age": age}, everything=everything)
    report.print_worklist(
        found.items,
        found.breaches,
        columns=COLUMNS,
        output=output,
        limit=limit,
        left_out={} if everything else found.left_out,
    )


@click.group()
def decide() -> None:
    """Decide what happens to breaches: assign, snooze, waive, dispute, fixed. Kept for good; undone by `decide undo`."""


_WHY = click.option("--why", help="The reason, for those who read it later.")
_BY = click.option("--by", help="Who decides (default: your login name).")
_YES = click.option("--yes", is_flag=True, help="Write it; without this a choice by filter or file is only shown.")


def _deciding(action: str, text: str, *options: Callable[[Any], Any]) -> None:
    """Add the command of one kind of decision."""

    @click.argument("records", nargs=-1)
    @_chosen
    @_WHY
    @_BY
    @_YES
    @HOME
    def command(
        records: tuple[str, ...], why: str | None, by: str | None, yes: bool, home: Path | None,
        until: date | None = None, to: str | None = None, **chosen: str | None,
    ) -> None:  # fmt: skip
        from dagster_project.contracts.decisions import DecisionError, by_record, match, wanting

        if not records and not any(chosen.values()):
            raise DecisionError(
                "it is not said what is decided about.", todo="Name records by Id, or choose by --rule, --owner, --who, --stage, --process."
            )  # fmt: skip
        # a rule beside a record is matched below, where it can be said what else stands for the record
        found = _worklist(home, {**chosen, "rule": None} if records else chosen, everything=True)
        wrong = wanting(action, why=why, until=until, to=to, as_of_on=found.as_of_on)
        if wrong:
            raise DecisionError(wrong[0], todo=wrong[1])
        standing = by_record(found.standing)
        picked = (
            [one for record in records for one in match(standing, record, chosen["rule"])] if records else found.open
        )
        decided = _decisions(dict.fromkeys(picked), action, why=why, until=until, to=to)
        _write(home, found, decided, by=by, write=yes or bool(records))

    command.__doc__ = text
    for option in options:
        command = option(command)
    decide.command(action)(command)


_deciding(
    "assign",
    "Assign breaches to a person: of RECORDS (by Id), or of all that the options choose.",
    click.option("--to", required=True, help="The person who is to act."),
)
_deciding(
    "snooze",
    "Leave breaches out of the list until a day.",
    click.option("--until", type=Day(), required=True, help="The first day on which they are shown again."),
)
_deciding(
    "waive",
    "Accept breaches as they are: left out for good, or until a day. A new version of the rule asks again.",
    click.option("--until", type=Day(), help="The first day on which they are shown again."),
)
_deciding("dispute", "Say that breaches are wrong: the owner of the definition is to look at them.")
_deciding("fixed", "Say that breaches are mended: left out until the next run, which tells.")


@decide.command("from-csv")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_BY
@_YES
@HOME
def from_csv(file: Path, by: str | None, yes: bool, home: Path | None) -> None:
    """Read decisions from FILE: record_id, decision and, where needed, rule, until, to, why. All lines or none."""
    from dagster_project.contracts.decisions import DecisionError, by_record, match, read_csv, told_all

    found = _worklist(home, {}, everything=True)
    standing = by_record(found.standing)
    decided: list[Decision] = []
    mistakes = []
    for asked in read_csv(file, as_of_on=found.as_of_on):
        try:
            picked = match(standing, asked.record_id, asked.rule)
        except DecisionError as error:
            mistakes.append(f"{file}:{asked.line}: {error}")
            continue
        decided += _decisions(
            dict.fromkeys(picked), asked.action, why=asked.why, until=asked.until_on, to=asked.assigned_to
        )
    told_all(mistakes)
    if not decided:
        raise DecisionError("no line holds a decision.", where=str(file), todo="Write one under `decision`, as snooze.")
    _write(home, found, decided, by=by, write=yes)


@decide.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_WHY
@_BY
@HOME
def undo(names: tuple[str, ...], why: str | None, by: str | None, home: Path | None) -> None:
    """Take back decisions (D12) or whole batches (B4). The rows stay; a further one takes them back."""
    from dagster_project.contracts.decisions import Decisions

    found = _worklist(home, {}, everything=True)
    count = Decisions(settings_of(home).home.state).undo(
        names, by=by or getpass.getuser(), why=why, at=datetime.now(UTC), seen_as_of=found.as_of
    )
    click.echo(f"took back  {count} decisions")


@decide.command("list")
@click.option("--record", help="Only this record (Id).")
@FORMAT
@HOME
def list_(record: str | None, output: str, home: Path | None) -> None:
    """Every decision in order, those taken back too."""
    from dagster_project import report
    from dagster_project.contracts.decisions import Decisions

    rows = Decisions(settings_of(home).home.state).rows().to_pylist()
    undone = {row["undoes_seq"]: row["decision_seq"] for row in rows if row["undoes_seq"] is not None}
    report.write_rows(
        ["decision", "batch", "what", "record_id", "rule", "version", "until", "to", "why", "by", "at", "undone_by"],
        [
            (
                f"D{row['decision_seq']}", f"B{row['batch_seq']}",
                f"undo D{row['undoes_seq']}" if row["undoes_seq"] is not None else row["action"], row["record_id"],
                row["definition_id"], row["definition_version"], row["until_on"], row["assigned_to"], row["why"], row["decided_by"],
                row["decided_at"], f"D{undone[row['decision_seq']]}" if row["decision_seq"] in undone else None,
            )
            for row in rows if record is None or record in (row["record_id"], row["record_id"][:15])
        ],
        output,
    )  # fmt: skip


def _worklist(home: Path | None, chosen: dict[str, str | None], *, everything: bool) -> Worklist:
    from dagster_project import report
    from dagster_project.contracts.worklist import Chosen, worklist

    with report.open_mart(publication_of(home)) as mart:
        return worklist(mart, settings_of(home).home.state, Chosen(**chosen), with_left_out=everything)


def _decisions(
    picked: dict[Breach, None], action: str, *, why: str | None, until: date | None, to: str | None
) -> list[Decision]:
    from dagster_project.contracts.decisions import Decision

    return [Decision(action, breach, why, until, to) for breach in picked]


def _write(home: Path | None, found: Worklist, decided: list[Decision], *, by: str | None, write: bool) -> None:
    from dagster_project.contracts.decisions import Decisions

    names = {row["record_id"]: row["record_name"] for row in found.breaches}
    for one in decided[:_PREVIEW]:
        more = [
            f"until {one.until_on}" if one.until_on else "",
            f"to {one.assigned_to}" if one.assigned_to else "",
            one.why or "",
        ]
        click.echo(
            f"{one.action}  {one.breach.definition_id}  {one.breach.record_id}  {names.get(one.breach.record_id) or ''}"
            f"  {'; '.join(part for part in more if part)}".rstrip()
        )
    if len(decided) > _PREVIEW:
        click.echo(f"… and {len(decided) - _PREVIEW} more")
    records = len({one.breach.record_id for one in decided})
    what = f"{len(decided)} breaches of {records} records"
    if not decided:
        click.echo("nothing stands that fits: nothing is decided")
    elif not write:
        click.echo(f"not written: {what}; the same command with --yes writes it")
    else:
        batch = Decisions(settings_of(home).home.state).append(
            decided, by=by or getpass.getuser(), at=datetime.now(UTC), seen_as_of=found.as_of
        )
        click.echo(f"decided    {what} as B{batch}; `leanfunnel decide undo B{batch}` takes it back")


@click.command()
@click.option("--week", required=True, help="An ISO week, as 2026-W27, or a day in it.")
@click.option("--each", type=click.IntRange(1, 500), default=5, show_default=True, help="Records of each stratum.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another sample for another number.")
@click.option("--verdicts", type=click.Path(path_type=Path, dir_okay=False), help="Read back the sample, filled in.")
@_BY
@FORMAT
@HOME
def sample(
    week: str, each: int, seed: int, verdicts: Path | None, by: str | None, output: str, home: Path | None
) -> None:
    """Draw open, lost and won deals and given-up leads of a week, to look at with the customer's evidence; read the verdicts back.

    Save it as CSV, write right, wrong or cannot tell under `verdict`, and read it back by --verdicts. A week is drawn once.
    """
    from dagster_project import report
    from dagster_project.contracts.sample import draw, record_verdicts, shares, week_of

    monday, settings = week_of(week), settings_of(home)
    if verdicts is None:
        with report.open_mart(publication_of(home)) as mart:
            rows, is_new = draw(mart, settings.home.state, monday, per_stratum=each, seed=seed)
        names = list(rows[0]) if rows else ["stratum", "record_id"]
        report.write_rows(names, [list(row.values()) for row in rows], output)
        told = (
            f"{len(rows)} records drawn for"
            if is_new
            else f"{len(rows)} records, drawn before for"
            if rows
            else "no record fits"
        )
        click.echo(f"{told} the week of {monday}", err=True)
        return
    count = record_verdicts(settings.home.state, monday, verdicts, by=by or getpass.getuser(), at=datetime.now(UTC))
    minimum_n = settings.options.minimum_n
    told_shares = [
        (span, one)
        for span, of in ((f"week of {monday}", monday), ("all weeks", None))
        for one in shares(settings.home.state, of, minimum_n=minimum_n)
    ]
    names = ["of", *told_shares[0][1].__dataclass_fields__]
    report.write_rows(names, [[span, *vars(one).values()] for span, one in told_shares], output)
    click.echo(f"kept       {count} verdicts on the week of {monday}", err=True)


@click.command()
@click.option("--send", "sending", is_flag=True, help="Send it to those who did not get this week's.")
@HOME
def digest(sending: bool, home: Path | None) -> None:
    """Show the weekly digest: for each person at most ten items with fixes, for managers counts by cause; or send it.

    People get their own items by e-mail, to the addresses in addresses.csv of the home (owner,address).
    """
    from dagster_project.alerts import digest as digests

    settings = settings_of(home)
    if not sending:
        found = digests.read(settings.home)
        for who, (title, text) in [("managers", found.counts), *sorted(found.by_person.items())]:
            click.echo(f"== {who}: {title}\n{text}\n")
        return
    teller = settings.teller
    if teller is None:
        raise SettingsError(
            "nobody is named who could get it.", where=str(settings.home.settings_file), todo="Write alerts: [email], say; see README."
        )  # fmt: skip
    for line in digests.send(settings.home, teller):
        click.echo(line)
    for problem in teller.problems:
        click.echo(f"look       {problem}", err=True)
    if teller.problems:
        raise SystemExit(1)
