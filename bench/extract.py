"""What does extraction cost, beside its peers and beside the limit?

    make bench-extract        (python -m bench.extract)

`ours` and the `limit` (the same pages into Parquet by the fewest lines that can) read 1,000,000 opportunities of 22 fields from
pages rendered and gzipped beforehand, in turns, each run in a process of its own; the server's CPU is shown and counted to
nobody. Peers run unmodified against the simulator, on fewer rows since they need minutes, and their CPU per row is compared.
The last line is one JSON object; CPU is the client's alone, library start-up is left out for ours and told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from bench import static_org
from bench.clients import environments
from bench.clients.__main__ import truth_of
from bench.clients.front import front, make_certificates
from bench.clients.python_clients import ClientError, Stand, airbyte_streams, tap_properties
from salesforce_simulator.process import running_simulator

_SHARES = (1, 2, 5, 10)


def main() -> None:
    """Runs the benchmark; see the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.extract", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--peer-rows", type=int, default=100_000, help="opportunities that the peers extract; 0: no peers"
    )
    parser.add_argument("--many", type=int, default=10, help="memory is measured at so many times the rows too; 0: not")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="leanfunnel-bench-") as name:
        folder = Path(name)
        result = _beside_limit(folder, options.rows, options.rounds)
        result |= _increments(folder, options.rows, result["ours_cpu_s"], options.rounds)
        if options.many:
            result |= _many(folder, options.rows * options.many, result["peak_mb"])
        if options.peer_rows:
            result |= _peers(folder, options.peer_rows, options.rows / result["ours_cpu_s"])
    print(json.dumps(result))


def _once(what: str, address: str, folder: Path) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-m", "bench.extract_once", what, address, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        sys.exit(ran.stderr)
    return json.loads(ran.stdout.splitlines()[-1])


def _server_cpu(address: str) -> float:
    with urllib.request.urlopen(f"{address}/cpu") as answer:
        return float(json.load(answer)["cpu"])


def _middle(found: list[dict[str, Any]], key: str) -> float:
    return statistics.median(run[key] for run in found)


def _beside_limit(folder: Path, rows: int, rounds: int) -> dict[str, Any]:
    static_org.write_pages(folder / "pages", rows)
    facts = json.loads((folder / "pages" / "org.json").read_text())
    print(f"{rows:,} rows, {facts['bytes'] / 1e6:.0f} MB of CSV; {rounds} rounds in turns")
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "limit": []}
    with static_org.serving(folder / "pages") as address:
        for number in range(rounds):
            for what, found in runs.items():
                home = folder / f"{what}-{number}"
                before = _server_cpu(address)
                found.append(_once(what, address, home) | {"server_cpu": _server_cpu(address) - before})
                if found[-1]["rows"] != rows:
                    sys.exit(f"{what}: {found[-1]['rows']:,} rows of {rows:,}")
                if what == "limit" or number < rounds - 1:
                    shutil.rmtree(home)
    (folder / f"ours-{rounds - 1}").rename(folder / "landed")
    print(f"{'':<6} {'wall s':>7} {'spread':>12} {'CPU s':>6} {'peak MB':>8} {'server CPU s':>13} {'start-up s':>11}")
    for what, found in runs.items():
        walls = [run["wall"] for run in found]
        print(
            f"{what:<6} {statistics.median(walls):>7.2f} {min(walls):>5.2f}–{max(walls):<6.2f} {_middle(found, 'cpu'):>6.2f} "
            f"{_middle(found, 'peak_mb'):>8.0f} {_middle(found, 'server_cpu'):>13.2f} {_middle(found, 'startup_s'):>11.2f}"
        )
    return {
        "rows": rows,
        "rounds": rounds,
        "rows_ratio_to_limit": round(_middle(runs["limit"], "wall") / _middle(runs["ours"], "wall"), 2),
        "ours_wall_s": round(_middle(runs["ours"], "wall"), 2),
        "ours_cpu_s": round(_middle(runs["ours"], "cpu"), 2),
        "limit_cpu_s": round(_middle(runs["limit"], "cpu"), 2),
        "peak_mb": round(max(run["peak_mb"] for run in runs["ours"])),
        "own_wait_s": round(max(run["own_wait"] for run in runs["ours"]), 2),
    }


def _increments(folder: Path, rows: int, first_cpu: float, rounds: int) -> dict[str, Any]:
    """CPU of runs after 1, 2, 5 and 10 % changed; the slope per changed row beside a row of the first load."""
    points = []
    for share in _SHARES:
        # one more than REST would be asked for: the pages are those of the Bulk API
        changed = rows * share // 100 + 1
        static_org.write_pages(folder / f"delta-{share}", rows, changed=changed)
        found = []
        with static_org.serving(folder / f"delta-{share}") as address:
            for _ in range(rounds):
                home = folder / "again"
                shutil.copytree(folder / "landed", home, copy_function=os.link)
                found.append(_once("ours", address, home))
                if found[-1]["landed"] != changed:
                    sys.exit(f"{changed:,} rows changed and {found[-1]['landed']:,} were landed")
                shutil.rmtree(home)
        points.append((changed, _middle(found, "cpu")))
        print(
            f"{share:>3} % changed: {changed:>9,} rows, CPU {points[-1][1]:.2f} s, wall {_middle(found, 'wall'):.2f} s"
        )
    slope = statistics.linear_regression(*zip(*points, strict=True)).slope
    return {"incremental_cost_ratio": round(slope / (first_cpu / rows), 2)}


def _many(folder: Path, rows: int, peak: int) -> dict[str, Any]:
    static_org.write_pages(folder / "many", rows)
    with static_org.serving(folder / "many") as address:
        found = _once("ours", address, folder / "many-home")
    shutil.rmtree(folder / "many")
    shutil.rmtree(folder / "many-home")
    print(f"{rows:,} rows: wall {found['wall']:.1f} s, CPU {found['cpu']:.1f} s, peak {found['peak_mb']:.0f} MB")
    return {"peak_mb_10m": round(found["peak_mb"]), "peak_mb_10m_ratio": round(found["peak_mb"] / peak, 2)}


def _peers(folder: Path, rows: int, ours: float) -> dict[str, Any]:
    """Rows per CPU second of each peer, each once; a peer that cannot be installed or fails shows its error."""
    work = folder / "peers"
    work.mkdir()
    subprocess.run(
        [sys.executable, "-m", "salesforce_simulator", "generate", "--opportunities", str(rows), "--out", str(work / "org.duckdb")],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    certificates = make_certificates(work)
    speeds: dict[str, float] = {}
    with (
        running_simulator(["--org", str(work / "org.duckdb"), "--control"]) as ready,
        front(int(ready["url"].rpartition(":")[2]), certificates) as (proxy, _),
    ):
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")} | {
            "HOME": str(work), "HTTPS_PROXY": proxy, "NO_PROXY": "127.0.0.1", "REQUESTS_CA_BUNDLE": str(certificates.authority),
            "SSL_CERT_FILE": str(certificates.authority),
        }  # fmt: skip
        stand = Stand(ready, truth_of(ready), environment, work)
        for name, package, prepare in (
            ("airbyte-source-salesforce", "airbyte-source-salesforce", airbyte_streams),
            ("tap-salesforce REST", "tap-salesforce", lambda s, c: tap_properties(s, c, "REST", {"Opportunity"})),
            ("tap-salesforce BULK", "tap-salesforce", lambda s, c: tap_properties(s, c, "BULK", {"Opportunity"})),
        ):
            try:
                command = prepare(stand, environments.python_client(package))
                found, wall, cpu = _peer(command, stand)
            except (ClientError, environments.InstallError) as error:
                print(f"{name}: {error}")
                continue
            if found != rows:
                print(f"{name}: {found:,} rows of {rows:,}")
                continue
            speeds[name] = rows / cpu
            print(
                f"{name:<26} {rows:>9,} rows, wall {wall:6.1f} s, CPU {cpu:6.1f} s: ours is {ours * cpu / rows:.0f} times as cheap"
            )
    if not speeds:
        return {"cpu_ratio_to_fastest_peer": None, "peers": {}}
    return {
        "cpu_ratio_to_fastest_peer": round(ours / max(speeds.values()), 1),
        "peers": {name: round(ours / speed, 1) for name, speed in speeds.items()},
        "peer_rows": rows,
    }


def _peer(command: list[str], stand: Stand) -> tuple[int, float, float]:
    """Rows, wall and CPU seconds of one client whose output goes to a file."""
    output = stand.folder / "peer.jsonl"
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with output.open("wb") as file:
        ran = subprocess.run(
            command, env=stand.environment, cwd=stand.folder, stdout=file, stderr=subprocess.DEVNULL, check=False
        )
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if ran.returncode:
        raise ClientError(f"exit code {ran.returncode}")
    with output.open("rb") as file:
        rows = sum(b'"RECORD"' in line[:40] or b'"type":"RECORD"' in line[-4000:] for line in file)
    return rows, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
