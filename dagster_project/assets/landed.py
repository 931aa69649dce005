"""Step 1 as assets: one per Salesforce object, landed in one pass with one login."""

from collections.abc import Iterator

from dagster import AssetExecutionContext, AssetsDefinition, AssetSpec, MaterializeResult, MetadataValue, multi_asset

from dagster_project import pipeline
from dagster_project.resources import WAREHOUSE_POOL, LeanfunnelResource


def build_landed() -> AssetsDefinition:
    """The landing log: key ["salesforce", <Object>] for every object of the catalogue."""
    objects = pipeline.object_names()
    specs = [
        AssetSpec(
            key=["salesforce", name],
            group_name="extract",
            kinds={"salesforce", "deltalake"},
            skippable=True,
            description=f"Every version of {name} that was ever seen, appended to a Delta table.",
        )
        for name in objects
    ]

    @multi_asset(name="landed", specs=specs, can_subset=True, pool=WAREHOUSE_POOL)
    def landed(context: AssetExecutionContext, leanfunnel: LeanfunnelResource) -> Iterator[MaterializeResult]:
        wanted = tuple(sorted(key.path[-1] for key in context.selected_asset_keys))
        request = leanfunnel.request()
        with pipeline.writing(request.home, wait_seconds=3600):
            extracted = pipeline.extract(
                request,
                objects=wanted if len(wanted) < len(objects) else None,
                progress=lambda _, what, done, __: context.log.debug("%s %s", what, done),
            )
        for name in wanted:
            facts = extracted.facts.get(name)
            if facts is None:
                context.log.warning("%s: the org lacks it or hides it; left out", name)
                yield MaterializeResult(asset_key=["salesforce", name], metadata={"state": "missing"})
                continue
            yield MaterializeResult(
                asset_key=["salesforce", name],
                metadata={
                    **{key: value for key, value in facts.items() if value is not None},
                    "dagster/row_count": facts["rows"],
                    "server_time": MetadataValue.text(extracted.server_time.isoformat()),
                },
            )

    return landed
