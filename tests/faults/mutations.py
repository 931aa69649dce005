"""Five bugs, each put into the product's own text while a block runs. A text that no longer matches is an error."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from dagster_project.landing import LandingLog
from dagster_project.salesforce import bulk, changes, extract, proof, reconcile, rest, soql


@contextmanager
def _rewritten(module: Any, name: str, *pairs: tuple[str, str]) -> Iterator[None]:
    function = getattr(module, name)
    text = inspect.getsource(function)
    for old, new in pairs:
        if old not in text:
            raise AssertionError(f"{module.__name__}.{name} no longer says {old!r}")
        text = text.replace(old, new)
    made: dict[str, Any] = {}
    code = compile("from __future__ import annotations\n" + text, f"<{name} with a bug>", "exec")
    exec(code, module.__dict__ | {}, made)
    with mock.patch.object(module, name, _bound(made[name], module)):
        yield


def _bound(function: Any, module: Any) -> Any:
    # the module's own names, as patched now and later
    import types

    bound = types.FunctionType(function.__code__, module.__dict__, function.__name__, function.__defaults__)
    bound.__kwdefaults__ = function.__kwdefaults__
    return bound


@contextmanager
def _strict() -> Iterator[None]:
    with _rewritten(soql, "_where", (">= {{}}", "> {{}}")):
        yield


@contextmanager
def _cursor_outside() -> Iterator[None]:
    """The watermark is written to a file of its own before the rows are landed."""
    commit, state = LandingLog.commit, LandingLog.state

    def place(log: LandingLog, name: str) -> Path:
        return log.root.parent / f"cursor-{name}.json"

    def bad_commit(log: LandingLog, batch: Any, *, run_id: str) -> Any:
        import json

        log.root.parent.mkdir(parents=True, exist_ok=True)
        place(log, batch.object).write_text(json.dumps(batch.facts()["watermark"]))
        return commit(log, batch, run_id=run_id)

    def bad_state(log: LandingLog, name: str) -> Any:
        import json

        known, file = state(log, name), place(log, name)
        return replace(known, watermark=json.loads(file.read_text())) if file.exists() else known

    with mock.patch.object(LandingLog, "commit", bad_commit), mock.patch.object(LandingLog, "state", bad_state):
        yield


@contextmanager
def _no_count() -> Iterator[None]:
    from dagster_project.salesforce import decode

    with ExitStack() as stack:
        stack.enter_context(_rewritten(rest, "query_all", ("if received != total:", "if False:")))
        stack.enter_context(
            _rewritten(decode, "csv_pages", ("if rows != sum(page.stated for page in pages):", "if False:"))
        )
        stack.enter_context(
            _rewritten(
                extract,
                "_complete",
                ("if decoded.rows != processed:", "if False:"),
            )
        )
        stack.enter_context(_rewritten(proof, "judge", ("if before == received == after:", "if True:")))
        stack.enter_context(_rewritten(reconcile, "_read", ("if decoded.rows == processed and", "if True or")))
        stack.enter_context(mock.patch.object(bulk._Reading, "at_once", return_value=None))
        yield


@contextmanager
def _no_overlap() -> Iterator[None]:
    with mock.patch.object(extract, "OVERLAP", timedelta(0)):
        yield


@contextmanager
def _no_tombstones() -> Iterator[None]:
    """Rows that say a record is gone are left out of what is landed."""
    with _rewritten(
        changes, "changed", ("COPY ({stamped}) TO", "COPY (SELECT * FROM ({stamped}) WHERE _operation <> 'delete') TO")
    ):
        yield


MUTATIONS: dict[str, Callable[[], Any]] = {
    "strict": _strict,
    "cursor_outside_commit": _cursor_outside,
    "no_count_check": _no_count,
    "no_overlap": _no_overlap,
    "tombstones_dropped": _no_tombstones,
}
