"""Views of load, value, waste and yield against numpy, statsmodels, lifelines and plain Python, on generated deals with
queues, owners who left, merged accounts, unprompted answers, reopenings and deals that never met their definition.
One build serves every test here.
"""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment

from dagster_project.warehouse.dbt_build import dbt_environment

AS_OF = datetime(2025, 12, 20)  # noqa: DTZ001 (the warehouse holds naive UTC)
NEVER = datetime(9999, 1, 1)  # noqa: DTZ001 (as above)
MINIMUM_N = 20
SIZES = {"P1": 330, "P2": 90, "P3": 12}
STAGES = ("Prospecting", "Qualification", "Needs Analysis", "Proposal", "Negotiation")
ACTIVE = [f"005{n:015d}" for n in range(1, 8)]
IDLE, FORMER, LEFT, UNREADABLE, QUEUE = (
    "005000000000000008",
    "005000000000000009",
    "005000000000000010",
    "005000000000000099",
    "00G000000000000001",
)
OWNERS = [*ACTIVE[:1] * 8, *ACTIVE[1:], LEFT, UNREADABLE, QUEUE, None]
VIEWS = ("handoffs", "owner_load", "value_evidence", "waste", "winnability", "win_loss", "repurchase", "yield")
EVERYTHING = {view: f"select * from rpt_{view} order by 1, 2, 3, 4, 5, 6" for view in VIEWS}
MACROS = Path(__file__).resolve().parents[3] / "dbt" / "macros" / "statistics"


def _history(rng: random.Random) -> list[tuple[datetime, str]]:
    """Stages of one deal in order of time: a walk that skips, goes back, waits zero time, closes and reopens."""
    at, rows = AS_OF - timedelta(days=rng.uniform(0.01, rng.choice([900, 900, 90]))), []
    place = 1 if rng.random() < 0.1 else 0
    while at <= AS_OF and len(rows) < 12:
        rows.append((at, STAGES[place]))
        at += timedelta(days=0 if rng.random() < 0.05 else rng.expovariate(1 / 30))
        draw = rng.random()
        if draw < 0.6 and place < len(STAGES) - 1:
            place += 1
        elif draw < 0.64 and place < len(STAGES) - 2:
            place += 2
        elif draw < 0.72 and place:
            place -= 1
        else:
            if at <= AS_OF:
                rows.append((at, "Closed Won" if rng.random() < 0.4 else "Closed Lost"))
            if rng.random() > 0.1:
                break
            at += timedelta(days=rng.randint(1, 20))
    return rows


def _activities(rng: random.Random, deal: str, since: datetime, bench: Any, rows: dict[str, list[Any]]) -> None:
    """Calls, mails and meetings of one deal, each at a time of its own."""
    at = since - timedelta(days=2)
    for _ in range(rng.randint(0, 14)):
        at += timedelta(days=0 if rng.random() < 0.15 else rng.expovariate(1 / 9))
        if at > AS_OF:
            return
        number, when, draw = sum(map(len, rows.values())) + 1, bench.utc(at), rng.random()
        stamps = {"IsDeleted": False, "CreatedDate": when, "LastModifiedDate": when, "SystemModstamp": when}
        if draw < 0.4:
            rows["Task"].append({
                "Id": f"00T{number:015d}", "WhatId": deal, "OwnerId": rng.choice(ACTIVE[:3]), "IsClosed": True, "CompletedDateTime": when,
                "CallType": rng.choice(["Outbound", "Outbound", "Outbound", "Inbound", "Internal", None]), **stamps,
            })  # fmt: skip
        elif draw < 0.85:
            rows["EmailMessage"].append({
                "Id": f"02s{number:015d}", "RelatedToId": deal, "Incoming": rng.random() < 0.4, "Status": "1", "MessageDate": when,
                "IsBounced": rng.random() < 0.05, "CreatedById": ACTIVE[1], **stamps,
            })  # fmt: skip
        else:
            event = f"00U{number:015d}"
            rows["Event"].append({
                "Id": event, "WhatId": deal, "WhoId": "003000000000000099", "OwnerId": ACTIVE[2], "StartDateTime": when, "EndDateTime": when, **stamps,
            })  # fmt: skip
            rows["EventRelation"] += [{
                "Id": f"0RE{number:012d}{place:03d}", "EventId": event, "RelationId": f"003{place:015d}",
                "Status": rng.choice(["Accepted", "New", "Declined"]), **stamps,
            } for place in rng.sample(range(1, 5), rng.randint(0, 3))]  # fmt: skip


def _land(bench: Any) -> dict[str, list[dict[str, Any]]]:
    """The generated org into the landing. Returns the rows, by object."""
    rng = random.Random(7)
    types = {process: f"012{n:015d}" for n, process in enumerate(SIZES, start=1)}
    stamps = {"CreatedDate": bench.utc(AS_OF - timedelta(days=1500)), "SystemModstamp": bench.utc(AS_OF)}
    bench.land("RecordType", [
        {"Id": key, "DeveloperName": process, "SobjectType": "Opportunity", "IsActive": True, **stamps}
        for process, key in types.items()
    ])  # fmt: skip
    bench.land("User", [
        {"Id": user, "Name": f"User {user[-2:]}", "IsActive": user != LEFT, "UserType": "Standard", **stamps,
         "UserRoleId": {ACTIVE[0]: "00E000000000000001", ACTIVE[1]: "00E000000000000002"}.get(user)}
        for user in [*ACTIVE, IDLE, FORMER, LEFT]
    ])  # fmt: skip
    accounts = [f"001{n:015d}" for n in range(1, 71)]
    account_rows = [
        {
            "Id": account, "Name": account, "IsDeleted": n >= 65, "MasterRecordId": accounts[n - 40] if n >= 65 else None,
            "Industry": rng.choice(["Energy", "Health", None]), "OwnerId": ACTIVE[0], "SystemModstamp": bench.utc(AS_OF),
            "CreatedDate": bench.utc(AS_OF - timedelta(days=1500 if n % 5 else 200)),
        }
        for n, account in enumerate(accounts)
    ]  # fmt: skip
    bench.land("Account", account_rows)
    deals, histories, roles, verdicts = [], [], [], []
    activities: dict[str, list[Any]] = defaultdict(list)
    for process, size in SIZES.items():
        for _ in range(size):
            number, history = len(deals) + 1, _history(rng)
            deal = bench.deal(
                number, RecordTypeId=types[process], StageName=history[-1][1], CreatedDate=bench.utc(history[0][0]),
                IsDeleted=rng.random() < 0.08, OwnerId=rng.choice(OWNERS), AccountId=rng.choice([*accounts, None]),
                Amount=None if rng.random() < 0.1 else f"{rng.randint(1, 9_000_000) / 100:.2f}",
                LastModifiedDate=bench.utc(AS_OF - timedelta(days=rng.randint(0, 3))), LeadSource=rng.choice(["Web", "Fair", None]),
                CloseDate=(AS_OF + timedelta(days=rng.randint(-60, 90))).date() if rng.random() < 0.95 else None,
                mapped_segment=("North", "South", None)[number % 3],
            )  # fmt: skip
            closed = history[-1][1].startswith("Closed")
            if closed and number % 25 == 0:
                deal["OwnerId"] = IDLE if (AS_OF - history[-1][0]).days < 300 else FORMER
            deals.append(deal)
            hands = (
                [rng.choice([*ACTIVE[:2], ACTIVE[1], None]) for _ in history]
                if number % 3
                else [deal["OwnerId"]] * len(history)
            )
            histories += [{
                "CreatedById": hands[at], "Id": f"008{number:09d}{at:06d}", "OpportunityId": deal["Id"], "StageName": stage, "IsDeleted": False,
                "Amount": deal["Amount"], "CloseDate": deal["CloseDate"],
                "CreatedDate": bench.utc(instant), "SystemModstamp": bench.utc(instant),
            } for at, (instant, stage) in enumerate(history)]  # fmt: skip
            for role in range(rng.choice([0, 1, 1, 2, 5])):
                roles.append({
                    "Id": f"00K{number:012d}{role:03d}", "IsDeleted": False, "OpportunityId": deal["Id"],
                    "ContactId": f"003{rng.randint(1, 4):015d}", "CreatedDate": bench.utc(history[0][0] + timedelta(days=rng.randint(0, 40))), "SystemModstamp": bench.utc(AS_OF),
                })  # fmt: skip
            if rng.random() < 0.1:
                definition, kind = rng.choice([("R03", "integrity"), ("R08", "stage_entry"), ("R06", "duty")])
                verdicts.append((
                    definition, 1, int(definition[1:]), kind, "enforce", "opportunity", deal["Id"], deal["Id"],
                    rng.choice(["breached", "breached", "unknown"]), "seen", None,
                ))  # fmt: skip
            _activities(rng, deal["Id"], history[0][0], bench, activities)
    bench.land("Opportunity", deals)
    bench.land("OpportunityHistory", histories)
    bench.land("OpportunityContactRole", roles)
    for name, rows in activities.items():
        bench.land(name, rows)
    entry = [bench.stage_entry("R07", "amount", 1), bench.stage_entry("R08", "contact_role", 2)]
    named = {"title": "", "evidence": None, "from_step_rank": None}
    bench.control(
        as_of=AS_OF,
        measurable_share=1.0,
        stage_map=[(process, *row[1:]) for process in SIZES for row in bench.process_map("default")],
        definitions=[
            *entry,
            {**bench.stage_entry("R03", "none", 1), **named, "kind": "integrity"},
            {**bench.stage_entry("R06", "none", 1), **named, "kind": "duty"},
        ],
    )
    with bench.connect() as connection:
        connection.executemany(f"insert into audit.verdict values ({', '.join('?' * 11)}, null, null, null)", verdicts)
    return {"Account": account_rows, "OpportunityHistory": histories, "OpportunityContactRole": roles, **activities}


class Mart:
    """The finished mart of a second build, opened alone; `first`: the views of the first; `landed`: what the org was made of, by object, by API field names; `bench`: where it was built."""

    def __init__(self, path: str, landed: dict[str, list[dict[str, Any]]], bench: Any, first: dict[str, Any]) -> None:
        self._connection = duckdb.connect(path, read_only=True)
        self.landed, self.bench, self.first = landed, bench, first

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The result of a query, by column name."""
        cursor = self._connection.execute(sql)
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def close(self) -> None:
        self._connection.close()


def _measured(bench: Any, **queries: str) -> dict[str, list[tuple[Any, ...]]]:
    bench.build(full_refresh=True)
    bench.home.building.unlink(missing_ok=True)
    bench.dbt.build("measure")
    with duckdb.connect(str(bench.home.building), read_only=True) as connection:
        connection.execute("use mart")
        return {name: connection.execute(sql).fetchall() for name, sql in queries.items()}


@pytest.fixture(scope="module")
def mart(_session_bench: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mart]:
    bench = _session_bench
    bench.reset()
    landed = _land(bench)
    first = _measured(bench, **EVERYTHING)
    _measured(bench)
    path = tmp_path_factory.mktemp("published") / "leanfunnel.duckdb"
    bench.home.building.rename(path)
    opened = Mart(str(path), landed, bench, first)
    yield opened
    opened.close()


def _macros(name: str) -> Any:
    """The macros of a file that call no other macro, as functions that return SQL."""
    return Environment(autoescape=False).from_string((MACROS / name).read_text()).module


def _gini(values: list[int]) -> float:
    """Half the mean difference of all pairs over the mean."""
    sample = np.array(values, dtype=float)
    return float(np.abs(sample[:, None] - sample[None, :]).mean() / 2 / sample.mean())


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.integers(0, 10_000), max_size=40))
def test_spread_of_any_counts_equals_numpy(values: list[int]) -> None:
    macros = _macros("dispersion.sql")
    cv, gini = duckdb.execute(
        f"select {macros.coefficient_of_variation('x')}, {macros.gini('x', 'place')} "
        "from (select x, row_number() over (order by x) as place from (select unnest(?::bigint[]) as x))",
        [values],
    ).fetchone()
    if not sum(values):
        assert (cv, gini) == (None, None)
        return
    assert cv == pytest.approx(np.std(values) / np.mean(values), abs=1e-9)
    assert gini == pytest.approx(_gini(values), abs=1e-9)


def test_load_counts_active_owners_with_none_and_no_queue(mart: Mart) -> None:
    open_deals, recent = defaultdict(list), defaultdict(set)
    for deal in mart.rows("select * from mart.fct_opportunities where not is_deleted and is_open is not null"):
        key = (deal["sales_process"], deal["owner_id"])
        if deal["is_open"]:
            open_deals[key].append(deal)
        if deal["is_open"] or AS_OF - deal["closed_at"] <= timedelta(days=365):
            recent[key[0]].add(key[1])
    rows = mart.rows("select * from mart.rpt_owner_load")
    assert {(row["sales_process"], row["owner_id"]) for row in rows} == {
        (process, owner) for process, owners in recent.items() for owner in owners
    }
    seen = set()
    for process, owners in recent.items():
        active = sorted(owner for owner in owners if owner in {*ACTIVE, IDLE, FORMER})
        wip = [len(open_deals[process, owner]) for owner in active]
        enough, mean = sum(wip) >= MINIMUM_N, float(np.mean(wip))
        for row in (row for row in rows if row["sales_process"] == process):
            deals = open_deals[process, row["owner_id"]]
            amounts = [deal["amount_corporate"] for deal in deals if deal["amount_corporate"] is not None]
            ages = [deal["days_in_stage"] for deal in deals if deal["days_in_stage"] is not None]
            assert (row["wip"], row["n_owners"], row["owner_basis"]) == (len(deals), len(active), "current_owner")
            assert row["amount_corporate"] == (sum(amounts, Decimal(0)) if amounts else None)
            assert row["n_amount_unknown"] == len(deals) - len(amounts)
            assert row["wip_evidenced"] == sum(deal["evidenced_in"] in ("same", "earlier") for deal in deals)
            assert row["wip_age_p50_days"] == (pytest.approx(np.median(ages)) if ages else None)
            told = [row[name] for name in ("mean_wip", "wip_cv", "wip_gini", "wip_lower_limit", "wip_upper_limit")]
            limits = (max(0.0, mean - 3 * mean**0.5), mean + 3 * mean**0.5)
            expected = [mean, np.std(wip) / mean, _gini(wip), *limits] if enough else [None] * 5
            assert told == pytest.approx(expected, abs=1e-12)
            state = {QUEUE: "queue", None: "none", LEFT: "inactive", UNREADABLE: "unknown"}.get(
                row["owner_id"], "active"
            )
            assert row["owner_state"] == state
            if state != "active":
                reads = "not compared"
            elif not enough:
                reads = "too few"
            elif limits[0] <= len(deals) <= limits[1]:
                reads = "no difference"
            else:
                reads = f"{'more' if len(deals) > mean else 'less'} than chance explains"
            assert row["reads"] == reads
            seen |= {reads, state, "with none" if state == "active" and not deals else ""}
    assert seen >= {
        "no difference", "more than chance explains", "too few", "not compared", "with none", "queue", "none", "inactive", "unknown",
    }  # fmt: skip
    columns = rows[0].keys()
    assert not [name for name in columns if "rank" in name or "place" in name]


def _stages_at(mart: Mart, basis: str) -> dict[str, list[dict[str, Any]]]:
    visits = defaultdict(list)
    for visit in mart.rows(f"select * from mart.fct_stage_visits where basis = '{basis}'"):
        visits[visit["opportunity_id"]].append(visit)
    return visits


def _stage_at(visits: list[dict[str, Any]], at: datetime) -> str | None:
    standing = [visit for visit in visits if visit["entered_at"] <= at < (visit["exited_at"] or NEVER)]
    assert len(standing) < 2
    return standing[0]["stage_name"] if standing else None


def _answer_first(row: dict[str, Any]) -> tuple[datetime, bool, str]:
    return (row["occurred_at"], row["direction"] == "outbound", row["activity_id"])


def test_each_answer_is_credited_to_the_touch_before_it(mart: Mart) -> None:
    from statsmodels.stats.proportion import proportion_confint

    deals = {
        row["opportunity_id"]: row for row in mart.rows("select * from mart.fct_opportunities where not is_deleted")
    }
    done = defaultdict(list)
    for row in mart.rows("select * from mart.fct_activities where opportunity_id is not null"):
        done[row["opportunity_id"]].append(row)
    # (basis, process, stage, kind) -> [answers of each touch], and what waits
    touched, waiting, unprompted, unknown = defaultdict(list), defaultdict(int), defaultdict(int), defaultdict(int)
    for basis in ("reported", "defined"):
        visits = _stages_at(mart, basis)
        for name, deal in deals.items():
            if basis == "defined" and deal["is_set_aside"]:
                continue
            last: tuple[Any, list[int]] | None = None
            for activity in sorted(done[name], key=_answer_first):
                stage = _stage_at(visits[name], activity["occurred_at"])
                place = (basis, deal["sales_process"], stage)
                if activity["direction"] == "outbound":
                    last = ((*place, activity["activity_kind"]), [0])
                    touched[last[0]].append(last[1])
                if activity["is_customer_response"] and last:
                    last[1][0] += 1
                elif activity["is_customer_response"]:
                    unprompted[*place, "unprompted"] += 1
                elif activity["direction"] == "unknown":
                    unknown[*place, activity["activity_kind"]] += 1
            if last and deal["is_open"] and last[1] == [0]:
                waiting[last[0]] += 1
    rows = {
        (row["basis"], row["sales_process"], row["stage_name"], row["activity_kind"]): row
        for row in mart.rows("select * from mart.rpt_value_evidence")
    }
    assert set(rows) == {*touched, *unprompted, *unknown}
    seen = set()
    for key, row in rows.items():
        answers = [count for (count,) in touched[key]]
        n, answered, total = len(answers), sum(map(bool, answers)), sum(answers)
        assert (row["touches"], row["touches_answered"], row["touches_waiting"]) == (n, answered, waiting[key]), key
        assert (row["responses"], row["n_unknown_direction"]) == (total + unprompted[key], unknown[key]), key
        told = [row[name] for name in ("responses_per_touch", "answered_share", "answered_lower", "answered_upper")]
        enough = n >= MINIMUM_N
        expected = (
            [total / n, answered / n, *proportion_confint(answered, n, method="wilson")] if enough else [None] * 4
        )
        assert told == pytest.approx(expected, abs=1e-12), key
        assert row["touches_per_response"] == (pytest.approx(n / total) if enough and total else None)
        assert row["reads"] == ("unprompted" if key[3] == "unprompted" else "ok" if enough else "too few")
        seen |= {row["reads"], "waiting" if waiting[key] else "", "in none" if key[2] is None else ""}
    assert seen >= {"ok", "too few", "unprompted", "waiting", "in none"}
    assert any(0 in map(sum, answers) for answers in touched.values())
    assert sum(unknown.values())


def _overlap(spans: list[tuple[datetime, datetime]], visits: list[dict[str, Any]]) -> list[tuple[datetime, datetime]]:
    clipped = [
        (max(start, visit["entered_at"]), min(end, visit["exited_at"] or AS_OF))
        for start, end in spans
        for visit in visits
    ]
    return [(start, end) for start, end in clipped if start < end]


def _waiting(activities: list[dict[str, Any]]) -> list[tuple[datetime, datetime]]:
    """Spans in which the customer had answered and nobody had touched the deal since."""
    spans, since = [], None
    for activity in sorted(activities, key=lambda row: (row["occurred_at"], not row["is_customer_response"])):
        if activity["is_customer_response"]:
            since = since or activity["occurred_at"]
        elif activity["direction"] == "outbound" and since:
            spans.append((since, activity["occurred_at"]))
            since = None
    return spans + ([(since, AS_OF)] if since else [])


def _wasted(
    deal: dict[str, Any], visits: list[dict[str, Any]], activities: list[dict[str, Any]], furthest: int
) -> dict[str, list[tuple[datetime, datetime]]]:
    """Spans of each kind of waste of one deal; `furthest`: order of the furthest stage that its evidence allowed."""
    whole = {visit["visit_seq"]: (visit["entered_at"], visit["exited_at"] or AS_OF) for visit in visits}
    kinds = {}
    if deal["is_lost"]:
        kinds["lost_deal"] = list(whole.values())
    if again := [visit for visit in visits if visit["visit_no"] > 1]:
        kinds["rework"] = [whole[visit["visit_seq"]] for visit in again]
    if waits := _overlap(_waiting(activities), visits):
        kinds["waiting"] = waits
    if deal["is_open"] and deal["close_on"] and deal["close_on"] < AS_OF.date():
        since = datetime.combine(deal["close_on"], datetime.min.time()) + timedelta(days=1)
        kinds["overdue_close_date"] = _overlap([(since, AS_OF)], visits)
    beyond = [visit for visit in visits if visit["stage_order"] > furthest]
    if beyond and not deal["is_set_aside"]:
        kinds["never_met_definition"] = [whole[visit["visit_seq"]] for visit in beyond]
    return kinds


def test_waste_is_the_open_time_of_each_kind_with_its_deals(mart: Mart) -> None:
    reported, defined, done = _stages_at(mart, "reported"), _stages_at(mart, "defined"), defaultdict(list)
    for row in mart.rows("select * from mart.fct_activities where opportunity_id is not null"):
        done[row["opportunity_id"]].append(row)
    days, touches, ids = defaultdict(float), defaultdict(int), defaultdict(list)
    open_days, open_touches = defaultdict(float), defaultdict(int)
    deals = mart.rows("select * from mart.fct_opportunities where not is_deleted order by opportunity_id")
    told = {(row["waste_kind"], row["opportunity_id"]): row for row in mart.rows("select * from mart.fct_waste")}
    for deal in deals:
        name, process = deal["opportunity_id"], deal["sales_process"]
        visits = [visit for visit in reported[name] if not visit["is_closed_stage"]]
        met = [visit["stage_order"] for visit in defined[name] if visit["stage_name"] != "Closed Lost"]

        def count(spans: list[tuple[datetime, datetime]], name: str = name) -> int:
            outbound = [row["occurred_at"] for row in done[name] if row["direction"] == "outbound"]
            return sum(1 for at in outbound for start, end in spans if start <= at < end)

        for kind, spans in _wasted(deal, visits, done[name], max(met, default=0)).items():
            spent = sum((end - start) / timedelta(days=1) for start, end in spans)
            row = told.pop((kind, name))
            assert row["waste_days"] == pytest.approx(spent, abs=1e-9), row
            assert row["touches"] == (0 if kind == "waiting" else count(spans)), row
            days[process, kind] += spent
            touches[process, kind] += row["touches"]
            ids[process, kind].append(name)
        open_days[process] += sum(visit["days_in_stage"] for visit in visits)
        open_touches[process] += count([(visit["entered_at"], visit["exited_at"] or AS_OF) for visit in visits])
    assert not told
    for row in mart.rows("select * from mart.rpt_waste"):
        key, process = (row["sales_process"], row["waste_kind"]), row["sales_process"]
        mine = [deal for deal in deals if deal["sales_process"] == process]
        unknown = {
            "waiting": sum(
                not any(act["is_customer_response"] or act["direction"] == "outbound" for act in done[deal["opportunity_id"]])
                for deal in mine
            ),
            "overdue_close_date": sum(deal["is_open"] and deal["close_on"] is None for deal in mine),
            "never_met_definition": sum(deal["is_set_aside"] for deal in mine),
        }  # fmt: skip
        assert (row["state"], row["n_unknown"]) == ("measured", unknown.get(row["waste_kind"], 0))
        assert (row["n_deals"], row["record_ids"]) == (len(ids[key]), ", ".join(ids[key]) or None)
        assert row["waste_days"] == pytest.approx(days[key], abs=1e-6)
        assert row["share_of_days"] == pytest.approx(days[key] / open_days[process], abs=1e-9)
        assert row["touches"] == touches[key]
        assert row["share_of_touches"] == pytest.approx(touches[key] / open_touches[process], abs=1e-12)
    assert {kind for process, kind in ids if process == "P1"} == {
        "lost_deal", "rework", "waiting", "overdue_close_date", "never_met_definition",
    }  # fmt: skip


def _naive(row: dict[str, Any], field: str = "CreatedDate") -> datetime:
    return row[field].replace(tzinfo=None)


def _by(rows: list[dict[str, Any]], field: str) -> dict[Any, list[dict[str, Any]]]:
    grouped = defaultdict(list)
    for row in rows:
        grouped[row[field]].append(row)
    return grouped


def _band(n: int, steps: list[tuple[int, str]]) -> str:
    return next(name for most, name in steps if n <= most)


def _traits(mart: Mart) -> list[dict[str, Any]]:
    """First entries into open stages with their traits, from what was landed."""
    deals = {
        row["opportunity_id"]: row for row in mart.rows("select * from mart.fct_opportunities where not is_deleted")
    }
    accounts = {row["Id"]: row for row in mart.landed["Account"]}
    survivor = {key: row["MasterRecordId"] or key for key, row in accounts.items()}
    histories, roles = (
        _by(mart.landed[name], "OpportunityId") for name in ("OpportunityHistory", "OpportunityContactRole")
    )
    responses = _by(mart.rows("select * from mart.fct_activities where is_customer_response"), "opportunity_id")
    relations = _by([row for row in mart.landed["EventRelation"] if row["Status"] != "Declined"], "EventId")
    wins = defaultdict(list)
    for deal in deals.values():
        if deal["is_won"] and deal["account_id"]:
            wins[survivor[deal["account_id"]]].append(deal["closed_at"])
    entries = []
    for visit in mart.rows("select * from mart.fct_stage_visits where is_first_entry and not is_closed_stage"):
        deal, at = deals.get(visit["opportunity_id"]), visit["entered_at"]
        if deal is None or visit["is_start_imputed"]:
            continue
        name, account = visit["opportunity_id"], deal["account_id"]
        contacts = {row["ContactId"] for row in roles[name] if _naive(row) <= at}
        answered = [row for row in responses[name] if row["occurred_at"] <= at]
        people = {relation["RelationId"] for row in answered for relation in relations[row["activity_id"]]}
        named = any(row["Amount"] and _naive(row) <= at for row in histories[name])
        known = account and _naive(accounts[account]) <= at
        industry = known and (accounts[survivor[account]]["Industry"] or accounts[account]["Industry"])
        entries.append({
            "place": (visit["basis"], visit["sales_process"], visit["stage_name"]),
            "outcome": "won" if deal["is_won"] else "lost" if deal["is_lost"] else "open",
            "lead_source": deal["lead_source"] or "unknown",
            "segment": deal["segment"] or "unknown",
            "opportunity_type": deal["opportunity_type"] or "unknown",
            "industry": industry or "unknown",
            "account_standing": (
                "unknown" if not account else "customer" if any(won < at for won in wins[survivor[account]]) else "no win yet"
            ),
            "contact_roles": _band(len(contacts), [(0, "0"), (1, "1"), (2, "2"), (99, "3 or more")]),
            "responses_before": _band(len(answered), [(0, "0"), (2, "1 to 2"), (99, "3 or more")]),
            "people_met": _band(len(people), [(0, "0"), (1, "1"), (99, "2 or more")]),
            "amount_at_entry": "named" if named else "not named",
            "way_in": "skipped a stage" if visit["stages_skipped"] else "in order",
        })  # fmt: skip
    return entries


def test_win_rates_rest_on_what_was_known_at_entry(mart: Mart) -> None:
    from statsmodels.stats.proportion import proportion_confint

    found = defaultdict(lambda: defaultdict(int))
    stages = defaultdict(lambda: defaultdict(int))
    for entry in _traits(mart):
        stages[entry["place"]][entry["outcome"]] += 1
        for trait, value in entry.items():
            if trait not in ("place", "outcome"):
                found[*entry["place"], trait, value][entry["outcome"]] += 1
    rows = {
        (row["basis"], row["sales_process"], row["stage_name"], row["trait"], row["trait_value"]): row
        for row in mart.rows("select * from mart.rpt_winnability")
    }
    assert set(rows) == set(found)
    seen = set()
    for key, row in rows.items():
        count, stage = found[key], stages[key[:3]]
        n, n_stage = count["won"] + count["lost"], stage["won"] + stage["lost"]
        assert (row["n_won"], row["n_lost"], row["n_open"]) == (count["won"], count["lost"], count["open"]), key
        assert (row["n_entered"], row["n_unknown"]) == (sum(count.values()), 0)
        assert row["share_of_entries"] == pytest.approx(sum(count.values()) / sum(stage.values()))
        told = [row[name] for name in ("win_rate", "win_rate_lower", "win_rate_upper")]
        if n < MINIMUM_N:
            assert (told, row["reads"]) == ([None] * 3, "too few")
        else:
            rate = stage["won"] / n_stage
            lower, upper = proportion_confint(count["won"], n, method="wilson")
            assert told == pytest.approx([count["won"] / n, lower, upper], abs=1e-12)
            assert row["stage_win_rate"] == pytest.approx(rate, abs=1e-12)
            reads = "wins more often" if lower > rate else "wins less often" if upper < rate else "no difference"
            assert row["reads"] == reads
        seen |= {row["reads"], key[3:], key[0]}
    assert seen >= {
        "reported",
        "defined",
        "no difference",
        "too few",
        ("account_standing", "customer"),
        ("contact_roles", "3 or more"),
    }
    assert seen >= {("people_met", "2 or more"), ("industry", "unknown"), ("amount_at_entry", "not named")}


@pytest.mark.parametrize(
    ("field", "refused"), [("is_won", True), ("Closed_At", True), ("close_on", True), ("lead_source", False)]
)
def test_a_field_known_only_after_the_outcome_is_refused(mart: Mart, field: str, refused: bool) -> None:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    bench = mart.bench
    os.environ.update(dbt_environment(bench.home))
    project, logs = str(bench.project), str(bench.home.warehouse / "hindsight")
    said: list[str] = []
    try:
        result = dbtRunner(callbacks=[lambda event: said.append(event.info.msg)]).invoke([
            "compile", "--inline", f"select {{{{ known_before_outcome(['opportunity_type', '{field}']) | length }}}}", "--quiet",
            "--project-dir", project, "--profiles-dir", project, "--target-path", logs, "--log-path", logs, "--log-level", "none",
        ])  # fmt: skip
    finally:
        DuckDBConnectionManager.close_all_connections()
    assert result.success is not refused
    assert (f"the trait '{field}' is known only after the outcome" in " ".join(said)) is refused


def _quarter(at: datetime | None) -> str:
    return f"{at.year}-Q{(at.month + 2) // 3}" if at else "unknown"


@pytest.mark.parametrize("basis", ["reported", "defined"])
def test_won_and_lost_by_cohort_say_how_far_open_deals_could_move_them(mart: Mart, basis: str) -> None:
    from statsmodels.stats.proportion import proportion_confint

    visits = _stages_at(mart, basis)
    found: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for deal in mart.rows("select * from mart.fct_opportunities"):
        timeline = sorted(visits.get(deal["opportunity_id"], ()), key=lambda visit: visit["visit_seq"])
        if basis == "defined":
            if deal["is_set_aside"]:
                continue
            stands = timeline[-1] if timeline and timeline[-1]["stage_name"] == deal["stage_name"] else None
            deal["unproven"] = (
                deal["is_won"] and not (stands and stands["exit_kind"] == "open") and not deal["is_deleted"]
            )
            deal["is_won"] = deal["is_won"] and not deal["unproven"]
            if stands and stands["exit_kind"] == "open" and stands["is_closed_stage"]:
                deal["closed_at"] = stands["entered_at"]
        else:
            deal["unproven"] = False
        closings = [visit["stage_name"] for visit in timeline if visit["is_closed_stage"]]
        resolved = (deal["is_won"] or deal["is_lost"]) and not deal["is_deleted"]
        deal["changed"] = resolved and closings[0] != deal["stage_name"]
        before = timeline[-2]["stage_name"] if len(timeline) > 1 else "none"
        for kind in ("created", "closed"):
            if kind == "closed" and not resolved:
                continue
            for cohort in ("all", _quarter(deal[f"{kind}_at"])):
                for stage in ("all", before) if resolved else ("all",):
                    found[deal["sales_process"], kind, cohort, stage].append(deal)
    rows = mart.rows(f"select * from mart.rpt_win_loss where basis = '{basis}'")
    assert {
        tuple(row[name] for name in ("sales_process", "cohort_kind", "cohort", "stage_before")) for row in rows
    } == set(found)
    seen = set()
    for row in rows:
        key = (row["sales_process"], row["cohort_kind"], row["cohort"], row["stage_before"])
        alive = [deal for deal in found[key] if not deal["is_deleted"]]
        won, lost, still, unproven = (
            [deal for deal in alive if deal[name]] for name in ("is_won", "is_lost", "is_open", "unproven")
        )
        n, n_all = len(won) + len(lost), [deal for deal in found[*key[:3], "all"] if not deal["is_deleted"]]
        assert (row["n_won"], row["n_lost"], row["n_open"]) == (len(won), len(lost), len(still)), key
        assert row["n_unproven"] == len(unproven)
        still += unproven
        assert row["n_deleted"] == len(found[key]) - len(alive)
        assert row["n_outcome_changed"] == sum(deal["changed"] for deal in alive)
        for name, some in (("amount_won", won), ("amount_lost", lost)):
            amounts = [deal["amount_corporate"] for deal in some if deal["amount_corporate"] is not None]
            assert row[name] == (sum(amounts, Decimal(0)) if amounts else None)
        losses = sum(deal["is_lost"] for deal in n_all)
        assert row["share_of_losses"] == (pytest.approx(len(lost) / losses) if losses else None)
        told = [row[f"win_rate{end}"] for end in ("", "_lower", "_upper", "_if_open_lost", "_if_open_won")]
        if key[3] != "all" or n < MINIMUM_N:
            assert (told, row["reads"]) == ([None] * 5, "too few" if key[3] == "all" else "counts")
        else:
            lower, upper = proportion_confint(len(won), n, method="wilson")
            worst, best = len(won) / (n + len(still)), (len(won) + len(still)) / (n + len(still))
            assert told == pytest.approx([len(won) / n, lower, upper, worst, best], abs=1e-12)
            assert row["reads"] == ("immature" if worst < lower or best > upper else "ok")
        seen.add(row["reads"])
    assert seen == {"ok", "too few", "immature", "counts"}
    assert any(row["n_outcome_changed"] for row in rows)
    assert any(row["n_unproven"] for row in rows) is (basis == "defined")


def _next_wins(mart: Mart) -> dict[tuple[str, str], list[tuple[float, bool, datetime]]]:
    """(days, whether the next win came, when won) per number of win and cohort."""
    survivor = {row["Id"]: row["MasterRecordId"] or row["Id"] for row in mart.landed["Account"]}
    wins = defaultdict(list)
    for deal in mart.rows(
        "select * from mart.fct_opportunities where is_won and not is_deleted and account_id is not null"
    ):
        wins[survivor[deal["account_id"]]].append(deal["closed_at"])
    gaps = defaultdict(list)
    for instants in wins.values():
        instants.sort()
        for number, (won, after) in enumerate(zip(instants, [*instants[1:], None], strict=True)):
            name = ("first", "second", "third or later")[min(number, 2)]
            for cohort in ("all", str(won.year)):
                gaps[name, cohort].append((((after or AS_OF) - won) / timedelta(days=1), after is not None, won))
    return gaps


def test_the_next_win_is_awaited_as_lifelines_does(mart: Mart) -> None:
    from lifelines import KaplanMeierFitter
    from statsmodels.stats.proportion import proportion_confint

    gaps, seen = _next_wins(mart), set()
    rows = {(row["from_win"], row["cohort"]): row for row in mart.rows("select * from mart.rpt_repurchase")}
    assert set(rows) == set(gaps)
    (without,) = mart.rows(
        "select count(*) as n from mart.fct_opportunities where is_won and not is_deleted and account_id is null"
    )
    for key, row in rows.items():
        observed = gaps[key]
        days, came = [gap[0] for gap in observed], [gap[1] for gap in observed]
        mature = [gap for gap in observed if AS_OF - gap[2] >= timedelta(days=365)]
        within = sum(gap[1] and gap[0] <= 365 for gap in mature)
        assert (row["n_wins"], row["n_next_won"], row["n_censored"]) == (len(days), sum(came), len(days) - sum(came))
        assert (row["n_mature"], row["n_within"]) == (len(mature), within)
        assert (row["n_without_account"], row["n_undated"]) == (without["n"], 0)
        told = [row[name] for name in ("next_win_rate", "next_win_rate_lower", "next_win_rate_upper")]
        rated = len(mature) >= MINIMUM_N
        expected = (
            [within / len(mature), *proportion_confint(within, len(mature), method="wilson")] if rated else [None] * 3
        )
        assert told == pytest.approx(expected, abs=1e-12)
        told = [row[name] for name in ("km_next_win_share", "km_share_lower", "km_share_upper")]
        seen.add(row["reads"])
        if len(days) < MINIMUM_N:
            assert (told, row["km_p50_days"], row["reads"]) == ([None] * 3, None, "too few")
            continue
        fitted = KaplanMeierFitter().fit(days, came)
        median = fitted.median_survival_time_
        assert row["km_p50_days"] == (None if np.isinf(median) else pytest.approx(median, abs=1e-9))
        if max(days) < 365 and fitted.survival_function_.iloc[-1, 0] > 0:
            assert (told, row["reads"]) == ([None] * 3, "immature")
            continue
        low, high = fitted.confidence_interval_.loc[:365].iloc[-1]
        assert told == pytest.approx([1 - float(fitted.predict(365)), 1 - high, 1 - low], abs=1e-9)
        assert row["reads"] == "ok"
    assert seen == {"ok", "too few", "immature"}


def _first_pass(visit: dict[str, Any], timeline: list[dict[str, Any]], met: list[dict[str, Any]]) -> set[str]:
    """Why a visit that advanced did not pass the first time; empty: it did."""
    after = next((other for other in timeline if other["visit_seq"] == visit["visit_seq"] + 1), None)
    causes = {
        "n_skipping": bool(after and after["stages_skipped"]),
        "n_reentered": sum(other["stage_name"] == visit["stage_name"] for other in timeline) > 1,
        "n_breached": not any(
            other["stage_order"] >= visit["stage_order"] and other["entered_at"] <= visit["exited_at"]
            for other in met
            if other["stage_name"] != "Closed Lost"
        ),
    }
    return {name for name, holds in causes.items() if holds}


def test_first_pass_is_advancing_with_no_skip_no_return_and_no_breach(mart: Mart) -> None:
    from statsmodels.stats.proportion import proportion_confint

    reported, defined = _stages_at(mart, "reported"), _stages_at(mart, "defined")
    counts: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for name, timeline in reported.items():
        for visit in timeline:
            if visit["is_closed_stage"] or visit["visit_no"] > 1:
                continue
            count = counts[visit["sales_process"], visit["stage_name"]]
            count["n_entered"] += 1
            count["n_reworked"] += any(
                other["stage_name"] == visit["stage_name"] and other["visit_no"] == 2 for other in timeline
            )
            if visit["is_left_truncated"]:
                count["n_left_out"] += 1
            elif visit["exit_kind"] in ("open", "deleted"):
                count[f"n_{visit['exit_kind']}"] += 1
            else:
                count["n_resolved"] += 1
                count["n_lost"] += visit["exit_kind"] == "lost"
                count["n_returned"] += visit["exit_kind"] in ("back", "lateral", "reopened")
                if visit["exit_kind"] in ("advanced", "won"):
                    causes = _first_pass(visit, timeline, defined[name])
                    for cause in ("n_advanced", *causes, *(() if causes else ("n_first_pass",))):
                        count[cause] += 1
    rows = mart.rows("select * from mart.rpt_yield order by sales_process, stage_order")
    assert {(row["sales_process"], row["stage_name"]) for row in rows} == set(counts)
    rolled: dict[str, list[float | None]] = defaultdict(lambda: [1.0, 1.0])
    for row in rows:
        count, process = counts[row["sales_process"], row["stage_name"]], row["sales_process"]
        names = [name for name in row if name.startswith("n_")]
        assert {name: row[name] for name in names} == {name: count[name] for name in names}, row["yield_key"]
        for part, whole, rate in (
            ("n_reworked", "n_entered", "rework_rate"),
            ("n_first_pass", "n_resolved", "first_pass_yield"),
            ("n_first_pass", "n_advanced", "first_pass_yield_on_advance"),
        ):
            x, n = count[part], count[whole]
            expected = [x / n, *proportion_confint(x, n, method="wilson")] if n >= MINIMUM_N else [None] * 3
            assert [row[f"{rate}{end}"] for end in ("", "_lower", "_upper")] == pytest.approx(expected, abs=1e-12)
        for at, (rate, told) in enumerate((
            ("first_pass_yield", "rolled_yield_to_here"), ("first_pass_yield_on_advance", "rolled_yield_on_advance_to_here"),
        )):  # fmt: skip
            so_far = rolled[process][at]
            rolled[process][at] = None if so_far is None or row[rate] is None else so_far * row[rate]
            assert row[told] == (None if rolled[process][at] is None else pytest.approx(rolled[process][at], abs=1e-12))
        assert row["reads"] == ("ok" if count["n_resolved"] >= MINIMUM_N else "too few")
    for row in rows:
        expected = rolled[row["sales_process"]]
        assert [row["rolled_throughput_yield"], row["rolled_throughput_yield_on_advance"]] == pytest.approx(
            expected, abs=1e-12
        )
    assert rolled["P1"][0] is not None
    assert rolled["P3"] == [None, None]
    for cause in ("n_skipping", "n_reentered", "n_breached", "n_returned", "n_deleted", "n_left_out"):
        assert sum(row[cause] for row in rows), cause


def _handoffs(mart: Mart) -> dict[tuple[str | None, ...], list[tuple[str, float, bool]]]:
    """(outcome, days waited, whether the taker acted) per process, stage and roles, from what was landed."""
    deals = {
        row["opportunity_id"]: row for row in mart.rows("select * from mart.fct_opportunities where not is_deleted")
    }
    roles = {row["owner_id"]: row["user_role_id"] or "unknown" for row in mart.rows("select * from mart.dim_owner")}
    movers = {
        (row["OpportunityId"], row["StageName"], _naive(row)): row["CreatedById"]
        for row in reversed(mart.landed["OpportunityHistory"])
    }
    acts = _by(mart.rows("select * from mart.fct_activities"), "opportunity_id")
    found = defaultdict(list)
    for name, visits in _stages_at(mart, "reported").items():
        timeline = sorted(visits, key=lambda visit: visit["visit_seq"])
        if name not in deals:
            continue
        hands = [movers[name, visit["stage_name"], visit["entered_at"]] for visit in timeline] + [
            deals[name]["owner_id"]
        ]
        for visit, giver, taker in zip(timeline, hands[:-1], hands[1:], strict=True):
            if visit["is_closed_stage"] or None in (giver, taker) or giver == taker:
                continue
            until = visit["exited_at"] or NEVER
            mine = [row["occurred_at"] for row in acts[name] if row["owner_id"] == taker]
            first = min((at for at in mine if visit["entered_at"] <= at < until), default=min(until, AS_OF))
            outcome = {
                "advanced": "accepted",
                "won": "accepted",
                "back": "returned",
                "open": "awaiting",
                "lost": "lost",
            }
            key = (
                visit["sales_process"],
                visit["stage_name"],
                roles.get(giver, "unknown"),
                roles.get(taker, "unknown"),
            )
            waited = (first - visit["entered_at"]) / timedelta(days=1)
            acted = visit["exit_kind"] != "open" or any(visit["entered_at"] <= at < until for at in mine)
            found[key].append((outcome.get(visit["exit_kind"], "moved aside"), waited, acted))
    return found


def test_handoffs_are_visits_that_another_person_ended(mart: Mart) -> None:
    from lifelines import KaplanMeierFitter
    from statsmodels.stats.proportion import proportion_confint

    found, seen = _handoffs(mart), set()
    rows = {
        (row["sales_process"], row["stage_name"], row["giver_role"], row["taker_role"]): row
        for row in mart.rows("select * from mart.rpt_handoffs")
    }
    assert set(rows) == set(found)
    for key, row in rows.items():
        outcomes = [outcome for outcome, _, _ in found[key]]
        n = len(outcomes) - outcomes.count("awaiting")
        for outcome in ("accepted", "returned", "lost", "moved_aside", "awaiting"):
            assert row[f"n_{outcome}"] == outcomes.count(outcome.replace("_", " ")), key
        assert row["n_still_waiting"] == sum(not acted for _, _, acted in found[key])
        for name in ("accepted", "returned"):
            x = outcomes.count(name)
            expected = [x / n, *proportion_confint(x, n, method="wilson")] if n >= MINIMUM_N else [None] * 3
            assert [row[f"{name}_{end}"] for end in ("share", "lower", "upper")] == pytest.approx(expected, abs=1e-12)
        assert row["reads"] == ("ok" if n >= MINIMUM_N else "too few")
        if len(outcomes) < MINIMUM_N:
            assert row["wait_p50_days"] is None
        else:
            fitted = KaplanMeierFitter().fit([days for _, days, _ in found[key]], [acted for _, _, acted in found[key]])
            assert row["wait_p50_days"] == pytest.approx(fitted.median_survival_time_, abs=1e-9)
        seen |= {row["reads"], *outcomes, "waiting" if row["n_still_waiting"] else ""}
        seen |= {"acted" for outcome, _, acted in found[key] if acted and outcome == "awaiting"}
    assert seen >= {"ok", "too few", "accepted", "returned", "lost", "awaiting", "waiting", "acted"}


def test_a_second_build_gives_the_same_to_the_last_digit(mart: Mart) -> None:
    for view, sql in EVERYTHING.items():
        again = [tuple(row.values()) for row in mart.rows(sql.replace("rpt_", "mart.rpt_"))]
        assert again, view
        assert again == mart.first[view], view


def test_an_org_without_deals_gives_empty_views(bench: Any) -> None:
    bench.control()
    found = _measured(bench, **{view: f"select count(*) from rpt_{view}" for view in VIEWS})
    assert found == {view: [(0,)] for view in VIEWS}


def test_what_nobody_can_know_is_counted_and_never_zero(bench: Any) -> None:
    """Four deals: without history, in an unmapped stage, open without a close date, won without an account."""
    history, days = [], timedelta(days=1)
    start = datetime(2026, 1, 1)  # noqa: DTZ001 (as above)
    for number, stages in {
        2: ["Somewhere"],
        3: ["Prospecting", "Qualification"],
        4: ["Prospecting", "Closed Won"],
    }.items():
        history += [{
            "Id": f"008{number:09d}{at:06d}", "OpportunityId": f"006{number:015d}", "StageName": stage, "IsDeleted": False,
            "CreatedDate": bench.utc(start + at * 5 * days), "SystemModstamp": bench.utc(start + at * 5 * days),
        } for at, stage in enumerate(stages)]  # fmt: skip
    bench.land("Opportunity", [
        bench.deal(1), bench.deal(2, StageName="Somewhere"), bench.deal(3, StageName="Qualification", CloseDate=None),
        bench.deal(4, StageName="Closed Won", AccountId=None),
    ])  # fmt: skip
    bench.land("OpportunityHistory", history)
    bench.control(definitions=[])
    found = _measured(
        bench,
        waste="select waste_kind, state, n_deals, waste_days, n_unknown, record_ids, state_cause is null from rpt_waste order by 1",
        winnability="select distinct stage_name, n_entered, n_won, n_open, n_unknown, win_rate from rpt_winnability "
        "where basis = 'reported' order by 1, 2",
        win_loss="select cohort_kind, n_won, n_open, n_unknown, win_rate, reads from rpt_win_loss "
        "where basis = 'reported' and cohort = 'all' and stage_before = 'all' order by 1",
        value_evidence="select count(*) from rpt_value_evidence",
        repurchase="select count(*) from rpt_repurchase",
        owner_load="select owner_state, wip, wip_cv, wip_upper_limit, reads from rpt_owner_load",
        yields="select stage_name, n_entered, n_left_out, n_resolved, first_pass_yield, rolled_throughput_yield from rpt_yield "
        "where n_entered + n_left_out > 0 order by stage_order",
    )
    assert found == {
        "waste": [
            ("lost_deal", "measured", 0, 0.0, 1, None, True),
            ("never_met_definition", "not measured", None, None, 0, None, False),
            ("overdue_close_date", "measured", 0, 0.0, 1, None, True),
            ("rework", "measured", 0, 0.0, 1, None, True),
            ("waiting", "not measurable", None, None, 4, None, False),
        ],
        "winnability": [("Prospecting", 2, 1, 1, 0, None), ("Qualification", 1, 0, 1, 0, None)],
        "win_loss": [("closed", 1, 0, 0, None, "too few"), ("created", 1, 2, 1, None, "too few")],
        "value_evidence": [(0,)],
        "repurchase": [(0,)],
        "owner_load": [("unknown", 2, None, None, "not compared")],
        "yields": [("Prospecting", 2, 1, 2, None, None), ("Qualification", 1, 0, 0, None, None)],
    }
