# SPDX-License-Identifier: Apache-2.0
"""What a provider may become: made, renamed, moved in its tree, given inventories."""

from collections.abc import Callable

import msgspec

from octostack.base.errors import Conflict, Invalid
from octostack.contracts.placement import Inventory
from octostack.services.placement.core.world import World, capacity_of, class_order, slots_of
from octostack.services.placement.model import ProviderState, Stock

DUPLICATE_NAME = "placement.duplicate_name"
IN_USE = "placement.resource_provider.inuse"
IS_PARENT = "placement.resource_provider.cannot_delete_parent"
INVENTORY_IN_USE = "placement.inventory.inuse"

replace = msgspec.structs.replace


def made(
    world: World, provider_id: str, name: str, parent_id: str | None, now: float
) -> ProviderState:
    """A new provider. Raises Conflict (duplicate), Invalid (parent)."""
    taken = []
    if world.find(provider_id) is not None:
        taken.append(f"uuid: {provider_id}")
    if world.find_name(name) is not None:
        taken.append(f"name: {name}")
    if taken:
        raise Conflict(
            f"Conflicting resource provider {', '.join(taken)} already exists.",
            code=DUPLICATE_NAME,
        )
    unable = f'Unable to create resource provider "{name}", {provider_id}: '
    if parent_id == provider_id:
        raise Invalid(
            f"{unable}Object action create failed because: parent provider UUID cannot be same as "
            "UUID. Please set parent provider UUID to None if there is no parent.",
            field="parent_provider_uuid",
        )
    root_id = provider_id
    if parent_id is not None:
        parent = world.find(parent_id)
        if parent is None:
            raise Invalid(
                f"{unable}Object action create failed because: parent provider UUID does not "
                "exist.",
                field="parent_provider_uuid",
            )
        root_id = parent.root_id
    return ProviderState(
        id=provider_id,
        name=name,
        generation=0,
        parent_id=parent_id,
        root_id=root_id,
        created_at=now,
        updated_at=now,
        seq=0,
    )


def renamed(world: World, state: ProviderState, name: str, now: float) -> ProviderState:
    """The provider by another name. Raises Conflict."""
    other = world.find_name(name)
    if other is not None and other.id != state.id:
        raise Conflict(f"Conflicting resource provider {name} already exists.", code=DUPLICATE_NAME)
    return replace(state, name=name, updated_at=now)


def moved(
    world: World, state: ProviderState, parent_id: str | None, *, freely: bool
) -> list[ProviderState]:
    """The provider below another parent, and all below it in their new tree.

    Only with `freely` (microversion 1.37) may one that has a parent get another or none.
    Raises Invalid.
    """
    unable = f"Unable to save resource provider {state.id}: Object action "
    if parent_id is None:
        if state.parent_id is None:
            return [state]
        if not freely:
            raise _no_move(f"{unable}update failed because: un-parenting a provider is not "
                           "currently allowed.")  # fmt: skip
        return _rerooted(world, state, None, state.id)
    parent = world.find(parent_id)
    if parent is None:
        raise _no_move(f"{unable}create failed because: parent provider UUID does not exist.")
    if state.parent_id not in (None, parent_id) and not freely:
        raise _no_move(f"{unable}update failed because: re-parenting a provider is not "
                       "currently allowed.")  # fmt: skip
    if parent_id in {s.id for s in _below(world, state)}:
        raise _no_move(f"{unable}update failed because: creating loop in the provider tree is "
                       "not allowed.")  # fmt: skip
    return _rerooted(world, state, parent_id, parent.root_id)


def check_removal(world: World, state: ProviderState) -> None:
    """Raise Conflict while the provider has children or allocations."""
    if world.children(state.id):
        raise Conflict(
            f"Unable to delete parent resource provider {state.id}: It has child resource "
            "providers.",
            code=IS_PARENT,
        )
    if state.used:
        raise Conflict(
            f"Unable to delete resource provider {state.id}: Resource provider has allocations.",
            code=IN_USE,
        )


def check_stocks(
    knows_class: Callable[[str], bool],
    provider_id: str,
    inventories: dict[str, Inventory],
    *,
    allow_empty: bool,
    verb: str = "update",
) -> None:
    """Inventories of known classes with something to give. Raises Invalid.

    `allow_empty` (microversion 1.26): all of it may be reserved.
    """
    for name, inventory in inventories.items():
        if not knows_class(name):
            raise Invalid(
                f"{_unknown_class(verb)} for resource provider {provider_id}: "
                f"No such resource class {name}.",
                field=name,
            )
        capacity = capacity_of(inventory)
        if capacity < 0 or (capacity == 0 and not allow_empty):
            than = "greater than total" if allow_empty else "greater than or equal to total"
            raise Invalid(
                f"Unable to {verb} inventory for resource provider {provider_id}: Invalid "
                f"inventory for '{name}' on resource provider '{provider_id}'. The reserved "
                f"value is {than}.",
                field="reserved",
            )


def _unknown_class(verb: str) -> str:
    return (
        "Unable to create inventory" if verb == "create" else "Unknown resource class in inventory"
    )


def stocked(state: ProviderState, inventories: dict[str, Inventory], now: float) -> ProviderState:
    """The provider with just these inventories and its next generation. Raises Conflict."""
    lost = sorted((name for name in state.used if name not in inventories), key=class_order)
    if lost:
        raise Conflict(
            f"update conflict: Inventory for '{', '.join(lost)}' on resource provider "
            f"'{state.id}' in use.",
            code=INVENTORY_IN_USE,
        )
    stocks = {}
    for name, inventory in inventories.items():
        known = state.stocks.get(name)
        same = known is not None and known.inventory == inventory
        stocks[name] = known if same and known else Stock(inventory, now)
    return replace(state, stocks=stocks, generation=state.generation + 1, updated_at=now)


def inventories_of(state: ProviderState) -> dict[str, Inventory]:
    """The provider's inventories by class."""
    return {name: stock.inventory for name, stock in state.stocks.items()}


def _no_move(message: str) -> Invalid:
    return Invalid(message, field="parent_provider_uuid")


def _below(world: World, state: ProviderState) -> list[ProviderState]:
    """The provider and everything below it."""
    found = [state]
    for one in found:
        found.extend(world.children(one.id))
    return found


def _rerooted(
    world: World, state: ProviderState, parent_id: str | None, root_id: str
) -> list[ProviderState]:
    below = _below(world, state)[1:]
    first = replace(state, parent_id=parent_id, root_id=root_id)
    return [first, *(replace(one, root_id=root_id) for one in below)]


def tree_of(world: World, provider_id: str) -> list[ProviderState]:
    """Everything in the tree the provider stands in; none when there is no such provider."""
    slot = world.slot(provider_id)
    if slot is None:
        return []
    return [world.at(s) for s in slots_of(world.tree(world.root[slot]))]
