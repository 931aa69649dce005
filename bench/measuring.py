"""Work in a process of its own, with the peak of the memory that it and its children held. For benchmarks; judges nothing."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any


def in_process(work: Callable[..., dict[str, Any] | None], *arguments: Any) -> dict[str, Any]:
    """What `work(*arguments)` says, from a fresh process; with `peak_mb` (10^6 bytes, resident, summed over the
    processes, pages that they share counted once)."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_say, args=(work, arguments, there))
    process.start()
    peak, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.1):
            family = _family(process.pid or 0)
            # adding up the pages of gigabytes takes a third of a core and holds the process up: the kernel keeps the peak of one
            peak = max(peak, _highest(family[0]) if len(family) == 1 else sum(_resident(pid) for pid in family))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        there.close()
        said: dict[str, Any] = here.recv()
    except EOFError:
        sys.exit(f"{work.__name__} failed")
    finally:
        process.join()
        ended.set()
        watcher.join()
    return {**said, "peak_mb": round(peak / 1e6)}


def _say(work: Callable[..., dict[str, Any] | None], arguments: tuple[Any, ...], there: Any) -> None:
    there.send(work(*arguments) or {})


def _family(pid: int) -> list[int]:
    try:
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    return [pid, *(one for child in below for one in _family(int(child)))]


def _highest(pid: int) -> int:
    """The most bytes that the process ever held."""
    return _told(pid, "status", "VmHWM:")


def _resident(pid: int) -> int:
    """Bytes that the process holds; of pages that several hold, its part."""
    return _told(pid, "smaps_rollup", "Pss:")


def _told(pid: int, file: str, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(name))
