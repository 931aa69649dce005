"""One publication: `published/<id>/{leanfunnel.duckdb, parquet/<table>.parquet, manifest.json}`, and `current`.

A reader that holds an older publication keeps its files until they are pruned; on POSIX even then an open file stays
readable. Nothing is visible before the pointer is swapped by a rename.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.errors import LeanfunnelError
from dagster_project.publish.stale import clear_stale, read_stale

SCHEMA = "mart"
_PREPARED = ".preparing-"


class PublishError(LeanfunnelError):
    """A publication could not be written or read."""

    exit_code = 8


@dataclass(frozen=True)
class Table:
    """One published table: rows, and the hash of its rows in their sorted order (the same inputs give the same hash)."""

    rows: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a publication says of itself. Instants are ISO 8601 in UTC.

    `incomplete`: what it was published without, a line each. `overrides`: the stops that it was published despite, each with who
    answers for it, why, and until which day.
    """

    publication_id: str
    as_of: str
    known_at: str
    fingerprint: str
    org_id: str
    tables: Mapping[str, Table] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    definitions: Mapping[str, str] = field(default_factory=dict)
    incomplete: tuple[str, ...] = ()
    overrides: tuple[Mapping[str, Any], ...] = ()

    def dump(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def read_manifest(publication: Path) -> Manifest | None:
    """The manifest of `publication` (a folder, or `current`), or None where there is none yet.

    Raises PublishError where it is unreadable.
    """
    path = publication / "manifest.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        tables = {name: Table(**table) for name, table in raw.pop("tables").items()}
        incomplete, overrides = tuple(raw.pop("incomplete")), tuple(raw.pop("overrides", ()))
        return Manifest(**raw, tables=tables, incomplete=incomplete, overrides=overrides)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise PublishError("is not a readable manifest.", where=str(path), todo="Run again with --rebuild.") from error


def caveats(publication: Path) -> list[str]:
    """What every reader of `current` is told beside its figures, a line each: stale, published without what, despite what."""
    manifest, stale = read_manifest(publication), read_stale(publication.parent)
    if manifest is None:
        return []
    told = [stale.text(manifest.as_of)] if stale else []
    told += [f"incomplete: {one}" for one in manifest.incomplete]
    return told + [
        f"published despite {one['definition_id']}: {one['who']} answers for it until {one['until_on']}: {one['why']}"
        for one in manifest.overrides
    ]


def publish(built: Path, published: Path, manifest: Manifest, *, keep: int) -> Manifest:
    """Move the finished file `built` into `published/<id>`, write Parquet and manifest, and swap `current`.

    Returns the manifest with row counts and hashes. A publication of the same id and the same hashes is left as it is.
    Raises PublishError (full disk, no rights); then `current` is unchanged.
    """
    target = published / manifest.publication_id
    prepared = published / f"{_PREPARED}{manifest.publication_id}"
    try:
        published.mkdir(parents=True, exist_ok=True)
        for leftover in published.glob(f"{_PREPARED}*"):
            shutil.rmtree(leftover)
        (prepared / "parquet").mkdir(parents=True)
        shutil.move(built, prepared / "leanfunnel.duckdb")
        tables = _export(prepared)
        finished = Manifest(**{**_shallow(manifest), "tables": tables})
        (prepared / "manifest.json").write_text(finished.dump(), encoding="utf-8")
        existing = read_manifest(target)
        if existing is not None and existing.tables == tables:
            shutil.rmtree(prepared)
        else:
            if target.exists():
                # the same inputs gave other rows (leanfunnel itself changed): readers of the old folder keep it
                target = _free_name(target)
            prepared.rename(target)
        _point(published / "current", target.name)
        clear_stale(published)
        _prune(published, keep)
    except (OSError, duckdb.Error) as error:
        raise PublishError(
            f"the mart could not be published: {_reason(error)}.", where=str(published),
            todo="The last publication stays; free some space or grant the rights and run again.",
        ) from error  # fmt: skip
    finally:
        shutil.rmtree(prepared, ignore_errors=True)
    return finished


def publications(published: Path) -> list[Path]:
    """The folders of all publications that are kept."""
    if not published.is_dir():
        return []
    return sorted(
        path
        for path in published.iterdir()
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    )


def rewrite(
    folder: Path,
    change: Callable[[duckdb.DuckDBPyConnection], None],
    *,
    note: str,
    said: Callable[[str | None], str | None] = lambda text: text,
) -> Manifest:
    """Change a publication's tables by `change`, in place: DuckDB file, Parquet, and the manifest, whose inputs say `note`;
    what people said of overrides goes through `said`.

    The changed tables are copied into a new file, since DuckDB leaves what was deleted in the blocks of the old one. Each
    file is replaced whole; a reader in between may see some new and some old. May be repeated where it was cut off.
    Raises PublishError.
    """
    before = read_manifest(folder)
    if before is None:
        raise PublishError("is no publication.", where=str(folder), todo="Remove the folder.")
    prepared = folder.with_name(f"{_PREPARED}{folder.name}")
    try:
        shutil.rmtree(prepared, ignore_errors=True)
        (prepared / "parquet").mkdir(parents=True)
        changed, fresh = prepared / "changed.duckdb", prepared / "leanfunnel.duckdb"
        shutil.copyfile(folder / "leanfunnel.duckdb", changed)
        with duckdb.connect(str(changed)) as connection:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            change(connection)
            # a name of our own: the file's own may be part of what its views say
            connection.execute(f"ATTACH '{str(fresh).replace(chr(39), chr(39) * 2)}' AS rewritten_publication")
            connection.execute('COPY FROM DATABASE "changed" TO rewritten_publication')
        changed.unlink()
        finished = Manifest(
            **{
                **_shallow(before),
                "tables": _export(prepared),
                "overrides": tuple(
                    {**one, **{key: said(one[key]) for key in ("who", "why")}} for one in before.overrides
                ),
                "inputs": {**before.inputs, "rewritten": [*before.inputs.get("rewritten", []), note]},
            }
        )
        (prepared / "manifest.json").write_text(finished.dump(), encoding="utf-8")
        for old in (folder / "parquet").glob("*.parquet"):
            if not (prepared / "parquet" / old.name).exists():
                old.unlink()
        for new in (*(prepared / "parquet").iterdir(), fresh, prepared / "manifest.json"):
            new.replace(folder / new.relative_to(prepared))
        # whatever else lies there is none of ours, but for what a killed reader or writer of the file left
        (folder / "leanfunnel.duckdb.wal").unlink(missing_ok=True)
    except (OSError, duckdb.Error) as error:
        raise PublishError(
            f"the publication could not be rewritten: {_reason(error)}.", where=str(folder),
            todo="Free some space or grant the rights and run it again.",
        ) from error  # fmt: skip
    finally:
        shutil.rmtree(prepared, ignore_errors=True)
    return finished


def _export(folder: Path) -> dict[str, Table]:
    tables: dict[str, Table] = {}
    with duckdb.connect(str(folder / "leanfunnel.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = ? ORDER BY 1", [SCHEMA]
        ).fetchall()
        for (name,) in names:
            relation = f'"{SCHEMA}"."{name}"'
            path = str(folder / "parquet" / f"{name}.parquet").replace("'", "''")
            connection.execute(f"COPY {relation} TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
            row = connection.execute(
                f"SELECT count(*), sha256(coalesce(string_agg(h, '' ORDER BY h), '')) FROM (SELECT md5(t::VARCHAR) AS h FROM {relation} AS t)"  # noqa: E501
            ).fetchone()
            assert row is not None
            tables[name] = Table(rows=row[0], sha256=row[1])
    return tables


def _point(current: Path, name: str) -> None:
    swap = current.with_name(f".{current.name}.{os.getpid()}")
    swap.unlink(missing_ok=True)
    swap.symlink_to(name)
    swap.replace(current)


def _prune(published: Path, keep: int) -> None:
    kept = (published / "current").resolve()
    folders = publications(published)
    folders.sort(key=lambda path: (path / "manifest.json").stat().st_mtime, reverse=True)
    for folder in [path for path in folders if path != kept][keep - 1 :]:
        shutil.rmtree(folder)


def _free_name(target: Path) -> Path:
    number = 2
    while (candidate := target.with_name(f"{target.name}.{number}")).exists():
        number += 1
    return candidate


def _shallow(manifest: Manifest) -> dict[str, Any]:
    return {name: getattr(manifest, name) for name in manifest.__dataclass_fields__}


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split())[:200]
