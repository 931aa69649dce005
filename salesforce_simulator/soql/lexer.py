"""Text of a query into tokens with their positions. No grammar here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from salesforce_simulator.errors import ApiError

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<datetime>\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:?\d{2}))
      | (?P<date>\d{4}-\d{2}-\d{2})(?![\dTt])
      | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w])
      | (?P<currency>[A-Za-z]{3}\d+(?:\.\d+)?)(?![\w])
      | (?P<name>[A-Za-z][A-Za-z0-9_]*)
      | (?P<sign><=|>=|!=|<>|[=<>(),.:])
    """,
    re.VERBOSE,
)
_ESCAPES = {
    "n": "\n",
    "N": "\n",
    "r": "\r",
    "R": "\r",
    "t": "\t",
    "T": "\t",
    "b": "\b",
    "B": "\b",
    "f": "\f",
    "F": "\f",
}
_SAME = {"'", '"', "\\"}
#: The service takes longer queries only in a POST body, and never more than this.
MAX_LENGTH = 100_000


@dataclass(frozen=True)
class Token:
    """One token: name, string, number, currency, date, datetime, sign or end; `pattern` is a string read for LIKE."""

    kind: str
    text: str
    at: int
    pattern: str = ""

    def is_word(self, *words: str) -> bool:
        """Whether this is one of these keywords, whatever its case."""
        return self.kind == "name" and self.text.upper() in words


def malformed(query: str, at: int, message: str, code: str = "MALFORMED_QUERY") -> ApiError:
    """The error of a query at a position, as the service writes it: an excerpt, a caret, row and column."""
    at = max(0, min(at, len(query)))
    line_start = query.rfind("\n", 0, at) + 1
    line_end = query.find("\n", at)
    line = query[line_start : len(query) if line_end < 0 else line_end]
    row, column = query.count("\n", 0, at) + 1, at - line_start + 1
    left = max(0, column - 41)
    excerpt = line[left : left + 80]
    return ApiError(
        400, code, f"\n{excerpt}\n{' ' * (column - 1 - left)}^\nERROR at Row:{row}:Column:{column}\n{message}"
    )


def tokens_of(query: str) -> list[Token]:
    """All tokens, closed by one of kind `end`; raises MALFORMED_QUERY at the first character that is none."""
    if len(query) > MAX_LENGTH:
        raise ApiError(400, "QUERY_TOO_COMPLICATED", f"SOQL statements cannot be longer than {MAX_LENGTH} characters.")
    tokens: list[Token] = []
    at = 0
    while at < len(query):
        if query[at] == "'":
            token, at = _string(query, at)
            tokens.append(token)
            continue
        match = _TOKEN.match(query, at)
        if match is None or match.lastgroup is None:
            raise malformed(query, at, f"line {query.count(chr(10), 0, at) + 1}: unexpected char: {query[at]!r}")
        if match.lastgroup != "space":
            tokens.append(Token(match.lastgroup, match.group(), at))
        at = match.end()
    tokens.append(Token("end", "<EOF>", len(query)))
    return tokens


def _string(query: str, start: int) -> tuple[Token, int]:
    value: list[str] = []
    pattern: list[str] = []
    at = start + 1
    while at < len(query):
        char = query[at]
        if char == "'":
            return Token("string", "".join(value), start, "".join(pattern)), at + 1
        if char in "\r\n":
            raise malformed(query, at, "line breaks not allowed in string literals")
        if char != "\\":
            value.append(char)
            pattern.append(char)
            at += 1
            continue
        at += 1
        escape = query[at] if at < len(query) else ""
        if escape in _SAME and escape:
            value.append(escape)
            pattern.append("\\\\" if escape == "\\" else escape)
        elif escape in ("_", "%") and escape:
            value.append(escape)
            pattern.append("\\" + escape)
        elif escape in _ESCAPES:
            value.append(_ESCAPES[escape])
            pattern.append(_ESCAPES[escape])
        elif escape in ("u", "U") and re.fullmatch(r"[0-9a-fA-F]{4}", query[at + 1 : at + 5]):
            char = chr(int(query[at + 1 : at + 5], 16))
            if 0xD800 <= ord(char) <= 0xDFFF:
                raise malformed(query, at - 1, "Illegal character sequence in string literal")
            value.append(char)
            pattern.append(char)
            at += 4
        else:
            raise malformed(query, at - 1, "Invalid string literal. Illegal character sequence '\\" + escape + "'")
        at += 1
    raise malformed(query, start, "unterminated string literal")
