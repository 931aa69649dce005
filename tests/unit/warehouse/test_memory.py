from __future__ import annotations

from pathlib import Path

import pytest

from dagster_project.home import Home
from dagster_project.warehouse import MEMORY_LIMIT, is_scarce
from dagster_project.warehouse.dbt_build import dbt_environment


@pytest.mark.parametrize(
    ("limit", "models", "marts"),
    [
        ("350MB", "1", "1"),
        ("512 MiB", "1", "1"),
        ("2GB", "1", "2"),
        ("3GB", "1", "2"),
        ("4GB", "2", "2"),
        ("4 GiB", "2", "2"),
        ("18432MB", "2", "2"),
    ],
)
def test_with_little_memory_models_are_built_one_after_the_other(limit: str, models: str, marts: str) -> None:
    assert is_scarce(limit) is (models == "1")
    told = dbt_environment(Home(Path("home")), limit)
    assert told["LEANFUNNEL_MEMORY_LIMIT"] == limit
    assert (told["LEANFUNNEL_DBT_THREADS"], told["LEANFUNNEL_MART_THREADS"]) == (models, marts)


def test_the_limit_that_nobody_set_is_one_that_is_understood() -> None:
    assert is_scarce(MEMORY_LIMIT) in (True, False)
