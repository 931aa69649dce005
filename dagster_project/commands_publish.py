"""The command that publishes what a rule stopped, on the record. No rule and no SQL here.

Heavy imports stand inside the command: `leanfunnel --help` must answer at once.
"""

from __future__ import annotations

import getpass
from datetime import UTC, date, datetime
from pathlib import Path

import click

from dagster_project.options import HOME, Day, settings_of


@click.command()
@HOME
@click.option("--despite", "rule", required=True, help="The rule that stopped the line, e.g. R02 or 2.")
@click.option("--who", required=True, help="Who answers for it; shown to every reader.")
@click.option("--why", required=True, help="The reason; shown to every reader.")
@click.option("--until", type=Day(), required=True, help="The first day on which the rule stops the line again.")
def publish(home: Path | None, rule: str, who: str, why: str, until: date) -> None:
    """Publish what the last run brought although a rule stopped it, on the record and until a day.

    Who and why stand in the manifest, in rpt_overrides and above what every command shows, until the day comes.
    """
    from dagster_project import pipeline
    from dagster_project.progress import console_progress

    request = settings_of(home).request()
    with console_progress() as progress:
        outcome = pipeline.publish_despite(
            request, rule, who=who, why=why, until=until, by=getpass.getuser(), at=datetime.now(UTC), progress=progress
        )
    for line in outcome.lines():
        click.echo(line)
