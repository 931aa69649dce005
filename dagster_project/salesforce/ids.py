"""Salesforce's record ids: 15 characters with case, or 18 where the last three say which of them are upper case.

A leaf: text only. Everything that lands has 18 characters; people copy 15 from reports and addresses of pages.
"""

from __future__ import annotations

import re

from dagster_project.errors import SettingsError

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_SHAPE = re.compile(r"[A-Za-z0-9]{15}([A-Za-z0-9]{3})?", re.ASCII)


def to_18(text: str) -> str:
    """The id of 18 characters that `text` (15 or 18, blanks around it left off) names. Raises SettingsError for anything else.

    Three characters, one for each five of the fifteen: bit i is set where the i-th of them is upper case. An id of 18
    whose last three do not fit was mistyped, or its case was lost (spreadsheets that compare without case): refused, since
    another record may have it.
    """
    given = text.strip()
    if not _SHAPE.fullmatch(given):
        raise SettingsError(
            f"'{text[:40]}' is no record id.", todo="Write the 15 or 18 letters and digits that Salesforce shows."
        )
    head, tail = given[:15], given[15:]
    suffix = "".join(
        _ALPHABET[sum(1 << bit for bit, char in enumerate(head[start : start + 5]) if char.isupper())]
        for start in (0, 5, 10)
    )
    if tail and tail.upper() != suffix:
        raise SettingsError(
            f"'{given}' is no record id: its last three characters do not fit the others.",
            todo="Copy it anew, with upper and lower case as Salesforce shows it.",
        )
    return head + suffix
