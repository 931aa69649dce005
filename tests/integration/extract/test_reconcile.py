"""What no cursor shows: records gone for good, missed changes, calculated fields; found against a living org over a socket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from dagster_project import pipeline
from dagster_project.errors import IncompleteExtractError
from dagster_project.home import Home
from dagster_project.landing import LandingLog
from dagster_project.salesforce.auth import ClientCredentials
from dagster_project.salesforce.client import SalesforceClient
from dagster_project.salesforce.reconcile import Schedule, reconcile_org
from salesforce_simulator.org import Org
from salesforce_simulator.schema import make_field
from salesforce_simulator.server import serve
from salesforce_simulator.service import Options, Service
from tests.faults.compare import compare
from tests.faults.play import OBJECTS, ROOT, _tables


@pytest.fixture
def service() -> Iterator[Service]:
    tables = _tables(1)
    deals = tables["Opportunity"]
    # a formula of the org's own, as describe tells it
    tables = {**tables, "Opportunity": deals.append_column("Score__c", pa.array([1.0] * deals.num_rows))}
    score = make_field("Score__c", "double", "18,2", flags="calc")
    with serve(Org(tables, types={"Opportunity": {"Score__c": score}})) as running:
        yield running


def _run(service: Service, home: Path, **options: Any) -> dict[tuple[str, str], Any]:
    login = ClientCredentials(service.base_url, Options().client_id, Options().client_secret)
    request = pipeline.Request(Home(home), ROOT / "dbt", ROOT / "expectations", credentials=lambda: login,
                               extra_fields={"Opportunity": ("Score__c",)}, **options)  # fmt: skip
    looks = pipeline.extract(request, objects=OBJECTS).looks
    assert len({(look.object, look.kind) for look in looks}) == len(looks)
    return {(look.object, look.kind): look for look in looks}


def _later(service: Service, **by: int) -> None:
    service.org.set_now(service.org.now + timedelta(**by))


def _deals(service: Service) -> list[str]:
    with service.org.cursor() as cursor:
        return [
            row[0]
            for row in cursor.execute('SELECT "Id" FROM "Opportunity" WHERE NOT "IsDeleted" ORDER BY 1').fetchall()
        ]


def _newest(home: Path, record: str) -> tuple[Any, ...]:
    files = LandingLog(home / "landing").state("Opportunity").files
    query = "SELECT _operation, Name, Score__c FROM read_parquet(?, union_by_name = true) WHERE Id = ? "
    row = duckdb.execute(query + "ORDER BY _batch_seq DESC LIMIT 1", [files, record]).fetchone()
    assert row is not None
    return row


def _deletion(home: Path, record: str) -> tuple[Any, ...]:
    """IsDeleted and stamps of a record's tombstone."""
    files = LandingLog(home / "landing").state("Opportunity").files
    query = "SELECT IsDeleted, epoch_ms(LastModifiedDate), epoch_ms(SystemModstamp) FROM read_parquet(?, union_by_name = true)"
    row = duckdb.execute(f"{query} WHERE Id = ? AND _operation = 'delete'", [files, record]).fetchone()
    assert row is not None
    return row[0], *(datetime.fromtimestamp(instant / 1000, UTC) for instant in row[1:])


def _same(service: Service, home: Path) -> bool:
    return not any(compare(service.org, home / "landing", OBJECTS).values())


def test_a_first_load_counts_as_a_look_and_a_quiet_org_lands_nothing(service: Service, tmp_path: Path) -> None:
    first = _run(service, tmp_path)
    assert {kind for name, kind in first if name == "Opportunity"} == {"deleted", "ids", "formulas"}
    assert not any(look.received for look in first.values())
    versions = {name: LandingLog(tmp_path / "landing").state(name).table_version for name in OBJECTS}
    _later(service, days=8)
    again = _run(service, tmp_path)
    assert again["Opportunity", "ids"].received == 12  # those in the recycle bin too
    assert not any(look.gone or look.missed or look.refreshed for look in again.values())
    assert {name: LandingLog(tmp_path / "landing").state(name).table_version for name in OBJECTS} == versions


def test_a_record_purged_before_it_was_seen_deleted_is_told_by_get_deleted(service: Service, tmp_path: Path) -> None:
    _run(service, tmp_path)
    gone, kept, *_ = _deals(service)
    before = _newest(tmp_path, gone)
    _later(service, hours=1)
    service.org.purge("Opportunity", gone)
    purged_at = service.org.now.replace(microsecond=0)
    _later(service, hours=1)
    looks = _run(service, tmp_path)
    assert looks["Opportunity", "deleted"].gone == 1
    assert _deletion(tmp_path, gone) == (True, purged_at, purged_at)
    assert ("Opportunity", "ids") not in looks
    assert _newest(tmp_path, gone) == ("delete", *before[1:])
    assert _newest(tmp_path, kept)[0] == "upsert"
    assert _same(service, tmp_path)
    state = LandingLog(tmp_path / "landing").state("Opportunity")
    assert (state.facts["mode"], state.facts["proof"]["get_deleted"]) == ("reconciled", 1)
    assert state.watermark
    _later(service, hours=1)
    assert not _run(service, tmp_path)["Opportunity", "deleted"].gone


def test_what_the_log_of_deletions_forgot_is_found_by_comparing_all_ids(service: Service, tmp_path: Path) -> None:
    _run(service, tmp_path)
    gone = _deals(service)[0]
    service.org.purge("Opportunity", gone, logged=False)
    _later(service, days=6)
    assert not _run(service, tmp_path)["Opportunity", "deleted"].gone
    assert not _same(service, tmp_path)
    _later(service, days=1, hours=1)
    assert _run(service, tmp_path)["Opportunity", "ids"].gone == 1
    assert _newest(tmp_path, gone)[0] == "delete"
    looked_at = LandingLog(tmp_path / "landing").state("Opportunity").extracted_at
    assert _deletion(tmp_path, gone) == (True, looked_at, looked_at)
    assert _same(service, tmp_path)


def test_a_gap_that_get_deleted_does_not_reach_over_asks_for_all_ids(service: Service, tmp_path: Path) -> None:
    _run(service, tmp_path, reconcile_days=300)
    service.org.purge("Opportunity", _deals(service)[0])
    _later(service, days=16)
    looks = _run(service, tmp_path, reconcile_days=300)
    assert "15 days" in str(looks["Opportunity", "deleted"].due)
    assert looks["Opportunity", "ids"].gone == 1
    assert "gone for good" in str(looks["Opportunity", "ids"].line())
    assert _same(service, tmp_path)


def test_a_commit_that_came_later_than_the_overlap_is_found_and_read(service: Service, tmp_path: Path) -> None:
    _run(service, tmp_path)
    late, missed, *_ = _deals(service)
    _later(service, hours=3)
    watermark = str((LandingLog(tmp_path / "landing").state("Opportunity").watermark or {})["value"])
    stamp = f"{watermark[:10]}T00:00:00Z"
    service.org.upsert("Opportunity", [{"Id": late, "Name": "Came late", "SystemModstamp": "2020-01-01T00:00:00Z"}])
    service.org.upsert("Opportunity", [{"Id": missed, "Name": "Came late too", "SystemModstamp": stamp}])
    _run(service, tmp_path)
    assert _newest(tmp_path, late)[1] != "Came late"
    looks = _run(service, tmp_path, reconcile=True)
    assert looks["Opportunity", "ids"].missed == 2
    assert _newest(tmp_path, late)[1] == "Came late"
    assert _same(service, tmp_path)


def test_calculated_fields_are_read_anew_on_their_own_schedule(service: Service, tmp_path: Path) -> None:
    _run(service, tmp_path)
    deal = _deals(service)[0]
    service.org.upsert("Opportunity", [{"Id": deal, "Score__c": 4242.0}])
    _later(service, days=3)
    assert ("Opportunity", "formulas") not in _run(service, tmp_path)
    assert _newest(tmp_path, deal)[2] != 4242
    _later(service, days=5)
    assert _run(service, tmp_path)["Opportunity", "formulas"].refreshed == 1
    assert _newest(tmp_path, deal)[2] == 4242
    assert _same(service, tmp_path)


def test_ids_that_do_not_all_arrive_take_nothing_for_deleted(service: Service, tmp_path: Path) -> None:
    _run(service, tmp_path)
    log = LandingLog(tmp_path / "landing")
    version = log.state("Opportunity").table_version
    (tmp_path / "work").mkdir(exist_ok=True)
    login = ClientCredentials(service.base_url, Options().client_id, Options().client_secret)
    with SalesforceClient(login) as client:
        looks = reconcile_org(
            client, org_id=str(log.org_id), at=client.server_time, landed=log.state,
            land=lambda batch: log.commit(batch, run_id="x"), last=log.last_looks(), workdir=tmp_path / "work",
            objects=["Opportunity"], schedule=Schedule(now=True),
        )  # fmt: skip
        # the counts are right, and a row is missing in each try
        service.faults.plan([{"kind": "drop_row", "on": "rest_query", "skip": skip, "count": 1} for skip in (1, 3)])
        with pytest.raises(IncompleteExtractError, match="Opportunity"):
            list(looks)
    assert service.faults.fired["drop_row"] >= 1
    service.faults.clear()
    assert log.state("Opportunity").table_version == version
    assert not _run(service, tmp_path, reconcile=True)["Opportunity", "ids"].gone
