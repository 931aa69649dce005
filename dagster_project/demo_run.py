"""The demo: a generated company in a simulated org in a process of its own, and the whole path run on it.

Knows the simulator only as a command that prints where it listens: nothing here imports it.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dagster_project import pipeline, settings
from dagster_project.errors import LeanfunnelError

_MARKER = ".leanfunnel-demo"
_PORT = 8742


@dataclass(frozen=True)
class DemoOrg:
    """Where the simulated org listens and how to log in."""

    url: str
    client_id: str
    client_secret: str

    @property
    def environment(self) -> dict[str, str]:
        """The login as the environment variables that `settings` reads."""
        return {
            "SALESFORCE_AUTH": "client_credentials",
            "SALESFORCE_LOGIN_URL": self.url,
            "SALESFORCE_CLIENT_ID": self.client_id,
            "SALESFORCE_CLIENT_SECRET": self.client_secret,
        }


@contextmanager
def demo_org(*, seed: int, opportunities: int) -> Iterator[DemoOrg]:
    """The simulated org, up until the block ends. Raises LeanfunnelError where it does not come up.

    It listens on the same port each time, if that is free: its address is part of every record's link, and a new one
    would make the mart another.
    """
    port = _PORT if _is_free(_PORT) else 0
    command = [
        sys.executable, "-m", "salesforce_simulator", "serve", "--demo", "--seed", str(seed),
        "--opportunities", str(opportunities), "--port", str(port),
    ]  # fmt: skip
    # its own session: Ctrl-C reaches this process only, which then ends the org in order
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        if not line:
            reason = process.stderr.read().strip().splitlines()
            raise LeanfunnelError(
                f"the simulated org did not start: {reason[-1] if reason else 'no reason given'}", where="demo"
            )
        ready = json.loads(line)
        yield DemoOrg(ready["url"], ready["client_id"], ready["client_secret"])
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def run_demo(
    home: Path, *, seed: int, opportunities: int, fresh: bool, progress: pipeline.Progress
) -> pipeline.RunReport:
    """Generate the company, run the path, leave the mart in `home`. Raises a LeanfunnelError."""
    which = f"seed {seed}, {opportunities} opportunities\n"
    marker = home / _MARKER
    if home.exists() and any(home.iterdir()):
        if not marker.exists():
            raise LeanfunnelError(
                "this folder is not empty and holds no demo.", where=str(home), todo="Choose another folder by --home."
            )
        if fresh or marker.read_text(encoding="utf-8") != which:
            shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    marker.write_text(which, encoding="utf-8")
    progress("company", "generating", 0, 0)
    with demo_org(seed=seed, opportunities=opportunities) as org:
        loaded = settings.load(home, environment=org.environment, dotenv=Path("/dev/null"))
        return pipeline.run(loaded.request(), progress=progress)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
