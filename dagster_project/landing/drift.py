"""How a table's schema and a batch's come together: added columns, widened numbers, or a clear refusal."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from dagster_project.errors import LandingError


@dataclass(frozen=True)
class Merged:
    """`schema`: the table's columns in order, then the batch's new ones. `widened`: landed columns that must grow."""

    schema: pa.Schema
    widened: tuple[str, ...]


def merge(landed: pa.Schema, batch: pa.Schema, where: str) -> Merged:
    """The schema that holds both. Numbers widen (int64 -> double, decimal(18,2) -> decimal(18,4)).

    Raises LandingError where a type changed in any other way, since casting would lose or invent values.
    """
    fields, widened = [], []
    for field in landed:
        index = batch.get_field_index(field.name)
        kind = field.type if index < 0 else _common(field.type, batch.field(index).type)
        if kind is None:
            raise LandingError(
                f"{field.name} was landed as {field.type} and now arrives as {batch.field(index).type}; "
                "that cannot be merged without losing values.",
                where=where,
                todo="Undo the change of type in the org, or move this table away to load the object anew.",
            )
        if kind != field.type:
            widened.append(field.name)
        fields.append(pa.field(field.name, kind))
    known = set(landed.names)
    fields += [pa.field(field.name, field.type) for field in batch if field.name not in known]
    return Merged(pa.schema(fields), tuple(widened))


def _common(old: pa.DataType, new: pa.DataType) -> pa.DataType | None:
    if old == new:
        return old
    if _is_number(old) and _is_number(new):
        try:
            both = pa.unify_schemas([pa.schema([("n", old)]), pa.schema([("n", new)])], promote_options="permissive")
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            return None
        kind = both.field("n").type
        return kind if _is_number(kind) else None
    if pa.types.is_null(new):
        return old
    return None


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal128(kind))
