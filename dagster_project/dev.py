"""`make dev`: the demo org and the Dagster UI beside each other, until Ctrl-C. Not for production: there, Dagster loads
`dagster_project.definitions` with the org's own settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from dagster_project import demo_run
from dagster_project.settings import REPOSITORY

_INSTANCE = """\
# Nothing is sent home; steps that write the warehouse go one at a time.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  pools:
    default_limit: 1
  runs:
    max_concurrent_runs: 4
    tag_concurrency_limits:
      - key: leanfunnel/back_fill
        limit: 1
freshness:
  enabled: true
"""


def write_instance(folder: Path) -> Path:
    """A Dagster instance folder with telemetry off and pools of one. Leaves an existing one alone."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "dagster.yaml").exists():
        (folder / "dagster.yaml").write_text(_INSTANCE, encoding="utf-8")
    return folder


def main() -> None:
    """Start both; Ctrl-C ends both."""
    home = REPOSITORY / "demo-dev"
    with demo_run.demo_org(seed=7, opportunities=5000) as org:
        environment = {
            **os.environ,
            **org.environment,
            "LEANFUNNEL_HOME": str(home),
            "DAGSTER_HOME": str(write_instance(REPOSITORY / ".dagster")),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }
        command = [
            str(Path(sys.executable).with_name("dagster")),
            "dev",
            "-m",
            "dagster_project.definitions",
            "-h",
            "127.0.0.1",
            "-p",
            "3000",
        ]
        sys.stderr.write("Dagster: http://127.0.0.1:3000 (Ctrl-C ends it and the demo org)\n")
        # an end by a service manager is an end like Ctrl-C: both children go in order
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with subprocess.Popen(command, env=environment, cwd=REPOSITORY) as dagster:
            try:
                dagster.wait()
            except KeyboardInterrupt:
                dagster.terminate()
                dagster.wait()
                sys.stderr.write("ended\n")


if __name__ == "__main__":
    main()
