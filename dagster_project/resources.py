"""Dagster resources: the one that knows how to ask for a run, and dbt's. Settings are read when a run starts, so that no
secret is part of a run's configuration or record."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from dagster import Config, ConfigurableResource
from dagster_dbt import DbtCliResource
from pydantic import Field

from dagster_project import contracts, settings
from dagster_project.pipeline import Request
from dagster_project.warehouse.dbt_build import dbt_environment, write_manifest

WAREHOUSE_POOL = "leanfunnel_warehouse"
"""The pool of one that every step that writes landing or warehouse belongs to (`dagster.yaml` limits it)."""


class AsOf(Config):
    """What a run may be told: the instant that the mart shows, and what was known by then."""

    as_of: str | None = Field(None, description="ISO 8601 in UTC; default: the org's clock at extraction")
    known_at: str | None = Field(None, description="with as_of: only what had been extracted by then")

    def instants(self) -> tuple[datetime | None, datetime | None]:
        """as_of and known_at as UTC datetimes."""
        return _instant(self.as_of), _instant(self.known_at)


class LeanfunnelResource(ConfigurableResource):
    """One org's home and how to ask for a run in it."""

    home: str | None = Field(None, description="folder of the org's files; default LEANFUNNEL_HOME or ./data")

    def current_settings(self) -> settings.Settings:
        """The settings as they are now."""
        return settings.load(Path(self.home) if self.home else None)

    def request(self, as_of: datetime | None = None, known_at: datetime | None = None) -> Request:
        """A request from the settings as they are now."""
        return self.current_settings().request(as_of=as_of, known_at=known_at)


def dbt_resource(loaded: settings.Settings) -> DbtCliResource:
    """dbt over the warehouse of this home. Its profile reads two paths from the environment, set here."""
    os.environ.update(dbt_environment(loaded.home, loaded.options.memory_limit))
    project = str(loaded.dbt_project)
    # the dbt of this environment, whether or not it is activated
    executable = Path(sys.executable).with_name("dbt")
    return DbtCliResource(project_dir=project, profiles_dir=project, dbt_executable=str(executable))


def prepared_manifest(loaded: settings.Settings) -> Path:
    """dbt's manifest, from which the assets of both selections are made."""
    os.environ.update(dbt_environment(loaded.home, loaded.options.memory_limit))
    return write_manifest(loaded.dbt_project, loaded.home.warehouse / "dbt" / "manifest")


def agreed_definitions(loaded: settings.Settings) -> Sequence[contracts.Definition]:
    """The definitions that hold in this home. Raises SettingsError."""
    return contracts.load_definitions(loaded.definitions)


def _instant(text: str | None) -> datetime | None:
    if not text:
        return None
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
