# SPDX-License-Identifier: Apache-2.0
"""IPv4 (RFC 791), UDP (RFC 768) and ICMP (RFC 792)."""

import struct
from typing import Final

import msgspec

from octostack.base.errors import Invalid

ICMP, TCP, UDP = 1, 6, 17
ECHO_REPLY, ECHO_REQUEST = 0, 8
_HEADER: Final = struct.Struct("!BBHHHBBHII")
_MORE_OR_OFFSET: Final = 0x3FFF


class Packet(msgspec.Struct, frozen=True):
    """An IPv4 packet without options; a parsed one may have had some."""

    src: int
    dst: int
    protocol: int
    payload: bytes
    ttl: int = 64
    tos: int = 0


class Udp(msgspec.Struct, frozen=True):
    """A UDP datagram."""

    src: int
    dst: int
    payload: bytes


class Icmp(msgspec.Struct, frozen=True):
    """An ICMP message; `rest` is the second word of its header."""

    type: int
    code: int
    rest: int
    payload: bytes


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def parse(data: bytes) -> Packet:
    """The packet in `data`, padding behind it ignored. Raises Invalid, for fragments too."""
    if len(data) < 20:
        raise Invalid("IPv4 packet is too short", code="packet.ip")
    first, tos, total, _, fragment, ttl, protocol, _, src, dst = _HEADER.unpack_from(data)
    header = (first & 0xF) * 4
    if first >> 4 != 4 or header < 20 or not header <= total <= len(data):
        raise Invalid("malformed IPv4 header", code="packet.ip")
    if checksum(data[:header]):
        raise Invalid("wrong IPv4 header checksum", code="packet.ip")
    if fragment & _MORE_OR_OFFSET:
        raise Invalid("IPv4 fragment", code="packet.ip")
    return Packet(src, dst, protocol, data[header:total], ttl, tos)


def build(packet: Packet) -> bytes:
    """The packet's bytes."""
    total = 20 + len(packet.payload)

    def header(check: int) -> bytes:
        return _HEADER.pack(
            0x45, packet.tos, total, 0, 0, packet.ttl, packet.protocol, check, packet.src,
            packet.dst,
        )  # fmt: skip

    return header(checksum(header(0))) + packet.payload


def _pseudo(src: int, dst: int, protocol: int, length: int) -> bytes:
    return struct.pack("!IIBBH", src, dst, 0, protocol, length)


def parse_udp(packet: Packet) -> Udp:
    """The datagram in a packet. Raises Invalid."""
    data = packet.payload
    if len(data) < 8:
        raise Invalid("UDP datagram is too short", code="packet.udp")
    src, dst, length, check = struct.unpack_from("!HHHH", data)
    if not 8 <= length <= len(data):
        raise Invalid("malformed UDP header", code="packet.udp")
    body = data[:length]
    if check and checksum(_pseudo(packet.src, packet.dst, UDP, length) + body):
        raise Invalid("wrong UDP checksum", code="packet.udp")
    return Udp(src, dst, body[8:])


def build_udp(src: int, dst: int, udp: Udp) -> bytes:
    """A datagram's bytes between two addresses."""
    length = 8 + len(udp.payload)
    head = struct.pack("!HHH", udp.src, udp.dst, length)
    check = checksum(_pseudo(src, dst, UDP, length) + head + b"\0\0" + udp.payload)
    return head + struct.pack("!H", check or 0xFFFF) + udp.payload


def parse_icmp(packet: Packet) -> Icmp:
    """The ICMP message in a packet. Raises Invalid."""
    data = packet.payload
    if len(data) < 8 or checksum(data):
        raise Invalid("malformed ICMP message", code="packet.icmp")
    kind, code, _, rest = struct.unpack_from("!BBHI", data)
    return Icmp(kind, code, rest, data[8:])


def build_icmp(icmp: Icmp) -> bytes:
    """An ICMP message's bytes."""
    tail = struct.pack("!I", icmp.rest) + icmp.payload
    check = checksum(struct.pack("!BBH", icmp.type, icmp.code, 0) + tail)
    return struct.pack("!BBH", icmp.type, icmp.code, check) + tail
