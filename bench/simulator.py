"""Is the simulator fast enough never to be the bottleneck? A large org, generated and served, beside a static file server.

    make bench-simulator        (python -m bench.simulator --opportunities 1000000)

The same pages come from the simulator's Bulk API and from a server that does nothing but sendfile, through the same client
on one connection, in turns; the client only counts bytes. The last line is one JSON object: seconds, MB as 10^6 bytes, the
peak memory of the generator and of the server (resident, MB).
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import http.server
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OBJECTS = ("Opportunity", "OpportunityHistory", "Task", "EmailMessage", "Event")
_PAGE = 50_000
_ROUNDS = 5
_DATA = "/services/data/v62.0"


def main() -> None:
    """Runs the benchmark; see the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.simulator", description=__doc__)
    parser.add_argument("--opportunities", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="leanfunnel-bench-") as name:
        folder = Path(name)
        result: dict[str, Any] = {"opportunities": options.opportunities}
        began = time.monotonic()
        result["generate_peak_mb"] = _generate(folder / "org.duckdb", options.opportunities)
        result["generate_s"] = round(time.monotonic() - began, 1)
        print(f"generated in {result['generate_s']} s, {(folder / 'org.duckdb').stat().st_size / 1e6:.0f} MB")
        with _serving(folder / "org.duckdb") as (client, pid):
            result |= _measure(client, folder)
            result["serve_peak_mb"] = _peak_mb(pid)
    print(json.dumps(result))


def _generate(file: Path, opportunities: int) -> int:
    command = [sys.executable, "-m", "salesforce_simulator", "generate", "--opportunities", str(opportunities)]
    process = subprocess.Popen([*command, "--out", str(file)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit("the org was not generated")
    return round(usage.ru_maxrss / 1000)


class _Client:
    """One keep-alive connection that reads and drops bodies, counting bytes."""

    def __init__(self, address: str, headers: dict[str, str] | None = None) -> None:
        url = urllib.parse.urlsplit(address)
        self.connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=600)
        self.headers = headers or {}
        self._buffer = bytearray(1 << 20)

    def json(self, method: str, path: str, body: object = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        self.connection.request(method, path, data, self.headers | {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text) if text else None

    def drop(self, path: str, *, packed: bool) -> tuple[int, str | None]:
        """Reads a body to its end; gives its bytes and the next locator."""
        self.connection.request("GET", path, headers=self.headers | ({"Accept-Encoding": "gzip"} if packed else {}))
        answer, total = self.connection.getresponse(), 0
        while got := answer.readinto(self._buffer):
            total += got
        return total, answer.headers.get("Sforce-Locator")

    def read(self, path: str) -> tuple[bytes, str | None]:
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        return answer.read(), answer.headers.get("Sforce-Locator")


@contextmanager
def _serving(file: Path) -> Iterator[tuple[_Client, int]]:
    command = [sys.executable, "-m", "salesforce_simulator", "serve", "--org", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = json.loads((process.stdout and process.stdout.readline()) or "null") or sys.exit("did not start")
            print("records: " + ", ".join(f"{n} {c:,}" for n, c in ready["objects"].items() if c > 1000))
            form = {"grant_type": "client_credentials"} | {k: ready[k] for k in ("client_id", "client_secret")}
            plain = _Client(ready["url"])
            plain.connection.request("POST", "/services/oauth2/token", urllib.parse.urlencode(form))
            token = json.loads(plain.connection.getresponse().read())["access_token"]
            yield _Client(ready["url"], {"Authorization": f"Bearer {token}"}), process.pid
        finally:
            process.terminate()


def _peak_mb(pid: int) -> int:
    line = next(s for s in Path(f"/proc/{pid}/status").read_text().splitlines() if s.startswith("VmHWM"))
    return round(int(line.split()[1]) * 1024 / 1e6)


def _job(client: _Client, name: str) -> tuple[str, int, float]:
    """Runs a query of every field to its end; gives the job's path, rows and seconds."""
    fields = [f["name"] for f in client.json("GET", f"{_DATA}/sobjects/{name}/describe")["fields"]]
    began = time.monotonic()
    body = {"operation": "queryAll", "query": f"SELECT {', '.join(fields)} FROM {name}"}
    path = f"{_DATA}/jobs/query/{client.json('POST', f'{_DATA}/jobs/query', body)['id']}"
    while (job := client.json("GET", path))["state"] != "JobComplete":
        if job["state"] in ("Failed", "Aborted"):
            sys.exit(f"{name}: {job}")
        time.sleep(0.02)
    return path, job["numberRecordsProcessed"], time.monotonic() - began


def _measure(client: _Client, folder: Path) -> dict[str, Any]:
    rows_all, seconds_all, bytes_all, per_object = 0, 0.0, 0, {}
    found: dict[str, Any] = {}
    for name in OBJECTS:
        path, rows, made = _job(client, name)
        began = time.monotonic()
        total, _ = _download(client, path, packed=False)
        took = time.monotonic() - began
        per_object[name] = {
            "rows": rows,
            "job_s": round(made, 2),
            "download_s": round(took, 2),
            "mb": round(total / 1e6),
        }
        print(f"{name:<20} {rows:>10,} rows  job {made:5.1f} s  download {took:5.1f} s  {total / 1e6:7.0f} MB")
        if name == "Opportunity":
            found |= _beside_static(client, path, folder)
        rows_all, seconds_all, bytes_all = rows_all + rows, seconds_all + made + took, bytes_all + total
        client.json("DELETE", path)
    return found | {
        "objects": per_object,
        "rows": rows_all,
        "rows_per_s": round(rows_all / seconds_all),
        "mb_per_s_with_job": round(bytes_all / 1e6 / seconds_all),
    }


def _download(client: _Client, path: str, *, packed: bool) -> tuple[int, int]:
    total, pages, locator = 0, 0, ""
    while locator != "null":
        page = f"{path}/results?maxRecords={_PAGE}" + (f"&locator={locator}" if locator else "")
        got, locator = client.drop(page, packed=packed)  # type: ignore[assignment]
        total, pages = total + got, pages + 1
    return total, pages


def _beside_static(client: _Client, path: str, folder: Path) -> dict[str, Any]:
    """The pages of one job from the simulator and from files, plain and gzipped, in turns; medians of MB/s of CSV."""
    locator, pages, plain = "", 0, 0
    while locator != "null":
        body, locator = client.read(f"{path}/results?maxRecords={_PAGE}" + (f"&locator={locator}" if locator else ""))  # type: ignore[assignment]
        (folder / f"{pages}.csv").write_bytes(body)
        (folder / f"{pages}.csv.gz").write_bytes(gzip.compress(body, compresslevel=1))
        pages, plain = pages + 1, plain + len(body)
    speeds: dict[str, list[float]] = {}
    with _static(folder) as static:
        for _ in range(_ROUNDS):
            for packed in (False, True):
                began = time.monotonic()
                _download(client, path, packed=packed)
                middle = time.monotonic()
                for n in range(pages):
                    static.drop(f"/{n}.csv{'.gz' if packed else ''}", packed=False)
                ended = time.monotonic()
                kind = "gzip" if packed else "plain"
                speeds.setdefault(f"simulator_{kind}_mb_s", []).append(plain / 1e6 / (middle - began))
                speeds.setdefault(f"static_{kind}_mb_s", []).append(plain / 1e6 / (ended - middle))
    for file in folder.glob("*.csv*"):
        file.unlink()
    found: dict[str, Any] = {k: round(statistics.median(v)) for k, v in speeds.items()}
    found["spread"] = {k: [round(min(v)), round(max(v))] for k, v in speeds.items()}
    found["ratio_to_static"] = round(found["simulator_plain_mb_s"] / found["static_plain_mb_s"], 2)
    return found


class _Files(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = Path()

    def do_GET(self) -> None:
        with (self.folder / self.path.lstrip("/")).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            self.send_response_only(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.flush()
            place = 0
            while place < size:
                place += os.sendfile(self.connection.fileno(), file.fileno(), place, size - place)


def _serve_files(folder: Path, said: Any) -> None:
    _Files.folder = folder
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Files)
    said.send(server.server_address[1])
    server.serve_forever()


@contextmanager
def _static(folder: Path) -> Iterator[_Client]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve_files, args=(folder, there), daemon=True)
    process.start()
    try:
        yield _Client(f"http://127.0.0.1:{here.recv()}")
    finally:
        process.terminate()
        process.join()


if __name__ == "__main__":
    main()
