"""Steps 2 and 4 as assets: every dbt model, in two selections of one manifest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dagster import AssetExecutionContext, AssetsDefinition
from dagster_dbt import DbtCliResource, dbt_assets

from dagster_project import pipeline
from dagster_project.assets.failing import told
from dagster_project.resources import WAREHOUSE_POOL, LeanfunnelResource


def build_transformed(manifest: Path, tag: str) -> AssetsDefinition:
    """The models tagged `tag` ("conform" or "measure"); dbt's tests are their asset checks."""

    @dbt_assets(
        manifest=manifest, select=f"tag:{tag}", exclude="resource_type:unit_test", name=tag, pool=WAREHOUSE_POOL
    )
    def transformed(
        context: AssetExecutionContext, dbt: DbtCliResource, leanfunnel: LeanfunnelResource
    ) -> Iterator[Any]:
        request = leanfunnel.request()
        with told(), pipeline.writing(request.home, wait_seconds=3600):
            if tag == "measure":
                pipeline.start_building(request.home)
            yield from dbt.cli(["build", "--target", tag], context=context).stream()

    return transformed
