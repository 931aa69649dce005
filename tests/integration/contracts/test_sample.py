"""The weekly sample: drawn by seed, one stratum apart from the other, kept as drawn; verdicts read back and counted."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from dagster_project.contracts.sample import SAMPLE_SCHEMA, SampleError, draw, record_verdicts, shares, week_of
from dagster_project.landing import AppendOnlyTable

MONDAY = date(2026, 6, 22)
NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)


def _mart(as_of: str = "2026-07-01") -> duckdb.DuckDBPyConnection:
    """Forty deals each: open, won and lost in the week from the 22nd of June; and those that belong to no stratum."""
    mart = duckdb.connect()
    mart.execute(f"CREATE TABLE dim_run AS SELECT TIMESTAMP '{as_of}' AS as_of, DATE '{as_of}' AS as_of_on")
    mart.execute("""
        CREATE TABLE fct_opportunities AS
        SELECT kind || i AS opportunity_id, 'Deal ' || kind || i AS opportunity_name, 'https://org.example/' || kind || i AS record_url,
            'Ann' AS owner_name, 'Proposal' AS stage_name, 'Proposal' AS evidenced_stage_name, 1.5 AS amount, 'USD' AS currency_code,
            DATE '2026-08-01' AS close_on, NULL::TIMESTAMP AS last_customer_response_at, created_at, closed_at, is_open, is_won, is_lost,
            is_deleted
        FROM range(40) AS r (i), (VALUES
            ('open', TIMESTAMP '2026-06-28', NULL, TRUE, FALSE, FALSE, FALSE), ('late', TIMESTAMP '2026-06-29', NULL, TRUE, FALSE, FALSE, FALSE),
            ('won', TIMESTAMP '2026-01-01', TIMESTAMP '2026-06-22', FALSE, TRUE, FALSE, FALSE),
            ('lost', TIMESTAMP '2026-01-01', TIMESTAMP '2026-06-28 23:59', FALSE, FALSE, TRUE, FALSE),
            ('before', TIMESTAMP '2026-01-01', TIMESTAMP '2026-06-21 23:59', FALSE, TRUE, FALSE, FALSE),
            ('gone', TIMESTAMP '2026-01-01', TIMESTAMP '2026-06-24', FALSE, FALSE, TRUE, TRUE),
            ('unclear', TIMESTAMP '2026-01-01', NULL, FALSE, TRUE, FALSE, FALSE)
        ) AS k (kind, created_at, closed_at, is_open, is_won, is_lost, is_deleted)
        UNION ALL
        SELECT 'then', 'Deal then', NULL, 'Ann', 'Won', 'Won', 1.5, 'USD', NULL, NULL, TIMESTAMP '2026-06-01', TIMESTAMP '2026-06-29', FALSE, TRUE, FALSE, FALSE""")
    mart.execute("""
        CREATE TABLE fct_leads AS
        SELECT kind || i AS lead_id, 'Acme' AS lead_name, 'https://org.example/' || kind || i AS record_url, 'Ann' AS owner_name,
            'Unqualified' AS lead_status, outcome, closed_at
        FROM range(40) AS r (i), (VALUES
            ('lead', 'given up', TIMESTAMP '2026-06-22'), ('worked', 'open', NULL), ('deal', 'converted', TIMESTAMP '2026-06-24'),
            ('older', 'given up', TIMESTAMP '2026-06-21 23:59'), ('later', 'given up', TIMESTAMP '2026-06-29')
        ) AS k (kind, outcome, closed_at)""")
    return mart


def test_each_stratum_is_drawn_apart_by_its_seed_and_week(tmp_path: Path) -> None:
    rows, is_new = draw(_mart(), tmp_path / "a", MONDAY, per_stratum=5, seed=1)
    assert is_new
    assert [row["stratum"] for row in rows] == ["open"] * 5 + ["lost"] * 5 + ["won"] * 5 + ["dropped at lead"] * 5
    for row in rows:
        assert (
            row["record_id"].rstrip("0123456789") == {"dropped at lead": "lead"}.get(row["stratum"], row["stratum"])
            or row["record_id"] == "then"
        )
    same, _ = draw(_mart(), tmp_path / "b", MONDAY, per_stratum=5, seed=1)
    other, _ = draw(_mart(), tmp_path / "c", MONDAY, per_stratum=5, seed=2)
    assert same == rows
    assert [row["record_id"] for row in other] != [row["record_id"] for row in rows]


def test_a_stratum_holds_who_was_in_it_at_the_end_of_the_week(tmp_path: Path) -> None:
    rows, _ = draw(_mart(), tmp_path, MONDAY, per_stratum=500, seed=1)
    by = {
        name: {row["record_id"] for row in rows if row["stratum"] == name}
        for name in ("open", "lost", "won", "dropped at lead")
    }
    assert by["open"] == {f"open{i}" for i in range(40)} | {"then"}  # won only after the week
    assert by["lost"] == {f"lost{i}" for i in range(40)}
    assert by["won"] == {f"won{i}" for i in range(40)}
    assert by["dropped at lead"] == {f"lead{i}" for i in range(40)}
    (one,) = [row for row in rows if row["record_id"] == "lead0"]
    assert (one["record_name"], one["stage"], one["owner"]) == ("Acme", "Unqualified", "Ann")


def test_a_week_is_drawn_once(tmp_path: Path) -> None:
    first, _ = draw(_mart(), tmp_path, MONDAY, per_stratum=2, seed=1)
    again, is_new = draw(_mart(), tmp_path, MONDAY, per_stratum=30, seed=9)
    assert (again, is_new) == (first, False)


def test_a_week_that_has_not_ended_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="has not ended"):
        draw(_mart("2026-06-28"), tmp_path, MONDAY, per_stratum=2, seed=1)
    assert not (tmp_path / "samples").exists()
    assert draw(_mart("2026-06-29"), tmp_path, MONDAY, per_stratum=2, seed=1)[1]


def test_verdicts_are_counted_by_stratum_with_their_interval_and_the_last_one_counts(tmp_path: Path) -> None:
    rows, _ = draw(_mart(), tmp_path, MONDAY, per_stratum=4, seed=1)
    file = tmp_path / "said.csv"

    def say(*verdicts: str, of: int = 0) -> int:
        lines = [f"{row['record_id']},{said}," for row, said in zip(rows[of:], verdicts, strict=False)]
        file.write_text("record_id,verdict,note\n" + "\n".join(lines) + "\n")
        return record_verdicts(tmp_path, MONDAY, file, by="Rita", at=NOW)

    assert say("wrong", "right", "", "cannot tell", "Right") == 4
    assert say("right") == 1
    opened, lost, won, dropped = shares(tmp_path, MONDAY, minimum_n=2)
    assert (opened.drawn, opened.size, opened.n, opened.right, opened.cannot_tell, opened.not_looked_at) == (
        4,
        41,
        2,
        2,
        1,
        1,
    )
    assert (opened.share, opened.reads) == (1.0, "100%")
    assert opened.lower == pytest.approx(0.3424, abs=1e-4)  # Wilson, 2 of 2
    assert opened.upper == pytest.approx(1.0)
    assert (lost.n, lost.share, lost.reads) == (1, None, "too few")
    assert (won.n, won.not_looked_at, won.reads) == (0, 4, "too few")
    assert (dropped.drawn, dropped.n) == (4, 0)
    draw(_mart("2026-07-08"), tmp_path, date(2026, 6, 29), per_stratum=3, seed=1)
    pooled = shares(tmp_path, None, minimum_n=2)[0]
    assert (pooled.drawn, pooled.n, pooled.not_looked_at) == (7, 2, 4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("record_id,note\nx,\n", "said.csv:1: there is no column 'verdict'"),
        (
            "record_id,verdict\nopen0,rihgt\n",
            "said.csv:2: there is no verdict 'rihgt'. Did you mean 'right'? Write one of: right, wrong, cannot tell.",
        ),
        ("record_id,verdict\nelsewhere,right\n", "said.csv:2: the record 'elsewhere' is not in the sample"),
        ("record_id,verdict\nopen0,\n", "no line holds a verdict"),
    ],
)
def test_a_file_that_cannot_be_used_writes_nothing(tmp_path: Path, text: str, told: str) -> None:
    draw(_mart(), tmp_path, MONDAY, per_stratum=500, seed=1)
    file = tmp_path / "said.csv"
    file.write_text(text)
    with pytest.raises(SampleError) as error:
        record_verdicts(tmp_path, MONDAY, file, by="Rita", at=NOW)
    assert told in str(error.value)
    assert not (tmp_path / "sample_verdicts").exists()


def test_an_id_of_15_characters_is_that_of_the_sample(tmp_path: Path) -> None:
    drawn = pa.Table.from_pylist(
        [
            {
                "week_starts_on": MONDAY,
                "stratum": "won",
                "draw": 1,
                "record_id": "006000000000123AAA",
                "stratum_size": 1,
                "seed": 1,
                "drawn_as_of": NOW,
            }
        ],
        schema=SAMPLE_SCHEMA,
    )
    AppendOnlyTable(tmp_path / "samples").append(drawn)
    (tmp_path / "said.csv").write_text("record_id,verdict\n006000000000123,right\n")
    assert record_verdicts(tmp_path, MONDAY, tmp_path / "said.csv", by="Rita", at=NOW) == 1
    assert [share.right for share in shares(tmp_path, MONDAY, minimum_n=1)] == [0, 0, 1, 0]


def test_verdicts_need_a_sample(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="no sample of the week of 2026-06-22 was drawn"):
        record_verdicts(tmp_path, MONDAY, tmp_path / "said.csv", by="Rita", at=NOW)


def test_a_week_is_named_by_number_or_by_a_day_in_it() -> None:
    assert week_of("2026-W26") == week_of("2026-06-22") == week_of("2026-06-28") == MONDAY
    with pytest.raises(SampleError, match="'26' is no week"):
        week_of("26")
