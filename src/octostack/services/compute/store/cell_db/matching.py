# SPDX-License-Identifier: Apache-2.0
"""Conditions on names, addresses and metadata that SQLite and PostgreSQL say differently."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from octostack.services.compute.model import Pattern
from octostack.services.compute.store.cell_db.tables import servers


class _Matches(FunctionElement[bool]):
    """Does a text match a regular expression, letters of either case?"""

    name = "matches"
    type = sa.Boolean()
    inherit_cache = True


class _Items(FunctionElement[Any]):
    """The items of a JSON array as rows with a column `value`."""

    name = "items"
    inherit_cache = True


@compiles(_Matches, "sqlite")
def _regexp(element: _Matches, compiler: Any, **options: Any) -> str:
    text, pattern = (compiler.process(c, **options) for c in element.clauses)
    return f"regexp('(?i)' || {pattern}, {text})"


@compiles(_Matches, "postgresql")
def _tilde(element: _Matches, compiler: Any, **options: Any) -> str:
    text, pattern = (compiler.process(c, **options) for c in element.clauses)
    return f"({text} ~* {pattern})"


@compiles(_Items, "sqlite")
def _json_each(element: _Items, compiler: Any, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Items, "postgresql")
def _elements(element: _Items, compiler: Any, **options: Any) -> str:
    return f"json_array_elements({compiler.process(element.clauses, **options)})"


def matches(text: sa.ColumnElement[str], pattern: Pattern) -> sa.ColumnElement[bool]:
    """Is the pattern found in the text?"""
    if pattern.plain:
        return text.icontains(pattern.text, autoescape=True)
    return _Matches(text, sa.literal(pattern.text))


def has_address(pattern: Pattern) -> sa.ColumnElement[bool]:
    """Has a server a fixed address in which the pattern is found?"""
    nic = _Items(servers.c.nics).table_valued("value", name="nic")
    fixed_ips = sa.type_coerce(nic.c.value, sa.JSON)["fixed_ips"]
    fixed = _Items(fixed_ips).table_valued("value", name="fixed")
    address = sa.type_coerce(fixed.c.value, sa.JSON)[0].as_string()
    return sa.exists(
        sa.select(1).select_from(nic.join(fixed, sa.true())).where(matches(address, pattern))
    )


def has_metadata(key: str, value: str) -> sa.ColumnElement[bool]:
    """Has a server this metadata?"""
    held: sa.ColumnElement[str] = servers.c.metadata[key].as_string()
    return held == value
