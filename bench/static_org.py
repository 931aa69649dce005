"""An org that costs its server nothing: Bulk API pages rendered and gzipped beforehand, sent by sendfile.

Just enough of the service for one object to be extracted by Bulk API 2.0: login, describe, count, one job, its pages. Whoever
wants an org that answers questions uses `salesforce_simulator`; here only the client's cost is to be seen.
"""

from __future__ import annotations

import gzip
import http.server
import json
import multiprocessing
import os
import re
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import duckdb

from dagster_project.salesforce.objects import OBJECTS

PAGE = 50_000
#: The fields that are extracted: what the catalogue reads of an opportunity, 22 of them.
FIELDS = tuple(field.name for field in OBJECTS["Opportunity"].fields)
_TYPES = {"id": "reference", "bool": "boolean", "text": "string", "int": "int", "double": "percent",
          "currency": "currency", "date": "date", "datetime": "datetime"}  # fmt: skip
_NOW = "Wed, 01 Jul 2026 00:00:00 GMT"


def write_pages(folder: Path, rows: int, *, changed: int | None = None) -> None:
    """CSV pages of `rows` opportunities, gzipped; or of the first `changed` of them as they are after a change."""
    folder.mkdir(parents=True)
    total = rows if changed is None else changed
    later = "" if changed is None else " + INTERVAL 1100 DAY"
    values = {
        "Id": "'006' || lpad(i::VARCHAR, 12, '0') || 'AAA'", "IsDeleted": "i % 300 = 0",
        "AccountId": "'001' || lpad((hash(i) % 200000)::VARCHAR, 12, '0') || 'AAA'",
        "RecordTypeId": "'012' || lpad((i % 2)::VARCHAR, 12, '0') || 'AAA'",
        "Name": "'Customer ' || (hash(i) % 200000) || ', \"new\" business ' || i",
        "StageName": "['Prospecting', 'Qualification', 'Needs Analysis', 'Proposal/Price Quote', 'Closed Won', 'Closed Lost']"
                     f"[1 + ((hash(i) & 1023)::INTEGER {'' if changed is None else ' + 1'}) % 6]",
        "Amount": "CASE WHEN i % 11 > 0 THEN (hash(i) % 90000000) / 100.0 END", "CurrencyIsoCode": "'USD'",
        "Probability": "(hash(i) % 10) * 10.0", "CloseDate": "DATE '2023-07-01' + (hash(i) % 1000)::INTEGER",
        "Type": "'New Customer'", "LeadSource": "['Web', 'Partner Referral', 'Other'][1 + (hash(i) % 3)::INTEGER]",
        "IsClosed": "i % 6 > 3", "IsWon": "i % 6 = 4", "ForecastCategoryName": "'Pipeline'", "CampaignId": "NULL",
        "OwnerId": "'005' || lpad((hash(i) % 400)::VARCHAR, 12, '0') || 'AAA'", "CreatedById": "'005000000000001AAA'",
        "LastActivityDate": "DATE '2024-01-01' + (hash(i) % 900)::INTEGER",
    }  # fmt: skip
    stamp = "strftime(TIMESTAMP '2023-07-01' + to_seconds(i::BIGINT % 90000000){0}, '%Y-%m-%dT%H:%M:%S.000Z')"
    for name in ("CreatedDate", "LastModifiedDate", "SystemModstamp", "LastStageChangeDate"):
        values[name] = stamp.format("" if name == "CreatedDate" else later)
    columns = ", ".join(f"({values[name]}) AS {name}" for name in FIELDS)

    def page(number: int) -> int:
        first, last = number * PAGE, min(total, (number + 1) * PAGE)
        plain = folder / f"{number}.csv"
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.execute(
                f"COPY (SELECT {columns} FROM range({first + 1}, {last + 1}) AS numbers(i)) TO '{plain}' "
                "(FORMAT csv, HEADER, FORCE_QUOTE *)"
            )
        packed = gzip.compress(plain.read_bytes(), compresslevel=6)
        (folder / f"{number}.csv.gz").write_bytes(packed)
        size = plain.stat().st_size
        plain.unlink()
        return size

    with ThreadPoolExecutor(2) as pool:
        sizes = list(pool.map(page, range(-(-total // PAGE))))
    (folder / "org.json").write_text(json.dumps({"rows": total, "bytes": sum(sizes)}))


def describe(name: str) -> dict[str, Any]:
    """What the static org says of an object: the catalogue's fields, typed as the service types them."""
    fields = [
        {"name": f.name, "type": "id" if f.name == "Id" else _TYPES[f.logical], "precision": 18, "scale": 2,
         "filterable": True, "length": 255}
        for f in OBJECTS[name].fields
    ]  # fmt: skip
    return {"name": name, "queryable": True, "fields": fields, "keyPrefix": "006"}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    folder = Path()
    facts: dict[str, Any] = {}  # noqa: RUF012 - set once before serving

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url, rows = urlsplit(self.path), self.facts["rows"]
        path = re.sub(r"^/services/data/v[\d.]+", "", url.path)
        if path == "/services/oauth2/token":
            address = f"http://127.0.0.1:{self.server.server_address[1]}"
            self._json({"access_token": "bench" * 8, "instance_url": address, "token_type": "Bearer", "id": address})
        elif path == "/cpu":
            used = resource.getrusage(resource.RUSAGE_SELF)
            self._json({"cpu": used.ru_utime + used.ru_stime})
        elif path.endswith("/describe"):
            self._json(describe(path.split("/")[-2]))
        elif path == "/queryAll":
            asked = unquote_plus(parse_qs(url.query)["q"][0])
            records = (
                [] if "COUNT()" in asked else [{"Id": "00D000000000001AAA", "Name": "Bench", "FiscalYearStartMonth": 1}]
            )
            self._json({"totalSize": len(records) or rows, "done": True, "records": records})
        elif path == "/jobs/query" and self.command == "POST":
            self._json({"id": "750000000000001AAA", "object": re.findall(r"FROM (\w+)", body.decode())[0]})
        elif path.endswith("/results"):
            self._page(int(parse_qs(url.query).get("locator", ["0"])[0]))
        elif path.endswith("/resultPages"):
            self._links(url.path.removesuffix("resultPages"), int(parse_qs(url.query).get("locator", ["0"])[0]))
        elif self.command == "DELETE":
            self._json(None, 204)
        else:
            self._json({"id": "750000000000001AAA", "state": "JobComplete", "numberRecordsProcessed": rows})

    do_GET = do_POST = do_PATCH = do_DELETE = _answer

    def _json(self, value: Any, status: int = 200) -> None:
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response_only(status)
        self.send_header("Date", _NOW)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _links(self, base: str, first: int) -> None:
        """Five addresses of pages, as the service gives them."""
        last = -(-self.facts["rows"] // PAGE)
        urls = [{"resultUrl": f"{base}results?locator={n}"} for n in range(first, min(first + 5, last))]
        done = first + 5 >= last
        more = {} if done else {"nextRecordsUrl": f"{base}resultPages?locator={first + 5}"}
        self._json({"resultPages": urls, "done": done, **more})

    def _page(self, number: int) -> None:
        last = (number + 1) * PAGE >= self.facts["rows"]
        with (self.folder / f"{number}.csv.gz").open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            self.send_response_only(200)
            self.send_header("Date", _NOW)
            self.send_header("Content-Type", "text/csv")
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(size))
            self.send_header("Sforce-Locator", "null" if last else str(number + 1))
            self.send_header("Sforce-NumberOfRecords", str(min(PAGE, self.facts["rows"] - number * PAGE)))
            self.end_headers()
            self.wfile.flush()
            place = 0
            while place < size:
                place += os.sendfile(self.connection.fileno(), file.fileno(), place, size - place)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Says nothing."""


def _serve(folder: Path, said: Any) -> None:
    _Handler.folder, _Handler.facts = folder, json.loads((folder / "org.json").read_text())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    said.send(server.server_address[1])
    server.serve_forever()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serves the pages of a folder from a process of its own; gives the address. `GET /cpu` tells what it used."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(folder, there), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()
