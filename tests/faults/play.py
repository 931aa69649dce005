"""One schedule against an org in this process: rounds under faults, perhaps a kill; then a clean run, and the comparison.

Nothing waits and nothing runs at once, so that a seed plays the same each time. A run that is to be killed has a process
of its own, forked from a server that has imported all and started nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import urllib3

from dagster_project import pipeline
from dagster_project.errors import LeanfunnelError
from dagster_project.home import Home
from dagster_project.landing import LandingLog
from dagster_project.salesforce import bulk, extract
from dagster_project.salesforce import plan as sf_plan
from dagster_project.salesforce.auth import ClientCredentials
from dagster_project.salesforce.budget import Bounds
from dagster_project.salesforce.objects import STAGE_PICKLIST
from salesforce_simulator import bulk2, demo, rest
from salesforce_simulator.errors import ApiError
from salesforce_simulator.living import LivingOrg
from salesforce_simulator.org import Org
from salesforce_simulator.server import serve
from salesforce_simulator.service import Options, Service
from tests.faults.compare import compare
from tests.faults.mutations import MUTATIONS
from tests.faults.schedule import Kill, Schedule, schedule

ROOT = Path(__file__).resolve().parents[2]
OBJECTS = (
    "User",
    "Account",
    "RecordType",
    "OpportunityStage",
    STAGE_PICKLIST,
    "Opportunity",
    "OpportunityHistory",
    "Task",
)
_OVERLAP = timedelta(minutes=10)
_HIDDEN = ("Opportunity", "Amount")
_SPAWN = multiprocessing.get_context("forkserver")
_SPAWN.set_forkserver_preload(["tests.faults.play"])


@dataclass
class Outcome:
    """What became of a schedule. `wrong` counts records lost, doubled, stale; `failed`: the clean run's error, if any."""

    seed: int
    wrong: Counter[str] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    failed: str | None = None
    warehouse_checked: int = 0

    @property
    def is_red(self) -> bool:
        return bool(self.failed) or any(self.wrong.values())


class _Later:
    """A future that works when it is asked, in the asking thread."""

    def __init__(self, work: Callable[..., Any], *given: Any, **named: Any) -> None:
        self.work, self.given, self.named = work, given, named

    def result(self) -> Any:
        return self.work(*self.given, **self.named)


class _AtOnce:
    """Stands for the simulator's thread of a job: it is done before the client asks for the first time."""

    def __init__(self, *, target: Callable[..., None], args: tuple[Any, ...], daemon: bool) -> None:
        self.start = lambda: target(*args)


_THREADING = SimpleNamespace(**{**vars(threading), "Thread": _AtOnce})


class _InTurn:
    """Stands for the pool of threads: one object after the other."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def submit(self, work: Callable[..., Any], *given: Any, **named: Any) -> _Later:
        return _Later(work, *given, **named)

    def shutdown(self, **_: Any) -> None: ...


def _first(pending: list[_Later], **_: Any) -> Any:
    """Stands for waiting: the one that was handed in first is done."""
    return SimpleNamespace(done={pending[0]})


@contextmanager
def _repeatable(plan: Schedule, bug: str | None) -> Iterator[None]:
    """One thing after the other, no waiting, small limits; with a bug of MUTATIONS."""
    with ExitStack() as stack:
        for owner, name, value in (
            (extract, "ThreadPoolExecutor", _InTurn), (bulk, "ThreadPoolExecutor", _InTurn), (extract, "wait", _first),
            (sf_plan, "REST_FIRST_ROWS", plan.bulk_from), (sf_plan, "REST_LATER_ROWS", plan.bulk_from),
            (bulk, "AT_ONCE_FROM_ROWS", 0 if plan.side_by_side else 10**9),
            (bulk, "FIRST_WAIT_SECONDS", 0.001), (bulk, "LONGEST_WAIT_SECONDS", 0.002),
            (urllib3.Retry, "sleep", lambda *_, **__: None), (bulk2, "threading", _THREADING),
            # pages of five records
            (rest, "_MAX_BATCH", 5), (rest, "_MIN_BATCH", 5),
        ):  # fmt: skip
            stack.enter_context(mock.patch.object(owner, name, value))
        stack.enter_context(mock.patch.dict(bulk.query_all.__kwdefaults__, {"stuck_after": 0.03}))
        if bug:
            stack.enter_context(MUTATIONS[bug]())
        yield


def _request(service_url: str, options: Options, home: Path, rows_per_window: int = 10**9) -> pipeline.Request:
    login = ClientCredentials(service_url, options.client_id, options.client_secret)
    return pipeline.Request(
        Home(home), ROOT / "dbt", ROOT / "expectations", credentials=lambda: login, reporting_timezone="UTC",
        bounds=Bounds(rows_per_window=rows_per_window),
    )  # fmt: skip


def _extract(url: str, home: Path, plan: Schedule, *, reconcile: bool = False) -> None:
    request = _request(url, Options(), home, plan.rows_per_window)
    pipeline.extract(replace(request, reconcile=reconcile), objects=OBJECTS)


def _until_killed(url: str, home: Path, plan: Schedule, bug: str | None, kill: Kill) -> None:
    """Runs in a process of its own, which ends itself at the event that `kill` names."""
    events, landing = 0, False

    def event(stage: str) -> None:
        nonlocal events
        if stage == kill.stage:
            events += 1
            if events == kill.at:
                os.kill(os.getpid(), signal.SIGKILL)

    def hook(name: str, given: tuple[Any, ...]) -> None:
        if name == "http.client.send" or (
            # the move of a batch into its table is a rename: the next event is after it, and before the commit or after
            name in ("open", "os.mkdir", "os.rename", "os.remove") and str(given[0]).startswith(str(home))
        ):
            event("land" if landing else "extract")

    commit = LandingLog.commit

    def watched_commit(log: LandingLog, batch: Any, **options: Any) -> Any:
        nonlocal landing
        landing = True
        event("land")
        done = commit(log, batch, **options)
        event("land")
        landing = False
        return done

    with (
        mock.patch.object(LandingLog, "commit", watched_commit),
        _repeatable(plan, bug),
    ):
        sys.addaudithook(hook)
        _extract(url, home, plan)


def _load(url: str, home: Path, kill: Kill | None) -> None:
    """The warehouse's staging from the landing, in a process of its own; killed when dbt has done so many nodes."""
    from dagster_project.warehouse.dbt_build import DbtBuild

    request = _request(url, Options(), home)
    plan, _ = pipeline.make_plan(request, None)
    pipeline.prepare(request, plan)

    def on_node(_: str, done: int, __: int) -> None:
        if kill and done >= kill.at:
            os.kill(os.getpid(), signal.SIGKILL)

    DbtBuild(request.dbt_project, request.home).build("conform", progress=on_node)


def _in_process(work: Callable[..., None], *given: Any) -> int:
    process = _SPAWN.Process(target=_quiet, args=(work, *given))
    process.start()
    process.join(120)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError("a run did not end within two minutes")
    return int(process.exitcode)


def _quiet(work: Callable[..., None], *given: Any) -> None:
    try:
        work(*given)
    except LeanfunnelError as error:
        sys.stderr.write(f"{error}\n")
        os._exit(3)


@cache
def _tables(company: int) -> dict[str, Any]:
    made = demo.generate(company, 12)
    wanted = {"Organization", *OBJECTS, "Contact", "Lead"}
    return {name: table.slice(0, 30) for name, table in made.tables.items() if name in wanted}


class _Changes:
    """What happens in the org between runs."""

    def __init__(self, service: Service, seed: int, home: Path, told: Counter[str]) -> None:
        self.org, self.home, self.told = service.org, home, told
        self.draws = random.Random(seed)
        with self.org.cursor() as cursor:
            user: Any = cursor.execute('SELECT min("Id") FROM "User"').fetchone()
        self.living = LivingOrg(self.org, user[0], seed)
        self.hidden: Any = None

    def play(self, change: str) -> None:
        self.org.set_now(self.org.now + timedelta(minutes=self.draws.randint(1, 90)))
        if getattr(self, f"_{change}")() is not False:
            self.told[change] += 1

    def _random(self) -> None:
        self.living.random_changes(self.draws.randint(1, 4))

    def _deal(self) -> str | None:
        return self.living._pick("Opportunity", 'NOT "IsDeleted"')

    def _edit(self, stamp: datetime) -> bool:
        deal = self._deal()
        if deal is None:
            return False
        amount = float(self.draws.randint(1, 9999))
        values = {"Id": deal, "Name": f"Edited {amount:.0f}", "SystemModstamp": stamp.strftime("%Y-%m-%dT%H:%M:%SZ")}
        if self.hidden is None:
            values["Amount"] = str(amount)
        self.org.upsert("Opportunity", [values])
        return True

    def _late_edge(self) -> bool:
        """Becomes visible with the oldest stamp that the next run still has to read."""
        known = LandingLog(self.home / "landing").state("Opportunity")
        value = (known.facts.get("watermark") or {}).get("value")
        return bool(value) and self._edit(datetime.fromisoformat(value) - _OVERLAP)

    def _late(self) -> bool:
        """A transaction becomes visible seven minutes after its stamp, and the watermark has passed it."""
        known = LandingLog(self.home / "landing").state("Opportunity")
        value = (known.facts.get("watermark") or {}).get("value")
        return bool(value) and self._edit(datetime.fromisoformat(value) - timedelta(minutes=7))

    def _deletion(self) -> bool:
        deal = self._deal()
        if deal is None:
            return False
        self.living.changes.delete("Opportunity", deal)
        return True

    def _purge_known(self) -> bool:
        """The recycle bin lets go of a record that was landed as deleted."""
        import duckdb

        files = LandingLog(self.home / "landing").state("Opportunity").files
        if not files:
            return False
        known = "SELECT Id FROM read_parquet(?, union_by_name = true) QUALIFY row_number() OVER "
        known += "(PARTITION BY Id ORDER BY _batch_seq DESC) = 1 AND _operation = 'delete' ORDER BY Id"
        gone = {row[0] for row in duckdb.execute(known, [files]).fetchall()}
        with self.org.cursor() as cursor:
            binned = cursor.execute('SELECT "Id" FROM "Opportunity" WHERE "IsDeleted" ORDER BY 1').fetchall()
        for (record,) in binned:
            if record in gone:
                return bool(self.org.purge("Opportunity", record))
        return False

    def _purge_unseen(self) -> bool:
        """A living deal goes for good before any run sees it deleted; for each second one getDeleted has lost it too."""
        deal = self._deal()
        return deal is not None and bool(self.org.purge("Opportunity", deal, logged=self.draws.random() < 0.5))

    def _hide_field(self) -> bool:
        if self.hidden is not None:
            return False
        self.hidden = self.org.required_object(_HIDDEN[0]).field(_HIDDEN[1])
        self.org.hide_field(*_HIDDEN)
        return self._edit(self.org.now)

    def _show_field(self) -> bool:
        if self.hidden is None:
            return False
        kind = self.org.required_object(_HIDDEN[0])
        self.org.objects[kind.name.lower()] = kind.with_fields((*kind.fields, self.hidden))
        self.hidden = None
        return True

    def _picklist(self) -> bool:
        """A record type offers one stage less."""
        with self.org.cursor() as cursor:
            found: Any = cursor.execute(
                'SELECT "Id" FROM "OpportunityStage" WHERE "IsActive" ORDER BY "Id" DESC'
            ).fetchall()
        if len(found) < 4:
            return False
        stamp = self.org.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.org.upsert("OpportunityStage", [{"Id": found[0][0], "IsActive": False, "SystemModstamp": stamp}])
        return True

    def rows_change(self) -> dict[str, Any]:
        """A record that changes while it is read."""
        stamp = self.org.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        change = {"Id": self._deal(), "Name": f"Under way {self.draws.random()}", "SystemModstamp": stamp}
        return {"object": "Opportunity", "records": [change] if change["Id"] else []}


def play_seed(seed: int, bug: str | None = None) -> Outcome:
    """Plays the schedule of a seed; for a worker."""
    return play(schedule(seed), bug=bug)


def play(plan: Schedule, *, bug: str | None = None) -> Outcome:
    """Plays a schedule, optionally with a bug of MUTATIONS in the product."""
    outcome = Outcome(plan.seed)
    home = Path(tempfile.mkdtemp(prefix=f"faults-{plan.seed}-"))
    org = Org(_tables(plan.company))
    try:
        with serve(org, options=Options(bulk_page_rows=7, seed=plan.seed)) as service:
            _play(plan, bug, service, home, outcome)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return outcome


def _play(plan: Schedule, bug: str | None, service: Service, home: Path, outcome: Outcome) -> None:
    changes = _Changes(service, plan.seed, home, outcome.changes)
    with _repeatable(plan, bug):
        for step in plan.rounds:
            for change in step.changes:
                try:
                    changes.play(change)
                except ApiError:
                    # this org has nothing left to change in that way
                    outcome.changes["not possible"] += 1
            service.faults.plan(
                {**fault, "value": changes.rows_change()} if fault["kind"] == "rows_change" else fault
                for fault in step.faults
            )
            if step.kill:
                code = _in_process(_until_killed, service.base_url, home, plan, bug, step.kill)
                if code == -signal.SIGKILL:
                    outcome.kills[step.kill.stage] += 1
                elif code not in (0, 3):
                    raise AssertionError(f"seed {plan.seed}: a run ended with {code}")
            else:
                try:
                    _extract(service.base_url, home, plan)
                except LeanfunnelError:
                    # what a fault may do; what it may not is change what is landed
                    outcome.changes["refused runs"] += 1
            service.faults.clear()
        if changes.hidden is not None and plan.seed % 3:
            changes.play("show_field")
        outcome.fired = Counter(service.faults.fired)
        try:
            # a plain run leaves nothing lost and nothing stale; what went for good without a trace is found by comparing all
            # Ids, which a run does each week, and which must not mend what the plain run owes
            _extract(service.base_url, home, plan)
            plain = compare(service.org, home / "landing", OBJECTS)
            if any(plain.values()):
                _extract(service.base_url, home, plan, reconcile=True)
        except LeanfunnelError as error:
            outcome.failed = str(error)
            return
    outcome.wrong = compare(service.org, home / "landing", OBJECTS)
    for kind in ("lost", "stale"):
        outcome.wrong[kind] = max(outcome.wrong[kind], plain[kind])
    if plan.load:
        _loaded(plan, service, home, outcome)


def _loaded(plan: Schedule, service: Service, home: Path, outcome: Outcome) -> None:
    from tests.faults.compare import compare_staging

    if plan.load_kill and _in_process(_load, service.base_url, home, plan.load_kill) == -signal.SIGKILL:
        outcome.kills["load"] += 1
    code = _in_process(_load, service.base_url, home, None)
    if code:
        outcome.failed = f"the load ended with {code}"
        return
    outcome.wrong += compare_staging(service.org, Home(home).conformed)
    outcome.warehouse_checked = 1
