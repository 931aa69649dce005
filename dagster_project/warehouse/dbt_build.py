"""Running the dbt project in this process: parse once, build by tag. Knows no model by name.

In process saves three seconds a call against `dbt` in a shell, and one manifest serves both targets, since relations are
spelled out in full.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from dagster_project.errors import WarehouseError
from dagster_project.home import Home
from dagster_project.interruption import finished_first
from dagster_project.warehouse import MARTS_SIDE_BY_SIDE_MB, MEMORY_LIMIT, is_scarce
from dagster_project.warehouse.database import FULL_DISK

Progress = Callable[[str, int, int], None]
"""Called with (node name, nodes finished, nodes selected)."""


def dbt_environment(home: Home, memory_limit: str = MEMORY_LIMIT) -> dict[str, str]:
    """What `profiles.yml` reads: the two files of this home, how much DuckDB may hold in memory, how many models at once."""
    return {
        "LEANFUNNEL_MEMORY_LIMIT": memory_limit,
        # models that are built at once share the limit; each uses all cores anyhow
        "LEANFUNNEL_DBT_THREADS": "1" if is_scarce(memory_limit) else "2",
        "LEANFUNNEL_MART_THREADS": "1" if is_scarce(memory_limit, MARTS_SIDE_BY_SIDE_MB) else "2",
        "LEANFUNNEL_CONFORMED": str(home.conformed),
        "LEANFUNNEL_BUILDING": str(home.building),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def write_manifest(project_dir: Path, place: Path, environment: Mapping[str, str] | None = None) -> Path:
    """`manifest.json` of the project under `place`, parsed anew where the project is newer. Raises WarehouseError."""
    manifest = place / "manifest.json"
    sources = [path for path in project_dir.rglob("*") if path.suffix in (".sql", ".yml", ".csv")]
    if manifest.exists() and all(path.stat().st_mtime < manifest.stat().st_mtime for path in sources):
        return manifest
    from dbt.cli.main import dbtRunner

    os.environ.update(environment or {})
    project = str(project_dir)
    parsed = dbtRunner().invoke(
        ["parse", "--project-dir", project, "--profiles-dir", project, "--target-path", str(place), "--log-path", str(place),
         "--quiet"]
    )  # fmt: skip
    if not parsed.success:
        raise WarehouseError(f"the dbt project cannot be read: {parsed.exception}", where=project)
    return manifest


def dependent_views(manifest: Path, sources: Iterable[str], *, prefix: str = "rpt_") -> dict[str, list[str]]:
    """By table of the landing: the views (models named `prefix`…) that rest on it, by dbt's own lineage, in order of name."""
    graph = json.loads(manifest.read_text(encoding="utf-8"))
    named = {node["name"]: key for key, node in graph["sources"].items() if node["schema"] == "landing"}
    found: dict[str, list[str]] = {}
    for source in sources:
        todo, seen = [named[source]] if source in named else [], set()
        while todo:
            key = todo.pop()
            if key not in seen:
                seen.add(key)
                todo += graph["child_map"].get(key, [])
        models = (graph["nodes"][key] for key in seen if key in graph["nodes"])
        found[source] = sorted(
            node["name"] for node in models if node["resource_type"] == "model" and node["name"].startswith(prefix)
        )
    return found


class DbtBuild:
    """The dbt project at `project_dir` over the warehouse of `home`. Importing dbt waits until the first call."""

    def __init__(self, project_dir: Path, home: Home, memory_limit: str = MEMORY_LIMIT) -> None:
        self._project_dir, self._home, self._manifest = project_dir, home, None
        self._memory_limit = memory_limit

    def build(
        self,
        tag: str,
        *,
        only: str | None = None,
        below: str | None = None,
        tests: bool = True,
        full_refresh: bool = False,
        progress: Progress | None = None,
    ) -> int:
        """Models and data tests tagged `tag`, into the target of the same name; with `only` (a model), what it needs,
        with `below` (a model), it and what rests on it; models alone without `tests`.

        Returns how many nodes ran.

        Raises WarehouseError naming the first node that failed and how many did.
        """
        selected = f"tag:{tag},+{only}" if only else f"tag:{tag},{below}+" if below else f"tag:{tag}"
        arguments = ["build", "--select", selected, "--target", tag, "--exclude-resource-type", "unit_test"]
        if not tests:
            arguments += ["--exclude-resource-type", "test"]
        if only:
            arguments += ["--indirect-selection", "buildable"]
        if full_refresh:
            arguments.append("--full-refresh")
        seen: dict[str, Any] = {"selected": 0, "done": 0}

        def on_event(event: Any) -> None:
            name = event.info.name
            if name == "NodeFinished":
                seen["done"] += 1
                if progress:
                    progress(event.data.node_info.node_name, seen["done"], seen["selected"])
            elif name == "ConcurrencyLine":
                seen["selected"] = event.data.node_count

        result = self._invoke(arguments, [on_event])
        nodes = list(getattr(result.result, "results", None) or [])
        failed = [node for node in nodes if str(node.status) in ("error", "fail")]
        if not result.success or failed:
            raise self._failure(result, failed, tag)
        return len(nodes)

    def _failure(self, result: Any, failed: list[Any], tag: str) -> WarehouseError:
        log = self._home.warehouse / "dbt" / "logs" / "dbt.log"
        if not failed:
            text = str(result.exception or "dbt stopped").strip().splitlines()
            return self._error(f"dbt could not build '{tag}': {' '.join(text[:3])}", todo=f"See {log}.")
        first = failed[0]
        message = " ".join((first.message or "").split())[:300]
        more = f" ({len(failed) - 1} more failed)" if len(failed) > 1 else ""
        kind = "test" if first.node.resource_type == "test" else "model"
        return self._error(f"the {kind} {first.node.name} failed{more}: {message}", where="dbt", todo=f"See {log}.")

    def _error(self, what: str, *, where: str | None = None, todo: str | None = None) -> WarehouseError:
        if any(sign in what for sign in FULL_DISK):
            return WarehouseError(
                "the disk is full.", where=str(self._home.warehouse), todo="Free some space and run again."
            )
        return WarehouseError(what, where=where, todo=todo)

    def _invoke(self, arguments: list[str], callbacks: list[Any]) -> Any:
        os.environ.update(dbt_environment(self._home, self._memory_limit))
        self._home.warehouse.mkdir(parents=True, exist_ok=True)
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        place = self._home.warehouse / "dbt"
        common = [
            "--project-dir", str(self._project_dir), "--profiles-dir", str(self._project_dir),
            "--target-path", str(place / "target"), "--log-path", str(place / "logs"),
            "--quiet", "--no-print", "--log-level", "none", "--log-level-file", "info", "--no-write-json",
        ]  # fmt: skip
        try:
            if self._manifest is None:
                with finished_first():
                    parsed = dbtRunner().invoke(["parse", *common])
                if not parsed.success:
                    raise self._error(
                        f"the dbt project cannot be read: {' '.join(str(parsed.exception).split())[:400]}",
                        where=str(self._project_dir),
                    )
                self._manifest = parsed.result
            return dbtRunner(manifest=self._manifest, callbacks=callbacks).invoke([*arguments, *common])
        finally:
            # dbt keeps its connection; until it is closed no other process can open the file
            DuckDBConnectionManager.close_all_connections()
