"""Fixtures for whoever tests a Salesforce client: installed with this package, pytest finds them by itself.

Override `salesforce_simulator_arguments` in a conftest.py to serve another org:

    @pytest.fixture(scope="session")
    def salesforce_simulator_arguments():
        return ["--export", "tests/data/my-org", "--control"]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest


@pytest.fixture(scope="session")
def salesforce_simulator_arguments() -> Sequence[str]:
    """Arguments of `python -m salesforce_simulator serve`: a generated company of 200 deals that can be steered."""
    return ("--demo", "--opportunities", "200", "--control")


@pytest.fixture(scope="session")
def salesforce_simulator(salesforce_simulator_arguments: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A simulator in a process of its own for the session: url, client_id, client_secret, username, password, …"""
    # a run that asks for no fixture pays for no import
    from salesforce_simulator.process import running_simulator

    with running_simulator(salesforce_simulator_arguments) as ready:
        yield ready
