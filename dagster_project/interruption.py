"""Ctrl-C: what it may break into. What a command says of it stands in `cli`.

An extension module that is interrupted while it is being imported ends as an ImportError that says nothing, and may
bring the whole process down at its end; dbt, while it parses, prints a traceback; what is raised in a finalizer Python
prints and forgets. So these are finished first: they write nothing that counts and take seconds at most.
"""

from __future__ import annotations

import _thread
import signal
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_LOOK_AGAIN_SECONDS = 0.05
# where callbacks of finalizers run, by file: importing multiprocessing for its name would cost every command its start
_LIBRARY = Path(weakref.__file__).parent
_FINALIZERS = frozenset(str(_LIBRARY / name) for name in ("weakref.py", "_weakrefset.py", "multiprocessing/util.py"))

_asked: list[bool] = []
_finishing: list[bool] = []
_later: list[threading.Timer] = []


def stop_between_imports() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt as ever, but in an import or a finalizer, whose end it waits for."""
    signal.signal(signal.SIGINT, _interrupt)


def end_at_once() -> None:
    """All has been done and told: from here on Ctrl-C ends the process, which only tidies up, without a word."""
    for timer in _later:
        timer.cancel()
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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
    if _finishing or _is_to_end_first(frame):
        later = threading.Timer(_LOOK_AGAIN_SECONDS, _interrupt_again)
        later.daemon = True
        _later[:] = [later]
        later.start()
    else:
        raise KeyboardInterrupt


def _interrupt_again() -> None:
    # as a signal to the main thread, so that a call that blocks there ends too
    if hasattr(signal, "pthread_kill") and (main := threading.main_thread().ident) is not None:
        signal.pthread_kill(main, signal.SIGINT)
    else:  # Windows
        _thread.interrupt_main()


def _is_to_end_first(frame: FrameType | None) -> bool:
    """Whether an import or a finalizer (`__del__`, a callback of weakref or multiprocessing) is under way."""
    while frame is not None:
        code = frame.f_code
        if (
            code.co_filename.startswith("<frozen importlib")
            or code.co_name == "__del__"
            or code.co_filename in _FINALIZERS
        ):
            return True
        frame = frame.f_back
    return False
