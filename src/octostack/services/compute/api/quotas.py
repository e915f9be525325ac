# SPDX-License-Identifier: Apache-2.0
"""Quotas, limits and usage."""

from typing import Any

from octostack.base import clock
from octostack.base.errors import Invalid, NotFound
from octostack.runtime.http import Request, Response
from octostack.services.compute.api import lookup
from octostack.services.compute.core import quota
from octostack.services.compute.model import Server
from octostack.services.compute.schema import quotas as schema
from octostack.services.compute.schema import terms
from octostack.services.compute.store.api_db import groups
from octostack.services.compute.store.api_db import quotas as store
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import servers

_P = "os_compute_api:"
_HOUR_S = 3600.0


async def show(app: App, req: Request) -> Any:
    """GET /os-quota-sets/{project_id}"""
    project_id = _authorized(req)
    async with app.api_db.read() as tx:
        limits = await store.effective(tx, project_id, req.query.get("user_id") or "")
    return {"quota_set": {"id": project_id} | _some(limits, req)}


async def show_detail(app: App, req: Request) -> Any:
    """GET /os-quota-sets/{project_id}/detail"""
    project_id = _authorized(req)
    async with app.api_db.read() as tx:
        limits = await store.effective(tx, project_id, req.query.get("user_id") or "")
    used = await _used(app, project_id, req.query.get("user_id"))
    return {
        "quota_set": {"id": project_id}
        | {
            n: {"limit": limits[n], "in_use": used.get(n, 0), "reserved": 0}
            for n in quota.names(req.version)
        }
    }


async def show_defaults(app: App, req: Request) -> Any:
    """GET /os-quota-sets/{project_id}/defaults"""
    async with app.api_db.read() as tx:
        limits = await store.effective(tx, "")
    return {"quota_set": {"id": req.params["project_id"]} | _some(limits, req)}


async def update(app: App, req: Request) -> Any:
    """PUT /os-quota-sets/{project_id}"""
    project_id, user_id = req.params["project_id"], req.query.get("user_id") or ""
    await _check_project(app, project_id)
    given = dict(req.body["quota_set"])
    force = terms.truth(given.pop("force", False))
    given.pop("tenant_id", None)
    wanted = {n: int(v) for n, v in given.items()}
    used = await _used(app, project_id, user_id or None)
    async with app.api_db.write() as tx:
        whole = await store.effective(tx, project_id)
        for name, limit in wanted.items():
            if not force and 0 <= limit < used.get(name, 0):
                raise Invalid(
                    f"Quota limit {limit} for {name} must be greater than or equal to already "
                    f"used and reserved {used[name]}.",
                    field=name,
                )
            if user_id and whole[name] >= 0 and (limit < 0 or limit > whole[name]):
                raise Invalid(
                    f"Quota limit {limit} for {name} must be less than or equal to {whole[name]}.",
                    field=name,
                )
        await store.put(tx, project_id, user_id, wanted)
        limits = await store.effective(tx, project_id, user_id)
    return {"quota_set": _some(limits, req)}


async def delete(app: App, req: Request) -> Any:
    """DELETE /os-quota-sets/{project_id}"""
    async with app.api_db.write() as tx:
        await store.delete(tx, req.params["project_id"], req.query.get("user_id"))
    return Response(status=202)


async def show_class(app: App, req: Request) -> Any:
    """GET /os-quota-class-sets/{name}"""
    name = req.params["name"]
    async with app.api_db.read() as tx:
        limits = await store.effective(tx, f"class:{name}")
    shown = {n: limits[n] for n in schema.class_names(req.version)}
    return {"quota_class_set": {"id": name} | shown}


async def update_class(app: App, req: Request) -> Any:
    """PUT /os-quota-class-sets/{name}"""
    name = req.params["name"]
    wanted = {n: int(v) for n, v in req.body["quota_class_set"].items()}
    async with app.api_db.write() as tx:
        await store.put(tx, f"class:{name}", "", wanted)
        limits = await store.effective(tx, f"class:{name}")
    return {"quota_class_set": {n: limits[n] for n in schema.class_names(req.version)}}


async def show_limits(app: App, req: Request) -> Any:
    """GET /limits"""
    project_id = req.query.get("tenant_id")
    if project_id is not None and project_id != req.caller.project_id:
        req.authorize(lookup.own(req), _P + "limits:other_project")
    project_id = project_id or req.caller.project_id or ""
    async with app.api_db.read() as tx:
        limits = await store.effective(tx, project_id, req.caller.user_id)
    used = await _used(app, project_id, None)
    absolute = schema.limits(limits, used, req.version)
    return {"limits": {"rate": [], "absolute": absolute}}


async def list_usage(app: App, req: Request) -> Any:
    """GET /os-simple-tenant-usage"""
    start, end = _period(req)
    detailed = req.query.get("detailed") == "1"
    async with app.cell_db.read() as tx:
        found = await servers.lived_between(tx, start, end)
    found, links = _usage_page(app, req, found)
    projects: dict[str, list[Server]] = {}
    for server in found:
        projects.setdefault(server.project_id, []).append(server)
    views = [_usage(p, mine, (start, end), detailed) for p, mine in projects.items()]
    return {"tenant_usages": views} | ({"tenant_usages_links": links} if links else {})


async def show_usage(app: App, req: Request) -> Any:
    """GET /os-simple-tenant-usage/{project_id}"""
    project_id = req.params["project_id"]
    req.authorize({"project_id": project_id})
    start, end = _period(req)
    async with app.cell_db.read() as tx:
        found = await servers.lived_between(tx, start, end, project_id)
    found, links = _usage_page(app, req, found)
    view = _usage(project_id, found, (start, end), True) if found else {}
    return {"tenant_usage": view} | ({"tenant_usage_links": links} if links else {})


def _usage_page(
    app: App, req: Request, found: list[Server]
) -> tuple[list[Server], list[dict[str, str]]]:
    if req.version < (2, 40):
        return found, []
    limit = lookup.whole_number(req, "limit")
    limit = app.config.max_limit if limit is None else min(limit, app.config.max_limit)
    marker = req.query.get("marker")
    if marker:
        at = [i for i, s in enumerate(found) if s.id == marker]
        if not at:
            raise Invalid(f"marker [{marker[:100]}] not found", field="marker")
        found = found[at[0] + 1 :]
    if len(found) <= limit or limit == 0:
        return found[:limit], []
    return found[:limit], lookup.next_links(req, found[limit - 1].id)


def _period(req: Request) -> tuple[float, float]:
    now = clock.now()
    start, end = _time(req, "start", now - 28 * 86400.0), _time(req, "end", now)
    if start >= end:
        raise Invalid("Invalid start time. The start time cannot occur after the end time.",
                      field="start")  # fmt: skip
    return start, end


def _time(req: Request, name: str, default: float) -> float:
    text = req.query.get(name)
    if not text:
        return default
    try:
        return clock.parse_iso(text)
    except (ValueError, OverflowError) as e:
        raise Invalid(f"Datetime is in invalid format: {text[:50]}", field=name) from e


def _usage(
    project_id: str, found: list[Server], period: tuple[float, float], detailed: bool
) -> dict[str, Any]:
    start, end = period
    rows = [_server_usage(s, start, end) for s in found]
    view: dict[str, Any] = {
        "tenant_id": project_id,
        "start": clock.iso(start, micros=True, suffix=""),
        "stop": clock.iso(end, micros=True, suffix=""),
        "total_hours": sum(r["hours"] for r in rows),
        "total_vcpus_usage": sum(r["hours"] * r["vcpus"] for r in rows),
        "total_memory_mb_usage": sum(r["hours"] * r["memory_mb"] for r in rows),
        "total_local_gb_usage": sum(r["hours"] * r["local_gb"] for r in rows),
    }
    return view | {"server_usages": rows} if detailed else view


def _server_usage(s: Server, start: float, end: float) -> dict[str, Any]:
    began = max(start, s.launched_at or end)
    ended = min(end, s.terminated_at or end)
    return {
        "instance_id": s.id,
        "name": s.name,
        "tenant_id": s.project_id,
        "flavor": s.flavor.name,
        "vcpus": s.flavor.vcpus,
        "memory_mb": s.flavor.memory_mb,
        "local_gb": s.flavor.root_gb + s.flavor.ephemeral_gb,
        "started_at": clock.iso(s.launched_at or 0.0, micros=True, suffix=""),
        "ended_at": None
        if s.terminated_at is None
        else clock.iso(s.terminated_at, micros=True, suffix=""),
        "state": "terminated" if s.terminated_at else s.vm_state,
        "uptime": int((s.terminated_at or clock.now()) - (s.launched_at or 0.0)),
        "hours": max(0.0, ended - began) / _HOUR_S,
    }


def _authorized(req: Request) -> str:
    project_id = req.params["project_id"]
    req.authorize({"project_id": project_id})
    return project_id


def _some(limits: dict[str, int], req: Request) -> dict[str, int]:
    return {n: limits[n] for n in quota.names(req.version)}


async def _used(app: App, project_id: str, user_id: str | None) -> dict[str, int]:
    async with app.cell_db.read() as tx:
        usage = await servers.usage(tx, project_id, user_id)
    async with app.api_db.read() as tx:
        count = await groups.count(tx, project_id, user_id)
    return {
        "instances": usage.instances,
        "cores": usage.cores,
        "ram": usage.ram,
        "server_groups": count,
    }


async def _check_project(app: App, project_id: str) -> None:
    try:
        await app.identity.get_project(project_id)
    except NotFound as e:
        raise Invalid(f"Project ID {project_id} is not a valid project.", field="tenant_id") from e
