"""Dagster's failure sensor over a real webhook: a failure is told, a stop that the audit told is not told again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetsDefinition,
    DagsterEventType,
    DagsterInstance,
    EventRecordsFilter,
    Failure,
    MaterializeResult,
    asset,
    build_run_status_sensor_context,
    materialize,
)

from dagster_project.assets.telling import build_failure_sensor
from dagster_project.resources import LeanfunnelResource
from tests.integration.conftest import Webhook


@pytest.fixture
def run_failed(tmp_path: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Runs an asset that fails, then the sensor on that run."""
    (tmp_path / "leanfunnel.yml").write_text("alerts: [slack]\n")
    monkeypatch.setenv("LEANFUNNEL_SLACK_WEBHOOK", webhook.url)
    sensor = build_failure_sensor(LeanfunnelResource(home=str(tmp_path)))
    with DagsterInstance.ephemeral() as instance:

        def fail(step: AssetsDefinition) -> None:
            run = materialize([step], instance=instance, raise_on_error=False)
            assert not run.success
            failures = EventRecordsFilter(DagsterEventType.RUN_FAILURE)
            event = instance.get_event_records(failures, limit=1)[0].event_log_entry.dagster_event
            assert event is not None
            sensor(
                build_run_status_sensor_context(
                    sensor_name=sensor.name,
                    dagster_event=event,
                    dagster_instance=instance,
                    dagster_run=run.dagster_run,
                ).for_run_failure()
            )

        yield fail


@asset(check_specs=[AssetCheckSpec("r01_unique", asset="stopped", blocking=True)])
def stopped() -> Iterator[MaterializeResult | AssetCheckResult]:
    yield MaterializeResult()
    yield AssetCheckResult(check_name="r01_unique", passed=False)


@asset
def unreachable() -> None:
    raise Failure(description="acme: the service is not available.")


def test_a_stop_is_the_audits_to_tell_and_a_failure_is_told_once(
    run_failed: Callable[..., None], webhook: Webhook
) -> None:
    run_failed(stopped)
    assert webhook.heard == []
    run_failed(unreachable)
    run_failed(unreachable)
    (told,) = webhook.heard
    assert told["text"].splitlines()[:2] == ["*The run failed*", "acme: the service is not available."]
