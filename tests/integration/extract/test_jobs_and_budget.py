"""Bulk jobs: pages side by side, faults on the way, nothing left behind; and a run that stops where its budget ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dagster_project import pipeline
from dagster_project.errors import PartialExtractError
from dagster_project.home import Home
from dagster_project.landing import LandingLog
from dagster_project.landing.run_log import RunLog
from dagster_project.salesforce import bulk, plan
from dagster_project.salesforce.auth import ClientCredentials
from dagster_project.salesforce.budget import Bounds
from dagster_project.salesforce.client import SalesforceClient
from dagster_project.salesforce.extract import NOTES
from salesforce_simulator import rest
from salesforce_simulator.service import Service
from tests.integration.extract.deals import (
    NAME,
    ROWS,
    KilledError,
    as_the_org,
    batches,
    deal,
    edit,
    extract,
    serving,
)

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def by_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    """All is read by Bulk API, big jobs or not."""
    monkeypatch.setattr(plan, "REST_FIRST_ROWS", 1)
    monkeypatch.setattr(plan, "REST_LATER_ROWS", 1)
    monkeypatch.setattr(bulk, "AT_ONCE_FROM_ROWS", 0)


@pytest.fixture
def service() -> Iterator[Service]:
    with serving(bulk_page_rows=30) as running:
        yield running


@pytest.mark.usefixtures("by_bulk")
def test_pages_are_read_side_by_side_and_no_more_than_a_few(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download, lock, now, most = SalesforceClient.download, threading.Lock(), 0, 0

    def counted(client: SalesforceClient, *given: Any, **named: Any) -> Any:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        try:
            return download(client, *given, **named)
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr(SalesforceClient, "download", counted)
    assert extract(service, tmp_path).objects[NAME].received == ROWS
    assert most == bulk.PAGES_AT_ONCE
    # 14 pages of 30 rows; five addresses a call
    assert (service.requests["bulk_results"], service.requests["bulk_result_pages"]) == (14, 3)
    assert as_the_org(service, tmp_path)
    assert service.bulk2.jobs == {}


@pytest.mark.usefixtures("by_bulk")
def test_an_older_api_version_reads_by_locator(service: Service, tmp_path: Path) -> None:
    extract(service, tmp_path, api_version="57.0")
    assert (service.requests["bulk_results"], service.requests["bulk_result_pages"]) == (14, 0)
    assert as_the_org(service, tmp_path)


@pytest.mark.usefixtures("by_bulk")
@pytest.mark.parametrize(
    ("kind", "on"),
    [
        ("missing_page", "bulk_result_pages"),
        ("repeated_page", "bulk_result_pages"),
        ("not_served", "bulk_result_pages"),
        ("reset", "bulk_result_pages"),
        ("truncated_body", "bulk_result_pages"),
        ("server_unavailable", "bulk_result_pages"),
        ("session_expired", "bulk_result_pages"),
        ("session_expired", "bulk_results"),
        ("session_expired", "bulk_status"),
        ("missing_count", "bulk_results"),
        ("wrong_count", "bulk_results"),
        ("drop_row", "bulk_results"),
        ("truncated_gzip", "bulk_results"),
        ("reset", "bulk_results"),
        ("reset", "bulk_status"),
        ("reset", "bulk_create"),
        ("job_failed", "bulk_create"),
        ("job_aborted", "bulk_create"),
        ("cut_chunk", "bulk_status"),
        ("server_unavailable", "bulk_status"),
    ],
)
def test_one_fault_on_the_way_of_a_job_is_outlived(service: Service, tmp_path: Path, kind: str, on: str) -> None:
    service.faults.plan([{"kind": kind, "on": on, "skip": 1 if on in ("bulk_results", "bulk_result_pages") else 0}])
    extract(service, tmp_path)
    assert service.faults.fired[kind] == 1
    assert as_the_org(service, tmp_path)
    # a job whose answer was lost has no name to delete it by: Salesforce lets it expire
    assert len(service.bulk2.jobs) == ((kind, on) == ("reset", "bulk_create"))
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("on", ["rest_query", "rest_query_more"])
@pytest.mark.parametrize(
    "kind", ["session_expired", "reset", "server_unavailable", "truncated_gzip", "drop_row", "lost_locator"]
)
def test_one_fault_on_the_way_of_a_query_is_outlived(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, on: str
) -> None:
    for name in ("_MIN_BATCH", "_MAX_BATCH"):
        monkeypatch.setattr(rest, name, 60)
    # after the organisation and the count; in the midst of the pages
    service.faults.plan([{"kind": kind, "on": on, "skip": 2}])
    extract(service, tmp_path)
    assert service.faults.fired[kind] == 1
    assert as_the_org(service, tmp_path)


def test_the_wait_that_the_server_asks_for_is_kept(service: Service, tmp_path: Path) -> None:
    service.faults.plan([{"kind": "rate_limited", "on": "rest_query", "value": 1, "skip": 1}])
    began = time.monotonic()
    extract(service, tmp_path)
    assert time.monotonic() - began >= 1
    assert as_the_org(service, tmp_path)


@pytest.mark.usefixtures("by_bulk")
def test_jobs_of_a_killed_run_are_deleted_by_the_next(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*given: Any) -> int:
        raise KilledError

    with monkeypatch.context() as patched:
        # a kill runs nothing more: neither what follows nor what tidies up
        patched.setattr(bulk, "_wait", killed)
        patched.setattr(bulk, "_forget", lambda *given: None)
        with pytest.raises(KilledError):
            extract(service, tmp_path)
    left = set(service.bulk2.jobs)
    assert len(left) == 1
    assert {note.name for note in (tmp_path / "work" / NOTES).iterdir()} == left
    # notes of jobs that are gone, and files that are no notes, do no harm
    (tmp_path / "work" / NOTES / "750000000000999AAA").touch()
    extract(service, tmp_path)
    assert service.bulk2.jobs == {}
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.usefixtures("by_bulk")
def test_a_run_that_is_stopped_by_hand_leaves_no_job(tmp_path: Path) -> None:
    def stop(number: int) -> None:
        raise KeyboardInterrupt

    with serving(polls_in_progress=10**6) as service:
        with pytest.raises(KeyboardInterrupt):
            extract(service, tmp_path, objects=("Account", NAME), on_landed=stop)
        assert service.requests["bulk_create"] == 1
        assert service.bulk2.jobs == {}
    assert list((tmp_path / "work").iterdir()) == []
    assert LandingLog(tmp_path / "landing").objects() == ["Account"]


def test_a_run_stops_at_its_budget_and_the_next_ones_go_on(tmp_path: Path) -> None:
    bounds = Bounds(calls_per_run=45, rows_per_window=25)
    with serving() as service:
        landed: list[int] = []
        for run in (1, 2):
            before = service.used
            with pytest.raises(PartialExtractError, match="this run has used its 45 API requests") as told:
                extract(service, tmp_path, bounds=bounds, objects=("Account", NAME))
            assert told.value.unread == (NAME,)
            assert f"not to the end: {NAME}" in str(told.value)
            assert service.used - before <= 45
            assert len(LandingLog(tmp_path / "landing").objects()) == 2
            # each run gets further, and what it landed are whole windows
            landed.append(sum(rows for _, rows in batches(tmp_path)))
            assert len(landed) == run
        assert 0 < landed[0] < landed[1] < ROWS
        extract(service, tmp_path, bounds=Bounds(rows_per_window=25), objects=("Account", NAME))
        assert as_the_org(service, tmp_path, NAME, "Account")


def test_a_run_stops_at_the_orgs_share_of_the_day(tmp_path: Path) -> None:
    with serving(daily_api_requests=30) as service:
        with pytest.raises(PartialExtractError, match="of its 30 API requests of 24 hours, and a run stops at 20%"):
            extract(service, tmp_path, bounds=Bounds(share_of_day=0.2), objects=("Account", NAME))
        assert service.used <= 7
        extract(service, tmp_path, bounds=Bounds(share_of_day=1.0), objects=("Account", NAME))
        assert as_the_org(service, tmp_path, NAME, "Account")


def test_a_refusal_by_the_org_ends_the_run_at_once(service: Service, tmp_path: Path) -> None:
    names = ("Account", NAME, "User", "Task", "Event")
    service.faults.plan([{"kind": "request_limit_exceeded", "on": "describe", "count": 99, "skip": 1}])
    with pytest.raises(PartialExtractError, match="the org's limit of API requests is used up") as told:
        extract(service, tmp_path, objects=names)
    assert told.value.unread == names
    # one that was refused, perhaps one more on its way, and none after it
    assert service.faults.fired["request_limit_exceeded"] <= 2


@pytest.mark.usefixtures("by_bulk")
def test_without_bulk_jobs_rest_reads_what_the_budget_allows(tmp_path: Path) -> None:
    with serving(daily_bulk_jobs=0) as service:
        extract(service, tmp_path / "rest")
        assert LandingLog(tmp_path / "rest" / "landing").state(NAME).facts["proof"]["via"] == "rest"
        assert as_the_org(service, tmp_path / "rest")


@pytest.mark.usefixtures("by_bulk")
def test_jobs_that_are_used_up_on_the_way_stop_what_needs_them(tmp_path: Path) -> None:
    with serving() as service:
        service.faults.plan([{"kind": "daily_jobs_used_up", "on": "bulk_create", "count": 9}])
        with pytest.raises(PartialExtractError, match="Bulk query jobs of 24 hours are used up") as told:
            extract(service, tmp_path, objects=("Account", NAME))
        assert told.value.unread == (NAME,)
        assert as_the_org(service, tmp_path, "Account")


def test_a_row_that_moves_out_while_it_is_read_is_explained_and_comes_next(service: Service, tmp_path: Path) -> None:
    def moves(name: str, event: str, **numbers: int) -> None:
        if event == "counted":
            edit(service, (7,), Name="moved out")

    extract(service, tmp_path, progress=moves)
    proof = LandingLog(tmp_path / "landing").state(NAME).facts["proof"]
    assert (proof["stated"], proof["received"], proof["stated_after"]) == (ROWS, ROWS - 1, ROWS - 1)
    assert proof["moved"] == 1
    assert extract(service, tmp_path).objects[NAME].rows == 1
    assert as_the_org(service, tmp_path)


def test_a_row_that_is_gone_for_good_is_read_for_once_more(service: Service, tmp_path: Path) -> None:
    told: list[str] = []

    def purges(name: str, event: str, **numbers: int) -> None:
        told.append(event)
        if event == "counted" and "again" not in told:
            service.org.purge(NAME, deal(49))

    extract(service, tmp_path, progress=purges)
    assert told.count("again") == 1
    proof = LandingLog(tmp_path / "landing").state(NAME).facts["proof"]
    assert proof["stated"] == proof["received"] == proof["stated_after"] == ROWS - 1
    assert as_the_org(service, tmp_path)


def test_an_object_that_stays_incomplete_is_not_landed_and_the_others_are(service: Service, tmp_path: Path) -> None:
    """Rows that vanish under each reading: never landed as whole, and the home remembers that the run was partial."""
    gone = iter((49, 99, 149))

    def purges(name: str, event: str, **numbers: int) -> None:
        if (name, event) == (NAME, "counted"):
            service.org.purge(NAME, deal(next(gone)))

    with pytest.raises(PartialExtractError, match="rows arrived where COUNT") as told:
        extract(service, tmp_path, objects=("Account", NAME), progress=purges)
    assert told.value.unread == (NAME,)
    assert LandingLog(tmp_path / "landing").objects() == ["Account"]


def _run(service: Service, home: Home, bounds: Bounds, **options: Any) -> pipeline.Extracted:
    login = ClientCredentials(service.base_url, service.options.client_id, service.options.client_secret)
    request = pipeline.Request(
        home, ROOT / "dbt", ROOT / "expectations", credentials=lambda: login, bounds=bounds, **options
    )
    return pipeline.extract(request, objects=("Account", NAME))


def test_a_load_of_which_nothing_is_kept_is_done_all_the_same(service: Service, tmp_path: Path) -> None:
    """Its rows are past their days: the watermark goes on window by window, and the next run starts at its end."""
    home = Home(tmp_path)
    loaded = _run(service, home, Bounds(rows_per_window=100), retention_days={NAME: 1})
    assert loaded.withheld == ROWS
    watermark = LandingLog(home.landing).state(NAME).watermark
    assert watermark is not None
    assert "unfinished" not in watermark
    again = _run(service, home, Bounds(rows_per_window=1000), retention_days={NAME: 1})
    # the overlap alone: the deals of one stamp
    assert (again.facts[NAME]["mode"], again.withheld) == ("incremental", 150)


def test_comparing_that_finds_no_requests_left_is_postponed(service: Service, tmp_path: Path) -> None:
    home = Home(tmp_path)
    _run(service, home, Bounds())
    before = service.used
    edit(service, (3,), minutes=30 * 24 * 60)
    _run(service, home, Bounds())
    needed = service.used - before
    edit(service, (4,), minutes=30 * 24 * 60)
    stopped = _run(service, home, Bounds(calls_per_run=needed - 3))
    assert stopped.postponed is not None
    assert "this run has used its" in stopped.postponed
    assert as_the_org(service, tmp_path, NAME, "Account")
    assert _run(service, home, Bounds()).postponed is None


def test_the_home_remembers_what_a_partial_run_left_unread(tmp_path: Path) -> None:
    home = Home(tmp_path)

    def whole(name: str) -> bool:
        log = LandingLog(home.landing)
        return bool(pipeline._landed_object(name, log.state(name), pipeline.read_org(home), log.last_looks())[8])

    with serving() as service:
        with pytest.raises(PartialExtractError) as stopped:
            _run(service, home, Bounds(calls_per_run=24, rows_per_window=100))
        # the run's record, and Dagster by it, tell what it brought all the same
        assert list(stopped.value.landed) == ["Account"]
        told = RunLog(home.state).rows().to_pylist()
        assert [(row["object"], row["landed"]) for row in told] == [
            ("Account", stopped.value.landed["Account"]["rows"])
        ]
        org = pipeline.read_org(home)
        assert (list(org.unread), set(org.read_at)) == ([NAME], {"Account"})
        assert (whole("Account"), whole(NAME)) == (True, False)
        _run(service, home, Bounds(rows_per_window=100))
        assert not pipeline.read_org(home).unread
        assert whole(NAME)
        assert as_the_org(service, tmp_path, NAME, "Account")


def test_the_plan_of_a_first_load_counts_and_fits_it_to_the_budget(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dagster_project.cli import _tell_plan
    from dagster_project.salesforce.survey import survey

    with serving(daily_api_requests=100, daily_bulk_jobs=1) as service:
        login = ClientCredentials(service.base_url, service.options.client_id, service.options.client_secret)
        with SalesforceClient(login) as client:
            found = survey(
                client,
                bounds=Bounds(calls_per_run=100, share_of_day=0.9, rows_per_window=1000),
                extra_fields={"Gone__c": ["A__c"]},
            )
        _tell_plan(found)
        before = service.used
        extract(service, tmp_path, objects=("Organization", "Account", NAME), bounds=Bounds(share_of_day=1.0))
        # by REST the estimate is what a load takes
        assert service.used - before == found.calls
    rows = {one.object: (one.rows, one.via, one.windows) for one in found.objects}
    # what the org lacks is left out
    assert rows == {NAME: (ROWS, "rest", 1), "Account": (1, "rest", 1), "Organization": (1, "rest", 1)}
    assert found.calls == 3 + 3 * 4
    assert found.calls_left == 89
    told = capsys.readouterr().out
    assert "402 rows, 15 API requests, 0 Bulk jobs" in told
    assert "estimated  at 20,000 rows a second" in told
    assert "89 API requests may be sent now: enough" in told


def test_a_plan_says_what_will_not_fit() -> None:
    from dagster_project.salesforce.survey import Survey

    big = plan.estimate("Task", 30_000_000, 20)
    told = "\n".join(Survey((big,), {"Lead": "access was refused."}, 500, 2, 400).lines())
    assert big.windows == 6
    assert "500 API requests may be sent now: too few" in told
    assert "2 Bulk jobs are left today: too few" in told
    assert "runs       3, at 400 API requests a run" in told
    assert "unknown    Lead: access was refused." in told
