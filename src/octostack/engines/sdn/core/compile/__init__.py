# SPDX-License-Identifier: Apache-2.0
"""Intent to flows, item by item.

Each item's flows are a function of a small value (a *site*: the item with the numbers and
neighbours its flows are made of). `Compiler` keeps the last site of each item beside its flows:
an item whose site is equal keeps them, so that the cost of a change is what the change touches.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from octostack.contracts import network_agent as intents
from octostack.engines.sdn.core import pipeline
from octostack.engines.sdn.core.compile import networks, ports, routers, security
from octostack.engines.sdn.core.model import Fabric, Flow, FlowKey, Numbers, Place, v4

Part: TypeAlias = "tuple[str, tuple[Any, ...], Callable[..., list[Flow]]]"


class Delta(msgspec.Struct, frozen=True):
    """What changed between two compilations: flows to put in (new or changed), keys to take out."""

    put: tuple[Flow, ...]
    drop: tuple[FlowKey, ...]


class Compiler:
    """Holds the flows of one host's present intent."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[tuple[Any, ...], list[Flow]]] = {}
        self.flows: dict[FlowKey, Flow] = {}
        self._groups: dict[str, security.Group] = {}

    def update(self, fabric: Fabric, numbers: Numbers, place: Place) -> Delta:
        """Compile what changed. Raises Invalid when an item cannot be flows; then nothing did."""
        parts: dict[str, tuple[tuple[Any, ...], list[Flow]]] = {}
        changed: list[str] = []
        self._groups = {id_: self._groups.get(id_) or security.Group() for id_ in fabric.groups}
        for name, site, function in parts_of(fabric, numbers, place, self._groups):
            held = self._parts.get(name)
            if held is not None and held[0] == site:
                parts[name] = held
                continue
            parts[name] = (site, function(*site))
            changed.append(name)
        gone = [name for name in self._parts if name not in parts]
        return self._replace(parts, changed, gone)

    def _replace(
        self,
        parts: dict[str, tuple[tuple[Any, ...], list[Flow]]],
        changed: list[str],
        gone: list[str],
    ) -> Delta:
        before: dict[FlowKey, Flow] = {}
        after: dict[FlowKey, Flow] = {}
        for name in (*changed, *gone):
            old = self._parts.get(name, ((), []))[1]
            new = parts[name][1] if name in parts else []
            kept = {id(flow) for flow in old} & {id(flow) for flow in new}
            before.update((flow.key, flow) for flow in old if id(flow) not in kept)
            after.update((flow.key, flow) for flow in new if id(flow) not in kept)
        drop = tuple(key for key in before if key not in after)
        put = tuple(flow for key, flow in after.items() if not same(before.get(key), flow))
        for key in drop:
            self.flows.pop(key, None)
        self.flows.update(after)
        self._parts = parts
        return Delta(put, drop)


def same(held: Flow | None, wanted: Flow) -> bool:
    """Whether a flow does what another does."""
    return (
        held is not None
        and held.instructions == wanted.instructions
        and held.cookie == wanted.cookie
    )


def parts_of(
    fabric: Fabric, numbers: Numbers, place: Place, groups: Mapping[str, security.Group]
) -> Iterator[Part]:
    """Every part of the intent: its name, its site, and what makes flows of it."""
    yield "static", (place,), networks.static
    yield "egress", (security.EGRESS,), security.frame
    yield "ingress", (security.INGRESS,), security.frame
    yield "hosts", (fabric.other_hosts(place.tunnel_ip),), networks.hosts
    yield from _networks(fabric, numbers, place)
    for subnet in fabric.subnets.values():
        site = (subnet, numbers[f"network/{subnet.network_id}"])
        yield f"subnet/{subnet.id}", site, networks.subnet
    for port in fabric.ports.values():
        yield f"port/{port.id}", (port_site(port, fabric, numbers, place),), ports.port
    for remote in fabric.remotes.values():
        number = numbers[f"network/{remote.network_id}"]
        net = fabric.networks[remote.network_id]
        yield f"remote/{remote.id}", (remote, net, number), networks.remote
    yield from _groups(fabric, numbers, groups)
    for router in fabric.routers.values():
        yield f"router/{router.id}", (router_site(router, fabric, numbers, place),), routers.router
    yield from _floating(fabric, numbers, place)


def _networks(fabric: Fabric, numbers: Numbers, place: Place) -> Iterator[Part]:
    for net in fabric.networks.values():
        local = sorted(numbers[f"port/{p.id}"] for p in fabric.ports_of.get(net.id, ()))
        segment = networks.Segment(
            network=net,
            number=numbers[f"network/{net.id}"],
            ports=tuple(local),
            tunnels=networks.tunnels(fabric.remotes_of.get(net.id, ()), place.tunnel_ip),
            uplink=place.physical.get(net.physical or "", 0),
            metadata=bool(place.metadata_mac),
        )
        yield f"network/{net.id}", (segment,), networks.network


def _groups(
    fabric: Fabric, numbers: Numbers, groups: Mapping[str, security.Group]
) -> Iterator[Part]:
    for group in fabric.groups.values():
        named = {r.remote[4:] for r in group.rules if r.remote.startswith("set:")}
        sets = {i: fabric.sets[i].addresses for i in sorted(named) if i in fabric.sets}
        site = (group, sets, numbers[f"group/{group.id}"])
        yield f"group/{group.id}", site, groups[group.id].flows


def port_site(
    port: intents.LocalPort, fabric: Fabric, numbers: Numbers, place: Place
) -> ports.PortSite:
    """A port with all its flows depend on."""
    groups = tuple(numbers[f"group/{g}"] for g in port.security_groups)
    number = numbers[f"port/{port.id}"]
    return ports.PortSite(
        port=port,
        network=fabric.networks[port.network_id],
        number=number,
        network_number=numbers[f"network/{port.network_id}"],
        groups=groups,
        stateful=any(fabric.groups[g].stateful for g in port.security_groups),
        dhcp=fabric.dhcp_subnet(port) is not None,
        metadata_mac=place.metadata_mac,
        meter=number if place.meters else 0,
    )


def served_here(router: intents.Router, fabric: Fabric, place: Place) -> bool:
    """Whether this host is the router's way to the world."""
    gateway = router.gateway
    if gateway is None or gateway.host != place.host:
        return False
    net = fabric.networks.get(gateway.network_id)
    return net is not None and net.physical in place.physical


def router_site(
    router: intents.Router, fabric: Fabric, numbers: Numbers, place: Place
) -> routers.RouterSite:
    """A router with all its flows depend on."""
    gateway = router.gateway
    inner = ((i.network_id, i.mac, a) for i in router.interfaces for a in v4(i.addresses))
    outer = ((gateway.network_id, gateway.mac, a) for a in v4(gateway.addresses)) if gateway else ()
    return routers.RouterSite(
        router=router,
        number=numbers[f"router/{router.id}"],
        snat_zone=numbers[f"snat/{router.id}"],
        dnat_zone=numbers[f"dnat/{router.id}"],
        inner=routers.legs(iter(inner), fabric, numbers),
        outer=routers.legs(iter(outer), fabric, numbers),
        served=served_here(router, fabric, place),
        meter=pipeline.METER_ARP if place.meters else 0,
    )


def _floating(fabric: Fabric, numbers: Numbers, place: Place) -> Iterator[Part]:
    for item in fabric.floating_ips.values():
        router = fabric.routers.get(item.router_id)
        if router is None or not router.admin_up or not served_here(router, fabric, place):
            continue
        if item.network_id not in fabric.networks:
            continue
        site = routers.FloatingSite(
            floating=item,
            number=numbers[f"router/{router.id}"],
            network_number=numbers[f"network/{item.network_id}"],
            dnat_zone=numbers[f"dnat/{router.id}"],
            snat_zone=numbers[f"snat/{router.id}"],
        )
        yield f"floating/{item.id}", (site,), routers.floating
