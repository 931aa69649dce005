"""The `leanfunnel` command: reads settings, runs the path, shows what was published. No rule and no SQL of a model here.

Heavy imports stand inside the commands: `leanfunnel --help` must answer at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagster_project import commands_definitions, commands_erasure, commands_publish, commands_work, commands_writeback
from dagster_project.errors import LeanfunnelError
from dagster_project.interruption import was_asked
from dagster_project.options import HOME, Instant, publication_of, settings_of

if TYPE_CHECKING:
    from dagster_project.pipeline import Progress, RunReport
    from dagster_project.salesforce.survey import Survey


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="leanfunnel")
@click.option("--debug", is_flag=True, help="Show where an unexpected error arose.")
@click.pass_context
def leanfunnel(context: click.Context, debug: bool) -> None:
    """See the flow of sales: from a Salesforce org, through operational definitions, into a flow-metrics mart."""
    context.obj = debug


@leanfunnel.command()
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="Folder of the demo.",
)
@click.option("--seed", type=int, default=7, show_default=True, help="Another company for another number.")
@click.option("--opportunities", type=click.IntRange(200, 200_000), default=5000, show_default=True, help="Its size.")
@click.option("--fresh", is_flag=True, help="Delete the demo's folder first.")
def demo(home: Path, seed: int, opportunities: int, fresh: bool) -> None:
    """Run the whole path on a generated company and tell what a manager wants to read."""
    from dagster_project import demo_run, report

    with _progress() as progress:
        outcome = demo_run.run_demo(home, seed=seed, opportunities=opportunities, fresh=fresh, progress=progress)
    _tell_run(outcome)
    report.print_summary(outcome.home.current)


@leanfunnel.command()
@HOME
@click.option("--force", is_flag=True, help="Propose anew where a stage map or definitions stand already.")
def init(home: Path | None, force: bool) -> None:
    """Read the org; propose the stage map of each sales process, and the definitions in mode `observe`."""
    from dagster_project import pipeline

    settings = settings_of(home)
    with _progress() as progress:
        proposed = pipeline.initialise(settings.request(), progress=progress, force=force)
    for path, what in proposed.written:
        click.echo(f"wrote  {path}  ({what})")
    for path, why in proposed.kept:
        click.echo(f"kept   {path}  ({why})")
    click.echo(
        "Next: look the stage map over, then `leanfunnel run`; set a definition to `mode: enforce` once it is agreed."
    )


@leanfunnel.command()
@HOME
@click.option("--as-of", type=Instant(), help="Build the mart as it stood then (UTC; default: the org's clock).")
@click.option("--known-at", type=Instant(), help="With --as-of: only what had been extracted by then.")
@click.option("--from-landing", is_flag=True, help="Rebuild from the landing log; no call to Salesforce.")
@click.option("--rebuild", is_flag=True, help="Skip nothing, even if nothing changed.")
@click.option("--reconcile", is_flag=True, help="Compare all Ids and calculated fields with the org's now.")
def run(
    home: Path | None,
    as_of: datetime | None,
    known_at: datetime | None,
    from_landing: bool,
    rebuild: bool,
    reconcile: bool,
) -> None:
    """Extract, conform, audit, measure, publish. Skips what has not changed, and says so."""
    from dagster_project import pipeline

    settings = settings_of(home)
    request = settings.request(
        as_of=as_of, known_at=known_at, from_landing=from_landing, rebuild=rebuild, reconcile=reconcile
    )
    try:
        with _progress() as progress:
            outcome = pipeline.run(request, progress=progress)
    finally:
        for problem in request.teller.problems if request.teller else ():
            click.echo(f"look       {problem}", err=True)
    _tell_run(outcome)


@leanfunnel.command()
@HOME
@click.option("--plan", is_flag=True, help="Estimate the first load instead: rows, API requests, time, size by object.")
def doctor(home: Path | None, plan: bool) -> None:
    """Check the login, what can be read, history, customer responses, the API budget and the landing."""
    from dagster_project import doctor as checks

    settings = settings_of(home)
    if plan:
        _tell_plan(checks.first_load(settings.request()))
        return
    failed = 0
    for check in checks.examine(settings.request()):
        mark = {"ok": "ok  ", "warn": "look", "fail": "FAIL"}[check.state]
        click.echo(f"{mark}  {check.what}" + (f"\n      -> {check.todo}" if check.todo else ""))
        failed += check.state == "fail"
    if failed:
        raise SystemExit(1)


@leanfunnel.command()
@HOME
@click.argument("view", required=False)
@click.option("--format", "output", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True)
@click.option("--limit", type=click.IntRange(1), help="At most so many rows (table: 40 unless told).")
@click.option("--columns", metavar="A,B", help="These columns alone, in this order.")
def show(home: Path | None, view: str | None, output: str, limit: int | None, columns: str | None) -> None:
    """Show a published VIEW, e.g. rpt_stage_conversion; without one, list them."""
    from dagster_project import report

    picked = [name.strip() for name in (columns or "").split(",") if name.strip()]
    report.print_view(publication_of(home), view, output=output, limit=limit, columns=picked)


for _command in (
    commands_work.breaches, commands_work.decide, commands_work.digest, commands_work.sample, commands_definitions.definitions,
    commands_erasure.forget, commands_erasure.retain, commands_writeback.writeback, commands_publish.publish,
):  # fmt: skip
    leanfunnel.add_command(_command)


_STOPPED = "stopped by you; nothing is half landed or half published, and the next run goes on."


def main() -> None:
    """The entry point: every failure is one line on stderr and an exit code, never a traceback."""
    debug = "--debug" in sys.argv[1:]
    try:
        code = leanfunnel.main(standalone_mode=False, prog_name="leanfunnel")
        sys.exit(code if isinstance(code, int) else 0)
    except (click.exceptions.Abort, KeyboardInterrupt):
        _fail(_STOPPED, 130)
    except click.ClickException as error:
        error.show(sys.stderr)
        sys.exit(error.exit_code)
    except LeanfunnelError as error:
        if debug:
            raise
        if was_asked():
            _fail(f"{_STOPPED} It was here: {error}", 130)
        _fail(str(error), error.exit_code)
    except BrokenPipeError:
        # a reader such as `head` closed the pipe: not our failure; silence the flush at exit
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        if was_asked():
            _fail(_STOPPED, 130)
        text = " ".join(str(error).split())[:300]
        if isinstance(error, OSError) and error.errno in (27, 28, 122):  # EFBIG, ENOSPC, EDQUOT
            _fail(f"the disk is full ({error.filename or 'while writing'}). Free some space and run again.", 1)
        _fail(f"unexpected {type(error).__name__}: {text} (`leanfunnel --debug …` shows where; please report it)", 70)


def _fail(message: str, code: int) -> None:
    click.echo(f"leanfunnel: {message}", err=True)
    sys.exit(code)


def _tell_run(outcome: RunReport) -> None:
    for line in outcome.lines():
        click.echo(line)


def _tell_plan(survey: Survey) -> None:
    from dagster_project import report

    names = ["object", "rows", "by", "windows", "requests", "jobs", "MB", "seconds"]
    rows = [
        (one.object, one.rows, one.via, one.windows, one.calls, one.jobs, round(one.bytes / 1e6, 1), round(one.seconds))
        for one in survey.objects
    ]
    report.write_rows(names, rows, "table")
    for line in survey.lines():
        click.echo(line)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Steps as they go, on stderr: a live line on a terminal, else a line when a step ends."""
    from dagster_project.progress import console_progress

    with console_progress() as progress:
        yield progress
