"""Writing records in sets of 200: each answer is told by record, a row that another transaction locks is tried again.

Knows no worklist: which object, which fields and what for is the caller's business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagster_project.errors import SalesforceError
from dagster_project.salesforce.client import SalesforceClient

MOST = 200
"""Records that Salesforce takes in one call."""
_LOCKED = "UNABLE_TO_LOCK_ROW"
_TRIES, _FIRST_WAIT_SECONDS = 4, 0.5


@dataclass(frozen=True)
class Answer:
    """What became of one record: its id, or the error code, message and fields by which the org refused it."""

    record_id: str | None
    refused: str | None = None


def upsert(client: SalesforceClient, name: str, key: str, records: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """Creates or changes at most 200 records by the external id `key`. Safe to repeat."""
    return _write(client, "PATCH", f"composite/sobjects/{name}/{key}", records, once=False)


def update(client: SalesforceClient, records: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """Changes at most 200 records by `id`. Safe to repeat."""
    return _write(client, "PATCH", "composite/sobjects", records, once=False)


def create(client: SalesforceClient, records: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """Creates at most 200 records. A call whose answer is lost is not repeated: it may have been carried out."""
    return _write(client, "POST", "composite/sobjects", records, once=True)


def _write(
    client: SalesforceClient,
    method: str,
    path: str,
    records: Sequence[Mapping[str, Any]],
    *,
    once: bool,
    wait: Callable[[float], None] = time.sleep,
) -> list[Answer]:
    """One answer per record, in their order. Raises SalesforceError where the call as a whole was refused or lost."""
    answers: list[Answer] = [Answer(None, _LOCKED)] * len(records)
    left = list(range(len(records)))
    for attempt in range(_TRIES):
        if attempt:
            wait(_FIRST_WAIT_SECONDS * 2 ** (attempt - 1))
        body = {"allOrNone": False, "records": [records[place] for place in left]}
        results = client.request(method, path, doing=f"{method} {path}", json=body, once=once).json()
        if not isinstance(results, list) or len(results) != len(left):
            raise SalesforceError(
                f"{len(left)} records were sent and not as many answers came.",
                where=path,
                todo="Run again: what was written is not written twice.",
            )
        for place, result in zip(left, results, strict=True):
            answers[place] = _answer(result)
        left = [place for place in left if (answers[place].refused or "").startswith(_LOCKED)]
        if not left:
            break
    return answers


def _answer(result: Any) -> Answer:
    if isinstance(result, dict) and result.get("success") is True:
        return Answer(str(result.get("id")))
    errors = result.get("errors") if isinstance(result, dict) else None
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    fields = ", ".join(str(name) for name in first.get("fields") or [])
    message = " ".join(str(first.get("message") or "no reason was given").split())[:300]
    return Answer(None, f"{first.get('statusCode') or 'UNKNOWN'}: {message}" + (f" ({fields})" if fields else ""))
