# SPDX-License-Identifier: Apache-2.0
"""What does not belong to one port: the frame of the pipeline, networks, subnets, remote ports."""

import functools
from collections.abc import Sequence

import msgspec

from octostack.contracts import network_agent as intents
from octostack.engines.sdn.core import model, pipeline
from octostack.engines.sdn.core.compile import draft as d
from octostack.engines.sdn.core.compile.draft import Draft
from octostack.engines.sdn.core.model import Flow, Place
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import match as matches

VLAN_PRESENT = 0x1000
# One flow names every port of a flood. A message holds 64 KiB, and one packet may be looked up
# 4096 times in Open vSwitch: ports beyond this many on one network and host miss broadcasts.
FLOOD_PORTS_MAX = 1200
FLOOD_TUNNELS_MAX = 400


def static(place: Place) -> list[Flow]:
    """The frame: where a packet goes that nothing more special is said of."""
    out = Draft("static")
    out.add("arp", 10, {"eth_type": d.ARP, "arp_op": 1}, goto="flood")
    out.add("arp", 0, {}, goto="arrive")
    out.add("service", 0, {}, goto="egress")
    out.add("egress", 0, {}, goto="arrive")
    out.add("arrive", 50, {"eth_dst": d.MULTICAST}, goto="flood")
    out.add("arrive", 0, {}, goto="l2")
    out.add("router", 0, {}, goto="routes")
    out.add("neighbours", 0, {}, goto="learned")
    out.add("learned", 0, {}, d.TO_CONTROLLER, meter=pipeline.METER_LEARN * place.meters)
    out.add("ingress", 0, {}, goto="output")
    out.add("output", 0, {}, acts.OutputField(d.TARGET))
    if place.metadata_mac:
        _metadata_frame(out)
    return out.flows


def _metadata_frame(out: Draft) -> None:
    """Nothing but the proxy lives at the metadata address; it finds every guest behind one MAC."""
    out.add("service", 90, {"eth_type": d.IPV4, "ip_dst": pipeline.METADATA_ADDRESS})
    out.add(
        "classify",
        100,
        {"in_port": pipeline.METADATA_PORT, "eth_type": d.ARP, "arp_op": 1},
        acts.Move("arp_tpa", d.NEXT_HOP, 32),
        *d.arp_reply(model.service_mac("")),
        acts.Move(d.NEXT_HOP, "arp_spa", 32),
        acts.Output(acts.IN_PORT),
    )


def hosts(tunnel_ips: tuple[str, ...]) -> list[Flow]:
    """From whom the tunnel is listened to."""
    out = Draft("hosts", note="known hosts")
    for one in tunnel_ips:
        terms = {"in_port": pipeline.VXLAN_PORT, "tun_src": model.address(one)}
        out.add("classify", 100, terms, goto="tunnel")
    return out.flows


class Segment(msgspec.Struct, frozen=True):
    """A network with what this host has of it. `uplink`: port of its provider's bridge, or 0."""

    network: intents.Network
    number: int
    ports: tuple[int, ...]
    tunnels: tuple[str, ...]
    uplink: int
    metadata: bool


def network(segment: Segment) -> list[Flow]:
    """How packets get into a network from elsewhere, and to all of it."""
    net = segment.network
    out = Draft("network", segment.number, f"network {net.id}")
    if not net.admin_up:
        return []
    if net.vni is not None:
        here: dict[str, matches.Value] = {"tunnel_id": net.vni, "vlan_vid": 0}
        out.add("tunnel", 100, here, d.put(d.NETWORK, segment.number), goto="arrive")
    if segment.uplink:
        _from_provider(out, segment)
        terms: dict[str, matches.Value] = {d.NETWORK: segment.number}
        out.add("l2", 10, terms, *to_provider(net, segment.uplink))
    if segment.metadata:
        out.answer_arp(segment.number, pipeline.METADATA_ADDRESS, model.service_mac(net.id))
    _flood(out, segment)
    return out.flows


def _from_provider(out: Draft, segment: Segment) -> None:
    vlan = segment.network.vlan
    terms: dict[str, matches.Value] = {
        "in_port": segment.uplink,
        "vlan_vid": VLAN_PRESENT | vlan if vlan else 0,
    }
    untag = (acts.PopVlan(),) if vlan else ()
    enter = (*untag, d.put(d.NETWORK, segment.number))
    out.add("classify", 110, {**terms, "eth_type": d.ARP}, *enter, goto="arp")
    out.add("classify", 100, terms, *enter, goto="arrive")


def to_provider(net: intents.Network, uplink: int) -> acts.Actions:
    """Out to the provider's bridge, tagged where the network is."""
    if not net.vlan:
        return (acts.Output(uplink),)
    return (acts.PushVlan(), d.put("vlan_vid", VLAN_PRESENT | net.vlan), acts.Output(uplink))


def to_tunnel(vni: int, tunnel_ip: str) -> acts.Actions:
    """Out to another host."""
    return (
        d.put("tunnel_id", vni),
        d.put("tun_dst", model.address(tunnel_ip)),
        acts.Output(pipeline.VXLAN_PORT),
    )


def _flood(out: Draft, segment: Segment) -> None:
    """To all: from a guest also to other hosts, from elsewhere only to the guests here."""
    net = segment.network
    ports = segment.ports[:FLOOD_PORTS_MAX]
    local = [a for n in ports for a in (d.put(d.TARGET, n), d.resubmit("ingress"))]
    out.add("flood", 100, {d.NETWORK: segment.number, d.SOURCE: 0}, *local)
    far: list[acts.Action] = []
    if net.vni is not None:
        far = [a for ip in segment.tunnels for a in to_tunnel(net.vni, ip)]
    elif segment.uplink:
        far = list(to_provider(net, segment.uplink))
    out.add("flood", 90, {d.NETWORK: segment.number}, *local, *far)


def subnet(item: intents.Subnet, number: int) -> list[Flow]:
    """Who asks for the DHCP server is told its MAC."""
    out = Draft("subnet", number, f"subnet {item.id}")
    if item.dhcp_address and not model.is_v6(item.dhcp_address):
        server = model.address(item.dhcp_address)
        out.answer_arp(number, server, model.service_mac(item.network_id))
    return out.flows


@functools.lru_cache(maxsize=4096)  # hosts that are simulated in one process differ in little
def remote(item: intents.RemotePort, net: intents.Network, number: int) -> list[Flow]:
    """A port of the network on another host. Read only."""
    out = Draft("remote", number, f"remote port {item.id} on {item.host}")
    mac = model.mac(item.mac)
    for fixed in model.v4(item.addresses):
        address = model.address(fixed.address)
        out.neighbour(number, address, mac)
        if net.vni is not None:
            out.answer_arp(number, address, mac)
    if net.vni is not None and item.tunnel_ip:
        macs = {mac, *(model.mac(p.mac) for p in item.allowed_pairs if p.mac)}
        for one in sorted(macs):
            terms: dict[str, matches.Value] = {d.NETWORK: number, "eth_dst": one}
            out.add("l2", 100, terms, *to_tunnel(net.vni, item.tunnel_ip))
    return out.flows


def tunnels(remotes: Sequence[intents.RemotePort], own: str) -> tuple[str, ...]:
    """The other hosts that have a part of a network, each once."""
    found = {r.tunnel_ip for r in remotes if r.tunnel_ip and r.tunnel_ip != own}
    return tuple(sorted(found)[:FLOOD_TUNNELS_MAX])
