"""The commands for those who write definitions: check, diff, schema. No rule and no SQL here.

Heavy imports stand inside the commands: `leanfunnel --help` must answer at once.
"""

from __future__ import annotations

import json

import click


@click.group()
def definitions() -> None:
    """Try definitions before they are switched on."""


@definitions.command()
def schema() -> None:
    """Print the JSON Schema of a definition file, for editors."""
    from dagster_project.contracts.loading import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
