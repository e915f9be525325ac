# SPDX-License-Identifier: Apache-2.0
"""Routers and floating addresses.

Each host routes what its own ports send. Only the way to the world has one place, the host that
serves the gateway: any other hands the packet, unrouted, to that host through the tunnel of the
network it is in, with the router's MAC still as its destination; there it takes the same path.

Translation has two conntrack zones per router, one for floating addresses (dnat) and one for the
gateway's (snat). From outside a packet passes snat then dnat, to outside dnat then snat. A packet
from inside to a floating address goes out and in again, and so passes all four; with one zone
it would meet its own first entry there.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from octostack.contracts import network_agent as intents
from octostack.engines.sdn.core import model
from octostack.engines.sdn.core.compile import draft as d
from octostack.engines.sdn.core.compile import networks
from octostack.engines.sdn.core.compile.draft import Draft
from octostack.engines.sdn.core.model import Flow
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import match as matches

_ROUTE: Final = 1000
_PER_BIT: Final = 10
_EVERYWHERE: Final = (0, 0, 0)


class Leg(msgspec.Struct, frozen=True):
    """A router's foot in a network with one of its IPv4 addresses there."""

    network: intents.Network
    number: int  # of the network
    mac: int
    address: int
    cidr: tuple[int, int, int]
    gateway_ip: int  # of the subnet; 0: none

    def holds(self, address: int) -> bool:
        """Whether an address is on this foot's subnet."""
        return address & self.cidr[1] == self.cidr[0]


class RouterSite(msgspec.Struct, frozen=True):
    """A router with the numbers its flows are made of. `served`: its gateway is on this host."""

    router: intents.Router
    number: int
    snat_zone: int
    dnat_zone: int
    inner: tuple[Leg, ...]
    outer: tuple[Leg, ...]
    served: bool
    meter: int  # of answers that go to the controller; 0: none


class FloatingSite(msgspec.Struct, frozen=True):
    """A floating address whose router's gateway is on this host."""

    floating: intents.FloatingIp
    number: int  # of the router
    network_number: int  # of the external network
    dnat_zone: int
    snat_zone: int


def router(site: RouterSite) -> list[Flow]:
    """Every flow of a router on this host."""
    if not site.router.admin_up:
        return []
    out = Draft("router", site.number, f"router {site.router.id}")
    for leg in site.inner:
        _foot(out, site, leg)
        _onto(out, site, leg)
    if site.served:
        for leg in site.outer:
            _gateway(out, site, leg)
        _translate(out, site)
    for route in site.router.routes:
        _extra(out, site, route.destination, route.nexthop)
    if site.served:
        _world(out, site)
    else:
        _hand_over(out, site)
    return list({flow.key: flow for flow in out.flows}.values())


def _foot(out: Draft, site: RouterSite, leg: Leg) -> None:
    """The router's own address in a tenant network: ARP, ping, and the way in by its MAC."""
    out.answer_arp(leg.number, leg.address, leg.mac)
    _enter(out, leg, "router", site.number)
    _learn_replies(out, leg, site.meter)
    # another router's next hop may be this address
    at: dict[str, matches.Value] = {d.NETWORK: leg.number, d.NEXT_HOP: leg.address}
    out.add("neighbours", 100, at, d.put("eth_dst", leg.mac), d.resubmit("arrive"))
    own: dict[str, matches.Value] = {
        d.ROUTER: site.number,
        "eth_type": d.IPV4,
        "ip_dst": leg.address,
    }
    ping = {"ip_proto": d.ICMP, "icmp_type": 8}
    out.add("router", 100, {**own, **ping}, *d.echo_reply(leg.address, leg.mac), goto="l2")
    out.add("router", 90, own)


def _enter(out: Draft, leg: Leg, table: str, number: int) -> None:
    """IPv4 to the router's MAC is the router's."""
    terms: dict[str, matches.Value] = {
        d.NETWORK: leg.number,
        "eth_dst": leg.mac,
        "eth_type": d.IPV4,
    }
    out.add("arrive", 100, terms, d.put(d.ROUTER, number), goto=table)


def _learn_replies(out: Draft, leg: Leg, meter: int) -> None:
    """Answers to what packet-in asked in this router's name."""
    terms: dict[str, matches.Value] = {
        d.NETWORK: leg.number,
        "eth_type": d.ARP,
        "arp_op": 2,
        "arp_tpa": leg.address,
    }
    out.add("arp", 50, terms, d.TO_CONTROLLER, meter=meter)


def _leave(leg: Leg) -> acts.Actions:
    """One hop done: now in the network of `leg`, from the router's MAC there."""
    return (
        acts.DecTtl(),
        d.put("eth_src", leg.mac),
        d.put(d.NETWORK, leg.number),
        d.FROM_NOWHERE,
    )


def _towards(site: RouterSite, cidr: tuple[int, int, int]) -> dict[str, matches.Value]:
    network, mask, _ = cidr
    return {d.ROUTER: site.number, "eth_type": d.IPV4, "ip_dst": (network, mask)}


def _priority(length: int, preference: int) -> int:
    """Longer prefixes first; within a length connected (2), configured (1), by default (0)."""
    return _ROUTE + length * _PER_BIT + preference


def _onto(out: Draft, site: RouterSite, leg: Leg) -> None:
    """A subnet the router has a foot in."""
    resolve = acts.Move("ip_dst", d.NEXT_HOP, 32)
    priority = _priority(leg.cidr[2], 2)
    out.add("routes", priority, _towards(site, leg.cidr), *_leave(leg), resolve, goto="neighbours")


def _extra(out: Draft, site: RouterSite, destination: str, nexthop: str) -> None:
    """A configured route; one whose next hop is on no foot of the router leads nowhere."""
    if model.is_v6(destination):
        return
    cidr, hop = model.prefix(destination), model.address(nexthop)
    priority = _priority(cidr[2], 1)
    inner = next((leg for leg in site.inner if leg.holds(hop)), None)
    if inner is not None:
        to = d.put(d.NEXT_HOP, hop)
        out.add("routes", priority, _towards(site, cidr), *_leave(inner), to, goto="neighbours")
        return
    outer = next((leg for leg in site.outer if leg.holds(hop)), None)
    if outer is not None and site.served:
        _outwards(out, site, (cidr, priority), outer, d.put(d.NEXT_HOP, hop))


def _world(out: Draft, site: RouterSite) -> None:
    """The external subnets, and by default everything."""
    for leg in site.outer:
        resolve = acts.Move("ip_dst", d.NEXT_HOP, 32)
        _outwards(out, site, (leg.cidr, _priority(leg.cidr[2], 2)), leg, resolve)
    default = next((leg for leg in site.outer if leg.gateway_ip), None)
    if default is not None:
        to = d.put(d.NEXT_HOP, default.gateway_ip)
        _outwards(out, site, (_EVERYWHERE, _priority(0, 0)), default, to)


def _outwards(
    out: Draft,
    site: RouterSite,
    route: tuple[tuple[int, int, int], int],
    leg: Leg,
    hop: acts.Action,
) -> None:
    """Out by the gateway, which is here."""
    cidr, priority = route
    out.add("routes", priority, _towards(site, cidr), *_leave(leg), hop, goto="undnat")


def _hand_over(out: Draft, site: RouterSite) -> None:
    """All that is for nobody inside goes, as it is, to the host that serves the gateway."""
    gateway = site.router.gateway
    if gateway is None or not gateway.tunnel_ip:
        return
    for leg in site.inner:
        if leg.network.vni is not None:
            here = {**_towards(site, _EVERYWHERE), d.NETWORK: leg.number}
            there = networks.to_tunnel(leg.network.vni, gateway.tunnel_ip)
            out.add("routes", _priority(0, 0), here, *there)


def _gateway(out: Draft, site: RouterSite, leg: Leg) -> None:
    """The router's own address in the external network: ARP, ping, and the way in."""
    out.answer_arp(leg.number, leg.address, leg.mac)
    _enter(out, leg, "unsnat", site.number)
    _learn_replies(out, leg, site.meter)
    back_in(out, leg.number, leg.address, leg.mac)
    own: dict[str, matches.Value] = {
        d.ROUTER: site.number,
        "eth_type": d.IPV4,
        "ip_dst": leg.address,
    }
    ping = {"ip_proto": d.ICMP, "icmp_type": 8}
    answer = d.echo_reply(leg.address, leg.mac)
    out.add("dnat", 60, {**own, **ping}, *answer, acts.CtClear(), d.resubmit("arrive"))


def back_in(out: Draft, network: int, address: int, mac: int) -> None:
    """A next hop that is one of our own external addresses: in again, as if from outside."""
    at: dict[str, matches.Value] = {d.NETWORK: network, d.NEXT_HOP: address}
    again = (d.put("eth_dst", mac), acts.CtClear(), d.resubmit("arrive"))
    out.add("neighbours", 110, at, *again)


def _translate(out: Draft, site: RouterSite) -> None:
    """The router's way through connection tracking, both directions."""
    mine: dict[str, matches.Value] = {d.ROUTER: site.number, "eth_type": d.IPV4}
    gateway = site.router.gateway
    out.add("unsnat", 100, mine, d.track(site.snat_zone, "dnat", acts.Nat()))
    out.add("undnat", 100, mine, d.track(site.dnat_zone, "snat", acts.Nat()))
    # an answer from a floating address has it by now
    out.add("snat", 100, {**mine, "ct_state": d.state(d.RPL)}, goto="neighbours")
    if gateway is not None and gateway.snat and site.outer:
        nat = acts.Nat(acts.NAT_SRC, site.outer[0].address)
        out.add("snat", 50, mine, d.track(site.snat_zone, "neighbours", nat, commit=True))
        out.add("dnat", 80, {**mine, "ct_state": d.state(d.RPL)}, goto="router")
    else:
        out.add("snat", 50, mine, goto="neighbours")
        out.add("dnat", 50, mine, goto="router")


def floating(site: FloatingSite) -> list[Flow]:
    """A floating address, where its router's gateway is."""
    item = site.floating
    out = Draft("floating", site.number, f"floating ip {item.address}")
    mac, outside, inside = (
        model.mac(item.mac),
        model.address(item.address),
        model.address(item.fixed_address),
    )
    net = site.network_number
    out.answer_arp(net, outside, mac)
    back_in(out, net, outside, mac)
    enter: dict[str, matches.Value] = {d.NETWORK: net, "eth_dst": mac, "eth_type": d.IPV4}
    out.add("arrive", 100, enter, d.put(d.ROUTER, site.number), goto="unsnat")
    mine: dict[str, matches.Value] = {d.ROUTER: site.number, "eth_type": d.IPV4}
    to = acts.Nat(acts.NAT_DST, inside)
    out.add(
        "dnat", 100, {**mine, "ip_dst": outside}, d.track(site.dnat_zone, "router", to, commit=True)
    )
    source = acts.Nat(acts.NAT_SRC, outside)
    track = d.track(site.snat_zone, "neighbours", source, commit=True)
    out.add("snat", 90, {**mine, "ip_src": inside}, track)
    return out.flows


def legs(
    feet: Iterator[tuple[str, str, intents.FixedAddress]],
    fabric: model.Fabric,
    numbers: Mapping[str, int] | model.Numbers,
) -> tuple[Leg, ...]:
    """Feet, given as (network id, MAC, address), with what their flows need."""
    out = []
    for network_id, mac, fixed in feet:
        subnet, network = fabric.subnets.get(fixed.subnet_id), fabric.networks.get(network_id)
        if subnet is None or network is None or model.is_v6(fixed.address):
            continue
        out.append(
            Leg(
                network=network,
                number=numbers[f"network/{network_id}"],
                mac=model.mac(mac),
                address=model.address(fixed.address),
                cidr=model.prefix(subnet.cidr),
                gateway_ip=model.address(subnet.gateway_ip) if subnet.gateway_ip else 0,
            )
        )
    return tuple(out)
