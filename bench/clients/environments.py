"""Where the clients live: environments of their own under bench/.venvs, installed once, never ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / ".venvs"
#: Newest at the time of writing that install together; a newer one is tried by changing it here.
PYTHON_CLIENTS = {
    "simple-salesforce": "1.12.10",
    "airbyte-source-salesforce": "2.10.3",
    "tap-salesforce": "2.8.1",
}
#: The CLI's own dependencies want a newer Node than distributions carry, so it comes along.
NODE_CLIENTS = {"jsforce": "3.10.26", "@salesforce/cli": "2.146.3", "node": "22.23.3"}


class InstallError(Exception):
    """A client could not be installed; the text is the installer's own last words."""


@dataclass(frozen=True)
class Client:
    """An installed package: its version and its environment's folder."""

    version: str
    home: Path


def python_client(name: str) -> Client:
    """A client from PyPI in a virtual environment of its own, installed if need be. Raises InstallError."""
    home, version = ROOT / name, PYTHON_CLIENTS[name]
    stamp = home / ".installed"
    if not (stamp.is_file() and stamp.read_text() == version):
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(home)])
        _run([str(home / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check",
              f"{name}=={version}"])  # fmt: skip
        stamp.write_text(version)
    return Client(version, home)


def node_clients() -> dict[str, Client]:
    """jsforce and the Salesforce CLI from npm in one folder, installed if need be. Raises InstallError."""
    home = ROOT / "node"
    stamp, wanted = home / ".installed", json.dumps(NODE_CLIENTS)
    if not (stamp.is_file() and stamp.read_text() == wanted):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        (home / "package.json").write_text(json.dumps({"private": True, "dependencies": NODE_CLIENTS}))
        _run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], home)
        stamp.write_text(wanted)
    return {name: Client(version, home) for name, version in NODE_CLIENTS.items()}


def _run(command: list[str], folder: Path | None = None) -> None:
    try:
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallError(f"{command[0]}: {error}") from None
    if ran.returncode:
        words = [line for line in (ran.stderr or ran.stdout).splitlines() if line.strip()]
        raise InstallError(" / ".join(words[-3:]) or f"exit code {ran.returncode}")
