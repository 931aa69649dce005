"""Each new signal is told once to each receiver, over a real socket; what was not taken is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from dagster_project.alerts import signals, telling
from dagster_project.alerts.receivers import AlertError, Email, Slack, Teams
from dagster_project.alerts.signals import BREACHES, FAILED, STOP, Signal
from dagster_project.alerts.teller import Teller
from dagster_project.contracts.ledger import RUNS
from dagster_project.errors import PublicationStoppedError, SalesforceError
from dagster_project.home import Home
from dagster_project.landing import AppendOnlyTable
from tests.integration.alerts.conftest import MailServer, Webhook

AT = datetime(2026, 7, 1, 6, tzinfo=UTC)
STOPPED = Signal(STOP, "stop R01 v1", "Publication stopped by R01", "37 ids twice")


def _tell(state: Path, receivers: list[object], *current: Signal) -> list[str]:
    return telling.tell(state, receivers, current, at=AT, known=(STOP, FAILED))  # type: ignore[arg-type]


def test_a_signal_is_told_once_for_as_long_as_it_stands_and_again_when_it_comes_back(
    tmp_path: Path, webhook: Webhook
) -> None:
    slack: list[object] = [Slack(webhook.url)]
    assert _tell(tmp_path, slack, STOPPED) == []
    assert webhook.heard == [{"text": "*Publication stopped by R01*\n37 ids twice"}]
    other_words = Signal(STOP, STOPPED.key, STOPPED.title, "38 ids twice")
    assert _tell(tmp_path, slack, other_words) == []
    assert len(webhook.heard) == 1
    assert _tell(tmp_path, slack) == []
    assert _tell(tmp_path, slack, other_words) == []
    assert [body["text"][-12:] for body in webhook.heard] == ["37 ids twice", "38 ids twice"]


def test_what_happens_once_is_told_once_though_it_is_gone_from_the_next_run(tmp_path: Path, webhook: Webhook) -> None:
    news = Signal(BREACHES, "breaches R07 v1 2026-07-01", "R07: 3 new records", "")
    for current in ([news], [], [news]):
        _tell(tmp_path, [Slack(webhook.url)], *current)
    assert len(webhook.heard) == 1


def test_what_a_receiver_did_not_take_is_tried_again_and_others_are_told_meanwhile(
    tmp_path: Path, webhook: Webhook, mail_server: MailServer
) -> None:
    mail = Email(mail_server.url, "a@b.example", ("c@d.example", "e@f.example"))
    both: list[object] = [Slack(webhook.url), mail]
    news = Signal(BREACHES, "breaches R07 v1 2026-07-01", "R07: 3 new records", "To do: enter the estimate")
    webhook.status = 503
    (problem,) = _tell(tmp_path, both, STOPPED, news)
    assert "slack" in problem
    assert "503" in problem
    assert "canary" not in problem
    assert len(mail_server.heard) == 2
    webhook.status = 200
    # the breaches happened in the run before: they are told late, from the record
    assert _tell(tmp_path, both, STOPPED) == []
    assert {body["text"].splitlines()[0] for body in webhook.heard} == {f"*{STOPPED.title}*", f"*{news.title}*"}
    assert len(mail_server.heard) == 2
    assert _tell(tmp_path, both, STOPPED) == []
    assert len(webhook.heard) == 2


def test_teams_gets_a_card_and_mail_reaches_every_recipient(webhook: Webhook, mail_server: MailServer) -> None:
    Teams(webhook.url).send("R07", "3 new\nTo do: x")
    (message,) = webhook.heard
    (card,) = message["attachments"]
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert [block["text"] for block in card["content"]["body"]] == ["R07", "3 new", "To do: x"]
    Email(mail_server.url, "a@b.example", ("c@d.example", "e@f.example")).send("R07:\nnew", "Grüße")
    ((to, mail),) = mail_server.heard
    assert to == ["c@d.example", "e@f.example"]
    assert mail["Subject"] == "R07: new"
    assert mail.get_payload(decode=True).decode().strip() == "Grüße"


def test_a_name_in_a_message_is_no_link_and_no_mention(webhook: Webhook) -> None:
    Slack(webhook.url).send("R07 & co", "<!channel> <https://evil.example|click>")
    assert webhook.heard == [{"text": "*R07 &amp; co*\n&lt;!channel&gt; &lt;https://evil.example|click&gt;"}]


def test_no_error_holds_the_address(webhook: Webhook, mail_server: MailServer) -> None:
    mail_server.refuses = True
    secret = mail_server.url.replace("smtp://", "smtp://canary-user:canary-word@")
    webhook.status = 302
    for receiver in (
        Slack(webhook.url), Teams("http://127.0.0.1:1/canary"), Email(secret, "a@b.example", ("c@d.example",)),
        Email(mail_server.url, "a@b.example", ("c@d.example",)), Email("smtp://127.0.0.1:1", "a@b.example", ("c@d.example",)),
    ):  # fmt: skip
        with pytest.raises(AlertError) as refused:
            receiver.send("t", "x")
        assert "canary" not in f"{refused.value} {receiver!r}"


def test_a_failure_is_told_until_a_publication_stands_and_a_stop_is_the_audits(
    tmp_path: Path, webhook: Webhook
) -> None:
    teller = Teller(Home(tmp_path), [Slack(webhook.url)])
    for _ in range(2):
        teller.after_failure(SalesforceError("the service is not available.", where="acme"))
    teller.after_failure(PublicationStoppedError("R01 stopped the line."))
    assert [body["text"].splitlines()[:2] for body in webhook.heard] == [
        ["*The run failed*", "acme: the service is not available."]
    ]
    teller.after_publication()
    teller.after_failure(SalesforceError("the service is not available.", where="acme"))
    assert len(webhook.heard) == 2
    assert teller.problems == []


def _conformed(path: Path, as_of: datetime) -> None:
    day = as_of - timedelta(days=1)
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE SCHEMA audit; CREATE SCHEMA control")
        connection.execute(
            "CREATE TABLE control.definition (definition_id VARCHAR, version INTEGER, title VARCHAR, accountable VARCHAR, "
            "fix VARCHAR, mode VARCHAR, kind VARCHAR)"
        )
        connection.execute(
            "INSERT INTO control.definition VALUES ('R07', 1, 'an amount', 'opportunity owner', 'enter it', 'enforce', 'duty'), "
            "('R08', 1, 'a buyer', 'opportunity owner', 'add it', 'observe', 'duty'), "
            "('R09', 2, 'a response', 'opportunity owner', 'call', 'enforce', 'duty')"
        )
        connection.execute(
            "CREATE TABLE audit.ledger (definition_id VARCHAR, definition_version INTEGER, record_id VARCHAR, row_key VARCHAR, "
            "first_seen_at TIMESTAMP, resolved_at TIMESTAMP)"
        )
        rows = [
            ("R07", 1, "006A", "006A", as_of, None), ("R07", 1, "006B", "006B-1", as_of, None), ("R07", 1, "006B", "006B-2", as_of, None),
            ("R07", 1, "006C", "006C", day, None), ("R07", 1, "006D", "006D", as_of, as_of), ("R08", 1, "006A", "006A", as_of, None),
            # its first measurement: what it finds is backlog
            ("R09", 2, "006A", "006A", as_of, None),
        ]  # fmt: skip
        connection.executemany("INSERT INTO audit.ledger VALUES (?, ?, ?, ?, ?, ?)", rows)


def test_new_breaches_are_one_message_per_enforced_definition_and_backlog_is_no_news(tmp_path: Path) -> None:
    as_of = datetime(2026, 7, 1)  # noqa: DTZ001 - the warehouse's instants are naive UTC
    _conformed(tmp_path / "conformed.duckdb", as_of)
    measured = [("R07", 1, as_of - timedelta(days=1)), ("R08", 1, as_of - timedelta(days=1)), ("R09", 2, as_of)]
    runs = pa.table(
        {
            "definition_id": [rule for rule, *_ in measured],
            "definition_version": pa.array([version for _, version, _ in measured], pa.int32()),
            "as_of": pa.array([at.replace(tzinfo=UTC) for *_, at in measured], pa.timestamp("us", tz="UTC")),
            "state": ["measured"] * 3,
        }
    )
    AppendOnlyTable(tmp_path / "state" / RUNS).append(runs)
    (told,) = signals.of_breaches(tmp_path / "conformed.duckdb", tmp_path / "state", as_of)
    assert told.title == "R07: 2 new records to look at: an amount"
    assert "006" not in told.text + told.title
    assert signals.of_breaches(tmp_path / "none.duckdb", tmp_path / "state", as_of) == []
