# SPDX-License-Identifier: Apache-2.0
"""The decision: candidates of Placement, filtered and ranked."""

from collections.abc import Iterable

import msgspec

from octostack.services.compute.core.scheduling import filters, weighers
from octostack.services.compute.core.scheduling.filters import Request
from octostack.services.compute.core.scheduling.weighers import Weights
from octostack.services.compute.core.scheduling.world import World

__all__ = ["Choice", "Request", "choose"]


class Choice(msgspec.Struct, frozen=True):
    """Slots, best first; when there is none, `refused_by` names the filter that let none pass."""

    slots: tuple[int, ...]
    refused_by: str = ""


def choose(
    world: World, request: Request, providers: Iterable[str], weights: Weights, most: int = 20
) -> Choice:
    """The best `most` hosts among the candidates' root providers."""
    slots = [slot for slot in map(world.slots.get, providers) if slot is not None]
    allowed, refused_by = _allowed(world, request, slots)
    mask = allowed.to_bytes((len(world.hosts) + 8) // 8, "little")
    left = [slot for slot in slots if mask[slot >> 3] >> (slot & 7) & 1]
    if not left:
        return Choice((), refused_by or "Placement")
    weights_of = weighers.weigh(world, request, left, weights)
    ranked = sorted(zip(weights_of, left, strict=True), key=lambda p: -p[0])[:most]
    return Choice(tuple(slot for _weight, slot in ranked))


def _allowed(world: World, request: Request, slots: list[int]) -> tuple[int, str]:
    """The hosts that pass all filters, and the filter that first left none of `slots`."""
    mask = bytearray((len(world.hosts) + 8) // 8)
    for slot in slots:
        mask[slot >> 3] |= 1 << (slot & 7)
    left = int.from_bytes(mask, "little")
    for name, check in filters.FILTERS:
        left &= check(world, request)
        if not left:
            return 0, name if slots else "Placement"
    return left, ""
