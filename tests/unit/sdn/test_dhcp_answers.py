# SPDX-License-Identifier: Apache-2.0
"""What a guest is told by DHCP, message by message (RFC 2131 §4.3)."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octostack.base.errors import Invalid
from octostack.contracts import network_agent as intents
from octostack.contracts.network import Route
from octostack.engines.sdn.core import dhcp as answers
from octostack.engines.sdn.core import model
from octostack.testing.intents import COMMON, P1, SUB_A
from octostack.wire.packets import dhcp, ethernet, ip

ADDRESS, SERVER = model.address("10.0.0.11"), model.address("10.0.0.2")
MAC = model.mac(P1.mac)


def lease(port: intents.LocalPort = P1, subnet: intents.Subnet = SUB_A) -> answers.Lease:
    items = {model.key_of(item): item for item in (*COMMON, port, subnet)}
    found = answers.lease(port, model.Fabric(items), metadata=True)
    assert found is not None
    return found


def frame(kind: int, mac: int = MAC, **more: int | bytes) -> bytes:
    """A client's message; ``server`` and ``wanted`` become options 54 and 50."""
    options = {dhcp.MESSAGE_TYPE: bytes((kind,))}
    if "server" in more:
        options[dhcp.SERVER_ID] = int(more.pop("server")).to_bytes(4, "big")
    if "wanted" in more:
        options[dhcp.REQUESTED_IP] = int(more.pop("wanted")).to_bytes(4, "big")
    message = dhcp.Message(op=dhcp.BOOTREQUEST, xid=7, mac=mac, options=options, **more)  # type: ignore[arg-type]
    udp = ip.build_udp(0, 0xFFFFFFFF, ip.Udp(68, 67, dhcp.build(message)))
    packet = ip.build(ip.Packet(0, 0xFFFFFFFF, ip.UDP, udp))
    return ethernet.build(ethernet.Frame(ethernet.BROADCAST, mac, ethernet.IPV4, packet))


def told(sent: bytes, by: answers.Lease) -> tuple[ethernet.Frame, ip.Packet, dhcp.Message] | None:
    reply = answers.answer(sent, by)
    if reply is None:
        return None
    outer = ethernet.parse(reply)
    packet = ip.parse(outer.payload)
    return outer, packet, dhcp.parse(ip.parse_udp(packet).payload)


@pytest.mark.parametrize(
    ("sent", "kind", "to"),
    [
        (frame(dhcp.DISCOVER), dhcp.OFFER, ADDRESS),
        (frame(dhcp.DISCOVER, flags=0x8000), dhcp.OFFER, 0xFFFFFFFF),
        (frame(dhcp.REQUEST, server=SERVER, wanted=ADDRESS), dhcp.ACK, ADDRESS),
        (frame(dhcp.REQUEST, wanted=ADDRESS), dhcp.ACK, ADDRESS),  # after a reboot
        (frame(dhcp.REQUEST, client=ADDRESS), dhcp.ACK, ADDRESS),  # renewal
        (frame(dhcp.REQUEST, wanted=ADDRESS + 1), dhcp.NAK, 0xFFFFFFFF),
        (frame(dhcp.REQUEST, client=ADDRESS + 1), dhcp.NAK, 0xFFFFFFFF),
        (frame(dhcp.INFORM, client=ADDRESS), dhcp.ACK, ADDRESS),
    ],
)
def test_each_message_has_its_answer(sent: bytes, kind: int, to: int) -> None:
    found = told(sent, lease())
    assert found is not None
    outer, packet, message = found
    assert (message.type, message.xid, message.mac) == (kind, 7, MAC)
    assert (packet.src, packet.dst) == (SERVER, to)
    assert outer.src == model.service_mac("a")
    assert message.address(dhcp.SERVER_ID) == SERVER
    leased = kind != dhcp.NAK and dhcp.parse(sent[42:]).type != dhcp.INFORM
    assert message.yours == (ADDRESS if leased else 0)
    assert (dhcp.LEASE_TIME in message.options) == leased


@pytest.mark.parametrize(
    "sent",
    [
        frame(dhcp.REQUEST, server=SERVER + 1, wanted=ADDRESS),  # chose another server
        frame(dhcp.RELEASE, client=ADDRESS),
        frame(dhcp.DECLINE),
        frame(dhcp.DISCOVER, mac=MAC + 1),  # another's hardware address
        frame(dhcp.DISCOVER, relay=1),
    ],
)
def test_what_is_met_with_silence(sent: bytes) -> None:
    assert told(sent, lease()) is None


def test_options_of_the_subnet_and_the_port() -> None:
    subnet = msgspec.structs.replace(
        SUB_A, host_routes=(Route("192.168.0.0/16", "10.0.0.9"),), dns_domain="octo.test"
    )
    port = msgspec.structs.replace(
        P1,
        hostname="web",
        dhcp_options=(
            ("bootfile-name", "pxe"),
            ("ntp-server", "10.0.0.4,10.0.0.5"),
            ("51", "1"),  # the lease is not the user's to set
            ("mtu", "9000"),
            ("150", "text"),
            ("ntp-server", "nonsense"),
            ("nothing", "x"),
        ),
    )
    options = lease(port, subnet).options
    assert options[dhcp.HOSTNAME] == b"web"
    assert options[dhcp.DOMAIN] == b"octo.test"
    assert options[dhcp.BOOTFILE] == b"pxe"
    assert options[dhcp.NTP].hex() == "0a0000040a000005"
    assert int.from_bytes(options[dhcp.LEASE_TIME], "big") == answers.LEASE_TIME_S
    assert int.from_bytes(options[dhcp.MTU], "big") == 9000
    expected = (
        ("192.168.0.0/16", model.address("10.0.0.9")),
        ("169.254.169.254/32", SERVER),
        ("0.0.0.0/0", model.address("10.0.0.1")),
    )
    assert options[dhcp.CLASSLESS_ROUTES] == dhcp.routes(expected)


def test_port_on_a_subnet_without_dhcp_has_no_lease() -> None:
    off = msgspec.structs.replace(SUB_A, dhcp_address="")
    items = {model.key_of(item): item for item in (*COMMON, P1, off)}
    assert answers.lease(P1, model.Fabric(items), metadata=True) is None


@given(st.binary(max_size=400), st.integers(0, 399))
def test_any_frame_is_answered_or_refused(noise: bytes, at: int) -> None:
    whole = bytearray(frame(dhcp.DISCOVER))
    whole[at % len(whole) : at % len(whole) + len(noise)] = noise
    try:
        reply = answers.answer(bytes(whole), lease())
    except Invalid:
        return
    assert reply is None or ethernet.parse(reply).ethertype == ethernet.IPV4
