# SPDX-License-Identifier: Apache-2.0
"""``/resource_classes``"""

from typing import Any

from octostack.base.errors import Conflict, Invalid, NotFound
from octostack.runtime.http import Request, Response
from octostack.services.placement.api.app import App
from octostack.services.placement.core import standard
from octostack.services.placement.core.world import World
from octostack.services.placement.schema import names as name_schema
from octostack.services.placement.schema.parts import dated, location, path_prefix
from octostack.services.placement.store import names


async def list_all(app: App, req: Request) -> Response:
    """The standard ones, then the custom ones."""
    world = await app.ledger.world()
    custom = sorted(name for kind, name in world.custom if kind == "class")
    shown = [_view(req, name) for name in (*standard.RESOURCE_CLASSES, *custom)]
    times = [one.updated_at for key, one in world.custom.items() if key[0] == "class"]
    return dated(req, {"resource_classes": shown}, max(times, default=None))


async def show(app: App, req: Request) -> Response:
    """One class."""
    world = await app.ledger.world()
    name = _known(world, req)
    custom = world.custom.get(("class", name))
    return dated(req, _view(req, name), custom.updated_at if custom else None)


async def create(app: App, req: Request) -> Response:
    """A new custom class."""
    name = req.body["name"]
    async with app.ledger.writing() as change:
        if change.world.knows_class(name):
            raise Conflict(f"Conflicting resource class already exists: {name}")
        await names.insert(change.tx, "class", name, change.now)
        change.names_changed()
    return Response(status=201, headers=location(req, f"/resource_classes/{name}"))


async def ensure(app: App, req: Request) -> Response:
    """A custom class is there from now on (since 1.7)."""
    name = req.params["name"]
    name_schema.CLASS.check({"name": name})
    async with app.ledger.writing() as change:
        known = change.world.knows_class(name)
        if not known:
            await names.insert(change.tx, "class", name, change.now)
            change.names_changed()
    headers = location(req, f"/resource_classes/{name}")
    return Response(status=204 if known else 201, headers=headers)


async def rename(app: App, req: Request) -> Any:
    """Another name for a custom class (until 1.6)."""
    new = req.body["name"]
    async with app.ledger.writing() as change:
        name = _known(change.world, req)
        if name in standard.CLASS_ORDER:
            raise Invalid(f"Cannot update standard resource class {name}", field="name")
        if new != name:
            if change.world.knows_class(new):
                raise Conflict(f"Resource class already exists: {new}")
            await names.rename_class(change.tx, name, new, change.now)
            change.names_changed()
            for state in change.world.having(name):
                change.renamed(state, name, new)
    return _view(req, new)


async def delete(app: App, req: Request) -> None:
    """A custom class that nobody has goes."""
    async with app.ledger.writing() as change:
        name = _known(change.world, req)
        if name in standard.CLASS_ORDER:
            raise Invalid(
                f"Error in delete resource class: Cannot delete standard resource class {name}.",
                field="name",
            )
        if change.world.having(name):
            raise Conflict(
                f"Error in delete resource class: Cannot delete resource class {name}. Class is "
                "in use in inventory."
            )
        await names.delete(change.tx, "class", name)
        change.names_changed()


def _known(world: World, req: Request) -> str:
    name = req.params["name"]
    if not world.knows_class(name):
        raise NotFound(f"No such resource class {name}.")
    return name


def _view(req: Request, name: str) -> dict[str, Any]:
    href = f"{path_prefix(req)}/resource_classes/{name}"
    return {"name": name, "links": [{"rel": "self", "href": href}]}
