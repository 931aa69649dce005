"""A canary in every setting that is secret: whatever an org, a proxy or a stranger at that address answers, no message and no file
holds it."""

from __future__ import annotations

import json
import logging
import socket
import threading
import traceback
import typing
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote_plus

import pytest
from click.testing import CliRunner
from pydantic import BaseModel, SecretStr

from dagster_project import settings
from dagster_project.cli import leanfunnel
from dagster_project.errors import LeanfunnelError
from dagster_project.salesforce import http as salesforce_http


@pytest.fixture(scope="module")
def key() -> str:
    """An RSA key, so that the login by JWT gets as far as the network."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


# the values hold what forms, XML and addresses write in another way
CANARIES = {
    "SALESFORCE_CLIENT_SECRET": "canary-client&secret+1<\"'",
    "SALESFORCE_PASSWORD": "canary-pass word&2<\"'",
    "SALESFORCE_SECURITY_TOKEN": "canarySecurityToken3",
    "SALESFORCE_PRIVATE_KEY": "",  # the fixture's
    "SALESFORCE_ACCESS_TOKEN": "00D000000000001!canary.Access_Token4",
    "LEANFUNNEL_EMAIL_KEY": "canary-email-key-of-32-characters-5",
    "LEANFUNNEL_SLACK_WEBHOOK": "https://hooks.slack.example/services/canary-slack-6",
    "LEANFUNNEL_TEAMS_WEBHOOK": "https://teams.example/workflows/canary-teams-7",
    "LEANFUNNEL_SMTP_URL": "smtps://canary-user-8:canary-mail-password-8@mail.example:465",
}
LOGINS = {
    "client_credentials": {"SALESFORCE_CLIENT_ID": "id", "SALESFORCE_CLIENT_SECRET": ""},
    "jwt": {"SALESFORCE_CLIENT_ID": "id", "SALESFORCE_USERNAME": "a@b.c", "SALESFORCE_PRIVATE_KEY": ""},
    "access_token": {"SALESFORCE_ACCESS_TOKEN": ""},
    "password": {"SALESFORCE_USERNAME": "a@b.c", "SALESFORCE_PASSWORD": "", "SALESFORCE_SECURITY_TOKEN": ""},
}


def _secret_settings(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        kinds = [field.annotation, *typing.get_args(field.annotation)]
        if SecretStr in kinds:
            yield name
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _secret_settings(kind)


def test_every_secret_setting_has_a_canary_and_may_come_from_a_file(tmp_path: Path, key: str) -> None:
    named = {
        f"SALESFORCE_{name.upper()}" if name in settings.SalesforceLogin.model_fields else f"LEANFUNNEL_{name.upper()}"
        for name in _secret_settings(settings.Settings)
    }
    assert named == set(CANARIES), "a new secret setting needs a canary here"
    words = ("secret", "password", "token", "key", "webhook")
    open_ones = {
        name
        for model in (settings.SalesforceLogin, settings.RunOptions)
        for name, field in model.model_fields.items()
        if any(word in name for word in words) and SecretStr not in typing.get_args(field.annotation)
    }
    assert open_ones == set(), "a setting by such a name is a SecretStr"
    environment = {"SALESFORCE_INSTANCE_URL": "https://acme.my.salesforce.com"}
    for name, canary in CANARIES.items():
        (tmp_path / name).write_text(canary or key)
        environment[f"{name}_FILE"] = str(tmp_path / name)
    loaded = settings.load(tmp_path, environment, dotenv=tmp_path / "none")
    assert {f"SALESFORCE_{field.upper()}" for field in settings._SECRETS} | {"LEANFUNNEL_EMAIL_KEY"} | set(
        settings._RECEIVER_SECRETS.values()
    ) == set(CANARIES)
    (tmp_path / "leanfunnel.yml").write_text(
        "alerts: [slack, teams, email]\nemail_from: a@b.example\nemail_to: [c@d.example]\n"
    )
    loaded = settings.load(tmp_path, environment, dotenv=tmp_path / "none")
    assert [one.name for one in loaded.receivers()] == ["slack", "teams", "email"]
    for field in settings._SECRETS:
        value = getattr(loaded.login, field)
        assert value is not None
        assert value.get_secret_value() == (CANARIES[f"SALESFORCE_{field.upper()}"] or key).strip(), field
    text = f"{loaded!r} {loaded} {loaded.model_dump()} {loaded.model_dump_json(exclude={'home'})} {loaded.request()!r} {loaded.credentials()!r}"
    for canary in _spellings([*CANARIES.values(), key]):
        assert canary not in text


def _spellings(secrets: list[str]) -> list[str]:
    """Each secret as it is and as forms, XML and JSON write it; of a key its longest lines."""
    from html import escape

    found = []
    for secret in filter(None, secrets):
        parts = [line for line in secret.splitlines() if len(line) > 60 or "\n" not in secret]
        found += [
            way(part) for part in parts for way in (str, quote, quote_plus, escape, lambda t: json.dumps(t)[1:-1])
        ]
    return list(dict.fromkeys(found))


class _Echo(BaseHTTPRequestHandler):
    """Says whatever it was told, in the shape that `server.mode` asks for."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
        heard = " ".join([bearer, body, unquote_plus(body)]).strip()
        # the secret alone, as a server that takes it for an error code would say it
        alone = (
            next(
                (part.split("=", 1)[1] for part in unquote_plus(body).split("&client_secret") if part.startswith("=")),
                None,
            )
            or bearer
            or heard
        )
        mode = self.server.mode  # type: ignore[attr-defined]
        if mode == "hang up":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, kind, text = {
            "401": (401, "application/json", json.dumps([{"errorCode": "INVALID_SESSION_ID", "message": heard}])),
            "400": (400, "application/json", json.dumps([{"errorCode": "MALFORMED", "message": heard}])),
            "code": (400, "application/json", json.dumps({"error": alone, "error_description": heard, "errorCode": alone, "message": heard})),
            "soap": (500, "text/xml", f"<e><sf:exceptionCode>{alone}</sf:exceptionCode><sf:exceptionMessage>{heard}</sf:exceptionMessage><faultcode>{alone}</faultcode><faultstring>{heard}</faultstring></e>"),
            "403": (403, "application/json", json.dumps([{"errorCode": alone, "message": heard}])),
            "page": (200, "text/html", f"<html>{heard}</html>"),
            "json": (200, "application/json", json.dumps({"instance_url": f"https://{quote(alone)}.example", "access_token": alone, "records": [heard], "id": heard})),
            "elsewhere": (302, "text/html", heard),
        }[mode]  # fmt: skip
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status == 302:
            self.send_header("Location", f"https://elsewhere.example/?{quote(heard)}")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_DELETE = do_PATCH = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def echo() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "mode", ["401", "400", "code", "soap", "403", "page", "json", "elsewhere", "hang up", "nobody", "wrong address"]
)
@pytest.mark.parametrize("login", LOGINS)
def test_no_answer_brings_a_secret_into_a_message_or_a_file(
    echo: ThreadingHTTPServer, key: str, login: str, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    monkeypatch.setattr(salesforce_http, "RETRIES", 0)
    monkeypatch.setattr(salesforce_http, "CONNECT_RETRIES", 0)
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    echo.mode = mode  # type: ignore[attr-defined]
    secrets = {**CANARIES, "SALESFORCE_PRIVATE_KEY": key}
    given = {name: value or secrets[name] for name, value in LOGINS[login].items()}
    url = f"http://127.0.0.1:{echo.server_port}"
    if mode == "nobody":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
    elif mode == "wrong address":
        # somebody put the secret into the address, as `https://user:password@host`
        url = f"https://user:{quote(next(iter(secrets[name] for name in LOGINS[login] if name in secrets))[:40])}@host.example"
    given |= {
        "SALESFORCE_AUTH": login,
        "SALESFORCE_LOGIN_URL": url,
        "SALESFORCE_INSTANCE_URL": url,
        "LEANFUNNEL_EMAIL_KEY": secrets["LEANFUNNEL_EMAIL_KEY"],
    }
    for command in ("run", "doctor"):
        done = CliRunner().invoke(leanfunnel, [command, "--home", str(tmp_path / "home")], env=given)
        assert done.exit_code != 0
        error = done.exception
        assert isinstance(error, LeanfunnelError | SystemExit), repr(error)
        # Dagster shows the causes of an error too
        told = [done.output, caplog.text, str(error), repr(error), "".join(traceback.format_exception(error))]
        told += [path.read_bytes().decode("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()]
        for secret in _spellings([secrets[name] for name in given if name in secrets]):
            for text in told:
                assert secret not in text, (command, text[:2000])
