"""Columns made in sets: ids, instants and tables of the parts of the company that are drawn as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DAY = 86_400
_DIGITS = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", dtype="S1")
_SUFFIX = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", dtype="S1")
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Company:
    """What the parts build on: the tables so far, the seed, the org's clock in seconds since 1970."""

    tables: Mapping[str, pa.Table]
    seed: int
    now: int

    def rng(self, part: int) -> np.random.Generator:
        """A stream of its own for each part: one part's draws never move another's."""
        return np.random.default_rng([self.seed, part])

    def column(self, table: str, name: str) -> Array:
        """A column as an array; instants in seconds since 1970."""
        found = self.tables[table][name].combine_chunks()
        if pa.types.is_timestamp(found.type):
            return np.asarray(pc.divide(found.cast(pa.timestamp("us", "UTC")).cast(pa.int64()), 1_000_000))
        return np.asarray(found.to_numpy(zero_copy_only=False))


def record_ids(prefix: str, count: int, first: int = 1) -> Array:
    """Ids of 18 characters with `count` running numbers from `first`; the same as `ids.numbered` gives."""
    if not count:
        return np.empty(0, dtype="U18")
    number = np.arange(first, first + count, dtype=np.int64)
    text = np.empty((count, 18), dtype="S1")
    text[:, :3] = np.frombuffer(prefix.encode(), dtype="S1")
    for place in range(14, 2, -1):
        number, digit = np.divmod(number, 62)
        text[:, place] = _DIGITS[digit]
    upper = (text[:, :15] >= b"A") & (text[:, :15] <= b"Z")
    weights = 1 << np.arange(5)
    for block in range(3):
        text[:, 15 + block] = _SUFFIX[upper[:, block * 5 : block * 5 + 5] @ weights]
    return np.ascontiguousarray(text).view("S18").ravel().astype("U18")


def instants(seconds: Array, known: Array | None = None) -> pa.Array:
    """Seconds since 1970 as instants; null where `known` is false."""
    micros = pa.array(np.asarray(seconds, dtype=np.int64) * 1_000_000, mask=None if known is None else ~known)
    return micros.cast(pa.timestamp("us", "UTC"))


def dates(seconds: Array, known: Array | None = None) -> pa.Array:
    """The UTC day of seconds since 1970; null where `known` is false."""
    days = pa.array((np.asarray(seconds, dtype=np.int64) // DAY).astype(np.int32), mask=None if known is None else ~known)
    return days.cast(pa.date32())


def texts(values: Any, known: Array | None = None) -> pa.Array:
    """Text; null where `known` is false."""
    return pa.array(np.asarray(values, dtype=object), pa.string(), mask=None if known is None else ~known)


def money(cents: Array) -> pa.Array:
    """Whole cents as exact amounts."""
    hundredths = pa.array(np.asarray(cents, dtype=np.int64)).cast(pa.decimal128(19, 0))
    return pc.multiply(hundredths, pa.scalar("0.01").cast(pa.decimal128(3, 2))).cast(pa.decimal128(18, 2))


def stamps(created: Array, modified: Array | None = None) -> dict[str, pa.Array]:
    """The three system timestamps."""
    changed = instants(created if modified is None else modified)
    return {"CreatedDate": instants(created), "LastModifiedDate": changed, "SystemModstamp": changed}


def day(seconds: int) -> datetime:
    """The instant of these seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def tracked(parent: str, rows: list[dict[str, Any]], first: int) -> pa.Table:
    """A field history from groups of changes, each {of, at, by, field, type, old, new} with arrays or single values.

    Rows are in order of time, then parent, then group; ids follow that order from `first`: all histories share one prefix.
    """
    names = ("of", "at", "by", "field", "type", "old", "new")
    whole: dict[str, list[Array]] = {name: [] for name in names}
    for group in rows:
        size = len(group["of"])
        for name in names:
            value = group[name]
            made = np.asarray(value, dtype=object if name != "at" else np.int64)
            whole[name].append(np.broadcast_to(made, (size,)) if made.ndim == 0 else made)
    joined = {name: np.concatenate(parts) for name, parts in whole.items()}
    order = np.lexsort((joined["of"].astype("U18"), joined["at"]))
    ordered = {name: column[order] for name, column in joined.items()}
    return pa.table({
        "Id": texts(record_ids("017", len(order), first)), "IsDeleted": pa.array(np.zeros(len(order), dtype=bool)),
        parent: texts(ordered["of"]), "Field": texts(ordered["field"]), "DataType": texts(ordered["type"]),
        "OldValue": texts(ordered["old"]), "NewValue": texts(ordered["new"]), "CreatedById": texts(ordered["by"]),
        "CreatedDate": instants(ordered["at"]),
    })  # fmt: skip
