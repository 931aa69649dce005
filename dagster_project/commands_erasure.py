"""The commands that take data out of a home: `forget` records, and `retain` what is not past its days. No rule and no SQL here.

Heavy imports stand inside the commands: `leanfunnel --help` must answer at once.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dagster_project.options import HOME, settings_of

if TYPE_CHECKING:
    from dagster_project.erasure import Found
    from dagster_project.home import Home
    from dagster_project.settings import Settings


@click.command()
@click.argument("records", nargs=-1, required=True, metavar="ID...")
@click.option("--why", help="The number of the request, as `GDPR 2026-17`; no words about the person.")
@click.option("--by", help="Who does it (default: your login name).")
@click.option("--yes", is_flag=True, help="Do it; without this it is only shown.")
@HOME
def forget(records: tuple[str, ...], why: str | None, by: str | None, yes: bool, home: Path | None) -> None:
    """Erase records (Ids of 15 or 18 characters) from landing, state, warehouse and every publication, for good.

    What refers to them keeps the Id alone. A tombstone (Id, when, who, why) keeps them from coming back. Erase them in
    Salesforce too, and in what was exported or backed up.
    """
    from dagster_project import erasure
    from dagster_project.errors import SettingsError

    settings = settings_of(home)
    _has_landing(settings.home)
    if not yes:
        _tell(erasure.look(settings.home, records))
        click.echo("not written; the same command with --why and --yes forgets them")
        return
    if not (why or "").strip():
        raise SettingsError("no reason is given.", where="--why", todo="Write the number of the request.")
    with _writing(settings.home):
        found = erasure.forget(
            settings.home, records, by=by or getpass.getuser(), why=(why or "").strip(), at=datetime.now(UTC)
        )
    _tell(found)
    click.echo(f"forgotten  {', '.join(sorted(found.told.ids))}")
    _build(settings)


@click.command()
@click.option("--yes", is_flag=True, help="Do it; without this it is only shown.")
@HOME
def retain(yes: bool, home: Path | None) -> None:
    """Take out what is past its days (`retention_days` in leanfunnel.yml), as every run that extracts does."""
    from dagster_project import erasure, pipeline
    from dagster_project.errors import SettingsError

    settings = settings_of(home)
    days = settings.options.retention_days
    if not days:
        raise SettingsError(
            "no object has a limit.",
            where=str(settings.home.settings_file),
            todo="Write for example `retention_days: {EmailMessage: 730}`.",
        )
    with _writing(settings.home):
        at = datetime.fromisoformat(pipeline.read_org(settings.home).server_time)
        found = erasure.retain(settings.home.landing, days, at=at, write=yes)
    for one in found:
        click.echo(
            f"{'left' if yes else 'would leave'}  {one.object}: {one.rows:,} rows ({one.records:,} whole records) last touched "
            f"before {one.before:%Y-%m-%d %H:%M} UTC, {one.days} days; {one.kept:,} rows stay"
        )
    for name in sorted(set(days) - {one.object for one in found}):
        click.echo(f"nothing  {name}: none landed")
    if not yes:
        click.echo("not written; the same command with --yes takes them out")
    elif any(one.rows for one in found):
        _build(settings)


def _tell(found: Found) -> None:
    if found.also:
        click.echo(f"also       {', '.join(found.also)}: merged or converted into one of them")
    for place in found.places:
        parts = [f"{place.rows:,} rows go"] if place.rows else []
        parts += [f"{place.cells:,} cells are emptied"] if place.cells else []
        click.echo(f"{place.place:<10} {place.name}: {', '.join(parts)}")
    if not found.places:
        click.echo("nothing    of these records lies here; a tombstone keeps them out")


def _has_landing(home: Home) -> None:
    from dagster_project import pipeline

    pipeline.read_org(home)


@contextmanager
def _writing(home: Home) -> Iterator[None]:
    from dagster_project import pipeline

    with pipeline.writing(home):
        yield


def _build(settings: Settings) -> None:
    """Build and publish the mart without what was taken out, where there is one."""
    from dagster_project import pipeline
    from dagster_project.progress import console_progress

    if not settings.home.current.exists():
        return
    with console_progress() as progress:
        outcome = pipeline.run(settings.request(from_landing=True), progress=progress)
    for line in outcome.lines():
        click.echo(line)
