"""What simple-salesforce offers for reading, beyond queries, answers as its documentation says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from simple_salesforce import Salesforce, format_soql
from simple_salesforce.exceptions import (
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

from salesforce_simulator.org import Org
from salesforce_simulator.service import Service


def test_metadata_describe_and_raw_calls(salesforce: Salesforce) -> None:
    assert salesforce.Opportunity.metadata()["objectDescribe"]["keyPrefix"] == "006"
    assert salesforce.restful("limits")["DailyApiRequests"]["Max"] == 100000
    assert salesforce.restful("sobjects/Account/describe")["name"] == "Account"
    assert salesforce.Account.get("001000000000001")["Name"] == "Acme"


def test_query_more_by_locator_and_by_url(salesforce: Salesforce) -> None:
    first = salesforce.query("SELECT Id FROM Opportunity")
    assert (first["done"], len(first["records"])) == (False, 2000)
    by_url = salesforce.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    by_locator = salesforce.query_more(first["nextRecordsUrl"].rpartition("/")[2])
    assert by_url == by_locator
    assert salesforce.query("SELECT COUNT() FROM Opportunity", include_deleted=True)["totalSize"] == 4500


def test_values_quoted_by_format_soql_reach_the_right_record(salesforce: Salesforce, service: Service) -> None:
    name = 'O\'Neil \\ "Sons" 100%_\n'
    service.org.upsert("Account", [{"Id": "001000000000008", "Name": name}])
    found = salesforce.query(format_soql("SELECT Name FROM Account WHERE Name = {}", name))
    assert [r["Name"] for r in found["records"]] == [name]
    liked = salesforce.query(format_soql("SELECT Name FROM Account WHERE Name LIKE '%{:like}%'", "100%_"))
    assert liked["totalSize"] == 1
    many = salesforce.query(format_soql("SELECT Id FROM Account WHERE Name IN {}", ["Acme", name]))
    assert many["totalSize"] == 2


def test_is_sandbox_reads_the_organization(salesforce: Salesforce, service: Service) -> None:
    table = pa.table({"Id": ["00D000000000001"], "Name": ["Acme"], "IsSandbox": [True]})
    other = Org({"Organization": table}, now=service.org.now)
    service.org.objects["organization"] = other.objects["organization"]
    with service.org.cursor() as cursor:
        cursor.register("given", other.cursor().execute('SELECT * FROM "Organization"').to_arrow_table())
        cursor.execute('CREATE TABLE "Organization" AS SELECT * FROM given')
    assert salesforce.is_sandbox() is True


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda sf: sf.query("SELECT Nope FROM Account"), SalesforceMalformedRequest),
        (lambda sf: sf.Account.get("001000000000099"), SalesforceResourceNotFound),
        (lambda sf: sf.Nothing.describe(), SalesforceResourceNotFound),
    ],
)
def test_errors_become_its_exceptions(salesforce: Salesforce, call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call(salesforce)


def test_an_expired_session_becomes_its_exception(salesforce: Salesforce, service: Service) -> None:
    service.auth.expire_all()
    with pytest.raises(SalesforceExpiredSession):
        salesforce.query("SELECT Id FROM Account")


def test_bulk2_download_writes_a_file(salesforce: Salesforce, tmp_path: Path) -> None:
    written = salesforce.bulk2.Account.download("SELECT Id, Name FROM Account", path=str(tmp_path))
    assert [w["number_of_records"] for w in written] == [1]
    assert Path(written[0]["file"]).read_text(encoding="utf-8") == '"Id","Name"\n"001000000000001AAA","Acme"\n'
