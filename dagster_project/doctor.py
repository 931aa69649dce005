"""The doctor: is everything in place for a run? Each check says what it saw and, where something lacks, what to do.

Reads the org and the home; changes neither (a probe file in the home is removed at once).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dagster_project.errors import LeanfunnelError, SalesforceError, SettingsError

if TYPE_CHECKING:
    from dagster_project.home import Home
    from dagster_project.pipeline import Request
    from dagster_project.salesforce.client import SalesforceClient
    from dagster_project.salesforce.description import ObjectDescription
    from dagster_project.salesforce.survey import Survey

_LEAST_SPACE_MB = 500


@dataclass(frozen=True)
class Check:
    """One finding. `fail` means: a run will not work; `warn`: it will, with less to show."""

    state: Literal["ok", "warn", "fail"]
    what: str
    todo: str | None = None


def examine(request: Request) -> Iterator[Check]:
    """Check home and org, most basic first. Raises nothing for what it can tell."""
    from dagster_project.salesforce.client import SalesforceClient

    yield from _home(request.home.root)
    yield from _responses(request.home)
    try:
        if request.credentials is None:
            return
        client = SalesforceClient(request.credentials(), api_version=request.api_version)
    except LeanfunnelError as error:
        yield Check("fail", error.what, error.todo)
        return
    with client:
        try:
            org = client.organization()
        except SalesforceError as error:
            yield Check("fail", f"cannot log in: {error}", "See .env.example for the kinds of login.")
            return
        kind = "sandbox" if org.is_sandbox else "production or developer"
        yield Check(
            "ok", f"logged in to {org.name} ({org.id}, {kind}), API {org.api_version}, time zone {org.timezone}"
        )
        yield from _objects(client)
        yield from _evidence(client)
        yield from _budget(client)


def first_load(request: Request) -> Survey:
    """What the first load would take, by counts at the org. Raises SettingsError, SalesforceError."""
    from dagster_project.salesforce.client import SalesforceClient
    from dagster_project.salesforce.survey import survey

    if request.credentials is None:
        raise SettingsError("no Salesforce login is set.", todo="See .env.example.")
    with SalesforceClient(request.credentials(), api_version=request.api_version) as client:
        return survey(client, extra_fields=request.extra_fields, addresses=request.addresses, bounds=request.bounds)


def _home(root: Path) -> Iterator[Check]:
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe = root / ".probe"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        yield Check(
            "fail", f"{root} cannot be written: {error.strerror}", "Choose another by --home or grant the rights."
        )
        return
    free = shutil.disk_usage(root).free // 1_000_000
    if free < _LEAST_SPACE_MB:
        yield Check("warn", f"{root} has {free:,} MB left", "Free some space: a first load of a large org needs more.")
    else:
        yield Check("ok", f"{root} can be written, {free:,} MB free")


def _responses(home: Home) -> Iterator[Check]:
    """Whether the last publication found customer responses recorded well enough to be measured."""
    from dagster_project.pipeline import measurability

    found = measurability(home)
    if found is None:
        return
    won, without, limit, cause = found
    if cause:
        yield Check(
            "warn",
            f"responses are not measurable: {cause}",
            "Connect mail and calendars to Salesforce; if they are, raise `measurable_share` in leanfunnel.yml.",
        )
    elif won:
        yield Check(
            "ok", f"responses are measurable: {without:,} of {won:,} won deals show none; at most {limit:.0%} may"
        )


def _objects(client: SalesforceClient) -> Iterator[Check]:
    from dagster_project.salesforce.extract import org_facts
    from dagster_project.salesforce.objects import ESSENTIAL, OBJECTS

    for name, found in org_facts(client).items():
        spec = OBJECTS[name]
        bad: Literal["warn", "fail"] = "fail" if name in ESSENTIAL else "warn"
        if isinstance(found, SalesforceError):
            yield Check(bad, f"{name}: {found.what}", f"Grant read access to {name}.")
        elif found is None:
            yield Check(
                bad,
                f"{name} is not in this org, or hidden from this user",
                f"Grant read access to {name} if the org uses it.",
            )
        else:
            yield _fields(name, spec.by_name, found, bad)


def _fields(name: str, wanted: object, found: ObjectDescription, bad: Literal["warn", "fail"]) -> Check:
    from dagster_project.salesforce.objects import FieldSpec

    assert isinstance(wanted, dict)
    lacking = [field for field in wanted.values() if isinstance(field, FieldSpec) and field.name not in found.fields]
    hidden = [field.name for field in lacking if not field.optional]
    optional = [field.name for field in lacking if field.optional]
    if hidden:
        return Check(bad if "Id" in hidden or "StageName" in hidden else "warn", f"{name}: cannot read {', '.join(hidden)}",
                     f"Grant field-level read access on {name}.")  # fmt: skip
    seen = (
        f"{name}: all {len(wanted)} fields"
        if not optional
        else f"{name}: {len(wanted) - len(optional)} fields; the org has no {', '.join(optional)}"
    )
    return Check("ok", seen)


def _evidence(client: SalesforceClient) -> Iterator[Check]:
    def count(soql: str) -> int | None:
        try:
            return client.count(soql)
        except SalesforceError:
            return None  # the object's own check has said why

    deals, history = count("SELECT COUNT() FROM Opportunity"), count("SELECT COUNT() FROM OpportunityHistory")
    if deals is not None and history is not None:
        if deals and not history:
            yield Check(
                "fail",
                f"{deals:,} opportunities, but no stage history",
                "Grant read access to the deals' owners' records (View All).",
            )
        elif deals and history < deals:
            yield Check("warn", f"{deals:,} opportunities, only {history:,} history rows: some deals have no history",
                        "Their visits are imputed and marked; see whether they were imported.")  # fmt: skip
        else:
            yield Check("ok", f"{deals:,} opportunities with {history:,} history rows")
    mails, meetings = (
        count("SELECT COUNT() FROM EmailMessage WHERE Incoming = true"),
        count("SELECT COUNT() FROM Event"),
    )
    if not mails and not meetings:
        yield Check("warn", "no customer response is recorded: no inbound e-mail, no meetings",
                    "Rules on responses read `not measurable`: connect mail and calendars, or keep them in `observe`.")  # fmt: skip
    else:
        yield Check("ok", f"customer responses: {mails or 0:,} inbound e-mails, {meetings or 0:,} meetings")


def _budget(client: SalesforceClient) -> Iterator[Check]:
    try:
        limits = client.limits()
    except SalesforceError as error:
        yield Check(
            "warn", f"the API limits cannot be read: {error.what}", "Nothing to do; a run stops by itself at the limit."
        )
        return
    for name, what in (("DailyApiRequests", "API calls"), ("DailyBulkV2QueryJobs", "Bulk query jobs")):
        limit = limits.get(name)
        if limit is None:
            continue
        if limit.remaining < limit.maximum * 0.05:
            yield Check(
                "warn",
                f"{limit.remaining:,} of {limit.maximum:,} daily {what} left",
                "Run later, or ask for a higher limit.",
            )
        else:
            yield Check("ok", f"{limit.remaining:,} of {limit.maximum:,} daily {what} left")
