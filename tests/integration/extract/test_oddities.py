"""What people and programs put into fields, names and settings, over the socket into the landing: it lands as it is, or is refused;
it never becomes a query, a path or another value."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from dagster_project import pipeline, settings
from dagster_project.errors import LandingError, LeanfunnelError, SettingsError
from dagster_project.landing import LandingLog
from dagster_project.salesforce import plan as reading
from dagster_project.salesforce.auth import ClientCredentials
from dagster_project.salesforce.client import SalesforceClient
from dagster_project.salesforce.extract import extract_org
from salesforce_simulator.ids import numbered
from salesforce_simulator.org import Org
from salesforce_simulator.server import serve
from salesforce_simulator.service import Service

NOW = datetime(2024, 5, 15, 12, tzinfo=UTC)
TEXTS = [
    "NA", "N/A", "null", "NULL", "None", "nan", "true", "0", "00123", "1e5", "\\N", "\\", "a\\nb", '"', '""', '"quoted"', 'a"b,c"', "it's",
    "'; DROP TABLE x; --", "a,b;c\td", "two\nlines", "two\r\nlines", "\r", "\n", " lead", "trail ", "  ", "\tx\t", "🙂👩‍👩‍👧", "שלום עליكم", "\u202eabc",
    "\ufeffbom", "é vs e\u0301", "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "%s {} ${x}", "<b>&amp;</b>", "\u2028x\u0085y", "a\0b", "\x01\x1f\x7f", "x" * 131_072,
    "🙂" * 65_536, 'q"\n,' * 30_000,
]  # fmt: skip
DAYS = [
    date(1700, 1, 1),
    date(1700, 2, 28),
    date(1899, 12, 31),
    date(1969, 12, 31),
    date(2000, 2, 29),
    date(2026, 3, 29),
    date(4000, 12, 31),
]
DAYS += [date(1, 1, 1), date(1582, 10, 4), date(1583, 1, 1), date(9999, 12, 31)]
INSTANTS = [datetime(1700, 1, 1, tzinfo=UTC), datetime(1883, 11, 18, 17, 0, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(4000, 12, 31, 23, 59, 59, tzinfo=UTC)]  # fmt: skip


def _tables(texts: list[str]) -> dict[str, pa.Table]:
    n = max(len(texts), len(DAYS))
    deals = [numbered("006", 10**9 + i) for i in range(n)]
    return {
        "Organization": pa.table({"Id": ["00D000000000001EAA"], "Name": ["Acme"], "TimeZoneSidKey": ["Europe/Berlin"]}),
        "Opportunity": pa.table(
            {
                "Id": deals,
                "Name": [texts[i % len(texts)] for i in range(n)],
                "StageName": ["Open"] * n,
                "CloseDate": [DAYS[i % len(DAYS)] for i in range(n)],
                "LastStageChangeDate": [INSTANTS[i % len(INSTANTS)] for i in range(n)],
                "IsDeleted": [False] * n,
                "SystemModstamp": [NOW] * n,
            }
        ),
        "OpportunityStage": pa.table({"Id": ["01J000000000001AAA"], "MasterLabel": ["Open"], "ApiName": ["Open"], "IsActive": [True], "SortOrder": [1], "IsClosed": [False], "IsWon": [False], "SystemModstamp": [NOW]}),
    }  # fmt: skip


@pytest.fixture(scope="module")
def org() -> Iterator[Service]:
    with serve(Org(_tables(TEXTS), now=NOW)) as running:
        yield running


def _login(service: Service) -> ClientCredentials:
    return ClientCredentials(service.base_url, service.options.client_id, service.options.client_secret)


def _extract(service: Service, home: Path, **more: Any) -> list[dict[str, Any]]:
    log = LandingLog(home / "landing")
    with SalesforceClient(_login(service)) as client:
        extract_org(
            client,
            landed=log.state,
            land=lambda batch: log.commit(batch, run_id="r"),
            workdir=home / "work",
            **{"objects": ["Opportunity"], **more},
        )
    state = log.state("Opportunity")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        # the instants as text: Python's datetimes are as wide, its drivers are not
        return (
            connection.execute(
                "SELECT * REPLACE (LastStageChangeDate::VARCHAR AS LastStageChangeDate) FROM read_parquet(?) ORDER BY Id",
                [state.files],
            )
            .to_arrow_table()
            .to_pylist()
        )


@pytest.mark.parametrize("via", ["rest", "bulk"])
def test_every_value_lands_as_it_is(org: Service, tmp_path: Path, via: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if via == "bulk":
        monkeypatch.setattr(reading, "REST_FIRST_ROWS", 0)
    rows = _extract(org, tmp_path)
    assert LandingLog(tmp_path / "landing").state("Opportunity").facts["proof"]["via"] == via
    for n, row in enumerate(rows):
        assert row["Name"] == TEXTS[n % len(TEXTS)], (via, n, row["Name"][:30], TEXTS[n][:30])
        assert row["CloseDate"] == DAYS[n % len(DAYS)], (via, n)
        wanted = INSTANTS[n % len(INSTANTS)]
        assert row["LastStageChangeDate"] == wanted.strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").rstrip(".") + "+00", (
            via,
            n,
        )
    assert len(rows) == len(TEXTS)
    # read again, nothing of it looks changed
    log = LandingLog(tmp_path / "landing")
    before = log.state("Opportunity").batch_seq
    _extract(org, tmp_path)
    assert log.state("Opportunity").batch_seq == before


BAD_NAMES = [
    "Name FROM User --", "Name, (SELECT Id FROM Contacts)", "Id' OR Id != '", "../../../etc/passwd", "Name/../../limits", "Name?q=1", "Name\nFROM", "naïve", "", " ",
    "Account.Name", "COUNT()", "Name;", '"Name"', "Ν", "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_field_that_is_no_name_is_refused_and_never_asked_for(org: Service, tmp_path: Path, name: str) -> None:
    before = dict(org.requests)
    with pytest.raises(LeanfunnelError):
        _extract(org, tmp_path, extra_fields={"Opportunity": [name]})
    assert LandingLog(tmp_path / "landing").objects() == []
    assert org.requests.get("rest_query", 0) - before.get("rest_query", 0) <= 1, (
        "the org's own record, and no other query"
    )
    assert {path.name for path in tmp_path.rglob("*")} <= {"landing", "work", "queries", "notes"}


@pytest.mark.parametrize(
    "name",
    [
        "../../evil__c",
        "a/b__c",
        "evil'__c",
        "Visit__c WHERE Id != null OR x__c",
        "..__c",
        "é__c",
        "/abs__c",
        "%2e%2e%2fx__c",
    ],
)
def test_a_custom_object_that_is_no_name_never_becomes_a_path(org: Service, tmp_path: Path, name: str) -> None:
    with pytest.raises(LeanfunnelError):
        _extract(org, tmp_path / "home", objects=None, extra_fields={name: ["Name"]})
    assert not list(tmp_path.rglob("*evil*"))
    with pytest.raises(LandingError, match="no name of a table"):
        LandingLog(tmp_path / "landing").state(name)


@pytest.mark.parametrize(
    "path",
    ["Opportunity.Name FROM User", "Opportunity.a-b", "Opportunity.", "Account.Name", "Opportunity.Account.Name"],
)
def test_a_mapped_field_is_a_name_of_that_object(tmp_path: Path, path: str) -> None:
    (tmp_path / "leanfunnel.yml").write_text(f'mapped_fields: {{loss_reason: "{path}"}}')
    with pytest.raises(SettingsError, match="write Opportunity and a field's API name"):
        settings.read_options(tmp_path / "leanfunnel.yml")


@pytest.mark.parametrize("name", ["a home", "it's", 'say "x"', "ü 日本 🙂", "a#b;c&d", "a..b", "-rf", "x" * 200])
def test_a_home_may_have_any_name_that_file_libraries_take(org: Service, tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    assert len(_extract(org, home)) == len(TEXTS)
    org.org.set_now(org.org.now.replace(microsecond=0))
    assert len(_extract(org, home)) == len(TEXTS), "the landed files are found again"
    assert {path.name for path in tmp_path.iterdir()} == {name}


@pytest.mark.parametrize("name", ["a*b", "a%20b", "a?b", "[ab]", "a\\b", "a\nb", "a\x07b"])
def test_a_home_that_would_be_read_as_a_pattern_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="the path of the home holds"):
        settings.load(tmp_path / name, {}, dotenv=tmp_path / "none")
    assert not (tmp_path / name).exists()


def test_a_home_with_dots_is_where_it_leads_and_one_too_long_is_told(tmp_path: Path) -> None:
    assert settings.load(tmp_path / "a" / ".." / "b", {}, dotenv=tmp_path / "none").home.root == tmp_path / "b"
    with pytest.raises(SettingsError, match="File name too long"):
        settings.load(tmp_path / ("x" * 300), {}, dotenv=tmp_path / "none")


def test_the_day_of_a_run_is_that_of_its_zone_on_days_of_23_and_25_hours(org: Service, tmp_path: Path) -> None:
    login = {
        "SALESFORCE_LOGIN_URL": org.base_url,
        "SALESFORCE_CLIENT_ID": org.options.client_id,
        "SALESFORCE_CLIENT_SECRET": org.options.client_secret,
    }
    home = tmp_path / "it's ü home"
    loaded = settings.load(home, login, dotenv=tmp_path / "none")
    pipeline.extract(loaded.request(), objects=("Organization", "Opportunity", "OpportunityStage"))
    days = {}
    for text in (
        "2026-03-28T22:59:59",
        "2026-03-28T23:00:00",
        "2026-03-29T21:59:59",
        "2026-03-29T22:00:00",
        "2026-10-24T22:00:00",
        "2026-10-25T22:59:59",
        "2026-10-25T23:00:00",
    ):
        at = datetime.fromisoformat(text).replace(tzinfo=UTC)
        request = loaded.request(as_of=at, from_landing=True)
        plan, _ = pipeline.make_plan(request, None)
        pipeline.prepare(request, plan)
        with duckdb.connect(str(loaded.home.conformed), read_only=True) as warehouse:
            days[text] = warehouse.execute("SELECT as_of_on, as_of, reporting_timezone FROM control.run").fetchone()
    assert [(day.isoformat(), as_of.isoformat()) for day, as_of, _ in days.values()] == [
        ("2026-03-28", "2026-03-28T22:59:59"), ("2026-03-29", "2026-03-28T23:00:00"), ("2026-03-29", "2026-03-29T21:59:59"),
        ("2026-03-30", "2026-03-29T22:00:00"), ("2026-10-25", "2026-10-24T22:00:00"), ("2026-10-25", "2026-10-25T22:59:59"),
        ("2026-10-26", "2026-10-25T23:00:00"),
    ]  # fmt: skip
    assert {zone for _, _, zone in days.values()} == {"Europe/Berlin"}
