"""Forgetting records on a home that was run twice: no byte of them is left, everything else is, and they do not come back."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from click.testing import CliRunner

from dagster_project import erasure, pipeline, settings
from dagster_project.cli import leanfunnel
from dagster_project.contracts.decisions import Breach, Decision, Decisions
from dagster_project.contracts.overrides import SCHEMA as OVERRIDE_SCHEMA
from dagster_project.contracts.sample import VERDICT_SCHEMA
from dagster_project.erasure.landed import Landed
from dagster_project.erasure.rules import literal
from dagster_project.errors import LeanfunnelError, SettingsError
from dagster_project.landing import AppendOnlyTable, LandingLog
from salesforce_simulator.process import running_simulator

from .conftest import Bench

KEY = "k" * 32
ADDRESS = "canary.zoe@person.example"
TEXTS = {
    name: f"Canary {name} Zweig-4711"
    for name in ("account", "deal", "deal once", "title", "company", "owner", "note", "decision", "observed")
}
AMOUNT = "87654321.09"
AT = datetime(2026, 7, 2, tzinfo=UTC)


@dataclass
class Planted(Bench):
    """`ids`: the records that are to be forgotten, by what they are."""

    ids: dict[str, str] | None = None

    @property
    def place(self):
        return settings.load(self.home, {**self.login, "LEANFUNNEL_EMAIL_KEY": KEY}, dotenv=Path("none"))

    @property
    def hashed(self) -> str:
        """The address as it lands: another way to compute what guards computes in SQL."""
        import hashlib
        import hmac

        return hmac.new(KEY.encode(), ADDRESS.encode(), hashlib.sha256).hexdigest()

    @property
    def canaries(self) -> list[str]:
        return [*TEXTS.values(), ADDRESS, AMOUNT, self.hashed]

    def rows(self, name: str) -> list[tuple]:
        files = LandingLog(self.home / "landing").state(name).files
        if not files:
            return []
        return duckdb.execute("SELECT * FROM read_parquet(?, union_by_name = true)", [files]).fetchall()

    def extract(self) -> pipeline.Extracted:
        with pipeline.writing(self.place.home):
            return pipeline.extract(self.place.request())


def _seen(root: Path, canaries: list[str]) -> dict[str, set[str]]:
    """Which canaries lie where under `root`: in the bytes of every file, and in what Parquet and DuckDB files say once
    they are decompressed."""
    found: dict[str, set[str]] = {}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        raw = path.read_bytes()
        hits = {canary for canary in canaries if canary.encode() in raw}
        with duckdb.connect() as engine:
            if path.suffix == ".parquet":
                hits |= _told(engine, f"read_parquet({literal(str(path))})", canaries)
            elif path.suffix == ".duckdb":
                engine.execute(f"ATTACH {literal(str(path))} AS seen (READ_ONLY)")
                for schema, table in engine.execute(
                    "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'seen'"
                ).fetchall():
                    hits |= _told(engine, f'seen."{schema}"."{table}"', canaries)
        for canary in hits:
            found.setdefault(canary, set()).add(path.relative_to(root).parts[0])
    return found


def _told(engine: duckdb.DuckDBPyConnection, source: str, canaries: list[str]) -> set[str]:
    any_of = "|".join(map(re.escape, canaries))
    rows = engine.execute(
        f"SELECT row FROM (SELECT t::VARCHAR AS row FROM {source} AS t) WHERE regexp_matches(row, ?)", [any_of]
    ).fetchall()
    return {canary for canary in canaries for (row,) in rows if canary in row}


def _files(root: Path) -> set[tuple[str, int, int]]:
    return {(str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in root.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    folder = tmp_path_factory.mktemp("forget")
    with running_simulator(("--demo", "--seed", "11", "--opportunities", "200", "--control")) as org:
        bench = Planted(folder / "a home", org)
        truth = {
            name: bench.control(f"truth/{name}")
            for name in ("Opportunity", "Contact", "User", "Lead", "EmailMessageRelation", "OpportunityFieldHistory")
        }
        contact, lead = truth["Contact"][0]["Id"], truth["Lead"][0]["Id"]
        deal = next(one for one in truth["Opportunity"] if not one["IsClosed"] and not one["IsDeleted"])
        owner = next(one["Id"] for one in truth["User"] if one["Id"] == deal["OwnerId"])
        bench.ids = {"account": deal["AccountId"], "deal": deal["Id"], "contact": contact, "owner": owner}
        linked, strayed = truth["EmailMessageRelation"][:2]
        tracked = next(one for one in truth["OpportunityFieldHistory"] if one["OpportunityId"] != deal["Id"])

        def put(name: str, *rows: dict) -> None:
            bench.control(f"rows/{name}", list(rows))

        put("Account", {"Id": deal["AccountId"], "Name": TEXTS["account"]})
        put("Contact", {"Id": contact, "Email": ADDRESS, "Title": TEXTS["title"]})
        put(
            "Lead",
            {
                "Id": lead,
                "IsConverted": True,
                "ConvertedContactId": contact,
                "Company": TEXTS["company"],
                "Email": ADDRESS,
            },
        )
        put("User", {"Id": owner, "Name": TEXTS["owner"]})
        put(
            "EmailMessageRelation",
            {"Id": linked["Id"], "RelationId": contact, "RelationAddress": ADDRESS},
            {"Id": strayed["Id"], "RelationId": None, "RelationAddress": ADDRESS},
        )
        put(
            "OpportunityFieldHistory",
            {"Id": tracked["Id"], "Field": "Owner", "OldValue": TEXTS["owner"], "NewValue": "Bo Berg"},
        )
        put("Opportunity", {"Id": deal["Id"], "Name": TEXTS["deal once"], "Amount": float(AMOUNT)})
        bench.extract()
        bench.control(
            "changes",
            [
                {
                    "change": "update",
                    "object": "Opportunity",
                    "id": deal["Id"],
                    "values": {"Name": TEXTS["deal"], "CloseDate": "2024-01-01"},
                }
            ],
        )
        pipeline.run(bench.place.request())
        _people_wrote(bench)
        _override_in_the_manifest((bench.home / "published/current").resolve())
        # an older publication that is kept, a replay's, and what a killed run left
        published = bench.home / "published"
        shutil.copytree((published / "current").resolve(), published / "20260101T000000Z-older")
        shutil.copytree(
            (published / "current").resolve(), bench.home / "replays/20260101T000000Z/published/20260101T000000Z-replay"
        )
        shutil.copytree(bench.home / "warehouse", bench.home / "replays/20260101T000000Z/warehouse")
        (bench.home / ".work/extract-killed").mkdir(parents=True)
        (bench.home / ".work/extract-killed/page.csv").write_text(ADDRESS)
        yield bench


def _people_wrote(bench: Planted) -> None:
    assert bench.ids is not None
    state, deal = bench.home / "state", bench.ids["deal"]
    other = next(
        row[0] for row in bench.query("SELECT opportunity_id FROM fct_opportunities ORDER BY 1") if row[0] != deal
    )
    Decisions(state).append(
        [Decision("dispute", Breach(deal, "R02", 1), why=TEXTS["decision"]), Decision("dispute", Breach(other, "R02", 1), why=f"as {TEXTS['owner']} said")],
        by=TEXTS["owner"], at=AT, seen_as_of=AT,
    )  # fmt: skip
    rows = [
        {
            "verdict_seq": n,
            "week_starts_on": AT.date(),
            "record_id": one,
            "verdict": "right",
            "note": note,
            "said_by": "me",
            "said_at": AT,
        }
        for n, one, note in ((1, deal, TEXTS["note"]), (2, other, "fine"))
    ]
    AppendOnlyTable(state / "sample_verdicts", VERDICT_SCHEMA).append(
        pa.Table.from_pylist(rows, schema=VERDICT_SCHEMA), app_id="sample_verdicts", version=2
    )
    override = {"override_seq": 1, "definition_id": "R02", "definition_version": 1, "who": TEXTS["owner"],
                "why": f"{TEXTS['owner']} maps it", "until_on": AT.date(), "given_at": AT, "given_by": TEXTS["owner"], "seen_as_of": AT}  # fmt: skip
    AppendOnlyTable(state / "overrides", OVERRIDE_SCHEMA).append(
        pa.Table.from_pylist([override], schema=OVERRIDE_SCHEMA), version=1
    )
    counts = AppendOnlyTable(state / "definition_counts")
    of_a_team = {**counts.read().slice(0, 1).to_pylist()[0], "team_id": "team", "team_name": TEXTS["owner"]}
    counts.append(pa.Table.from_pylist([of_a_team], schema=counts.read().schema))
    spells = AppendOnlyTable(state / "definition_spells")
    one = spells.read().slice(0, 1).to_pylist()[0]
    spells.append(
        pa.Table.from_pylist(
            [{**one, "record_id": deal, "row_key": f"{deal}|1", "observed_value": TEXTS["observed"]}],
            schema=spells.read().schema,
        )
    )


def _override_in_the_manifest(folder: Path) -> None:
    """As a publication says that a stop was overridden by somebody who is forgotten."""
    path = folder / "manifest.json"
    said = {"definition_id": "R02", "definition_version": 1, "who": TEXTS["owner"], "why": f"{TEXTS['owner']} maps it",
            "until_on": "2026-09-01", "given_at": AT.isoformat()}  # fmt: skip
    path.write_text(json.dumps({**json.loads(path.read_text()), "overrides": [said]}))


def test_forgotten_records_leave_no_byte_and_do_not_come_back(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert planted.ids is not None
    ids, place = planted.ids, planted.place
    before = {
        place: _seen(planted.home / place, planted.canaries)
        for place in ("landing", "state", "published/20260101T000000Z-older", ".work")
    }
    assert {canary for seen in before.values() for canary in seen} == set(planted.canaries), (
        "they are where they are looked for"
    )
    assert all(before.values())
    landed = {name: planted.rows(name) for name in LandingLog(place.home.landing).objects()}
    kept = {
        name: AppendOnlyTable(place.home.state / name).read().num_rows
        for name in ("decisions", "sample_verdicts", "definition_spells", "overrides", "definition_counts")
    }
    published = planted.query("SELECT * FROM fct_activities ORDER BY activity_id")

    files = _files(planted.home)

    # shown first: ids of 15 characters are the same records; nothing is written
    shown = CliRunner().invoke(leanfunnel, ["forget", *(one[:15] for one in ids.values()), "--home", str(planted.home)])
    assert shown.exit_code == 0, shown.output
    assert "landing    Opportunity: 2 rows go" in shown.output
    assert "also       00Q" in shown.output, "the lead that became the contact"
    assert "not written" in shown.output
    assert _files(planted.home) == files
    found = erasure.look(place.home, list(ids.values()))
    gone = {one.name: one.rows for one in found.places if one.place == "landing"}

    # a reason that names the person is refused before anything is done
    with pytest.raises(SettingsError, match="names the record"):
        erasure.forget(place.home, list(ids.values()), by="dpo", why=f"{TEXTS['owner']} asked", at=AT)
    assert _files(planted.home) == files

    # cut off before the landing's own rows: no run starts, and the same again ends it
    with monkeypatch.context() as cut:
        cut.setattr(Landed, "take_out", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            erasure.forget(place.home, list(ids.values()), by="dpo", why="GDPR 1", at=AT)
    with pytest.raises(LeanfunnelError, match="cut off before its end"):
        pipeline.run(place.request(from_landing=True))
    erasure.forget(place.home, list(ids.values()), by="dpo", why="GDPR 1", at=AT)
    assert _seen(planted.home, planted.canaries) == {}
    assert {row["record_id"] for row in erasure.Tombstones(place.home.landing).rows().to_pylist()} == found.told.ids

    # every other row stands, in the landing and in the state; an old publication's manifest says what it now holds
    for name, rows in landed.items():
        left = planted.rows(name)
        assert len(left) == len(rows) - gone.get(name, 0), name
        if name not in ("EmailMessageRelation", "OpportunityFieldHistory"):
            assert set(left) <= set(rows), name
    for name in ("decisions", "sample_verdicts", "overrides", "definition_counts"):
        assert AppendOnlyTable(place.home.state / name).read().num_rows == kept[name]
    assert (
        Decisions(place.home.state).append([Decision("fixed", Breach("006", "R02", 1))], by="me", at=AT, seen_as_of=AT)
        == 2
    )
    older = place.home.published / "20260101T000000Z-older"
    manifest = erasure.shown.publication.read_manifest(older)
    assert manifest is not None
    assert manifest.inputs["rewritten"] == [f"records forgotten at {AT.isoformat()}"]
    for name, table in manifest.tables.items():
        rows = planted.query(f"SELECT count(*) FROM {name}", older)[0][0]
        assert (
            rows
            == table.rows
            == duckdb.execute("SELECT count(*) FROM read_parquet(?)", [f"{older}/parquet/{name}.parquet"]).fetchone()[0]
        ), name
    assert len(planted.query("SELECT * FROM fct_activities", older)) == len(published)

    # the mart is built without them; the same inputs build the same again
    pipeline.run(place.request(from_landing=True))
    assert planted.query(f"SELECT count(*) FROM fct_opportunities WHERE opportunity_id = '{ids['deal']}'") == [(0,)]
    stands = planted.manifest()["tables"]
    assert pipeline.run(place.request(from_landing=True)).plan.skip
    assert erasure.look(place.home, list(ids.values())).places == ()

    # the org still holds them: read again in full, changed, and from the recycle bin, they do not land, and nothing is amiss
    planted.control("changes", [
        {"change": "update", "object": "Opportunity", "id": ids["deal"], "values": {"Name": TEXTS["deal"]}},
        {"change": "update", "object": "Contact", "id": ids["contact"], "values": {"Title": TEXTS["title"]}},
        {"change": "delete", "object": "Account", "id": ids["account"]},
    ])  # fmt: skip
    again = planted.extract()
    assert again.withheld >= 3
    shutil.move(place.home.landing / "User", planted.home.parent / "User")  # as after a restore: the whole object anew
    assert planted.extract().facts["User"]["rows"] == len(planted.rows("User")) > 0
    assert _seen(planted.home / "landing", planted.canaries) == {}
    seqs = {name: LandingLog(place.home.landing).state(name).batch_seq for name in ("Contact", "User")}
    planted.extract()
    assert {name: LandingLog(place.home.landing).state(name).batch_seq for name in seqs} == seqs, "no empty batches"
    assert planted.manifest()["tables"] == stands


def test_what_cannot_be_forgotten_is_one_clear_error(planted: Planted) -> None:
    def refused(*arguments: str) -> str:
        done = CliRunner().invoke(leanfunnel, [*arguments, "--home", str(planted.home)])
        assert isinstance(done.exception, SettingsError), done.output
        return str(done.exception)

    assert "no record id" in refused("forget", "0061x0000000001' OR 1=1")
    assert "do not fit the others" in refused("forget", "006000000000001AAB")
    assert "no reason" in refused("forget", "006000000000001", "--yes")
    org = planted.rows("Organization")[0][0]
    assert "about the org" in refused("forget", org)
