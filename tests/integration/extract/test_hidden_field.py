"""A field that was out of sight while rows were landed is read again in all of them once it is shown."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from salesforce_simulator.org import Org
from salesforce_simulator.server import serve
from tests.faults.compare import compare
from tests.faults.play import OBJECTS, _Changes, _extract, _repeatable, _tables
from tests.faults.schedule import Schedule

#: In one window, by REST.
_PLAN = Schedule(0, 1, 10_000, (), False, None)


def test_a_field_shown_again_is_filled_in_where_it_was_missing(tmp_path: Path) -> None:
    with serve(Org(_tables(1))) as service, _repeatable(_PLAN, None):
        changes = _Changes(service, 1, tmp_path, Counter())
        _extract(service.base_url, tmp_path, _PLAN)
        for change in ("hide_field", "random", "random", "random", "show_field"):
            changes.play(change)
            _extract(service.base_url, tmp_path, _PLAN)
        assert not any(compare(service.org, tmp_path / "landing", OBJECTS).values())
