"""Step 3 as assets: verdicts and ledger, and each operational definition as an asset check with its counts and samples."""

from collections.abc import Iterator, Sequence
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    MaterializeResult,
    MetadataValue,
    multi_asset,
)

from dagster_project import pipeline
from dagster_project.assets.failing import told
from dagster_project.assets.telling import log_problems
from dagster_project.contracts import Definition
from dagster_project.resources import WAREHOUSE_POOL, LeanfunnelResource

AUDIT_TABLES = ("verdict", "definition_run", "ledger", "held_scope")
_VERDICT = AssetKey(["audit", "verdict"])


def check_name(definition: Definition) -> str:
    """The name of a definition's asset check."""
    return f"{definition.id}_{definition.name}".lower()


def build_contracts(definitions: Sequence[Definition], audited: Sequence[AssetKey]) -> AssetsDefinition:
    """The audit: keys ["audit", <table>]; checks on the verdicts, blocking where a definition may stop the line."""
    specs = [
        AssetSpec(key=["audit", table], deps=audited, group_name="audit", kinds={"greatexpectations", "duckdb"},
                  description=f"`audit.{table}`, written by the contracts in `expectations/`.")
        for table in AUDIT_TABLES
    ]  # fmt: skip
    checks = [
        AssetCheckSpec(
            name=check_name(definition),
            asset=_VERDICT,
            blocking=definition.stop_above_share is not None and definition.mode == "enforce",
            description=f"{definition.title}. Why: {definition.why} Fix: {definition.fix}",
            metadata={
                "kind": definition.kind,
                "mode": definition.mode,
                "owner": definition.owner,
                "version": definition.version,
            },
        )
        for definition in definitions
    ]

    @multi_asset(name="contracts", specs=specs, check_specs=checks, pool=WAREHOUSE_POOL)
    def contracts(
        context: AssetExecutionContext, leanfunnel: LeanfunnelResource
    ) -> Iterator[MaterializeResult | AssetCheckResult]:
        request = leanfunnel.request()
        with told(), pipeline.writing(request.home, wait_seconds=3600):
            plan = pipeline.read_plan(request.home)
            report = pipeline.audit(request, plan, raise_on_stop=False)
        log_problems(context, request.teller)
        for table in AUDIT_TABLES:
            yield MaterializeResult(asset_key=["audit", table], metadata={"as_of": plan.as_of.isoformat()})
        by_id = {result.definition_id: result for result in report.results}
        for definition in definitions:
            yield _check(definition, by_id[definition.id])

    return contracts


def _check(definition: Definition, result: Any) -> AssetCheckResult:
    metadata: dict[str, Any] = {"state": result.state, "version": definition.version}
    if result.state == "measured":
        counts = {name: getattr(result, name) for name in ("raw", "met", "breached", "not_applicable", "unknown")}
        metadata |= {name: count for name, count in counts.items() if count is not None}
        if result.samples:
            lines = [
                f"- [{sample.record_id}]({sample.record_url}) {sample.observed_value or ''}"
                for sample in result.samples
            ]
            metadata["samples"] = MetadataValue.md("\n".join(lines))
            metadata["sample_ids"] = MetadataValue.json([sample.record_id for sample in result.samples])
        if result.held:
            metadata["held_back"] = ", ".join(result.held)
        if result.despite:
            metadata["despite"] = result.despite
    else:
        metadata["cause"] = result.state_cause or ""
    return AssetCheckResult(
        asset_key=_VERDICT,
        check_name=check_name(definition),
        # a rule that could not be measured has not failed; its state says so
        passed=result.success is not False,
        severity=AssetCheckSeverity.ERROR if result.stops else AssetCheckSeverity.WARN,
        metadata=metadata,
    )
