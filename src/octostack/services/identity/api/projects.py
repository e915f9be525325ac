# SPDX-License-Identifier: Apache-2.0
"""/v3/projects."""

import msgspec

from octostack.base import ids
from octostack.base.errors import Forbidden, Invalid
from octostack.runtime.db import Tx
from octostack.runtime.http import Request
from octostack.services.identity.api import domains, lists, targets, tokens
from octostack.services.identity.api.app import App
from octostack.services.identity.core import hierarchy
from octostack.services.identity.core import projects as core
from octostack.services.identity.model import JSON, Project
from octostack.services.identity.schema import projects as schema
from octostack.services.identity.store import projects, rows


async def create(app: App, req: Request) -> JSON:
    """POST /projects."""
    given = req.body["project"]
    if given.get("is_domain"):
        return await _create_domain(app, req)
    parent_id = given.get("parent_id")
    async with app.db.read() as tx:
        parent = await rows.find(tx, rows.PROJECTS, parent_id) if parent_id else None
    domain_id = _domain_of(req, given, parent)
    req.authorize({"target.project.domain_id": domain_id, "target.domain_id": domain_id})
    project = core.plan(given, id=ids.new_hex(), domain_id=domain_id)
    async with app.write() as tx:
        await projects.get_domain(tx, domain_id)
        above = await rows.get(tx, rows.PROJECTS, project.parent_id or domain_id)
        hierarchy.check_place(above, await projects.list_above(tx, above), domain_id)
        await rows.insert(tx, rows.PROJECTS, project)
        tags = sorted(set(given.get("tags", ())))
        await projects.set_tags(tx, project.id, tags)
    return {"project": schema.view(project, app.base_url, tags)}


async def show(app: App, req: Request) -> JSON:
    """GET /projects/{project_id}, with the tree around it where that is asked for."""
    project = await _authorized(app, req)
    async with app.db.read() as tx:
        tags = await projects.tags(tx)
        by_id = await projects.by_id(tx, project.domain_id or project.id)
    shown = schema.view(project, app.base_url, tags.get(project.id, ()))
    return {"project": shown | await _around(app, req, project, by_id, tags)}


async def list_all(app: App, req: Request) -> JSON:
    """GET /projects."""
    req.authorize(targets.in_own_domain(req.caller))
    wanted = lists.listing(req, ("name", "domain_id", "parent_id"), ("enabled", "is_domain"))
    wanted.equal.setdefault("is_domain", False)
    if req.caller.domain_id is not None and not wanted.equal["is_domain"]:
        wanted.equal["domain_id"] = req.caller.domain_id
    tag_filter = core.tag_filter(dict(req.query))
    # With a filter that rows know nothing of, the page is cut after it.
    asked = msgspec.structs.replace(wanted, limit=None) if tag_filter else wanted
    found = await lists.find(app, rows.PROJECTS, asked)
    async with app.db.read() as tx:
        tags = await projects.tags(tx)
    if tag_filter:
        found = [one for one in found if tag_filter(frozenset(tags.get(one.id, ())))]
    return lists.answer(
        app, req, "projects", found, lambda p: schema.view(p, app.base_url, tags.get(p.id, ()))
    )


async def update(app: App, req: Request) -> JSON:
    """PATCH /projects/{project_id}."""
    project = await _authorized(app, req)
    given = req.body["project"]
    changes = core.changes(project, given)
    async with app.write() as tx:
        if "enabled" in given and not project.is_domain:
            await _check_switch(tx, project, enabled=given["enabled"])
        changed = await rows.update(tx, rows.PROJECTS, project, changes)
        if given.get("enabled") is False:
            what = "domain_id" if project.is_domain else "project_id"
            await tokens.revoke_all(tx, **{what: project.id})
        if "tags" in given:
            await projects.set_tags(tx, project.id, given["tags"])
        tags = await projects.tags(tx, [project.id])
    return {"project": schema.view(changed, app.base_url, tags.get(project.id, ()))}


async def delete(app: App, req: Request) -> None:
    """DELETE /projects/{project_id}."""
    project = await _authorized(app, req)
    core.check_mutable(project, "delete")
    if project.is_domain:
        if project.enabled:
            raise Forbidden(
                f"cannot delete an enabled project acting as a domain. Please disable the "
                f"project {project.id} first"
            )
        await domains.delete_with_all(app, project)
        return
    async with app.write() as tx:
        if await rows.count(tx, rows.PROJECTS, parent_id=project.id):
            raise Forbidden(
                f"cannot delete the project {project.id} since it is not a leaf in the hierarchy"
            )
        await domains.delete_projects(tx, [project.id])


async def list_tags(app: App, req: Request) -> JSON:
    """GET /projects/{project_id}/tags."""
    return await _tags_answer(app, await _authorized(app, req))


async def set_tags(app: App, req: Request) -> JSON:
    """PUT /projects/{project_id}/tags."""
    project = await _authorized(app, req)
    async with app.write() as tx:
        await projects.set_tags(tx, project.id, req.body["tags"])
    return await _tags_answer(app, project)


async def delete_tags(app: App, req: Request) -> None:
    """DELETE /projects/{project_id}/tags."""
    project = await _authorized(app, req)
    async with app.write() as tx:
        await projects.set_tags(tx, project.id, [])


async def check_tag(app: App, req: Request) -> None:
    """HEAD and GET /projects/{project_id}/tags/{value}."""
    project = await _authorized(app, req)
    async with app.db.read() as tx:
        core.check_has_tag(req.params["value"], (await projects.tags(tx, [project.id])).values())


async def add_tag(app: App, req: Request) -> None:
    """PUT /projects/{project_id}/tags/{value}."""
    project, tag = await _authorized(app, req), req.params["value"]
    async with app.write() as tx:
        tags = (await projects.tags(tx, [project.id])).get(project.id, [])
        schema.TAGS.check({"tags": list({*tags, tag})})
        await projects.set_tags(tx, project.id, [*tags, tag])


async def delete_tag(app: App, req: Request) -> None:
    """DELETE /projects/{project_id}/tags/{value}."""
    project, tag = await _authorized(app, req), req.params["value"]
    async with app.write() as tx:
        tags = await projects.tags(tx, [project.id])
        core.check_has_tag(tag, tags.values())
        await projects.set_tags(tx, project.id, [one for one in tags[project.id] if one != tag])


async def _authorized(app: App, req: Request) -> Project:
    """The project of the path, if the caller may. Raises Forbidden, NotFound."""
    async with app.db.read() as tx:
        project = await rows.find(tx, rows.PROJECTS, req.params["project_id"])
    req.authorize(targets.project(project))
    if project is None:
        raise rows.missing(rows.PROJECTS, req.params["project_id"])
    return project


async def _create_domain(app: App, req: Request) -> JSON:
    given = req.body["project"]
    if given.get("parent_id") or given.get("domain_id"):
        raise Invalid(
            "A project acting as a domain is a root: it has neither parent nor domain.",
            field="parent_id",
        )
    req.authorize({})
    domain = await domains.insert(app, given, ids.new_hex())
    return {"project": schema.view(domain, app.base_url, given.get("tags", ()))}


def _domain_of(req: Request, given: JSON, parent: Project | None) -> str:
    """Given, or the parent's, or the caller's."""
    if given.get("domain_id"):
        return str(given["domain_id"])
    if parent is not None:
        return parent.domain_id or parent.id
    return targets.home_of(req.caller, None)


async def _check_switch(tx: Tx, project: Project, *, enabled: bool) -> None:
    """On only under what is on; off only over what is off. Raises Forbidden."""
    by_id = await projects.by_id(tx, project.domain_id)
    if enabled and not all(one.enabled for one in hierarchy.parents(project, by_id)):
        raise Forbidden(f"cannot enable project {project.id} since it has disabled parents")
    below = hierarchy.subtree(project.id, hierarchy.children(by_id.values()))
    if not enabled and any(one.enabled for one in below):
        raise Forbidden(
            f"cannot disable project {project.id} since its subtree contains enabled projects"
        )


async def _around(
    app: App,
    req: Request,
    project: Project,
    by_id: dict[str, Project],
    tags: dict[str, list[str]],
) -> JSON:
    """``parents`` and ``subtree``: as ids whole, as a list what the caller has a role on."""
    for name in ("parents", "subtree"):
        if f"{name}_as_list" in req.query and f"{name}_as_ids" in req.query:
            raise Invalid(
                f"Cannot use {name}_as_list and {name}_as_ids query params at the same time.",
                field=f"{name}_as_list",
            )
    shown: JSON = {}
    above = hierarchy.parents(project, by_id)
    below = hierarchy.children(by_id.values())
    if "parents_as_ids" in req.query:
        shown["parents"] = hierarchy.parent_ids(above)
    if "subtree_as_ids" in req.query:
        shown["subtree"] = hierarchy.subtree_ids(project.id, below)
    lists_wanted = {
        "parents": above,
        "subtree": hierarchy.subtree(project.id, below),
    }
    for name, found in lists_wanted.items():
        if f"{name}_as_list" in req.query:
            mine = {one.id for one in await tokens.reachable(app, req.caller.user_id)}
            shown[name] = [
                {"project": schema.view(one, app.base_url, tags.get(one.id, ()))}
                for one in found
                if one.id in mine
            ]
    return shown


async def _tags_answer(app: App, project: Project) -> JSON:
    async with app.db.read() as tx:
        tags = await projects.tags(tx, [project.id])
    url = f"{app.base_url}/projects/{project.id}/tags"
    return {
        "tags": tags.get(project.id, []),
        "links": {"next": None, "self": url, "previous": None},
    }
