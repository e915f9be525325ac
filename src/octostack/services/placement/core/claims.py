# SPDX-License-Identifier: Apache-2.0
"""May these consumers hold that? The rule of every claim, decided against the world in memory.

The caller holds the write lock of the database and a world that is up to date, so a yes stays
true until the rows are written: no retry, no overcommit beyond the ratio.
"""

from collections.abc import Callable, Iterable

from octostack.base.errors import Conflict, Invalid
from octostack.services.placement.core.world import capacity_of
from octostack.services.placement.model import Allocation, Consumer, ProviderState, Wanted

Find = Callable[[str], ProviderState | None]
Deltas = dict[tuple[str, str], int]  # (provider id, resource class) → change of what is used

CAPACITY = "placement.capacity"  # of ours; the HTTP API shows placement.undefined_code for it
CONCURRENT_UPDATE = "placement.concurrent_update"


def check_generation(wanted: Wanted, consumer: Consumer | None) -> None:
    """The consumer is at the generation the caller believes. Raises Conflict."""
    if not wanted.checks_generation:
        return
    given = wanted.consumer_generation
    if consumer is None and given is not None:
        raise Conflict(
            f"consumer generation conflict - expected null but got {given}",
            code=CONCURRENT_UPDATE,
        )
    if consumer is not None and consumer.generation != given:
        raise Conflict(
            "consumer generation conflict - "
            f"expected {consumer.generation} but got {_shown(given)}",
            code=CONCURRENT_UPDATE,
        )


def decide(
    find: Find,
    knows_class: Callable[[str], bool],
    wanted: Iterable[Wanted],
    held: Iterable[Allocation],
) -> Deltas:
    """How the use of each provider changes when `held` is replaced by what is `wanted`.

    `find` gives a provider as it is now; `held` is everything the same consumers hold now.
    Raises Invalid for an unknown provider or class, Conflict (placement.capacity) when it does
    not fit.
    """
    released: Deltas = {}
    for allocation in held:
        key = allocation.provider_id, allocation.resource_class
        released[key] = released.get(key, 0) + allocation.used
    taken: Deltas = {}
    for one in wanted:
        for provider_id, resources in one.allocations.items():
            state = find(provider_id)
            if state is None:
                raise Invalid(
                    f"Allocation for resource provider '{provider_id}' that does not exist."
                )
            for name, amount in resources.items():
                if not knows_class(name):
                    raise Invalid(
                        f"Unable to allocate inventory for consumer {one.consumer_id}: "
                        f"No such resource class {name}.",
                        field="resources",
                    )
                _take(state, taken, released, (name, amount))
    return {
        key: taken.get(key, 0) - released.get(key, 0)
        for key in {*taken, *released}
        if taken.get(key, 0) != released.get(key, 0)
    }


def _take(state: ProviderState, taken: Deltas, released: Deltas, part: tuple[str, int]) -> None:
    name, amount = part
    provider_id = state.id
    stock = state.stocks.get(name)
    if stock is None:
        raise Conflict(
            f"Unable to allocate inventory: Inventory for '{name}' on resource provider "
            f"'{provider_id}' invalid.",
            code=CAPACITY,
        )
    inventory = stock.inventory
    if not inventory.min_unit <= amount <= inventory.max_unit or amount % inventory.step_size:
        raise _refused(name, provider_id, "violate inventory constraints")
    key = provider_id, name
    taken[key] = taken.get(key, 0) + amount
    used_before = state.used.get(name, 0)
    used_after = used_before - released.get(key, 0) + taken[key]
    # An overfull provider (its inventory shrank) may still be relieved, step by step.
    relieves = key in released and used_after <= used_before
    if used_after > capacity_of(inventory) and not relieves:
        raise _refused(name, provider_id, "exceed the capacity")


def _refused(name: str, provider_id: str, what: str) -> Conflict:
    return Conflict(
        f"Unable to allocate inventory: Unable to create allocation for '{name}' on resource "
        f"provider '{provider_id}'. The requested amount would {what}.",
        code=CAPACITY,
        provider_id=provider_id,
        resource_class=name,
    )


def _shown(generation: int | None) -> str:
    return "null" if generation is None else str(generation)
