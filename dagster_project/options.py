"""What the commands share: the kinds of their options, and the home that they work on. Imports nothing heavy."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dagster_project.errors import SettingsError

if TYPE_CHECKING:
    from dagster_project.settings import Settings


class Instant(click.ParamType):
    """An instant: ISO 8601; without an offset UTC; a bare date is its midnight in UTC."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """UTC datetime of `value`."""
        if isinstance(value, datetime):
            return value
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"'{value}' is no instant; write for example 2025-06-30 or 2025-06-30T12:00Z.", param, ctx)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


class Day(click.ParamType):
    """A calendar day as 2026-01-31."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Date of `value`."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"'{value}' is no date; write for example 2026-01-31.", param, ctx)


HOME = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the org's files (default: LEANFUNNEL_HOME or ./data).",
)


FORMAT = click.option(
    "--format", "output", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True
)


def settings_of(home: Path | None) -> Settings:
    """The settings of a home. Raises SettingsError."""
    from dagster_project import settings

    return settings.load(home)


def publication_of(home: Path | None) -> Path:
    """The folder of what is published. Raises SettingsError where nothing is."""
    current = settings_of(home).home.current
    if not current.exists():
        raise SettingsError(
            "nothing is published yet.",
            where=str(current),
            todo="Run `leanfunnel run` (or `leanfunnel demo`, then --home demo).",
        )
    from dagster_project.publish.publication import caveats

    for line in caveats(current):  # beside what is shown, so that no reader misses it and no JSON is spoilt
        click.echo(line, err=True)
    return current
