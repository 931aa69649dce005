from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from salesforce_simulator.process import running_simulator


@pytest.fixture
def export(tmp_path: Path) -> Path:
    (tmp_path / "Account.csv").write_text("Id,Name,CreatedDate\n001000000000001,Acme,2024-01-01T00:00:00.000Z\n")
    return tmp_path


def test_a_process_says_where_it_is_and_serves(export: Path) -> None:
    with running_simulator(["--export", str(export), "--client-id", "me", "--client-secret", "s"]) as ready:
        assert ready["now"] == "2024-01-01T00:00:01Z"
        assert ready["objects"] == {"Account": 1, "Organization": 1}
        form = {"grant_type": "client_credentials", "client_id": "me", "client_secret": "s"}
        assert requests.post(f"{ready['url']}/services/oauth2/token", data=form, timeout=20).status_code == 200
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{ready['url']}/services/data", timeout=20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quietly_and_what_was_filled_in_is_on_standard_error(export: Path, number: int) -> None:
    command = [
        sys.executable,
        "-m",
        "salesforce_simulator",
        "serve",
        "--export",
        str(export),
        "--now",
        "2024-02-01T00:00:00Z",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["now"] == "2024-02-01T00:00:00Z"
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert out == ""
    assert "Account.SystemModstamp: filled in for 1 records" in err
    assert "Traceback" not in err


def test_one_that_cannot_start_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="exit code 2"), running_simulator(["--export", str(tmp_path / "nowhere")]):
        pass


@pytest.mark.parametrize(
    "arguments",
    [
        ["--demo", "--opportunities", "-5"],
        ["--demo", "--opportunities", "0"],
        ["--demo", "--seed", "x"],
        ["--demo", "--now", "soon"],
        ["--demo", "--export", "x"],
        ["--demo", "--faults", "nowhere.json"],
        ["--demo", "--jwt-public-key", "nowhere.pem"],
        [],
    ],
)
def test_options_that_cannot_be_used_end_it_with_a_word_and_no_traceback(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "salesforce_simulator", "serve", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_address_that_is_taken_is_named(export: Path) -> None:
    with running_simulator(["--export", str(export)]) as first:
        port = first["url"].rpartition(":")[2]
        command = [sys.executable, "-m", "salesforce_simulator", "serve", "--export", str(export), "--port", port]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert f"127.0.0.1:{port}: cannot listen there" in ended.stderr


def test_a_generated_org_is_written_and_served(tmp_path: Path) -> None:
    file = tmp_path / "large.duckdb"
    command = [sys.executable, "-m", "salesforce_simulator", "generate", "--opportunities", "100", "--out", str(file)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    with running_simulator(["--org", str(file)]) as ready:
        assert ready["objects"] == json.loads(made.stdout)["objects"]
        assert ready["objects"]["Opportunity"] == 100
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)


def test_pytest_finds_the_fixture_by_itself(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "def test_org(salesforce_simulator):\n    assert salesforce_simulator['objects']['Opportunity'] == 200\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr
