"""What must hold while things go wrong or change: nothing short is landed, changes arrive once, each login works, and what is
not wanted (bodies, addresses, secrets) lies nowhere."""

from __future__ import annotations

import json
import logging
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.errors import SalesforceError
from dagster_project.landing import LandingLog
from dagster_project.salesforce import auth
from dagster_project.salesforce.client import SalesforceClient
from dagster_project.salesforce.extract import ExtractReport, extract_org
from salesforce_simulator.process import running_simulator


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A private key as PEM text, and the file of its public half."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("key") / "public.pem"
    path.write_bytes(
        private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return pem.decode(), path


@pytest.fixture(scope="module")
def org(key: tuple[str, Path]) -> Iterator[dict[str, Any]]:
    arguments = ("--demo", "--seed", "4", "--opportunities", "500", "--control", "--jwt-public-key", str(key[1]))
    with running_simulator(arguments) as ready:
        yield ready


def _control(org: dict[str, Any], path: str, body: Any = None, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{org['url']}/simulator/{path}", data, {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def _extract(org: dict[str, Any], home: Path, *objects: str) -> ExtractReport:
    log = LandingLog(home / "landing")
    with SalesforceClient(auth.ClientCredentials(org["url"], org["client_id"], org["client_secret"])) as client:
        return extract_org(
            client,
            landed=log.state,
            land=lambda batch: log.commit(batch, run_id="r"),
            workdir=home / "work",
            objects=objects or None,
        )


def _count(home: Path, name: str, what: str = "count(DISTINCT Id)") -> Any:
    files = LandingLog(home / "landing").state(name).files
    return duckdb.execute(f"SELECT {what} FROM read_parquet(?, union_by_name = true)", [files]).fetchone()[0]


@pytest.mark.parametrize(
    ("fault", "on", "name"),
    [
        ("drop_row", "rest_query", "Opportunity"),
        ("drop_row", "bulk_results", "OpportunityHistory"),
        ("wrong_count", "bulk_results", "OpportunityHistory"),
        ("truncated_body", "bulk_results", "OpportunityHistory"),
    ],
)
def test_what_is_short_is_read_again_or_refused_never_landed(
    org, tmp_path: Path, fault: str, on: str, name: str
) -> None:
    _control(org, "faults", [{"kind": fault, "on": on, "count": 50}])
    try:
        with pytest.raises(SalesforceError):
            _extract(org, tmp_path, name)
        assert LandingLog(tmp_path / "landing").state(name).batch_seq == 0
    finally:
        _control(org, "faults", method="DELETE")
    _extract(org, tmp_path, name)
    assert _count(tmp_path, name) == org["objects"][name]


@pytest.mark.parametrize(
    ("fault", "on"),
    [
        ("server_unavailable", "rest_query"),
        ("rate_limited", "rest_query"),
        ("session_expired", "describe"),
    ],
)
def test_what_passes_is_tried_again(org, tmp_path: Path, fault: str, on: str) -> None:
    _control(org, "faults", [{"kind": fault, "on": on, "count": 1}])
    try:
        _extract(org, tmp_path, "Account", "OpportunityHistory")
    finally:
        _control(org, "faults", method="DELETE")
    assert _count(tmp_path, "OpportunityHistory") == org["objects"]["OpportunityHistory"]


def test_a_job_that_fails_is_one_clear_error(org, tmp_path: Path) -> None:
    _control(org, "faults", [{"kind": "job_failed", "on": "bulk_create", "count": 50}])
    try:
        with pytest.raises(SalesforceError, match=r"(?i)job"):
            _extract(org, tmp_path, "OpportunityHistory")
    finally:
        _control(org, "faults", method="DELETE")
    assert LandingLog(tmp_path / "landing").state("OpportunityHistory").batch_seq == 0


def test_an_edit_a_deletion_and_a_late_commit_arrive_once(org, tmp_path: Path) -> None:
    _extract(org, tmp_path, "Opportunity")
    identifiers = [
        row[0]
        for row in duckdb.execute(
            "SELECT Id FROM read_parquet(?) WHERE NOT IsDeleted ORDER BY Id LIMIT 3",
            [LandingLog(tmp_path / "landing").state("Opportunity").files],
        ).fetchall()
    ]
    newest = _count(tmp_path, "Opportunity", "max(SystemModstamp)::VARCHAR")[:19].replace(" ", "T") + ".000+0000"
    late = (
        _count(tmp_path, "Opportunity", "(max(SystemModstamp) - INTERVAL 5 MINUTE)::VARCHAR")[:19].replace(" ", "T")
        + ".000+0000"
    )
    _control(org, "rows/Opportunity", [
        {"Id": identifiers[0], "Amount": 4711, "SystemModstamp": newest},  # the very instant of the watermark
        {"Id": identifiers[1], "IsDeleted": True, "SystemModstamp": newest},
        {"Id": identifiers[2], "Amount": 1234, "SystemModstamp": late},  # committed late, under the watermark
    ])  # fmt: skip
    result = _extract(org, tmp_path, "Opportunity").objects["Opportunity"]
    assert (result.state, result.mode, result.rows) == ("landed", "incremental", 3)
    newer = "_batch_seq = 2"
    assert _count(tmp_path, "Opportunity", f"list(Amount::INT ORDER BY Id) FILTER ({newer} AND NOT IsDeleted)") == [
        4711,
        1234,
    ]
    assert _count(tmp_path, "Opportunity", f"list(Id) FILTER ({newer} AND IsDeleted)") == [identifiers[1]]
    assert _extract(org, tmp_path, "Opportunity").objects["Opportunity"].state == "unchanged"


def test_each_kind_of_login_reads_the_org(org, key: tuple[str, Path]) -> None:
    with SalesforceClient(auth.ClientCredentials(org["url"], org["client_id"], org["client_secret"])) as client:
        identity = client.organization()
        token = (
            client._logged_in().access_token
            if hasattr(client._logged_in(), "access_token")
            else client._logged_in().session_id
        )
    logins = [
        auth.JwtBearer(org["url"], org["client_id"], org["username"], key[0]),
        auth.UsernamePassword(org["url"], org["username"], org["password"], org["security_token"]),
        auth.AccessToken(org["url"], token),
    ]
    for login in logins:
        with SalesforceClient(login) as client:
            assert client.organization().id == identity.id, login
        assert not any(secret in repr(login) for secret in (key[0], org["password"], token))


@pytest.mark.parametrize("kind", ["password", "jwt", "token"])
def test_a_refused_login_says_so_without_the_secret(org, kind: str) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()  # fmt: skip
    login = {
        "password": auth.UsernamePassword(org["url"], org["username"], "canary-secret", org["security_token"]),
        "jwt": auth.JwtBearer(org["url"], org["client_id"], org["username"], stranger),
        "token": auth.AccessToken(org["url"], "canary-secret"),
    }[kind]
    with SalesforceClient(login) as client, pytest.raises(SalesforceError) as caught:
        client.organization()
    assert "canary-secret" not in str(caught.value)
    assert stranger[40:80] not in str(caught.value)


def test_bodies_addresses_and_secrets_lie_nowhere(org, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        report = _extract(org, tmp_path)
    log = LandingLog(tmp_path / "landing")
    unwanted = {"TextBody", "HtmlBody", "Subject", "FromAddress", "ToAddress", "Description", "Email", "Phone"}
    for name in log.objects():
        assert not unwanted & set(log.state(name).columns), name
    assert "EmailMessage" in report.objects
    assert org["client_secret"] not in caplog.text
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert org["client_secret"].encode() not in path.read_bytes(), path
