# SPDX-License-Identifier: Apache-2.0
"""/v3/domains."""

from octostack.base import ids
from octostack.base.errors import Forbidden
from octostack.runtime.db import Tx
from octostack.runtime.http import Request
from octostack.services.identity.api import lists, targets, tokens
from octostack.services.identity.api.app import App
from octostack.services.identity.core import projects as core
from octostack.services.identity.model import DEFAULT_DOMAIN_ID, JSON, Project
from octostack.services.identity.schema import domains as schema
from octostack.services.identity.store import assignments, owned, projects, rows


async def create(app: App, req: Request) -> JSON:
    """POST /domains."""
    req.authorize({})
    given = req.body["domain"]
    domain = await insert(app, given, given.get("explicit_domain_id") or ids.new_hex())
    return {"domain": schema.view(domain, app.base_url, sorted(set(given.get("tags", ()))))}


async def show(app: App, req: Request) -> JSON:
    """GET /domains/{domain_id}."""
    domain = await _authorized(app, req)
    async with app.db.read() as tx:
        tags = await projects.tags(tx, [domain.id])
    return {"domain": schema.view(domain, app.base_url, tags.get(domain.id, ()))}


async def list_all(app: App, req: Request) -> JSON:
    """GET /domains."""
    req.authorize(targets.in_own_domain(req.caller))
    wanted = lists.listing(req, ("name",), ("enabled",))
    wanted.equal["is_domain"] = True
    if req.caller.domain_id is not None and not req.caller.is_admin:
        wanted.equal["id"] = req.caller.domain_id
    found = await lists.find(app, rows.PROJECTS, wanted)
    async with app.db.read() as tx:
        tags = await projects.tags(tx)
    return lists.answer(
        app, req, "domains", found, lambda d: schema.view(d, app.base_url, tags.get(d.id, ()))
    )


async def update(app: App, req: Request) -> JSON:
    """PATCH /domains/{domain_id}."""
    domain = await _authorized(app, req)
    given = req.body["domain"]
    async with app.write() as tx:
        changed = await rows.update(tx, rows.PROJECTS, domain, core.changes(domain, given))
        if given.get("enabled") is False:
            await tokens.revoke_all(tx, domain_id=domain.id)
        if "tags" in given:
            await projects.set_tags(tx, domain.id, given["tags"])
        tags = await projects.tags(tx, [domain.id])
    return {"domain": schema.view(changed, app.base_url, tags.get(domain.id, ()))}


async def delete(app: App, req: Request) -> None:
    """DELETE /domains/{domain_id}."""
    domain = await _authorized(app, req)
    core.check_mutable(domain, "delete")
    if domain.enabled:
        raise Forbidden("delete a domain that is not disabled")
    await delete_with_all(app, domain)


async def insert(app: App, given: JSON, id: str) -> Project:
    """A new domain. Raises Conflict."""
    domain = core.plan_domain(given, id=id)
    async with app.write() as tx:
        await rows.insert(tx, rows.PROJECTS, domain)
        await projects.set_tags(tx, domain.id, list(given.get("tags", ())))
    return domain


async def delete_with_all(app: App, domain: Project) -> None:
    """A disabled domain with its users, groups, roles and projects. Raises Forbidden."""
    if domain.id == DEFAULT_DOMAIN_ID:
        raise Forbidden("delete the default domain")
    async with app.write() as tx:
        below = await projects.by_id(tx, domain.id)
        actors = await owned.delete_people(tx, domain.id)
        await assignments.delete_for_actors(tx, actors)
        await delete_projects(tx, list(below))
        await tokens.revoke_all(tx, domain_id=domain.id)


async def delete_projects(tx: Tx, ids: list[str]) -> None:
    """Projects with the assignments on them and what else is theirs."""
    await assignments.delete_for_targets(tx, ids)
    await owned.delete_limits(tx, ids)
    await projects.delete_many(tx, ids)


async def _authorized(app: App, req: Request) -> Project:
    """The domain of the path, if the caller may. Raises Forbidden, NotFound."""
    id = req.params["domain_id"]
    async with app.db.read() as tx:
        found = await rows.find(tx, rows.PROJECTS, id)
        domain = found if found is not None and found.is_domain else None
        req.authorize(targets.domain(domain))
        return await projects.get_domain(tx, id)
