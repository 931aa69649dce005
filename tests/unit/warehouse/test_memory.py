from __future__ import annotations

from pathlib import Path

import pytest

from dagster_project.home import Home
from dagster_project.warehouse import MEMORY_LIMIT, is_scarce
from dagster_project.warehouse.dbt_build import dbt_environment


@pytest.mark.parametrize(
    ("limit", "scarce"),
    [("350MB", True), ("512 MiB", True), ("3GB", True), ("4GB", False), ("4 GiB", False), ("18432MB", False)],
)
def test_with_little_memory_models_are_built_one_after_the_other(limit: str, *, scarce: bool) -> None:
    assert is_scarce(limit) is scarce
    told = dbt_environment(Home(Path("home")), limit)
    assert (told["LEANFUNNEL_MEMORY_LIMIT"], told["LEANFUNNEL_DBT_THREADS"]) == (limit, "1" if scarce else "2")


def test_the_limit_that_nobody_set_is_one_that_is_understood() -> None:
    assert is_scarce(MEMORY_LIMIT) in (True, False)
