"""Reading `expectations/*.yml`: where each mistake stands and what to write instead; and copying them in mode observe."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from dagster_project.contracts.checks import findings
from dagster_project.contracts.definition import (
    Definition,
    DefinitionFile,
    Expectation,
    MeasurableIf,
    Parameters,
    Stop,
    When,
)
from dagster_project.contracts.entities import ENTITIES
from dagster_project.contracts.terms import Term, term_mistakes
from dagster_project.errors import SettingsError, nearest

Path_ = tuple[str | int, ...]
TERMS_FILE = "terms.yml"
_SHIPPED = Path(__file__).resolve().parents[2] / "expectations"


@dataclass(frozen=True, order=True)
class Mistake:
    """One mistake: file, line (from 1), what is wrong, what to write."""

    file: str
    line: int
    what: str
    todo: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what} {self.todo}"


class DefinitionsError(SettingsError):
    """The definition files hold mistakes: all of them, in order of file and line, in `mistakes`."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes))
        first = self.mistakes[0]
        if len(self.mistakes) == 1:
            super().__init__(first.what, where=f"{first.file}:{first.line}", todo=first.todo)
        else:
            listed = " | ".join(str(mistake) for mistake in self.mistakes)
            super().__init__(f"{len(self.mistakes)} mistakes in the definitions: {listed}")


def load_definitions(directory: Path) -> list[Definition]:
    """All definitions of the folder's `*.yml` but terms.yml, sorted by rule number. Raises DefinitionsError with every mistake."""
    found = [*directory.glob("*.yml"), *directory.glob("*.yaml")]
    files = sorted(file for file in found if file.name != TERMS_FILE)
    if not files:
        raise SettingsError(
            "no definition files (*.yml) here.",
            where=str(directory),
            todo="Run `leanfunnel init`, or copy those shipped.",
        )
    mistakes: list[Mistake] = []
    if (directory / TERMS_FILE).exists():
        _read_terms(directory / TERMS_FILE, mistakes)
    definitions: list[Definition] = []
    seen: dict[str, str] = {}
    for file in files:
        for definition, line in _read(file, mistakes):
            place = f"{file.name}:{line}"
            for what, key in ((f"id '{definition.id}'", definition.id), (f"name '{definition.name}'", definition.name)):
                if key in seen:
                    mistakes.append(
                        Mistake(str(file), line, f"the {what} is taken by {seen[key]}.", "Write one that is free.")
                    )
                seen.setdefault(key, place)
            definitions.append(definition)
    if mistakes:
        raise DefinitionsError(mistakes)
    return sorted(definitions, key=lambda definition: (definition.rule_number, definition.id))


def load_terms(directory: Path) -> list[Term]:
    """The terms of the folder's terms.yml; of the file shipped, where the folder has none. Raises DefinitionsError."""
    own = directory / TERMS_FILE
    mistakes: list[Mistake] = []
    terms = _read_terms(own if own.exists() else _SHIPPED / TERMS_FILE, mistakes)
    if mistakes:
        raise DefinitionsError(mistakes)
    return terms


def fingerprint(definitions: Sequence[Definition]) -> str:
    """A digest of what the definitions mean: comments, order and layout of the files do not count."""
    rows = sorted(json.dumps(definition.model_dump(mode="json"), sort_keys=True) for definition in definitions)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def write_observe_copy(source_dir: Path, target_dir: Path) -> list[Path]:
    """Copy the definition files with every mode set to observe, comments kept. Returns the files written.

    Raises SettingsError where a file of that name stands already: what rev-ops edited is never overwritten.
    """
    sources = sorted(source_dir.glob("*.yml"))
    for source in sources:
        if (target_dir / source.name).exists():
            where = str(target_dir / source.name)
            raise SettingsError(
                "the file is there already.", where=where, todo="Delete it first if you want the shipped one."
            )
    target_dir.mkdir(parents=True, exist_ok=True)
    written = []
    for source in sources:
        text = re.sub(r"(?m)^(\s+mode:\s+)enforce\b", r"\1observe", source.read_text(encoding="utf-8"))
        target = target_dir / source.name
        target.write_text(text, encoding="utf-8")
        written.append(target)
    return written


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a definition file, for editors."""
    schema = DefinitionFile.model_json_schema(by_alias=True)
    definition = schema["$defs"]["Definition"]
    definition["properties"].pop("entity")  # said once, at the head of the file
    definition["required"].remove("entity")
    return schema


def _read_terms(file: Path, mistakes: list[Mistake]) -> list[Term]:
    """The terms of a file, none where one is wrong; mistakes are added to the list."""
    composed = _composed(file, mistakes)
    if composed is None:
        return []
    data, lines = composed
    before = len(mistakes)

    def add(path: Path_, what: str, todo: str) -> None:
        mistakes.append(Mistake(str(file), _line(lines, path), what, todo))

    if not isinstance(data, dict) or data.keys() != {"terms"} or not isinstance(data["terms"], list):
        add(
            (), "the file holds no list of terms.", "Write `terms:` and under it a list, each beginning with `- name:`."
        )
        return []
    terms = []
    for index, raw in enumerate(data["terms"]):
        try:
            terms.append(Term.model_validate(raw))
        except ValidationError as error:
            for path, what, todo in _told(error, Term):
                add(("terms", index, *path), what, todo)
    if len(mistakes) == before:
        for mistake in term_mistakes(terms):
            path = ("terms", mistake.position, *mistake.finding.path) if mistake.position >= 0 else ("terms",)
            add(path, mistake.finding.what, mistake.finding.todo)
    return terms if len(mistakes) == before else []


def _line(lines: dict[Path_, int], path: Path_) -> int:
    """The line of the place, or of the nearest around it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _composed(file: Path, mistakes: list[Mistake]) -> tuple[Any, dict[Path_, int]] | None:
    """A YAML file as plain data and the line of each place; None where it cannot be read, with the mistake told."""
    try:
        text = file.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        mistakes.append(Mistake(str(file), 1, "the file is not UTF-8 text.", "Save it as UTF-8."))
        return None
    except OSError as error:
        mistakes.append(
            Mistake(str(file), 1, f"the file cannot be read: {error.strerror}.", "Grant the right to read it.")
        )
        return None
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        # a quote that is never closed is found at the end of the file: its beginning is where to look
        mark = getattr(error, "context_mark" if "end of stream" in problem else "problem_mark", None)
        todo = "Check the indentation, quotes and colons of this line and the one above; use spaces, not tabs."
        mistakes.append(Mistake(str(file), mark.line + 1 if mark else 1, f"this is not YAML: {problem}.", todo))
        return None
    lines: dict[Path_, int] = {}
    before = len(mistakes)
    data = _plain(node, (), lines, mistakes, str(file)) if node is not None else None
    return None if len(mistakes) > before else (data, lines)


def _read(file: Path, mistakes: list[Mistake]) -> list[tuple[Definition, int]]:
    """The sound definitions of one file with their lines; mistakes are added to the list."""
    composed = _composed(file, mistakes)
    if composed is None:
        return []
    data, lines = composed

    def at(path: Path_) -> int:
        return _line(lines, path)

    def add(path: Path_, what: str, todo: str) -> None:
        mistakes.append(Mistake(str(file), at(path), what, todo))

    if not isinstance(data, dict) or not isinstance(data.get("definitions"), list) or not data["definitions"]:
        add(
            (),
            "the file holds no list of definitions.",
            "Write `entity:` and under `definitions:` a list, each beginning with `- id:`.",
        )
        return []
    for key in data.keys() - {"entity", "definitions"}:
        add(
            (key,),
            f"unknown key '{key}' at the head of the file.",
            f"Only entity and definitions stand here.{nearest(str(key), ('entity', 'definitions'))}",
        )
    entity = data.get("entity")
    if entity not in ENTITIES:
        what = (
            "the file says no entity."
            if entity is None
            else f"there is no entity '{entity}'.{nearest(str(entity), ENTITIES)}"
        )
        add(("entity",), what, f"Write `entity:` {', '.join(ENTITIES)}.")
        return []
    found = []
    for index, raw in enumerate(data["definitions"]):
        path: Path_ = ("definitions", index)
        if not isinstance(raw, dict):
            add(path, "a definition is a set of keys.", "Begin it with `- id: R01` and indent the other keys.")
            continue
        if "entity" in raw:
            add((*path, "entity"), "the entity is said once, at the head of the file.", "Leave it out here.")
            continue
        try:
            definition = Definition.model_validate({**raw, "entity": entity})
        except ValidationError as error:
            for path_, what, todo in _told(error):
                add((*path, *path_), what, todo)
            continue
        wrong = list(findings(definition))
        for finding in wrong:
            add((*path, *finding.path), finding.what, finding.todo)
        if not wrong:
            found.append((definition, at(path)))
    return found


def _plain(node: yaml.Node, path: Path_, lines: dict[Path_, int], mistakes: list[Mistake], file: str) -> Any:
    """The node as plain data; `lines` learns where each path stands, repeated keys become mistakes."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        out: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = _scalar(key_node, mistakes, file)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                mistakes.append(
                    Mistake(file, line, f"the key {key!r} is no word.", "Put it in quotes or write a word.")
                )
                continue
            if key in out:
                mistakes.append(Mistake(file, line, f"the key '{key}' stands twice.", "Delete one of them."))
            lines.setdefault((*path, key), line)
            out[key] = _plain(value_node, (*path, key), lines, mistakes, file)
        return out
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, index), lines, mistakes, file) for index, item in enumerate(node.value)]
    return _scalar(node, mistakes, file)


def _scalar(node: yaml.Node, mistakes: list[Mistake], file: str) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError):
        todo = "Write dates as 2026-01-31; put a text that looks like something else in quotes."
        mistakes.append(Mistake(file, node.start_mark.line + 1, f"the value {node.value!r} cannot be read.", todo))
        return None
    finally:
        loader.dispose()


_MODELS: dict[str, Any] = {
    "when": When,
    "among": When,
    "any_of": When,
    "expectations": Expectation,
    "measurable_if": MeasurableIf,
    "stop": Stop,
    "parameters": Parameters,
}
_TYPES = {
    "string_type": "a text", "int_type": "a whole number", "float_type": "a number", "bool_type": "true or false",
    "list_type": "a list", "dict_type": "keys and values", "model_type": "keys and values", "model_attributes_type": "keys and values",
    "date_type": "a date as 2026-01-31", "date_from_datetime_parsing": "a date as 2026-01-31",
    "date_from_datetime_inexact": "a date as 2026-01-31", "date_parsing": "a date as 2026-01-31",
}  # fmt: skip


def _told(error: ValidationError, model: Any = Definition) -> list[tuple[Path_, str, str]]:
    """Pydantic's errors in the reader's words, one for each place."""
    told: dict[Path_, tuple[str, str]] = {}
    for item in error.errors():
        path = _place(item["loc"])
        told.setdefault(path, _sentence(path, item, model))
    return [(path, what, todo) for path, (what, todo) in told.items()]


def _place(loc: tuple[int | str, ...]) -> Path_:
    """Where it stands in the file: pydantic adds the name of each tried type of a union, which no file holds."""
    noise = re.compile(r"^(str|int|float|bool|constrained-.*|literal\[.*|list\[.*|Stop|function-.*|date)$")
    return tuple(part for part in loc if isinstance(part, int) or not noise.match(part))


def _sentence(path: Path_, item: Any, owner: Any = Definition) -> tuple[str, str]:
    key = next((str(part) for part in reversed(path) if isinstance(part, str)), "")
    kind, given, context = item["type"], item.get("input"), item.get("ctx") or {}
    if kind == "extra_forbidden":
        parents = [part for part in path[:-1] if isinstance(part, str)]
        model = _MODELS.get(parents[-1], owner) if parents else owner
        known = [field.alias or name for name, field in model.model_fields.items() if name != "entity"]
        return f"unknown key '{key}'.", nearest(key, known).strip() or f"Known: {', '.join(known)}."
    if kind == "missing":
        todo = f"Write `{key}:`."
        if key == "missing":
            todo = (
                "Write how an empty field counts: `missing: breach`, `missing: unknown` or `missing: not_applicable`."
            )
        return f"'{key}' is not said.", todo
    if kind == "literal_error":
        choices = str(context.get("expected", "")).replace("'", "")
        words = re.split(r", | or ", choices)
        return f"'{key}' is {given!r}.", f"Write one of: {', '.join(words)}.{nearest(str(given), words)}"
    if kind == "string_pattern_mismatch":
        form = (
            "R and two to four digits, as R07"
            if key == "id"
            else "small letters, digits and _, as amount_from_proposal"
        )
        return f"'{key}' is {given!r}.", f"Write {form}."
    if kind in ("string_too_short", "too_short"):
        return f"'{key}' is empty.", "Write something."
    if kind in _TYPES:
        return f"'{key}' is {given!r}.", f"Write {_TYPES[kind]}."
    return f"'{key}' is {given!r}: {str(item['msg']).lower()}.", "Correct the value."
