import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_simulator import ids

_FIFTEEN = st.text(alphabet="0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", min_size=15, max_size=15)


def test_the_checksum_is_the_published_one() -> None:
    assert ids.to_18("a01M00000062mPg") == "a01M00000062mPgIAI"


@given(_FIFTEEN)
def test_sql_and_python_agree_on_the_checksum(short: str) -> None:
    row = duckdb.execute(f"SELECT {ids.to_18_sql('x')} FROM (SELECT ? AS x)", [short]).fetchone()
    assert row == (ids.to_18(short),)


@given(st.integers(min_value=0, max_value=62**12 - 1))
def test_a_numbered_id_gives_its_number_back(number: int) -> None:
    made = ids.numbered("006", number)
    assert ids.is_id(made)
    assert ids.number_of(made) == number


@pytest.mark.parametrize(
    "text", ["", "006", "00600000000000", "0060000000000012", "006000000000001aaa", "006-00000000001"]
)
def test_what_is_no_id_is_told_apart(text: str) -> None:
    assert not ids.is_id(text)
