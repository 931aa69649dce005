"""Dagster's side of telling people: what could not be told shows in the run's log; a failed run is told; the weekly digest."""

from dagster import (
    AssetExecutionContext,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    OpExecutionContext,
    RunFailureSensorContext,
    ScheduleDefinition,
    SensorDefinition,
    job,
    op,
    run_failure_sensor,
)

from dagster_project.alerts.teller import Teller
from dagster_project.assets.failing import told
from dagster_project.resources import LeanfunnelResource


def log_problems(context: AssetExecutionContext, teller: Teller | None) -> None:
    """A warning in the run's log for each receiver that did not take a message; the next run tries again."""
    for problem in teller.problems if teller else ():
        context.log.warning(problem)


def build_failure_sensor(leanfunnel: LeanfunnelResource) -> SensorDefinition:
    """Tells a run of any job that failed, once for as long as its step goes on failing."""

    @run_failure_sensor(
        name="tell_failures",
        default_status=DefaultSensorStatus.RUNNING,
        description="A run that failed is told to the receivers of leanfunnel.yml: one message for as long as it lasts.",
    )
    def tell_failures(context: RunFailureSensorContext) -> None:
        teller = leanfunnel.request().teller
        if teller is None:
            return
        steps = [event.step_key or "" for event in context.get_step_failure_events()]
        data = [event.step_failure_data.error for event in context.get_step_failure_events()]
        # a step's error holds our own message, which says what, where and what to do
        texts = [error.message.splitlines()[0] for error in data if error and error.message]
        teller.failed(
            f"step {steps[0]}" if steps else "run", texts[0] if texts else context.failure_event.message or ""
        )
        for problem in teller.problems:
            context.log.warning(problem)

    return tell_failures


@op(name="send_digest")
def _send_digest(context: OpExecutionContext, leanfunnel: LeanfunnelResource) -> None:
    from dagster_project.alerts.digest import send

    with told():
        request = leanfunnel.request()
        if request.teller:
            for line in send(request.home, request.teller):
                context.log.info(line)
            for problem in request.teller.problems:
                context.log.warning(problem)


@job(
    name="weekly_digest",
    description="To each owner at most ten items; to managers counts by cause. Once a week and recipient.",
)
def weekly_digest() -> None:
    """The digest as a job."""
    _send_digest()


def digest_schedule(timezone: str) -> ScheduleDefinition:
    """The digest on Monday at 06:30 in the reporting time zone, after the mart of that morning."""
    return ScheduleDefinition(
        name="every_monday",
        job=weekly_digest,
        cron_schedule="30 6 * * 1",
        execution_timezone=timezone,
        default_status=DefaultScheduleStatus.STOPPED,
    )
