"""What can go wrong with a table on disk, told as one clear LandingError."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from deltalake.exceptions import (
    CommitFailedError,
    DeltaError,
    DeltaProtocolError,
    SchemaMismatchError,
    TableNotFoundError,
)

from dagster_project.errors import LandingError, LeanfunnelError, passing

# how the operating system's refusals read inside delta-rs' messages
_FULL = ("os error 28", "No space left", "os error 27", "File too large", "os error 122", "Disk quota")
_DENIED = ("os error 13", "Permission denied", "os error 30", "Read-only file system")
_DISK_RESERVE = 1 << 20


@contextmanager
def told_clearly(path: Path, doing: str) -> Iterator[None]:
    """Turn whatever delta-rs, Arrow or the operating system raises while `doing` something into a LandingError."""
    try:
        yield
    except LeanfunnelError:
        raise
    except OSError as error:
        raise _of_text(path, doing, f"{error.strerror or error} (os error {error.errno})") from error
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise LandingError(
            f"a value does not fit the column that the log has: {_first_line(error)}.",
            where=str(path),
            todo="A field's type changed in the org in a way that cannot be widened; see `leanfunnel doctor`.",
        ) from error
    except (CommitFailedError, DeltaError, DeltaProtocolError, SchemaMismatchError, TableNotFoundError) as error:
        raise _of_text(path, doing, str(error)) from error


def make_folder(path: Path) -> None:
    """Create the folder of a table. Raises LandingError where that is refused."""
    with told_clearly(path, "created"):
        path.mkdir(parents=True, exist_ok=True)


def check_room(path: Path, needed: int) -> None:
    """Raise LandingError before a write of about `needed` bytes begins that the disk cannot take."""
    with told_clearly(path, "measured"):
        free = shutil.disk_usage(path).free
    if free < needed + _DISK_RESERVE:
        raise _full(path, f"{free / 1e6:.1f} MB are free, about {(needed + _DISK_RESERVE) / 1e6:.1f} MB are needed")


def _of_text(path: Path, doing: str, text: str) -> LandingError:
    if any(mark in text for mark in _FULL):
        return _full(path, "nothing of the batch was landed")
    if any(mark in text for mark in _DENIED):
        return LandingError(
            f"the log cannot be {doing}: no right to the files.",
            where=str(path),
            todo="Grant this user read and write rights to the folder and all in it.",
        )
    if "Concurrent" in text or "already exists" in text or "Failed to commit" in text:
        return passing(
            LandingError(
                "another process wrote this table at the same moment; nothing of this batch was landed.",
                where=str(path),
                todo="Let only one run write a home, then run again.",
            )
        )
    return LandingError(
        f"the table's log cannot be {doing}: {_first_line(text)}.",
        where=str(path),
        todo="Restore the folder from a backup, or move it away to load the object anew from Salesforce.",
    )


def _full(path: Path, detail: str) -> LandingError:
    return LandingError(
        f"the disk is full or a file may not grow ({detail}).",
        where=str(path),
        todo=f"Free some space ({errno.errorcode[errno.ENOSPC]}/{errno.errorcode[errno.EFBIG]}) and run again.",
    )


def _first_line(error: object) -> str:
    return str(error).strip().splitlines()[0][:300].rstrip(".") if str(error).strip() else type(error).__name__
