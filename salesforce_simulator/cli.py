"""The command line: `python -m salesforce_simulator serve …` and `generate …`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from salesforce_simulator import fault_kinds
from salesforce_simulator.errors import InputError
from salesforce_simulator.export import read_export
from salesforce_simulator.faults import Faults
from salesforce_simulator.jwt import TokenError, public_key
from salesforce_simulator.large import write_org
from salesforce_simulator.org import Org
from salesforce_simulator.server import serve
from salesforce_simulator.service import API_VERSION, Options
from salesforce_simulator.source import deploy

_DEMO_NOW = datetime(2026, 7, 1, tzinfo=UTC)
_EXAMPLES = """examples:
  python -m salesforce_simulator serve --demo
  python -m salesforce_simulator serve --export my-export --now 2024-01-01T00:00:00Z --port 8080
  python -m salesforce_simulator generate --opportunities 1000000 --out large.duckdb
  python -m salesforce_simulator serve --org large.duckdb
  python -m salesforce_simulator serve --demo --control     then: curl -X POST URL/simulator/faults \\
      -d '[{"kind": "rate_limited", "on": "rest_query", "count": 2}]'

When ready, one line of JSON on standard output gives the address, the credentials, the org's clock and the number of
records per object. SIGTERM or Ctrl-C ends it.
"""


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 time, such as 2026-07-01T00:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _whole(text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
    return int(text)


def _from_zero(text: str) -> int:
    return _whole(text, 0)


def _from_one(text: str) -> int:
    return _whole(text, 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m salesforce_simulator",
        description="A Salesforce org on loopback that Salesforce clients can log in to, query and extract from.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="serve|generate")
    command = commands.add_parser(
        "serve", help="serve an org", epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--demo", action="store_true", help="serve a generated company")
    source.add_argument(
        "--org", type=Path, metavar="FILE", help="serve an org that `generate` wrote; changes stay in the file"
    )
    source.add_argument("--export", type=Path, metavar="DIR", help="serve a folder with an <Object>.csv per object")
    command.add_argument(
        "--seed", type=_from_zero, default=7, help="seed of the generated company and of random changes (default 7)"
    )
    command.add_argument("--opportunities", type=_from_one, default=5000, metavar="N", help="size of it (default 5000)")
    command.add_argument("--truth", type=Path, metavar="DIR", help="write what was planted in it to DIR/truth.json")
    command.add_argument(
        "--now", type=_moment, metavar="ISO",
        help="the org's clock, which stands still (default: 2026-07-01 for --demo, the file's own for --org, else just "
        "after the newest record)",
    )  # fmt: skip
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    command.add_argument("--port", type=_from_zero, default=0, help="port to listen on (default: a free one)")
    command.add_argument("--client-id", default=Options.client_id, metavar="ID", help="consumer key that may log in")
    command.add_argument("--client-secret", default=Options.client_secret, metavar="SECRET", help="its secret")
    command.add_argument(
        "--jwt-public-key",
        type=Path,
        metavar="FILE",
        help="PEM certificate or public key that JWT logins are checked by",
    )
    command.add_argument(
        "--session-minutes",
        type=_from_one,
        metavar="N",
        help="sessions end N minutes after login by the org's clock (default: never)",
    )
    command.add_argument("--api-bursts", type=_from_one, metavar="N", help="name this in Sforce-Limit-Info too")
    command.add_argument(
        "--instance-url",
        metavar="URL",
        help="address of the org that logins name (default: the port's own), for clients behind a TLS front",
    )
    command.add_argument(
        "--faults",
        type=Path,
        metavar="FILE",
        help='JSON list of what goes wrong: [{"kind": …, "on": request kind, "count": 1, "skip": 0}] or, at random, '
        '[{"kind": …, "chance": 0.1, "seed": 7}]; kinds: ' + ", ".join(fault_kinds.names()),
    )
    command.add_argument(
        "--source", type=Path, metavar="DIR", help="deploy the objects and fields of this Salesforce project"
    )
    command.add_argument("--control", action="store_true", help="open /simulator/… to change rows, clock and faults")
    made = commands.add_parser("generate", help="write a large org into a file, in sets")
    made.add_argument("--opportunities", type=_from_one, required=True, metavar="N", help="number of deals; each has "
                      "about 6 rows of history and 10 activities")  # fmt: skip
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="DuckDB file to write; must not exist")
    made.add_argument("--seed", type=_from_zero, default=7, help="seed of it (default 7)")
    made.add_argument("--now", type=_moment, default=_DEMO_NOW, metavar="ISO", help="its clock (default 2026-07-01)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit code is 0, or 2 where the input cannot be used."""
    options = _parser().parse_args(arguments)
    if options.command == "generate":
        return _generate(options)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        _check_key(options.jwt_public_key)
        faults = Faults()
        faults.plan(_read_faults(options.faults))
        org = _org(options)
        if options.source:
            deploy(org, options.source)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for report in org.reports:
        sys.stderr.write(f"{report}\n")
    return _serve(org, faults, options, stop)


def _generate(options: argparse.Namespace) -> int:
    try:
        counts = write_org(options.out, opportunities=options.opportunities, seed=options.seed, now=options.now)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(json.dumps({"file": str(options.out), "objects": counts}) + "\n")
    return 0


def _check_key(file: Path | None) -> None:
    if file is None:
        return
    try:
        public_key(file.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError, TokenError) as error:
        raise InputError(
            f"cannot be used: {error}.",
            where=str(file),
            advice="Name a PEM file with an RSA certificate or public key.",
        ) from None


def _read_faults(file: Path | None) -> list[dict[str, Any]]:
    if file is None:
        return []
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}.", where=str(file), advice="Name a file with a JSON list.") from None
    return entries if isinstance(entries, list) else [entries]


def _org(options: argparse.Namespace) -> Org:
    if options.org:
        return Org.open(options.org, now=options.now)
    if options.export:
        return read_export(options.export, now=options.now)
    from salesforce_simulator import demo

    now = options.now or _DEMO_NOW
    company = demo.generate(options.seed, options.opportunities, now)
    if options.truth:
        try:
            options.truth.mkdir(parents=True, exist_ok=True)
            (options.truth / "truth.json").write_text(
                json.dumps(company.truth, indent=1, default=str), encoding="utf-8"
            )
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror}.", where=str(options.truth), advice="Name another folder."
            ) from None
    return Org(company.tables, now=now)


def _serve(org: Org, faults: Faults, options: argparse.Namespace, stop: threading.Event) -> int:
    settings = Options(
        client_id=options.client_id,
        client_secret=options.client_secret,
        control=options.control,
        seed=options.seed,
        session_minutes=options.session_minutes,
        api_bursts=options.api_bursts,
        instance_url=options.instance_url,
        jwt_public_key=options.jwt_public_key and options.jwt_public_key.read_text(encoding="ascii"),
    )
    try:
        with serve(org, options=settings, host=options.host, port=options.port, faults=faults) as service:
            ready = {
                "url": service.base_url,
                "client_id": settings.client_id,
                "client_secret": settings.client_secret,
                "username": settings.username,
                "password": settings.password,
                "security_token": settings.security_token,
                "refresh_token": settings.refresh_token,
                "api_version": API_VERSION,
                "now": org.now.isoformat().replace("+00:00", "Z"),
                "objects": org.counts(),
            }
            sys.stdout.write(json.dumps(ready) + "\n")
            sys.stdout.flush()
            stop.wait()
    except (OSError, OverflowError) as error:
        sys.stderr.write(
            f"{options.host}:{options.port}: cannot listen there: {error}. Name another --host or --port.\n"
        )
        return 2
    return 0
