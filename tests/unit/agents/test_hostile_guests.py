# SPDX-License-Identifier: Apache-2.0
"""What guests send may be anything: it is refused or answered, and the next guest is served."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octostack.agents.network.metadata import Request, read_request
from octostack.base.errors import Invalid
from octostack.contracts import network_agent as intents
from octostack.engines.sdn.core import dhcp as answers
from octostack.engines.sdn.core import expired, model, pipeline
from octostack.engines.sdn.core.neighbours import Asker
from octostack.engines.sdn.packet_in import PacketIn
from octostack.engines.sdn.simulated import SimulatedSwitch
from octostack.testing.intents import COMMON, P1
from octostack.wire.openflow import match as matches
from octostack.wire.openflow import messages as of
from octostack.wire.packets import dhcp, ethernet, ip

MAC = model.mac(P1.mac)
ROUTER = Asker(0xFA163EFF0001, model.address("10.0.0.1"))
HERE = model.address("10.0.0.11")


def _udp(payload: bytes) -> bytes:
    udp = ip.build_udp(0, 0xFFFFFFFF, ip.Udp(68, 67, payload))
    packet = ip.build(ip.Packet(0, 0xFFFFFFFF, ip.UDP, udp))
    return ethernet.build(ethernet.Frame(ethernet.BROADCAST, MAC, ethernet.IPV4, packet))


def discover(options: dict[int, bytes]) -> bytes:
    asked = {dhcp.MESSAGE_TYPE: b"\x01", **options}
    return _udp(dhcp.build(dhcp.Message(op=dhcp.BOOTREQUEST, xid=7, mac=MAC, options=asked)))


def arp_reply(address: int) -> bytes:
    arp = ethernet.Arp(ethernet.REPLY, 0x020000000099, address, ROUTER.mac, ROUTER.address)
    body = ethernet.build_arp(arp)
    return ethernet.build(ethernet.Frame(ROUTER.mac, 0x020000000099, ethernet.ARP, body))


def last_hop(protocol: int, payload: bytes, src: int = HERE) -> bytes:
    packet = ip.build(ip.Packet(src, model.address("198.51.100.7"), protocol, payload, ttl=1))
    return ethernet.build(ethernet.Frame(ROUTER.mac, MAC, ethernet.IPV4, packet))


def spoilt(frame: bytes) -> st.SearchStrategy[bytes]:
    """The frame cut, lengthened, or with some bytes changed."""
    changes = st.lists(st.tuples(st.integers(0, len(frame) - 1), st.integers(0, 255)), max_size=6)

    def spoil(changes: list[tuple[int, int]], end: int, more: bytes) -> bytes:
        made = bytearray(frame)
        for at, value in changes:
            made[at] = value
        return bytes(made[:end]) + more

    return st.builds(spoil, changes, st.integers(0, len(frame)), st.binary(max_size=40))


options = st.dictionaries(st.integers(1, 254), st.binary(max_size=255), max_size=4)
frames = st.one_of(
    st.binary(max_size=200),
    options.map(discover),
    st.binary(max_size=600).map(_udp),
    spoilt(discover({12: b"name", 55: bytes(range(1, 60))})),
    spoilt(arp_reply(HERE)),
    spoilt(last_hop(ip.UDP, bytes(30))),
)
came = st.lists(
    st.tuples(st.sampled_from(("service", "arp", "learned", "routes")), st.integers(0, 2), frames),
    max_size=12,
)


def packet(table: str, number: int, reason: int, data: bytes) -> of.PacketIn:
    terms = {pipeline.NETWORK: 100, pipeline.SOURCE: number, pipeline.ROUTER: 300}
    match = matches.build({**terms, pipeline.NEXT_HOP: HERE})
    return of.PacketIn(pipeline.NUMBERS[table], 0, match, data, reason)


class Heard(SimulatedSwitch):
    """A switch that keeps what it is told to send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def send(self, data: bytes, actions: Any) -> None:
        self.sent.append(data)


def listening() -> tuple[PacketIn, Heard]:
    items: tuple[intents.Item, ...] = (*COMMON, P1)
    fabric = model.Fabric({model.key_of(item): item for item in items})
    made, switch = PacketIn(lambda _: answers.lease(P1, fabric, metadata=True)), Heard()
    made.switch = switch
    made.neighbours.askers = {100: ROUTER}
    made.feet = {(300, 100): ROUTER}
    return made, switch


def run(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner() as runner:
        return runner.run(work)


@given(came)
def test_any_packet_is_borne(packets: list[tuple[str, int, bytes]]) -> None:
    async def work() -> int:
        made, _ = listening()
        for number, (table, reason, data) in enumerate(packets):
            made.put(packet(table, 1000 + number, reason, data))
        await made.work_off()
        before = made.counters["dhcp_answered"]
        made.put(packet("service", 5000, 1, discover({})))
        await made.work_off()
        return made.counters["dhcp_answered"] - before

    assert run(work()) == 1


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (last_hop(ip.UDP, bytes(30)), True),
        (last_hop(ip.ICMP, ip.build_icmp(ip.Icmp(8, 0, 1, b""))), True),
        (last_hop(ip.ICMP, ip.build_icmp(ip.Icmp(11, 0, 0, bytes(28)))), False),  # about an error
        (last_hop(ip.UDP, bytes(30), src=0xE0000001), False),  # to many
        (last_hop(ip.UDP, bytes(30), src=0), False),
        (arp_reply(HERE), False),
    ],
)
def test_last_hop_is_told_to_whom_it_may_be(frame: bytes, told: bool) -> None:
    async def work() -> list[bytes]:
        made, switch = listening()
        made.put(packet("routes", 1000, of.INVALID_TTL, frame))
        await made.work_off()
        return switch.sent

    sent = run(work())
    assert bool(sent) == told
    if told:
        back = ethernet.parse(sent[0])
        inner = ip.parse(back.payload)
        message = ip.parse_icmp(inner)
        assert (back.src, back.dst) == (ROUTER.mac, MAC)
        assert (inner.src, inner.dst) == (ROUTER.address, HERE)
        assert (message.type, message.code) == (expired.TIME_EXCEEDED, 0)
        assert message.payload == frame[14 : 14 + expired.QUOTED_BYTES]


requests = st.one_of(
    st.binary(max_size=300),
    spoilt(b"GET /openstack/latest/meta_data.json HTTP/1.1\r\nHost: x\r\nX-A: b\r\n\r\n"),
    spoilt(b"POST /openstack HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"),
    spoilt(b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    st.just(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
    st.just(b"CONNECT other:80 HTTP/1.1\r\n\r\n"),
)


async def _read(data: bytes) -> Request | None:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await read_request(reader)


@given(requests)
def test_any_request_is_read_or_refused(data: bytes) -> None:
    try:
        request = run(_read(data))
        assert request is None or request.path
    except Invalid:
        pass


def test_second_request_does_not_spoil_the_first() -> None:
    first, second = (f"GET /{name} HTTP/1.1\r\nX-{name}: 1\r\n\r\n".encode() for name in "ab")
    request = run(_read(first + second))
    assert (request.path, dict(request.headers), request.keeps) == ("/a", {"x-a": "1"}, False)
    assert run(_read(first)).keeps


def test_request_without_end_is_refused() -> None:
    with pytest.raises(Invalid, match="without end"):
        run(_read(b"GET / HTTP/1.1\r\n" + b"X-A: " + b"a" * (1 << 20)))
    large = b"POST / HTTP/1.1\r\nContent-Length: 999999\r\n\r\n" + b"x" * 100_000
    assert run(_read(large)).too_large
