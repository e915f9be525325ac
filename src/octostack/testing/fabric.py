# SPDX-License-Identifier: Apache-2.0
"""Hosts whose switches are tables in memory, wired together by their tunnels.

The flows are those the real compile step makes; `engines.sdn.core.trace` carries the packets.
"""

from collections.abc import Iterable

import msgspec

from octostack.contracts import network_agent as intents
from octostack.contracts.network_agent import FixedAddress, Item
from octostack.engines.sdn.core import compile as compiling
from octostack.engines.sdn.core import model, pipeline
from octostack.engines.sdn.core.trace import Conntrack, Packet, Step, Tables, Tracer

HOPS_MAX = 8
ICMP, TCP, UDP = 1, 6, 17


class Delivery(msgspec.Struct, frozen=True):
    """A packet that left the fabric: ``port:ID`` of a guest, ``external:NAME``, ``controller``."""

    to: str
    packet: Packet


class Host:
    """One switch in memory."""

    def __init__(self, place: model.Place) -> None:
        self.place = place
        self.numbers = model.Numbers()
        self.compiler = compiling.Compiler()
        self.conntrack = Conntrack()
        self.steps: list[Step] = []

    def apply(self, items: Iterable[Item]) -> compiling.Delta:
        """Follow an intent; what had to change."""
        fabric = model.Fabric({model.key_of(item): item for item in items})
        model.check(fabric, model.Fabric({}))
        for freed in self.numbers.settle(fabric.names()):
            self.conntrack.flush(freed)
        return self.compiler.update(fabric, self.numbers, self.place)

    def run(self, packet: Packet) -> tuple[tuple[int, Packet], ...]:
        """Put a packet into the switch; what came out by which OpenFlow port."""
        tracer = Tracer(Tables(self.compiler.flows.values()), self.conntrack)
        result = tracer.run(packet)
        self.steps = list(result.steps)
        return result.outputs


class Hosts:
    """Several hosts by name; what one sends through a tunnel arrives at the other."""

    def __init__(self, *places: model.Place) -> None:
        self.by_name = {place.host: Host(place) for place in places}

    def apply(self, **items: list[Item]) -> None:
        """Give hosts their intents."""
        for host, listed in items.items():
            self.by_name[host].apply(listed)

    def send(self, host: str, port_id: str, packet: Packet) -> list[Delivery]:
        """A guest sends a packet; where it came out."""
        number = self.by_name[host].numbers[f"port/{port_id}"]
        return self._carry(host, {**packet, "in_port": number}, HOPS_MAX)

    def send_from_outside(self, host: str, physical: str, packet: Packet) -> list[Delivery]:
        """The world sends a packet by a provider's bridge."""
        port = self.by_name[host].place.physical[physical]
        return self._carry(host, {**packet, "in_port": port}, HOPS_MAX)

    def _carry(self, name: str, packet: Packet, hops: int) -> list[Delivery]:
        assert hops, "a packet goes round between the hosts"
        host = self.by_name[name]
        out: list[Delivery] = []
        for port, sent in host.run(packet):
            if port == pipeline.VXLAN_PORT:
                out.extend(self._tunnel(host.place, sent, hops))
            else:
                out.append(Delivery(_where(host, port), wire(sent)))
        return out

    def _tunnel(self, place: model.Place, sent: Packet, hops: int) -> list[Delivery]:
        for other, far in self.by_name.items():
            if far.place.tunnel_ip and model.address(far.place.tunnel_ip) == sent["tun_dst"]:
                arriving = {
                    **wire(sent),
                    "in_port": pipeline.VXLAN_PORT,
                    "tun_src": model.address(place.tunnel_ip),
                    "tunnel_id": sent["tunnel_id"],
                }
                return self._carry(other, arriving, hops - 1)
        return []


def _where(host: Host, port: int) -> str:
    if port == pipeline.METADATA_PORT:
        return "metadata"
    for name, number in host.place.physical.items():
        if number == port:
            return f"external:{name}"
    owner = host.numbers.owner(port)
    return owner.replace("/", ":", 1) if owner else "controller"


_META = ("in_port", "metadata", "tunnel_id", "tun_src", "tun_dst", "pkt_mark")
_CT = ("ct_state", "ct_zone", "ct_mark")
_INTERNAL = frozenset((*_META, *_CT, *(f"reg{i}" for i in range(16))))


def wire(packet: Packet) -> Packet:
    """What of a packet is on the wire: registers and the like stay behind."""
    return {name: value for name, value in packet.items() if name not in _INTERNAL}


# ---- words to write intents and packets with ----------------------------------------------------


def mac_of(number: int) -> str:
    """A guest's MAC."""
    return "fa:16:3e:00:%02x:%02x" % (number >> 8 & 0xFF, number & 0xFF)  # noqa: UP031


def local_port(
    id: str, network_id: str, number: int, *addresses: tuple[str, str], groups: tuple[str, ...] = ()
) -> intents.LocalPort:
    """A port on this host; addresses as (subnet, address)."""
    return intents.LocalPort(
        id=id,
        network_id=network_id,
        mac=mac_of(number),
        addresses=tuple(FixedAddress(*a) for a in addresses),
        interface=f"tap{number}",
        security_groups=groups,
    )


def seen_from(port: intents.LocalPort, host: str, tunnel_ip: str) -> intents.RemotePort:
    """A local port of one host as the others are told of it."""
    return intents.RemotePort(
        id=port.id,
        network_id=port.network_id,
        mac=port.mac,
        addresses=port.addresses,
        host=host,
        tunnel_ip=tunnel_ip,
    )


def arp(src_mac: str, src: str, dst: str) -> Packet:
    """Who has `dst`?"""
    return {
        "eth_src": model.mac(src_mac),
        "eth_dst": 0xFFFFFFFFFFFF,
        "eth_type": 0x0806,
        "arp_op": 1,
        "arp_sha": model.mac(src_mac),
        "arp_spa": model.address(src),
        "arp_tpa": model.address(dst),
    }


def ping(src_mac: str, dst_mac: str, src: str, dst: str) -> Packet:
    """An echo request."""
    return {**_ip(src_mac, dst_mac, src, dst), "ip_proto": ICMP, "icmp_type": 8, "icmp_id": 7}


def tcp(src_mac: str, dst_mac: str, src: str, dst: str, port: int) -> Packet:
    """The first packet of a TCP connection."""
    ends = {"ip_proto": TCP, "tcp_src": 40000, "tcp_dst": port}
    return {**_ip(src_mac, dst_mac, src, dst), **ends}


def _ip(src_mac: str, dst_mac: str, src: str, dst: str) -> Packet:
    return {
        "eth_src": model.mac(src_mac),
        "eth_dst": model.mac(dst_mac),
        "eth_type": 0x0800,
        "ip_src": model.address(src),
        "ip_dst": model.address(dst),
        "ip_ttl": 64,
    }


def answer(packet: Packet) -> Packet:
    """What the receiver of a packet sends back."""
    back = {
        **packet,
        "eth_src": packet["eth_dst"],
        "eth_dst": packet["eth_src"],
        "ip_src": packet["ip_dst"],
        "ip_dst": packet["ip_src"],
        "ip_ttl": 64,
    }
    if "icmp_type" in packet:
        back["icmp_type"] = 0
    if "tcp_src" in packet:
        back["tcp_src"], back["tcp_dst"] = packet["tcp_dst"], packet["tcp_src"]
    return back


def with_interface(port: intents.LocalPort, interface: str) -> intents.LocalPort:
    """The port on another device."""
    return msgspec.structs.replace(port, interface=interface)
