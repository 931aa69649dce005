"""Progress on stderr for the command line: one live line on a terminal, plain lines elsewhere. Nothing but showing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def console_progress() -> Iterator[Callable[[str, str, int, int], None]]:
    """A function (step, what, done, total) that shows where a run stands; each finished step leaves a line with seconds."""
    live = sys.stderr.isatty()
    state: dict[str, float | str] = {"step": "", "since": time.monotonic(), "shown": 0.0}

    def finish() -> None:
        if state["step"]:
            seconds = time.monotonic() - float(state["since"])
            clear = "\r\x1b[2K" if live else ""
            sys.stderr.write(f"{clear}{state['step']:<9}{seconds:6.1f} s\n")
            sys.stderr.flush()

    def show(step: str, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if step != state["step"]:
            finish()
            state.update(step=step, since=now, shown=0.0)
        # ten updates a second are enough for eyes and cost nothing
        if live and now - float(state["shown"]) > 0.1:
            count = f" {done:,}/{total:,}" if total else (f" {done:,}" if done else "")
            sys.stderr.write(f"\r\x1b[2K{step:<9}{what}{count}"[:110])
            sys.stderr.flush()
            state["shown"] = now

    try:
        yield show
    finally:
        finish()
