"""Before a first load: what each object would take, counted at the org, against the day's budget. Reads no rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dagster_project.errors import BudgetReachedError, SalesforceError, SettingsError
from dagster_project.salesforce import plan, soql
from dagster_project.salesforce.budget import Bounds, Budget
from dagster_project.salesforce.client import SalesforceClient
from dagster_project.salesforce.description import readable_fields
from dagster_project.salesforce.extract import AT_ONCE
from dagster_project.salesforce.guards import Addresses
from dagster_project.salesforce.objects import OBJECTS, custom_object

# describe and the record of the organisation, the limits; logging in is not counted
_CALLS_A_RUN = 3


@dataclass(frozen=True)
class Survey:
    """The first load of an org as far as it can be foretold. `unknown`: {object: why it could not be counted}."""

    objects: tuple[plan.Estimate, ...]
    unknown: Mapping[str, str]
    calls_left: int | None
    jobs_left: int | None
    calls_per_run: int | None

    @property
    def calls(self) -> int:
        """API requests of the whole load."""
        return _CALLS_A_RUN + sum(one.calls for one in self.objects)

    @property
    def jobs(self) -> int:
        """Bulk query jobs of the whole load."""
        return sum(one.jobs for one in self.objects)

    @property
    def seconds(self) -> float:
        """Two objects are read at a time; the longest one bounds them all."""
        each = [one.seconds for one in self.objects]
        return max(sum(each) / AT_ONCE, max(each, default=0.0))

    @property
    def runs(self) -> int:
        """How many runs the bound on one run cuts it into."""
        return 1 if self.calls_per_run is None else math.ceil(self.calls / self.calls_per_run)

    def lines(self) -> list[str]:
        """What a person is told beside the table."""
        rows, size = sum(one.rows for one in self.objects), sum(one.bytes for one in self.objects)
        told = [
            f"in all     {rows:,} rows, {self.calls:,} API requests, {self.jobs:,} Bulk jobs, about {duration(self.seconds)}, "
            f"{size / 1e6:,.0f} MB of pages on the way",
            f"estimated  at {plan.BULK_ROWS_A_SECOND:,} rows a second by Bulk API, {plan.REST_ROWS_A_SECOND:,} by REST, "
            f"{plan.SECONDS_A_JOB:.0f} s for a job, {plan.BYTES_A_FIELD} bytes a value; the counts are the org's own",
        ]
        if self.calls_left is not None:
            fits = "enough" if self.calls <= self.calls_left else "too few: the run will stop, and the next one go on"
            told.append(f"budget     {self.calls_left:,} API requests may be sent now: {fits}")
        if self.jobs_left is not None and self.jobs > self.jobs_left:
            told.append(f"jobs       {self.jobs_left:,} Bulk jobs are left today: too few; REST is used where it fits")
        if self.runs > 1:
            told.append(f"runs       {self.runs}, at {self.calls_per_run:,} API requests a run (api_calls_per_run)")
        told += [f"unknown    {name}: {why}" for name, why in self.unknown.items()]
        return told


def survey(
    client: SalesforceClient,
    *,
    extra_fields: Mapping[str, Sequence[str]] | None = None,
    addresses: Addresses | None = None,
    bounds: Bounds | None = None,
) -> Survey:
    """Count every object of the catalogue and the custom ones of `extra_fields`; those that the org lacks are left out.

    Costs two requests an object. Raises SalesforceError where nothing can be asked.
    """
    extra, allowed = extra_fields or {}, bounds or Bounds()
    budget = Budget(allowed)
    budget.learn_limits(client.limits())
    specs = {**OBJECTS, **{name: custom_object(name) for name in extra if name.endswith("__c")}}
    found, unknown = [], {}
    for name, spec in specs.items():
        if not spec.described:
            continue
        try:
            description = client.describe(name)
            if description is None or not description.queryable:
                continue
            fields, _ = readable_fields(spec, description, extra.get(name, ()), (), addresses)
            everything = soql.Window(None, None, datetime.now(UTC))
            rows = client.count(soql.count(description, everything), doing=f"count of {name}")
        except BudgetReachedError:
            raise
        except (SalesforceError, SettingsError) as error:
            unknown[name] = error.what
            continue
        found.append(
            plan.estimate(
                name, rows, len(fields), rows_per_window=allowed.rows_per_window, cursor=description.cursor is not None
            )
        )
    found.sort(key=lambda one: (-one.rows, one.object))
    return Survey(tuple(found), unknown, budget.calls_left, budget.jobs_left, allowed.calls_per_run)


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
