"""The worklist and what is decided about it, by the command, on the generated company."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pytest


def _list(demo, *arguments: str) -> list[dict]:
    done = demo.command("breaches", "--format", "json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _decide(demo, *arguments: str) -> str:
    done = demo.command("decide", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_planted_breach_stands_once_in_an_item_of_its_record(demo) -> None:
    items = _list(demo, "--all")
    assert len({item["record_id"] for item in items}) == len(items)
    # nothing is planted for the others, which find what the company does of itself
    rules = {f"R{int(rule):02d}" for rule in demo.truth["breaches"]}
    found = {(one["rule"], item["record_id"]) for item in items for one in item["breaches"] if one["rule"] in rules}
    planted = {
        (f"R{int(rule):02d}", record)
        for rule, records in demo.truth["breaches"].items()
        for record in records
        if rule != "1"
    }
    assert planted
    assert found == planted
    assert [item["rank"] for item in items] == list(range(1, len(items) + 1))
    assert [item["priority"] for item in items] == sorted((item["priority"] for item in items), reverse=True)
    for item in items:
        for one in item["breaches"]:
            assert one["who"]
            assert one["looked_for"]
            assert one["threshold"]
            assert one["fix"]
            assert one["version"] == 1


def test_csv_has_a_line_per_breach_and_the_table_an_item_per_record(demo) -> None:
    done = demo.command("breaches", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    items = _list(demo)
    assert len(rows) == sum(len(item["breaches"]) for item in items)
    assert done.stderr.startswith(f"{len(items)} records, {len(rows)} breaches")
    table = demo.command("breaches", "--limit", "1")
    assert items[0]["record_name"].split()[0] in table.stdout
    assert "the first 1 records" in table.stderr


def test_a_snooze_of_one_record_survives_a_rebuild_and_is_undone(demo) -> None:
    first = _list(demo)[0]["record_id"]
    told = _decide(demo, "snooze", first, "--until", "2027-01-01", "--why", "on leave", "--by", "Rita")
    batch = told.split(" as ")[1].split(";")[0]
    assert first not in {item["record_id"] for item in _list(demo)}
    shutil.rmtree(demo.home / "warehouse")
    shutil.rmtree(demo.home / "published")
    demo.run("--from-landing")
    after = demo.command("breaches")
    assert "left out" in after.stderr
    assert "snoozed" in after.stderr
    assert first not in {item["record_id"] for item in _list(demo)}
    shown = demo.query(
        f"SELECT state, decided_by, decided_why FROM rpt_definition_breaches WHERE record_id = '{first}' AND status = 'breached'"
    )
    assert {row[:3] for row in shown} == {("snoozed", "Rita", "on leave")}
    # what the mart was built with and what the command sees at once are the same rule, written twice
    told_by_mart = set(
        demo.query(
            "SELECT definition_id, record_id, state, age, who FROM fct_standing_breaches WHERE record_id LIKE '006%'"
        )
    )
    told_by_list = {
        (one["rule"], item["record_id"], one["state"], one["age"], one["who"])
        for item in _list(demo, "--all")
        for one in item["breaches"]
    }
    assert told_by_mart == {one for one in told_by_list if one[1] and one[1].startswith("006")}
    assert demo.query(
        "SELECT n_snoozed > 0 FROM rpt_definition_scorecard WHERE scope = 'all' AND is_latest AND n_snoozed > 0"
    )
    assert "took back" in _decide(demo, "undo", batch, "--by", "Sam")
    assert _list(demo)[0]["record_id"] == first
    listed = json.loads(_decide(demo, "list", "--record", first, "--format", "json"))
    assert [row["by"] for row in listed] == ["Rita"] * (len(listed) // 2) + ["Sam"] * (len(listed) // 2)


def test_a_choice_by_filter_is_shown_first_and_written_with_yes(demo) -> None:
    before = _list(demo, "--rule", "8")
    shown = _decide(demo, "assign", "--rule", "R08", "--to", "Bob")
    assert f"not written: {len(before)} breaches of {len(before)} records" in shown
    assert _list(demo, "--rule", "8") == before
    told = _decide(demo, "assign", "--rule", "R08", "--to", "Bob", "--yes")
    mine = _list(demo, "--who", "Bob")
    assert {item["record_id"] for item in mine} == {item["record_id"] for item in before}
    _decide(demo, "undo", told.split("undo ")[1].split("`")[0])
    assert _list(demo, "--rule", "8") == before


def test_a_worklist_saved_as_csv_is_filled_in_and_read_back(demo) -> None:
    rows = list(csv.DictReader(io.StringIO(demo.command("breaches", "--rule", "6", "--format", "csv").stdout)))
    file = demo.home.parent / "look.csv"

    def save(decision: str, why: str) -> None:
        with file.open("w", newline="") as out:
            writer = csv.DictWriter(
                out,
                list(rows[0]),
            )
            writer.writeheader()
            writer.writerows(rows[2:])
            writer.writerows([{**row, "decision": decision, "why": why} for row in rows[:2]])

    save("waive", "")
    refused = demo.command("decide", "from-csv", str(file), "--yes")
    assert refused.returncode == 2
    assert refused.stderr.count("'waive' gives no reason. Write why.") == 2
    assert f"look.csv:{len(rows)}:" in refused.stderr
    save("waive", "the customer asked for it")
    assert "not written: 2 breaches" in _decide(demo, "from-csv", str(file))
    assert len(_list(demo, "--rule", "6")) == len(rows)
    told = _decide(demo, "from-csv", str(file), "--yes")
    assert len(_list(demo, "--rule", "6")) == len(rows) - 2
    # a choice by filter leaves alone what was decided; a record that is named is decided anew
    assert f"not written: {len(rows) - 2} breaches" in _decide(
        demo, "snooze", "--rule", "6", "--until", "2027-01-01", "--why", "x"
    )
    named = demo.command("decide", "dispute", rows[0]["record_id"], "--rule", "R02", "--why", "x")
    assert named.returncode == 2
    assert "What stands: R06" in named.stderr
    _decide(demo, "undo", told.split("undo ")[1].split("`")[0])
    assert len(_list(demo, "--rule", "6")) == len(rows)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("waive", "006000000000000AAA", "--why", "x"), "no breach stands for the record '006000000000000AAA'."),
        (("snooze", "--rule", "6", "--until", "2020-01-01", "--why", "x"), "the date 2020-01-01 is not after"),
        (
            ("snooze", "--rule", "6", "--until", "soon", "--why", "x"),
            "'soon' is no date; write for example 2026-01-31.",
        ),
        (("waive", "--rule", "6"), "'waive' gives no reason. Write why."),
        (("fixed",), "it is not said what is decided about."),
        (("undo", "D999"), "there is no decision 'D999'."),
        (("waive", "--rule", "R77", "--why", "x"), "no rule 'R77'"),
        (("from-csv", "absent.csv"), "absent.csv: cannot be read"),
    ],
)
def test_a_mistake_is_one_clear_line_and_writes_nothing(demo, arguments: tuple[str, ...], told: str) -> None:
    before = _decide(demo, "list", "--format", "json")
    done = demo.command("decide", *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert _decide(demo, "list", "--format", "json") == before


def test_a_week_s_sample_is_saved_filled_in_and_read_back(demo) -> None:
    as_csv = demo.command("sample", "--week", "2026-W26", "--each", "2", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(as_csv)))
    assert {row["stratum"] for row in rows} == {"open", "lost", "won", "dropped at lead"}
    is_open = {key for (key,) in demo.query("SELECT opportunity_id FROM fct_opportunities WHERE is_open")}
    assert all((row["record_id"] in is_open) == (row["stratum"] == "open") for row in rows)
    file = demo.home.parent / "sample.csv"
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows([{**row, "verdict": "right"} for row in rows])
    done = demo.command("sample", "--week", "2026-06-24", "--verdicts", str(file), "--format", "json")
    assert done.returncode == 0, done.stderr
    told = [row for row in json.loads(done.stdout) if row["of"] == "all weeks"]
    assert {row["stratum"]: row["right"] for row in told} == {
        name: sum(r["stratum"] == name for r in rows) for name in ("open", "lost", "won", "dropped at lead")
    }
    assert {row["reads"] for row in told} == {"too few"}


def test_people_are_told_once_and_get_a_digest(demo) -> None:
    """Slack is a webhook on loopback; a run fails twice, then one succeeds."""
    import json
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    heard: list[str] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = demo.home / "leanfunnel.yml"
    before = file.read_text() if file.exists() else None
    file.write_text(f"{before or ''}\nalerts: [slack]\n")
    hook = {"LEANFUNNEL_SLACK_WEBHOOK": f"http://127.0.0.1:{server.server_address[1]}/services/canary-hook"}
    try:
        refused = demo.command("run")
        assert refused.returncode == 2
        assert "LEANFUNNEL_SLACK_WEBHOOK: alerts by slack lack their address" in refused.stderr
        for _ in range(2):
            assert demo.command("run", SALESFORCE_CLIENT_SECRET="wrong", **hook).returncode == 3
        assert [text.splitlines()[0] for text in heard] == ["*The run failed*"]
        demo.run(**hook)
        demo.run("--rebuild", "--from-landing", **hook)
        # the charts of the demo company show shifts in its newest week or none; whatever they show is told once
        later = [text.splitlines()[0] for text in heard[1:]]
        assert all(title.startswith("*More than noise: ") for title in later)
        assert len(later) == len(set(later))
        shown = demo.command("digest", **hook)
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout.startswith("== managers: Open breaches by cause, 2026-W")
        assert "items to look at" in shown.stdout
        told = len(heard)
        assert demo.command("digest", "--send", **hook).stdout == "counts by slack: sent\n"
        assert "sent already in 2026-W" in demo.command("digest", "--send", **hook).stdout
        assert len(heard) == told + 1
        assert not any("canary-hook" in path.read_text(errors="replace") for path in demo.home.rglob("*.json"))
    finally:
        server.shutdown()
        server.server_close()
        file.unlink() if before is None else file.write_text(before)
