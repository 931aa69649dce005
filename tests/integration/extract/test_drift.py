"""An org that changes under the landing: records restored from the recycle bin, fields added, retyped and removed; over a
socket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project import pipeline
from dagster_project.errors import LandingError, SettingsError
from dagster_project.home import Home
from dagster_project.landing import LandingLog
from dagster_project.salesforce.auth import ClientCredentials
from salesforce_simulator.living import LivingOrg
from salesforce_simulator.org import Org
from salesforce_simulator.server import serve
from salesforce_simulator.service import Options, Service
from tests.faults.compare import compare
from tests.faults.play import ROOT, _tables

OBJECT = "Opportunity"


@pytest.fixture
def service() -> Iterator[Service]:
    with serve(Org(_tables(1))) as running:
        yield running


def _run(service: Service, home: Path, *extra: str) -> None:
    login = ClientCredentials(service.base_url, Options().client_id, Options().client_secret)
    fields = {OBJECT: extra} if extra else {}
    request = pipeline.Request(
        Home(home), ROOT / "dbt", ROOT / "expectations", credentials=lambda: login, extra_fields=fields
    )
    pipeline.extract(request, objects=(OBJECT,))


def _play(service: Service, **change: Any) -> None:
    service.org.set_now(service.org.now + timedelta(hours=1))
    LivingOrg(service.org, service.auth.user_id).play({"object": OBJECT, **change})


def _deal(service: Service) -> str:
    with service.org.cursor() as cursor:
        row: Any = cursor.execute('SELECT min("Id") FROM "Opportunity" WHERE NOT "IsDeleted"').fetchone()
    return str(row[0])


def _versions(home: Path, record: str, column: str) -> list[Any]:
    query = f'SELECT "{column}" FROM read_parquet(?, union_by_name = true) WHERE Id = ? ORDER BY _batch_seq'
    return [row[0] for row in duckdb.execute(query, [LandingLog(home).state(OBJECT).files, record]).fetchall()]


def _same(service: Service, home: Path) -> bool:
    return not any(compare(service.org, home, (OBJECT,)).values())


def test_a_restored_record_lives_again(service: Service, tmp_path: Path) -> None:
    landing, deal = tmp_path / "landing", _deal(service)
    _run(service, tmp_path)
    _play(service, change="delete", id=deal)
    _run(service, tmp_path)
    assert _versions(landing, deal, "_operation") == ["upsert", "delete"]
    _play(service, change="undelete", id=deal)
    _run(service, tmp_path)
    assert _versions(landing, deal, "_operation") == ["upsert", "delete", "upsert"]
    assert _same(service, landing)


def test_fields_come_widen_are_refused_and_go(service: Service, tmp_path: Path) -> None:
    landing, deal = tmp_path / "landing", _deal(service)
    _run(service, tmp_path)
    # a new field: all rows are looked at once more, and those that hold something land again
    _play(service, change="add_field", field="Score__c", type="int")
    service.org.upsert(OBJECT, [{"Id": deal, "Score__c": 7}])
    _run(service, tmp_path, "Score__c")
    assert _versions(landing, deal, "Score__c") == [None, 7]
    assert LandingLog(landing).state(OBJECT).facts["mode"] == "full"
    # whole numbers become numbers: nothing that was landed is lost
    _play(service, change="retype_field", field="Score__c", type="double", arguments="9,1")
    _play(service, change="update", id=deal, values={"Score__c": 7.5})
    _run(service, tmp_path, "Score__c")
    assert _versions(landing, deal, "Score__c") == [None, 7.0, 7.5]
    # a number that becomes text cannot be merged: one clear refusal, and the landing stays as it was
    before = LandingLog(landing).state(OBJECT).table_version
    _play(service, change="retype_field", field="Score__c", type="string")
    _play(service, change="update", id=deal, values={"Score__c": "high"})
    with pytest.raises(LandingError, match="Score__c"):
        _run(service, tmp_path, "Score__c")
    assert LandingLog(landing).state(OBJECT).table_version == before
    # a field that is gone is named where a setting asks for it; without it the rest goes on
    _play(service, change="remove_field", field="Score__c")
    with pytest.raises(SettingsError, match="Score__c"):
        _run(service, tmp_path, "Score__c")
    _play(service, change="update", id=deal, values={"Name": "Goes on"})
    _run(service, tmp_path)
    assert _versions(landing, deal, "Name")[-1] == "Goes on"
    assert _versions(landing, deal, "Score__c") == [None, 7.0, 7.5, None]
    assert _same(service, landing)


def test_a_field_of_the_catalogue_that_goes_is_noted_and_the_rest_lands(service: Service, tmp_path: Path) -> None:
    landing, deal = tmp_path / "landing", _deal(service)
    _run(service, tmp_path)
    _play(service, change="remove_field", field="LastStageChangeDate")
    _play(service, change="update", id=deal, values={"Name": "Goes on"})
    _run(service, tmp_path)
    assert _versions(landing, deal, "Name")[-1] == "Goes on"
    assert LandingLog(landing).state(OBJECT).missing_fields == ("LastStageChangeDate",)
