"""Recursive-descent parser: tokens into a tree. It knows the grammar, not the objects."""

from __future__ import annotations

import re
from typing import NoReturn

from salesforce_simulator.soql.lexer import Token, malformed, tokens_of
from salesforce_simulator.soql.tree import (
    AllFields,
    Call,
    Comparison,
    Condition,
    Expression,
    Item,
    Literal,
    Logic,
    Ordering,
    Path,
    Query,
)

_RESERVED = frozenset(
    (
        *("SELECT", "FROM", "WHERE", "GROUP", "ORDER", "BY", "HAVING", "LIMIT", "OFFSET", "ASC", "DESC", "NULLS"),
        *("AND", "OR", "NOT", "LIKE", "IN", "INCLUDES", "EXCLUDES", "USING", "WITH", "FOR", "ALL", "TYPEOF", "UPDATE"),
    )
)
_N_LITERAL = re.compile(r"(LAST|NEXT)_N_(DAYS|WEEKS|MONTHS|QUARTERS|YEARS|FISCAL_QUARTERS|FISCAL_YEARS)")
_AGO_LITERAL = re.compile(r"N_(DAYS|WEEKS|MONTHS|QUARTERS|YEARS|FISCAL_QUARTERS|FISCAL_YEARS)_AGO")
_DATE_LITERALS = frozenset(
    ["TODAY", "YESTERDAY", "TOMORROW", "LAST_90_DAYS", "NEXT_90_DAYS"]
    + [
        f"{which}_{unit}"
        for which in ("LAST", "THIS", "NEXT")
        for unit in ("WEEK", "MONTH", "QUARTER", "YEAR", "FISCAL_QUARTER", "FISCAL_YEAR")
    ]
)
_MAX_N = 100_000
#: Conditions nested deeper than this are refused, so that no query can exhaust the stack.
_MAX_DEPTH = 50


def parse(text: str) -> Query:
    """The tree of a query; raises MALFORMED_QUERY with the position of what does not belong."""
    parser = _Parser(text)
    query = parser.query(nested=False)
    parser.expect_end()
    return query


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.index = text, tokens_of(text), 0

    # tokens

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def advance(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.index += 1
        return token

    def fail(self, message: str | None = None, token: Token | None = None) -> NoReturn:
        token = token or self.token
        raise malformed(self.text, token.at, message or f"unexpected token: '{token.text}'")

    def word(self, *words: str) -> bool:
        if self.token.is_word(*words):
            self.advance()
            return True
        return False

    def expect_word(self, word: str) -> None:
        if not self.word(word):
            self.fail(f"unexpected token: '{self.token.text}' (expecting {word})")

    def sign(self, sign: str) -> bool:
        if self.token.kind == "sign" and self.token.text == sign:
            self.advance()
            return True
        return False

    def expect_sign(self, sign: str) -> None:
        if not self.sign(sign):
            self.fail(f"expecting '{sign}', found '{self.token.text}'")

    def expect_end(self) -> None:
        if self.token.kind != "end":
            self.fail()

    def following_is(self, sign: str) -> bool:
        after = self.tokens[self.index + 1] if self.index + 1 < len(self.tokens) else None
        return after is not None and after.kind == "sign" and after.text == sign

    def name(self) -> Token:
        if self.token.kind not in ("name", "currency") or self.token.is_word(*_RESERVED):
            self.fail()
        return self.advance()

    # clauses

    def query(self, *, nested: bool) -> Query:
        at = self.token.at
        self.expect_word("SELECT")
        select = [self.item(nested)]
        while self.sign(","):
            select.append(self.item(nested))
        self.expect_word("FROM")
        # Group is an object too: a keyword only where BY follows
        source = self.path() if not self.token.is_word("GROUP") else Path(("Group",), self.advance().at)
        alias = self.optional_alias()
        aliases: dict[str, tuple[str, ...]] = {}
        while self.sign(","):
            joined = self.path()
            joined_alias = self.optional_alias()
            if joined_alias is None or len(joined.parts) < 2:
                self.fail("only one entity is allowed; a further one is a parent path with an alias")
            aliases[joined_alias.lower()] = joined.parts
        if self.word("USING"):
            self.expect_word("SCOPE")
            scope = self.name()
            if scope.text.upper() != "EVERYTHING":
                self.fail(f"Invalid scope: {scope.text}", scope)
        where = self.condition(0) if self.word("WHERE") else None
        group_by: list[Expression] = []
        having = None
        if self.word("GROUP"):
            self.expect_word("BY")
            if self.token.is_word("ROLLUP", "CUBE") and self.following_is("("):
                self.fail(f"GROUP BY {self.token.text.upper()} is not supported here")
            group_by.append(self.expression())
            while self.sign(","):
                group_by.append(self.expression())
        if self.word("HAVING"):
            having = self.condition(0)
        order_by: list[Ordering] = []
        if self.word("ORDER"):
            self.expect_word("BY")
            order_by.append(self.ordering())
            while self.sign(","):
                order_by.append(self.ordering())
        limit = self.count("LIMIT") if self.word("LIMIT") else None
        offset = self.count("OFFSET") if self.word("OFFSET") else None
        if self.word("FOR") and not self.word("VIEW", "REFERENCE", "UPDATE"):
            self.fail()
        all_rows = False
        if self.word("ALL"):
            self.expect_word("ROWS")
            all_rows = True
        return Query(
            tuple(select),
            source,
            alias,
            where,
            tuple(group_by),
            having,
            tuple(order_by),
            limit,
            offset,
            all_rows,
            at,
            aliases,
        )

    def optional_alias(self) -> str | None:
        if self.token.kind == "name" and not self.token.is_word(*_RESERVED):
            return self.advance().text
        return None

    def item(self, nested: bool) -> Item | AllFields | Query:
        if self.token.kind == "sign" and self.token.text == "(":
            if nested:
                self.fail("a subquery cannot be nested in a subquery")
            self.advance()
            inner = self.query(nested=True)
            self.expect_sign(")")
            return inner
        if self.token.is_word("FIELDS") and self.following_is("("):
            at = self.advance().at
            self.advance()
            which = self.advance()
            if not which.is_word("ALL", "STANDARD", "CUSTOM"):
                self.fail(None, which)
            self.expect_sign(")")
            return AllFields(which.text.upper(), at)
        if self.token.is_word("TYPEOF"):
            self.fail("TYPEOF is not supported here")
        expression = self.expression()
        return Item(expression, self.optional_alias())

    def path(self) -> Path:
        first = self.name()
        parts = [first.text]
        while self.sign("."):
            part = self.token
            if part.kind not in ("name", "currency"):
                self.fail()
            parts.append(self.advance().text)
        if len(parts) > 6:
            self.fail("SOQL relationships may not be more than 5 levels deep", first)
        return Path(tuple(parts), first.at)

    def expression(self, depth: int = 0) -> Expression:
        if self.token.kind == "name" and self.following_is("("):
            if depth > 2:
                self.fail("functions cannot be nested that deep")
            token = self.name()
            self.advance()
            argument = None
            if not (self.token.kind == "sign" and self.token.text == ")"):
                argument = self.expression(depth + 1)
            self.expect_sign(")")
            return Call(token.text.upper(), argument, token.at)
        return self.path()

    def ordering(self) -> Ordering:
        expression = self.expression()
        descending = False
        if self.word("DESC"):
            descending = True
        else:
            self.word("ASC")
        nulls_first = None
        if self.word("NULLS"):
            if self.word("FIRST"):
                nulls_first = True
            elif self.word("LAST"):
                nulls_first = False
            else:
                self.fail()
        return Ordering(expression, descending, nulls_first)

    def count(self, clause: str) -> int:
        token = self.advance()
        if token.kind != "number" or not token.text.isdigit() or len(token.text) > 9:
            self.fail(f"{clause} takes a whole number, found '{token.text}'", token)
        return int(token.text)

    # conditions

    def condition(self, depth: int) -> Condition:
        if depth > _MAX_DEPTH:
            self.fail("conditions are nested too deep")
        terms = [self.term(depth)]
        operator = ""
        while self.token.is_word("AND", "OR"):
            word = self.token.text.upper()
            if operator and word != operator:
                # the service wants parentheses here instead of a rule of precedence
                self.fail()
            operator = word
            self.advance()
            terms.append(self.term(depth))
        return terms[0] if len(terms) == 1 else Logic(operator, tuple(terms))

    def term(self, depth: int) -> Condition:
        if depth > _MAX_DEPTH:
            self.fail("conditions are nested too deep")
        if self.word("NOT"):
            return Logic("NOT", (self.term(depth + 1),))
        if self.sign("("):
            inner = self.condition(depth + 1)
            self.expect_sign(")")
            return inner
        return self.comparison()

    def comparison(self) -> Comparison:
        at = self.token.at
        left = self.expression()
        operator = self.token
        if operator.kind == "sign" and operator.text in ("=", "!=", "<>", "<", "<=", ">", ">="):
            self.advance()
            return Comparison(left, "!=" if operator.text == "<>" else operator.text, self.literal(), at)
        if self.word("LIKE"):
            value = self.literal()
            return Comparison(left, "LIKE", value, at)
        if self.token.is_word("INCLUDES", "EXCLUDES"):
            self.advance()
            return Comparison(left, operator.text.upper(), self.literals(), at)
        negated = self.word("NOT")
        if self.word("IN"):
            return Comparison(left, "NOT IN" if negated else "IN", self.literals_or_query(), at)
        return self.fail()

    def literals_or_query(self) -> tuple[Literal, ...] | Query:
        if self.following_word("SELECT"):
            self.expect_sign("(")
            query = self.query(nested=True)
            self.expect_sign(")")
            return query
        return self.literals()

    def following_word(self, word: str) -> bool:
        return self.tokens[min(self.index + 1, len(self.tokens) - 1)].is_word(word)

    def literals(self) -> tuple[Literal, ...]:
        self.expect_sign("(")
        values = [self.literal()]
        while self.sign(","):
            values.append(self.literal())
        self.expect_sign(")")
        return tuple(values)

    def literal(self) -> Literal:
        token = self.advance()
        if token.kind in ("string", "number", "currency", "date", "datetime"):
            return Literal(token.kind, token.text, token.at, token.pattern)
        word = token.text.upper()
        if token.kind == "name":
            if word in ("TRUE", "FALSE"):
                return Literal("boolean", word.lower(), token.at)
            if word == "NULL":
                return Literal("null", word, token.at)
            if word in _DATE_LITERALS:
                return Literal("date_literal", word, token.at)
            if _N_LITERAL.fullmatch(word) or _AGO_LITERAL.fullmatch(word):
                self.expect_sign(":")
                n = self.count(word)
                if n > _MAX_N:
                    self.fail(f"{word} takes a number up to {_MAX_N}", token)
                return Literal("date_literal", word, token.at, n=n)
            if word in _RESERVED:
                self.fail(None, token)
            self.fail(f"Bind variables only allowed in Apex code, and '{token.text}' is no literal", token)
        return self.fail(None, token)
