"""jsforce and the Salesforce CLI, pointed at the port itself: their streaming downloads use no proxy."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from bench.clients.environments import Client
from bench.clients.python_clients import ClientError, Stand, run
from bench.clients.truth import OBJECTS, Extract

_SCRIPT = Path(__file__).with_name("jsforce_client.cjs")
_ORG = "simulator"


def jsforce(stand: Stand, client: Client, way: str) -> dict[str, Extract]:
    """`query` with queryMore over all rows, or `bulk2` over all rows."""
    output = run(
        [str(client.home / "node_modules" / ".bin" / "node"), str(_SCRIPT), str(client.home), way],
        stand,
        text_in=json.dumps({k: stand.ready[k] for k in ("url", "client_id", "client_secret")} | {"objects": OBJECTS}),
    )
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in OBJECTS}
    for line in output.splitlines():
        name, row = json.loads(line)
        found[name].append(row)
    return {name: stand.truth.compare(name, found[name], deleted=True) for name in OBJECTS}


def _sf(stand: Stand, client: Client, *arguments: str) -> str:
    node = str(client.home / "node_modules" / ".bin" / "node")
    program = str(client.home / "node_modules" / "@salesforce" / "cli" / "bin" / "run.js")
    return run([node, program, *arguments], stand)


def sf_login(stand: Stand, client: Client, token: str) -> None:
    """Makes the org known to the CLI by an access token, as `sf org login access-token` documents."""
    with_token = Stand(stand.ready, stand.truth, stand.environment | {"SF_ACCESS_TOKEN": token}, stand.folder)
    _sf(with_token, client, "org", "login", "access-token", "--instance-url", stand.ready["url"], "--no-prompt",
        "--alias", _ORG)  # fmt: skip


def sf_query(stand: Stand, client: Client) -> dict[str, Extract]:
    """`sf data query --all-rows`, as CSV."""
    found = {}
    for name in OBJECTS:
        output = _sf(
            stand, client, "data", "query", "--target-org", _ORG, "--query", _query(stand, name), "--all-rows",
            "--result-format", "csv",
        )  # fmt: skip
        found[name] = stand.truth.compare(name, csv.DictReader(output.splitlines(keepends=True)), deleted=True)
    return found


def sf_export(stand: Stand, client: Client) -> dict[str, Extract]:
    """`sf data export bulk --all-rows` into a CSV file."""
    found = {}
    for name in OBJECTS:
        file = stand.folder / f"sf-{name}.csv"
        _sf(
            stand, client, "data", "export", "bulk", "--target-org", _ORG, "--query", _query(stand, name), "--all-rows",
            "--output-file", str(file), "--result-format", "csv", "--wait", "5",
        )  # fmt: skip
        with file.open(newline="", encoding="utf-8") as stream:
            found[name] = stand.truth.compare(name, csv.DictReader(stream), deleted=True)
    return found


def sf_describe(stand: Stand, client: Client) -> int:
    """`sf sobject describe`: the number of objects whose fields and types are what the org has. Raises ClientError."""
    for name in OBJECTS:
        answer = json.loads(
            _sf(stand, client, "sobject", "describe", "--target-org", _ORG, "--sobject", name, "--json")
        )
        types = {f["name"]: f["type"] for f in answer["result"]["fields"]}
        if types != stand.truth.types[name]:
            raise ClientError(f"sobject describe {name}: {set(types.items()) ^ set(stand.truth.types[name].items())}")
    return len(OBJECTS)


def _query(stand: Stand, name: str) -> str:
    return f"SELECT {', '.join(stand.truth.types[name])} FROM {name}"
