"""The register of experiments (kaizen): what was changed to move which metric, and what was foretold. People keep it.

`experiments.csv` holds one row per experiment. What came of each is measured by the views. Reading and checking only.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from dagster_project.errors import SettingsError, nearest

METRICS = (
    "arrivals", "closed", "won", "lost", "won_amount", "win_rate", "slips", "month_slips", "moves_back", "wip", "wip_amount",
    "wip_age",
)  # fmt: skip
"""The metrics that `rpt_flow_health` charts, by name."""

COLUMNS = ("experiment", "problem", "metric", "sales_process", "prediction", "start", "end", "owner")
_REQUIRED = ("experiment", "problem", "metric", "prediction", "start", "owner")


@dataclass(frozen=True)
class Experiment:
    """One row of the register, in the order of `control.experiment`. `sales_process` None: every one; `ends_on` None: it goes on."""

    experiment: str
    problem: str
    metric: str
    sales_process: str | None
    prediction: str
    starts_on: date
    ends_on: date | None
    owner: str

    @property
    def row(self) -> tuple[Any, ...]:
        """As `control.experiment` holds it."""
        return astuple(self)


def empty() -> str:
    """A register without a row: the header."""
    return ",".join(COLUMNS) + "\n"


def read(path: Path, sales_processes: Collection[str]) -> list[Experiment]:
    """The register at `path`; none where there is no file. `sales_processes`: those of the stage map.

    Raises SettingsError with file and line for each kind of mistake.
    """
    found: list[Experiment] = []
    lines: dict[str, int] = {}
    for line, cells in register_rows(path, COLUMNS):
        where = f"{path}, line {line}"
        one = _parse(cells, where, sales_processes)
        if one.experiment in lines:
            raise SettingsError(
                f"experiment '{one.experiment}' stands twice (first on line {lines[one.experiment]}).",
                where=where, todo="Give each its own name.",
            )  # fmt: skip
        lines[one.experiment] = line
        found.append(one)
    return found


def register_rows(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a register in CSV as (line, cells by column), empty lines left out; none where there is no file.

    Raises SettingsError where it is no text, or its header or a row does not fit.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError("cannot be read as UTF-8 text.", where=str(path)) from error
    reader = csv.reader(io.StringIO(text))
    header = tuple(cell.strip() for cell in next(reader, ()))
    if header != tuple(columns):
        raise SettingsError("has another header.", where=f"{path}, line 1", todo=f"Write: {','.join(columns)}")
    found = []
    for row in reader:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) != len(columns):
            raise SettingsError(
                f"has {len(cells)} cells, not {len(columns)}.",
                where=f"{path}, line {reader.line_num}",
                todo=f'Columns: {",".join(columns)}; a text with a comma in it stands in "quotes".',
            )
        found.append((reader.line_num, dict(zip(columns, cells, strict=True))))
    return found


def day(text: str, column: str, where: str) -> date:
    """The date that `text` says. Raises SettingsError."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"{column} '{text}' is no date.", where=where, todo="Write for example 2026-07-01."
        ) from None


def known_process(name: str, sales_processes: Collection[str], where: str) -> str:
    """`name`, if the stage map knows it. Raises SettingsError."""
    if name not in sales_processes:
        raise SettingsError(
            f"unknown sales_process '{name}'.{nearest(name, sales_processes)}",
            where=where,
            todo=f"Known from the stage map: {', '.join(sorted(sales_processes))}; empty: every one.",
        )
    return name


def _parse(cells: dict[str, str], where: str, sales_processes: Collection[str]) -> Experiment:
    for column in _REQUIRED:
        if not cells[column]:
            todo = (
                "Say beforehand what will become of the metric, and by how much: without that nothing is learned."
                if column == "prediction"
                else f"Fill in {column}."
            )
            raise SettingsError(f"there is no {column}.", where=where, todo=todo)
    if cells["metric"] not in METRICS:
        raise SettingsError(
            f"unknown metric '{cells['metric']}'.{nearest(cells['metric'], METRICS)}",
            where=where,
            todo=f"Known: {', '.join(METRICS)}.",
        )
    starts_on = day(cells["start"], "start", where)
    ends_on = day(cells["end"], "end", where) if cells["end"] else None
    if ends_on is not None and ends_on < starts_on:
        raise SettingsError(
            f"the end {ends_on} lies before the start {starts_on}.",
            where=where,
            todo="Mend one of them; an experiment that goes on has no end.",
        )
    return Experiment(
        cells["experiment"],
        cells["problem"],
        cells["metric"],
        known_process(cells["sales_process"], sales_processes, where) if cells["sales_process"] else None,
        cells["prediction"],
        starts_on,
        ends_on,
        cells["owner"],
    )
