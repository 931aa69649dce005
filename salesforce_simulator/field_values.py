"""What a value in an input means for a field: text or typed columns to SQL, single JSON values to Python."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa

from salesforce_simulator import ids, schema
from salesforce_simulator.errors import ApiError
from salesforce_simulator.schema import Field


def read_sql(kind: Field, column: str, given: pa.DataType) -> str:
    """DuckDB expression that reads a column of an input as the field's type; NULL where text cannot be read.

    Empty text is null. Ids become 18 characters, instants UTC to the second, booleans may be written true/false or 1/0.
    """
    if not (pa.types.is_string(given) or pa.types.is_large_string(given)):
        if kind.type == "datetime":
            instant = f"make_timestamp(epoch_us({column}))" if getattr(given, "tz", None) else f"{column}::TIMESTAMP"
            return f"date_trunc('second', {instant})"
        return f"CAST({column} AS {kind.storage})"
    text = f"nullif({column}, '')"
    if kind.type in schema.ID_TYPES:
        return ids.to_18_sql(text)
    if kind.type == "datetime":
        return f"date_trunc('second', {instant_sql(text)})"
    if kind.type == "boolean":
        return f"CASE WHEN lower({text}) IN ('true', '1') THEN true WHEN lower({text}) IN ('false', '0') THEN false END"
    if kind.type == "date":
        return f"CASE WHEN regexp_full_match({text}, '\\d{{4}}-\\d{{2}}-\\d{{2}}') THEN try_cast({text} AS DATE) END"
    if kind.storage == "VARCHAR":
        return text
    if kind.type in ("int", "long"):
        return f"CAST(try_cast({text} AS DECIMAL(18,0)) AS BIGINT)"
    return f"try_cast({text} AS {kind.storage})"


def instant_sql(text: str) -> str:
    """DuckDB expression: ISO 8601 text of an instant (`Z`, an offset, or nothing for UTC) as a naive UTC TIMESTAMP."""
    # DuckDB's own cast to TIMESTAMP drops the offset, so it is taken off here
    form = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?"
    offset = rf"regexp_extract({text}, '([+-])(\d{{2}}):?(\d{{2}})$', ['s','h','m'])"
    has_offset = rf"regexp_matches({text}, ':\d{{2}}(\.\d+)?[+-]\d{{2}}:?\d{{2}}$')"
    base = f"try_cast(replace(substr({text}, 1, 16), 'T', ' ') || coalesce(nullif(regexp_extract({text}, '^.{{16}}(:\\d{{2}}(\\.\\d+)?)', 1), ''), ':00') AS TIMESTAMP)"  # noqa: E501
    minutes = f"(try_cast({offset}.h AS INTEGER) * 60 + try_cast({offset}.m AS INTEGER)) * (CASE {offset}.s WHEN '-' THEN -1 ELSE 1 END)"
    shifted = f"{base} - to_minutes(CASE WHEN {has_offset} THEN {minutes} ELSE 0 END)"
    return f"CASE WHEN regexp_full_match({text}, '{form}') THEN {shifted} END"


def value_of(kind: Field, value: object) -> object:
    """A value from JSON as the field stores it; raises ApiError where it cannot be."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, (dict, list)):
            raise TypeError(value)
        if kind.type == "datetime":
            return parse_instant(value)
        if kind.type in schema.ID_TYPES:
            return ids.to_18(str(value))
        if kind.type == "boolean":
            if isinstance(value, bool):
                return value
            return {"true": True, "false": False}[str(value).lower()]
        if kind.type in schema.NUMBER_TYPES:
            if isinstance(value, bool):
                raise ValueError(value)
            return float(str(value)) if kind.type != "int" else int(float(str(value)))
        if kind.type == "date":
            if isinstance(value, date):
                return value
            return datetime.strptime(str(value)[:10], "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no time zone
    except (ValueError, KeyError, TypeError):
        raise ApiError(
            400, "JSON_PARSER_ERROR", f"Cannot deserialize instance of {kind.type} from VALUE_STRING value {value}"
        ) from None
    return str(value)


def parse_instant(value: object) -> datetime:
    """An ISO 8601 instant as a naive UTC datetime to the second; without an offset it is UTC. Raises ValueError."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if moment.tzinfo:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.replace(microsecond=0)
