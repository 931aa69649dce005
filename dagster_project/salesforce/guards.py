"""What may not lie in the landing as it came: e-mail addresses, and personal values among tracked changes.

Both are turned in sets, inside the statement that types a page, so that no plain value reaches the landing's files.
Knows SQL expressions only; no requests, no settings.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import SecretStr

if TYPE_CHECKING:
    import duckdb

    from dagster_project.salesforce.description import FieldDescription
    from dagster_project.salesforce.objects import ObjectSpec

LEFT_OUT = "left out"
"""The inventory's word for a field that the settings keep out of the landing."""
_BLOCK = 64
_PERSONAL_FIELD = "phone|fax|mobile|e_?mail|street|address"
_PERSONAL_TYPE = ("email", "phone", "phonenumber", "faxphone", "encryptedtext")
_ADDRESS_SHAPE = r"[^@\s]+@[^@\s]+\.[^@\s]+"


@dataclass(frozen=True)
class Addresses:
    """How e-mail addresses land. 'hashed' without a key leaves them out, as 'none' does."""

    mode: Literal["hashed", "plain", "none"] = "hashed"
    key: SecretStr | None = None

    @property
    def landed(self) -> bool:
        """Whether addresses are read at all."""
        return self.mode == "plain" or (self.mode == "hashed" and self.key is not None)

    @property
    def mark(self) -> str:
        """What tells one way of landing from another: a change of mode or key asks for all rows once more."""
        if self.mode != "hashed" or self.key is None:
            return self.mode if self.mode == "plain" else "none"
        return "hashed " + hmac.new(self._secret, b"leanfunnel: which key", hashlib.sha256).hexdigest()[:12]

    @property
    def _secret(self) -> bytes:
        return self.key.get_secret_value().encode() if self.key else b""

    def bind(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Give the key to a connection, as values and never as SQL text, which errors and logs repeat."""
        if self.mode != "hashed" or self.key is None:
            return
        secret = self._secret if len(self._secret) <= _BLOCK else hashlib.sha256(self._secret).digest()
        padded = secret.ljust(_BLOCK, b"\0")
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE _pads AS SELECT ?::BLOB AS inner_pad, ?::BLOB AS outer_pad",
            [bytes(byte ^ 0x36 for byte in padded), bytes(byte ^ 0x5C for byte in padded)],
        )

    def expression(self, text: str) -> str:
        """SQL: the address in the SQL text `text` as it lands. Hashed: HMAC-SHA256 (RFC 2104) of it, trimmed and in
        lower case, as 64 hexadecimal digits; NULL stays NULL."""
        if self.mode == "plain":
            return text
        # a blank is no address: it would hash to one value that ties strangers together
        plain = rf"nullif(regexp_replace(lower({text}), '^\s+|\s+$', '', 'g'), '')"
        inside = f"unhex(sha256((SELECT inner_pad FROM _pads) || encode({plain})))"
        return f"sha256((SELECT outer_pad FROM _pads) || {inside})"


def expressions(spec: ObjectSpec, fields: Mapping[str, FieldDescription], addresses: Addresses) -> dict[str, str]:
    """SQL by field, for those of `fields` that do not land as they came: over the page's text columns."""
    guarded = {}
    for name, field in fields.items():
        text = f"nullif({_name(name)}, '')"
        if is_address(spec, field):
            guarded[name] = addresses.expression(text)
        elif name in spec.by_name and spec.by_name[name].guard == "tracked":
            guarded[name] = f"CASE WHEN {_personal(name, fields)} THEN NULL ELSE {text} END"
    return guarded


def is_address(spec: ObjectSpec, field: FieldDescription) -> bool:
    """Whether a field holds an e-mail address: the catalogue or the org's own type says so."""
    wanted = spec.by_name.get(field.name)
    return field.type == "email" or (wanted is not None and wanted.guard == "address")


def _personal(name: str, fields: Mapping[str, FieldDescription]) -> str:
    """SQL: whether a tracked value is personal, by the field that changed, its type, or the shape of the value."""
    if "Field" not in fields:
        return "true"  # nothing says what the value is
    tests = [
        f"regexp_matches(\"Field\", '{_PERSONAL_FIELD}', 'i')",
        f"regexp_matches({_name(name)}, '{_ADDRESS_SHAPE}')",
    ]
    if "DataType" in fields:
        tests.append(f'lower("DataType") IN ({", ".join(repr(kind) for kind in _PERSONAL_TYPE)})')
    return " OR ".join(f"coalesce({test}, false)" for test in tests)


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
