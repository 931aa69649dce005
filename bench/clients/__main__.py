"""Runs every client and prints a table, then one line of JSON: {client: {rows, equal}}. Exit code 1 unless all are equal."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.clients import environments, node_clients, python_clients
from bench.clients.front import INSTANCE, front, make_certificates
from bench.clients.python_clients import ClientError, Stand
from bench.clients.truth import OBJECTS, Extract, Truth
from salesforce_simulator.process import running_simulator


@dataclass
class Line:
    """What one client did: rows over all objects, whether each object was equal, seconds, or the error."""

    version: str = ""
    rows: int = 0
    equal: bool = False
    seconds: float = 0.0
    note: str = ""


def main() -> int:
    """Runs the clients; see the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.clients", description=__doc__)
    parser.add_argument("--opportunities", type=int, default=600, help="size of the generated org (default 600)")
    parser.add_argument("--only", help="run only clients whose name holds this text")
    options = parser.parse_args()
    lines: dict[str, Line] = {}
    with tempfile.TemporaryDirectory(prefix="leanfunnel-clients-") as folder:
        root = Path(folder)
        threads = [
            threading.Thread(target=_group, args=(root / name, options, name, runs, lines))
            for name, runs in _clients().items()
        ]
        # each group has an org of its own: waiting (a tap polls every 20 s) costs no time of the others
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    ordered = {name: lines[name] for runs in _clients().values() for name in runs if name in lines}
    _print(ordered)
    print(json.dumps({name: {"rows": line.rows, "equal": line.equal} for name, line in ordered.items()}))
    return 0 if ordered and all(line.equal for line in ordered.values()) else 1


Run = Callable[[Stand], tuple[str, dict[str, Extract] | int]]


def _clients() -> dict[str, dict[str, Run]]:
    def python(package: str, act: Callable[..., dict[str, Extract]], *more: Any) -> Run:
        def start(stand: Stand) -> tuple[str, dict[str, Extract]]:
            client = environments.python_client(package)
            return client.version, act(stand, client, *(m(stand) if callable(m) else m for m in more))

        return start

    def node(package: str, act: Callable[..., dict[str, Extract] | int], *more: str) -> Run:
        def start(stand: Stand) -> tuple[str, dict[str, Extract] | int]:
            client = environments.node_clients()[package]
            if package == "@salesforce/cli":
                node_clients.sf_login(stand, client, _token(stand.ready))
            return client.version, act(stand, client, *more)

        return start

    return {
        "simple-salesforce": {
            "simple-salesforce REST": python("simple-salesforce", python_clients.simple_salesforce, "rest"),
            "simple-salesforce Bulk 2.0": python("simple-salesforce", python_clients.simple_salesforce, "bulk2"),
        },
        "airbyte": {
            "airbyte-source-salesforce full": python("airbyte-source-salesforce", python_clients.airbyte_full),
            "airbyte-source-salesforce incremental": python(
                "airbyte-source-salesforce", python_clients.airbyte_incremental, _changes
            ),
        },
        "tap": {
            "tap-salesforce REST": python("tap-salesforce", python_clients.tap, "REST"),
            "tap-salesforce BULK": python("tap-salesforce", python_clients.tap, "BULK"),
        },
        "node": {
            "jsforce query": node("jsforce", node_clients.jsforce, "query"),
            "jsforce bulk2": node("jsforce", node_clients.jsforce, "bulk2"),
            "sf data query": node("@salesforce/cli", node_clients.sf_query),
            "sf data export bulk": node("@salesforce/cli", node_clients.sf_export),
            "sf sobject describe": node("@salesforce/cli", node_clients.sf_describe),
        },
    }


def _group(folder: Path, options: argparse.Namespace, name: str, runs: dict[str, Run], lines: dict[str, Line]) -> None:
    chosen = {n: r for n, r in runs.items() if not options.only or options.only in n}
    if not chosen:
        return
    folder.mkdir()
    try:
        with _stand(folder, options.opportunities, plain=name == "node") as stand:
            for client, start in chosen.items():
                lines[client] = _run(stand, start)
    except Exception as error:  # the table tells of it: a client that fails must not hide the others
        for client in chosen:
            lines.setdefault(client, Line(note=f"{type(error).__name__}: {error}"))


def _run(stand: Stand, start: Run) -> Line:
    began = time.monotonic()
    try:
        version, found = start(stand)
    except (ClientError, environments.InstallError) as error:
        return Line(note=str(error), seconds=time.monotonic() - began)
    if isinstance(found, int):
        return Line(version, found, True, time.monotonic() - began, f"{found} objects described")
    wrong = [f"{name}: {e.rows} rows of {e.wanted_rows}" for name, e in found.items() if not e.equal]
    note = ", ".join(f"{name} {e.rows}" for name, e in found.items())
    return Line(
        version, sum(e.rows for e in found.values()), not wrong, time.monotonic() - began,
        "differs: " + "; ".join(wrong) if wrong else note,
    )  # fmt: skip


@contextmanager
def _stand(folder: Path, opportunities: int, *, plain: bool) -> Iterator[Stand]:
    """A simulator of its own, and the environment that leads a client to it and nowhere else."""
    arguments = ["--demo", "--opportunities", str(opportunities), "--control"]
    environment = {
        k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and k not in ("PYTHONPATH", "VIRTUAL_ENV")
    } | {
        "HOME": str(folder), "SF_DISABLE_TELEMETRY": "true", "SF_AUTOUPDATE_DISABLE": "true",
        "SF_SKIP_NEW_VERSION_CHECK": "true", "SF_USE_GENERIC_UNIX_KEYCHAIN": "true", "SFDX_DISABLE_DNS_CHECK": "true",
    }  # fmt: skip
    if plain:
        with running_simulator(arguments) as ready:
            yield Stand(ready, truth_of(ready), environment, folder)
        return
    certificates = make_certificates(folder)
    with (
        running_simulator([*arguments, "--instance-url", f"https://{INSTANCE}"]) as ready,
        front(int(ready["url"].rpartition(":")[2]), certificates) as (proxy, _),
    ):
        led = {"HTTPS_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": "127.0.0.1"} | dict.fromkeys(
            ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"), str(certificates.authority)
        )
        yield Stand(ready, truth_of(ready), environment | led, folder)


def _token(ready: dict[str, Any]) -> str:
    form = {"grant_type": "client_credentials"} | {k: ready[k] for k in ("client_id", "client_secret")}
    body = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(f"{ready['url']}/services/oauth2/token", body) as answer:
        return json.load(answer)["access_token"]


def truth_of(ready: dict[str, Any]) -> Truth:
    """The read-out of a simulator, with the types that its describe gives."""
    token, types = _token(ready), {}
    for name in OBJECTS:
        url = f"{ready['url']}/services/data/v{ready['api_version']}/sobjects/{name}/describe"
        with urllib.request.urlopen(
            urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        ) as answer:
            types[name] = {f["name"]: f["type"] for f in json.load(answer)["fields"]}
    return Truth(ready["url"], types)


def _changes(stand: Stand) -> Callable[[], None]:
    """Stage moves, edits, new deals and deletions, as users make them.

    They happen a minute ago by the wall clock, from which Airbyte takes the ends of its windows. Hard deletes and late
    commits are left out: that clients lose those is known, and no fault of the org.
    """

    def play() -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
        deals = [r["Id"] for r in stand.truth.rows("Opportunity") if not r["IsDeleted"]][::10]
        values: dict[str, Any] = {"StageName": "Qualification", "Name": 'a "quoted" name, with a comma'}
        script: list[dict[str, Any]] = [
            {"change": "update", "object": "Opportunity", "id": i, "values": values} for i in deals[::2]
        ]
        script += [{"change": "delete", "object": "Opportunity", "id": i} for i in deals[1::2]]
        script += [
            {"change": "create", "object": "Opportunity",
             "values": {"Name": f"New {n}", "StageName": "Prospecting", "CloseDate": "2027-01-31", "Amount": n}}
            for n in range(10)
        ]  # fmt: skip
        for path, body in (("clock", {"now": now}), ("changes", script)):
            request = urllib.request.Request(f"{stand.ready['url']}/simulator/{path}", json.dumps(body).encode())
            with urllib.request.urlopen(request) as answer:
                answer.read()

    return play


def _print(lines: dict[str, Line]) -> None:
    width = max((len(n) for n in lines), default=0)
    print(f"{'client'.ljust(width)}  {'version':<10} {'rows':>7}  equal  seconds  what")
    for name, line in lines.items():
        equal = "yes" if line.equal else "NO"
        print(f"{name.ljust(width)}  {line.version:<10} {line.rows:>7}  {equal:<5}  {line.seconds:>7.1f}  {line.note}")


if __name__ == "__main__":
    sys.exit(main())
