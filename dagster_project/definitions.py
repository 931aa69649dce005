"""Everything that Dagster loads: one asset graph from the Salesforce objects to the published views.

`build_defs(**overrides)` lets tests and deployments swap resources; `defs` is what `dagster dev` finds.
"""

from __future__ import annotations

from typing import Any

from dagster import AssetKey, AssetsDefinition, Definitions

from dagster_project import settings
from dagster_project.assets.contracts import build_contracts
from dagster_project.assets.landed import build_back_fill, build_landed
from dagster_project.assets.prepared import build_prepared
from dagster_project.assets.published import build_published
from dagster_project.assets.telling import build_failure_sensor, digest_schedule, weekly_digest
from dagster_project.assets.transformed import build_transformed
from dagster_project.assets.written_back import build_written_back
from dagster_project.jobs import back_fill, daily_schedule, full_path
from dagster_project.resources import LeanfunnelResource, agreed_definitions, dbt_resource, prepared_manifest


def build_defs(loaded: settings.Settings | None = None, **overrides: Any) -> Definitions:
    """Assets, checks, the job and its schedule. `overrides` replace resources by name. Raises SettingsError."""
    loaded = loaded or settings.load()
    manifest = prepared_manifest(loaded)
    conformed, measured = build_transformed(manifest, "conform"), build_transformed(manifest, "measure")
    leanfunnel, zone = LeanfunnelResource(home=str(loaded.home.root)), loaded.options.reporting_timezone or "UTC"
    tells = bool(loaded.options.alerts)
    resources = {"leanfunnel": leanfunnel, "dbt": dbt_resource(loaded), **overrides}
    return Definitions(
        assets=[
            build_landed(),
            build_back_fill(),
            build_prepared(),
            conformed,
            build_contracts(agreed_definitions(loaded), _keys(conformed, prefix="int_audit__")),
            measured,
            build_published(_keys(measured)),
            *([] if loaded.options.write_back == "off" else [build_written_back()]),
        ],
        jobs=[full_path, back_fill, *([weekly_digest] if tells else [])],
        schedules=[daily_schedule(zone), *([digest_schedule(zone)] if tells else [])],
        sensors=[build_failure_sensor(leanfunnel)] if tells else [],
        resources=resources,
    )


def _keys(assets: AssetsDefinition, prefix: str = "") -> list[AssetKey]:
    return sorted(key for key in assets.keys if key.path[-1].startswith(prefix))


defs = build_defs()
