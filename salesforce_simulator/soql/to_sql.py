"""A parsed query to parameterised DuckDB SQL, checked against the org. Rows are rendered elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from salesforce_simulator import schema
from salesforce_simulator.org import Org, quoted
from salesforce_simulator.schema import Field, ObjectType
from salesforce_simulator.soql.conditions import Conditions, Parameters
from salesforce_simulator.soql.lexer import malformed
from salesforce_simulator.soql.parser import parse
from salesforce_simulator.soql.resolve import Column, Scope, refused, source_object
from salesforce_simulator.soql.tree import AllFields, Call, Expression, Item, Path, Query

_AGGREGATES = frozenset({"COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX"})
#: Functions of a date or an instant, as DuckDB says them; weeks begin on Sunday, as at the service.
_DATE_PARTS = {
    "CALENDAR_YEAR": "year({0})",
    "CALENDAR_QUARTER": "quarter({0})",
    "CALENDAR_MONTH": "month({0})",
    "DAY_IN_MONTH": "day({0})",
    "DAY_IN_WEEK": "(dayofweek({0}) + 1)",
    "DAY_IN_YEAR": "dayofyear({0})",
    "WEEK_IN_MONTH": "((day({0}) - 1) // 7 + 1)",
    "WEEK_IN_YEAR": "((dayofyear({0}) - 1) // 7 + 1)",
    "HOUR_IN_DAY": "hour({0})",
    "DAY_ONLY": "CAST({0} AS DATE)",
}
_MAX_OFFSET = 2000
_MAX_FIELDS_LIMIT = 200


@dataclass(frozen=True)
class Output:
    """One thing that a row shows: its name (with the parents before it), its type, and its alias in the SQL."""

    parents: tuple[str, ...]
    name: str
    type: str
    alias: str

    @property
    def header(self) -> str:
        """The name as a CSV header gives it."""
        return ".".join((*self.parents, self.name))


@dataclass(frozen=True)
class Child:
    """A child subquery: the relationship's name, its rows compiled, the alias of its parent's id, its limit."""

    relationship: str
    compiled: Compiled
    parent_alias: str


@dataclass(frozen=True)
class Compiled:
    """A query ready to run: `sql` gives one row per record with the columns of `outputs`, in order.

    `parent_ids` maps each parent path to the alias of its id (null where there is no parent) and its object name or the
    alias of the column that holds it. `aggregate` rows are no records; `count_only` is `SELECT COUNT()`.
    """

    kind: ObjectType
    sql: str
    parameters: dict[str, object]
    outputs: tuple[Output, ...]
    parent_ids: dict[tuple[str, ...], tuple[str, str, bool]]
    children: tuple[Child, ...]
    aggregate: bool
    count_only: bool
    uses_offset: bool = False
    uses_fields: bool = False


def compile_query(org: Org, text: str, *, all_rows: bool = False) -> Compiled:
    """Compiles the text of a query; `all_rows` takes deleted and archived records in. Raises ApiError."""
    query = parse(text)
    parameters = Parameters()
    return _Compiler(org, text, query, parameters, all_rows or query.all_rows, "t").records()


class _Compiler:
    def __init__(
        self,
        org: Org,
        text: str,
        query: Query,
        parameters: Parameters,
        all_rows: bool,
        prefix: str,
        kind: ObjectType | None = None,
    ) -> None:
        self.org, self.text, self.query, self.parameters, self.all_rows = org, text, query, parameters, all_rows
        self.prefix, self.nested = prefix, 0
        kind = kind or source_object(org, text, query.source)
        self.scope = Scope(org, text, kind, query.alias, query.aliases, prefix)
        items = [i for i in query.select if isinstance(i, Item)]
        self.count_only = any(isinstance(i.expression, Call) and i.expression.argument is None for i in items)
        self.grouped = bool(query.group_by) or any(
            isinstance(i.expression, Call) and i.expression.name in _AGGREGATES for i in items
        )
        self.conditions = self._conditions(self._plain)

    def _conditions(self, typed: Callable[[Expression], tuple[str, Field]]) -> Conditions:
        return Conditions(
            self.text,
            self.parameters,
            typed,
            self._semi_join,
            self.org.now.date(),
            self._fiscal_month(),
        )

    def _fiscal_month(self) -> int:
        return self.org.fiscal_year_start_month()

    # expressions

    def _plain(self, expression: Expression) -> tuple[str, Field]:
        """A field, or a date function of one: what may stand where rows are not grouped."""
        if isinstance(expression, Path):
            column = self.scope.column(expression)
            return column.sql, column.field
        if expression.name in _AGGREGATES:
            raise malformed(self.text, expression.at, f"Aggregate function {expression.name} is not allowed here")
        return self._function(expression)

    def _function(self, call: Call) -> tuple[str, Field]:
        if call.argument is None:
            raise malformed(self.text, call.at, f"{call.name}() takes a field")
        if call.name in ("TOLABEL", "CONVERTTIMEZONE"):
            return self._plain(call.argument)
        form = _DATE_PARTS.get(call.name)
        if form is None:
            raise malformed(self.text, call.at, f"Invalid function: {call.name}")
        sql, kind = self._plain(call.argument)
        only_instants = call.name in ("HOUR_IN_DAY", "DAY_ONLY")
        if kind.type != "datetime" and (only_instants or kind.type != "date"):
            raise malformed(
                self.text, call.at, f"Invalid field type for {call.name}: {kind.name} is {kind.type}", "INVALID_FIELD"
            )
        type_ = "date" if call.name == "DAY_ONLY" else "int"
        return form.format(sql), schema.make_field(call.name, type_)

    def _aggregate(self, call: Call) -> tuple[str, Field]:
        if call.argument is None:
            raise malformed(self.text, call.at, f"{call.name}() takes a field here")
        sql, kind = self._plain(call.argument)
        if call.name in ("SUM", "AVG"):
            if kind.type not in schema.NUMBER_TYPES:
                raise malformed(
                    self.text, call.at, f"field {kind.name} does not support aggregate operator {call.name}"
                )
            return f"CAST({call.name.lower()}({sql}) AS DOUBLE)", schema.make_field("expr", "double", "18,2")
        if call.name in ("MIN", "MAX"):
            if kind.type == "boolean":
                raise malformed(
                    self.text, call.at, f"field {kind.name} does not support aggregate operator {call.name}"
                )
            return f"{call.name.lower()}({sql})", kind
        distinct = "DISTINCT " if call.name == "COUNT_DISTINCT" else ""
        return f"count({distinct}{sql})", schema.make_field("expr", "int")

    def _grouped(self, expression: Expression) -> tuple[str, Field]:
        """An aggregate or a grouped expression: what may stand once rows are grouped."""
        if isinstance(expression, Call) and expression.name in _AGGREGATES:
            return self._aggregate(expression)
        sql, kind = self._plain(expression)
        if sql not in {self._plain(g)[0] for g in self.query.group_by}:
            name = expression.name if isinstance(expression, Call) else str(expression)
            raise malformed(self.text, expression.at, f"Field must be grouped or aggregated: {name}")
        return sql, kind

    def _semi_join(self, query: Query) -> str:
        self.nested += 1
        inner = _Compiler(self.org, self.text, query, self.parameters, False, f"{self.prefix}s{self.nested}_")
        if (
            len(query.select) != 1
            or not isinstance(query.select[0], Item)
            or not isinstance(query.select[0].expression, Path)
        ):
            raise malformed(self.text, query.at, "a semi join sub-select selects exactly one field")
        if query.group_by or query.having or query.limit is not None or query.offset is not None:
            raise malformed(self.text, query.at, "a semi join sub-select takes no GROUP BY, LIMIT or OFFSET")
        column = inner.scope.column(query.select[0].expression)
        if column.field.type not in schema.ID_TYPES:
            raise malformed(self.text, query.at, "a semi join sub-select must select an id or reference field")
        where = inner.where_sql(f"{column.sql} IS NOT NULL")
        return f"SELECT {column.sql} FROM {inner.scope.from_sql()} {where}"

    # clauses

    def where_sql(self, *more: str) -> str:
        """The WHERE clause: what the query says, and, unless all rows are asked for, neither deleted nor archived."""
        terms = list(more)
        if self.query.where is not None:
            terms.append(self.conditions.sql(self.query.where))
        if not self.all_rows:
            terms += [
                f"{self.scope.table}.{quoted(flag)} IS NOT TRUE"
                for flag in ("IsDeleted", "IsArchived")
                if self.scope.kind.field(flag)
            ]
        return f"WHERE {' AND '.join(terms)}" if terms else ""

    def _order_sql(self) -> str:
        terms = []
        for ordering in self.query.order_by:
            sql, kind = self._grouped(ordering.expression) if self.grouped else self._plain(ordering.expression)
            if not kind.sortable:
                raise malformed(
                    self.text,
                    ordering.expression.at,
                    f"field '{kind.name}' can not be sorted in a query call",
                    "INVALID_FIELD",
                )
            side = f"lower({sql})" if kind.storage == "VARCHAR" and kind.type not in schema.ID_TYPES else sql
            nulls = "LAST" if ordering.nulls_first is False else "FIRST"
            terms.append(f"{side} {'DESC' if ordering.descending else 'ASC'} NULLS {nulls}")
        if terms and not self.grouped:
            terms.append(f"{self.scope.table}.rowid")
        return f"ORDER BY {', '.join(terms)}" if terms else ""

    def _window_sql(self) -> str:
        query = self.query
        if query.offset is not None and query.offset > _MAX_OFFSET:
            raise refused(f"Maximum SOQL offset allowed is {_MAX_OFFSET}", "NUMBER_OUTSIDE_VALID_RANGE")
        limit = f"LIMIT {query.limit}" if query.limit is not None else ""
        return f"{limit} OFFSET {query.offset}" if query.offset is not None else limit

    # whole queries

    def records(self) -> Compiled:
        query = self.query
        if self.count_only:
            return self._count()
        if query.having is not None and not query.group_by:
            raise malformed(self.text, query.at, "HAVING requires GROUP BY")
        if self.grouped:
            return self._groups()
        return self._rows([], self._order_sql(), self._window_sql())

    def _rows(self, more: list[str], order: str, window: str) -> Compiled:
        """The records themselves, with `more` columns beside what is selected."""
        outputs, columns, children = self._selected()
        where = self.where_sql()
        parent_ids: dict[tuple[str, ...], tuple[str, str, bool]] = {}
        for number, (path, join) in enumerate(self.scope.joins.items()):
            parent_ids[path] = (f"j{number}", f"j{number}t" if join.polymorphic else join.kind.name, join.polymorphic)
            columns.append(f'{join.alias}."Id" AS j{number}')
            if join.polymorphic:
                columns.append(f'{join.alias}."Type" AS j{number}t')
        columns += [f'{self.scope.table}."Id" AS record_id', *more]
        if not order and (self.scope.joins or self.nested):
            # a join gives its rows in any order; the service's is steady
            order = f"ORDER BY {self.scope.table}.rowid"
        sql = f"SELECT {', '.join(columns)} FROM {self.scope.from_sql()} {where} {order} {window}"
        offset = self.query.offset is not None
        values, parents = self.parameters.values, parent_ids
        fields = any(isinstance(i, AllFields) for i in self.query.select)
        kind, shown = self.scope.kind, tuple(outputs)
        return Compiled(kind, sql, values, shown, parents, tuple(children), False, False, offset, fields)

    def _selected(self) -> tuple[list[Output], list[str], list[Child]]:
        outputs: list[Output] = []
        columns: list[str] = []
        children: list[Child] = []
        seen: set[str] = set()
        for item in self.query.select:
            if isinstance(item, Query):
                children.append(self._child(item, len(children)))
                continue
            chosen = self._all_fields(item) if isinstance(item, AllFields) else [self._column(item)]
            for column in chosen:
                if column.header.lower() in seen:
                    at = item.at if isinstance(item, AllFields) else item.expression.at
                    raise malformed(self.text, at, f"duplicate field selected: {column.header}", "INVALID_FIELD")
                seen.add(column.header.lower())
                alias = f"c{len(outputs)}"
                outputs.append(Output(column.parents, column.field.name, column.field.type, alias))
                columns.append(f"{column.sql} AS {alias}")
        return outputs, columns, children

    def _column(self, item: Item) -> Column:
        if item.alias:
            raise malformed(self.text, item.expression.at, f"alias '{item.alias}' is only allowed in a grouped query")
        if isinstance(item.expression, Path):
            return self.scope.column(item.expression)
        if item.expression.name == "TOLABEL" and isinstance(item.expression.argument, Path):
            return self.scope.column(item.expression.argument)
        raise malformed(
            self.text, item.expression.at, f"Invalid function: {item.expression.name} in an ungrouped query"
        )

    def _all_fields(self, item: AllFields) -> list[Column]:
        if item.which != "STANDARD" and (self.query.limit is None or self.query.limit > _MAX_FIELDS_LIMIT):
            raise malformed(
                self.text, item.at, f"The SOQL FIELDS function must have a LIMIT of at most {_MAX_FIELDS_LIMIT}"
            )
        wanted = {"ALL": (True, False), "STANDARD": (False,), "CUSTOM": (True,)}[item.which]
        return [
            Column(f"{self.scope.table}.{quoted(f.name)}", f, ()) for f in self.scope.kind.fields if f.custom in wanted
        ]

    def _count(self) -> Compiled:
        query = self.query
        item = query.select[0]
        if (
            len(query.select) != 1
            or not isinstance(item, Item)
            or not isinstance(item.expression, Call)
            or item.expression.name != "COUNT"
            or query.group_by
            or query.order_by
        ):
            raise malformed(self.text, query.at, "COUNT() stands alone, without GROUP BY or ORDER BY")
        where = self.where_sql()
        rows = f"SELECT 1 FROM {self.scope.from_sql()} {where} {self._window_sql()}"
        sql = f"SELECT count(*) AS c0 FROM ({rows})"
        return Compiled(self.scope.kind, sql, self.parameters.values, (), {}, (), True, True, query.offset is not None)

    def _groups(self) -> Compiled:
        query = self.query
        outputs: list[Output] = []
        columns: list[str] = []
        unnamed = 0
        for item in query.select:
            if not isinstance(item, Item):
                at = item.at
                raise malformed(self.text, at, "subqueries and FIELDS() cannot be grouped")
            sql, kind = self._grouped(item.expression)
            name = item.alias
            if name is None and isinstance(item.expression, Path):
                name = kind.name
            elif name is None:
                name, unnamed = f"expr{unnamed}", unnamed + 1
            if name.lower() in {o.name.lower() for o in outputs}:
                raise malformed(self.text, item.expression.at, f"duplicate alias: {name}")
            alias = f"c{len(outputs)}"
            outputs.append(Output((), name, kind.type, alias))
            columns.append(f"{sql} AS {alias}")
        groups = []
        for expression in query.group_by:
            sql, kind = self._plain(expression)
            if not kind.groupable:
                raise malformed(
                    self.text, expression.at, f"field '{kind.name}' can not be grouped in a query call", "INVALID_FIELD"
                )
            groups.append(sql)
        where, order = self.where_sql(), self._order_sql()
        having = f"HAVING {self._conditions(self._grouped).sql(query.having)}" if query.having else ""
        grouping = f"GROUP BY {', '.join(groups)}" if groups else ""
        sql = (
            f"SELECT {', '.join(columns)} FROM {self.scope.from_sql()} {where} {grouping} {having} {order} "
            f"{self._window_sql()}"
        )
        return Compiled(
            self.scope.kind, sql, self.parameters.values, tuple(outputs), {}, (), True, False, query.offset is not None
        )

    def _child(self, query: Query, number: int) -> Child:
        """The rows of a child relationship, numbered within their parent, so that ORDER BY and LIMIT hold for each."""
        child_kind, reference = self.scope.child(query.source)
        inner = _Compiler(
            self.org, self.text, query, self.parameters, self.all_rows, f"{self.prefix}c{number}_", child_kind
        )
        if inner.grouped or inner.count_only:
            raise malformed(self.text, query.at, "aggregates are not allowed in a child subquery")
        order = inner._order_sql() or f"ORDER BY {inner.scope.table}.rowid"
        parent = f"{inner.scope.table}.{quoted(reference.name)}"
        place = f"row_number() OVER (PARTITION BY {parent} {order}) AS place"
        rows = inner._rows([place, f"{parent} AS parent_id"], "", "")
        low = query.offset or 0
        window = f"WHERE place > {low}" + (f" AND place <= {low + query.limit}" if query.limit is not None else "")
        sql = f"SELECT * FROM ({rows.sql}) {window}"
        name = reference.child_relationship or query.source.parts[-1]
        return Child(name, replace(rows, sql=sql), "parent_id")
