from __future__ import annotations

import runpy
import sys

import pytest


def test_the_package_runs_as_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["dagster_project", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("dagster_project", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("Usage: leanfunnel")
