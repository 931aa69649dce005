"""Targets: how much a fiscal quarter shall bring, by sales process and by team or owner. People keep them in `targets.csv`.

An amount is in corporate currency. Where there is no such file, the org's own quotas are taken, by the models. Reading and
checking only.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import astuple, dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from dagster_project.errors import SettingsError
from dagster_project.warehouse.experiments import known_process, register_rows

COLUMNS = ("fiscal_quarter", "sales_process", "team", "owner", "amount", "wins")
_QUARTER = re.compile(r"\d{4}-Q[1-4]")


@dataclass(frozen=True)
class Target:
    """One row, in the order of `control.target`. `sales_process` None: all together; neither team nor owner: the whole company."""

    fiscal_quarter: str
    sales_process: str | None
    team: str | None
    owner: str | None
    amount_corporate: Decimal | None
    wins: Decimal | None

    @property
    def row(self) -> tuple[Any, ...]:
        """As `control.target` holds it."""
        return astuple(self)


def empty() -> str:
    """A file without a target: the header."""
    return ",".join(COLUMNS) + "\n"


def read(path: Path, sales_processes: Collection[str]) -> list[Target]:
    """The targets at `path`; none where there is no file. `sales_processes`: those of the stage map.

    Raises SettingsError with file and line for each kind of mistake.
    """
    found: list[Target] = []
    lines: dict[tuple[str | None, ...], int] = {}
    for line, cells in register_rows(path, COLUMNS):
        where = f"{path}, line {line}"
        one = _parse(cells, where, sales_processes)
        key = (one.fiscal_quarter, one.sales_process, one.team, one.owner)
        if key in lines:
            raise SettingsError(
                f"the same quarter, process, team and owner have a target already (line {lines[key]}).",
                where=where, todo="Keep one.",
            )  # fmt: skip
        lines[key] = line
        found.append(one)
    return found


def _parse(cells: dict[str, str], where: str, sales_processes: Collection[str]) -> Target:
    if not _QUARTER.fullmatch(cells["fiscal_quarter"]):
        raise SettingsError(
            f"fiscal_quarter '{cells['fiscal_quarter']}' is no quarter.", where=where, todo="Write for example 2026-Q3."
        )
    if cells["team"] and cells["owner"]:
        raise SettingsError(
            "names a team and an owner.", where=where, todo="A target is of one of them, or of neither."
        )
    if not cells["amount"] and not cells["wins"]:
        raise SettingsError("has neither an amount nor wins.", where=where, todo="Fill in one of them, or both.")
    return Target(
        cells["fiscal_quarter"],
        known_process(cells["sales_process"], sales_processes, where) if cells["sales_process"] else None,
        cells["team"] or None,
        cells["owner"] or None,
        _above_zero(cells["amount"], "amount", where),
        _above_zero(cells["wins"], "wins", where),
    )


def _above_zero(text: str, column: str, where: str) -> Decimal | None:
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or not 0 < value < Decimal(10) ** 15:
        raise SettingsError(
            f"{column} '{text}' is no number above 0.",
            where=where,
            todo="Write for example 250000.00, without separators.",
        )
    return value
