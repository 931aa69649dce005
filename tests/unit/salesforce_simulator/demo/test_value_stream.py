"""The value stream of the generated company, judged over the written records: who points at whom, and when."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from salesforce_simulator import ids, schema
from salesforce_simulator.demo import DemoOrg, generate
from salesforce_simulator.demo.columns import record_ids

NOW = datetime(2026, 7, 1, tzinfo=UTC)
PARTS = ("Campaign", "CampaignMember", "LeadStatus", "Lead", "LeadHistory", "Contact", "Product2", "OpportunityLineItem", "Period",
         "ForecastingQuota", "Holiday", "Group", "Case", "CaseHistory", "OpportunityFieldHistory", "TaskRelation",
         "EmailMessageRelation")  # fmt: skip


@pytest.fixture(scope="module")
def org() -> DemoOrg:
    return generate(3, 1500, NOW)


@pytest.fixture(scope="module")
def rows(org: DemoOrg) -> dict[str, list[dict]]:
    return {name: table.to_pylist() for name, table in org.tables.items()}


def test_ids_made_in_sets_are_those_made_one_by_one() -> None:
    assert record_ids("00Q", 5000).tolist() == [ids.numbered("00Q", n) for n in range(1, 5001)]


@pytest.mark.parametrize("name", PARTS)
def test_references_point_at_records_of_the_company(rows, name: str) -> None:
    kind = schema.standard_object(name)
    assert kind is not None
    known = {row["Id"]: table for table, made in rows.items() for row in made if "Id" in row and not row["Id"].startswith("01J")}
    checked = 0
    for field in kind.fields:
        inside = [target for target in field.reference_to if target in rows]
        if not inside or field.name not in rows[name][0]:
            continue
        for row in rows[name]:
            if row[field.name] is not None:
                assert known[row[field.name]] in inside, (field.name, row[field.name])
                checked += 1
    assert checked or name in ("LeadStatus", "Product2", "Period", "Holiday")


@pytest.mark.parametrize("name", PARTS)
def test_ids_are_unique_stamps_in_order_and_nothing_is_stamped_later_than_now(rows, name: str) -> None:
    made = rows[name]
    assert len({row["Id"] for row in made}) == len(made) > 0
    for row in made:
        stamps = [row[s] for s in ("CreatedDate", "LastModifiedDate", "SystemModstamp") if s in row]
        assert stamps == sorted(stamps)
        assert stamps[-1] <= NOW


def test_a_converted_lead_became_that_deal_of_that_account_through_that_contact(rows) -> None:
    deals = {row["Id"]: row for row in rows["Opportunity"]}
    contacts = {row["Id"]: row for row in rows["Contact"]}
    converted = [row for row in rows["Lead"] if row["IsConverted"]]
    assert converted
    assert len({row["ConvertedOpportunityId"] for row in converted}) == len(converted)
    for lead in converted:
        deal = deals[lead["ConvertedOpportunityId"]]
        assert lead["Status"] == "Closed - Converted"
        assert lead["ConvertedAccountId"] == deal["AccountId"] == contacts[lead["ConvertedContactId"]]["AccountId"]
        assert lead["ConvertedDate"] == deal["CreatedDate"].date()
        assert lead["CreatedDate"] < deal["CreatedDate"]
    for lead in (row for row in rows["Lead"] if not row["IsConverted"]):
        assert [lead[f"Converted{what}"] for what in ("Date", "AccountId", "ContactId", "OpportunityId")] == [None] * 4


@pytest.mark.parametrize(
    ("name", "history", "parent", "first", "statuses"),
    [("Lead", "LeadHistory", "LeadId", "Open - Not Contacted", 4), ("Case", "CaseHistory", "CaseId", "New", 2)],
)
def test_the_history_leads_from_the_first_status_to_the_present_one(rows, name: str, history: str, parent: str, first: str, statuses: int
) -> None:
    steps = defaultdict(list)
    for row in rows[history]:
        if row["Field"] == "Status":
            steps[row[parent]].append((row["CreatedDate"], row["OldValue"], row["NewValue"]))
    seen = set()
    for record in rows[name]:
        status = first
        for at, old, new in sorted(steps[record["Id"]]):
            assert old == status
            assert record["CreatedDate"] <= at <= record["LastModifiedDate"]
            status = new
        assert status == record["Status"]
        seen.add(status)
    assert len(seen) >= statuses


def test_lines_add_up_to_the_amount_of_their_deal(rows) -> None:
    deals = {row["Id"]: row for row in rows["Opportunity"]}
    totals = defaultdict(Decimal)
    for line in rows["OpportunityLineItem"]:
        totals[line["OpportunityId"]] += line["TotalPrice"]
        assert line["UnitPrice"] * Decimal(line["Quantity"]) == line["TotalPrice"] > 0
    assert totals
    assert all(total == deals[deal]["Amount"] for deal, total in totals.items())


def test_periods_of_a_kind_follow_each_other_and_each_seller_has_a_quota_a_quarter(rows) -> None:
    for kind in ("Year", "Quarter", "Month"):
        spans = sorted((row["StartDate"], row["EndDate"]) for row in rows["Period"] if row["Type"] == kind)
        assert all((b[0] - a[1]).days == 1 for a, b in zip(spans, spans[1:], strict=False))
        assert spans[0][0] < rows["Opportunity"][0]["CreatedDate"].date()
        assert spans[-1][1] >= NOW.date()
    quarters = {row["Id"]: row for row in rows["Period"] if row["Type"] == "Quarter"}
    sellers = {row["QuotaOwnerId"] for row in rows["ForecastingQuota"]}
    pairs = {(row["QuotaOwnerId"], row["PeriodId"]) for row in rows["ForecastingQuota"]}
    assert pairs == {(seller, quarter) for seller in sellers for quarter in quarters}
    assert len(pairs) == len(rows["ForecastingQuota"])
    assert all(row["StartDate"] == quarters[row["PeriodId"]]["StartDate"] for row in rows["ForecastingQuota"])


def test_a_member_is_one_lead_or_one_contact_and_joined_while_the_campaign_ran(rows) -> None:
    campaigns = {row["Id"]: row for row in rows["Campaign"]}
    for member in rows["CampaignMember"]:
        assert (member["LeadId"] is None) != (member["ContactId"] is None)
        campaign = campaigns[member["CampaignId"]]
        assert campaign["StartDate"] <= member["CreatedDate"].date() <= campaign["EndDate"]
        assert member["HasResponded"] == (member["FirstRespondedDate"] is not None)


def test_the_same_seed_gives_the_same_company_and_another_gives_another(org: DemoOrg) -> None:
    again, other = generate(3, 1500, NOW), generate(4, 1500, NOW)
    for name in PARTS:
        assert again.tables[name].equals(org.tables[name]), name
    assert not other.tables["Lead"].equals(org.tables["Lead"])


def test_without_activities_there_are_no_relations_of_theirs() -> None:
    made = generate(3, 400, NOW, activities=False)
    assert not {"TaskRelation", "EmailMessageRelation"} & set(made.tables)
    assert made.truth["counts"] == {name: t.num_rows for name, t in made.tables.items() if name != "OpportunityStagePicklist"}
