# SPDX-License-Identifier: Apache-2.0
"""Server groups."""

from typing import Any

from octostack.base import clock, ids
from octostack.base.errors import Forbidden, Invalid, NotFound, OverQuota
from octostack.runtime.http import Request
from octostack.services.compute.api import lookup
from octostack.services.compute.model import ServerGroup
from octostack.services.compute.schema import groups as schema
from octostack.services.compute.schema import terms
from octostack.services.compute.store.api_db import groups, quotas
from octostack.services.compute.store.app import App
from octostack.services.compute.store.cell_db import servers

_ALL_PROJECTS = "os_compute_api:os-server-groups:index:all_projects"


async def create(app: App, req: Request) -> Any:
    """POST /os-server-groups"""
    caller, given = req.caller, req.body["server_group"]
    if not caller.project_id:
        raise Forbidden("A project-scoped token is needed to create a group.", code="scope")
    policy = given.get("policy") or given["policies"][0]
    rules = {k: int(v) for k, v in given.get("rules", {}).items()}
    if rules and policy != "anti-affinity":
        raise Invalid(
            "Only anti-affinity policy supports rules.", code="InvalidRules", field="rules"
        )
    group = ServerGroup(
        id=ids.new(),
        project_id=caller.project_id,
        user_id=caller.user_id,
        name=given["name"],
        policy=policy,
        rules=rules,
        created_at=clock.now(),
    )
    async with app.api_db.write() as tx:
        limits = await quotas.effective(tx, group.project_id, group.user_id)
        if 0 <= limits["server_groups"] <= await groups.count(tx, group.project_id):
            raise OverQuota("Quota exceeded, too many server groups.", code="OverQuota")
        await groups.insert(tx, group)
    return {"server_group": schema.view(group, [], req.version)}


async def index(app: App, req: Request) -> Any:
    """GET /os-server-groups"""
    project_id = req.caller.project_id
    text = req.query.get("all_projects")
    if text is not None and (text == "" or terms.parse_truth(text, "all_projects")):
        req.authorize(lookup.own(req), _ALL_PROJECTS)
        project_id = None
    limit = lookup.whole_number(req, "limit")
    limit = app.config.max_limit if limit is None else min(limit, app.config.max_limit)
    offset = lookup.whole_number(req, "offset") or 0
    async with app.api_db.read() as tx:
        found = await groups.list_all(tx, project_id, limit, min(offset, terms.INT32_MAX))
    members = [m for g in found for m in g.members]
    async with app.cell_db.read() as tx:
        alive = await servers.alive(tx, members)
    return {
        "server_groups": [
            schema.view(g, [m for m in g.members if m in alive], req.version) for g in found
        ]
    }


async def show(app: App, req: Request) -> Any:
    """GET /os-server-groups/{group_id}"""
    group = await _get(app, req)
    async with app.cell_db.read() as tx:
        alive = await servers.alive(tx, group.members)
    members = [m for m in group.members if m in alive]
    return {"server_group": schema.view(group, members, req.version)}


async def delete(app: App, req: Request) -> None:
    """DELETE /os-server-groups/{group_id}"""
    group = await _get(app, req)
    async with app.api_db.write() as tx:
        await groups.delete(tx, group.id)


async def _get(app: App, req: Request) -> ServerGroup:
    group_id = req.params["group_id"]
    async with app.api_db.read() as tx:
        group = await groups.find(tx, group_id)
    if group is None or (group.project_id != req.caller.project_id and not lookup.is_admin(req)):
        raise NotFound(
            f"Instance group {group_id} could not be found.", code="InstanceGroupNotFound"
        )
    req.authorize({"project_id": group.project_id, "user_id": group.user_id})
    return group
