"""Extraction against the simulator: the landing equals the org, a second run adds nothing, faults never land wrong rows."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.errors import LeanfunnelError, SalesforceError, SettingsError
from dagster_project.landing import LandingLog
from dagster_project.salesforce.auth import ClientCredentials
from dagster_project.salesforce.client import SalesforceClient
from dagster_project.salesforce.extract import ExtractReport, extract_org
from salesforce_simulator.process import running_simulator


@pytest.fixture
def org() -> Iterator[dict[str, Any]]:
    with running_simulator(("--demo", "--opportunities", "2500", "--control")) as ready:
        yield ready


def _extract(org: dict[str, Any], home: Path, secret: str | None = None, **options: Any) -> ExtractReport:
    log = LandingLog(home / "landing")
    with SalesforceClient(ClientCredentials(org["url"], org["client_id"], secret or org["client_secret"])) as client:
        return extract_org(
            client, landed=log.state, land=lambda batch: log.commit(batch, run_id="r"), workdir=home / "work", **options
        )


def _control(org: dict[str, Any], path: str, body: Any) -> None:
    request = urllib.request.Request(f"{org['url']}/simulator/{path}", json.dumps(body).encode(), method="POST")
    urllib.request.urlopen(request).close()


def test_the_landing_equals_the_org_and_a_second_run_adds_nothing(org: dict[str, Any], tmp_path: Path) -> None:
    report = _extract(org, tmp_path)
    log = LandingLog(tmp_path / "landing")
    for name, stated in org["objects"].items():
        if name in report.objects:
            query = "SELECT count(*), count(DISTINCT Id) FROM read_parquet(?, union_by_name = true)"
            assert duckdb.execute(query, [log.state(name).files]).fetchone() == (stated, stated), name
    assert log.state("Opportunity").facts["proof"]["via"] == "bulk"
    versions = {name: log.state(name).table_version for name in log.objects()}
    again = _extract(org, tmp_path)
    assert {result.state for result in again.objects.values()} == {"unchanged"}
    assert {name: log.state(name).table_version for name in log.objects()} == versions
    assert list((tmp_path / "work").iterdir()) == []


def test_a_misspelled_extra_field_names_the_nearest(org: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Did you mean 'StageName'"):
        _extract(org, tmp_path, objects=["Opportunity"], extra_fields={"Opportunity": ["StageNam"]})


def test_wrong_credentials_are_one_line_without_the_secret(org: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SalesforceError, match="login was refused") as caught:
        _extract(org, tmp_path, secret="CANARY-7f3a91")
    assert "CANARY" not in str(caught.value) + repr(caught.value)
    assert "\n" not in str(caught.value)


def test_a_torn_page_never_lands_wrong_rows(org: dict[str, Any], tmp_path: Path) -> None:
    _control(org, "faults", [{"kind": "truncated_body", "on": "bulk_results", "count": 1}])
    try:
        _extract(org, tmp_path, objects=["Opportunity"])
    except LeanfunnelError:
        assert LandingLog(tmp_path / "landing").state("Opportunity").batch_seq == 0
        _extract(org, tmp_path, objects=["Opportunity"])
    files = LandingLog(tmp_path / "landing").state("Opportunity").files
    assert duckdb.execute("SELECT count(DISTINCT Id) FROM read_parquet(?)", [files]).fetchone() == (2500,)
