"""Reading definitions: every kind of mistake is told with file, line, what is wrong and what to write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dagster_project.contracts import (
    DefinitionsError,
    definitions_table,
    describe,
    fingerprint,
    load_definitions,
    write_observe_copy,
)
from dagster_project.contracts.entities import MAPPED
from dagster_project.contracts.expectation_catalogue import OFFERED
from dagster_project.contracts.loading import json_schema
from dagster_project.errors import SettingsError
from dagster_project.salesforce.objects import (
    DIMENSIONS,
    MAPPED_FIELDS,
    TEAM,
    catalogue,
    dimension_rows,
    mapped_inventory,
)

SHIPPED = Path(__file__).resolve().parents[3] / "expectations"

GOOD = """\
entity: opportunity
definitions:
  - id: R90
    name: amount_present
    title: An amount
    version: 1
    sales_processes: all
    when:
      - {column: is_open, equals: true}
    expectations:
      - expectation: expect_column_values_to_be_between
        arguments: {column: amount, min_value: 0, strict_min: true}
    missing: breach
    kind: duty
    mode: observe
    owner: rev-ops
    accountable: owner
    agreed_by: Ann
    agreed_on: 2026-01-01
    since: 2026-01-01
    why: Because.
    fix: Do it.
"""
ENTRY = "    measurable_if: {among: [{column: is_won, equals: true}], recorded: amount, missing_share_at_most: 0.2, cause: c}\n"
BETWEEN = "expect_column_values_to_be_between"
ARGUMENTS = "arguments: {column: amount, min_value: 0, strict_min: true}"
LEAST = "arguments: {column: amount, min_value: $least}"


def _by(segments: str) -> str:
    return f"{LEAST}\n    parameters:\n      least: 1\n      by: {{{segments}}}"


# kind of mistake -> (text to replace, replacement, line, what the message must say)
MISTAKES = {
    "broken yaml": ("title: An amount", "title: 'An amount", 5, "not YAML"),
    "tab": ("    version: 1", "\tversion: 1", 6, "not YAML"),
    "unknown key": ("kind: duty", "knd: duty", 14, "Did you mean 'kind'"),
    "unknown key at the head": ("entity: opportunity", "entity: opportunity\nowner: me", 2, "unknown key 'owner'"),
    "key twice": ("    mode: observe", "    mode: observe\n    mode: enforce", 16, "stands twice"),
    "missing not said": ("    missing: breach\n", "", 3, "missing: unknown"),
    "missing misspelled": ("missing: breach", "missing: breech", 13, "Did you mean 'breach'"),
    "kind misspelled": ("kind: duty", "kind: duti", 14, "Did you mean 'duty'"),
    "mode misspelled": ("mode: observe", "mode: enforced", 15, "Did you mean 'enforce'"),
    "no owner": ("    owner: rev-ops\n", "", 3, "'owner' is not said"),
    "empty fix": ("fix: Do it.", "fix: ''", 22, "'fix' is empty"),
    "version is text": ("version: 1", "version: one", 6, "a whole number"),
    "version zero": ("version: 1", "version: 0", 6, "greater than or equal to 1"),
    "id without R": ("id: R90", "id: 90x", 3, "as R07"),
    "name with spaces": ("name: amount_present", "name: Amount Present", 4, "small letters"),
    "title is no text": ("title: An amount", "title: yes", 5, "a text"),
    "date malformed": ("agreed_on: 2026-01-01", "agreed_on: January", 19, "2026-01-31"),
    "date that is none": ("agreed_on: 2026-01-01", "agreed_on: 2026-13-01", 19, "2026-01-31"),
    "since before agreed": ("since: 2026-01-01", "since: 2025-01-01", 20, "before it was agreed"),
    "expectation misspelled": (BETWEEN, "expect_column_values_to_be_betwen", 11, "Did you mean 'expect_column_values_to_be_between'"),
    "expectation not offered": (BETWEEN, "expect_column_values_to_match_regex", 11, "not offered"),
    "no expectation": (f"      - expectation: {BETWEEN}\n        {ARGUMENTS}\n", "      []\n", 10, "'expectations' is empty"),
    "column misspelled": ("column: amount,", "column: amuont,", 12, "Did you mean 'amount'"),
    "column of another type": ("column: amount,", "column: stage_name,", 12, "cannot judge it"),
    "column that is a date": ("column: amount,", "column: close_on,", 12, "grow old"),
    "argument misspelled": ("min_value: 0", "min_valu: 0", 12, "Did you mean 'min_value'"),
    "argument of the wrong type": ("min_value: 0", "min_value: zero", 12, "Write a number"),
    "flag of the wrong type": ("strict_min: true", "strict_min: 1", 12, "true or false"),
    "no bound": ("min_value: 0, ", "", 12, "has no bound"),
    "bounds exchanged": ("min_value: 0", "min_value: 5, max_value: 1", 12, "Exchange them"),
    "column lacking": ("column: amount, ", "", 12, "lacks its argument 'column'"),
    "mostly inside": ("strict_min: true", "mostly: 0.9", 12, "`mostly:` beside `mode:`"),
    "row_condition inside": ("strict_min: true", "row_condition: x", 12, "write `when:`"),
    "value set of another type": (
        f"{BETWEEN}\n        {ARGUMENTS}",
        "expect_column_values_to_be_in_set\n        arguments: {column: is_open, value_set: [yes, 3]}",
        12,
        "'is_open' is a boolean, 3 is not",
    ),
    "columns that cannot be compared": (
        f"{BETWEEN}\n        {ARGUMENTS}",
        "expect_column_pair_values_to_be_equal\n        arguments: {column_A: amount, column_B: stage_name}",
        12,
        "cannot be compared",
    ),
    "null counted otherwise": (
        f"{BETWEEN}\n        {ARGUMENTS}",
        "expect_column_values_to_not_be_null\n        arguments: {column: amount}\n        missing: unknown",
        11,
        "missing: breach",
    ),
    "condition column misspelled": ("column: is_open", "column: is_opn", 9, "Did you mean 'is_open'"),
    "condition without comparison": ("{column: is_open, equals: true}", "{column: is_open}", 9, "one comparison"),
    "condition with two": ("equals: true}", "equals: true, not_equals: false}", 9, "here are 2"),
    "comparison misspelled": ("equals: true", "equal: true", 9, "Did you mean 'equals'"),
    "condition of another type": ("equals: true", "equals: open", 9, "'is_open' is a boolean"),
    "condition without order": ("{column: is_open, equals: true}", "{column: stage_name, at_least: 3}", 9, "has no order"),
    "condition on a date": ("{column: is_open, equals: true}", "{column: close_on, equals: '2026-01-01'}", 9, "fixed value"),
    "unknown step": ("kind: duty", "kind: duty\n    from_step: proposl", 15, "Did you mean 'proposal'"),
    "stage entry without step": ("kind: duty", "kind: stage_entry\n    evidence: amount", 14, "no step"),
    "stage entry without evidence": ("kind: duty", "kind: stage_entry\n    from_step: won", 14, "names no evidence"),
    "evidence in another column": (
        "kind: duty", "kind: stage_entry\n    from_step: won\n    evidence: contact_role", 12, "seen in 'contact_role_count'",
    ),
    "evidence over time by another expectation": (
        f"{BETWEEN}\n        {ARGUMENTS}\n    missing: breach\n    kind: duty",
        "expect_column_values_to_be_unique\n        arguments: {column: amount}\n    missing: breach\n    kind: stage_entry\n"
        "    from_step: won\n    evidence: amount", 11, "cannot be judged over time",
    ),
    "evidence that may be missing": (
        "missing: breach\n    kind: duty", "missing: unknown\n    kind: stage_entry\n    from_step: won\n    evidence: amount", 13,
        "no evidence",
    ),
    "stage entry of what changes": (
        "kind: duty", "kind: stage_entry\n    from_step: won\n    evidence: amount", 9, "'is_open' changes",
    ),
    "parameter not declared": ("min_value: 0", "min_value: $least", 12, "no parameter 'least'"),
    "parameter misspelled": (ARGUMENTS, f"{LEAST.replace('$least', '$leest')}\n    parameters: {{least: 1}}", 12, "Did you mean 'least'"),
    "parameter not used": (ARGUMENTS, f"{ARGUMENTS}\n    parameters: {{least: 1}}", 13, "not used"),
    "parameter of the wrong type": (ARGUMENTS, f"{LEAST}\n    parameters: {{least: much}}", 12, "Write a number"),
    "parameter that is a list": (ARGUMENTS, f"{LEAST}\n    parameters: {{least: [1]}}", 13, "'least' is [1]"),
    "parameters by a column misspelled": (ARGUMENTS, _by("sales_proces: {A: {least: 2}}"), 15, "Did you mean 'sales_process'"),
    "parameters by a number": (ARGUMENTS, _by("amount: {A: {least: 2}}"), 15, "differ by a text"),
    "parameters by nothing": (ARGUMENTS, _by("sales_process: {}"), 15, "no value of 'sales_process'"),
    "parameters by what is not declared": (ARGUMENTS, _by("sales_process: {A: {lest: 2}}"), 15, "Did you mean 'least'"),
    "parameters by of the wrong type": (ARGUMENTS, _by("sales_process: {A: {least: much}}"), 15, "Write a number"),
    "parameters by another sales process": (
        f"all\n    when:\n      - {{column: is_open, equals: true}}\n    expectations:\n      - expectation: {BETWEEN}\n        {ARGUMENTS}",
        f"[B]\n    when: []\n    expectations:\n      - expectation: {BETWEEN}\n        {_by('sales_process: {A: {least: 2}}')}", 14, "does not hold for 'A'",
    ),
    "threshold that names no parameter": (ARGUMENTS, _by("sales_process: {A: {least: 2}}") + "\n    threshold: more than 1", 16, "differs by segment"),
    "stop of what a row is not": ("kind: duty", "kind: load\n    stop: {scope: currency}", 15, "is no currency"),
    "scope misspelled": ("kind: duty", "kind: load\n    stop: {scope: currencies}", 15, "Did you mean 'currency'"),
    "evidence elsewhere": ("kind: duty", "kind: duty\n    evidence: amount", 15, "has no evidence"),
    "a duty that stops": ("kind: duty", "kind: duty\n    stop: any_breach", 15, "never stops"),
    "a signal that stops": ("kind: duty", "kind: signal\n    stop: any_breach", 15, "never stops"),
    "stop share above one": ("kind: duty", "kind: load\n    stop: {above_share: 5}", 15, "less than 1"),
    "mostly above one": ("mode: observe", "mode: observe\n    mostly: 95", 16, "less than or equal to 1"),
    "no sales process": ("sales_processes: all", "sales_processes: []", 7, "is empty"),
    "unknown entity": ("entity: opportunity", "entity: opportunities", 1, "Did you mean 'opportunity'"),
    "no entity": ("entity: opportunity\n", "", 1, "says no entity"),
    "entity inside": ("    version: 1", "    version: 1\n    entity: opportunity", 7, "said once"),
    "definitions not a list": ("definitions:\n  - id", "definitions:\n    id", 1, "no list of definitions"),
    "a need that cannot be mapped": ("kind: duty", "kind: duty\n    needs: [mapped.los_reason]", 15, "Did you mean 'loss_reason'"),
    "recorded column misspelled": ("    kind: duty\n", "    kind: duty\n" + ENTRY.replace("recorded: amount", "recorded: amont"), 15, "Did you mean 'amount'"),
    "share that is none": ("    kind: duty\n", "    kind: duty\n" + ENTRY.replace("0.2", "20"), 15, "no share"),
}  # fmt: skip


def test_at_least_forty_kinds_of_mistakes_are_tried() -> None:
    assert len(MISTAKES) >= 40


def write(folder: Path, text: str, name: str = "mine.yml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_forty_kinds_of_mistakes_and_more_are_told() -> None:
    assert len(MISTAKES) >= 40


def test_the_sound_file_is_read(tmp_path: Path) -> None:
    (definition,) = load_definitions(write(tmp_path, GOOD))
    assert (definition.id, definition.rule_number, definition.entity) == ("R90", 90, "opportunity")
    assert definition.threshold_text == "amount more than 0, when is_open equals true"


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_told_with_its_line_and_what_to_write(kind: str, tmp_path: Path) -> None:
    old, new, line, said = MISTAKES[kind]
    assert old in GOOD
    with pytest.raises(SettingsError) as caught:
        load_definitions(write(tmp_path, GOOD.replace(old, new, 1)))
    assert isinstance(caught.value, DefinitionsError)
    assert all(mistake.what and mistake.todo for mistake in caught.value.mistakes)
    fitting = [m for m in caught.value.mistakes if said in f"{m.what} {m.todo}"]
    assert fitting, [str(m) for m in caught.value.mistakes]
    assert fitting[0].line == line, str(fitting[0])
    assert fitting[0].file.endswith("mine.yml")


def test_several_mistakes_are_told_together(tmp_path: Path) -> None:
    text = (
        GOOD.replace("kind: duty", "kind: duti")
        .replace("    missing: breach\n", "")
        .replace("owner: rev-ops", "ownr: x")
    )
    write(tmp_path, text)
    write(tmp_path, GOOD.replace("entity: opportunity", "entity: x"), "other.yml")
    with pytest.raises(DefinitionsError) as caught:
        load_definitions(tmp_path)
    assert len(caught.value.mistakes) == 5
    assert str(caught.value).startswith("5 mistakes in the definitions")


def test_an_id_or_name_taken_elsewhere_is_refused(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, GOOD, "other.yml")
    with pytest.raises(DefinitionsError, match="R90") as caught:
        load_definitions(tmp_path)
    assert len(caught.value.mistakes) == 2


def test_an_empty_folder_and_an_unreadable_encoding_are_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no definition files"):
        load_definitions(tmp_path)
    (tmp_path / "mine.yml").write_bytes(b"title: \xff")
    with pytest.raises(DefinitionsError, match="UTF-8"):
        load_definitions(tmp_path)


def test_the_starting_set_is_enforced_and_each_rule_is_of_its_kind() -> None:
    definitions = load_definitions(SHIPPED)
    assert [definition.rule_number for definition in definitions] == [*range(1, 27)]
    assert {definition.mode for definition in definitions} == {"enforce"}
    kinds = {d.rule_number: d.kind for d in definitions}
    assert [n for n in kinds if kinds[n] == "stage_entry"] == [7, 8, 10]
    assert [n for n in kinds if kinds[n] == "integrity"] == [2, 3, 4, 5, 18]
    assert [n for n in kinds if kinds[n] == "signal"] == [15]
    assert [n for n in kinds if kinds[n] == "load"] == [1, 21, 22, 23, 25]
    assert [d.rule_number for d in definitions if d.stop_above_share is not None] == [1, 2, 22]
    assert all(row["threshold"] and row["why"] and row["fix"] for row in describe(definitions))


def test_an_observe_copy_keeps_every_comment_and_overwrites_nothing(tmp_path: Path) -> None:
    files = write_observe_copy(SHIPPED, tmp_path / "expectations")
    assert {definition.mode for definition in load_definitions(tmp_path / "expectations")} == {"observe"}
    for file in files:
        ours, theirs = file.read_text().splitlines(), (SHIPPED / file.name).read_text().splitlines()
        changed = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
        assert all(re.fullmatch(r"\s+mode: enforce", b) for _, b in changed)
    with pytest.raises(SettingsError, match="there already"):
        write_observe_copy(SHIPPED, tmp_path / "expectations")


def test_the_fingerprint_follows_meaning_not_layout(tmp_path: Path) -> None:
    first = fingerprint(load_definitions(write(tmp_path, GOOD)))
    assert fingerprint(load_definitions(write(tmp_path, "# note\n" + GOOD))) == first
    assert fingerprint(load_definitions(write(tmp_path, GOOD.replace("min_value: 0", "min_value: 1")))) != first


def test_what_the_org_lacks_makes_a_rule_not_configured() -> None:
    definitions = load_definitions(SHIPPED)
    inventory = [("Opportunity", None, "present"), ("Opportunity", "Amount", "hidden"), ("OpportunityHistory", None, "present"),
                 ("EmailMessage", None, "missing"), ("Event", None, "present")]  # fmt: skip
    rows = definitions_table(definitions, inventory)
    lacking = ["R07", "R08", "R11", "R12", "R13", "R14", "R16", "R17", "R18", "R19", "R21", "R23", "R24", "R26"]
    assert [row["definition_id"] for row in rows if not row["is_configured"]] == lacking
    causes = {d.id: d.lacking(inventory) for d in definitions}
    assert causes["R07"] == "Opportunity.Amount is hidden"
    assert causes["R08"] == "OpportunityContactRole is not landed"
    assert causes["R09"] is None, "one of two alternatives is enough"
    assert causes["R13"] == "no field is mapped to loss_reason (mapped_fields in leanfunnel.yml)"
    assert causes["R15"] is None
    assert causes["R23"] == "stage_map is not landed"


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        ("present", None),
        ("Opportunity.L__c is missing", "Opportunity.L__c is missing (mapped to loss_reason)"),
        ("not mapped", "no field is mapped to loss_reason (mapped_fields in leanfunnel.yml)"),
    ],
)
def test_a_rule_on_a_mapped_field_is_configured_only_where_the_org_shows_that_field(
    status: str, cause: str | None
) -> None:
    (rule,) = (definition for definition in load_definitions(SHIPPED) if definition.id == "R13")
    inventory = [("Opportunity", None, "present"), ("mapped", "loss_reason", status)]
    assert rule.lacking(inventory) == cause
    assert rule.lacking(inventory[:1]) == "no field is mapped to loss_reason (mapped_fields in leanfunnel.yml)"


def test_what_can_be_mapped_is_the_same_to_settings_landing_and_definitions() -> None:
    assert {*MAPPED, TEAM, *DIMENSIONS} == set(MAPPED_FIELDS)
    assert {f"mapped_{name}" for name in MAPPED} <= set(catalogue()["Opportunity"])


def test_the_schema_for_editors_knows_the_keys() -> None:
    schema = json_schema()
    assert schema["required"] == ["entity", "definitions"]
    definition = schema["$defs"]["Definition"]
    assert definition["additionalProperties"] is False
    assert {"missing", "kind", "mode", "fix"} <= set(definition["required"])
    assert "entity" not in definition["properties"]


def test_the_newcomers_list_names_no_expectation_that_is_not_offered() -> None:
    for file in SHIPPED.glob("*.yml"):
        named = set(re.findall(r"expect_[a-z_]+", file.read_text()))
        assert named <= set(OFFERED)


def test_the_inventory_of_mapped_fields_says_what_each_is() -> None:
    mapped = {
        "loss_reason": "Opportunity.Loss__c",
        "skip_reason": "Opportunity.Skip__c",
        "return_reason": "Opportunity.Gone__c",
        "close_date_reviewed_on": "Opportunity.Looked_At__c",
    }
    inventory = [
        ("Opportunity", "Loss__c", "present", "picklist"),
        ("Opportunity", "Skip__c", "hidden", None),
        ("Opportunity", "Looked_At__c", "present", "datetime"),
    ]
    rows = {meaning: status for _, meaning, status in mapped_inventory(mapped, inventory)}
    assert rows == {
        "loss_reason": "present",
        "skip_reason": "Opportunity.Skip__c is hidden",
        "return_reason": "Opportunity.Gone__c is not landed",
        "team": "not mapped",
        "segment": "not mapped",
        **dict.fromkeys(DIMENSIONS, "not mapped"),
        "close_date_reviewed_on": "present",
    }
    (wrong,) = (
        status
        for _, meaning, status in mapped_inventory(mapped, [("Opportunity", "Looked_At__c", "present", "boolean")])
        if meaning == "close_date_reviewed_on"
    )
    assert wrong == "Opportunity.Looked_At__c is a boolean, not a date"
    assert {status for _, _, status in mapped_inventory({}, inventory)} == {"not mapped"}


def test_dimensions_are_told_with_their_field_and_what_is_wrong_with_it() -> None:
    mapped = {
        "dimension_1": "Opportunity.Region__c",
        "dimension_3": "Opportunity.Size__c",
        "segment": "Opportunity.X__c",
    }
    inventory = [("Opportunity", "Region__c", "present", "picklist"), ("Opportunity", "Size__c", "present", "double")]
    assert dimension_rows(mapped, mapped_inventory(mapped, inventory)) == [
        (1, "Region__c", "present"),
        (3, "Size__c", "Opportunity.Size__c is a double, not a text"),
    ]
    assert dimension_rows({}, mapped_inventory({}, inventory)) == []
