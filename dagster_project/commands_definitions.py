"""The commands for those who write definitions: check, diff, schema. No rule and no SQL here.

Heavy imports stand inside the commands: `leanfunnel --help` must answer at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dagster_project.errors import SettingsError
from dagster_project.options import FORMAT, HOME, settings_of

if TYPE_CHECKING:
    from dagster_project.contracts.report import DefinitionResult
    from dagster_project.contracts.trial import Change

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group()
def definitions() -> None:
    """Try definitions before they are switched on."""


@definitions.command()
@click.argument("folder", required=False, type=_FOLDER)
@HOME
@FORMAT
def check(folder: Path | None, home: Path | None, output: str) -> None:
    """Read the definitions of FOLDER (default: those that hold) and tell what each would flag on the records of the last run.

    Nothing is written.
    """
    from dagster_project import report
    from dagster_project.contracts import load_definitions
    from dagster_project.contracts.trial import never_seen, try_out

    settings = settings_of(home)
    read = load_definitions(folder or settings.definitions)
    conformed = settings.home.conformed
    odd = never_seen(conformed, read)
    changes = try_out(conformed, read)
    rows = []
    for change in changes:
        result = change.after
        assert result is not None
        samples = "\n".join(
            f"{one.record_name or one.record_id}: {one.observed_value or 'nothing found'}" for one in result.samples
        )
        rows.append(
            (
                result.definition_id, result.definition_version, result.title, result.kind.replace("_", " "), result.mode, result.threshold,
                _flagged(result),
                change.enters, change.leaves, result.met, result.unknown, result.stop_reason or result.state_cause, samples,
            )
        )  # fmt: skip
    report.write_rows(
        ["rule", "version", "title", "kind", "mode", "threshold", "would_flag", "newly", "no_longer", "met", "unknown", "remark",
         "samples"],
        rows,
        output,
    )  # fmt: skip
    for sentence in odd:
        click.echo(f"look       {sentence}", err=True)
    stops = [change.definition_id for change in changes if change.after and change.after.stops]
    stop = f"; {', '.join(stops)} would stop the publication" if stops else ""
    click.echo(f"{len(read)} definitions can be read{stop}; nothing was written", err=True)


@definitions.command()
@click.argument("old", type=_FOLDER)
@click.argument("new", type=_FOLDER)
@click.option(
    "--figures", "with_figures", is_flag=True, help="The published figures that differ, instead of the records."
)
@HOME
@FORMAT
def diff(old: Path, new: Path, with_figures: bool, home: Path | None, output: str) -> None:
    """Records that enter and leave each definition if those of NEW held instead of OLD (two folders), on the last run's records.

    What does not differ is left out. With --figures both marts are built apart, which takes as long as two runs from the audit
    on. Nothing is written.
    """
    from dagster_project import report
    from dagster_project.contracts import load_definitions
    from dagster_project.contracts.trial import compare, figures, not_raised

    before, after = load_definitions(old), load_definitions(new)
    for key in not_raised(before, after):
        click.echo(f"look       {key} asks for something else under the same version: raise `version`.", err=True)
    if with_figures:
        settings = settings_of(home)
        rows = figures(settings.home, settings.dbt_project, before, after)
        report.write_rows(
            ["figure", "basis", "process", "stage", "before", "n_before", "after", "n_after"], rows, output
        )
        click.echo(f"{len(rows)} figures differ; nothing was written", err=True)
        return
    changes = compare(settings_of(home).home.conformed, before, after)
    differing = [change for change in changes if not change.is_same]
    report.write_rows(
        ["rule", "title", "version_before", "version_after", "flagged_before", "flagged_after", "enter", "leave", "entering", "leaving"],
        [_difference(change) for change in differing],
        output,
    )  # fmt: skip
    click.echo(
        f"{len(differing)} of {len(changes)} definitions differ in what they say or flag; nothing was written", err=True
    )


@definitions.command()
@HOME
@click.option("--out", type=_FOLDER, help="Where to put them (default: `data_docs` in the home's warehouse).")
def docs(home: Path | None, out: Path | None) -> None:
    """Write Great Expectations' Data Docs of the definitions, on the records of the last run, for engineers.

    Static pages with counts, no values of records. Their style sheets come from the network, as Great Expectations makes them.
    """
    from dagster_project.contracts import load_definitions
    from dagster_project.contracts.auditing import write_data_docs

    settings = settings_of(home)
    conformed = settings.home.conformed
    if not conformed.exists():
        raise SettingsError("nothing was built here yet.", where=str(conformed), todo="Run `leanfunnel run` first.")
    folder = out or settings.home.warehouse / "data_docs"
    if folder.exists() and any(folder.iterdir()) and not (folder / "index.html").exists():
        raise SettingsError("the folder holds something else.", where=str(folder), todo="Name an empty folder.")
    click.echo(write_data_docs(conformed, load_definitions(settings.definitions), folder.resolve()))


@definitions.command()
def schema() -> None:
    """Print the JSON Schema of a definition file, for editors."""
    from dagster_project.contracts.loading import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


def _flagged(result: DefinitionResult | None) -> Any:
    """How many rows it flags, or why that is not known: its state, or that it does not stand."""
    if result is None:
        return "does not stand"
    return result.breached if result.state == "measured" else result.state


def _difference(change: Change) -> tuple[Any, ...]:
    result = change.after or change.before
    assert result is not None
    entering, leaving = (
        "\n".join(f"{one.record_name or one.record_id}: {one.observed_value or 'nothing found'}" for one in side)
        for side in (change.entering, change.leaving)
    )
    versions = [side.definition_version if side else None for side in (change.before, change.after)]
    return (
        change.definition_id, result.title, *versions, _flagged(change.before), _flagged(change.after), change.enters, change.leaves,
        entering, leaving,
    )  # fmt: skip
