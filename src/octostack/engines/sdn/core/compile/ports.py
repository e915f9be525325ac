# SPDX-License-Identifier: Apache-2.0
"""A guest's port: what may leave it, who finds it, and its services."""

import msgspec

from octostack.contracts import network_agent as intents
from octostack.engines.sdn.core import model, pipeline
from octostack.engines.sdn.core.compile import draft as d
from octostack.engines.sdn.core.compile import security
from octostack.engines.sdn.core.compile.draft import Draft
from octostack.engines.sdn.core.model import Flow
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import match as matches


class PortSite(msgspec.Struct, frozen=True):
    """A local port with the numbers its flows are made of."""

    port: intents.LocalPort
    network: intents.Network
    number: int
    network_number: int
    groups: tuple[int, ...]  # numbers of its security groups
    stateful: bool  # whether any group is: then connections are tracked
    dhcp: bool
    metadata_mac: int
    meter: int  # of its packet-ins; 0: none


def port(site: PortSite) -> list[Flow]:
    """Every flow of a local port."""
    out = Draft("port", site.number, f"port {site.port.id}")
    _locate(out, site)
    if not (site.port.admin_up and site.network.admin_up):
        return out.flows
    out.add(
        "classify",
        100,
        {"in_port": site.number, "vlan_vid": 0},  # a guest's own tag could reach others' VLANs
        d.put(d.NETWORK, site.network_number),
        d.put(d.SOURCE, site.number),
        d.put(d.ZONE, site.number),
        goto="spoof",
    )
    if site.port.port_security:
        _allow_own(out, site)
        security.guard(out, security.EGRESS, site.number, site.groups, site.stateful)
        security.guard(out, security.INGRESS, site.number, site.groups, site.stateful)
    else:
        _allow_all(out, site)
    _services(out, site)
    _deliver(out, site)
    return out.flows


def _locate(out: Draft, site: PortSite) -> None:
    """Others learn its MAC; on a provider's network it answers ARP itself, as its peers do."""
    mac, net = model.mac(site.port.mac), site.network_number
    for fixed in model.v4(site.port.addresses):
        address = model.address(fixed.address)
        out.neighbour(net, address, mac)
        if site.network.vni is None:
            continue
        out.answer_arp(net, address, mac)
        # The port's own question after its own address (RFC 5227) must not find itself.
        own: dict[str, matches.Value] = {
            d.NETWORK: net,
            d.SOURCE: site.number,
            "eth_type": d.ARP,
            "arp_tpa": address,
        }
        out.add("arp", 110, own, goto="flood")


def _deliver(out: Draft, site: PortSite) -> None:
    macs = {model.mac(site.port.mac)}
    macs.update(model.mac(pair.mac) for pair in site.port.allowed_pairs if pair.mac)
    for mac in sorted(macs):
        out.add(
            "l2",
            100,
            {d.NETWORK: site.network_number, "eth_dst": mac},
            d.put(d.TARGET, site.number),
            goto="ingress",
        )


def sources(item: intents.LocalPort) -> list[tuple[int, int, int]]:
    """What the port may send as: (MAC, IPv4 network, mask)."""
    own = model.mac(item.mac)
    found = [(own, model.address(f.address), 0xFFFFFFFF) for f in model.v4(item.addresses)]
    for pair in item.allowed_pairs:
        if not model.is_v6(pair.address):
            network, mask, _ = model.prefix(pair.address)
            found.append((model.mac(pair.mac) if pair.mac else own, network, mask))
    return list(dict.fromkeys(found))


def _allow_own(out: Draft, site: PortSite) -> None:
    me: dict[str, matches.Value] = {d.SOURCE: site.number}
    for mac, network, mask in sources(site.port):
        arp: dict[str, matches.Value] = {
            "eth_src": mac,
            "eth_type": d.ARP,
            "arp_sha": mac,
            "arp_spa": (network, mask),
        }
        out.add("spoof", 100, {**me, **arp}, goto="arp")
        ip: dict[str, matches.Value] = {
            "eth_src": mac,
            "eth_type": d.IPV4,
            "ip_src": (network, mask),
        }
        out.add("spoof", 100, {**me, **ip}, goto="service")
    for mac in sorted({mac for mac, _, _ in sources(site.port)} | {model.mac(site.port.mac)}):
        # a probe before an address is used (RFC 5227), and a client that has none yet
        probe = {"eth_src": mac, "eth_type": d.ARP, "arp_sha": mac, "arp_spa": 0}
        out.add("spoof", 100, {**me, **probe}, goto="arp")
        lease = {"ip_src": 0, "ip_proto": d.UDP, "udp_src": 68, "udp_dst": 67}
        terms = {**me, "eth_src": mac, "eth_type": d.IPV4, **lease}
        out.add("spoof", 100, terms, goto="service")
    # a guest that plays DHCP server would take its neighbours over
    server = {"eth_type": d.IPV4, "ip_proto": d.UDP, "udp_src": 67, "udp_dst": 68}
    out.add("spoof", 120, {**me, **server})


def _allow_all(out: Draft, site: PortSite) -> None:
    me: dict[str, matches.Value] = {d.SOURCE: site.number}
    out.add("spoof", 60, {**me, "eth_type": d.ARP}, goto="arp")
    out.add("spoof", 60, {**me, "eth_type": d.IPV4}, goto="service")
    out.add("spoof", 50, me, goto="arrive")


def _services(out: Draft, site: PortSite) -> None:
    me: dict[str, matches.Value] = {d.SOURCE: site.number, "eth_type": d.IPV4}
    if site.dhcp:
        ask = {"ip_proto": d.UDP, "udp_src": 68, "udp_dst": 67}
        out.add("service", 100, {**me, **ask}, d.TO_CONTROLLER, meter=site.meter)
    if not site.metadata_mac:
        return
    mac = model.mac(site.port.mac)
    for index, fixed in enumerate(model.v4(site.port.addresses)):
        address, alias = model.address(fixed.address), metadata_alias(site.number, index)
        ask = {"ip_src": address, "ip_dst": pipeline.METADATA_ADDRESS, "ip_proto": d.TCP}
        out.add(
            "service",
            100,
            {**me, **ask, "tcp_dst": 80},
            d.put("ip_src", alias),
            d.put("eth_src", model.service_mac("")),
            d.put("eth_dst", site.metadata_mac),
            acts.Output(pipeline.METADATA_PORT),
        )
        out.add(
            "classify",
            100,
            {"in_port": pipeline.METADATA_PORT, "eth_type": d.IPV4, "ip_dst": alias},
            d.put("ip_dst", address),
            d.put("eth_src", model.service_mac(site.port.network_id)),
            d.put("eth_dst", mac),
            acts.Output(site.number),
        )


def metadata_alias(number: int, index: int) -> int:
    """The address by which the metadata proxy knows a port (and which of its addresses asked)."""
    bits = pipeline.METADATA_INDEX_BITS
    return pipeline.METADATA_CLIENTS | number << bits | index & (1 << bits) - 1


def port_of_alias(address: int) -> int:
    """The number of the port behind an alias; 0 when it is none."""
    if address >> 22 != pipeline.METADATA_CLIENTS >> 22:
        return 0
    return (address & (1 << 22) - 1) >> pipeline.METADATA_INDEX_BITS
