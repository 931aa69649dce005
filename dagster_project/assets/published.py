"""Step 5 as an asset: the finished mart becomes a publication and the pointer moves."""

from collections.abc import Sequence

from dagster import AssetExecutionContext, AssetKey, AssetsDefinition, MaterializeResult, MetadataValue, asset

from dagster_project import pipeline
from dagster_project.assets.failing import told
from dagster_project.assets.landed import DAILY
from dagster_project.assets.telling import log_problems
from dagster_project.resources import WAREHOUSE_POOL, LeanfunnelResource


def build_published(marts: Sequence[AssetKey]) -> AssetsDefinition:
    """Key ["published", "mart"], after every mart and view."""

    @asset(
        key=["published", "mart"],
        deps=marts,
        group_name="publish",
        kinds={"duckdb", "parquet"},
        pool=WAREHOUSE_POOL,
        freshness_policy=DAILY,
        description="published/current: what BI tools and people read. One pointer, swapped when all before it held.",
    )
    def published(context: AssetExecutionContext, leanfunnel: LeanfunnelResource) -> MaterializeResult:
        request = leanfunnel.request()
        with told(), pipeline.writing(request.home, wait_seconds=3600):
            manifest = pipeline.publish(request, pipeline.read_plan(request.home))
        if request.teller:
            request.teller.after_publication()
        log_problems(context, request.teller)
        return MaterializeResult(
            metadata={
                "publication_id": manifest.publication_id,
                "as_of": manifest.as_of,
                "path": MetadataValue.path(str(request.home.current / "leanfunnel.duckdb")),
                "tables": MetadataValue.json({name: table.rows for name, table in manifest.tables.items()}),
            }
        )

    return published
