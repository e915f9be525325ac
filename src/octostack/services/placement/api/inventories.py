# SPDX-License-Identifier: Apache-2.0
"""``/resource_providers/{uuid}/inventories``"""

from octostack.base.errors import Conflict, Invalid, NotFound, OctoError
from octostack.contracts.placement import Inventory
from octostack.runtime.http import Request, Response, method_not_allowed
from octostack.services.placement.api.app import App, check_generation, provider_of
from octostack.services.placement.core import providers as core
from octostack.services.placement.core.claims import CONCURRENT_UPDATE
from octostack.services.placement.model import ProviderState
from octostack.services.placement.schema import inventories as schema
from octostack.services.placement.schema.parts import dated, location
from octostack.services.placement.store.ledger import Change

DELETE_ALL_SINCE = (1, 5)


async def list_all(app: App, req: Request) -> Response:
    """Everything the provider has."""
    return _all(req, provider_of(await app.ledger.world(), req))


async def show(app: App, req: Request) -> Response:
    """What the provider has of one class."""
    state = provider_of(await app.ledger.world(), req)
    name = req.params["resource_class"]
    stock = state.stocks.get(name)
    if stock is None:
        raise _none_of(name, state)
    return dated(req, schema.view(stock.inventory, state.generation), stock.changed_at)


async def create(app: App, req: Request) -> Response:
    """One more inventory."""
    name = req.body["resource_class"]
    async with app.ledger.writing() as change:
        state = provider_of(change.world, req)
        if name in state.stocks:
            raise Conflict(
                f"Update conflict: Inventory of class {name} exists on resource provider "
                f"{state.id}",
                code=CONCURRENT_UPDATE,
            )
        new = core.inventories_of(state) | {name: schema.read(req.body)}
        state = _replaced(req, change, state, (new, (name,)))
    headers = location(req, f"/resource_providers/{state.id}/inventories/{name}")
    shown = schema.view(state.stocks[name].inventory, state.generation)
    return dated(req, shown, change.now, status=201, headers=headers)


async def replace_all(app: App, req: Request) -> Response:
    """These inventories, and no others."""
    new = {name: schema.read(one) for name, one in req.body["inventories"].items()}
    async with app.ledger.writing() as change:
        state = provider_of(change.world, req)
        check_generation(state, req.body["resource_provider_generation"])
        state = _replaced(req, change, state, (new, tuple(new)))
    return _all(req, state)


async def replace(app: App, req: Request) -> Response:
    """Another amount of one class."""
    name = req.params["resource_class"]
    async with app.ledger.writing() as change:
        state = provider_of(change.world, req)
        check_generation(state, req.body["resource_provider_generation"])
        new = core.inventories_of(state) | {name: schema.read(req.body)}
        _check(req, change, state, (new, (name,)))
        if name not in state.stocks:
            raise Invalid(
                f"No inventory record with resource class for resource provider {state.id}: "
                f"No inventory of class {name} found.",
                field="resource_class",
            )
        state = _replaced(req, change, state, (new, (name,)))
    shown = schema.view(state.stocks[name].inventory, state.generation)
    return dated(req, shown, change.now)


async def delete_all(app: App, req: Request) -> None:
    """The provider has nothing any more."""
    if req.version < DELETE_ALL_SINCE:
        raise method_not_allowed(req.method, ["GET", "POST", "PUT"])
    async with app.ledger.writing() as change:
        state = provider_of(change.world, req)
        change.touch(core.stocked(state, {}, change.now))


async def delete(app: App, req: Request) -> None:
    """The provider has none of one class any more."""
    name = req.params["resource_class"]
    async with app.ledger.writing() as change:
        state = provider_of(change.world, req)
        if name not in state.stocks:
            none = f"No inventory of class {name} found"
            raise NotFound(f"{none} for delete: {none}.")
        left = {n: i for n, i in core.inventories_of(state).items() if n != name}
        try:
            change.touch(core.stocked(state, left, change.now))
        except Conflict as e:  # in the field this one answers as a conflict of generations
            raise Conflict(
                f"Unable to delete inventory of class {name}: {e.message}", code=CONCURRENT_UPDATE
            ) from e


def _replaced(
    req: Request,
    change: Change,
    state: ProviderState,
    new: tuple[dict[str, Inventory], tuple[str, ...]],
) -> ProviderState:
    _check(req, change, state, new)
    state = core.stocked(state, new[0], change.now)
    change.touch(state)
    return state


def _check(
    req: Request,
    change: Change,
    state: ProviderState,
    new: tuple[dict[str, Inventory], tuple[str, ...]],
) -> None:
    inventories, given = new
    core.check_stocks(
        change.world.knows_class,
        state.id,
        {name: inventories[name] for name in given},
        allow_empty=req.version >= (1, 26),
        verb="create" if req.method == "POST" else "update",
    )


def _all(req: Request, state: ProviderState) -> Response:
    modified = max((stock.changed_at for stock in state.stocks.values()), default=None)
    shown = schema.view_all(core.inventories_of(state), state.generation)
    return dated(req, shown, modified)


def _none_of(name: str, state: ProviderState) -> OctoError:
    return NotFound(f"No inventory of class {name} for {state.id}")
