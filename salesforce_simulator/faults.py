"""When something goes wrong: faults planned by request kind and count, or by seeded chance, and how often each fired.

What each fault does is written in `fault_kinds`; `server` plays those of the wire.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from salesforce_simulator import fault_kinds
from salesforce_simulator.errors import InputError
from salesforce_simulator.http_types import Request, Response

if TYPE_CHECKING:
    from salesforce_simulator.service import Service

_KEYS = {"kind", "on", "count", "skip", "value", "chance", "seed"}
_LARGE = 1_000_000_000


@dataclass
class Fault:
    """One planned fault: it lets `skip` matching requests pass, then strikes `count` times; `value` is its argument.

    With a `chance` below 1 it strikes each matching request with that probability, drawn from `seed`.
    """

    kind: str
    on: str = "*"
    count: int = 1
    skip: int = 0
    value: Any = None
    chance: float = 1.0
    seed: int = 0
    draws: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.draws = random.Random(self.seed)

    def strikes(self, request_kind: str) -> bool:
        """Whether it strikes this request; counts the request."""
        if self.count <= 0 or self.on not in ("*", request_kind):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.chance < 1 and self.draws.random() >= self.chance:
            return False
        self.count -= 1
        return True

    def before(self, service: Service, request: Request) -> Response | None:
        """A response to give instead of serving the request, or None. May raise ApiError."""
        play = fault_kinds.BEFORE.get(self.kind)
        return play(self.value, service, request) if play else None

    def after(self, service: Service, request: Request, response: Response) -> None:
        """Changes the response to a request that was served."""
        if self.kind in fault_kinds.TRANSPORT:
            response.transport, response.transport_value = self.kind, self.value
        elif play := fault_kinds.AFTER.get(self.kind):
            play(self.value, service, request, response)


class Faults:
    """The faults that are planned, and how often each fired."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []
        self._lock = threading.Lock()
        self.fired: Counter[str] = Counter()

    def plan(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Adds faults. Each entry names `kind`; `on` (a request kind, * for all), `count`, `skip`, `value` may follow.

        `chance` (0 to 1) and `seed` make it random; without a `count` such a fault never ends. Raises InputError and
        adds none where an entry is not understood.
        """
        planned = []
        for entry in entries:
            if not isinstance(entry, Mapping) or not _understood(entry):
                kinds = ", ".join(fault_kinds.names())
                raise InputError(f"cannot plan {entry!r}.", where="faults", advice=f"Kinds: {kinds}.")
            planned.append(Fault(**({"count": _LARGE} if "chance" in entry else {}) | dict(entry)))
        with self._lock:
            self._planned += planned

    def clear(self) -> None:
        """Forgets what is planned; the counts stay."""
        with self._lock:
            self._planned.clear()

    def due(self, request_kind: str) -> list[Fault]:
        """The faults that strike this request, counted as fired."""
        with self._lock:
            due = [f for f in self._planned if f.strikes(request_kind)]
            self.fired.update(f.kind for f in due)
        return due


def _understood(entry: Mapping[str, Any]) -> bool:
    whole = [entry.get(n, 0) for n in ("count", "skip", "seed")]
    chance = entry.get("chance", 1)
    return (
        entry.get("kind") in fault_kinds.names()
        and set(entry) <= _KEYS
        and isinstance(entry.get("on", "*"), str)
        and all(isinstance(n, int) and n >= 0 for n in whole)
        and isinstance(chance, (int, float))
        and 0 <= chance <= 1
    )
