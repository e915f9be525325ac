# SPDX-License-Identifier: Apache-2.0
"""/v3/registered_limits and /v3/limits: kept here, enforced by the services they are about."""

from typing import Any

from octostack.base import ids
from octostack.base.errors import Conflict, Forbidden, Invalid, NotFound
from octostack.runtime.db import Tx
from octostack.runtime.http import Request
from octostack.services.identity.api import lists
from octostack.services.identity.api.app import App
from octostack.services.identity.model import JSON, Limit, Project, RegisteredLimit
from octostack.services.identity.schema import limits as schema
from octostack.services.identity.store import projects, rows

_SAME = ("service_id", "region_id", "resource_name")


async def show_model(_app: App, _req: Request) -> JSON:
    """GET /limits/model."""
    text = "Limit enforcement and validation does not take project hierarchy into consideration."
    return {"model": {"name": "flat", "description": text}}


async def create_registered(app: App, req: Request) -> JSON:
    """POST /registered_limits: all or none."""
    made = []
    async with app.write() as tx:
        for given in req.body["registered_limits"]:
            await _check_place(tx, given)
            one = RegisteredLimit(id=ids.new_hex(), **given)
            await _check_single(tx, one)
            made.append(await rows.insert(tx, rows.REGISTERED_LIMITS, one))
    return {"registered_limits": [schema.registered(one, app.base_url) for one in made]}


async def show_registered(app: App, req: Request) -> JSON:
    """GET /registered_limits/{registered_limit_id}."""
    async with app.db.read() as tx:
        one = await rows.get(tx, rows.REGISTERED_LIMITS, req.params["registered_limit_id"])
    return {"registered_limit": schema.registered(one, app.base_url)}


async def list_registered(app: App, req: Request) -> JSON:
    """GET /registered_limits."""
    found = await lists.find(app, rows.REGISTERED_LIMITS, lists.listing(req, _SAME))
    return lists.answer(
        app, req, "registered_limits", found, lambda one: schema.registered(one, app.base_url)
    )


async def update_registered(app: App, req: Request) -> JSON:
    """PATCH /registered_limits/{registered_limit_id}: what limits lean on stays as it is."""
    given = req.body["registered_limit"]
    async with app.write() as tx:
        one = await rows.get(tx, rows.REGISTERED_LIMITS, req.params["registered_limit_id"])
        if any(name in given for name in _SAME):
            await _check_unused(tx, one, "update")
        await _check_place(tx, given)
        one = await rows.update(tx, rows.REGISTERED_LIMITS, one, given)
        await _check_single(tx, one)
    return {"registered_limit": schema.registered(one, app.base_url)}


async def delete_registered(app: App, req: Request) -> None:
    """DELETE /registered_limits/{registered_limit_id}."""
    async with app.write() as tx:
        one = await rows.get(tx, rows.REGISTERED_LIMITS, req.params["registered_limit_id"])
        await _check_unused(tx, one, "delete")
        await rows.delete(tx, rows.REGISTERED_LIMITS, one.id)


async def create(app: App, req: Request) -> JSON:
    """POST /limits: all or none."""
    made: list[tuple[Limit, RegisteredLimit]] = []
    async with app.write() as tx:
        for given in req.body["limits"]:
            of = await _registered_for(tx, given)
            one = Limit(
                id=ids.new_hex(),
                registered_limit_id=of.id,
                resource_limit=given["resource_limit"],
                description=given.get("description"),
                **await _owner(tx, given),
            )
            owner = {"project_id": one.project_id, "domain_id": one.domain_id}
            if await rows.find_by(tx, rows.LIMITS, registered_limit_id=of.id, **owner):
                raise Conflict(
                    "Conflict occurred attempting to store limit - Duplicate entry.",
                    code="limit.duplicate",
                )
            made.append((await rows.insert(tx, rows.LIMITS, one), of))
    return {"limits": [schema.limit(one, of, app.base_url) for one, of in made]}


async def show(app: App, req: Request) -> JSON:
    """GET /limits/{limit_id}."""
    async with app.db.read() as tx:
        one = await rows.find(tx, rows.LIMITS, req.params["limit_id"])
        req.authorize(await _target(tx, one))
        if one is None:
            raise rows.missing(rows.LIMITS, req.params["limit_id"])
        of = await rows.get(tx, rows.REGISTERED_LIMITS, one.registered_limit_id)
    return {"limit": schema.limit(one, of, app.base_url)}


async def list_all(app: App, req: Request) -> JSON:
    """GET /limits: one's own; operators and services see all."""
    caller = req.caller
    wanted = lists.listing(req, ("project_id", "domain_id"))
    async with app.db.read() as tx:
        of = {one.id: one for one in await rows.list_all(tx, rows.REGISTERED_LIMITS)}
        by_id = await projects.by_id(tx)
    asked = {name: req.query.get(name) for name in _SAME if name in req.query}
    sees_all = caller.system or not {"admin", "service"}.isdisjoint(caller.roles)
    found = [
        one
        for one in await lists.find(app, rows.LIMITS, wanted)
        if all(getattr(of[one.registered_limit_id], k) == v for k, v in asked.items())
        and (sees_all or _is_own(req, one, by_id))
    ]
    return lists.answer(
        app,
        req,
        "limits",
        found,
        lambda one: schema.limit(one, of[one.registered_limit_id], app.base_url),
    )


async def update(app: App, req: Request) -> JSON:
    """PATCH /limits/{limit_id}."""
    async with app.write() as tx:
        one = await rows.get(tx, rows.LIMITS, req.params["limit_id"])
        one = await rows.update(tx, rows.LIMITS, one, req.body["limit"])
        of = await rows.get(tx, rows.REGISTERED_LIMITS, one.registered_limit_id)
    return {"limit": schema.limit(one, of, app.base_url)}


async def delete(app: App, req: Request) -> None:
    """DELETE /limits/{limit_id}."""
    async with app.write() as tx:
        await rows.delete(tx, rows.LIMITS, req.params["limit_id"])


def _is_own(req: Request, one: Limit, by_id: dict[str, Project]) -> bool:
    caller = req.caller
    if caller.domain_id is not None:
        project = by_id.get(one.project_id or "")
        home = project.domain_id if project else one.domain_id
        return home == caller.domain_id
    return caller.project_id is not None and one.project_id == caller.project_id


async def _target(tx: Tx, one: Limit | None) -> JSON:
    if one is None:
        return {}
    target: JSON = {"target.limit.project_id": one.project_id}
    if one.project_id is not None:
        project = await rows.find(tx, rows.PROJECTS, one.project_id)
        target["target.limit.project.domain_id"] = project.domain_id if project else None
    else:
        target["target.limit.domain.id"] = one.domain_id
    return target


async def _registered_for(tx: Tx, given: JSON) -> RegisteredLimit:
    same: dict[str, Any] = {name: given.get(name) for name in _SAME}
    found = await rows.find_by(tx, rows.REGISTERED_LIMITS, **same)
    if found is None:
        raise Forbidden(
            "Unable to create a limit that has no corresponding registered limit",
            code="limit.unregistered",
        )
    return found


async def _owner(tx: Tx, given: JSON) -> JSON:
    """The project or domain; a domain may be named as a project."""
    id = given.get("project_id") or given.get("domain_id")
    found = await rows.find(tx, rows.PROJECTS, id) if id else None
    if found is None or (given.get("domain_id") and not found.is_domain):
        field = "project_id" if given.get("project_id") else "domain_id"
        raise Invalid(f"Could not find what {field} names: {id}.", field=field)
    return {"domain_id" if found.is_domain else "project_id": found.id}


async def _check_place(tx: Tx, given: JSON) -> None:
    try:
        if given.get("service_id") is not None:
            await rows.get(tx, rows.SERVICES, given["service_id"])
        if given.get("region_id") is not None:
            await rows.get(tx, rows.REGIONS, given["region_id"])
    except NotFound as e:
        field = "region_id" if e.code == "region.not_found" else "service_id"
        raise Invalid(e.message, field=field) from e


async def _check_single(tx: Tx, one: RegisteredLimit) -> None:
    """NULL regions do not clash in a unique constraint, so it is checked here."""
    same: dict[str, Any] = {name: getattr(one, name) for name in _SAME}
    wanted = rows.Listing(equal=same)
    if any(other.id != one.id for other in await rows.list_all(tx, rows.REGISTERED_LIMITS, wanted)):
        raise Conflict(
            "Conflict occurred attempting to store registered_limit - Duplicate entry.",
            code="registered_limit.duplicate",
        )


async def _check_unused(tx: Tx, one: RegisteredLimit, what: str) -> None:
    if await rows.count(tx, rows.LIMITS, registered_limit_id=one.id):
        raise Forbidden(
            f"Unable to {what} registered limit {one.id} because there are project limits "
            "associated with it"
        )
