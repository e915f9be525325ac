# SPDX-License-Identifier: Apache-2.0
"""How one thing is made, as data."""

from typing import Any

import msgspec


class Thing(msgspec.Struct, frozen=True):
    """The request that makes a thing, and where in its answer the id stands.

    `take` is a path into the answer's JSON (``network.id``, ``services.0.id``), ``header:NAME``,
    or ``url`` for the last part of the request's path. `until` is a path and the value that it
    has once the thing is ready.
    """

    request: str  # "POST /networking/v2.0/networks"
    body: Any = None
    take: str = "url"
    by: str = "member"  # a persona
    then: tuple[tuple[str, Any], ...] = ()  # further requests, with {self} for the id
    of: tuple[str, ...] = ()  # the things that it is made of, which go when it goes
    until: tuple[str, str, str] | None = None  # path of a GET, path in its answer, value
