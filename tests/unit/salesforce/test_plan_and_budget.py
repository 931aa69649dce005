"""REST or Bulk, what a first load takes, and where a run stops."""

from __future__ import annotations

import pytest

from dagster_project.errors import BudgetReachedError, IncompleteExtractError
from dagster_project.salesforce import plan, proof
from dagster_project.salesforce.budget import Bounds, Budget
from dagster_project.salesforce.client import Limit


@pytest.mark.parametrize(
    ("rows", "is_first", "calls_left", "jobs_left", "via"),
    [
        (2_000, True, None, None, "rest"),
        (2_001, True, None, None, "bulk"),
        (10_000, False, None, None, "rest"),
        (10_001, False, None, None, "bulk"),
        # no job is left: REST where its requests fit, else Bulk, which is then refused before it is asked for
        (100_000, True, 1_000, 0, "rest"),
        (100_000, True, None, 0, "rest"),
        (100_000, True, 20, 0, "bulk"),
        # too few requests for a job and its pages, enough for REST
        (12_000, False, 7, 500, "rest"),
    ],
)
def test_the_choice_goes_by_rows_and_budget(
    rows: int, is_first: bool, calls_left: int | None, jobs_left: int | None, via: str
) -> None:
    assert plan.choose(rows, is_first=is_first, calls_left=calls_left, jobs_left=jobs_left) == via


def test_an_estimate_adds_up() -> None:
    small = plan.estimate("User", 1_500, 10)
    # describe, two counts, one page
    assert (small.via, small.windows, small.calls, small.jobs, small.bytes) == ("rest", 1, 4, 0, 1_500 * 10 * 16)
    big = plan.estimate("Task", 12_000_000, 20, rows_per_window=5_000_000)
    assert (big.via, big.windows, big.jobs) == ("bulk", 3, 3)
    # each window of 4 million: 80 pages, 16 calls for their addresses, the job's own
    assert big.calls >= 3 * (80 + 16)
    assert big.seconds >= 12_000_000 / plan.BULK_ROWS_A_SECOND
    assert plan.estimate("Period", 12_000_000, 20, cursor=False).windows == 1


def test_a_run_stops_at_its_own_bound() -> None:
    budget = Budget(Bounds(calls_per_run=2))
    budget.spend_call()
    assert budget.calls_left == 1
    budget.spend_call()
    with pytest.raises(BudgetReachedError, match="this run has used its 2 API requests") as told:
        budget.spend_call()
    assert "leanfunnel.yml" in str(told.value)


def test_a_run_stops_at_the_orgs_share_whoever_used_it() -> None:
    budget = Budget(Bounds(share_of_day=0.5))
    budget.learn_limits({"DailyApiRequests": Limit(1000, 600), "DailyBulkV2QueryJobs": Limit(10, 1)})
    assert (budget.calls_left, budget.jobs_left) == (100, 1)
    budget.spend_job()
    budget.spend_call()
    assert budget.jobs_left == 0
    budget.learn_usage(499, 1000)
    # an older answer that comes late takes nothing back
    budget.learn_usage(450, 1000)
    assert budget.calls_left == 1
    budget.learn_usage(500, 1000)
    with pytest.raises(BudgetReachedError, match="the org has used 500 of its 1,000 API requests"):
        budget.spend_call()


def test_without_bounds_and_limits_nothing_stops() -> None:
    budget = Budget()
    for _ in range(1000):
        budget.spend_call()
    assert (budget.calls_left, budget.jobs_left) == (None, None)


@pytest.mark.parametrize(
    ("before", "received", "after", "since", "moved"),
    [
        (10, 10, 10, None, None),
        (10, 9, 9, 1, 1),  # one was edited before its page was read
        (10, 9, 8, 5, 1),  # and one more after it
        (10, 10, 9, 1, 0),
        (10, 10, 12, None, 0),  # late commits: the overlap of the next run brings them
        (10, 11, 12, None, 0),
    ],
)
def test_what_moved_while_it_was_read_is_explained(
    before: int, received: int, after: int, since: int | None, moved: int | None
) -> None:
    told = proof.judge("Task", before=before, received=received, after=after, changed_since=lambda: since)
    assert told == {"stated": before, "stated_after": after} | ({} if moved is None else {"moved": moved})


@pytest.mark.parametrize(
    ("before", "received", "after", "since"),
    [
        (10, 9, 10, 1),  # nothing left the window, and yet one is missing
        (10, 11, 10, 0),
        (10, 8, 8, 1),  # two are missing and one came back
        (10, 9, 9, 0),  # gone for good: read once more
        (10, 9, 9, None),  # no cursor tells where it went
    ],
)
def test_what_is_not_explained_is_incomplete(before: int, received: int, after: int, since: int | None) -> None:
    with pytest.raises(IncompleteExtractError, match=f"{received} rows arrived"):
        proof.judge("Task", before=before, received=received, after=after, changed_since=lambda: since)
