"""Who may know whom, read from the source: an import that points the wrong way fails here, wherever in a module it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "dagster_project"
HEAVY = {"dagster", "dagster_dbt", "great_expectations", "dbt", "simple_salesforce", "deltalake", "pandas"}

# layer -> what of the project it may import (beside itself, `errors` and `home`), and which of the heavy libraries
LAYERS: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "home": (set(), set()),
    "salesforce": (set(), {"simple_salesforce"}),
    "landing": (set(), {"deltalake"}),
    "warehouse": ({"interruption"}, {"dbt"}),
    "contracts": ({"landing", "warehouse"}, {"great_expectations", "deltalake"}),
    "publish": (set(), set()),
    "planning": ({"alerts", "erasure", "salesforce", "landing", "warehouse", "contracts", "publish"}, set()),
    "erasure": ({"salesforce", "landing", "publish"}, set()),
    "pipeline": ({"planning", "erasure", "salesforce", "landing", "warehouse", "contracts", "publish"}, set()),
    "report": ({"publish"}, set()),
    "alerts": ({"landing", "contracts", "warehouse"}, set()),
    "settings": ({"salesforce", "pipeline", "alerts"}, set()),
    "assets": ({"pipeline", "resources", "contracts", "publish", "writeback", "alerts"}, {"dagster", "dagster_dbt"}),
    "resources": ({"settings", "pipeline", "warehouse", "contracts"}, {"dagster", "dagster_dbt"}),
    "jobs": ({"assets"}, {"dagster"}),
    "definitions": ({"settings", "assets", "jobs", "resources"}, {"dagster"}),
    "interruption": (set(), set()),
    "__main__": ({"cli", "interruption"}, set()),
    "cli": (
        {
            "settings",
            "pipeline",
            "interruption",
            "progress",
            "report",
            "demo_run",
            "doctor",
            "contracts",
            "warehouse",
            "publish",
            "salesforce",
            "landing",
            "options",
            "commands_work",
            "commands_definitions",
            "commands_writeback",
            "commands_publish",
            "commands_erasure",
        },
        set(),
    ),
    "options": ({"settings", "publish"}, set()),
    "commands_work": ({"options", "report", "contracts", "alerts"}, set()),
    "commands_definitions": ({"options", "report", "contracts", "pipeline"}, set()),
    "writeback": ({"salesforce", "contracts", "report"}, set()),
    "commands_writeback": ({"options", "report", "pipeline", "writeback"}, set()),
    "commands_publish": ({"options", "pipeline", "progress"}, set()),
    "commands_erasure": ({"options", "progress", "settings", "pipeline", "erasure"}, set()),
    "progress": (set(), set()),
    "demo_run": ({"pipeline", "settings"}, set()),
    "doctor": ({"salesforce", "landing", "pipeline"}, set()),
    "dev": ({"demo_run", "settings", "pipeline"}, set()),
}


def _modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively: say the whole name"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def _layer(path: Path) -> str:
    first = path.relative_to(PROJECT).parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("path", _modules(PROJECT), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_module_imports_only_what_its_layer_may(path: Path) -> None:
    layer = _layer(path)
    if layer == "__init__":
        assert not list(_imports(path)), "the package's own module holds a docstring only"
        return
    assert layer in LAYERS, f"a new layer '{layer}': say in LAYERS whom it may know"
    inner, heavy = LAYERS[layer]
    wrong = []
    for name, line in _imports(path):
        parts = name.split(".")
        if parts[0] == "dagster_project":
            target = parts[1] if len(parts) > 1 else ""
            if target not in {layer, "errors", "home"} | inner:
                wrong.append(f"line {line}: {name}")
        elif parts[0] == "salesforce_simulator" or (parts[0] in HEAVY and parts[0] not in heavy):
            wrong.append(f"line {line}: {name}")
    assert not wrong, f"{path.relative_to(ROOT)} ({layer}) may not import: {wrong}"


@pytest.mark.parametrize("path", _modules(ROOT / "salesforce_simulator"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_simulator_knows_nothing_of_the_project(path: Path) -> None:
    wrong = [
        f"line {line}: {name}" for name, line in _imports(path) if name.split(".")[0] in {"dagster_project", *HEAVY}
    ]
    assert not wrong, wrong


def test_only_settings_reads_the_environment() -> None:
    readers = []
    for path in _modules(PROJECT):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            reads = (
                isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
                and node.attr in {"getenv", "environ"}
            )  # fmt: skip
            if reads:
                readers.append(f"{_layer(path)}/{path.name}")
    # the others hand their child processes and dbt's profile an environment; none takes a setting from it
    allowed = {
        "settings/settings.py",
        "warehouse/dbt_build.py",
        "contracts/gx_client.py",
        "resources/resources.py",
        "dev/dev.py",
    }
    assert set(readers) <= allowed, readers
