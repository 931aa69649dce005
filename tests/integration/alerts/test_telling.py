"""Each new signal is told once to each receiver, over a real socket; what was not taken is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from dagster_project import settings
from dagster_project.alerts import signals, telling
from dagster_project.alerts.receivers import AlertError, Email, Slack, Teams
from dagster_project.alerts.signals import BREACHES, FAILED, STOP, Signal
from dagster_project.alerts.teller import Teller
from dagster_project.contracts.ledger import RUNS
from dagster_project.errors import PublicationStoppedError, SalesforceError, SettingsError
from dagster_project.home import Home
from dagster_project.landing import AppendOnlyTable
from tests.integration.conftest import MailServer, Webhook

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


def test_an_address_that_no_library_can_use_is_a_receiver_that_fails(tmp_path: Path, mail_server: MailServer) -> None:
    mail_server.offers_login = True
    for number, receiver in enumerate((
        Slack(f"https://{'a' * 70}.example/canary"), Teams("https://a..example/canary"),
        Email(mail_server.url.replace("smtp://", "smtp://u:canary%C3%A4@"), "a@b.example", ("c@d.example",)),
        Email(mail_server.url, "a@b.example", ("c@d.example\nBcc: canary@e.example",)),
    )):  # fmt: skip
        (problem,) = _tell(tmp_path / str(number), [receiver], STOPPED)
        assert problem.startswith(f"alerts by {receiver.name} were not sent: ")
        assert "canary" not in problem
    assert mail_server.heard == []


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


def test_a_chart_is_told_by_its_newest_point_alone(tmp_path: Path, webhook: Webhook) -> None:
    home = Home(tmp_path)
    home.current.mkdir(parents=True)
    mart = home.current / "leanfunnel.duckdb"
    with duckdb.connect(str(mart)) as connection:
        connection.execute("CREATE SCHEMA mart; SET schema = 'mart'")
        connection.execute(
            "CREATE TABLE rpt_flow_health AS SELECT * FROM (VALUES "
            "('reported', 'New', 'arrivals', DATE '2026-06-22', 'above limits', 'ok', 41.0, 'deals', 20.0, 5.0, 35.0), "
            "('evidenced', 'New', 'arrivals', DATE '2026-06-22', 'above limits', 'ok', 41.0, 'deals', 20.0, 5.0, 35.0), "
            "('reported', 'New', 'wip', DATE '2026-06-22', 'above limits', 'limits approximate', 9.0, 'deals', 2.0, 0.0, 4.0), "
            "('reported', 'New', 'wins', DATE '2026-06-15', 'below limits', 'ok', 0.0, 'deals', 9.0, 3.0, 15.0), "
            "('reported', 'New', 'wins', DATE '2026-06-22', 'none', 'ok', 8.0, 'deals', 9.0, 3.0, 15.0)"
            ") AS t (basis, sales_process, metric, week_starts_on, signal, reads, value, unit, mean_value, lower_limit, upper_limit)"
        )
        connection.execute(
            "CREATE TABLE rpt_definition_scorecard AS SELECT * FROM (VALUES "
            "('R07', 1, 'an amount', 'all', 'run of 8', 'enforce', TRUE, DATE '2026-07-01', 0.5, 0.8, 0.7, 0.9), "
            "('R07', 1, 'an amount', 'team', 'run of 8', 'enforce', TRUE, DATE '2026-07-01', 0.5, 0.8, 0.7, 0.9), "
            "('R08', 1, 'a buyer', 'all', 'run of 8', 'observe', TRUE, DATE '2026-07-01', 0.5, 0.8, 0.7, 0.9), "
            "('R09', 1, 'a response', 'all', 'run of 8', 'enforce', FALSE, DATE '2026-06-30', 0.5, 0.8, 0.7, 0.9)"
            ") AS t (definition_id, definition_version, title, scope, signal, mode, is_latest, as_of_on, met_rate, mean_rate, "
            "lower_limit, upper_limit)"
        )
    assert [one.key for one in signals.of_charts(mart)] == ["shift New arrivals", "shift R07 v1"]
    teller = Teller(home, [Slack(webhook.url)])
    teller.after_publication()
    teller.after_publication()
    assert [body["text"].splitlines()[0] for body in webhook.heard] == [
        "*More than noise: arrivals in New*",
        "*More than noise: rate of records that meet R07 (an amount)*",
    ]
    assert "41 deals, beside a mean of 20 and limits of 5 to 35" in webhook.heard[0]["text"]
    with duckdb.connect(str(mart)) as connection:
        connection.execute("UPDATE mart.rpt_flow_health SET signal = 'none' WHERE metric = 'arrivals'")
    teller.after_publication()
    assert len(webhook.heard) == 2
    with duckdb.connect(str(mart)) as connection:
        connection.execute(
            "UPDATE mart.rpt_flow_health SET signal = 'above limits' WHERE metric = 'arrivals' AND basis = 'reported'"
        )
    teller.after_publication()
    assert len(webhook.heard) == 3
    assert teller.problems == []


@pytest.mark.parametrize(
    ("alerts", "environment", "told"),
    [
        ("[slack]", {}, "LEANFUNNEL_SLACK_WEBHOOK: alerts by slack lack their address"),
        ("[slack]", {"LEANFUNNEL_SLACK_WEBHOOK": "http://hooks.example/canary"}, "would be sent in the clear"),
        ("[teams]", {"LEANFUNNEL_TEAMS_WEBHOOK": "canary"}, "is no address of that kind"),
        ("[email]", {"LEANFUNNEL_SMTP_URL": "https://u:canary@mail.example"}, "is no address of that kind"),
        ("[email]", {"LEANFUNNEL_SMTP_URL": "smtps://u:canary@mail.example"}, "need email_from and email_to"),
        ("[email]", {"LEANFUNNEL_SMTP_URL": "smtps://u:canary@mail.example:port"}, "is no address of that kind"),
        ("[pager]", {}, "alerts.0"),
    ],
)  # fmt: skip
def test_a_receiver_without_a_sound_address_is_refused_and_the_address_not_shown(
    tmp_path: Path, alerts: str, environment: dict[str, str], told: str
) -> None:
    (tmp_path / "leanfunnel.yml").write_text(f"alerts: {alerts}\n")
    with pytest.raises(SettingsError, match=told) as refused:
        settings.load(tmp_path, environment, dotenv=tmp_path / "none").receivers()
    assert "canary" not in str(refused.value)


def test_nobody_is_told_by_default(tmp_path: Path) -> None:
    given = {"LEANFUNNEL_SLACK_WEBHOOK": "https://hooks.example/canary"}
    loaded = settings.load(tmp_path, given, dotenv=tmp_path / "none")
    assert loaded.receivers() == ()
    assert loaded.teller is None
