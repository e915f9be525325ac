# SPDX-License-Identifier: Apache-2.0
"""Packets: bytes as others write them, round trips, and garbage."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octostack.base.errors import Invalid
from octostack.wire.packets import dhcp, ethernet, ip

mac = st.integers(0, (1 << 48) - 1)
word = st.integers(0, 0xFFFFFFFF)
half = st.integers(0, 0xFFFF)
byte = st.integers(0, 255)

# An echo request as Linux sent it on its loopback (ping -c 1 -p ab -s 24 127.0.0.1).
PING = bytes.fromhex(
    "000000000000000000000000080045000034d16a400040016b5c7f0000017f0000010800e4746dfc"
    "000165dd026b000000008b96030000000000abababababababab"
)
# Who has 10.0.0.12? Tell 10.0.0.11.
ARP = bytes.fromhex(
    "fffffffffffffa163e0000010806" + "0001080006040001fa163e0000010a00000b0000000000000a00000c"
)


def test_ping_of_linux_is_read_and_written() -> None:
    frame = ethernet.parse(PING)
    assert frame.ethertype == ethernet.IPV4
    packet = ip.parse(frame.payload)
    assert (packet.src, packet.dst, packet.protocol) == (0x7F000001, 0x7F000001, ip.ICMP)
    icmp = ip.parse_icmp(packet)
    assert (icmp.type, icmp.rest) == (ip.ECHO_REQUEST, 0x6DFC0001)
    assert ip.build_icmp(icmp) == packet.payload


def test_arp_is_read_and_written() -> None:
    frame = ethernet.parse(ARP)
    arp = ethernet.parse_arp(frame.payload)
    assert arp == ethernet.Arp(1, 0xFA163E000001, 0x0A00000B, 0, 0x0A00000C)
    assert ethernet.build(frame)[: len(ARP)] == ARP
    assert len(ethernet.build(frame)) == ethernet.FRAME_BYTES_MIN


@given(mac, mac, half.filter(lambda t: t != ethernet.VLAN), st.binary(max_size=80))
def test_frames_come_back(dst: int, src: int, kind: int, payload: bytes) -> None:
    frame = ethernet.Frame(dst, src, kind, payload, 17)
    back = ethernet.parse(ethernet.build(frame))
    assert (back.dst, back.src, back.ethertype, back.vlan) == (dst, src, kind, 17)
    assert back.payload.startswith(payload)


@given(word, word, byte, st.binary(max_size=100), byte)
def test_packets_come_back(src: int, dst: int, proto: int, payload: bytes, ttl: int) -> None:
    packet = ip.Packet(src, dst, proto, payload, ttl)
    assert ip.parse(ip.build(packet) + b"padding") == packet


@given(word, word, half, half, st.binary(max_size=100))
def test_datagrams_come_back(src: int, dst: int, sport: int, dport: int, payload: bytes) -> None:
    udp = ip.Udp(sport, dport, payload)
    packet = ip.Packet(src, dst, ip.UDP, ip.build_udp(src, dst, udp))
    assert ip.parse_udp(packet) == udp


options = st.dictionaries(st.integers(1, 254), st.binary(max_size=300), max_size=3)


@given(word, mac, word, word, options)
def test_dhcp_messages_come_back(
    xid: int, who: int, yours: int, server: int, chosen: dict[int, bytes]
) -> None:
    message = dhcp.Message(
        op=dhcp.BOOTREPLY, xid=xid, mac=who, yours=yours, server=server, options=chosen
    )
    assert dhcp.parse(dhcp.build(message)) == message
    assert len(dhcp.build(message)) >= 300


def test_classless_routes_as_rfc_3442_writes_them() -> None:
    routes = (("10.0.0.0/8", 0x0A000001), ("10.17.0.0/16", 0x0A000001), ("0.0.0.0/0", 0x0A000001))
    assert dhcp.routes(routes).hex() == "080a0a000001100a110a000001000a000001"


PARSERS = (
    ethernet.parse,
    ethernet.parse_arp,
    ip.parse,
    dhcp.parse,
    lambda data: ip.parse_udp(ip.Packet(1, 2, ip.UDP, data)),
    lambda data: ip.parse_icmp(ip.Packet(1, 2, ip.ICMP, data)),
)


@given(st.sampled_from(PARSERS), st.binary(max_size=400))
def test_garbage_is_refused_and_nothing_worse(parser: object, data: bytes) -> None:
    with suppress(Invalid):
        parser(data)  # type: ignore[operator]


@given(st.binary(min_size=1, max_size=1100))
def test_any_dhcp_options_are_refused_or_read(tail: bytes) -> None:
    whole = dhcp.build(dhcp.Message(op=1, xid=1, mac=2))
    with suppress(Invalid):
        dhcp.parse(whole[:240] + tail)


@pytest.mark.parametrize(
    "change",
    [(14, b"\x44"), (16, b"\xff\xff"), (20, b"\x20\x00"), (24, b"\0\0"), (14, b"\x4f")],
)
def test_broken_ip_headers_are_refused(change: tuple[int, bytes]) -> None:
    at, data = change
    broken = PING[:at] + data + PING[at + len(data) :]
    with pytest.raises(Invalid):
        ip.parse(ethernet.parse(broken).payload)
