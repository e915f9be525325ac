# SPDX-License-Identifier: Apache-2.0
"""Who may take a server: each filter answers with the set of hosts it lets pass.

Names and meaning are those operators know from Nova's scheduler. Filters are ordered as they
are listed; an empty answer names the filter in the server's fault.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from octostack.services.compute.core.scheduling.world import World, slots_in
from octostack.services.compute.model import Flavor, ServerGroup


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be placed."""

    flavor: Flavor
    project_id: str
    zone: str | None = None
    host: str | None = None
    node: str | None = None
    image_properties: dict[str, str] = {}
    hints: dict[str, Any] = {}
    group: ServerGroup | None = None
    tried: tuple[str, ...] = ()


Filter = Callable[[World, Request], int]


def compute(world: World, request: Request) -> int:
    """Hosts that report and are not disabled; a host asked for by name may be disabled."""
    return world.up if request.host or request.node else world.up & world.enabled


def requested(world: World, request: Request) -> int:
    """The host or node an administrator asked for."""
    bits = world.all
    if request.host:
        bits &= world.bits((request.host,))
    if request.node:
        bits &= _where(world, lambda slot: world.hosts[slot].hypervisor_hostname == request.node)
    return bits


def zone(world: World, request: Request) -> int:
    """Hosts of the availability zone."""
    return world.zone_bits(request.zone) if request.zone else world.all


def tried(world: World, request: Request) -> int:
    """Not where it failed just now."""
    return world.all & ~world.bits(request.tried)


def image_properties(world: World, request: Request) -> int:
    """Architecture and hypervisor the image asks for."""
    properties = request.image_properties
    architecture = properties.get("hw_architecture") or properties.get("architecture")
    hypervisor = properties.get("img_hv_type") or properties.get("hypervisor_type")
    bits = world.all
    if architecture:
        bits &= _where(
            world, lambda slot: world.hosts[slot].facts.get("architecture") == architecture
        )
    if hypervisor:
        wanted = hypervisor.lower()
        # images made for KVM run on QEMU of the same machine
        bits &= _where(
            world,
            lambda slot: (
                world.hosts[slot].hypervisor_type.lower() == wanted or (wanted in ("kvm", "qemu"))
            ),
        )
    mode = properties.get("hw_vm_mode") or properties.get("vm_mode")
    return bits if mode in (None, "", "hvm") else 0


def anti_affinity(world: World, request: Request) -> int:
    """At most `max_server_per_host` of the group on one host."""
    group = request.group
    if group is None or group.policy != "anti-affinity":
        return world.all
    limit = int(group.rules.get("max_server_per_host", 1))
    counts: dict[int, int] = {}
    for member in group.members:
        place = world.placed.get(member)
        if place:
            counts[place[0]] = counts.get(place[0], 0) + 1
    full = 0
    for slot, count in counts.items():
        if count >= limit:
            full |= 1 << slot
    return world.all & ~full


def affinity(world: World, request: Request) -> int:
    """Where the group's first member is."""
    group = request.group
    if group is None or group.policy != "affinity":
        return world.all
    return world.hosts_of(group.members) or world.all


def same_host(world: World, request: Request) -> int:
    """The hint same_host: with one of these servers."""
    ids = _ids(request.hints.get("same_host"))
    return world.hosts_of(ids) if ids else world.all


def different_host(world: World, request: Request) -> int:
    """The hint different_host: with none of these servers."""
    return world.all & ~world.hosts_of(_ids(request.hints.get("different_host")))


def aggregate_extra_specs(world: World, request: Request) -> int:
    """Flavor extra specs ``aggregate_instance_extra_specs:KEY`` match an aggregate's metadata."""
    bits = world.all
    for key, wanted in request.flavor.extra_specs.items():
        scope, _, name = key.partition(":")
        if scope != "aggregate_instance_extra_specs" or not name:
            continue
        found = 0
        for aggregate, members in world.aggregates.values():
            if matches(wanted, aggregate.metadata.get(name)):
                found |= members
        bits &= found
    return bits


def tenant_isolation(world: World, request: Request) -> int:
    """An aggregate with ``filter_tenant_id`` takes only servers of these projects."""
    bits = world.all
    for aggregate, members in world.aggregates.values():
        owners = [
            value
            for key, text in aggregate.metadata.items()
            if key.startswith("filter_tenant_id")
            for value in text.split(",")
        ]
        if owners and request.project_id not in (o.strip() for o in owners):
            bits &= ~members
    return bits


FILTERS: tuple[tuple[str, Filter], ...] = (
    ("ComputeFilter", compute),
    ("RequestedHost", requested),
    ("RetryFilter", tried),
    ("AvailabilityZoneFilter", zone),
    ("ImagePropertiesFilter", image_properties),
    ("ServerGroupAntiAffinityFilter", anti_affinity),
    ("ServerGroupAffinityFilter", affinity),
    ("SameHostFilter", same_host),
    ("DifferentHostFilter", different_host),
    ("AggregateInstanceExtraSpecsFilter", aggregate_extra_specs),
    ("AggregateMultiTenancyIsolation", tenant_isolation),
)


def matches(wanted: str, have: str | None) -> bool:
    """The extra spec language: a plain value, or an operator and values.

    ``= N``, ``== N`` and the like compare numbers, ``s==`` and the like text, ``<in>`` is part
    of, ``<or> A <or> B`` any of.
    """
    if have is None:
        return wanted.strip() == "!"
    words = wanted.split()
    if not words:
        return have == ""
    if words[0] == "<or>":
        return have in [w for w in words if w != "<or>"]
    if words[0] == "<in>":
        return " ".join(words[1:]) in have
    if len(words) >= 2 and words[0] in _TEXT_OPS:
        return _TEXT_OPS[words[0]](have, words[1])
    if len(words) >= 2 and words[0] in _NUMBER_OPS:
        try:
            return _NUMBER_OPS[words[0]](float(have), float(words[1]))
        except ValueError:
            return False
    return wanted == have


_TEXT_OPS: dict[str, Callable[[str, str], bool]] = {
    "s==": lambda a, b: a == b,
    "s!=": lambda a, b: a != b,
    "s<": lambda a, b: a < b,
    "s<=": lambda a, b: a <= b,
    "s>": lambda a, b: a > b,
    "s>=": lambda a, b: a >= b,
}
_NUMBER_OPS: dict[str, Callable[[float, float], bool]] = {
    "=": lambda a, b: a >= b,  # sic: "at least", as operators know it
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _where(world: World, test: Callable[[int], bool]) -> int:
    bits = 0
    for slot in slots_in(world.all):
        if test(slot):
            bits |= 1 << slot
    return bits


def _ids(hint: Any) -> tuple[str, ...]:
    if isinstance(hint, str):
        return (hint,)
    return tuple(str(h) for h in hint) if isinstance(hint, list | tuple) else ()
