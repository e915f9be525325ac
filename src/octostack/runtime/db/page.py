# SPDX-License-Identifier: Apache-2.0
"""Pages of a list by key, not by offset: a page costs the same wherever it starts."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from octostack.base.errors import Invalid


class Page(msgspec.Struct, frozen=True):
    """Which part of a list is asked for, and in which order.

    `sort` is pairs of column name and ``asc`` or ``desc``; the last should be unique. `marker` is
    the id of the last item of the page before.
    """

    limit: int | None = None
    marker: str | None = None
    sort: tuple[tuple[str, str], ...] = (("created_at", "desc"), ("id", "desc"))
    reverse: bool = False


def paged(
    stmt: sa.Select[Any],
    columns: Mapping[str, sa.ColumnElement[Any]],
    page: Page,
    after: Mapping[str, Any] | None = None,
) -> sa.Select[Any]:
    """`stmt` in the order of `page`, after the marker row `after`, cut to the limit.

    `columns` are those that may be sorted by; NULLs come first in ascending order on every
    engine. With `page.reverse` the order is turned round; the caller turns the rows back.
    Raises Invalid for an unknown key.
    """
    terms = []
    for key, direction in page.sort:
        if key not in columns:
            raise Invalid(f"'{key}' cannot be sorted by", code="page.sort_key", field="sort_key")
        terms.append((columns[key], (direction == "desc") != page.reverse, key))
    for column, descending, _key in terms:
        if getattr(column, "nullable", True):  # an order by index alone where there are no NULLs
            nulls_low = sa.case((column.is_(None), 0), else_=1)
            stmt = stmt.order_by(nulls_low.desc() if descending else nulls_low)
        stmt = stmt.order_by(column.desc() if descending else column)
    if after is not None:
        stmt = stmt.where(_beyond([(c, d, after[k]) for c, d, k in terms]))
    return stmt.limit(page.limit) if page.limit is not None else stmt


def _beyond(terms: list[tuple[sa.ColumnElement[Any], bool, Any]]) -> sa.ColumnElement[bool]:
    """Rows after the given values in lexicographic order, NULL counted lowest."""
    choices = []
    for i, (column, descending, value) in enumerate(terms):
        equal = [
            c.is_(None) if v is None else c == v  # the terms before this one are equal
            for c, _d, v in terms[:i]
        ]
        choices.append(sa.and_(*equal, _past(column, descending, value)))
    return sa.or_(*choices)


def _past(column: sa.ColumnElement[Any], descending: bool, value: Any) -> sa.ColumnElement[bool]:
    if value is None:
        return sa.false() if descending else column.is_not(None)
    return sa.or_(column < value, column.is_(None)) if descending else sa.and_(column > value)
