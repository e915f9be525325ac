# SPDX-License-Identifier: Apache-2.0
"""Routes as data: a service's whole API is a tuple of these on one screen."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec

from octostack.runtime.http.body import Schema, Versions
from octostack.runtime.http.request import Request
from octostack.runtime.http.versions import Version, parse

Handler = Callable[[Any, Request], Awaitable[Any]]

PUBLIC = "@public"  # no token asked for
ANY = "@any"  # any valid token; the handler shows only what is the caller's own


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One method on one path, within a range of microversions.

    `rule` is the policy rule; with ``target="caller"`` it is checked on the caller's own scope
    before the handler, with ``target="handler"`` the handler must authorize the target it finds.
    `raw` leaves the body as a stream. `content_types` are accepted besides JSON.
    """

    method: str
    path: str
    handler: Any
    rule: str
    status: int = 200
    body: Schema | Versions | None = None
    query: Schema | Versions | None = None
    target: Literal["caller", "handler"] = "caller"
    since: Version = (0, 0)
    until: Version = (999, 999)
    raw: bool = False
    content_types: tuple[str, ...] = ()

    def serves(self, version: Version) -> bool:
        """Is this route there at `version`?"""
        return self.since <= version <= self.until


def _maker(method: str) -> Callable[..., Route]:
    def make(
        path: str,
        handler: Any,
        *,
        rule: str,
        since: str | None = None,
        until: str | None = None,
        **options: Any,
    ) -> Route:
        return Route(
            method=method,
            path=path,
            handler=handler,
            rule=rule,
            since=parse(since) if since else (0, 0),
            until=parse(until) if until else (999, 999),
            **options,
        )

    make.__doc__ = f"A route for {method}; `since` and `until` are inclusive microversions."
    return make


get = _maker("GET")
head = _maker("HEAD")
post = _maker("POST")
put = _maker("PUT")
patch = _maker("PATCH")
delete = _maker("DELETE")
websocket = _maker("WEBSOCKET")
