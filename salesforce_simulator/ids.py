"""Record ids: 15 characters, case-sensitive, or 18 with a checksum in the last three."""

from __future__ import annotations

import re

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Z0-5]{3})?")

MASTER_RECORD_TYPE_ID = "012000000000000AAA"


def is_id(text: str) -> bool:
    """Whether the text has the form of an id of 15 or 18 characters."""
    return _ID.fullmatch(text) is not None


def to_18(text: str) -> str:
    """The 18-character form: per five characters, bit i is set where character i is upper case."""
    if len(text) != 15:
        return text
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << i for i, char in enumerate(text[start : start + 5]) if "A" <= char <= "Z")
        suffix += _ALPHABET[bits]
    return text + suffix


def numbered(prefix: str, number: int) -> str:
    """The id with this key prefix and running number, in the 18-character form."""
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return to_18(prefix + digits.rjust(15 - len(prefix), "0"))


def number_of(record_id: str) -> int:
    """The running number in an id: what follows the key prefix, read in base 62."""
    number = 0
    for char in record_id[3:15]:
        number = number * 62 + _DIGITS.index(char)
    return number


def to_18_sql(column: str) -> str:
    """A DuckDB expression: `column` with ids of 15 characters widened to 18, other values as they are."""
    chunks = []
    for start in (1, 6, 11):
        bits = " + ".join(
            f"(CASE WHEN substr({column}, {start + i}, 1) BETWEEN 'A' AND 'Z' THEN {1 << i} ELSE 0 END)"
            for i in range(5)
        )
        chunks.append(f"substr('{_ALPHABET}', 1 + {bits}, 1)")
    return f"CASE WHEN length({column}) = 15 THEN {column} || {' || '.join(chunks)} ELSE {column} END"


def numbered_sql(prefix: str, number: str) -> str:
    """A DuckDB expression: `numbered` of this key prefix of 3 characters and a number below 62 ** 5."""
    digits = [f"(CAST({number} AS BIGINT) // {62 ** (4 - i)}) % 62" for i in range(5)]
    letters = " || ".join(f"substr('{_DIGITS}', 1 + {d}, 1)" for d in digits)
    bits = " + ".join(f"(CASE WHEN {d} BETWEEN 10 AND 35 THEN {1 << i} ELSE 0 END)" for i, d in enumerate(digits))
    # the first two groups of five hold the prefix and zeros only
    head = to_18(prefix + "0" * 12)[15:17]
    return f"'{prefix}0000000' || {letters} || '{head}' || substr('{_ALPHABET}', 1 + {bits}, 1)"
