# SPDX-License-Identifier: Apache-2.0
"""Statements run on the SQLite driver itself.

SQLAlchemy makes the statement and compiles it, once for each shape, as ever. What it does for each
execution (contexts, cursors' results, look-ups by column) costs ten times what SQLite takes for a
row by its key; here that is a list of values in and rows out. A statement for which values are to
be made in Python (a column with a ``default``) is left to SQLAlchemy.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.engine.row import Row
from sqlalchemy.util import LRUCache

from octostack.runtime.db.tx import Rows
from octostack.runtime.db.typed import Typed

STATEMENTS_KEPT = 1000
LENGTHS_KEPT = 32  # of lists, for one statement

Processor = Callable[[Any], Any]
# For each place in the SQL: whose value, which one if that is a list, how the driver wants it.
Order = list[tuple[str, int | None, Processor | None]]
_Planned = tuple["_Plan", Any, Any]  # with the statement's own values, which the driver is given
_NOTHING: Mapping[Any, Any] = {}
_KEY_MADE = "_generate_cache_key"  # where SQLAlchemy remembers the shape of a statement


class Found:
    """A result."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: Sequence[sa.Row[Any]], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def all(self) -> Sequence[sa.Row[Any]]:
        """Every row."""
        return self._rows

    def first(self) -> sa.Row[Any] | None:
        """The first row, or None."""
        return self._rows[0] if self._rows else None

    def scalar(self) -> Any:
        """The first column of the first row, or None."""
        return self._rows[0][0] if self._rows else None


class Direct:
    """One connection of the driver, with what was compiled for it."""

    def __init__(self, driver: sqlite3.Connection, dialect: Dialect) -> None:
        self._driver = driver
        self._dialect = dialect
        self._compiled: LRUCache[Any, Any] = LRUCache(STATEMENTS_KEPT)
        self._plans: LRUCache[int, _Plan] = LRUCache(STATEMENTS_KEPT)
        # Of statements that are made once: for them not even the shape is worked out again.
        self._known: WeakKeyDictionary[Any, dict[tuple[str, ...], _Planned]] = WeakKeyDictionary()

    def execute(self, stmt: Any, rows: Rows) -> Found | None:
        """Run `stmt`, once for each of `rows` if there are several; None if it needs SQLAlchemy.

        Raises SQLAlchemyError.
        """
        many: list[Any] = [rows] if isinstance(rows, Mapping) else list(rows or ())
        names = tuple(sorted(many[0])) if many else ()
        planned = self._known.get(stmt, _NOTHING).get(names) if len(many) < 2 else None
        if planned is None:
            planned = self._plan(stmt, names, len(many) > 1)
            if planned is None:
                return None
        plan, extracted, collected = planned
        runs = [plan.values(one, extracted, collected) for one in many or [None]]
        sql, values = runs[0]
        try:
            if len(runs) > 1:
                cursor = self._driver.executemany(sql, [values for _sql, values in runs])
            else:
                cursor = self._driver.execute(sql, values)
            found = cursor.fetchall() if cursor.description is not None else []
        except sqlite3.Error as e:
            raise exc.DBAPIError.instance(sql, None, e, sqlite3.Error, dialect=self._dialect) from e
        return Found(plan.rows(found), cursor.rowcount)

    def _plan(self, stmt: Any, names: tuple[str, ...], many: bool) -> "_Planned | None":
        """The plan for a statement of this shape, with this one's own values."""
        is_used_again = _KEY_MADE in stmt.__dict__
        compiled, extracted, collected, _hit = stmt._compile_w_cache(
            self._dialect,
            compiled_cache=self._compiled,
            column_keys=list(names),
            for_executemany=many,
        )
        if compiled.insert_prefetch or compiled.update_prefetch:
            return None
        plan = self._plans.get(id(compiled))
        if plan is None:
            plan = self._plans[id(compiled)] = _Plan(compiled, self._dialect)
        planned = plan, extracted, collected
        if is_used_again and not many:
            self._known.setdefault(stmt, {})[names] = planned
        return planned


class _Plan:
    """How values go into a compiled statement, and how its rows come out."""

    def __init__(self, compiled: Any, dialect: Dialect) -> None:
        self.compiled = compiled  # kept, so that its id stays its own
        self._order: Order = [
            (name, None, compiled._bind_processors.get(name)) for name in compiled.positiontup or ()
        ]
        self._lists = tuple(compiled.bind_names[b] for b in compiled.post_compile_params)
        self._literal = bool(compiled.literal_execute_params)
        self._expanded: LRUCache[tuple[int, ...], tuple[str, Order]] = LRUCache(LENGTHS_KEPT)
        self._sources = self._find_sources()
        columns = compiled._result_columns
        out = [_out_of(entry.type, dialect) for entry in columns]
        self._out = [(n, processor) for n, processor in enumerate(out) if processor is not None]
        self._columns = SimpleResultMetaData([entry.keyname for entry in columns])

    def _find_sources(self) -> tuple[tuple[str, Any, int], ...]:
        """Each value's name, its parameter, and its place among a statement's own values."""
        compiled, place = self.compiled, {}
        if compiled.cache_key is not None:
            same, _ = compiled._cache_key_bind_match
            place = {b: n for n, kept in enumerate(compiled.cache_key[1]) for b in same[kept]}
        return tuple((name, b, place.get(b, -1)) for b, name in compiled.bind_names.items())

    def values(self, row: Any, extracted: Any, collected: Any) -> tuple[str, list[Any]]:
        """The SQL and the values in its order. Raises SQLAlchemyError when one is missing."""
        if collected or self._literal:
            named = self.compiled.construct_params(
                row, extracted_parameters=extracted, escape_names=False, _collected_params=collected
            )
        else:
            named = {name: _value(name, bind, place, row, extracted)
                     for name, bind, place in self._sources}  # fmt: skip
        sql, order = self.compiled.string, self._order
        if self._literal:
            sql, order = self._expand(named)
        elif self._lists:
            lengths = tuple(len(named[name]) for name in self._lists)
            if lengths not in self._expanded:
                self._expanded[lengths] = self._expand(named)
            sql, order = self._expanded[lengths]
        found = []
        for name, at, into in order:
            value = named[name] if at is None else named[name][at]
            found.append(into(value) if into is not None else value)
        return sql, found

    def _expand(self, named: dict[str, Any]) -> tuple[str, Order]:
        """For ``IN (...)``, whose SQL depends on how many values there are."""
        state = self.compiled._process_parameters_for_postcompile(dict(named))
        into = {**self.compiled._bind_processors, **state.processors}
        whence = {
            one: (name, at)
            for name, ones in state.parameter_expansion.items()
            for at, one in enumerate(ones)
        }
        order = [(*whence.get(one, (one, None)), into.get(one)) for one in state.positiontup or ()]
        return state.statement, order

    def rows(self, found: list[Any]) -> list[Row[Any]]:
        """What the driver gave as rows with names."""
        parent, index = self._columns, self._columns._key_to_index
        if self._out:
            found = [self._read(row) for row in found]
        return [Row(parent, None, index, row) for row in found]

    def _read(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        values = list(row)
        for n, processor in self._out:
            if values[n] is not None:
                values[n] = processor(values[n])
        return tuple(values)


def _out_of(kind: Any, dialect: Any) -> Processor | None:
    if isinstance(kind, Typed):
        straight: Processor = kind.decode
        return straight
    if isinstance(kind, sa.JSON):  # its own processor is three calls around this one
        decode: Processor = dialect._json_deserializer
        return decode
    processor: Processor | None = kind._cached_result_processor(dialect, None)
    return processor


def _value(name: str, bind: Any, place: int, row: Any, extracted: Any) -> Any:
    if row is not None:
        if bind.key in row:
            return row[bind.key]
        if name in row:
            return row[name]
    if bind.required:
        raise exc.InvalidRequestError(f"A value is required for bind parameter {name!r}")
    return (extracted[place] if place >= 0 else bind).effective_value
