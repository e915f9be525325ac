# SPDX-License-Identifier: Apache-2.0
"""Who had best take a server: each weigher gives numbers, stretched to 0..1 and summed."""

from collections.abc import Callable, Sequence

import msgspec

from octostack.services.compute.core.scheduling.filters import Request
from octostack.services.compute.core.scheduling.world import World

Weigher = Callable[[World, Request, Sequence[int]], list[float]]


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Multipliers; negative ones turn a weigher round (stack instead of spread)."""

    ram: float = 1.0
    cpu: float = 1.0
    disk: float = 1.0
    soft_affinity: float = 1.0
    soft_anti_affinity: float = 1.0
    io_ops: float = -1.0
    build_failure: float = -1000000.0


def free_ram(world: World, _request: Request, slots: Sequence[int]) -> list[float]:
    """MiB not used."""
    return [world.hosts[s].memory_mb - world.memory_used[s] for s in slots]


def free_cpu(world: World, _request: Request, slots: Sequence[int]) -> list[float]:
    """Virtual CPUs not used."""
    return [world.hosts[s].vcpus - world.vcpus_used[s] for s in slots]


def free_disk(world: World, _request: Request, slots: Sequence[int]) -> list[float]:
    """GiB not used."""
    return [world.hosts[s].disk_gb - world.disk_used[s] for s in slots]


def io_ops(world: World, _request: Request, slots: Sequence[int]) -> list[float]:
    """Servers being built there now."""
    return [world.building[s] for s in slots]


def build_failures(world: World, _request: Request, slots: Sequence[int]) -> list[float]:
    """Failed builds since the last good one."""
    return [world.failures[s] for s in slots]


def soft_affinity(world: World, request: Request, slots: Sequence[int]) -> list[float]:
    """Members of a soft-affinity group there already."""
    return _members(world, request, slots, "soft-affinity")


def soft_anti_affinity(world: World, request: Request, slots: Sequence[int]) -> list[float]:
    """The fewer members of a soft-anti-affinity group the better."""
    return [-n for n in _members(world, request, slots, "soft-anti-affinity")]


WEIGHERS: tuple[tuple[str, Weigher], ...] = (
    ("ram", free_ram),
    ("cpu", free_cpu),
    ("disk", free_disk),
    ("io_ops", io_ops),
    ("build_failure", build_failures),
    ("soft_affinity", soft_affinity),
    ("soft_anti_affinity", soft_anti_affinity),
)


def weigh(world: World, request: Request, slots: Sequence[int], weights: Weights) -> list[float]:
    """One number per slot; higher is better."""
    total = [0.0] * len(slots)
    for name, weigher in WEIGHERS:
        factor = getattr(weights, name)
        values = weigher(world, request, slots) if factor else []
        low, high = (min(values), max(values)) if values else (0.0, 0.0)
        if high > low:
            scale = factor / (high - low)
            total = [t + (v - low) * scale for t, v in zip(total, values, strict=True)]
    return total


def _members(world: World, request: Request, slots: Sequence[int], policy: str) -> list[float]:
    if request.group is None or request.group.policy != policy:
        return []
    counts: dict[int, int] = {}
    for member in request.group.members:
        place = world.placed.get(member)
        if place:
            counts[place[0]] = counts.get(place[0], 0) + 1
    return [float(counts.get(s, 0)) for s in slots]
