"""One REST queryAll: each page of JSON streamed to disk, the records counted against totalSize."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from dagster_project.errors import IncompleteExtractError
from dagster_project.salesforce.client import SalesforceClient


def query_all(
    client: SalesforceClient,
    soql: str,
    folder: Path,
    *,
    name: str,
    on_page: Callable[[int], None] = lambda rows: None,
    pause: Callable[[float], None] = lambda seconds: None,
) -> tuple[list[Path], int]:
    """The pages of a query and its totalSize. `pause` is called before each page and may raise to cancel.

    Raises IncompleteExtractError where a page is no JSON, states other numbers than it holds, or the query's locator is
    lost.
    """
    doing = f"query of {name}"
    pages: list[Path] = []
    received, total = 0, None
    path, params = "queryAll", {"q": soql}
    seen: set[str] = set()
    while True:
        pause(0)
        target = folder / f"page-{len(pages):06}.json"
        client.download(path, target, doing=doing, params=params or None)
        try:
            body = json.loads(target.read_bytes())
            records, size, done = body["records"], body["totalSize"], body["done"]
            held = len(records)
        except (ValueError, KeyError, TypeError):
            raise _incomplete("a page is torn or no answer to a query", name) from None
        if total not in (None, size):
            raise _incomplete(f"totalSize changed from {total} to {size} between pages", name)
        total, received = size, received + held
        pages.append(target)
        on_page(held)
        if done:
            break
        following = body.get("nextRecordsUrl")
        if not isinstance(following, str) or not held or following in seen:
            raise _incomplete("the pages end before the query is done", name)
        seen.add(following)
        path, params = following, {}
    if received != total:
        raise _incomplete(f"{received:,} records arrived where totalSize states {total:,}", name)
    return pages, received


def _incomplete(what: str, name: str) -> IncompleteExtractError:
    return IncompleteExtractError(f"{what}.", where=name, todo="Run again; nothing of this object was landed.")
