"""What a run tells, by how it ended. Nothing here raises: `problems` holds what could not be told, a line each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dagster_project.alerts import signals
from dagster_project.alerts.receivers import Receiver
from dagster_project.alerts.signals import FAILED, SHIFT, STOP, Signal
from dagster_project.alerts.telling import tell
from dagster_project.contracts.report import DefinitionResult
from dagster_project.errors import LeanfunnelError, PublicationStoppedError
from dagster_project.home import Home


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Teller:
    """Tells the receivers what is new in one home. Without receivers it does nothing."""

    home: Home
    receivers: Sequence[Receiver] = ()
    problems: list[str] = field(default_factory=list)

    def after_audit(self, stops: Sequence[DefinitionResult], *, as_of: datetime, published_as_of: str | None) -> None:
        """Stops that are new, and breaches that the audit at `as_of` (UTC) found first."""
        if not self.receivers:
            return
        instant = as_of.astimezone(UTC).replace(tzinfo=None) if as_of.tzinfo else as_of
        try:
            found = signals.of_stops(stops, published_as_of)
            found += signals.of_breaches(self.home.conformed, self.home.state, instant)
        except LeanfunnelError as error:
            self.problems.append(f"alerts were not sent: {error}")
            return
        self._tell(found, known=(STOP,))

    def after_publication(self) -> None:
        """What changed in the charts; failures and stops that stood are over."""
        if not self.receivers:
            return
        try:
            found = signals.of_charts(self.home.current / "leanfunnel.duckdb")
        except LeanfunnelError as error:
            self.problems.append(f"alerts were not sent: {error}")
            return
        self._tell(found, known=(FAILED, STOP, SHIFT))

    def after_failure(self, error: LeanfunnelError) -> None:
        """A failure, unless it stands already; a stop was told by the audit."""
        if not isinstance(error, PublicationStoppedError):
            self.failed(type(error).__name__, str(error))

    def failed(self, kind: str, text: str) -> None:
        """A failure of this kind (a class of errors, a step), told once for as long as it lasts."""
        if self.receivers:
            self._tell(signals.of_failure(kind, text), known=(FAILED,))

    def _tell(self, found: Sequence[Signal], *, known: Collection[str]) -> None:
        try:
            self.problems += tell(self.home.state, self.receivers, found, at=_now(), known=known)
        except LeanfunnelError as error:
            self.problems.append(f"what was told could not be kept: {error}")
