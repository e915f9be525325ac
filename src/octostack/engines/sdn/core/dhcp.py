# SPDX-License-Identifier: Apache-2.0
"""What a guest is told by DHCP. There are no leases to keep: the intent is the lease."""

from typing import Final

import msgspec

from octostack.base.errors import Invalid
from octostack.contracts import network_agent as intents
from octostack.engines.sdn.core import model, pipeline
from octostack.wire.packets import dhcp, ethernet, ip

LEASE_TIME_S: Final = 86400
_METADATA_CIDR: Final = "169.254.169.254/32"
_BROADCAST: Final = 0xFFFFFFFF

# Names of extra_dhcp_opts (those of dnsmasq) and how their values are written.
_NAMED: Final[dict[str, tuple[int, str]]] = {
    "netmask": (1, "address"),
    "router": (3, "address"),
    "dns-server": (6, "address"),
    "domain-name": (15, "text"),
    "mtu": (26, "u16"),
    "interface-mtu": (26, "u16"),
    "ntp-server": (42, "address"),
    "server-ip-address": (54, "address"),
    "tftp-server": (66, "text"),
    "bootfile-name": (67, "text"),
    "bootfile": (67, "text"),
    "tftp-server-address": (150, "address"),
    "classless-static-route": (121, "routes"),
}
# What the protocol itself needs, and nobody may set by hand.
_PROTECTED: Final = frozenset({50, 51, 53, 54, 55, 57, 61, 82, 255})


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """All that one port is told."""

    mac: int
    address: int
    mask: int
    server: int
    server_mac: int
    options: dict[int, bytes]


def lease(port: intents.LocalPort, fabric: model.Fabric, *, metadata: bool) -> Lease | None:
    """The lease of a port, None when its subnet has no DHCP."""
    subnet = fabric.dhcp_subnet(port)
    if subnet is None:
        return None
    fixed = next(f for f in model.v4(port.addresses) if f.subnet_id == subnet.id)
    mask = model.prefix(subnet.cidr)[1]
    server = model.address(subnet.dhcp_address)
    network = fabric.networks[port.network_id]
    options: dict[int, bytes] = {
        dhcp.SUBNET_MASK: mask.to_bytes(4, "big"),
        dhcp.LEASE_TIME: LEASE_TIME_S.to_bytes(4, "big"),
        dhcp.RENEWAL: (LEASE_TIME_S // 2).to_bytes(4, "big"),
        dhcp.REBINDING: (LEASE_TIME_S * 7 // 8).to_bytes(4, "big"),
        dhcp.MTU: network.mtu.to_bytes(2, "big"),
        dhcp.HOSTNAME: (port.hostname or _host_name(fixed.address)).encode()[:63],
    }
    if subnet.gateway_ip:
        options[dhcp.ROUTER] = model.address(subnet.gateway_ip).to_bytes(4, "big")
    names = tuple(model.address(one) for one in subnet.dns if not model.is_v6(one))
    if names:
        options[dhcp.DNS] = dhcp.addresses(names)
    if subnet.dns_domain:
        options[dhcp.DOMAIN] = subnet.dns_domain.encode()[:255]
    routes = _routes(subnet, server, metadata)
    if routes:
        options[dhcp.CLASSLESS_ROUTES] = dhcp.routes(routes)
    options.update(_extra(port.dhcp_options))
    return Lease(
        mac=model.mac(port.mac),
        address=model.address(fixed.address),
        mask=mask,
        server=server,
        server_mac=model.service_mac(port.network_id),
        options=options,
    )


def _host_name(address: str) -> str:
    return "host-" + address.replace(".", "-")


def _routes(subnet: intents.Subnet, server: int, metadata: bool) -> tuple[tuple[str, int], ...]:
    """Static routes; a client that reads them ignores the router option, so that is repeated."""
    routes = [
        (route.destination, model.address(route.nexthop))
        for route in subnet.host_routes
        if not model.is_v6(route.destination)
    ]
    if metadata and all(destination != _METADATA_CIDR for destination, _ in routes):
        routes.append((_METADATA_CIDR, server))
    if routes and subnet.gateway_ip and all(cidr != "0.0.0.0/0" for cidr, _ in routes):
        routes.append(("0.0.0.0/0", model.address(subnet.gateway_ip)))
    return tuple(routes)


def _extra(options: tuple[tuple[str, str], ...]) -> dict[int, bytes]:
    """The port's own options; one we cannot write is left out, the lease matters more."""
    out: dict[int, bytes] = {}
    for name, value in options:
        number, kind = _NAMED.get(name.strip().lower(), (0, "text"))
        if not number and name.isdigit():
            number = int(name)
        if not 0 < number < 255 or number in _PROTECTED:
            continue
        try:
            out[number] = _option_value(kind, value)
        except (Invalid, ValueError, OverflowError):
            continue
    return out


def _option_value(kind: str, value: str) -> bytes:
    if kind == "address":
        return dhcp.addresses(tuple(model.address(one.strip()) for one in value.split(",")))
    if kind == "u16":
        return int(value).to_bytes(2, "big")
    if kind == "routes":
        words = [word.strip() for word in value.split(",")]
        pairs = zip(words[::2], words[1::2], strict=True)
        return dhcp.routes(tuple((cidr, model.address(hop)) for cidr, hop in pairs))
    return value.encode()[:255]


def answer(frame: bytes, lease: Lease) -> bytes | None:
    """The frame that answers a guest's DHCP frame, None for silence. Raises Invalid."""
    asked = _request(frame)
    if asked.op != dhcp.BOOTREQUEST or asked.mac != lease.mac or asked.relay:
        return None
    kind = _reply_type(asked, lease)
    if kind is None:
        return None
    refused = kind == dhcp.NAK
    options = {
        dhcp.MESSAGE_TYPE: bytes((kind,)),
        dhcp.SERVER_ID: lease.server.to_bytes(4, "big"),
        **({} if refused else lease.options),
    }
    if asked.type == dhcp.INFORM:
        for timer in (dhcp.LEASE_TIME, dhcp.RENEWAL, dhcp.REBINDING):
            options.pop(timer, None)
    reply = dhcp.Message(
        op=dhcp.BOOTREPLY,
        xid=asked.xid,
        mac=asked.mac,
        flags=asked.flags,
        client=0 if refused else asked.client,
        yours=0 if refused or asked.type == dhcp.INFORM else lease.address,
        server=0 if refused else lease.server,
        options=options,
    )
    return _frame(reply, asked, lease)


def _request(frame: bytes) -> dhcp.Message:
    parsed = ethernet.parse(frame)
    if parsed.ethertype != ethernet.IPV4:
        raise Invalid("not IPv4", code="packet.dhcp")
    packet = ip.parse(parsed.payload)
    if packet.protocol != ip.UDP:
        raise Invalid("not UDP", code="packet.dhcp")
    return dhcp.parse(ip.parse_udp(packet).payload)


def _reply_type(asked: dhcp.Message, lease: Lease) -> int | None:
    """RFC 2131 §4.3: what a server says to each message of a client."""
    wanted = asked.address(dhcp.REQUESTED_IP)
    if asked.type == dhcp.DISCOVER:
        return dhcp.OFFER
    if asked.type == dhcp.INFORM:
        return dhcp.ACK
    if asked.type != dhcp.REQUEST:
        return None
    server = asked.address(dhcp.SERVER_ID)
    if server and server != lease.server:
        return None  # it chose another server
    claimed = wanted or asked.client
    return dhcp.ACK if claimed == lease.address else dhcp.NAK


def _frame(reply: dhcp.Message, asked: dhcp.Message, lease: Lease) -> bytes:
    """To the address the client has, or broadcast where it cannot take unicast (§4.1)."""
    refused = reply.options[dhcp.MESSAGE_TYPE] == bytes((dhcp.NAK,))
    to_all = refused or asked.flags & dhcp.BROADCAST_FLAG
    if asked.client and not refused:
        destination = asked.client
    else:
        destination = _BROADCAST if to_all else lease.address
    udp = ip.Udp(dhcp.SERVER_PORT, dhcp.CLIENT_PORT, dhcp.build(reply))
    payload = ip.build_udp(lease.server, destination, udp)
    packet = ip.build(ip.Packet(lease.server, destination, ip.UDP, payload))
    mac = ethernet.BROADCAST if destination == _BROADCAST else lease.mac
    return ethernet.build(ethernet.Frame(mac, lease.server_mac, ethernet.IPV4, packet))


def port_number(match: tuple[tuple[str, int, int | None], ...]) -> int:
    """The number of the local port a packet-in came from."""
    return next((value for name, value, _ in match if name == pipeline.SOURCE), 0)
