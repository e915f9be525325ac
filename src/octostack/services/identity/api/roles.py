# SPDX-License-Identifier: Apache-2.0
"""/v3/roles and what they imply. A domain's own roles are under rules of their own."""

from octostack.base import ids
from octostack.base.errors import Forbidden, Invalid, NotFound
from octostack.runtime.http import Request
from octostack.services.identity.api import lists, targets
from octostack.services.identity.api.app import App
from octostack.services.identity.model import JSON, Role
from octostack.services.identity.schema import base
from octostack.services.identity.schema import roles as schema
from octostack.services.identity.store import assignments, rows
from octostack.services.identity.store import projects as tree

# What nobody may be given by a detour (Keystone's [assignment] prohibited_implied_role).
NEVER_IMPLIED = ("admin",)


async def create(app: App, req: Request) -> JSON:
    """POST /roles."""
    given, extra = base.split(req.body["role"], schema.KNOWN)
    req.authorize({}, "identity:create_domain_role" if given.get("domain_id") else None)
    role = Role(id=ids.new_hex(), extra=base.own(extra), **_clean(given))
    async with app.write() as tx:
        if role.domain_id is not None:
            await tree.get_domain(tx, role.domain_id)
        await rows.insert(tx, rows.ROLES, role)
    return {"role": schema.view(role, app.base_url)}


async def show(app: App, req: Request) -> JSON:
    """GET /roles/{role_id}."""
    return {"role": schema.view(await _authorized(app, req, "get"), app.base_url)}


async def list_all(app: App, req: Request) -> JSON:
    """GET /roles."""
    wanted = lists.listing(req, ("name", "domain_id"))
    domain_id = wanted.equal.setdefault("domain_id", None)
    rule = "identity:list_domain_roles" if domain_id else None
    req.authorize(targets.in_own_domain(req.caller), rule)
    found = await lists.find(app, rows.ROLES, wanted)
    return lists.answer(app, req, "roles", found, lambda r: schema.view(r, app.base_url))


async def update(app: App, req: Request) -> JSON:
    """PATCH /roles/{role_id}."""
    role = await _authorized(app, req, "update")
    given, extra = base.split(req.body["role"], schema.KNOWN)
    if given.pop("domain_id", role.domain_id) != role.domain_id:
        raise Invalid("Cannot change Domain ID.", field="domain_id")
    changes = _clean(given)
    if "options" in given:
        merged = role.options | given["options"]
        changes["options"] = {k: v for k, v in merged.items() if v is not None}
    if set(given) != {"options"} or changes["options"].get("immutable"):
        _check_mutable(role, "update")
    if base.own(extra):
        changes["extra"] = role.extra | base.own(extra)
    async with app.write() as tx:
        role = await rows.update(tx, rows.ROLES, role, changes)
    return {"role": schema.view(role, app.base_url)}


async def delete(app: App, req: Request) -> None:
    """DELETE /roles/{role_id}: also from all who have it."""
    role = await _authorized(app, req, "delete")
    _check_mutable(role, "delete")
    async with app.write() as tx:
        await rows.delete(tx, rows.ROLES, role.id)


async def list_implied(app: App, req: Request) -> JSON:
    """GET /roles/{prior_role_id}/implies."""
    async with app.db.read() as tx:
        prior = await rows.get(tx, rows.ROLES, req.params["prior_role_id"])
        roles = await assignments.roles(tx)
        implied = (await assignments.implications(tx)).get(prior.id, frozenset())
    shown = schema.implication(prior, [roles[id] for id in sorted(implied)], app.base_url)
    url = f"{app.base_url}/roles/{prior.id}/implies"
    return {"role_inference": shown, "links": {"self": url}}


async def list_inferences(app: App, req: Request) -> JSON:
    """GET /role_inferences."""
    async with app.db.read() as tx:
        roles = await assignments.roles(tx)
        implications = await assignments.implications(tx)
    shown = [
        schema.implication(roles[prior], [roles[id] for id in sorted(implied)], app.base_url)
        for prior, implied in sorted(implications.items())
    ]
    return {"role_inferences": shown, "links": {"self": f"{app.base_url}/role_inferences"}}


async def show_implied(app: App, req: Request) -> JSON:
    """GET /roles/{prior_role_id}/implies/{implied_role_id}."""
    prior, implied = await _implication(app, req)
    return {"role_inference": schema.implication(prior, implied, app.base_url)}


async def check_implied(app: App, req: Request) -> None:
    """HEAD /roles/{prior_role_id}/implies/{implied_role_id}."""
    await _implication(app, req)


async def imply(app: App, req: Request) -> JSON:
    """PUT /roles/{prior_role_id}/implies/{implied_role_id}."""
    async with app.write() as tx:
        prior = await rows.get(tx, rows.ROLES, req.params["prior_role_id"])
        implied = await rows.get(tx, rows.ROLES, req.params["implied_role_id"])
        if implied.name in NEVER_IMPLIED:
            raise Forbidden(f"{implied.id} cannot be an implied roles")
        if prior.domain_id is None and implied.domain_id is not None:
            raise Forbidden("let a global role imply a domain's own role")
        await assignments.insert_implication(tx, prior.id, implied.id)
    return {"role_inference": schema.implication(prior, implied, app.base_url)}


async def imply_no_more(app: App, req: Request) -> None:
    """DELETE /roles/{prior_role_id}/implies/{implied_role_id}."""
    async with app.write() as tx:
        prior = await rows.get(tx, rows.ROLES, req.params["prior_role_id"])
        implied = await rows.get(tx, rows.ROLES, req.params["implied_role_id"])
        if not await assignments.delete_implication(tx, prior.id, implied.id):
            raise _not_implied(prior, implied)


async def _implication(app: App, req: Request) -> tuple[Role, Role]:
    async with app.db.read() as tx:
        prior = await rows.get(tx, rows.ROLES, req.params["prior_role_id"])
        implied = await rows.get(tx, rows.ROLES, req.params["implied_role_id"])
        if implied.id not in (await assignments.implications(tx)).get(prior.id, ()):
            raise _not_implied(prior, implied)
    return prior, implied


async def _authorized(app: App, req: Request, verb: str) -> Role:
    async with app.db.read() as tx:
        role = await rows.find(tx, rows.ROLES, req.params["role_id"])
    own = role is not None and role.domain_id is not None
    req.authorize(targets.role(role), f"identity:{verb}_domain_role" if own else None)
    if role is None:
        raise rows.missing(rows.ROLES, req.params["role_id"])
    return role


def _check_mutable(role: Role, what: str) -> None:
    if role.options.get("immutable"):
        raise Forbidden(
            f"Unable to {what} immutable role resource: `{role.id}`. Set resource option "
            '"immutable" to false first'
        )


def _not_implied(prior: Role, implied: Role) -> NotFound:
    return NotFound(
        f"Could not find implied role: {prior.id} implies {implied.id}.",
        code="implication.not_found",
    )


def _clean(given: JSON) -> JSON:
    if "options" not in given:
        return dict(given)
    options = {name: value for name, value in given["options"].items() if value is not None}
    return given | {"options": options}
