# SPDX-License-Identifier: Apache-2.0
"""/v3/groups."""

from octostack.base import ids
from octostack.base.errors import Invalid, NotFound
from octostack.runtime.http import Request
from octostack.services.identity.api import lists, targets
from octostack.services.identity.api.app import App
from octostack.services.identity.model import JSON, Group, User
from octostack.services.identity.schema import base
from octostack.services.identity.schema import groups as schema
from octostack.services.identity.schema import users as user_schema
from octostack.services.identity.store import assignments, rows, users
from octostack.services.identity.store import projects as tree


async def create(app: App, req: Request) -> JSON:
    """POST /groups."""
    given, extra = base.split(req.body["group"], schema.KNOWN)
    domain_id = targets.home_of(req.caller, given.get("domain_id"))
    req.authorize({"target.group.domain_id": domain_id})
    group = Group(
        id=ids.new_hex(),
        name=given["name"],
        domain_id=domain_id,
        description=given.get("description") or "",
        extra=base.own(extra),
    )
    async with app.write() as tx:
        await tree.get_domain(tx, domain_id)
        await rows.insert(tx, rows.GROUPS, group)
    return {"group": schema.view(group, app.base_url)}


async def show(app: App, req: Request) -> JSON:
    """GET /groups/{group_id}."""
    return {"group": schema.view(await _authorized(app, req), app.base_url)}


async def list_all(app: App, req: Request) -> JSON:
    """GET /groups."""
    req.authorize(targets.in_own_domain(req.caller))
    wanted = lists.listing(req, ("name", "domain_id"))
    if req.caller.domain_id is not None:
        wanted.equal["domain_id"] = req.caller.domain_id
    found = await lists.find(app, rows.GROUPS, wanted)
    return lists.answer(app, req, "groups", found, lambda g: schema.view(g, app.base_url))


async def update(app: App, req: Request) -> JSON:
    """PATCH /groups/{group_id}."""
    group = await _authorized(app, req)
    given, extra = base.split(req.body["group"], schema.KNOWN)
    if given.pop("domain_id", group.domain_id) != group.domain_id:
        raise Invalid("Cannot change Domain ID.", field="domain_id")
    if "description" in given:
        given["description"] = given["description"] or ""
    async with app.write() as tx:
        changes = given | {"extra": group.extra | base.own(extra)}
        group = await rows.update(tx, rows.GROUPS, group, changes)
    return {"group": schema.view(group, app.base_url)}


async def delete(app: App, req: Request) -> None:
    """DELETE /groups/{group_id}."""
    group = await _authorized(app, req)
    async with app.write() as tx:
        await assignments.delete_for_actors(tx, [group.id])
        await rows.delete(tx, rows.GROUPS, group.id)


async def list_users(app: App, req: Request) -> JSON:
    """GET /groups/{group_id}/users."""
    group = await _authorized(app, req)
    async with app.db.read() as tx:
        found = await users.list_members(tx, group.id)
        expiries = await users.expiries(tx)
    return lists.answer(
        app, req, "users", found, lambda u: user_schema.view(u, expiries.get(u.id), app.base_url)
    )


async def add_user(app: App, req: Request) -> None:
    """PUT /groups/{group_id}/users/{user_id}."""
    group, user = await _authorized_both(app, req)
    async with app.write() as tx:
        await users.add_member(tx, user.id, group.id)


async def check_user(app: App, req: Request) -> None:
    """HEAD and GET /groups/{group_id}/users/{user_id}."""
    group, user = await _authorized_both(app, req)
    async with app.db.read() as tx:
        if not await users.is_member(tx, user.id, group.id):
            raise _not_in(user, group)


async def remove_user(app: App, req: Request) -> None:
    """DELETE /groups/{group_id}/users/{user_id}."""
    group, user = await _authorized_both(app, req)
    async with app.write() as tx:
        if not await users.remove_member(tx, user.id, group.id):
            raise _not_in(user, group)


async def _authorized(app: App, req: Request) -> Group:
    async with app.db.read() as tx:
        group = await rows.find(tx, rows.GROUPS, req.params["group_id"])
    req.authorize(targets.group(group))
    if group is None:
        raise rows.missing(rows.GROUPS, req.params["group_id"])
    return group


async def _authorized_both(app: App, req: Request) -> tuple[Group, User]:
    async with app.db.read() as tx:
        group = await rows.find(tx, rows.GROUPS, req.params["group_id"])
        user = await rows.find(tx, rows.USERS, req.params["user_id"])
    req.authorize(targets.group(group) | targets.user(user))
    if group is None:
        raise rows.missing(rows.GROUPS, req.params["group_id"])
    if user is None:
        raise rows.missing(rows.USERS, req.params["user_id"])
    return group, user


def _not_in(user: User, group: Group) -> NotFound:
    return NotFound(
        f"Could not find user {user.id} in group {group.id}.", code="membership.not_found"
    )
