# SPDX-License-Identifier: Apache-2.0
"""`contracts.placement.Placement`, answered from the same ledger as the HTTP API."""

from functools import partial

from octostack.base.errors import Invalid, NotFound
from octostack.contracts.placement import (
    CandidateQuery,
    Candidates,
    Claim,
    Held,
    Placement,
    Provider,
    ProviderSpec,
)
from octostack.services.placement.api import allocations, candidates
from octostack.services.placement.api.app import App
from octostack.services.placement.api.traits import with_traits
from octostack.services.placement.core import providers as core
from octostack.services.placement.model import Allocation, Consumer, ProviderState, Wanted
from octostack.services.placement.store import consumers
from octostack.services.placement.store.ledger import Change


class PlacementCalls(Placement):
    """The contract over one App."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._ledger = app.ledger

    async def ensure_provider(self, spec: ProviderSpec) -> Provider:
        world = await self._ledger.world()
        known = world.find(spec.id)
        if known is not None and _is_so(known, spec):
            return _provider(known)
        async with self._ledger.writing() as change:
            await _make_names(change, spec)
            state = _named(change, spec)
            state = _filled(change, state, spec)
            change.touch(state)
        return _provider(state)

    async def get_provider(self, provider_id: str) -> Provider:
        state = (await self._ledger.world()).find(provider_id)
        if state is None:
            raise _no_provider(provider_id)
        return _provider(state)

    async def find_provider(self, name: str) -> Provider | None:
        state = (await self._ledger.world()).find_name(name)
        return _provider(state) if state else None

    async def list_providers(self, root_id: str | None = None) -> list[Provider]:
        world = await self._ledger.world()
        states = core.tree_of(world, root_id) if root_id else world.all()
        return [_provider(state) for state in states]

    async def remove_provider(self, provider_id: str) -> None:
        async with self._ledger.writing() as change:
            state = change.world.find(provider_id)
            if state is not None:
                core.check_removal(change.world, state)
                change.remove(provider_id)

    async def candidates(self, query: CandidateQuery) -> Candidates:
        world = await self._ledger.world()
        return candidates.find(world, query, spread=query.spread)

    async def claim(self, claim: Claim) -> Held:
        return (await self.claim_all([claim]))[0]

    async def claim_all(self, claims: list[Claim]) -> list[Held]:
        async with self._ledger.writing() as change:
            known = await consumers.find_all(change.tx, [one.consumer_id for one in claims])
            again = await _held_already(change, claims, known)
            if again is not None:
                return again
            written = await allocations.claim(change, [_wanted(one) for one in claims], known)
        now = {consumer.id: consumer for consumer in written}
        return [_held(now[one.consumer_id], one.allocations) for one in claims]

    async def release(self, consumer_id: str) -> None:
        async with self._ledger.writing() as change:
            await allocations.release(change, consumer_id)

    async def find_allocations(self, consumer_id: str) -> Held | None:
        async with self._ledger.db.read() as tx:
            known = await consumers.find_all(tx, [consumer_id])
            held = await consumers.held_by(tx, [consumer_id])
        consumer = known.get(consumer_id)
        return _held(consumer, _amounts(held)) if consumer else None

    async def allocations_of_provider(self, provider_id: str) -> dict[str, dict[str, int]]:
        async with self._ledger.reading() as (tx, world):
            if world.find(provider_id) is None:
                raise _no_provider(provider_id)
            found: dict[str, dict[str, int]] = {}
            for one in await consumers.held_from(tx, provider_id):
                found.setdefault(one.consumer_id, {})[one.resource_class] = one.used
        return found

    async def usages(self, project_id: str, user_id: str | None = None) -> dict[str, int]:
        async with self._ledger.db.read() as tx:
            total: dict[str, int] = {}
            for use in await consumers.list_uses(tx, project_id, user_id):
                total[use.resource_class] = total.get(use.resource_class, 0) + use.used
        return total


def _no_provider(provider_id: str) -> NotFound:
    return NotFound(
        f"No resource provider with uuid {provider_id} found",
        code="placement.resource_provider.not_found",
    )


def _provider(state: ProviderState) -> Provider:
    return Provider(
        id=state.id,
        name=state.name,
        generation=state.generation,
        parent_id=state.parent_id,
        root_id=state.root_id,
        inventories=core.inventories_of(state),
        traits=tuple(sorted(state.traits)),
        aggregates=tuple(sorted(state.aggregates)),
    )


def _traits_of(state: ProviderState | None, spec: ProviderSpec) -> frozenset[str]:
    """What `spec` asks for, with the custom ones that are there if they shall stay."""
    kept = frozenset(t for t in (state.traits if state else ()) if t.startswith("CUSTOM_"))
    return frozenset(spec.traits or ()) | (kept if spec.keep_custom_traits else frozenset())


def _is_so(state: ProviderState, spec: ProviderSpec) -> bool:
    return (
        state.name == spec.name
        and state.parent_id == spec.parent_id
        and (spec.inventories is None or core.inventories_of(state) == spec.inventories)
        and (spec.traits is None or state.traits == _traits_of(state, spec))
        and (spec.aggregates is None or state.aggregates == frozenset(spec.aggregates))
    )


async def _make_names(change: Change, spec: ProviderSpec) -> None:
    """Custom traits and classes of a trusted service are made as they come."""
    for kind, wanted in (("trait", spec.traits or ()), ("class", spec.inventories or ())):
        for name in wanted:
            if change.knows(kind, name):
                continue
            if not name.startswith("CUSTOM_"):
                raise Invalid(f"No such {kind} {name}.", field=kind)
            await change.make_name(kind, name)


def _named(change: Change, spec: ProviderSpec) -> ProviderState:
    world = change.world
    state = world.find(spec.id)
    if state is None:
        return core.made(world, spec.id, spec.name, spec.parent_id, change.now)
    if state.name != spec.name:
        state = core.renamed(world, state, spec.name, change.now)
    if state.parent_id != spec.parent_id:
        state, *below = core.moved(world, state, spec.parent_id, freely=True)
        for one in below:
            change.touch(one)
    return state


def _filled(change: Change, state: ProviderState, spec: ProviderSpec) -> ProviderState:
    if spec.inventories is not None and core.inventories_of(state) != spec.inventories:
        core.check_stocks(
            partial(change.knows, "class"), state.id, spec.inventories, allow_empty=True
        )
        state = core.stocked(state, spec.inventories, change.now)
    if spec.traits is not None:
        state = with_traits(state, _traits_of(state, spec), change.now)
    if spec.aggregates is not None and state.aggregates != frozenset(spec.aggregates):
        state = core.replace(
            state, aggregates=frozenset(spec.aggregates), generation=state.generation + 1
        )
    return state


def _wanted(claim: Claim) -> Wanted:
    return Wanted(
        consumer_id=claim.consumer_id,
        allocations=claim.allocations,
        project_id=claim.project_id,
        user_id=claim.user_id,
        consumer_type=claim.consumer_type,
        consumer_generation=claim.consumer_generation,
    )


async def _held_already(
    change: Change, claims: list[Claim], known: dict[str, Consumer]
) -> list[Held] | None:
    """The answer when all of it is held as claimed, as after a call repeated."""
    if len(known) < len(claims) or not claims:
        return None
    held = await consumers.held_by(change.tx, known)
    answers = []
    for one in claims:
        amounts = _amounts([a for a in held if a.consumer_id == one.consumer_id])
        if amounts != one.allocations:
            return None
        answers.append(_held(known[one.consumer_id], amounts))
    return answers


def _amounts(held: list[Allocation]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for one in held:
        found.setdefault(one.provider_id, {})[one.resource_class] = one.used
    return found


def _held(consumer: Consumer, amounts: dict[str, dict[str, int]]) -> Held:
    return Held(
        consumer_id=consumer.id,
        generation=consumer.generation,
        project_id=consumer.project_id,
        user_id=consumer.user_id,
        consumer_type=consumer.consumer_type,
        allocations=amounts,
    )
