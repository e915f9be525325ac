# SPDX-License-Identifier: Apache-2.0
"""/v3/policies: documents kept for who asks for them. As with Keystone, no service reads them."""

from octostack.base import ids
from octostack.runtime.http import Request
from octostack.services.identity.api import lists
from octostack.services.identity.api.app import App
from octostack.services.identity.model import JSON, PolicyBlob
from octostack.services.identity.schema import base
from octostack.services.identity.schema import policies as schema
from octostack.services.identity.store import rows


async def create(app: App, req: Request) -> JSON:
    """POST /policies."""
    given, extra = base.split(req.body["policy"], schema.KNOWN)
    policy = PolicyBlob(id=ids.new_hex(), extra=base.own(extra), **given)
    async with app.write() as tx:
        await rows.insert(tx, rows.POLICIES, policy)
    return {"policy": schema.view(policy, app.base_url)}


async def show(app: App, req: Request) -> JSON:
    """GET /policies/{policy_id}."""
    async with app.db.read() as tx:
        policy = await rows.get(tx, rows.POLICIES, req.params["policy_id"])
    return {"policy": schema.view(policy, app.base_url)}


async def list_all(app: App, req: Request) -> JSON:
    """GET /policies."""
    found = await lists.find(app, rows.POLICIES, lists.listing(req, ("type",)))
    return lists.answer(app, req, "policies", found, lambda p: schema.view(p, app.base_url))


async def update(app: App, req: Request) -> JSON:
    """PATCH /policies/{policy_id}."""
    given, extra = base.split(req.body["policy"], schema.KNOWN)
    async with app.write() as tx:
        policy = await rows.get(tx, rows.POLICIES, req.params["policy_id"])
        changes = given | {"extra": policy.extra | base.own(extra)}
        policy = await rows.update(tx, rows.POLICIES, policy, changes)
    return {"policy": schema.view(policy, app.base_url)}


async def delete(app: App, req: Request) -> None:
    """DELETE /policies/{policy_id}."""
    async with app.write() as tx:
        await rows.delete(tx, rows.POLICIES, req.params["policy_id"])
