# SPDX-License-Identifier: Apache-2.0
"""HTTP for every service: a route table in, an ASGI application out.

A request goes: negotiate the version (`versions`), pick the route (`route`), ask who is calling
(`auth`), check the policy rule, read and validate the body (`body`), run the handler, write the
answer. Whatever is raised on the way is answered in the service's own form (`faults`). All of
that is one screen in `app`.
"""

from octostack.runtime.http.api import Api
from octostack.runtime.http.body import Schema, Versions, masked, schema, versions
from octostack.runtime.http.faults import Fault, method_not_allowed
from octostack.runtime.http.inner import Inner
from octostack.runtime.http.request import Disconnected, Query, Request, Response, WebSocket
from octostack.runtime.http.route import (
    ANY,
    PUBLIC,
    Route,
    delete,
    get,
    head,
    patch,
    post,
    put,
    websocket,
)
from octostack.runtime.http.versions import Fixed, Microversions

__all__ = [
    "ANY",
    "PUBLIC",
    "Api",
    "Disconnected",
    "Fault",
    "Fixed",
    "Inner",
    "Microversions",
    "Query",
    "Request",
    "Response",
    "Route",
    "Schema",
    "Versions",
    "WebSocket",
    "delete",
    "get",
    "head",
    "masked",
    "method_not_allowed",
    "patch",
    "post",
    "put",
    "schema",
    "versions",
    "websocket",
]
