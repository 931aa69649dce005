"""The README names everything that can be steered."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import salesforce_simulator
from salesforce_simulator import fault_kinds
from salesforce_simulator.living import LivingOrg
from salesforce_simulator.org import Org
from salesforce_simulator.service import Options, Service

_TEXT = (Path(inspect.getfile(salesforce_simulator)).parent / "README.md").read_text(encoding="utf-8")


def _listed(start: str) -> set[str]:
    """The names of the list that follows these words, up to its full stop."""
    return set(re.findall(r"[a-z0-9_]+", _TEXT.partition(start)[2].partition(".")[0]))


def test_every_request_kind_is_listed_and_none_else(org: Org) -> None:
    kinds = {route.kind for route in Service(org, Options(control=True)).routes} - {"control"}
    assert _listed("Request kinds, for `on` (`*` is all):") == kinds


def test_every_fault_is_listed_and_none_else() -> None:
    assert _listed("\nFaults:") == set(fault_kinds.names())


def test_every_change_is_listed() -> None:
    source = inspect.getsource(LivingOrg.play)
    assert _listed("Changes of a script:") == set(re.findall(r'^ +"(\w+)": ', source, re.MULTILINE))


def test_every_control_endpoint_is_listed(org: Org) -> None:
    for route in Service(org, Options(control=True)).routes:
        if route.kind == "control":
            path = re.sub(r"\(\?P<\w+>.*", "", route.pattern.pattern).replace("\\", "").rstrip("/?")
            assert f"{path}" in _TEXT, path
