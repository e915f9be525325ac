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

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.engine.row import Row
from sqlalchemy.util import LRUCache

from octostack.runtime.db.tx import Rows

STATEMENTS_KEPT = 1000

Processor = Callable[[Any], Any]
Values = Sequence[Any]


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

    def execute(self, stmt: Any, rows: Rows) -> Found | None:
        """Run `stmt`, once for each of `rows` if there are several; None if it needs SQLAlchemy.

        Raises SQLAlchemyError.
        """
        many: list[Any] = (
            [] if rows is None else [rows] if isinstance(rows, Mapping) else list(rows)
        )
        compiled, extracted, collected, _hit = stmt._compile_w_cache(
            self._dialect,
            compiled_cache=self._compiled,
            column_keys=sorted(many[0]) if many else [],
            for_executemany=len(many) > 1,
        )
        if compiled.insert_prefetch or compiled.update_prefetch:
            return None
        plan = self._plans.get(id(compiled))
        if plan is None:
            plan = self._plans[id(compiled)] = _Plan(compiled, self._dialect)
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


class _Plan:
    """How values go into a compiled statement, and how its rows come out."""

    def __init__(self, compiled: Any, dialect: Dialect) -> None:
        self.compiled = compiled  # kept, so that its id stays its own
        self._expands = bool(compiled.post_compile_params or compiled.literal_execute_params)
        self._names = tuple(compiled.positiontup or ())
        self._into: Mapping[str, Processor] = dict(compiled._bind_processors)
        self._sources = None if self._expands else self._find_sources()
        columns = compiled._result_columns
        out = [entry.type._cached_result_processor(dialect, None) for entry in columns]
        self._out = tuple(out) if any(out) else ()
        self._columns = SimpleResultMetaData([entry.keyname for entry in columns])

    def _find_sources(self) -> tuple[tuple[str, int, Any, Processor | None], ...]:
        """Each value's name, its place among those of a statement of this shape, and its own."""
        compiled = self.compiled
        place = {}
        if compiled.cache_key is not None:
            same, _ = compiled._cache_key_bind_match
            place = {b: n for n, kept in enumerate(compiled.cache_key[1]) for b in same[kept]}
        by_name = {name: bind for bind, name in compiled.bind_names.items()}
        return tuple(
            (name, place.get(by_name[name], -1), by_name[name], self._into.get(name))
            for name in self._names
        )

    def values(self, row: Any, extracted: Any, collected: Any) -> tuple[str, Values]:
        """The SQL and the values in its order."""
        if self._sources is None or collected:
            return self._expanded(row, extracted, collected)
        found = []
        for name, place, bind, into in self._sources:
            if row is not None and bind.key in row:
                value = row[bind.key]
            elif row is not None and name in row:
                value = row[name]
            elif bind.required:
                raise exc.InvalidRequestError(f"A value is required for bind parameter {name!r}")
            else:
                value = (extracted[place] if place >= 0 else bind).effective_value
            found.append(into(value) if into is not None else value)
        return self.compiled.string, found

    def _expanded(self, row: Any, extracted: Any, collected: Any) -> tuple[str, Values]:
        """For ``IN (...)``, whose SQL depends on how many values there are."""
        params = self.compiled.construct_params(
            row, extracted_parameters=extracted, escape_names=False, _collected_params=collected
        )
        state = self.compiled._process_parameters_for_postcompile(params)
        params |= state.additional_parameters
        into = {**self._into, **state.processors}
        names = state.positiontup or ()
        return state.statement, [into[n](params[n]) if n in into else params[n] for n in names]

    def rows(self, found: list[Any]) -> list[Row[Any]]:
        """What the driver gave as rows with names."""
        parent, index = self._columns, self._columns._key_to_index
        if self._out:
            found = [
                tuple(p(v) if p is not None else v for p, v in zip(self._out, row, strict=True))
                for row in found
            ]
        return [Row(parent, None, index, row) for row in found]
