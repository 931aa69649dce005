"""After publishing, where it is switched on: the worklist goes back to the org as an asset."""

from dagster import AssetExecutionContext, AssetKey, AssetsDefinition, MaterializeResult, asset

from dagster_project import pipeline, writeback
from dagster_project.resources import WAREHOUSE_POOL, LeanfunnelResource


def build_written_back() -> AssetsDefinition:
    """Key ["salesforce", "worklist"], after the publication."""

    @asset(
        key=["salesforce", "worklist"],
        deps=[AssetKey(["published", "mart"])],
        group_name="publish",
        kinds={"salesforce"},
        pool=WAREHOUSE_POOL,
        description="The worklist in the org, as `write_back` in leanfunnel.yml says. What the org refuses is logged by record.",
    )
    def written_back(context: AssetExecutionContext, leanfunnel: LeanfunnelResource) -> MaterializeResult:
        loaded = leanfunnel.current_settings()
        with pipeline.writing(loaded.home, wait_seconds=3600):
            login = loaded.credentials(), loaded.login.api_version
            form = loaded.options.write_back
            outcome = writeback.write_back(loaded.home, *login, form, bounds=loaded.bounds, write=True)
        for key, reason in outcome.refused.items():
            context.log.warning(f"{key}: {reason}")
        return MaterializeResult(
            metadata={
                "planned": outcome.planned,
                "written": outcome.written,
                "unchanged": outcome.unchanged,
                "refused": outcome.planned - outcome.written - outcome.unchanged,
                "api_calls": outcome.calls,
            }
        )

    return written_back
