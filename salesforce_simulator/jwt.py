"""JSON web tokens signed with RS256: reading one, and checking it against a public key or certificate in PEM.

The standard library has no RSA; checking a signature needs only one modular power and the padding of PKCS #1 v1.5.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from typing import Any

_RSA_OID = bytes.fromhex("06092a864886f70d010101")
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


class TokenError(ValueError):
    """A token or key that cannot be read, or a signature that does not fit."""


def public_key(pem: str) -> tuple[int, int]:
    """Modulus and exponent of the RSA key in a PEM public key or certificate; raises TokenError."""
    match = re.search(r"-----BEGIN (?:PUBLIC KEY|CERTIFICATE)-----(.+?)-----END", pem, re.DOTALL)
    if match is None:
        raise TokenError("no PEM public key or certificate")
    try:
        der = base64.b64decode("".join(match[1].split()), validate=True)
        at = der.index(_RSA_OID) + len(_RSA_OID)
        if der[at : at + 2] == b"\x05\x00":
            at += 2
        bits, _ = _value(der, at, 0x03)
        numbers, _ = _value(bits, 1, 0x30)
        modulus, following = _value(numbers, 0, 0x02)
        exponent, _ = _value(numbers, following, 0x02)
    except (ValueError, IndexError, binascii.Error):
        raise TokenError("no RSA key in the PEM") from None
    return int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")


def _value(der: bytes, at: int, tag: int) -> tuple[bytes, int]:
    """The content of the DER element at a place, and where the next one starts."""
    if der[at] != tag:
        raise ValueError(f"expected tag {tag}")
    length, start = der[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(der[start : start + count], "big"), start + count
    return der[start : start + length], start + length


def verified_claims(token: str, key: tuple[int, int]) -> dict[str, Any]:
    """The claims of a token whose signature fits the key; raises TokenError. What the claims say is not judged here."""
    try:
        signed, _, signature_text = token.rpartition(".")
        header_text, claims_text = signed.split(".")
        header, claims = json.loads(_decode(header_text)), json.loads(_decode(claims_text))
        signature = _decode(signature_text)
    except (ValueError, binascii.Error):
        raise TokenError("not a JSON web token") from None
    if not isinstance(header, dict) or header.get("alg") != "RS256" or not isinstance(claims, dict):
        raise TokenError("the algorithm must be RS256")
    modulus, exponent = key
    size = (modulus.bit_length() + 7) // 8
    digest = _SHA256_INFO + hashlib.sha256(signed.encode()).digest()
    expected = b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest
    if len(signature) != size:
        raise TokenError("the signature does not fit")
    opened = pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(size, "big")
    if not hmac.compare_digest(opened, expected):
        raise TokenError("the signature does not fit")
    return claims


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
