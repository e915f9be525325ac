# SPDX-License-Identifier: Apache-2.0
"""How a handler finds what a path names, and refuses what the caller may not see or do."""

import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from octostack.base import clock
from octostack.base.errors import Invalid, NotFound
from octostack.runtime.http import Request, Schema
from octostack.services.compute.core import states
from octostack.services.compute.model import Order, Server
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import servers

H = TypeVar("H")
_P = "os_compute_api:"
UNLOCK_OVERRIDE = _P + "os-lock-server:unlock:unlock_override"


def is_admin(req: Request) -> bool:
    """Does policy call the caller an administrator?"""
    return req.allowed("context_is_admin", {})


async def server(app: App, req: Request, rule: str | None = None) -> Server:
    """The server of the path, authorized. What another project owns is not found."""
    server_id = req.params["server_id"]
    async with app.cell_db.read() as tx:
        found = await servers.find(tx, server_id)
    if found is None or (found.project_id != req.caller.project_id and not is_admin(req)):
        raise NotFound(f"Instance {server_id} could not be found.", code="InstanceNotFound")
    req.authorize(target_of(found), rule)
    return found


async def server_for(app: App, req: Request, action: str, rule: str | None = None) -> Server:
    """The server of the path, not locked against the caller and in a state for `action`."""
    found = await server(app, req, rule)
    states.refuse_locked(found, may_override=may_override_lock(req, found))
    states.check(action, found)
    return found


def target_of(found: Server) -> dict[str, Any]:
    """What rules compare with the caller."""
    return {"project_id": found.project_id, "user_id": found.user_id}


def own(req: Request) -> dict[str, Any]:
    """The caller as a target."""
    return {"project_id": req.caller.project_id, "user_id": req.caller.user_id}


def may_override_lock(req: Request, found: Server) -> bool:
    """An administrator is not stopped by a lock."""
    return req.allowed(UNLOCK_OVERRIDE, target_of(found))


def action(req: Request, known: Mapping[str, tuple[str, Schema, H]]) -> tuple[str, H]:
    """The one action that the body names, and its handler: authorized, the body checked.

    `known` has rule, schema and handler by name. Raises Invalid, Forbidden.
    """
    if not isinstance(req.body, dict) or len(req.body) != 1:
        raise Invalid("There must be exactly one action in the body", field="body")
    (name,) = req.body
    if name not in known:
        raise Invalid(f"There is no such action: {str(name)[:100]}", field="body")
    rule, schema, handler = known[name]
    req.authorize(own(req), rule)
    schema.check(req.body)
    return name, handler


def next_links(req: Request, marker: str) -> list[dict[str, str]]:
    """The link to the page after `marker`, as each list of this API has it."""
    pairs = [(k, v) for k, v in req.query if k != "marker"]
    query = urlencode([*pairs, ("marker", marker)])
    return [{"rel": "next", "href": f"{req.base_url}{req.path}?{query}"}]


def order(
    req: Request,
    config_max: int,
    sort_keys: dict[str, str],
    default: tuple[tuple[str, str], ...],
) -> Order:
    """Limit, marker and sorting of a list; `sort_keys` maps the API's names to columns."""
    limit = whole_number(req, "limit")
    keys, directions = req.query.all("sort_key"), req.query.all("sort_dir")
    for direction in directions:
        if direction not in ("asc", "desc"):
            raise Invalid(
                f"Unknown sort direction, must be one of: asc, desc: {direction[:50]}",
                field="sort_dir",
            )
    pairs = []
    for i, key in enumerate(keys):
        if key not in sort_keys:
            raise Invalid(f"Sort key supplied is not valid: {key[:100]}", field="sort_key")
        pairs.append((sort_keys[key], directions[i] if i < len(directions) else "desc"))
    if not keys and directions:
        pairs = [(k, directions[0]) for k, _ in default]
    sort = tuple(dict(pairs or default).items())
    last = default[-1]
    if last[0] not in dict(sort):
        sort = (*sort, last)
    return Order(
        sort=sort,
        limit=config_max if limit is None else min(limit, config_max),
        marker=req.query.get("marker") or None,
    )


def whole_number(req: Request, name: str) -> int | None:
    """A non-negative number of the query. Raises Invalid."""
    text = req.query.get(name)
    if text is None or text == "":
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise Invalid(
            f"Invalid input for query parameters {name}. Value: {text[:50]}. "
            f"'{text[:50]}' does not match '^[0-9]*$'",
            field=name,
        )
    return int(text)


def moment(req: Request, name: str) -> float | None:
    """A time of the query. Raises Invalid."""
    text = req.query.get(name)
    if text is None:
        return None
    try:
        return clock.parse_iso(text.replace(" ", "+") if "T" in text else text)
    except (ValueError, OverflowError) as e:
        raise Invalid(f"Invalid filter field: {name}.", field=name) from e
