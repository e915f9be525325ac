# SPDX-License-Identifier: Apache-2.0
"""All APIs of a process at one address, each from the moment it is open.

A process listens before its parts are built. The first segment of a path says whose request it is;
a part that is still on its way answers 503 with Retry-After, in its API's own form.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import falcon.asgi

from octostack.base.errors import Unavailable
from octostack.runtime.http.api import Api, Faults
from octostack.runtime.http.app import Asgi, Authenticator, Dispatcher, Observer, asgi_app


class Front:
    """An ASGI application that grows."""

    def __init__(self, authenticator: Authenticator, observe: Observer | None = None) -> None:
        self._authenticator = authenticator
        self._observe = observe
        self._apps: dict[str, Asgi] = {}
        self._nowhere = asgi_app((), authenticator)

    def expect(self, name: str, prefix: str, faults: Faults) -> None:
        """Until it opens, tell clients of the API at `prefix` to come again."""
        api = Api(name=name, prefix=prefix, routes=(), faults=faults, app=None)
        app = falcon.asgi.App()
        app.add_sink(_Closed(api, self._authenticator, self._observe or _nothing).sink)
        self._apps[_first(prefix)] = app

    def pass_on(self, prefix: str, app: Asgi) -> None:
        """What comes for `prefix` is another application's."""
        self._apps[_first(prefix)] = app

    def open(self, apis: Iterable[Api]) -> None:
        """Answer requests for `apis`; no two calls may share a first segment."""
        groups: dict[str, list[Api]] = defaultdict(list)
        for api in apis:
            groups[_first(api.prefix)].append(api)
        for first, group in groups.items():
            self._apps[first] = asgi_app(group, self._authenticator, self._observe)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        app = self._apps.get(_first(scope.get("path", "")), self._nowhere)
        await app(scope, receive, send)


class _Closed(Dispatcher):
    """An API that is not there yet."""

    async def dispatch(self, request: Any, req: Any, resp: Any, found: Any) -> None:
        raise Unavailable("The service is starting: try again in a second.", code="http.starting")


def _first(path: str) -> str:
    return path[1:].partition("/")[0]


def _nothing(_api: str, _method: str, _path: str, _status: int, _took_s: float) -> None:
    return None
