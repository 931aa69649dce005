"""Big objects in windows, each landed by itself: a load that is stopped goes on where it was, and ends as the org stands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dagster_project.landing import LandingLog
from dagster_project.salesforce import plan
from salesforce_simulator.service import Service
from tests.integration.extract.deals import (
    A_WINDOW,
    NAME,
    ROWS,
    KilledError,
    as_the_org,
    batches,
    deal,
    edit,
    extract,
    kill_after,
    serving,
)


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as running:
        yield running


@pytest.mark.parametrize("via", ["rest", "bulk"])
def test_a_first_load_lands_window_by_window_each_row_once(
    service: Service, tmp_path: Path, via: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "REST_FIRST_ROWS", 0 if via == "bulk" else 10_000)
    result = extract(service, tmp_path, rows_per_window=A_WINDOW).objects[NAME]
    parts = batches(tmp_path)
    assert (result.state, result.mode, result.rows, result.received) == ("landed", "full", ROWS, ROWS)
    assert len(parts) >= 4
    # the 150 rows of one second are read together, all others in windows that fit
    assert [rows for _, rows in parts if rows > A_WINDOW] == [150]
    facts = LandingLog(tmp_path / "landing").state(NAME).facts
    assert facts["proof"]["via"] == via
    assert "unfinished" not in facts["watermark"]
    assert as_the_org(service, tmp_path)
    again = extract(service, tmp_path, rows_per_window=A_WINDOW).objects[NAME]
    assert (again.state, again.mode) == ("unchanged", "incremental")


@pytest.mark.parametrize("windows", [1, 2, 3])
def test_a_load_that_was_killed_goes_on_at_the_next_window(service: Service, tmp_path: Path, windows: int) -> None:
    with pytest.raises(KilledError):
        extract(service, tmp_path, on_landed=kill_after(windows), rows_per_window=A_WINDOW)
    before = batches(tmp_path)
    assert len(before) == windows
    watermark = LandingLog(tmp_path / "landing").state(NAME).watermark
    assert watermark is not None
    assert watermark["unfinished"] == "first"
    result = extract(service, tmp_path, rows_per_window=A_WINDOW).objects[NAME]
    # what was landed is not landed again, and hardly read again: the overlap of ten minutes
    assert result.rows == ROWS - sum(rows for _, rows in before)
    assert result.received <= result.rows + 150
    assert (result.mode, batches(tmp_path)[:windows]) == ("full", before)
    assert as_the_org(service, tmp_path)
    assert extract(service, tmp_path, rows_per_window=A_WINDOW).objects[NAME].state == "unchanged"


def test_rows_that_change_while_the_windows_are_read_are_not_lost(service: Service, tmp_path: Path) -> None:
    """Of rows landed and rows still to come: they move past the end of this run, and the next one brings them."""

    def change(number: int) -> None:
        edit(service, (number, 200 + number, 380 + number), Amount=1000.0 + number, IsDeleted=number == 2)

    first = extract(service, tmp_path, on_landed=change, rows_per_window=A_WINDOW).objects[NAME]
    assert first.received < ROWS
    second = extract(service, tmp_path, rows_per_window=A_WINDOW).objects[NAME]
    assert second.mode == "incremental"
    assert as_the_org(service, tmp_path)


def test_changes_between_a_kill_and_the_next_run_arrive(service: Service, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        extract(service, tmp_path, on_landed=kill_after(2), rows_per_window=A_WINDOW)
    edit(service, (0, 120, 399), minutes=2 * 24 * 60, Name="moved")
    extract(service, tmp_path, rows_per_window=A_WINDOW)
    assert as_the_org(service, tmp_path)


@pytest.mark.parametrize("windows", [1, 3])
def test_a_field_that_comes_into_sight_is_filled_in_windows_even_over_a_kill(
    service: Service, tmp_path: Path, windows: int
) -> None:
    """All rows are looked at again from the oldest on; a stop half way must not take the old watermark for done."""
    kind = service.org.required_object(NAME)
    amount = kind.field("Amount")
    service.org.hide_field(NAME, "Amount")
    extract(service, tmp_path, rows_per_window=A_WINDOW)
    hidden = service.org.required_object(NAME)
    service.org.objects[NAME.lower()] = hidden.with_fields((*hidden.fields, amount))
    with pytest.raises(KilledError):
        extract(service, tmp_path, on_landed=kill_after(windows), rows_per_window=A_WINDOW)
    assert not as_the_org(service, tmp_path)
    extract(service, tmp_path, rows_per_window=A_WINDOW)
    assert as_the_org(service, tmp_path)
    assert extract(service, tmp_path, rows_per_window=A_WINDOW).objects[NAME].state == "unchanged"


def test_a_big_delta_is_read_in_windows_too(service: Service, tmp_path: Path) -> None:
    extract(service, tmp_path)
    org, changed = service.org, []
    for n in range(0, ROWS, 2):
        stamp = (org.now + timedelta(minutes=n + 1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        changed.append({"Id": deal(n), "Name": "edited", "SystemModstamp": stamp})
    org.set_now(org.now + timedelta(days=1))
    org.upsert(NAME, changed)
    with pytest.raises(KilledError):
        extract(service, tmp_path, on_landed=kill_after(1), rows_per_window=A_WINDOW)
    result = extract(service, tmp_path, rows_per_window=A_WINDOW).objects[NAME]
    assert (result.mode, len(batches(tmp_path)) >= 4) == ("incremental", True)
    assert as_the_org(service, tmp_path)
