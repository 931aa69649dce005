"""Whatever is wrong: one clear line, an exit code that is not 0, no traceback, nothing half landed, and the next run goes on."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from salesforce_simulator.process import running_simulator
from tests.integration.path.conftest import COMMAND, Bench


@pytest.fixture(scope="module")
def org() -> Iterator[dict]:
    with running_simulator(("--demo", "--seed", "5", "--opportunities", "300", "--control")) as ready:
        yield ready


@pytest.fixture
def bench(org: dict, tmp_path: Path) -> Bench:
    return Bench(tmp_path / "home", org)


@pytest.fixture(scope="module")
def finished_home(org: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("finished") / "home"
    Bench(home, org).run()
    return home


@pytest.fixture
def finished(bench: Bench, finished_home: Path) -> Bench:
    """A home of its own in which the path ran once."""
    shutil.copytree(finished_home, bench.home, symlinks=True)
    return bench


def _one_line(done: subprocess.CompletedProcess[str]) -> str:
    told = [line for line in done.stderr.splitlines() if line.startswith("leanfunnel: ")]
    assert done.returncode not in (0, 70), done.stderr
    assert len(told) == 1, done.stderr
    return told[0]


def _equals_the_org(bench: Bench) -> None:
    """The next run goes on: every deal of the org is in the mart once."""
    bench.run()
    (deals,) = bench.query("SELECT count(*), count(DISTINCT opportunity_id) FROM fct_opportunities")
    deleted = bench.org["objects"]["Opportunity"] - deals[0]
    assert deals[0] == deals[1]
    assert 0 <= deleted < 10  # a handful is soft-deleted in the demo org
    assert not list((bench.home / ".work").glob("*")), "pages in transit are left"


def test_wrong_credentials(bench: Bench) -> None:
    told = _one_line(bench.command("run", SALESFORCE_CLIENT_SECRET="a-wrong-secret-000000"))
    assert "a-wrong-secret" not in told
    assert "SALESFORCE_CLIENT" in told or "credentials" in told or "client" in told


def test_no_login_at_all(bench: Bench) -> None:
    done = bench.command("run", SALESFORCE_LOGIN_URL=None, SALESFORCE_CLIENT_ID=None, SALESFORCE_CLIENT_SECRET=None)
    assert ".env.example" in _one_line(done)


def test_a_host_that_is_down(bench: Bench) -> None:
    assert "127.0.0.1" in _one_line(bench.command("run", SALESFORCE_LOGIN_URL="http://127.0.0.1:9"))


def test_plain_http_beyond_this_machine_is_refused(bench: Bench) -> None:
    assert "http" in _one_line(bench.command("run", SALESFORCE_LOGIN_URL="http://example.invalid"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("minimun_n: 5\n", "Did you mean 'minimum_n'"),
        ("minimum_n: many\n", "minimum_n"),
        ("minimum_n: [1\n", "line"),
        ("reporting_timezone: Europe/Berlln\n", "IANA"),
        ("- a list\n", "holds no settings"),
        ("extra_fields: {Opportunity: [Amuont]}\n", "Did you mean 'Amount'"),
    ],
)
def test_a_mistake_in_the_settings_names_file_and_what_to_write(bench: Bench, text: str, told: str) -> None:
    bench.home.mkdir()
    (bench.home / "leanfunnel.yml").write_text(text)
    assert told in _one_line(bench.command("run"))


def test_an_unknown_environment_setting_is_told(bench: Bench) -> None:
    assert "Did you mean 'LEANFUNNEL_HOME'" in _one_line(bench.command("run", LEANFUNNEL_HOMES="x"))


def test_a_broken_definition_file_names_its_line_and_the_next_run_goes_on(bench: Bench) -> None:
    assert bench.command("init").returncode == 0
    path = bench.home / "expectations" / "opportunity.yml"
    text = path.read_text()
    path.write_text(text.replace("kind: duty", "kind: dutty", 1))
    told = _one_line(bench.command("run"))
    assert "opportunity.yml" in told
    assert "opportunity.yml:" in told
    assert "Did you mean 'duty'" in told
    path.write_text(text)
    _equals_the_org(bench)


def test_a_broken_stage_map_names_its_line(bench: Bench) -> None:
    assert bench.command("init").returncode == 0
    path = bench.home / "stage_map.csv"
    path.write_text(path.read_text().replace(",qualified,", ",qualifid,", 1))
    told = _one_line(bench.command("run"))
    assert "stage_map.csv, line" in told
    assert "Did you mean 'qualified'" in told


def test_an_unknown_view_offers_the_nearest(finished: Bench, tmp_path: Path) -> None:
    assert "nothing is published yet" in _one_line(finished.command("show", "rpt_wip_aging", home=tmp_path / "empty"))
    assert "Did you mean 'rpt_wip_aging'" in _one_line(finished.command("show", "rpt_wip_ageing"))


@pytest.mark.parametrize("as_of", ["yesterday", "2025-13-01"])
def test_an_as_of_that_is_no_instant(bench: Bench, as_of: str) -> None:
    done = bench.command("run", "--as-of", as_of)
    assert done.returncode == 2
    assert "is no instant" in done.stderr


def test_another_org_is_not_mixed_into_a_home(finished: Bench, tmp_path: Path) -> None:
    bench = finished
    before = bench.manifest()
    other = tmp_path / "export"
    other.mkdir()
    (other / "Opportunity.csv").write_text(
        "Id,Name,StageName,CloseDate,CreatedDate\n006000000000001AAA,one,Prospecting,2026-01-01,2025-12-01T00:00:00.000Z\n"
    )
    (other / "OpportunityStage.csv").write_text("Id,ApiName,MasterLabel,SortOrder,IsActive,IsClosed,IsWon\n01J000000000001EAA,Prospecting,Prospecting,1,true,false,false\n")  # fmt: skip
    with running_simulator(("--export", str(other))) as stranger:
        told = _one_line(Bench(bench.home, stranger).command("run"))
    assert "org" in told
    assert bench.manifest() == before
    _equals_the_org(bench)


@pytest.mark.parametrize("megabytes", [0.05, 1.1])
def test_a_full_disk_leaves_nothing_half_landed(bench: Bench, megabytes: float) -> None:
    """A limit on file size stands for the disk: writes fail in the middle, wherever they are."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = int(megabytes * 1_000_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    done = subprocess.run(
        [COMMAND, "run", "--home", str(bench.home)], capture_output=True, text=True, timeout=300, check=False,
        env=bench.environment(), cwd=bench.home.parent, preexec_fn=limit,
    )  # fmt: skip
    assert "Traceback" not in done.stderr + done.stdout
    assert "Free some space and run again." in _one_line(done)
    assert not (bench.home / "published" / "current").exists()
    _equals_the_org(bench)


# The command, told apart from the start of Python itself: before that is up, nobody of ours can tell of a Ctrl-C.
_STARTED = "from dagster_project.__main__ import main; print('up', flush=True); main()"


def _interrupt(
    bench: Bench, when: float, kind: signal.Signals, command: tuple[str, ...] = (COMMAND,)
) -> subprocess.CompletedProcess[str]:
    process = subprocess.Popen(
        [*command, "run", "--home", str(bench.home)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=bench.environment(), cwd=bench.home.parent,
    )  # fmt: skip
    if "-c" in command:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
    time.sleep(when)
    process.send_signal(kind)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in out + err, (when, err)
    return subprocess.CompletedProcess([], process.returncode, out, err)


# the early ones fall into the imports
@pytest.mark.parametrize(
    ("command", "moments"),
    [
        ((sys.executable, "-c", _STARTED), (0.02, 0.15, 0.2, 0.3, 0.5, 0.8, 1.2, 1.8, 2.1, 2.4)),
        ((COMMAND,), (2.7, 3.0, 3.5, 4.5)),
    ],
    ids=["importing", "running"],
)
def test_ctrl_c_at_any_moment(bench: Bench, command: tuple[str, ...], moments: tuple[float, ...]) -> None:
    for when in moments:
        done = _interrupt(bench, when, signal.SIGINT, command)
        if done.returncode != 0:  # the run may have ended before
            assert done.returncode in (130, -signal.SIGINT), (when, done.stderr)
    _equals_the_org(bench)


def test_a_kill_in_the_middle(bench: Bench) -> None:
    """tests/faults kills extraction at every point; this one falls into what comes after it."""
    _interrupt(bench, 5.0, signal.SIGKILL)
    _equals_the_org(bench)


def test_two_runs_at_once_do_not_collide(bench: Bench) -> None:
    first = subprocess.Popen(
        [COMMAND, "run", "--home", str(bench.home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=bench.environment(),
    )
    deadline = time.monotonic() + 30
    while not (bench.home / "landing").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    second = bench.command("run")
    first.communicate(timeout=120)
    assert first.returncode == 0
    if second.returncode != 0:
        assert "another run is writing here" in _one_line(second)
    _equals_the_org(bench)


def test_the_doctor_says_what_to_do(bench: Bench, exported: Callable[[Path], Bench], tmp_path: Path) -> None:
    healthy = bench.command("doctor")
    assert healthy.returncode == 0
    for sign in (
        "logged in to",
        "Opportunity: all",
        "history rows",
        "customer responses:",
        "API calls left",
        "can be written",
    ):
        assert sign in healthy.stdout
    wrong = bench.command("doctor", SALESFORCE_CLIENT_SECRET="a-wrong-secret-000000")
    assert wrong.returncode == 1
    assert "cannot log in" in wrong.stdout
    poor = tmp_path / "poor"
    poor.mkdir()
    (poor / "Account.csv").write_text("Id,Name,CreatedDate\n001000000000001AAA,one,2025-12-01T00:00:00.000Z\n")
    lacking = exported(poor).command("doctor")
    assert lacking.returncode == 1
    assert "FAIL  Opportunity is not in this org" in lacking.stdout
    assert "no customer response is recorded" in lacking.stdout
