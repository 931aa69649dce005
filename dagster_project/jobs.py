"""Jobs and schedules: the full path, every morning."""

from __future__ import annotations

from dagster import AssetSelection, DefaultScheduleStatus, ScheduleDefinition, define_asset_job, in_process_executor

full_path = define_asset_job(
    "full_path",
    selection=AssetSelection.all(),
    # one process: each step process would import dbt and Dagster anew, which costs more than the steps
    executor_def=in_process_executor,
    description="Extract, conform, audit, measure, publish.",
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
