# SPDX-License-Identifier: Apache-2.0
"""GET /v3/role_assignments."""

from collections.abc import Mapping

from octostack.base.errors import Invalid
from octostack.runtime.db import Tx
from octostack.runtime.http import Request
from octostack.services.identity.api import lists, targets
from octostack.services.identity.api.app import App
from octostack.services.identity.core import assignments as core
from octostack.services.identity.core import hierarchy
from octostack.services.identity.model import JSON, Project
from octostack.services.identity.schema import assignments as schema
from octostack.services.identity.schema import base
from octostack.services.identity.store import assignments, projects, rows, users


async def list_all(app: App, req: Request) -> JSON:
    """GET /role_assignments."""
    query = req.query
    with_tree = lists.is_true(query.get("include_subtree"))
    project_id = query.get("scope.project.id") or None
    async with app.db.read() as tx:
        world = await _world(tx)
        _authorize(req, world.projects, project_id if with_tree else None, with_tree=with_tree)
        if with_tree and project_id is None:
            raise Invalid(
                "scope.project.id must be specified if include_subtree is also specified",
                field="scope.project.id",
            )
        asked = _asked(req, world.projects, project_id, with_tree=with_tree)
        core.check(asked)
        found = core.choose(await assignments.list_all(tx), asked, world)
        names = await _names(tx, world) if lists.is_true(query.get("include_names")) else None
    found = [one for one in found if _in_scope(req, one, world.projects)]
    shown = [schema.view(one, app.base_url, names) for one in found]
    return {
        "role_assignments": shown,
        "links": base.collection_links(f"{app.base_url}/role_assignments"),
    }


def _authorize(
    req: Request, by_id: Mapping[str, Project], project_id: str | None, *, with_tree: bool
) -> None:
    if not with_tree:
        target: JSON = targets.in_own_domain(req.caller)
        req.authorize(target)
        return
    project = by_id.get(project_id or "")
    target = {"target.domain_id": project.domain_id} if project else {}
    req.authorize(target, "identity:list_role_assignments_for_tree")
    if project_id is not None and project is None:
        raise rows.missing(rows.PROJECTS, project_id)


def _asked(
    req: Request, by_id: Mapping[str, Project], project_id: str | None, *, with_tree: bool
) -> core.Asked:
    query = req.query
    project_ids = frozenset([project_id]) if project_id else None
    if with_tree and project_ids is not None and project_id is not None:
        below = hierarchy.subtree(project_id, hierarchy.children(by_id.values()))
        project_ids |= {project.id for project in below}
    inherited_to = query.get("scope.OS-INHERIT:inherited_to")
    return core.Asked(
        role_id=query.get("role.id") or None,
        user_id=query.get("user.id") or None,
        group_id=query.get("group.id") or None,
        domain_id=query.get("scope.domain.id") or None,
        project_ids=project_ids,
        system=bool(query.get("scope.system")),
        inherited=None if inherited_to is None else inherited_to == "projects",
        effective=lists.is_true(query.get("effective")),
    )


def _in_scope(req: Request, one: core.Listed, by_id: Mapping[str, Project]) -> bool:
    """With a domain's token only what is in that domain."""
    mine = req.caller.domain_id
    if mine is None:
        return True
    target = by_id.get(one.assignment.target_id)
    return target is not None and mine in (target.id, target.domain_id)


async def _world(tx: Tx) -> core.World:
    return core.World(
        members=await users.memberships(tx),
        projects=await projects.by_id(tx),
        implications=await assignments.implications(tx),
        roles=await assignments.roles(tx),
    )


async def _names(tx: Tx, world: core.World) -> schema.Names:
    return schema.Names(
        users={one.id: one for one in await rows.list_all(tx, rows.USERS)},
        groups={one.id: one for one in await rows.list_all(tx, rows.GROUPS)},
        projects=world.projects,
        roles=world.roles,
    )
