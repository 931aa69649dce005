"""A simulator in a process of its own, for tests and for whoever wants one beside a running program."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def running_simulator(arguments: Sequence[str] = ("--demo",), *, quiet: bool = True) -> Iterator[dict[str, Any]]:
    """Runs `python -m salesforce_simulator serve` with these arguments while the block runs.

    Gives what it says when ready: url, client_id, client_secret, username, password, api_version, now, objects.
    Its reports go to standard error unless `quiet`. Raises RuntimeError with its last line where it does not start.
    """
    command = [sys.executable, "-m", "salesforce_simulator", "serve", *arguments]
    with subprocess.Popen(  # noqa: S603 - our own module
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # a pipe that nobody reads would fill up and block it
        stderr=subprocess.DEVNULL if quiet else None,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise RuntimeError(f"the simulator did not start (exit code {process.wait(timeout=10)}): {command}")
            yield json.loads(line)
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
