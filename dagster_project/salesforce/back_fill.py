"""A back-fill: the records of an object that were created in a period are read again, and what differs lands.

For what no cursor shows: a correction that kept its time stamps, a formula whose inputs changed, a batch that was lost.
CreatedDate never changes, so periods that follow each other read every record once. The watermark stays where it was:
the next run goes on as if there had been no back-fill. What was purged from the org is not found this way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from dagster_project.errors import SettingsError
from dagster_project.salesforce import soql
from dagster_project.salesforce.objects import OBJECTS

if TYPE_CHECKING:
    from dagster_project.salesforce.description import ObjectDescription
    from dagster_project.salesforce.extract import Batch

FIELD = "CreatedDate"
MODE = "back-fill"


class Landed(Protocol):
    """What a back-fill must know of the landing."""

    @property
    def watermark(self) -> Mapping[str, Any] | None:
        """{field, value} of the newest batch."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are landed."""

    @property
    def missing_fields(self) -> tuple[str, ...]:
        """Wanted fields that the newest batch came without."""


@dataclass(frozen=True)
class Period:
    """When the records were created: [since, before), UTC, whole seconds."""

    since: datetime
    before: datetime


def objects() -> tuple[str, ...]:
    """The objects of the catalogue that can be back-filled: those that say when a record was created."""
    return tuple(name for name, spec in OBJECTS.items() if FIELD in spec.by_name)


def window(description: ObjectDescription, period: Period, org_time: datetime) -> soql.Window:
    """The rows of a period. Raises SettingsError where the object cannot be asked by CreatedDate."""
    field = description.fields.get(FIELD)
    if field is None or not field.filterable:
        raise SettingsError(
            f"cannot be asked by {FIELD}, so no period of it can be read again.",
            where=description.name,
            todo="Leave this object out of the back-fill.",
        )
    return soql.Window(FIELD, period.since, min(period.before - timedelta(seconds=1), org_time))


def as_back_fill(batch: Batch, fields: Iterable[str], state: Landed) -> Batch:
    """The batch as it lands: with the watermark that stands, and with the fields that older rows still lack."""
    # a column that comes with this batch has no past in the log: the next run must still look at all rows once more
    lacking = {*state.missing_fields, *batch.missing_fields}
    if state.columns:
        lacking |= set(fields) - set(state.columns)
    return replace(batch, mode=MODE, watermark=state.watermark, missing_fields=tuple(sorted(lacking)))
