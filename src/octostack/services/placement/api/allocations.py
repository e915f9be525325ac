# SPDX-License-Identifier: Apache-2.0
"""Allocations by consumer and by provider, project usages, and the reshaper."""

from collections.abc import Sequence
from typing import Any

from octostack.base.errors import Invalid, NotFound
from octostack.contracts.placement import Inventory
from octostack.runtime.http import Request, Response
from octostack.services.placement.api.app import App, check_generation, provider_of
from octostack.services.placement.core import claims, query
from octostack.services.placement.core import providers as core
from octostack.services.placement.model import UNKNOWN_CONSUMER_TYPE, Consumer, Wanted
from octostack.services.placement.schema import allocations as schema
from octostack.services.placement.schema import inventories
from octostack.services.placement.schema.parts import dated
from octostack.services.placement.store import consumers
from octostack.services.placement.store.ledger import Change


async def show(app: App, req: Request) -> Response:
    """What a consumer holds; an unknown one holds nothing."""
    consumer_id = _spelled(req.params["consumer_uuid"])
    async with app.ledger.reading() as (tx, world):
        held = await consumers.held_by(tx, [consumer_id])
        known = await consumers.find_all(tx, [consumer_id])
    generations = {}
    for one in held:
        state = world.find(one.provider_id)
        generations[one.provider_id] = state.generation if state else 0
    shown = schema.view_consumer(held, known.get(consumer_id), generations, req.version)
    return dated(req, shown, max((one.created_at for one in held), default=None))


async def list_of_provider(app: App, req: Request) -> Response:
    """Who holds something from the provider."""
    async with app.ledger.reading() as (tx, world):
        state = provider_of(world, req)
        held = await consumers.held_from(tx, state.id)
        known = await consumers.find_all(tx, {one.consumer_id for one in held})
    held = [one for one in held if one.consumer_id in known]
    shown = schema.view_provider(held, known, state.generation, req.version)
    return dated(req, shown, max((one.created_at for one in held), default=None))


async def replace(app: App, req: Request) -> None:
    """A consumer holds this, and nothing else."""
    consumer_id = req.params["consumer_uuid"]
    if not query.is_uuid(consumer_id):
        raise Invalid(f"Malformed consumer_uuid: {consumer_id}", field="consumer_uuid")
    wanted = schema.read(query.dashed(consumer_id), req.body, req.version)
    async with app.ledger.writing() as change:
        await claim(change, [wanted])


async def replace_many(app: App, req: Request) -> None:
    """Several consumers at once, all or nothing."""
    wanted = [schema.read(one, data, req.version) for one, data in req.body.items()]
    async with app.ledger.writing() as change:
        await claim(change, wanted)


async def delete(app: App, req: Request) -> None:
    """The consumer gives back everything."""
    consumer_id = _spelled(req.params["consumer_uuid"])
    async with app.ledger.writing() as change:
        if not await release(change, consumer_id):
            raise NotFound(f"No allocations for consumer '{consumer_id}'")


async def usages(app: App, req: Request) -> Response:
    """What a project, or one of its users, holds in all."""
    project_id = req.query.get("project_id", "")
    req.authorize({"project_id": project_id})
    user_id = req.query.get("user_id")
    async with app.ledger.reading() as (tx, _world):
        uses = await consumers.list_uses(tx, project_id, user_id)
        counts = await consumers.count_by_type(tx, project_id, user_id)
    if req.version < (1, 38):
        total: dict[str, int] = {}
        for use in uses:
            total[use.resource_class] = total.get(use.resource_class, 0) + use.used
        return dated(req, {"usages": total})
    return dated(req, {"usages": _by_type(req.query.get("consumer_type"), uses, counts)})


async def reshape(app: App, req: Request) -> None:
    """Inventories move between providers together with what is allocated from them."""
    wanted = [schema.read(one, data, req.version) for one, data in req.body["allocations"].items()]
    async with app.ledger.writing() as change:
        final = {}
        for provider_id, given in req.body["inventories"].items():
            final[provider_id] = _reshaped(req, change, provider_id, given)
        await claim(change, wanted)
        for provider_id, stocks in final.items():
            state = change.state(provider_id)
            assert state is not None
            change.touch(core.stocked(state, stocks, change.now))


async def claim(
    change: Change, wanted: Sequence[Wanted], known: dict[str, Consumer] | None = None
) -> list[Consumer]:
    """Decide and write; the consumers as they are then. Raises Conflict, Invalid.

    `known` are those of the consumers that are there, if the caller has looked already.
    """
    if known is None:
        known = await consumers.find_all(change.tx, [one.consumer_id for one in wanted])
    for one in wanted:
        claims.check_generation(one, known.get(one.consumer_id))
    held = await consumers.held_by(change.tx, known) if known else []
    deltas = claims.decide(change.state, change.world.knows_class, wanted, held)
    emptied = {one.consumer_id for one in wanted if not one.allocations}
    bump = {provider_id for one in wanted for provider_id in one.allocations}
    bump |= {one.provider_id for one in held if one.consumer_id in emptied}
    change.use(deltas, bump)
    return await consumers.replace(change.tx, wanted, known, change.now)


async def release(change: Change, consumer_id: str) -> bool:
    """Give back all a consumer holds; False when it held nothing."""
    held = await consumers.held_by(change.tx, [consumer_id])
    if held:
        change.use({(one.provider_id, one.resource_class): -one.used for one in held})
        await consumers.delete(change.tx, consumer_id)
    return bool(held)


def _reshaped(
    req: Request, change: Change, provider_id: str, given: dict[str, Any]
) -> dict[str, Inventory]:
    """Touch the provider with old and new inventories together; the new ones are returned."""
    state = change.world.find(provider_id)
    if state is None:
        raise Invalid(
            f"Resource provider {provider_id} in inventories not found: No resource provider "
            f"with uuid {provider_id} found",
            code="placement.resource_provider.not_found",
            field="inventories",
        )
    generation = given["resource_provider_generation"]
    check_generation(
        state,
        generation,
        f"resource provider generation conflict for provider {provider_id}: "
        f"actual: {state.generation}, given: {generation}",
    )
    new = {name: inventories.read(one) for name, one in given["inventories"].items()}
    try:
        core.check_stocks(change.world.knows_class, provider_id, new, allow_empty=True)
    except Invalid as e:
        raise Invalid(f"malformed reshaper data: {e.message}", **e.details) from e
    if new:  # for the claim that follows, what there was and what there shall be
        change.touch(core.stocked(state, core.inventories_of(state) | new, change.now))
    return new


def _by_type(
    wanted: str | None, uses: list[consumers.Use], counts: dict[str | None, int]
) -> dict[str, dict[str, int]]:
    shown: dict[str, dict[str, int]] = {}
    for use in uses:
        name = "all" if wanted == "all" else use.consumer_type or UNKNOWN_CONSUMER_TYPE
        if wanted not in (None, "all", name):
            continue
        part = shown.setdefault(name, {"consumer_count": 0})
        part[use.resource_class] = part.get(use.resource_class, 0) + use.used
    for name, part in shown.items():
        key = None if name == UNKNOWN_CONSUMER_TYPE else name
        part["consumer_count"] = sum(counts.values()) if name == "all" else counts.get(key, 0)
    return shown


def _spelled(consumer_id: str) -> str:
    return query.dashed(consumer_id) if query.is_uuid(consumer_id) else consumer_id
