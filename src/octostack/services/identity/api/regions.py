# SPDX-License-Identifier: Apache-2.0
"""/v3/regions."""

from octostack.base import ids
from octostack.base.errors import Conflict, Invalid
from octostack.runtime.db import Tx
from octostack.runtime.http import Request
from octostack.services.identity.api import lists
from octostack.services.identity.api.app import App
from octostack.services.identity.model import JSON, Region
from octostack.services.identity.schema import base
from octostack.services.identity.schema import catalog as schema
from octostack.services.identity.store import rows


async def create(app: App, req: Request) -> JSON:
    """POST /regions, and PUT /regions/{region_id}, which says the id in its path."""
    given, extra = base.split(req.body["region"], schema.KNOWN_REGION)
    in_path = req.params.get("region_id")
    if in_path is not None and given.get("id", in_path) != in_path:
        raise Invalid(
            f"Conflicting region IDs specified: {in_path} != {given['id']}", field="id", status=409
        )
    region = Region(
        id=in_path or given.get("id") or ids.new_hex(),
        description=given.get("description") or "",
        parent_region_id=given.get("parent_region_id"),
        extra=_own(extra),
    )
    async with app.write() as tx:
        await _check_parent(tx, region)
        await rows.insert(tx, rows.REGIONS, region)
    return {"region": schema.region(region, app.base_url)}


async def show(app: App, req: Request) -> JSON:
    """GET /regions/{region_id}."""
    async with app.db.read() as tx:
        region = await rows.get(tx, rows.REGIONS, req.params["region_id"])
    return {"region": schema.region(region, app.base_url)}


async def list_all(app: App, req: Request) -> JSON:
    """GET /regions."""
    found = await lists.find(app, rows.REGIONS, lists.listing(req, ("parent_region_id",)))
    return lists.answer(app, req, "regions", found, lambda r: schema.region(r, app.base_url))


async def update(app: App, req: Request) -> JSON:
    """PATCH /regions/{region_id}."""
    given, extra = base.split(req.body["region"], schema.KNOWN_REGION)
    async with app.write() as tx:
        region = await rows.get(tx, rows.REGIONS, req.params["region_id"])
        if given.pop("id", region.id) != region.id:
            raise Invalid("Cannot change the ID of a region.", field="id")
        if "description" in given:
            given["description"] = given["description"] or ""
        changes = given | {"extra": region.extra | _own(extra)}
        region = await rows.update(tx, rows.REGIONS, region, changes)
        await _check_parent(tx, region)
    return {"region": schema.region(region, app.base_url)}


async def delete(app: App, req: Request) -> None:
    """DELETE /regions/{region_id}: not while something is in it; those below go with it."""
    async with app.write() as tx:
        region = await rows.get(tx, rows.REGIONS, req.params["region_id"])
        gone = [region.id]
        for region_id in gone:
            if await rows.count(tx, rows.ENDPOINTS, region_id=region_id):
                raise Conflict(
                    f"Unable to delete region {region.id} because it or its child regions have "
                    "associated endpoints.",
                    code="region.in_use",
                    status=403,
                )
            below = rows.Listing(equal={"parent_region_id": region_id})
            gone += [child.id for child in await rows.list_all(tx, rows.REGIONS, below)]
        for region_id in reversed(gone):
            await rows.delete(tx, rows.REGIONS, region_id)


async def _check_parent(tx: Tx, region: Region) -> None:
    """The parent is there, and no region is its own parent's parent. Raises NotFound, Invalid."""
    seen = {region.id}
    parent_id = region.parent_region_id
    while parent_id is not None:
        if parent_id in seen:
            raise Invalid(
                f"A region cannot be below itself: {region.id}.", field="parent_region_id"
            )
        seen.add(parent_id)
        parent_id = (await rows.get(tx, rows.REGIONS, parent_id)).parent_region_id


def _own(extra: JSON) -> JSON:
    return {name: value for name, value in extra.items() if name != "links"}
