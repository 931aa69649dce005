"""What a run is told, as assets: as_of, the stage map and the definitions become tables before dbt reads them."""

from collections.abc import Iterator

from dagster import AssetExecutionContext, AssetsDefinition, AssetSpec, MaterializeResult, multi_asset

from dagster_project import pipeline
from dagster_project.assets.failing import told
from dagster_project.resources import WAREHOUSE_POOL, AsOf, LeanfunnelResource

CONTROL_TABLES = (
    "run",
    "stage_map",
    "stage_map_change",
    "dimension",
    "buyer_stage",
    "definition",
    "definition_field",
    "term",
    "field_inventory",
    "landed_object",
    "extract_run",
    "override",
    "service_level",
    "experiment",
    "target",
)


def build_prepared() -> AssetsDefinition:
    """The control tables: key ["control", <table>], after everything has landed."""
    landed = [["salesforce", name] for name in pipeline.object_names()]
    specs = [
        AssetSpec(key=["control", table], deps=landed, group_name="conform", kinds={"duckdb"},
                  description=f"`control.{table}`: what this run is told, read by dbt instead of a clock or a variable.")
        for table in CONTROL_TABLES
    ]  # fmt: skip

    @multi_asset(name="prepared", specs=specs, pool=WAREHOUSE_POOL)
    def prepared(
        context: AssetExecutionContext, config: AsOf, leanfunnel: LeanfunnelResource
    ) -> Iterator[MaterializeResult]:
        as_of, known_at = config.instants()
        request = leanfunnel.request(as_of, known_at)
        with told(), pipeline.writing(request.home, wait_seconds=3600):
            # as of what has just landed: the steps of a run in Dagster follow the extraction
            clock = pipeline.last_extracted(request.home)
            plan, proposed = pipeline.make_plan(request, clock, skip_unchanged=False)
            if plan.is_replay:
                raise pipeline.replay_refused(plan)
            pipeline.prepare(request, plan)
        if proposed:
            context.log.warning("no stage map yet: proposed %s; look it over", proposed)
        for table in CONTROL_TABLES:
            yield MaterializeResult(
                asset_key=["control", table],
                metadata={"as_of": plan.as_of.isoformat(), "publication_id": plan.publication_id},
            )

    return prepared
