# SPDX-License-Identifier: Apache-2.0
"""``/v2/metadefs``: a catalogue of properties that images, flavors and volumes may carry.

Objects, properties, tags and resource types of a namespace are handled alike; which of them a
request is about stands in its path.
"""

from typing import Any

from octostack.base import clock
from octostack.base.errors import Conflict, Forbidden, Invalid, NotFound, OctoError
from octostack.runtime.db import Tx
from octostack.runtime.http import Request, Response
from octostack.services.image.api.app import App
from octostack.services.image.core.states import replace
from octostack.services.image.model import Definition, Namespace
from octostack.services.image.schema import metadefs as schema
from octostack.services.image.store import metadefs

_SHOWN = ("created_at", "updated_at", "self", "schema")
_CONTENTS = {"resource_type_associations": "resource_types", "objects": "objects", "tags": "tags"}


async def list_namespaces(app: App, req: Request) -> dict[str, Any]:
    """The namespaces the caller may see."""
    visibility = req.query.get("visibility")
    if visibility not in (None, "public", "private"):
        raise Invalid(f"Invalid visibility value: {str(visibility)[:50]}", field="visibility")
    limit = req.query.get("limit")
    if limit is not None and not (limit.isascii() and limit.isdigit()):
        raise Invalid("limit param must be an integer of 0 or more", field="limit")
    async with app.db.read() as tx:
        found = await metadefs.list_visible(tx, req.caller, visibility)
        marker = req.query.get("marker")
        if marker is not None:
            names = [one.namespace for one in found]
            if marker not in names:
                raise _no_namespace(marker)
            found = found[names.index(marker) + 1 :]
        cut = found[: int(limit[:9])] if limit else found
        contents = await metadefs.list_definitions(
            tx, [one.namespace for one in cut], "resource_types"
        )
    shown: dict[str, Any] = {
        "namespaces": [
            schema.view(one, [d for d in contents if d.namespace == one.namespace]) for one in cut
        ],
        "first": "/v2/metadefs/namespaces",
        "schema": "/v2/schemas/metadefs/namespaces",
    }
    if cut and len(cut) < len(found):
        shown["next"] = f"/v2/metadefs/namespaces?marker={cut[-1].namespace}&limit={limit}"
    return shown


async def create_namespace(app: App, req: Request) -> Response:
    """A namespace, with what stands in it from the start."""
    body = req.body
    _check_unshown(body)
    now = clock.now()
    fields = {k: v for k, v in body.items() if k in Namespace.__struct_fields__}
    owner = {"owner": req.caller.project_id or "admin"}
    namespace = Namespace(**(owner | fields), created_at=now, updated_at=now)
    contents = [
        _definition(namespace.namespace, kind, one, now)
        for key, kind in _CONTENTS.items()
        for one in body.get(key, ())
    ]
    contents += [
        _definition(namespace.namespace, "properties", one | {"name": name}, now)
        for name, one in body.get("properties", {}).items()
    ]
    async with app.db.write() as tx:
        await metadefs.insert(tx, namespace)
        for one in contents:
            await metadefs.insert_definition(tx, one)
    shown = schema.view(namespace, contents)
    headers = {"Location": f"{req.base_url}{shown['self']}"}
    return Response(shown, status=201, headers=headers)


async def show_namespace(app: App, req: Request) -> dict[str, Any]:
    """One namespace with all that stands in it."""
    async with app.db.read() as tx:
        namespace = await _find(tx, req)
        contents = await metadefs.list_definitions(tx, [namespace.namespace])
    return schema.view(namespace, contents)


async def update_namespace(app: App, req: Request) -> dict[str, Any]:
    """Another name, text, visibility or protection."""
    _check_unshown(req.body)
    fields = {k: v for k, v in req.body.items() if k in Namespace.__struct_fields__}
    async with app.db.write() as tx:
        before = await _find(tx, req)
        namespace = replace(before, **fields, updated_at=clock.now())
        await metadefs.save(tx, before, namespace)
    return schema.view(namespace, [])


async def delete_namespace(app: App, req: Request) -> None:
    """The namespace goes, with all that stands in it."""
    async with app.db.write() as tx:
        namespace = await _find(tx, req)
        _check_unprotected(namespace)
        await metadefs.delete(tx, namespace.namespace)


async def list_resource_types(_app: App, _req: Request) -> dict[str, Any]:
    """What definitions may be attached to."""
    at = clock.iso(0.0)
    return {
        "resource_types": [
            {"name": name, "created_at": at, "updated_at": at} for name in schema.RESOURCE_TYPES
        ]
    }


async def list_items(app: App, req: Request) -> dict[str, Any]:
    """All definitions of a kind."""
    kind = _kind(req)
    async with app.db.read() as tx:
        namespace = await _find(tx, req)
        found = await metadefs.list_definitions(tx, [namespace.namespace], kind)
    return schema.view_items(kind, found)


async def show_item(app: App, req: Request) -> dict[str, Any]:
    """One definition."""
    async with app.db.read() as tx:
        return schema.view_item(await _find_item(tx, req))


async def create_item(app: App, req: Request) -> Any:
    """One more definition; a tag's name may stand in the path."""
    kind = _kind(req)
    body = {"name": req.params["name"]} if kind == "tags" else req.body
    schema.ITEMS[kind].check(body)
    _check_unshown(body)
    async with app.db.write() as tx:
        namespace = await _find(tx, req)
        one = _definition(namespace.namespace, kind, body, clock.now())
        await metadefs.insert_definition(tx, one)
    return schema.view_item(one)


async def update_item(app: App, req: Request) -> Any:
    """Another definition in its place, maybe by another name."""
    schema.ITEMS[_kind(req)].check(req.body)
    _check_unshown(req.body)
    async with app.db.write() as tx:
        before = await _find_item(tx, req)
        one = _definition(before.namespace, before.kind, req.body, clock.now())
        one = replace(one, created_at=before.created_at)
        await metadefs.save_definition(tx, before, one)
    return schema.view_item(one)


async def delete_item(app: App, req: Request) -> None:
    """The definition goes."""
    async with app.db.write() as tx:
        _check_unprotected(await _find(tx, req))
        one = await _find_item(tx, req)
        await metadefs.delete_definitions(tx, one.namespace, one.kind, one.name)


async def delete_items(app: App, req: Request) -> None:
    """All definitions of a kind go."""
    async with app.db.write() as tx:
        namespace = await _find(tx, req)
        _check_unprotected(namespace)
        await metadefs.delete_definitions(tx, namespace.namespace, _kind(req))


async def replace_tags(app: App, req: Request) -> dict[str, Any]:
    """These tags; with ``X-Openstack-Append: true`` besides those that are there."""
    now = clock.now()
    append = req.headers.get("x-openstack-append", "").strip().lower() == "true"
    async with app.db.write() as tx:
        namespace = await _find(tx, req)
        new = [_definition(namespace.namespace, "tags", one, now) for one in req.body["tags"]]
        if len({one.name for one in new}) < len(new):
            raise Conflict("A tag stands twice in the list.", code="image.duplicate")
        if not append:
            await metadefs.delete_definitions(tx, namespace.namespace, "tags")
        for one in new:
            await metadefs.insert_definition(tx, one)
    return {"tags": [{"name": one.name} for one in new]}


async def _find(tx: Tx, req: Request) -> Namespace:
    """The namespace in the path, if the caller may see it and the route's rule allows."""
    name = req.params["namespace"]
    namespace = await metadefs.find(tx, name)
    mine = namespace is not None and req.caller.project_id == namespace.owner
    if namespace is None or not (mine or req.caller.is_admin or namespace.visibility == "public"):
        raise _no_namespace(name)
    req.authorize({"project_id": namespace.owner, "visibility": namespace.visibility})
    return namespace


async def _find_item(tx: Tx, req: Request) -> Definition:
    namespace = await _find(tx, req)
    kind, name = _kind(req), req.params["name"]
    one = await metadefs.find_definition(tx, namespace.namespace, kind, name)
    if one is None:
        raise NotFound(
            f"Metadata definition with name={name[:100]} not found in {kind} of namespace="
            f"{namespace.namespace}.",
            code="image.no_definition",
        )
    return one


def _kind(req: Request) -> str:
    return req.path.split("/")[5]


def _definition(namespace: str, kind: str, body: dict[str, Any], now: float) -> Definition:
    kept = {k: v for k, v in body.items() if k not in (*_SHOWN, "name")}
    return Definition(
        namespace=namespace,
        kind=kind,
        name=body["name"],
        body=kept,
        created_at=now,
        updated_at=now,
    )


def _check_unshown(body: dict[str, Any]) -> None:
    for name in _SHOWN:
        if name in body:
            raise Forbidden(f"Attribute '{name}' is read-only.", field=name)


def _check_unprotected(namespace: Namespace) -> None:
    if namespace.protected:
        raise Forbidden(
            f"Metadata definition namespace {namespace.namespace} is protected and cannot be "
            "deleted.",
            code="image.protected",
        )


def _no_namespace(name: str) -> OctoError:
    return NotFound(f"Namespace {name[:100]} not found", code="image.no_namespace")
