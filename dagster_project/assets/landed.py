"""Step 1 as assets: one per Salesforce object, landed in one pass with one login; and the same in months, to be read again."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, timedelta
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    Failure,
    FreshnessPolicy,
    MaterializeResult,
    MetadataValue,
    MonthlyPartitionsDefinition,
    RetryPolicy,
    multi_asset,
)

from dagster_project import pipeline
from dagster_project.assets.failing import PATIENT, told
from dagster_project.errors import SalesforceError
from dagster_project.resources import WAREHOUSE_POOL, LeanfunnelResource

BACK_FILL = "back_fill"
# a day and the length of a run: one morning that was left out shows
DAILY = FreshnessPolicy.time_window(warn_window=timedelta(hours=26), fail_window=timedelta(hours=30))
# Salesforce has no older records of its own; one that was imported with an older date is read by a full load
MONTHS = MonthlyPartitionsDefinition(start_date="1999-01-01", timezone="UTC", end_offset=1)
_MONTHS_A_RUN = 12


def build_landed(retry: RetryPolicy = PATIENT) -> AssetsDefinition:
    """The landing log: key ["salesforce", <Object>] for every object of the catalogue."""
    objects = pipeline.object_names()
    specs = [
        _spec(
            "salesforce",
            name,
            description=f"Every version of {name} that was ever seen, appended to a Delta table.",
            freshness_policy=DAILY,
        )
        for name in objects
    ]

    @multi_asset(name="landed", specs=specs, can_subset=True, pool=WAREHOUSE_POOL, retry_policy=retry)
    def landed(context: AssetExecutionContext, leanfunnel: LeanfunnelResource) -> Iterator[MaterializeResult]:
        wanted = _selected(context)
        yield from _land(context, leanfunnel, wanted, objects=wanted if len(wanted) < len(objects) else None)

    return landed


def build_back_fill(retry: RetryPolicy = PATIENT) -> AssetsDefinition:
    """Months of the landing, to be read again: key ["back_fill", <Object>], partitioned by CreatedDate.

    What differs lands as a further batch in the object's one table; the next full path takes it up.
    """
    specs = [
        _spec(
            BACK_FILL,
            name,
            deps=[["salesforce", name]],
            description=f"{name} as created in a month, read once more: what differs from the landing is appended there.",
            partitions_def=MONTHS,
        )
        for name in pipeline.back_fill_names()
    ]

    @multi_asset(
        name=BACK_FILL,
        specs=specs,
        can_subset=True,
        pool=WAREHOUSE_POOL,
        retry_policy=retry,
        backfill_policy=BackfillPolicy.multi_run(_MONTHS_A_RUN),
    )
    def back_fill(context: AssetExecutionContext, leanfunnel: LeanfunnelResource) -> Iterator[MaterializeResult]:
        period = context.partition_time_window
        created = (period.start.astimezone(UTC), period.end.astimezone(UTC))
        yield from _land(context, leanfunnel, _selected(context), created=created)

    return back_fill


def _spec(group: str, name: str, **more: Any) -> AssetSpec:
    # skippable: the org may lack an object, and the run goes on
    key = [group, name]
    return AssetSpec(
        key=key,
        group_name="extract" if group == "salesforce" else group,
        kinds={"salesforce", "deltalake"},
        skippable=True,
        **more,
    )


def _selected(context: AssetExecutionContext) -> tuple[str, ...]:
    return tuple(sorted(key.path[-1] for key in context.selected_asset_keys))


def _land(
    context: AssetExecutionContext, leanfunnel: LeanfunnelResource, wanted: Sequence[str], **asked: Any
) -> Iterator[MaterializeResult]:
    """Extract, then one materialisation per object, with what came and what it cost."""
    with told():
        request = leanfunnel.request()
    keys = {key.path[-1]: key for key in context.selected_asset_keys}
    try:
        with told(), pipeline.writing(request.home, wait_seconds=3600):
            extracted = pipeline.extract(
                request,
                progress=lambda _, what, done, __: context.log.debug("%s %s", what, done),
                **({"objects": tuple(wanted)} | asked),
            )
    except Failure as failure:
        # what was landed before stays landed, and is told so
        before = failure.__cause__.landed if isinstance(failure.__cause__, SalesforceError) else {}
        for name in sorted(keys.keys() & before.keys()):
            yield MaterializeResult(asset_key=keys[name], metadata=_metadata(before[name]))
        raise
    for name in wanted:
        facts = extracted.facts.get(name)
        if facts is None:
            context.log.warning("%s: the org lacks it or hides it; left out", name)
            yield MaterializeResult(asset_key=keys[name], metadata={"state": "missing"})
            continue
        yield MaterializeResult(
            asset_key=keys[name],
            metadata={
                **_metadata(facts),
                "api_calls_left": extracted.api_calls_left,
                "server_time": MetadataValue.text(extracted.server_time.isoformat()),
            },
        )


def _metadata(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if value is not None} | {"dagster/row_count": facts["rows"]}
