# SPDX-License-Identifier: Apache-2.0
"""Flavors, their extra specs and who may use them."""

from typing import Any

from octostack.base.errors import Conflict, Invalid, NotFound
from octostack.runtime.http import Request, Response
from octostack.services.compute.api import lookup
from octostack.services.compute.model import Flavor
from octostack.services.compute.schema import flavors as schema
from octostack.services.compute.schema import terms
from octostack.services.compute.store.api_db import flavors as store
from octostack.services.compute.store.app import App

_SORT_KEYS = {
    "created_at": "created_at", "description": "description", "disabled": "disabled",
    "ephemeral_gb": "ephemeral_gb", "flavorid": "id", "id": "seq", "is_public": "is_public",
    "memory_mb": "memory_mb", "name": "name", "root_gb": "root_gb", "rxtx_factor": "rxtx_factor",
    "swap": "swap_mb", "vcpus": "vcpus",
}  # fmt: skip
_SPECS_RULE = "os_compute_api:os-flavor-extra-specs:index"


async def index(app: App, req: Request) -> Any:
    """GET /flavors"""
    found = await _page(app, req)
    views = [schema.basic(f, req.base_url, req.version) for f in found]
    return _with_next(app, req, found, views)


async def list_detail(app: App, req: Request) -> Any:
    """GET /flavors/detail"""
    found = await _page(app, req)
    specs = req.version >= (2, 61) and req.allowed(_SPECS_RULE, lookup.own(req))
    views = [schema.detail(f, req.base_url, req.version, specs=specs) for f in found]
    return _with_next(app, req, found, views)


async def show(app: App, req: Request) -> Any:
    """GET /flavors/{flavor_id}"""
    flavor = await _get(app, req)
    specs = req.version >= (2, 61) and req.allowed(_SPECS_RULE, lookup.own(req))
    return {"flavor": schema.detail(flavor, req.base_url, req.version, specs=specs)}


async def create(app: App, req: Request) -> Any:
    """POST /flavors"""
    flavor = schema.read(req.body)
    async with app.api_db.write() as tx:
        if await store.find_by(tx, name=flavor.name):
            raise Conflict(f"Flavor with name {flavor.name} already exists.", code="FlavorExists")
        if await store.find_by(tx, id=flavor.id):
            raise Conflict(f"Flavor with ID {flavor.id} already exists.", code="FlavorIdExists")
        await store.insert(tx, flavor)
    return {"flavor": schema.detail(flavor, req.base_url, req.version, specs=True)}


async def update(app: App, req: Request) -> Any:
    """PUT /flavors/{flavor_id}"""
    flavor = await _get(app, req)
    async with app.api_db.write() as tx:
        await store.update(tx, flavor.id, description=req.body["flavor"]["description"])
    return await show(app, req)


async def delete(app: App, req: Request) -> None:
    """DELETE /flavors/{flavor_id}"""
    flavor = await _get(app, req)
    async with app.api_db.write() as tx:
        await store.delete(tx, flavor.id)


async def list_specs(app: App, req: Request) -> Any:
    """GET /flavors/{flavor_id}/os-extra_specs"""
    return {"extra_specs": (await _get(app, req)).extra_specs}


async def show_spec(app: App, req: Request) -> Any:
    """GET /flavors/{flavor_id}/os-extra_specs/{key}"""
    flavor, key = await _get(app, req), req.params["key"]
    return {key: _spec(flavor, key)}


async def create_specs(app: App, req: Request) -> Any:
    """POST /flavors/{flavor_id}/os-extra_specs"""
    flavor = await _get(app, req)
    given = schema.texts(req.body["extra_specs"])
    await _write_specs(app, flavor, flavor.extra_specs | given)
    return {"extra_specs": given}


async def update_spec(app: App, req: Request) -> Any:
    """PUT /flavors/{flavor_id}/os-extra_specs/{key}"""
    flavor, key = await _get(app, req), req.params["key"]
    if key not in req.body:
        raise Invalid("Request body and URI mismatch", field=key)
    given = schema.texts(req.body)
    await _write_specs(app, flavor, flavor.extra_specs | given)
    return given


async def delete_spec(app: App, req: Request) -> None:
    """DELETE /flavors/{flavor_id}/os-extra_specs/{key}"""
    flavor, key = await _get(app, req), req.params["key"]
    _spec(flavor, key)
    await _write_specs(app, flavor, {k: v for k, v in flavor.extra_specs.items() if k != key})


async def list_access(app: App, req: Request) -> Any:
    """GET /flavors/{flavor_id}/os-flavor-access"""
    flavor = await _get(app, req)
    if flavor.is_public:
        raise NotFound("Access list not available for public flavors.", code="FlavorPublic")
    async with app.api_db.read() as tx:
        return schema.access(flavor.id, await store.list_access(tx, flavor.id))


async def act(app: App, req: Request) -> Any:
    """POST /flavors/{flavor_id}/action: addTenantAccess, removeTenantAccess"""
    name, handler = lookup.action(req, ACTIONS)
    return await handler(app, req, str(req.body[name]["tenant"]))


async def _add_access(app: App, req: Request, project_id: str) -> Any:
    flavor = await _get(app, req)
    if flavor.is_public:
        raise Conflict("Can not add access to a public flavor.", code="FlavorPublic")
    await _check_project(app, project_id)
    async with app.api_db.write() as tx:
        if project_id in await store.list_access(tx, flavor.id):
            raise Conflict(
                f"Flavor access already exists for flavor {flavor.id} and project {project_id} "
                "combination.",
                code="FlavorAccessExists",
            )
        await store.add_access(tx, flavor.id, project_id)
        return schema.access(flavor.id, await store.list_access(tx, flavor.id))


async def _remove_access(app: App, req: Request, project_id: str) -> Any:
    flavor = await _get(app, req)
    await _check_project(app, project_id)
    async with app.api_db.write() as tx:
        if not await store.remove_access(tx, flavor.id, project_id):
            raise NotFound(
                f"Flavor access not found for {flavor.id} / {project_id} combination.",
                code="FlavorAccessNotFound",
            )
        return schema.access(flavor.id, await store.list_access(tx, flavor.id))


ACTIONS: dict[str, tuple[str, Any, Any]] = {
    "addTenantAccess": (
        "os_compute_api:os-flavor-access:add_tenant_access", schema.ADD_ACCESS, _add_access,
    ),
    "removeTenantAccess": (
        "os_compute_api:os-flavor-access:remove_tenant_access",
        schema.REMOVE_ACCESS,
        _remove_access,
    ),
}  # fmt: skip


async def _check_project(app: App, project_id: str) -> None:
    try:
        await app.identity.get_project(project_id)
    except NotFound as e:
        raise Invalid(f"Project ID {project_id} is not a valid project.", field="tenant") from e


async def _get(app: App, req: Request) -> Flavor:
    async with app.api_db.read() as tx:
        return await store.get(
            tx,
            req.params["flavor_id"],
            project_id=req.caller.project_id,
            all_projects=lookup.is_admin(req),
        )


async def _write_specs(app: App, flavor: Flavor, specs: dict[str, str]) -> None:
    async with app.api_db.write() as tx:
        await store.update(tx, flavor.id, extra_specs=specs)


def _spec(flavor: Flavor, key: str) -> str:
    if key not in flavor.extra_specs:
        raise NotFound(
            f"Flavor {flavor.id} has no extra specs with key {key}.",
            code="FlavorExtraSpecsNotFound",
        )
    return flavor.extra_specs[key]


async def _page(app: App, req: Request) -> list[Flavor]:
    want: dict[str, Any] = {
        "is_public": _wanted_public(req),
        "project_id": req.caller.project_id,
        "min_ram": _number(req, "minRam"),
        "min_disk": _number(req, "minDisk"),
    }
    order = lookup.order(req, app.config.max_limit, _SORT_KEYS, (("id", "asc"), ("seq", "asc")))
    async with app.api_db.read() as tx:
        return await store.list_where(tx, want, order)


def _wanted_public(req: Request) -> bool | None:
    """True: public ones and those I have access to; only an administrator may ask for others."""
    text = req.query.get("is_public")
    if not lookup.is_admin(req) or text is None:
        return True
    if text.lower() == "none":
        return None
    try:
        return terms.parse_truth(text, "is_public")
    except Invalid as e:
        raise Invalid(f"Invalid is_public filter [{text[:50]}]", field="is_public") from e


def _number(req: Request, name: str) -> int | None:
    text = req.query.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise Invalid(f"Invalid {name} filter [{text[:50]}]", field=name)
    return int(text)


def _with_next(app: App, req: Request, found: list[Flavor], views: list[Any]) -> Response:
    body: dict[str, Any] = {"flavors": views}
    limit = lookup.whole_number(req, "limit")
    if found and len(found) == min(limit or app.config.max_limit, app.config.max_limit):
        body["flavors_links"] = lookup.next_links(req, found[-1].id)
    return Response(body)
