from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

import dagster_project


def test_the_package_runs_as_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["dagster_project", "--help"])
    # by its path: pytest's import hook gives runpy no code of a module
    main = Path(dagster_project.__file__).with_name("__main__.py")
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(main), run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("Usage: leanfunnel")
