"""The weekly digest: ten items for each person, counts without names for managers, once a week and recipient."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from dagster_project.alerts import digest
from dagster_project.alerts.receivers import Email, Slack
from dagster_project.alerts.teller import Teller
from dagster_project.contracts.worklist import COLUMNS, Worklist
from dagster_project.errors import SettingsError
from dagster_project.home import Home
from tests.integration.alerts.conftest import MailServer, Webhook


def _breach(number: int, rule: str, who: str, **more: Any) -> dict[str, Any]:
    row = dict.fromkeys(COLUMNS) | {
        "record_key": f"006{number}",
        "record_name": f"Deal {number}",
        "rule": rule,
        "version": 1,
    }
    return (
        row
        | {"title": f"title of {rule}", "who": who, "mode": "enforce", "age": "new", "fix": "mend it", "rank": number}
        | more
    )


def _worklist(day: date) -> Worklist:
    rows = [_breach(number, "R07", "Ann Lee", age="new" if number < 4 else "backlog") for number in range(1, 13)]
    rows += [_breach(1, "R09", "Bob"), _breach(20, "R08", "Bob", mode="observe")]
    return Worklist(datetime(2026, 7, 1, tzinfo=UTC), day, rows, {})


def test_a_person_gets_ten_items_and_managers_counts_by_cause_without_names() -> None:
    found = digest.made(_worklist(date(2026, 7, 1)))
    assert found.week == "2026-W27"
    title, text = found.by_person["Ann Lee"]
    assert title == "10 items to look at, 2026-W27"
    named = [line for line in text.splitlines() if line.startswith("Deal ")]
    assert named == [f"Deal {number}" for number in range(1, 11)]
    assert text.endswith("and 2 more: `leanfunnel breaches --who` shows them.")
    # of a record with two breaches each sees the part that is theirs; what is only observed is nobody's
    assert found.by_person["Bob"][1].splitlines() == ["Deal 1", "  R09 title of R09: nothing found. mend it"]
    _, counts = found.counts
    assert counts.splitlines() == [
        "R07 title of R07: 12 open, 3 of them since the rule holds", "R09 title of R09: 1 open, 1 of them since the rule holds",
    ]  # fmt: skip
    assert not any(name in counts for name in ("Ann", "Bob", "Deal"))


def test_each_recipient_gets_it_once_a_week(tmp_path: Path, webhook: Webhook, mail_server: MailServer) -> None:
    home = Home(tmp_path)
    (tmp_path / "addresses.csv").write_text("owner,address\nAnn Lee,ann@example.com\nSomeone Else,else@example.com\n")
    mail = Email(mail_server.url, "leanfunnel@example.com", ("revops@example.com",))

    def send(day: date) -> tuple[list[str], list[str]]:
        teller = Teller(home, [Slack(webhook.url), mail])
        with mock.patch.object(digest, "read", return_value=digest.made(_worklist(day))):
            return digest.send(home, teller), teller.problems

    webhook.status = 500
    lines, problems = send(date(2026, 7, 1))
    assert [to for to, _ in mail_server.heard] == [["revops@example.com"], ["ann@example.com"]]
    assert "Deal 1" in mail_server.heard[1][1].get_payload()
    assert len(problems) == 1
    assert "no address in addresses.csv for 1 of 2 who have items" in lines
    webhook.status = 200
    # the next day: the channel gets what it missed, the others nothing
    assert send(date(2026, 7, 2))[1] == []
    assert (len(webhook.heard), len(mail_server.heard)) == (1, 2)
    assert send(date(2026, 7, 3))[1] == []
    assert (len(webhook.heard), len(mail_server.heard)) == (1, 2)
    send(date(2026, 7, 6))
    assert (len(webhook.heard), len(mail_server.heard)) == (2, 4)
    for file in (tmp_path / "state").rglob("*"):
        assert not file.is_file() or b"example.com" not in file.read_bytes()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("who,address\n", "lacks the column owner"),
        ("owner,address\nAnn Lee,ann\n", ":2"),
        ("owner,address\n,ann@example.com\n", "is no owner with an e-mail address"),
        ("owner,address\nAnn,a@b.c\nAnn,d@e.f\n", "names Ann twice"),
    ],
)
def test_a_mistake_in_the_addresses_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "addresses.csv"
    file.write_text(text)
    with pytest.raises(SettingsError, match=told):
        digest.read_addresses(file)
