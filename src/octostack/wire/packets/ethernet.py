# SPDX-License-Identifier: Apache-2.0
"""Ethernet frames and ARP (RFC 826)."""

import struct
from typing import Final

import msgspec

from octostack.base.errors import Invalid

ARP: Final = 0x0806
IPV4: Final = 0x0800
IPV6: Final = 0x86DD
VLAN: Final = 0x8100
BROADCAST: Final = 0xFFFFFFFFFFFF
MULTICAST_BIT: Final = 0x010000000000
FRAME_BYTES_MIN: Final = 60  # without the checksum

REQUEST, REPLY = 1, 2


class Frame(msgspec.Struct, frozen=True):
    """A frame; `vlan` is the tag's id, None when there is no tag."""

    dst: int
    src: int
    ethertype: int
    payload: bytes
    vlan: int | None = None


class Arp(msgspec.Struct, frozen=True):
    """An ARP packet for IPv4 over Ethernet."""

    op: int
    sha: int
    spa: int
    tha: int
    tpa: int


_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")


def parse(data: bytes) -> Frame:
    """The frame in `data`. Raises Invalid."""
    if len(data) < 14:
        raise Invalid("frame is too short", code="packet.ethernet")
    dst, src = int.from_bytes(data[0:6], "big"), int.from_bytes(data[6:12], "big")
    ethertype = int.from_bytes(data[12:14], "big")
    if ethertype != VLAN:
        return Frame(dst, src, ethertype, data[14:])
    if len(data) < 18:
        raise Invalid("frame is too short", code="packet.ethernet")
    tag = int.from_bytes(data[14:16], "big")
    return Frame(dst, src, int.from_bytes(data[16:18], "big"), data[18:], tag & 0xFFF)


def build(frame: Frame) -> bytes:
    """The frame's bytes, padded to Ethernet's minimum."""
    head = frame.dst.to_bytes(6, "big") + frame.src.to_bytes(6, "big")
    if frame.vlan is not None:
        head += struct.pack("!HH", VLAN, frame.vlan)
    data = head + struct.pack("!H", frame.ethertype) + frame.payload
    return data + bytes(max(0, FRAME_BYTES_MIN - len(data)))


def parse_arp(data: bytes) -> Arp:
    """The ARP packet in a frame's payload. Raises Invalid."""
    if len(data) < _ARP.size:
        raise Invalid("ARP packet is too short", code="packet.arp")
    hardware, protocol, hlen, plen, op, sha, spa, tha, tpa = _ARP.unpack_from(data)
    if (hardware, protocol, hlen, plen) != (1, IPV4, 6, 4) or op not in (REQUEST, REPLY):
        raise Invalid("not ARP for IPv4 over Ethernet", code="packet.arp")
    return Arp(op, *(int.from_bytes(part, "big") for part in (sha, spa, tha, tpa)))


def build_arp(arp: Arp) -> bytes:
    """An ARP packet's bytes."""
    return _ARP.pack(
        1,
        IPV4,
        6,
        4,
        arp.op,
        arp.sha.to_bytes(6, "big"),
        arp.spa.to_bytes(4, "big"),
        arp.tha.to_bytes(6, "big"),
        arp.tpa.to_bytes(4, "big"),
    )
