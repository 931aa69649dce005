from __future__ import annotations

import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import dagster_project


def test_the_package_runs_as_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["dagster_project", "--help"])
    # by its path: pytest's import hook gives runpy no code of a module
    main = Path(dagster_project.__file__).with_name("__main__.py")
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(main), run_name="__main__")
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("Usage: leanfunnel")


def test_ctrl_c_waits_for_the_end_of_an_import(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import signal, time\n"
        "signal.raise_signal(signal.SIGINT)\n"
        "end = time.monotonic() + 0.3\n"
        "while time.monotonic() < end:\n"
        "    pass\n"
        "print('imported', flush=True)\n"
    )
    (tmp_path / "command.py").write_text(
        "from dagster_project.interruption import stop_between_imports, was_asked\n"
        "stop_between_imports()\n"
        "assert not was_asked()\n"
        "try:\n"
        "    import slow, time\n"
        "    time.sleep(30)\n"
        "except KeyboardInterrupt:\n"
        "    print('stopped', was_asked())\n"
    )
    done = subprocess.run(
        [sys.executable, "command.py"], cwd=tmp_path, capture_output=True, text=True, timeout=25, check=False,
        env={"PYTHONPATH": f"{Path(dagster_project.__file__).parents[1]}:{tmp_path}"},
    )  # fmt: skip
    assert done.stdout.split("\n")[:2] == ["imported", "stopped True"], done.stderr


def test_ctrl_c_waits_for_the_end_of_a_finalizer(tmp_path: Path) -> None:
    """What is raised there Python prints and forgets: the command would go on."""
    (tmp_path / "command.py").write_text(
        "import signal, time\n"
        "from multiprocessing.util import Finalize\n"
        "from dagster_project.interruption import stop_between_imports\n"
        "class Thing:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "        print('deleted', flush=True)\n"
        "def clean():\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('cleaned', flush=True)\n"
        "class Other:\n"
        "    def __init__(self):\n"
        "        Finalize(self, clean)\n"
        "stop_between_imports()\n"
        "for kind in (Thing, Other):\n"
        "    thing = kind()\n"
        "    try:\n"
        "        del thing\n"
        "        time.sleep(30)\n"
        "    except KeyboardInterrupt:\n"
        "        print('stopped', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "command.py"], cwd=tmp_path, capture_output=True, text=True, timeout=25, check=False,
        env={"PYTHONPATH": str(Path(dagster_project.__file__).parents[1])},
    )  # fmt: skip
    assert done.stdout.split() == ["deleted", "stopped", "cleaned", "stopped"], done.stderr
    assert done.stderr == ""


def test_ctrl_c_after_the_end_ends_the_process_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "command.py").write_text(
        "import atexit, signal, time\n"
        "def tidy():\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    time.sleep(30)\n"
        "atexit.register(tidy)\n"
        "import sys\n"
        "from dagster_project.__main__ import main\n"
        "sys.argv = ['leanfunnel', '--help']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "command.py"], cwd=tmp_path, capture_output=True, text=True, timeout=25, check=False,
        env={"PYTHONPATH": str(Path(dagster_project.__file__).parents[1])},
    )  # fmt: skip
    assert done.returncode == -signal.SIGINT
    assert done.stdout.startswith("Usage: leanfunnel")
    assert done.stderr == ""
