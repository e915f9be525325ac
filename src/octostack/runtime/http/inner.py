# SPDX-License-Identifier: Apache-2.0
"""An API asked by another part of the cloud: the same routes, rules and handlers, no HTTP.

The caller was authenticated where its request came in; a token's access rules were applied there
too and do not count again, as for a request that carries a service's token.
"""

import re
from urllib.parse import urlencode

import msgspec

from octostack.base.errors import Invalid, OctoError
from octostack.contracts.api import ApiCall
from octostack.contracts.identity import Caller
from octostack.runtime.http import app as outer
from octostack.runtime.http.api import Api
from octostack.runtime.http.request import Query, Request, Response
from octostack.runtime.http.route import Route

_PARAM = re.compile(r"\\\{(\w+)(:path)?\\\}")


class Inner:
    """One API, to be asked."""

    def __init__(self, api: Api) -> None:
        self._api = api
        templates: dict[str, list[Route]] = {}
        for route in api.routes:
            templates.setdefault(route.path, []).append(route)
        # A literal segment is before a parameter in the same place, as for falcon.
        self._templates = [
            (_pattern(path), tuple(routes))
            for path, routes in sorted(templates.items(), key=lambda t: t[0].count("{"))
        ]

    async def ask(self, caller: Caller, call: ApiCall) -> bytes:
        """The answer's JSON, empty where there is none. Raises what the API's handlers raise."""
        request = Request(
            call.method,
            call.path,
            Query(urlencode(call.query)),
            {"content-type": call.content_type},
        )
        request.caller, request.request_id = caller, caller.request_id
        routes, request.params = self._find(call.path)
        route = outer.choose(routes, request)
        if route is None:
            raise outer.not_there(routes, request)
        if route.raw:
            raise _only_json(call.path)
        outer.authorize(self._api, route, request)
        if call.body:
            request.body = outer.decode(call.body)
        outer.check(route, request, given=bool(call.body))
        result = await outer.handle(self._api, route, request)
        answer = result if isinstance(result, Response) else Response(result)
        if answer.stream is not None:
            raise _only_json(call.path)
        return b"" if answer.body is None else msgspec.json.encode(answer.body)

    def _find(self, path: str) -> tuple[tuple[Route, ...], dict[str, str]]:
        for pattern, routes in self._templates:
            match = pattern.fullmatch(path)
            if match:
                return routes, match.groupdict()
        return (), {}


def _only_json(path: str) -> OctoError:
    return Invalid(f"{path} takes or gives a stream of bytes, which does not go this way")


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(
        _PARAM.sub(lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", re.escape(path))
    )
