"""Rows as text, written by DuckDB: one string per row, laid end to end, so that a page is a range of bytes.

JSON as the REST API writes records, CSV as the Bulk APIs do. No HTTP here.
"""

from __future__ import annotations

import os
import tempfile
from typing import IO

import duckdb
import numpy as np
import pyarrow as pa

from salesforce_simulator import schema
from salesforce_simulator.soql.to_sql import Child, Compiled, Output

#: Results up to this many bytes stay in memory.
_IN_MEMORY = 8 * 1024 * 1024
_BATCH = 100_000
DELIMITERS = {"COMMA": ",", "TAB": "\t", "SEMICOLON": ";", "PIPE": "|", "CARET": "^", "BACKQUOTE": "`"}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}


class RenderedRows:
    """Rows as bytes laid end to end, in memory or, where they are many, in a temporary file; many threads may read.

    Row i lies in `[offsets[i], offsets[i + 1])`.
    """

    def __init__(self) -> None:
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._parts = [np.zeros(1, dtype=np.int64)]
        self._size = 0
        self.offsets: np.ndarray = self._parts[0]

    def append(self, lines: pa.Array) -> None:
        """Adds the strings of an Arrow array, one row each."""
        column = lines.cast(pa.large_string())
        bounds = np.frombuffer(column.buffers()[1], dtype=np.int64)[column.offset : column.offset + len(column) + 1]
        content = memoryview(column.buffers()[2])[int(bounds[0]) : int(bounds[-1])]
        if self._file is None and self._size + len(content) > _IN_MEMORY:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the result
            self._file.write(self._memory)
            self._memory = bytearray()
        if self._file is None:
            self._memory += content
        else:
            self._file.write(content)
        self._parts.append(bounds[1:] - bounds[0] + self._size)
        self._size += len(content)

    def finish(self) -> None:
        """Makes the rows readable; nothing is appended after this."""
        self.offsets = np.concatenate(self._parts)
        self._parts = []
        if self._file is not None:
            self._file.flush()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def read(self, start: int, stop: int) -> bytes:
        """The bytes of rows `[start, stop)`."""
        first, last = int(self.offsets[start]), int(self.offsets[min(stop, len(self))])
        if self._file is None:
            return bytes(memoryview(self._memory)[first:last])
        return os.pread(self._file.fileno(), last - first, first)

    def close(self) -> None:
        """Frees the rows."""
        if self._file is not None:
            self._file.close()


def render(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, object]) -> RenderedRows:
    """Runs a statement of one text column into RenderedRows; the rows never become Python objects."""
    rows = RenderedRows()
    for batch in cursor.execute(sql, parameters).to_arrow_reader(_BATCH):
        if batch.num_rows:
            rows.append(batch.column(0))
    rows.finish()
    return rows


def literal(text: str) -> str:
    """Text as a DuckDB string literal."""
    return "'" + text.replace("'", "''") + "'"


# CSV


def _csv_text(output: Output) -> str:
    column, type_ = output.alias, output.type
    if type_ in schema.ID_TYPES:
        return column
    if type_ in schema.TEXT_TYPES:
        return f"replace({column}, '\"', '\"\"')"
    if type_ == "datetime":
        # the cast writes 2024-01-31 09:30:00 in a fraction of strftime's time; stored instants have no part of a second
        return f"replace(CAST({column} AS VARCHAR), ' ', 'T') || '.000Z'"
    if type_ in ("double", "percent", "currency"):
        return f"CAST(CAST({column} AS DOUBLE) AS VARCHAR)"
    return f"CAST({column} AS VARCHAR)"


def csv_sql(compiled: Compiled, delimiter: str = ",", line_ending: str = "\n") -> str:
    """The statement whose rows are CSV lines, every value quoted, null as an empty one."""
    between = literal(f'"{delimiter}"')
    # concat() writes each row once, where a chain of || copies what it has at every link, and takes null as nothing
    line = f", {between}, ".join(_csv_text(o) for o in compiled.outputs)
    return f"SELECT concat('\"', {line}, {literal(chr(34) + line_ending)}) AS line FROM ({compiled.sql})"


def csv_header(compiled: Compiled, delimiter: str = ",", line_ending: str = "\n") -> bytes:
    """The first line of a CSV result."""
    return (delimiter.join(f'"{o.header}"' for o in compiled.outputs) + line_ending).encode()


# JSON


def _json_value(output: Output, *, epoch: bool = False) -> str:
    column, type_ = output.alias, output.type
    if type_ == "datetime" and epoch:
        return f"coalesce(CAST(epoch_ms({column}) AS VARCHAR), 'null')"
    if type_ in schema.ID_TYPES:
        text = f"'\"' || {column} || '\"'"
    elif type_ in schema.TEXT_TYPES:
        text = f"CAST(to_json({column}) AS VARCHAR)"
    elif type_ == "datetime":
        text = f"'\"' || replace(CAST({column} AS VARCHAR), ' ', 'T') || '.000+0000\"'"
    elif type_ in ("date", "time"):
        text = f"'\"' || CAST({column} AS VARCHAR) || '\"'"
    elif type_ in ("double", "percent", "currency"):
        text = f"CAST(CAST({column} AS DOUBLE) AS VARCHAR)"
    else:
        text = f"CAST({column} AS VARCHAR)"
    return f"coalesce({text}, 'null')"


class _Json:
    """Writes the SQL that writes one record as JSON, indented where asked for."""

    def __init__(self, compiled: Compiled, version: str, pretty: bool, epoch: bool = False) -> None:
        self.compiled, self.version, self.pretty, self.epoch = compiled, version, pretty, epoch

    def _pad(self, depth: int) -> str:
        return "\n" + "  " * depth if self.pretty else ""

    def _colon(self) -> str:
        return " : " if self.pretty else ":"

    def _attributes(self, type_sql: str, id_sql: str, depth: int, shown: str | None = None) -> str:
        """SQL of the `attributes` member: the record's type and url."""
        pad, inner, colon = self._pad(depth), self._pad(depth + 1), self._colon()
        head = literal(f'{pad}"attributes"{colon}{{{inner}"type"{colon}"')
        url = literal(f'",{inner}"url"{colon}"/services/data/v{self.version}/sobjects/')
        tail = literal(f'"{pad}}}')
        return f"{head} || {shown or type_sql} || {url} || {type_sql} || '/' || {id_sql} || {tail}"

    def record(self, depth: int) -> str:
        """SQL of one record as an object at that depth."""
        compiled = self.compiled
        if compiled.aggregate:
            pad, inner, colon = self._pad(depth + 1), self._pad(depth + 2), self._colon()
            members = [literal(f'{pad}"attributes"{colon}{{{inner}"type"{colon}"AggregateResult"{pad}}}')]
            members += [self._member(o.name, _json_value(o), depth + 1) for o in compiled.outputs]
        else:
            members = [
                self._attributes(literal(compiled.kind.name), "record_id", depth + 1),
                *self._members((), depth + 1),
            ]
        return self._object(members, depth)

    def _object(self, members: list[str], depth: int) -> str:
        # no member is null, and concat() writes each row once
        body = f", {literal(',')}, ".join(members)
        return f"concat('{{', {body}, {literal(self._pad(depth) + '}')})"

    def _member(self, name: str, value: str, depth: int) -> str:
        return f"{literal(f'{self._pad(depth)}{chr(34)}{name}{chr(34)}{self._colon()}')} || {value}"

    def _members(self, parents: tuple[str, ...], depth: int) -> list[str]:
        members: list[str] = []
        done: set[str] = set()
        level = len(parents)
        for output in self.compiled.outputs:
            if output.parents[:level] != parents:
                continue
            if len(output.parents) == level:
                members.append(self._member(output.name, _json_value(output, epoch=self.epoch), depth))
                continue
            name = output.parents[level]
            if name not in done:
                done.add(name)
                members.append(self._member(name, self._parent((*parents, name), depth), depth))
        if not parents:
            members += [
                self._member(child.relationship, f"coalesce(child{i}.rendered, 'null')", depth)
                for i, child in enumerate(self.compiled.children)
            ]
        return members

    def _parent(self, path: tuple[str, ...], depth: int) -> str:
        id_alias, type_, polymorphic = self.compiled.parent_ids[path]
        type_sql = type_ if polymorphic else literal(type_)
        shown = literal("Name") if polymorphic else None
        members = [self._attributes(type_sql, id_alias, depth + 1, shown), *self._members(path, depth + 1)]
        return f"(CASE WHEN {id_alias} IS NULL THEN 'null' ELSE {self._object(members, depth)} END)"

    def child_join(self, number: int, child: Child, depth: int) -> str:
        """SQL of the join that brings the rendered rows of a child relationship to their parent."""
        pad, colon = self._pad(depth + 1), self._colon()
        writer = _Json(child.compiled, self.version, self.pretty)
        head = literal(f'{{{pad}"totalSize"{colon}')
        middle = literal(
            f',{pad}"done"{colon}true,{pad}"records"{colon}[ ' if self.pretty else ',"done":true,"records":['
        )
        between = literal(", " if self.pretty else ",")
        tail = literal((" ]" if self.pretty else "]") + self._pad(depth) + "}")
        return (
            f"LEFT JOIN (SELECT parent_id, {head} || count(*) || {middle} || "
            f"string_agg({writer.record(depth + 1)}, {between} ORDER BY place) || {tail} AS rendered "
            f"FROM ({child.compiled.sql}) GROUP BY parent_id) AS child{number} ON child{number}.parent_id = record_id"
        )


def json_sql(compiled: Compiled, version: str, *, pretty: bool = False, epoch: bool = False) -> str:
    """The statement whose rows are JSON objects, each closed by a comma; `epoch` writes instants as milliseconds."""
    writer = _Json(compiled, version, pretty, epoch)
    joins = " ".join(writer.child_join(i, child, 2) for i, child in enumerate(compiled.children))
    close = literal(", " if pretty else ",")
    if not joins:
        return f"SELECT {writer.record(1)} || {close} AS line FROM ({compiled.sql})"
    # a join may reorder its left side: the place in the result is kept beside each row
    placed = f"SELECT *, row_number() OVER () AS result_place FROM ({compiled.sql})"
    return f"SELECT {writer.record(1)} || {close} AS line FROM ({placed}) AS parent {joins} ORDER BY result_place"


# XML


def xml_sql(compiled: Compiled) -> str:
    """The statement whose rows are the `records` elements of a Bulk 1.0 result in XML; instants as in CSV."""

    def nothing(name: str) -> str:
        return literal(f'<{name} xsi:nil="true"/>')

    def element(output: Output) -> str:
        value = _csv_text(output)
        if output.type in schema.TEXT_TYPES - schema.ID_TYPES:
            value = f"replace(replace(replace({output.alias}, '&', '&amp;'), '<', '&lt;'), '>', '&gt;')"
        opened, closed = literal(f"<{output.name}>"), literal(f"</{output.name}>")
        return f"coalesce({opened} || {value} || {closed}, {nothing(output.name)})"

    def members(parents: tuple[str, ...]) -> list[str]:
        level = len(parents)
        parts: list[str] = []
        done: set[str] = set()
        for output in compiled.outputs:
            if output.parents[:level] != parents:
                continue
            if len(output.parents) == level:
                parts.append(element(output))
            elif (name := output.parents[level]) not in done:
                done.add(name)
                parts.append(parent((*parents, name)))
        return parts

    def parent(path: tuple[str, ...]) -> str:
        id_alias, type_, polymorphic = compiled.parent_ids[path]
        shown = type_ if polymorphic else literal(type_)
        opened = literal(f'<{path[-1]} xsi:type="sObject"><type>')
        inside = " || ".join([opened, shown, literal("</type>"), *members(path), literal(f"</{path[-1]}>")])
        return f"(CASE WHEN {id_alias} IS NULL THEN {nothing(path[-1])} ELSE {inside} END)"

    head = literal(f'<records xsi:type="sObject"><type>{compiled.kind.name}</type>')
    body = " || ".join([head, *members(()), literal("</records>")])
    return f"SELECT {body} AS line FROM ({compiled.sql})"
