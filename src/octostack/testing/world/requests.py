# SPDX-License-Identifier: Apache-2.0
"""A right request for every route, out of the route tables themselves."""

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import msgspec

from octostack.runtime.http import Api, Route, Schema, Versions
from octostack.runtime.http.versions import show
from octostack.services.compute.api import actions as compute_actions
from octostack.services.compute.api import aggregates, flavors
from octostack.testing.world import compute, identity, image, network, placement

TABLES: dict[str, ModuleType] = {
    "identity": identity,
    "image": image,
    "placement": placement,
    "compute": compute,
    "network": network,
}
PREFIXES = {name: table.PREFIX for name, table in TABLES.items()}
_PARAM = re.compile(r"\{(\w+)(?::path)?\}")
_ACTIONS = {
    "POST /servers/{server_id}/action": tuple(compute_actions.ACTIONS),
    "POST /flavors/{flavor_id}/action": tuple(flavors.ACTIONS),
    "POST /os-aggregates/{aggregate_id}/action": tuple(aggregates.ACTIONS),
}


class Case(msgspec.Struct, frozen=True):
    """A route (or one action of it), and a right request to it, with placeholders."""

    name: str  # "PUT /routers/{id}", "POST /servers/{server_id}/action os-stop"
    api: Api
    route: Route
    url: str
    body: Any
    headers: dict[str, str]
    schema: Schema | None
    uses_up: bool  # what it acted on is of no use to a second request

    @property
    def method(self) -> str:
        """The method, as it is sent."""
        return self.route.method


def cases(api: Api) -> Iterator[Case]:
    """Every route of an API, and every action. Raises LookupError for one without its line."""
    for route in api.routes:
        if route.method == "WEBSOCKET":
            continue
        version = _version(api, route)
        limited = version is not None and api.microversions and version < api.microversions.maximum
        name = f"{route.method} {route.path}"
        name += f" to {show(version)}" if limited and version else ""
        for action in _ACTIONS.get(f"{route.method} {route.path}", ("",)) if _known(api) else ("",):
            yield _case(api, route, f"{name} {action}".rstrip(), action)


def _known(api: Api) -> bool:
    return api.name in TABLES


def _case(api: Api, route: Route, name: str, action: str) -> Case:
    table = TABLES.get(api.name)
    version = _version(api, route)
    if action and api.name == "compute" and "server_id" in route.path:
        found = compute_actions.ACTIONS[action]
        version = min(version or found.until, found.until)
    headers = dict(getattr(table, "HEADERS", {}).get(name, {}))
    if api.microversions and version:
        headers["openstack-api-version"] = f"{api.microversions.service_type} {show(version)}"
    query = getattr(table, "QUERIES", {}).get(name, "")
    path = _PARAM.sub(lambda m: _param(api.name, name, route.path, m[1]), route.path)
    one = route.method == "DELETE" or name in getattr(table, "USES_UP", ())
    schema = route.body.at(version or (0, 0)) if isinstance(route.body, Versions) else route.body
    return Case(
        name=name,
        api=api,
        route=route,
        url=api.prefix + path + (f"?{query}" if query else ""),
        body=_body(table, name, route, action),
        headers=headers,
        schema=schema,
        uses_up=one or (bool(action) and "server_id" in route.path),
    )


def _version(api: Api, route: Route) -> tuple[int, int] | None:
    return min(route.until, api.microversions.maximum) if api.microversions else None


def _param(api: str, name: str, path: str, param: str) -> str:
    """The placeholder for a path's parameter: said for the route, its collection, or the API."""
    params: dict[str, str] = TABLES[api].PARAMS
    before = path[: path.index(f"{{{param}}}")].rstrip("/").rsplit("/", 1)[-1]
    base = name.partition(" to ")[0]
    for key in (f"{name}.{param}", f"{base}.{param}", f"{path.split('/')[1]}.{param}",
                f"{before}.{param}", param):  # fmt: skip
        if key in params:
            return params[key]
    collection = path.split("/")[1]
    if f"{before}.{param}" in TABLES[api].THINGS:
        return f"{{{before}.{param}}}"
    if param == "tag" and f"{collection}.tag" in TABLES[api].THINGS:
        return f"{{{collection}.tag}}"
    guess = collection if param == "id" else param.removesuffix("_id")
    if guess in TABLES[api].THINGS or param in TABLES[api].THINGS:
        return f"{{{guess if guess in TABLES[api].THINGS else param}}}"
    raise LookupError(f"{api}: {name}: nothing is said of {{{param}}}")


def _body(table: ModuleType | None, name: str, route: Route, action: str) -> Any:
    bodies: dict[str, Any] = getattr(table, "BODIES", {})
    for key in (name, f"{route.method} {route.path}"):
        if key in bodies:
            return bodies[key]
    if action:
        return {action: compute.ACTIONS.get(action)}
    if route.body is not None:
        raise LookupError(f"{name} has a body and no line in BODIES")
    return None
