"""Jobs and schedules: the full path, every morning; and back-fills, when someone asks."""

from __future__ import annotations

from dagster import AssetSelection, DefaultScheduleStatus, ScheduleDefinition, define_asset_job, in_process_executor

from dagster_project.assets.landed import BACK_FILL

_BACK_FILLS = AssetSelection.groups(BACK_FILL)

full_path = define_asset_job(
    "full_path",
    selection=AssetSelection.all() - _BACK_FILLS,
    tags={"dagster/priority": "1"},
    # one process: each step process would import dbt and Dagster anew, which costs more than the steps
    executor_def=in_process_executor,
    description="Extract, conform, audit, measure, publish.",
)

back_fill = define_asset_job(
    "back_fill",
    selection=_BACK_FILLS,
    # `dagster.yaml` lets one run of this tag go at a time, so that a back-fill of years does not hold up the morning
    tags={"leanfunnel/back_fill": "yes", "dagster/priority": "-1"},
    executor_def=in_process_executor,
    description="Read months again, by when records were created; choose months and objects when it is launched.",
)


def daily_schedule(timezone: str) -> ScheduleDefinition:
    """The full path at 05:00 in the reporting time zone; off until it is switched on in the UI."""
    return ScheduleDefinition(
        name="every_morning",
        job=full_path,
        cron_schedule="0 5 * * *",
        execution_timezone=timezone,
        default_status=DefaultScheduleStatus.STOPPED,
        description="So that yesterday's flow is on the table when people come in.",
    )
