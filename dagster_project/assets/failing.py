"""How a step fails: what may pass by itself is tried again, what someone must mend fails at once and says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dagster import Backoff, Failure, Jitter, RetryPolicy

from dagster_project.errors import LeanfunnelError

PATIENT = RetryPolicy(max_retries=3, delay=60, backoff=Backoff.EXPONENTIAL, jitter=Jitter.PLUS_MINUS)
"""For the steps that call Salesforce: about one, two and four minutes, beyond the client's own retries of seconds."""


@contextmanager
def told() -> Iterator[None]:
    """A LeanfunnelError becomes Dagster's Failure, in one line; a retry policy takes it up only where it may pass."""
    try:
        yield
    except LeanfunnelError as error:
        raise Failure(description=str(error), allow_retries=error.passes) from error
