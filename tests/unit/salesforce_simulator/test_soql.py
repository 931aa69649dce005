from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from salesforce_simulator.errors import ApiError
from salesforce_simulator.org import Org
from salesforce_simulator.soql.to_sql import compile_query

Soql = Callable[..., list[dict[str, Any]]]


def _names(records: list[dict[str, Any]]) -> list[str]:
    return [r["Name"] for r in records]


def test_a_record_carries_its_type_and_url_and_typed_values(soql: Soql) -> None:
    (record,) = soql("select id, name, amount, closedate, createddate, iswon from opportunity where name = 'ONE'")
    assert record == {
        "attributes": {"type": "Opportunity", "url": "/services/data/v62.0/sobjects/Opportunity/006000000000001AAA"},
        "Id": "006000000000001AAA",
        "Name": "One",
        "Amount": 10.5,
        "CloseDate": "2024-05-15",
        "CreatedDate": "2024-05-15T00:00:00.000+0000",
        "IsWon": False,
    }


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("Amount > 10", ["One", "two", "100% five"]),
        ("Amount >= 10.5 AND Amount < 1e6", ["One", "100% five"]),
        ("Amount = null", ["Three"]),
        ("Amount != 0", ["One", "two", "Three", "100% five"]),
        ("NOT Amount > 10", ["Three", "FOUR"]),
        ("StageName = 'prospecting'", ["One", "Three", "100% five"]),
        ("Name LIKE 't%'", ["two", "Three"]),
        ("Name LIKE 'T_o'", ["two"]),
        (r"Name LIKE '100\%%'", ["100% five"]),
        ("(NOT Name LIKE 't%') AND IsWon = FALSE", ["One", "FOUR", "100% five"]),
        ("StageName IN ('Closed Won', 'Closed Lost')", ["two", "FOUR"]),
        ("StageName NOT IN ('Closed Won', 'Closed Lost')", ["One", "Three", "100% five"]),
        ("Id = '006000000000001'", ["One"]),
        ("Id IN ('006000000000001AAA', '006000000000002')", ["One", "two"]),
        ("AccountId = null", ["FOUR"]),
        ("AccountId NOT IN ('001000000000001')", ["Three", "FOUR", "100% five"]),
        ("Account.Name LIKE 'acme%'", ["One", "two"]),
        ("Account.Owner.Name = 'Bob'", ["Three"]),
        ("Account.Industry = null", ["FOUR", "100% five"]),
        ("CloseDate = TODAY", ["One"]),
        ("CloseDate = YESTERDAY", ["two"]),
        ("CloseDate = THIS_WEEK", ["One", "two"]),
        ("CloseDate = LAST_MONTH", ["Three"]),
        ("CloseDate > THIS_MONTH", ["100% five"]),
        ("CloseDate < THIS_FISCAL_YEAR", ["FOUR"]),
        ("CloseDate = LAST_N_DAYS:1", ["One", "two"]),
        ("CloseDate = N_DAYS_AGO:1", ["two"]),
        ("CloseDate = NEXT_N_DAYS:17", ["100% five"]),
        ("CreatedDate = TODAY", ["One"]),
        ("CreatedDate < 2024-01-01T00:00:00Z", ["FOUR"]),
        ("CreatedDate >= 2024-05-15T00:00:00.900Z", ["One"]),
        ("CreatedDate = 2024-02-01T00:00:00Z", ["Three"]),
        ("CreatedDate >= 2024-05-15T01:59:59+02:00", ["One", "two"]),
        ("CALENDAR_YEAR(CloseDate) = 2023", ["FOUR"]),
        ("DAY_ONLY(CreatedDate) = 2024-05-14", ["two"]),
        ("AccountId IN (SELECT Id FROM Account WHERE Industry = 'Retail')", ["Three"]),
        ("AccountId NOT IN (SELECT Id FROM Account WHERE Industry = 'Retail')", ["One", "two", "FOUR", "100% five"]),
        ("Id IN (SELECT WhatId FROM Task)", ["One"]),
    ],
)  # fmt: skip
def test_conditions_choose_what_the_service_would(soql: Soql, where: str, names: list[str]) -> None:
    assert _names(soql(f"SELECT Name FROM Opportunity WHERE {where}")) == names


def test_order_puts_nulls_first_unless_told(soql: Soql) -> None:
    assert _names(soql("SELECT Name FROM Opportunity ORDER BY Amount")) == ["Three", "FOUR", "One", "100% five", "two"]
    assert _names(soql("SELECT Name FROM Opportunity ORDER BY Amount DESC NULLS LAST LIMIT 2")) == ["two", "100% five"]
    assert _names(soql("SELECT Name FROM Opportunity ORDER BY Name LIMIT 2 OFFSET 1")) == ["FOUR", "One"]


def test_deleted_and_archived_records_come_only_when_asked_for(soql: Soql) -> None:
    assert len(soql("SELECT Id FROM Opportunity")) == 5
    assert len(soql("SELECT Id FROM Opportunity", all_rows=True)) == 6
    assert len(soql("SELECT Id FROM Opportunity ALL ROWS")) == 6
    assert len(soql("SELECT Id FROM Task")) == 1
    assert len(soql("SELECT Id FROM Task ALL ROWS")) == 2


def test_parents_nest_and_are_null_where_there_is_none(soql: Soql) -> None:
    one, four = soql("SELECT Name, Account.Name, Account.Owner.Name FROM Opportunity WHERE Name IN ('One', 'FOUR')")
    assert one["Account"]["Name"] == 'Acme "East"'
    assert one["Account"]["Owner"]["Name"] == "Ann"
    assert one["Account"]["attributes"]["type"] == "Account"
    assert four["Account"] is None


def test_a_polymorphic_parent_shows_name_and_type(soql: Soql) -> None:
    one, two = soql("SELECT What.Name, What.Type FROM Task ORDER BY Id ALL ROWS")
    assert (one["What"]["Name"], one["What"]["Type"]) == ("One", "Opportunity")
    assert (two["What"]["Name"], two["What"]["Type"]) == ("beta, Inc", "Account")


@pytest.mark.parametrize("pretty", [False, True])
def test_children_come_with_their_own_order_and_limit(soql: Soql, pretty: bool) -> None:
    query = "SELECT Name, (SELECT Name FROM Opportunities ORDER BY Amount DESC LIMIT 1) FROM Account ORDER BY Id"
    records = soql(query, pretty=pretty)
    assert [r["Opportunities"] and _names(r["Opportunities"]["records"]) for r in records] == [
        ["two"],
        ["Three"],
        ["100% five"],
    ]
    none = soql("SELECT (SELECT Id FROM Opportunities WHERE Amount > 1000000) FROM Account ORDER BY Id", pretty=pretty)
    assert [r["Opportunities"] is None for r in none] == [False, True, True]


def test_groups_and_aggregates(soql: Soql) -> None:
    records = soql(
        "SELECT StageName, COUNT(Id), SUM(Amount) total, MAX(CloseDate) FROM Opportunity "
        "GROUP BY StageName HAVING COUNT(Id) >= 1 ORDER BY COUNT(Id) DESC, StageName"
    )
    assert [(r["StageName"], r["expr0"], r["total"], r["expr1"]) for r in records] == [
        ("Prospecting", 3, 110.49, "2024-06-01"),
        ("Closed Lost", 1, 0.0, "2023-12-31"),
        ("Closed Won", 1, 1200000.0, "2024-05-14"),
    ]
    assert records[0]["attributes"] == {"type": "AggregateResult"}
    (years,) = soql(
        "SELECT CALENDAR_YEAR(CloseDate) y, COUNT(Id) n FROM Opportunity WHERE IsWon = true "
        "GROUP BY CALENDAR_YEAR(CloseDate)"
    )
    assert (years["y"], years["n"]) == (2024, 1)
    (whole,) = soql("SELECT COUNT(Amount), COUNT_DISTINCT(AccountId), AVG(Amount) FROM Opportunity")
    assert (whole["expr0"], whole["expr1"]) == (4, 3)


def test_all_fields_need_a_limit(soql: Soql) -> None:
    (record,) = soql("SELECT FIELDS(ALL) FROM Opportunity LIMIT 1")
    assert {"Id", "Name", "Amount", "SystemModstamp"} <= set(record)
    with pytest.raises(ApiError, match="LIMIT of at most 200"):
        soql("SELECT FIELDS(ALL) FROM Opportunity")


def test_csv_quotes_everything_and_reads_back(soql_csv: Callable[[str], str]) -> None:
    text = soql_csv("SELECT Id, Name, Industry, Owner.Name, IsDeleted FROM Account")
    assert text.startswith('"Id","Name","Industry","Owner.Name","IsDeleted"\n"001000000000001AAA","Acme ""East""",')
    assert list(csv.reader(io.StringIO(text)))[1:] == [
        ["001000000000001AAA", 'Acme "East"', "Banking", "Ann", "false"],
        ["001000000000002AAA", "beta, Inc", "retail", "Bob", "false"],
        ["001000000000003AAA", "Gamma\nLtd", "", "Ann", "false"],
    ]
    assert '"2024-05-15T00:00:00.000Z"' in soql_csv("SELECT CreatedDate FROM Opportunity")


@pytest.mark.parametrize(
    ("query", "code", "column", "message"),
    [
        ("", "MALFORMED_QUERY", 1, "expecting SELECT"),
        ("SELECT", "MALFORMED_QUERY", 7, "unexpected token"),
        ("SELECT Id FROM", "MALFORMED_QUERY", 15, "unexpected token"),
        ("SELECT Id FROM Account WHERE", "MALFORMED_QUERY", 29, "unexpected token"),
        ("SELECT Id FROM Account x y", "MALFORMED_QUERY", 26, "unexpected token: 'y'"),
        ("SELECT * FROM Account", "MALFORMED_QUERY", 8, "unexpected char"),
        ("SELECT Id FROM Account; DROP TABLE Account", "MALFORMED_QUERY", 23, "unexpected char"),
        ("SELECT Id FROM Account WHERE Name = 'x' -- y", "MALFORMED_QUERY", 41, "unexpected char"),
        ("SELECT Id FROM Account WHERE Name = \"x\"", "MALFORMED_QUERY", 37, "unexpected char"),
        ("SELECT Id FROM Account WHERE Name = 'x", "MALFORMED_QUERY", 37, "unterminated"),
        (r"SELECT Id FROM Account WHERE Name = '\q'", "MALFORMED_QUERY", 38, "Illegal character sequence"),
        ("SELECT Id FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'", "MALFORMED_QUERY", 56, "'OR'"),
        ("SELECT Id FROM Account WHERE Name = :bind", "MALFORMED_QUERY", 37, "unexpected token: ':'"),
        ("SELECT Nope FROM Account", "INVALID_FIELD", 8, "No such column 'Nope' on entity 'Account'"),
        ("SELECT Id, Boss.Name FROM Account", "INVALID_FIELD", 12, "Didn't understand relationship 'Boss'"),
        ("SELECT Id, Id FROM Account", "INVALID_FIELD", 12, "duplicate field selected: Id"),
        ("SELECT Id FROM Nope", "INVALID_TYPE", 16, "sObject type 'Nope' is not supported"),
        ("SELECT (SELECT Id FROM Nopes) FROM Account", "INVALID_TYPE", 24, "relationship 'Nopes'"),
        ("SELECT Id FROM Account WHERE CreatedDate > '2020'", "INVALID_FIELD", 44, "should not be enclosed in quotes"),
        ("SELECT Id FROM Account WHERE CreatedDate > 2020-01-01", "INVALID_FIELD", 44, "must be of type dateTime"),
        ("SELECT Id FROM Opportunity WHERE CloseDate > 2020-01-01T00:00:00Z", "INVALID_FIELD", 46, "of type date"),
        ("SELECT Id FROM Opportunity WHERE CloseDate = 2020-02-30", "MALFORMED_QUERY", 46, "Invalid date"),
        ("SELECT Id FROM Opportunity WHERE Amount = '5'", "INVALID_FIELD", 43, "must be of type currency"),
        ("SELECT Id FROM Opportunity WHERE IsWon = 1", "INVALID_FIELD", 42, "must be of type boolean"),
        ("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD", 37, "and should be enclosed"),
        ("SELECT Id FROM Account WHERE Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR", 35, "invalid ID field: x"),
        ("SELECT Id FROM Account WHERE Id LIKE '001%'", "INVALID_QUERY_FILTER_OPERATOR", 30, "invalid operator"),
        ("SELECT Id, COUNT(Name) FROM Account", "MALFORMED_QUERY", 8, "Field must be grouped or aggregated: Id"),
        ("SELECT Id FROM Account WHERE COUNT(Id) > 1", "MALFORMED_QUERY", 30, "not allowed here"),
        ("SELECT SUM(Name) FROM Account", "MALFORMED_QUERY", 8, "does not support aggregate operator SUM"),
        ("SELECT Id FROM Account LIMIT -1", "MALFORMED_QUERY", 30, "whole number"),
        ("SELECT Id FROM Account LIMIT 'a'", "MALFORMED_QUERY", 30, "whole number"),
        ("SELECT Id\nFROM Account\nWHERE Nope = 1", "INVALID_FIELD", 7, "ERROR at Row:3"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_with_its_position(
    soql: Soql, query: str, code: str, column: int, message: str
) -> None:
    with pytest.raises(ApiError) as error:
        soql(query)
    assert (error.value.status, error.value.code) == (400, code)
    assert f":Column:{column}\n" in error.value.message
    assert message in error.value.message


_WORDS = st.sampled_from(
    [
        *(
            "SELECT",
            "FROM",
            "WHERE",
            "AND",
            "OR",
            "NOT",
            "IN",
            "LIKE",
            "GROUP",
            "BY",
            "HAVING",
            "ORDER",
            "LIMIT",
            "OFFSET",
        ),
        *("(", ")", ",", ".", "=", "!=", "<", ">=", ":", ";", "--", "/*", '"', "$p0", "?", "*", "\\"),
        *(
            "Id",
            "Name",
            "Amount",
            "CloseDate",
            "CreatedDate",
            "Account",
            "Opportunity",
            "Opportunities",
            "COUNT",
            "SUM",
        ),
        *("'x'", "'\\'", "5", "-1.5e3", "null", "true", "TODAY", "LAST_N_DAYS", "2024-01-01", "2024-01-01T00:00:00Z"),
        *(
            "FIELDS",
            "ALL",
            "ROWS",
            "DESC",
            "NULLS",
            "LAST",
            "INCLUDES",
            "CALENDAR_YEAR",
            "99999999999999999999",
            "USD5",
        ),
    ]
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=60), st.lists(_WORDS, max_size=30).map(" ".join)))
@example("SELECT Id FROM Account WHERE " + "(" * 500 + "Name = 'x'" + ")" * 500)
@example("SELECT Id FROM Account WHERE " + "NOT " * 5000 + "Name = 'x'")
@example("SELECT Id FROM Opportunity WHERE CloseDate = LAST_N_YEARS:99999")
@example("SELECT Id FROM Opportunity WHERE CreatedDate > 9999-12-31T23:59:59-14:00")
@example("SELECT Id FROM Opportunity WHERE Amount > 1e999")
def test_no_text_crashes_the_parser_or_reaches_the_database_unread(org: Org, text: str) -> None:
    _either_runs_or_is_refused(org, text)


_FIELDS = st.sampled_from(
    ["Id", "Name", "Amount", "CloseDate", "CreatedDate", "IsWon", "AccountId", "Account.Name", "Account.Owner.Name"]
)
_LITERALS = st.one_of(
    st.text(max_size=8).map(lambda s: "'" + s.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    st.floats(allow_nan=False, allow_infinity=False).map(str),
    st.datetimes().map(lambda d: d.strftime("%Y-%m-%dT%H:%M:%SZ")),
    st.dates().map(str),
    st.sampled_from(["null", "TRUE", "TODAY", "LAST_N_WEEKS:3", "'006000000000001'"]),
)
_LISTS = st.lists(_LITERALS, min_size=1, max_size=3).map(lambda values: f"({', '.join(values)})")
_COMPARISONS = st.one_of(
    st.builds("{} {} {}".format, _FIELDS, st.sampled_from(["=", "!=", "<", ">=", "LIKE"]), _LITERALS),
    st.builds("{} {} {}".format, _FIELDS, st.sampled_from(["IN", "NOT IN"]), _LISTS),
)
_CONDITIONS = st.recursive(
    _COMPARISONS,
    lambda inner: st.one_of(
        st.builds("(NOT {})".format, inner),
        st.builds("(({}) {} ({}))".format, inner, st.sampled_from(["AND", "OR"]), inner),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_CONDITIONS, st.lists(_FIELDS, min_size=1, max_size=4, unique=True), _FIELDS)
def test_queries_that_look_right_run_or_are_refused(org: Org, where: str, fields: list[str], order: str) -> None:
    _either_runs_or_is_refused(org, f"SELECT {', '.join(fields)} FROM Opportunity WHERE {where} ORDER BY {order}")


def _either_runs_or_is_refused(org: Org, text: str) -> None:
    try:
        compiled = compile_query(org, text)
    except ApiError as refusal:
        status, code = refusal.status, refusal.code
    else:
        with org.cursor() as cursor:
            cursor.execute(compiled.sql, compiled.parameters).fetchall()
        return
    assert status == 400
    assert code
