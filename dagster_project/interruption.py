"""Ctrl-C: what it may break into. What a command says of it stands in `cli`.

An extension module that is interrupted while it is being imported ends as an ImportError that says nothing, and may
bring the whole process down at its end; dbt, while it parses, prints a traceback. So these are finished first: they
write nothing that counts and take seconds.
"""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_LOOK_AGAIN_SECONDS = 0.05

_asked: list[bool] = []
_finishing: list[bool] = []


def stop_between_imports() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt as ever, but for one that falls into an import: that one waits."""
    signal.signal(signal.SIGINT, _interrupt)


@contextmanager
def finished_first() -> Iterator[None]:
    """Ctrl-C waits for the end of this block, where the command cares for it (elsewhere it breaks in as ever)."""
    _finishing.append(True)
    try:
        yield
    finally:
        _finishing.pop()


def was_asked() -> bool:
    """Whether Ctrl-C was pressed: engines below tell it as an error of their own ("Query interrupted")."""
    return bool(_asked)


def _interrupt(_number: int, frame: FrameType | None) -> None:
    if not _asked:
        _asked.append(True)
    if _finishing or _is_importing(frame):
        later = threading.Timer(_LOOK_AGAIN_SECONDS, _interrupt_again)
        later.daemon = True
        later.start()
    else:
        raise KeyboardInterrupt


def _interrupt_again() -> None:
    # as a signal to the main thread, so that a call that blocks there ends too
    if hasattr(signal, "pthread_kill") and (main := threading.main_thread().ident) is not None:
        signal.pthread_kill(main, signal.SIGINT)
    else:  # Windows
        _thread.interrupt_main()


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False
