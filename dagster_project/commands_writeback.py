"""The command that writes the worklist back to the org. No rule and no SQL here.

Heavy imports stand inside the command: `leanfunnel --help` must answer at once.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from dagster_project.options import FORMAT, HOME, publication_of, settings_of


@click.command()
@HOME
@FORMAT
@click.option("--yes", is_flag=True, help="Write it; without this it is only shown.")
@click.option("--dry-run", is_flag=True, help="Only show it, which is what happens without --yes too.")
@click.option(
    "--as", "form", type=click.Choice(["object", "tasks"]), help="Items of its own object, or tasks (default: as set)."
)
@click.option("--limit", type=click.IntRange(1), help="Write at most so many records, most at risk first.")
def writeback(home: Path | None, output: str, yes: bool, dry_run: bool, form: str | None, limit: int | None) -> None:
    """Show what of the worklist is to be written to Salesforce, and with --yes write it. Off until leanfunnel.yml says so."""
    from dagster_project import pipeline, report
    from dagster_project import writeback as back
    from dagster_project.errors import SettingsError

    settings = settings_of(home)
    if settings.options.write_back == "off":
        raise SettingsError(
            "writing back is switched off.",
            where=str(settings.home.settings_file),
            todo="Write `write_back: object` or `write_back: tasks` there.",
        )
    if yes and dry_run:
        raise SettingsError("--yes and --dry-run exclude each other.", todo="Give one of them.")
    publication_of(home)
    login = settings.credentials(), settings.login.api_version
    with pipeline.writing(settings.home) if yes else nullcontext():
        outcome = back.write_back(
            settings.home, *login, form or settings.options.write_back, bounds=settings.bounds, write=yes, limit=limit
        )
    in_full = output != "table"
    names = ["action", "record", "name", "accountable", "note", "fields" if in_full else "rules"]
    report.write_rows(names, back.shown(outcome, in_full=in_full), output)
    for line in back.told(outcome, wrote=yes):
        click.echo(line, err=True)
    if outcome.refused:
        raise SystemExit(3)
