# SPDX-License-Identifier: Apache-2.0
"""What one noun adds to `crud`: how it is made, changed and removed, and what it shows besides."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from octostack.contracts.identity import Caller
from octostack.services.network.api.app import App, Op, owned
from octostack.services.network.schema.resource import Resource

Values = dict[str, Any]


async def no_extras(_op: Op, found: Sequence[Any]) -> list[Values]:
    """Nothing is shown but the row."""
    return [{} for _ in found]


async def plain_targets(_op: Op, found: Sequence[Any]) -> list[Values]:
    """Rules ask for nothing but the owner."""
    return [owned(row.project_id) for row in found]


async def plain_new_target(_op: Op, values: Values) -> Values:
    """Rules on a new one ask for nothing but the owner."""
    return owned(values["project_id"])


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """The functions of one noun.

    `missing` is the fault's name and the key of the id in its text. `targets` and `new_target` are
    what policy rules may ask; `extras` are the attributes worked out from other rows, in the
    order of the rows. `quota`: the name its number is limited under. `before_list` may write.
    `late_filters` are attributes that no column holds, compared in what is shown.
    """

    resource: Resource
    missing: tuple[str, str]
    create: Callable[[Op, Values], Awaitable[Any]] | None = None
    update: Callable[[Op, Any, Values], Awaitable[Any]] | None = None
    delete: Callable[[Op, Any], Awaitable[None]] | None = None
    extras: Callable[[Op, Sequence[Any]], Awaitable[list[Values]]] = no_extras
    targets: Callable[[Op, Sequence[Any]], Awaitable[list[Values]]] = plain_targets
    new_target: Callable[[Op, Values], Awaitable[Values]] = plain_new_target
    quota: str = ""
    before_list: Callable[[App, Caller], Awaitable[None]] | None = None
    late_filters: frozenset[str] = frozenset()
    check_bulk: Callable[[list[Values]], None] | None = None
