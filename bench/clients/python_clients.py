"""simple-salesforce, Airbyte's source and Singer's tap, each as its own documentation runs it."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.clients.environments import Client
from bench.clients.truth import OBJECTS, Extract, Truth

_SINCE = "2023-01-01T00:00:00Z"
_TIMEOUT = 900
_LOGIN = ("client_id", "client_secret", "refresh_token")


class ClientError(Exception):
    """A client ended with an error; the text is its own."""


@dataclass(frozen=True)
class Stand:
    """Where a client runs: the org's credentials, the truth, the environment that leads it here, a folder to work in."""

    ready: dict[str, Any]
    truth: Truth
    environment: dict[str, str]
    folder: Path


def run(command: list[str], stand: Stand, *, text_in: str | None = None) -> str:
    """The standard output of a client. Raises ClientError with what it said last."""
    try:
        ran = subprocess.run(
            command, env=stand.environment, cwd=stand.folder, input=text_in, capture_output=True, text=True,
            timeout=_TIMEOUT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ClientError(f"{Path(command[0]).name} did not end within {_TIMEOUT} s") from None
    if ran.returncode:
        words = [line for line in (ran.stderr + ran.stdout).splitlines() if line.strip()]
        raise ClientError(f"{Path(command[0]).name}: exit code {ran.returncode}: {' / '.join(words[-3:])[:600]}")
    return ran.stdout


# simple-salesforce

_SIMPLE = """
import json, os, sys
from simple_salesforce import Salesforce

job = json.load(sys.stdin)
login = {k: job[k] for k in ("username", "password", "security_token")}
sf = Salesforce(**login, version="62.0")
for name in job["objects"]:
    fields = [f["name"] for f in getattr(sf, name).describe()["fields"]]
    query = f"SELECT {', '.join(fields)} FROM {name}"
    if job["way"] == "rest":
        for row in sf.query_all_iter(query, include_deleted=True):
            row.pop("attributes")
            print(json.dumps([name, row]))
    else:
        import csv, io
        for page in getattr(sf.bulk2, name).query(query):
            for row in csv.DictReader(io.StringIO(page, newline="")):
                print(json.dumps([name, row]))
"""


def simple_salesforce(stand: Stand, client: Client, way: str) -> dict[str, Extract]:
    """REST with deleted rows (`query_all_iter`), or Bulk 2.0, whose wrapper has no queryAll: without them."""
    job = {k: stand.ready[k] for k in ("username", "password", "security_token")}
    output = run(
        [str(client.home / "bin" / "python"), "-c", _SIMPLE],
        stand,
        text_in=json.dumps(job | {"objects": OBJECTS, "way": way}),
    )
    found = _by_object(json.loads(line) for line in output.splitlines())
    return {name: stand.truth.compare(name, found[name], deleted=way == "rest") for name in OBJECTS}


def _by_object(pairs: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for name, row in pairs:
        found[name].append(row)
    return found


# Airbyte


def _airbyte(stand: Stand, client: Client, *arguments: str) -> Iterator[dict[str, Any]]:
    output = run([str(client.home / "bin" / "source-salesforce"), *arguments], stand)
    for line in output.splitlines():
        message = json.loads(line)
        if message["type"] == "TRACE" and "error" in message["trace"]:
            raise ClientError(message["trace"]["error"]["message"][:600])
        yield message


def airbyte_full(stand: Stand, client: Client) -> dict[str, Extract]:
    """A full refresh: one Bulk 2.0 queryAll job per stream."""
    found = _read(stand, client, "full_refresh", None)[0]
    return {name: stand.truth.compare(name, found[name], deleted=True) for name in OBJECTS}


def airbyte_incremental(stand: Stand, client: Client, change: Any) -> dict[str, Extract]:
    """A first incremental sync, changes in the org, and a second sync from the state of the first.

    The state is the newest row per Id over both, so a changed row that the second lost shows.
    """
    first, state = _read(stand, client, "incremental", None)
    change()
    second, _ = _read(stand, client, "incremental", state)
    found = {}
    for name in OBJECTS:
        newest = {row["Id"]: row for row in [*first[name], *second[name]]}
        found[name] = stand.truth.compare(name, newest.values(), deleted=True)
    return found


def airbyte_streams(
    stand: Stand, client: Client, names: Collection[str] = ("Opportunity",), mode: str = "full_refresh"
) -> list[str]:
    """The command that syncs these streams, its configuration and catalog written."""
    config = stand.folder / "airbyte.json"
    login = {k: stand.ready[k] for k in _LOGIN}
    config.write_text(json.dumps(login | {"auth_type": "Client", "is_sandbox": False, "start_date": _SINCE}))
    catalog = next(m for m in _airbyte(stand, client, "discover", "--config", str(config)) if m["type"] == "CATALOG")
    streams = [
        {"stream": s, "sync_mode": mode, "destination_sync_mode": "append", "cursor_field": ["SystemModstamp"]}
        for s in catalog["catalog"]["streams"]
        if s["name"] in names
    ]
    chosen = stand.folder / f"airbyte-{mode}.json"
    chosen.write_text(json.dumps({"streams": streams}))
    program = str(client.home / "bin" / "source-salesforce")
    return [program, "read", "--config", str(config), "--catalog", str(chosen)]


def _read(
    stand: Stand, client: Client, mode: str, state: list[dict[str, Any]] | None
) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
    _, *arguments = airbyte_streams(stand, client, OBJECTS, mode)
    if state is not None:
        file = stand.folder / "airbyte-state.json"
        file.write_text(json.dumps(state))
        arguments += ["--state", str(file)]
    rows, states = defaultdict(list), {}
    for message in _airbyte(stand, client, *arguments):
        if message["type"] == "RECORD":
            rows[message["record"]["stream"]].append(message["record"]["data"])
        elif message["type"] == "STATE":
            states[message["state"]["stream"]["stream_descriptor"]["name"]] = message["state"]
    return rows, list(states.values())


# Singer


def tap_properties(stand: Stand, client: Client, way: str, names: Collection[str]) -> list[str]:
    """The command that syncs these streams by `REST` or `BULK`, its configuration and properties written."""
    config = stand.folder / f"tap-{way}.json"
    login = {k: stand.ready[k] for k in _LOGIN}
    more = {"is_sandbox": False, "start_date": _SINCE, "api_type": way, "select_fields_by_default": True}
    config.write_text(json.dumps(login | more))
    program = str(client.home / "bin" / "tap-salesforce")
    catalog = json.loads(run([program, "--config", str(config), "--discover"], stand))
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = stream["stream"] in names
    properties = stand.folder / f"tap-{way}-properties.json"
    properties.write_text(json.dumps(catalog))
    return [program, "--config", str(config), "--properties", str(properties)]


def tap(stand: Stand, client: Client, way: str) -> dict[str, Extract]:
    """One sync by `REST` (queryAll) or `BULK` (Bulk API 1.0, CSV and XML)."""
    output = run(tap_properties(stand, client, way, OBJECTS), stand)
    messages = (json.loads(line) for line in output.splitlines())
    found = _by_object((m["stream"], m["record"]) for m in messages if m["type"] == "RECORD")
    return {name: stand.truth.compare(name, found[name], deleted=True) for name in OBJECTS}
