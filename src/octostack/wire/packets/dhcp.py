# SPDX-License-Identifier: Apache-2.0
"""DHCP for IPv4 (RFC 2131, options of RFC 2132, classless routes of RFC 3442)."""

import struct
from ipaddress import IPv4Network
from typing import Final

import msgspec

from octostack.base.errors import Invalid

SERVER_PORT, CLIENT_PORT = 67, 68
BOOTREQUEST, BOOTREPLY = 1, 2
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
COOKIE: Final = 0x63825363
BROADCAST_FLAG: Final = 0x8000
OPTIONS_BYTES_MAX: Final = 1024

SUBNET_MASK, ROUTER, DNS, HOSTNAME, DOMAIN, MTU = 1, 3, 6, 12, 15, 26
NTP, REQUESTED_IP, LEASE_TIME, MESSAGE_TYPE, SERVER_ID, PARAMETERS = 42, 50, 51, 53, 54, 55
MESSAGE, RENEWAL, REBINDING, CLIENT_ID, TFTP_SERVER, BOOTFILE = 56, 58, 59, 61, 66, 67
CLASSLESS_ROUTES, TFTP_ADDRESS = 121, 150
END, PAD = 255, 0

_HEADER: Final = struct.Struct("!BBBBIHHIIII16s64s128sI")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A DHCP message; `options` by number, as their bytes."""

    op: int
    xid: int
    mac: int
    seconds: int = 0
    flags: int = 0
    client: int = 0  # ciaddr: the address the client already uses
    yours: int = 0  # yiaddr
    server: int = 0  # siaddr
    relay: int = 0  # giaddr
    file: bytes = b""
    options: dict[int, bytes] = {}

    @property
    def type(self) -> int:
        """The message type, 0 when there is none (BOOTP)."""
        value = self.options.get(MESSAGE_TYPE, b"")
        return value[0] if len(value) == 1 else 0

    def address(self, option: int) -> int:
        """An option that holds one address; 0 when it is missing. Raises Invalid."""
        value = self.options.get(option, b"")
        if len(value) not in (0, 4):
            raise Invalid(f"DHCP option {option} is not an address", code="packet.dhcp")
        return int.from_bytes(value, "big")


def parse(data: bytes) -> Message:
    """The message in a datagram. Raises Invalid."""
    if len(data) < _HEADER.size:
        raise Invalid("DHCP message is too short", code="packet.dhcp")
    op, htype, hlen, _, xid, secs, flags, ci, yi, si, gi, chaddr, _, file, cookie = (
        _HEADER.unpack_from(data)
    )
    if cookie != COOKIE or (htype, hlen) != (1, 6) or op not in (BOOTREQUEST, BOOTREPLY):
        raise Invalid("not DHCP over Ethernet", code="packet.dhcp")
    return Message(
        op=op,
        xid=xid,
        mac=int.from_bytes(chaddr[:6], "big"),
        seconds=secs,
        flags=flags,
        client=ci,
        yours=yi,
        server=si,
        relay=gi,
        file=file.rstrip(b"\0"),
        options=_parse_options(data[_HEADER.size :]),
    )


def _parse_options(data: bytes) -> dict[int, bytes]:
    """Options up to END; one that comes twice is joined (RFC 3396)."""
    if len(data) > OPTIONS_BYTES_MAX:
        raise Invalid("too many DHCP options", code="packet.dhcp")
    out: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at] != END:
        if data[at] == PAD:
            at += 1
            continue
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            raise Invalid("truncated DHCP option", code="packet.dhcp")
        length = data[at + 1]
        out[data[at]] = out.get(data[at], b"") + data[at + 2 : at + 2 + length]
        at += 2 + length
    return out


def build(message: Message) -> bytes:
    """The message's bytes, at least the 300 that old BOOTP clients insist on."""
    head = _HEADER.pack(
        message.op,
        1,
        6,
        0,
        message.xid,
        message.seconds,
        message.flags,
        message.client,
        message.yours,
        message.server,
        message.relay,
        message.mac.to_bytes(6, "big") + bytes(10),
        b"",
        message.file[:127],
        COOKIE,
    )
    body = head + b"".join(_build_option(n, v) for n, v in message.options.items()) + b"\xff"
    return body + bytes(max(0, 300 - len(body)))


def _build_option(number: int, value: bytes) -> bytes:
    chunks = [value[i : i + 255] for i in range(0, len(value), 255)] or [b""]
    return b"".join(bytes((number, len(chunk))) + chunk for chunk in chunks)


def addresses(values: tuple[int, ...]) -> bytes:
    """An option's value out of addresses."""
    return b"".join(value.to_bytes(4, "big") for value in values)


def routes(entries: tuple[tuple[str, int], ...]) -> bytes:
    """Option 121 out of (CIDR, next hop)."""
    out = b""
    for cidr, nexthop in entries:
        net = IPv4Network(cidr)
        significant = (net.prefixlen + 7) // 8
        out += bytes((net.prefixlen,)) + net.network_address.packed[:significant]
        out += nexthop.to_bytes(4, "big")
    return out
