"""Which views rest on a landed object, by dbt's own lineage."""

from __future__ import annotations

import json
from pathlib import Path

from dagster_project.warehouse.dbt_build import dependent_views


def test_views_are_found_through_every_layer_and_no_further(tmp_path: Path) -> None:
    models = ("stg_task", "stg_lead", "fct_work", "rpt_work", "rpt_leads", "rpt_alone")
    manifest = tmp_path / "manifest.json"
    manifest.write_text(
        json.dumps(
            {
                "sources": {f"s.{name}": {"name": name, "schema": "landing"} for name in ("task", "lead")}
                | {"s.control": {"name": "task", "schema": "control"}},
                "nodes": {f"m.{name}": {"name": name, "resource_type": "model"} for name in models}
                | {"t.1": {"name": "rpt_work_is_unique", "resource_type": "test"}},
                "child_map": {
                    "s.task": ["m.stg_task"], "s.lead": ["m.stg_lead"], "s.control": ["m.rpt_alone"],
                    "m.stg_task": ["m.fct_work"], "m.stg_lead": ["m.rpt_leads", "m.fct_work"],
                    "m.fct_work": ["m.rpt_work"], "m.rpt_work": ["t.1", "exposure.mart"],
                },
            }
        )
    )  # fmt: skip
    assert dependent_views(manifest, ["task", "lead", "case"]) == {
        "task": ["rpt_work"],
        "lead": ["rpt_leads", "rpt_work"],
        "case": [],
    }
