"""How addresses and tracked values land, against Python's own HMAC."""

from __future__ import annotations

import hashlib
import hmac

import duckdb
import pytest
from pydantic import SecretStr

from dagster_project.salesforce.description import FieldDescription
from dagster_project.salesforce.guards import Addresses, expressions
from dagster_project.salesforce.objects import OBJECTS

KEY = "canary-key-0123456789"


def _landed(addresses: Addresses, value: str | None) -> str | None:
    with duckdb.connect(":memory:") as connection:
        addresses.bind(connection)
        row = connection.execute(
            f"SELECT {addresses.expression('v')} FROM (SELECT ?::VARCHAR AS v)", [value]
        ).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("key", [KEY, "k" * 64, "ü" * 90])
@pytest.mark.parametrize("value", ["a@b.example", "  A@B.Example\n", "josé@firma.example"])
def test_an_address_lands_as_the_hmac_of_what_it_means(key: str, value: str) -> None:
    expected = hmac.new(key.encode(), value.strip().lower().encode(), hashlib.sha256).hexdigest()
    assert _landed(Addresses("hashed", SecretStr(key)), value) == expected


@pytest.mark.parametrize("value", [None, "", "  "])
def test_no_address_has_no_hash(value: str | None) -> None:
    assert _landed(Addresses("hashed", SecretStr(KEY)), value) is None


def test_plain_is_as_it_came() -> None:
    assert _landed(Addresses("plain"), " A@b.example") == " A@b.example"


def test_the_mark_tells_ways_and_keys_apart_and_shows_no_key() -> None:
    ways = [
        Addresses("none"),
        Addresses("plain"),
        Addresses("hashed", SecretStr(KEY)),
        Addresses("hashed", SecretStr(KEY + "x")),
    ]
    assert len({way.mark for way in ways}) == len(ways)
    assert Addresses("hashed", None).mark == "none"
    assert not any(KEY in way.mark or KEY in repr(way) for way in ways)


@pytest.mark.parametrize(
    ("field", "kind", "value", "lands"),
    [
        ("Status", "DynamicEnum", "Open", "Open"),
        ("StageName", None, "Closed Won", "Closed Won"),
        ("Email", "Text", "not an address", None),
        ("MobilePhone", "Text", "+1 555", None),
        ("Backup__c", "Phone", "+1 555", None),
        ("Note__c", "Text", "write to a@b.example", None),
        (None, None, "Open", "Open"),
        ("Status", "DynamicEnum", "", None),
    ],
)
def test_a_tracked_value_lands_unless_it_is_personal(
    field: str | None, kind: str | None, value: str, lands: str | None
) -> None:
    names = ("Field", "DataType", "OldValue", "NewValue")
    described = {name: FieldDescription(name, "string") for name in names}
    sql = expressions(OBJECTS["LeadHistory"], described, Addresses("none"))
    assert set(sql) == {"OldValue", "NewValue"}
    query = f'SELECT {sql["OldValue"]}, {sql["NewValue"]} FROM (SELECT ? AS "Field", ? AS "DataType", ? AS "OldValue", ? AS "NewValue")'
    assert duckdb.execute(query, [field, kind, value, value]).fetchone() == (lands, lands)


def test_where_nothing_says_what_changed_no_tracked_value_lands() -> None:
    sql = expressions(OBJECTS["CaseHistory"], {"OldValue": FieldDescription("OldValue", "string")}, Addresses("none"))
    assert duckdb.execute(f"SELECT {sql['OldValue']} FROM (SELECT 'Open' AS \"OldValue\")").fetchone() == (None,)
