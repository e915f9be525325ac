# SPDX-License-Identifier: Apache-2.0
"""/v3/services."""

from octostack.base import ids
from octostack.runtime.http import Request
from octostack.services.identity.api import lists
from octostack.services.identity.api.app import App
from octostack.services.identity.model import JSON, Service
from octostack.services.identity.schema import base
from octostack.services.identity.schema import catalog as schema
from octostack.services.identity.store import rows


async def create(app: App, req: Request) -> JSON:
    """POST /services."""
    given, extra = base.split(req.body["service"], schema.KNOWN_SERVICE)
    service = Service(id=ids.new_hex(), extra=base.own(extra), **given)
    async with app.write() as tx:
        await rows.insert(tx, rows.SERVICES, service)
    return {"service": schema.service(service, app.base_url)}


async def show(app: App, req: Request) -> JSON:
    """GET /services/{service_id}."""
    async with app.db.read() as tx:
        service = await rows.get(tx, rows.SERVICES, req.params["service_id"])
    return {"service": schema.service(service, app.base_url)}


async def list_all(app: App, req: Request) -> JSON:
    """GET /services."""
    wanted = lists.listing(req, ("type", "name"), ("enabled",))
    found = await lists.find(app, rows.SERVICES, wanted)
    return lists.answer(app, req, "services", found, lambda s: schema.service(s, app.base_url))


async def update(app: App, req: Request) -> JSON:
    """PATCH /services/{service_id}."""
    given, extra = base.split(req.body["service"], schema.KNOWN_SERVICE)
    async with app.write() as tx:
        service = await rows.get(tx, rows.SERVICES, req.params["service_id"])
        changes = given | {"extra": service.extra | base.own(extra)}
        service = await rows.update(tx, rows.SERVICES, service, changes)
    return {"service": schema.service(service, app.base_url)}


async def delete(app: App, req: Request) -> None:
    """DELETE /services/{service_id}: its endpoints go with it."""
    async with app.write() as tx:
        await rows.delete(tx, rows.SERVICES, req.params["service_id"])
