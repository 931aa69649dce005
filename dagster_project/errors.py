"""The one family of errors that a user is shown. A leaf: it imports nothing of the project.

An error here says what went wrong, where, and what to do. Anything else that reaches the command line is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, TypeVar


class LeanfunnelError(Exception):
    """A failure that a user can act on.

    `what` is one sentence; `where` names the file, field, object or host; `todo` says what to do next. No part may hold
    a secret. `str()` gives one line.
    """

    exit_code = 1
    passes = False
    """Whether it may pass by itself, so that the same call may succeed later: a service that is down, a lock that is held."""

    def __init__(self, what: str, *, where: str | None = None, todo: str | None = None) -> None:
        self.what, self.where, self.todo = what, where, todo
        super().__init__(what)

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.todo:
            parts.append(self.todo)
        return " ".join(" ".join(part.split()) for part in parts)


_Error = TypeVar("_Error", bound=LeanfunnelError)


class SettingsError(LeanfunnelError):
    """A setting, a definition file or a command-line value is missing or wrong."""

    exit_code = 2


class SalesforceError(LeanfunnelError):
    """The org refused, could not be reached, or answered something that cannot be trusted.

    `landed`: what the run brought before that, by object, where it had begun to land.
    """

    exit_code = 3
    landed: Mapping[str, Mapping[str, Any]] = MappingProxyType({})


class IncompleteExtractError(SalesforceError):
    """What arrived is not what the server said it would send. Nothing of it is landed."""

    passes = True


class BudgetReachedError(SalesforceError):
    """The API requests or Bulk jobs that a run may use are used up. What was landed before stays; nothing is half landed."""


class PartialExtractError(SalesforceError):
    """A run ended with some objects landed and others not. `unread`: those that were not read, or not to their end;
    `report`: what is known of the others. What was landed stays."""

    def __init__(self, cause: SalesforceError, unread: Sequence[str], report: object) -> None:
        told = f"{cause.what} The run is incomplete: not read, or not to the end: {', '.join(unread)}."
        super().__init__(told, where=cause.where, todo=cause.todo)
        self.unread, self.report, self.passes = tuple(unread), report, cause.passes


class LandingError(LeanfunnelError):
    """The landing log cannot be read or written."""

    exit_code = 4


class WarehouseError(LeanfunnelError):
    """A dbt model, a data test or the warehouse file failed."""

    exit_code = 5


class ContractError(LeanfunnelError):
    """An audit could not be carried out (not: a record breached a definition)."""

    exit_code = 6


class PublicationStoppedError(LeanfunnelError):
    """A contract that may stop the line failed: the last good publication stays."""

    exit_code = 7


def passing(error: _Error) -> _Error:
    """`error`, marked as one that may pass by itself."""
    error.passes = True
    return error


def nearest(name: str, known: Iterable[str]) -> str:
    """The phrase ` Did you mean 'x'?` for the nearest of `known`, or an empty string."""
    by_fold = {k.casefold(): k for k in known}
    hit = get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.6)
    return f" Did you mean '{by_fold[hit[0]]}'?" if hit else ""
