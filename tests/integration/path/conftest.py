"""The whole path as its users run it: the command in a process of its own, against a simulated org in another."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
from filelock import FileLock

from salesforce_simulator.process import running_simulator

COMMAND = str(Path(sys.executable).with_name("leanfunnel"))


@dataclass
class Bench:
    """A home, the org that it belongs to, and the command."""

    home: Path
    org: dict[str, Any]
    truth: dict[str, Any] = field(default_factory=dict)

    @property
    def login(self) -> dict[str, str]:
        return {
            "SALESFORCE_LOGIN_URL": self.org["url"],
            "SALESFORCE_CLIENT_ID": self.org["client_id"],
            "SALESFORCE_CLIENT_SECRET": self.org["client_secret"],
        }

    def environment(self, **changes: str | None) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SALESFORCE_", "LEANFUNNEL_"))}
        merged: dict[str, str | None] = {**inherited, **self.login, **changes}
        return {k: v for k, v in merged.items() if v is not None}

    def command(
        self, *arguments: str, home: Path | None = None, **environment: str | None
    ) -> subprocess.CompletedProcess[str]:
        """`leanfunnel ARGUMENTS --home …`: whatever happens, no traceback reaches the user."""
        done = subprocess.run(
            [COMMAND, *arguments, "--home", str(home or self.home)],
            capture_output=True, text=True, timeout=300, env=self.environment(**environment), cwd=self.home.parent, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return done

    def run(self, *arguments: str, **environment: str | None) -> str:
        done = self.command("run", *arguments, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def manifest(self, publication: Path | None = None) -> dict[str, Any]:
        return json.loads(((publication or self.home / "published/current") / "manifest.json").read_text())

    def query(self, sql: str, publication: Path | None = None) -> list[tuple[Any, ...]]:
        with duckdb.connect(
            str((publication or self.home / "published/current") / "leanfunnel.duckdb"), read_only=True
        ) as mart:
            mart.execute("SET schema = 'mart'")
            return mart.execute(sql).fetchall()

    def control(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.org['url']}/simulator/{path}", data=data, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


_DEMO = ("--demo", "--seed", "11", "--opportunities", "1200")


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `home` in which the path ran once on the demo org of 1,200 deals, and the org's `truth`: made once for
    all workers, never changed. The org is the same in every process of the simulator, its clock too.
    """
    # the parent of a worker's own folder is that of all workers
    shared = tmp_path_factory.getbasetemp()
    folder = (shared.parent if os.environ.get("PYTEST_XDIST_WORKER") else shared) / "grown"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            made = folder.with_name("growing")
            with running_simulator((*_DEMO, "--control", "--truth", str(made / "truth"))) as org:
                Bench(made / "home", org).run()
            made.rename(folder)
    return folder


@pytest.fixture(scope="module")
def demo(grown: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A demo org of 1,200 deals, and a home in which the path ran once."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(grown / "home", folder / "home", symlinks=True)
    with running_simulator((*_DEMO, "--control")) as org:
        yield Bench(folder / "home", org, json.loads((grown / "truth" / "truth.json").read_text()))


@pytest.fixture
def exported(tmp_path: Path) -> Iterator[Callable[[Path], Bench]]:
    """A function that serves a folder of CSV files and gives a bench on it."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda folder: Bench(tmp_path / "home", stack.enter_context(running_simulator(("--export", str(folder)))))
