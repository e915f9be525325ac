# SPDX-License-Identifier: Apache-2.0
"""Security groups in Compute's own words (to 2.35); they live in Network, and it decides."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from octostack.base.errors import Conflict, Invalid
from octostack.contracts.api import ApiCall
from octostack.runtime.http import Request
from octostack.services.compute.api import lookup
from octostack.services.compute.api.asking import fetch, send
from octostack.services.compute.schema import security_groups as schema
from octostack.services.compute.schema import terms
from octostack.services.compute.store.app import App

_GROUPS, _RULES = "/security-groups", "/security-group-rules"
Group = dict[str, Any]


async def index(app: App, req: Request) -> Any:
    """GET /os-security-groups"""
    everyone = lookup.is_admin(req) and "all_tenants" in req.query
    query = {} if everyone else {"tenant_id": req.caller.project_id or ""}
    found = (await fetch(app.network, req, _GROUPS, query))["security_groups"]
    limit, offset = lookup.whole_number(req, "limit"), lookup.whole_number(req, "offset") or 0
    most = app.config.max_limit if limit is None else min(limit, app.config.max_limit)
    return {"security_groups": await _views(app, req, found[offset : offset + most])}


async def show(app: App, req: Request) -> Any:
    """GET /os-security-groups/{group_id}"""
    [view] = await _views(app, req, [await _get(app, req, _id(req, "group_id"))])
    return {"security_group": view}


async def create(app: App, req: Request) -> Any:
    """POST /os-security-groups"""
    made = await send(app.network, req, ApiCall(method="POST", path=_GROUPS), _body(req))
    [view] = await _views(app, req, [made["security_group"]])
    return {"security_group": view}


async def update(app: App, req: Request) -> Any:
    """PUT /os-security-groups/{group_id}"""
    call = ApiCall(method="PUT", path=f"{_GROUPS}/{_id(req, 'group_id')}")
    with _invalid():
        changed = await send(app.network, req, call, _body(req))
    [view] = await _views(app, req, [changed["security_group"]])
    return {"security_group": view}


async def delete(app: App, req: Request) -> None:
    """DELETE /os-security-groups/{group_id}"""
    with _invalid():
        call = ApiCall(method="DELETE", path=f"{_GROUPS}/{_id(req, 'group_id')}")
        await send(app.network, req, call)


async def create_rule(app: App, req: Request) -> Any:
    """POST /os-security-group-rules"""
    asked = req.body["security_group_rule"]
    parent = await _get(app, req, asked["parent_group_id"])
    remote = await _get(app, req, asked["group_id"]) if asked.get("group_id") else None
    wanted = schema.new_rule(asked)
    if any(_same(known, wanted) for known in parent["security_group_rules"]):
        raise Invalid(f"This rule already exists in group {parent['id']}")
    call = ApiCall(method="POST", path=_RULES)
    with _invalid():
        made = await send(app.network, req, call, {"security_group_rule": wanted})
    names = schema.names_of([remote] if remote else [])
    return {"security_group_rule": schema.rule(made["security_group_rule"], names)}


async def delete_rule(app: App, req: Request) -> None:
    """DELETE /os-security-group-rules/{rule_id}"""
    await send(app.network, req, ApiCall(method="DELETE", path=f"{_RULES}/{_id(req, 'rule_id')}"))


async def list_of_server(app: App, req: Request) -> Any:
    """GET /servers/{server_id}/os-security-groups"""
    server = await lookup.server(app, req)
    ports = (await app.network.list_ports((server.id,))).get(server.id, [])
    ids = sorted({id_ for p in ports for id_, _name in p.security_groups})
    found = (await fetch(app.network, req, _GROUPS, {"id": ids}))["security_groups"] if ids else []
    return {"security_groups": await _views(app, req, found)}


async def _get(app: App, req: Request, group_id: str) -> Group:
    found: Group = (await fetch(app.network, req, f"{_GROUPS}/{group_id}"))["security_group"]
    return found


async def _views(app: App, req: Request, found: Sequence[Group]) -> list[Group]:
    """The groups by owner and name, with the names of those their rules let in."""
    names = schema.names_of(found)
    remote = {r["remote_group_id"] for g in found for r in g["security_group_rules"]}
    others = sorted(remote - {None} - names.keys())
    if others:
        query = {"id": others, "fields": ["id", "name", "project_id"]}
        named = await fetch(app.network, req, _GROUPS, query)
        names |= schema.names_of(named["security_groups"])
    views = [schema.group(g, names) for g in found]
    return sorted(views, key=lambda v: (v["tenant_id"], v["name"]))


def _same(known: Group, wanted: Group) -> bool:
    keys = ("direction", "protocol", "port_range_min", "port_range_max", "remote_group_id")
    prefixes = {known["remote_ip_prefix"], wanted["remote_ip_prefix"]}
    alike = len(prefixes) == 1 or prefixes == {None, schema.ANYWHERE}
    return alike and all(known[k] == wanted[k] for k in keys)


def _body(req: Request) -> Any:
    asked = req.body["security_group"]
    return {"security_group": {k: asked[k] for k in ("name", "description")}}


def _id(req: Request, name: str) -> str:
    value = req.params[name]
    if not terms.is_uuid(value):
        raise Invalid(f"Security group id {value[:100]} should be a uuid", field="id")
    return value


@contextmanager
def _invalid() -> Iterator[None]:
    """What Network calls a conflict was a bad request to Compute."""
    try:
        yield
    except Conflict as e:
        raise Invalid(e.message, code=e.code) from e
