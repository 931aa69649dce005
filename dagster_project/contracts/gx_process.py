"""The short-lived process that runs Great Expectations: `python -m dagster_project.contracts.gx_process`.

Imports Great Expectations, waits for one request (JSON, one line) on stdin, opens the warehouse read-only, answers one JSON
line on stdout and ends, which frees DuckDB's lock. Counts and queries only: no row ever leaves it.

Request: {"database": path, "memory_limit": text, "checks": [{"key", "schema", "table", "expectation", "arguments", "row_condition"}]}
Answer: {"results": {key: {"element_count", "unexpected_count", "unexpected_index_query"}}} or {"error": text}
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

_FORMAT = {
    "result_format": "SUMMARY",
    "unexpected_index_column_names": ["row_key"],
    "return_unexpected_index_query": True,
    "partial_unexpected_count": 0,
}


def run(request: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Carry out the checks of `request`; results by key. Raises RuntimeError where an expectation could not be computed."""
    import great_expectations as gx
    import great_expectations.expectations as gxe

    from dagster_project.contracts.expectation_catalogue import class_name
    from dagster_project.contracts.gx_duckdb import open_source

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = open_source(context, Path(request["database"]), memory_limit=request["memory_limit"])
    by_table: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for check in request["checks"]:
        arguments = dict(check["arguments"])
        if check["row_condition"]:
            arguments |= {"row_condition": check["row_condition"], "condition_parser": "great_expectations"}
        expectation = getattr(gxe, class_name(check["expectation"]))(**arguments, meta={"key": check["key"]})
        by_table[check["schema"], check["table"]].append(expectation)
    results: dict[str, dict[str, Any]] = {}
    for (schema, table), expectations in by_table.items():
        asset = source.add_table_asset(table, table_name=table, schema_name=schema)
        batch = asset.add_batch_definition_whole_table(table).get_batch()
        outcome = batch.validate(gx.ExpectationSuite(name=table, expectations=expectations), result_format=_FORMAT)
        for one in outcome.results:
            found = one.to_json_dict()
            key = found["expectation_config"]["meta"]["key"]
            if "unexpected_count" not in found["result"]:
                raise RuntimeError(f"{key}: {_exception(found['exception_info'])}")
            fields = ("element_count", "unexpected_count", "unexpected_index_query")
            results[key] = {field: found["result"].get(field) for field in fields}
            if results[key]["element_count"] == 0:
                results[key]["unexpected_count"] = 0  # a sum over no rows is NULL in SQL
    return results


def _exception(info: dict[str, Any]) -> str:
    """The first message inside Great Expectations' `exception_info`, which is nested where a metric failed."""
    for value in (info, *(part for part in info.values() if isinstance(part, dict))):
        if value.get("exception_message"):
            return str(value["exception_message"])
    return "Great Expectations gave no count"


def main() -> None:
    """Answer one request and end. Whatever a library prints goes to stderr, so that stdout holds the answer alone."""
    reply = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    import great_expectations  # noqa: F401 - the seconds that this costs pass while the caller is busy

    logging.disable(logging.WARNING)
    line = sys.stdin.readline()
    if not line.strip():
        return  # the caller went away without a question
    try:
        answer: dict[str, Any] = {"results": run(json.loads(line))}
    except Exception as error:  # any failure is the caller's to report: it crosses a process border as text
        answer = {"error": f"{type(error).__name__}: {error}"}
    reply.write(json.dumps(answer) + "\n")
    reply.flush()
    os._exit(0)  # the persisted connection has nothing to write; leaving at once saves its slow collection


if __name__ == "__main__":
    main()
