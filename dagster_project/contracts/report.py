"""What an audit says to its caller: counts and a few samples. Rows stay in the warehouse. A leaf, and JSON both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One failing row, for a person to open."""

    record_id: str | None
    row_key: str
    record_name: str | None
    record_url: str | None
    observed_value: str | None


@dataclass(frozen=True)
class DefinitionResult:
    """One definition in one audit. The five counts are None unless state is 'measured'; then
    raw = met + breached + not_applicable + unknown. `success`: met is at least `mostly` of the rows judged. `held`: what its stop
    holds back while the rest is published (`currency EUR`). `despite`: who overrides its stop, which then is none.
    """

    definition_id: str
    definition_version: int
    rule_number: int
    name: str
    title: str
    kind: str
    mode: str
    entity: str
    state: str
    state_cause: str | None
    mostly: float
    threshold: str
    fix: str
    owner: str
    accountable: str
    raw: int | None = None
    met: int | None = None
    breached: int | None = None
    not_applicable: int | None = None
    unknown: int | None = None
    success: bool | None = None
    stops: bool = False
    stop_reason: str | None = None
    despite: str | None = None
    held: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class AuditReport:
    """One audit. `as_of` is naive UTC. `opened` and `resolved` are the spells that it added to the ledger."""

    as_of: datetime
    run_id: str
    results: tuple[DefinitionResult, ...]
    recorded: bool
    opened: int = 0
    resolved: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def stops(self) -> list[DefinitionResult]:
        """The definitions that stop the publication."""
        return [result for result in self.results if result.stops]

    def despite(self, overrides: Mapping[tuple[str, int], str]) -> AuditReport:
        """The same audit where these stops, by definition and version, are overridden: what stopped no longer does."""
        results = tuple(
            replace(result, stops=False, held=(), despite=overrides[key])
            if (result.stops or result.held) and (key := (result.definition_id, result.definition_version)) in overrides
            else result
            for result in self.results
        )
        return replace(self, results=results)

    def to_json(self) -> str:
        """For a step in another process."""
        return json.dumps({**asdict(self), "as_of": self.as_of.isoformat()})

    @classmethod
    def from_json(cls, text: str) -> AuditReport:
        """What `to_json` wrote."""
        data: dict[str, Any] = json.loads(text)
        results = tuple(
            DefinitionResult(
                **{**row, "held": tuple(row["held"]), "samples": tuple(Sample(**sample) for sample in row["samples"])}
            )
            for row in data.pop("results")
        )
        return cls(**{**data, "as_of": datetime.fromisoformat(data["as_of"]), "results": results})
