# SPDX-License-Identifier: Apache-2.0
"""/v3/endpoints."""

from octostack.base import ids
from octostack.base.errors import Invalid
from octostack.runtime.db import Tx
from octostack.runtime.http import Request
from octostack.services.identity.api import lists
from octostack.services.identity.api.app import App
from octostack.services.identity.model import JSON, Endpoint, Region
from octostack.services.identity.schema import base
from octostack.services.identity.schema import catalog as schema
from octostack.services.identity.store import rows


async def create(app: App, req: Request) -> JSON:
    """POST /endpoints."""
    given, extra = _split(req.body["endpoint"])
    endpoint = Endpoint(id=ids.new_hex(), extra=extra, **given)
    async with app.write() as tx:
        await _check_service(tx, endpoint.service_id)
        await _ensure_region(tx, endpoint.region_id, named="region" in req.body["endpoint"])
        await rows.insert(tx, rows.ENDPOINTS, endpoint)
    return {"endpoint": schema.endpoint(endpoint, app.base_url)}


async def show(app: App, req: Request) -> JSON:
    """GET /endpoints/{endpoint_id}."""
    async with app.db.read() as tx:
        endpoint = await rows.get(tx, rows.ENDPOINTS, req.params["endpoint_id"])
    return {"endpoint": schema.endpoint(endpoint, app.base_url)}


async def list_all(app: App, req: Request) -> JSON:
    """GET /endpoints."""
    wanted = lists.listing(req, ("interface", "service_id", "region_id"), ("enabled",))
    if "region" in req.query:
        wanted.equal["region_id"] = req.query.get("region")
    found = await lists.find(app, rows.ENDPOINTS, wanted)
    return lists.answer(app, req, "endpoints", found, lambda e: schema.endpoint(e, app.base_url))


async def update(app: App, req: Request) -> JSON:
    """PATCH /endpoints/{endpoint_id}."""
    given, extra = _split(req.body["endpoint"])
    async with app.write() as tx:
        endpoint = await rows.get(tx, rows.ENDPOINTS, req.params["endpoint_id"])
        if "service_id" in given:
            await _check_service(tx, given["service_id"])
        await _ensure_region(tx, given.get("region_id"), named="region" in req.body["endpoint"])
        changes = given | {"extra": endpoint.extra | extra}
        endpoint = await rows.update(tx, rows.ENDPOINTS, endpoint, changes)
    return {"endpoint": schema.endpoint(endpoint, app.base_url)}


async def delete(app: App, req: Request) -> None:
    """DELETE /endpoints/{endpoint_id}."""
    async with app.write() as tx:
        await rows.delete(tx, rows.ENDPOINTS, req.params["endpoint_id"])


def _split(body: JSON) -> tuple[JSON, JSON]:
    """`region` is the old word for `region_id`."""
    given = dict(body)
    if "region" in given:
        region = given.pop("region")
        given.setdefault("region_id", region)
    known, extra = base.split(given, schema.KNOWN_ENDPOINT)
    return known, {name: value for name, value in extra.items() if name not in ("id", "links")}


async def _check_service(tx: Tx, service_id: str) -> None:
    if await rows.find(tx, rows.SERVICES, service_id) is None:
        raise Invalid(f"Could not find service: {service_id}.", field="service_id")


async def _ensure_region(tx: Tx, region_id: str | None, *, named: bool) -> None:
    """By the old word a region that is not there is made; by the new one it is an error."""
    if region_id is None or await rows.find(tx, rows.REGIONS, region_id) is not None:
        return
    if not named:
        raise Invalid(f"Could not find region: {region_id}.", field="region_id")
    await rows.insert(tx, rows.REGIONS, Region(id=region_id))
