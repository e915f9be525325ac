# SPDX-License-Identifier: Apache-2.0
"""OpenFlow messages: golden bytes that Open vSwitch has read, and round trips of anything."""

import json
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octostack.base.errors import Invalid
from octostack.wire.openflow import actions as a
from octostack.wire.openflow import fields, text
from octostack.wire.openflow import match as m
from octostack.wire.openflow import messages as of

VECTORS = Path(__file__).parents[2] / "vectors" / "openflow" / "messages.json"
OVS_OFCTL = shutil.which("ovs-ofctl", path="/usr/bin:/usr/sbin:/usr/local/bin")


def flow(name: str, match: m.Match, *actions: a.Action, goto: int | None = None) -> of.FlowMod:
    return of.FlowMod(of.ADD, 7, 100, match, a.Instructions(actions, goto), cookie=len(name))


IP = 0x0800
MESSAGES: dict[str, of.Message] = {
    "hello": of.Hello(),
    "error": of.Error(3, 5, b"\x04\x0e\0\x08\0\0\0\x01"),
    "echo request": of.EchoRequest(b"ping"),
    "echo reply": of.EchoReply(b"ping"),
    "features request": of.FeaturesRequest(),
    "features reply": of.FeaturesReply(0x0000023456789ABC, 254, 0x4F),
    "set config": of.SetConfig(),
    "set async": of.SetAsync(),
    "barrier request": of.BarrierRequest(),
    "barrier reply": of.BarrierReply(),
    "flush connections from": of.FlushConnections(300, src=0x0A000001),
    "flush connections to": of.FlushConnections(301, dst=0xAC180414),
    "flush zone": of.FlushZone(77),
    "bundle open": of.BundleControl(5, of.OPEN_REQUEST),
    "bundle commit": of.BundleControl(5, of.COMMIT_REQUEST),
    "flow stats request": of.FlowStatsRequest(),
    "port request": of.PortsRequest(),
    "port reply": of.PortsReply((of.Port(3, 0x020000000003, "tap3", 0, 1),)),
    "port status": of.PortStatus(of.PORT_ADDED, of.Port(3, 0x020000000003, "tap3")),
    "meter": of.MeterMod(0, 1, 100, 50),
    "meters request": of.MetersRequest(),
    "meters reply": of.MetersReply((1, 101), more=True),
    "packet out": of.PacketOut(bytes(60), (a.SetField("metadata", 7), a.Resubmit(42), a.Output(3))),
    "packet in": of.PacketIn(
        20, 0x0C70030000000065, m.match(in_port=101, reg1=101, metadata=100), bytes(60)
    ),
    "delete strict": of.FlowMod(of.DELETE_STRICT, 7, 100, m.match(in_port=5)),
    "classify": flow(
        "classify",
        m.match(in_port=101),
        a.SetField("metadata", 100),
        a.SetField("reg1", 101),
        goto=10,
    ),
    "tunnel": flow(
        "tunnel",
        m.match(in_port=1, tunnel_id=1001, tun_src=0xC0000202),
        a.SetField("tunnel_id", 1002),
        a.SetField("tun_dst", 0xC0000201),
        a.Output(1),
    ),
    "track": flow(
        "track",
        m.match(reg1=101, eth_type=IP),
        a.Ct(0, "reg7", 26),
    ),
    "commit and mark": flow(
        "commit and mark",
        m.match(reg6=0, eth_type=IP, ct_state=(0x22, 0x22), ct_mark=0),
        a.Ct(a.CT_COMMIT, "reg7", a.NO_TABLE, (a.SetField("ct_mark", 1),)),
    ),
    "nat": flow(
        "nat",
        m.match(reg3=9, eth_type=IP, ip_src=(0x0A000000, 0xFFFFFF00)),
        a.Ct(a.CT_COMMIT, 300, 38, (a.Nat(a.NAT_SRC, 0xAC18040A),)),
    ),
    "nat range": flow(
        "nat range",
        m.match(eth_type=IP, ip_dst=0xAC18040A),
        a.Ct(a.CT_COMMIT, 300, 38, (a.Nat(a.NAT_DST, 0x0A000001, 0x0A000009, 1024, 2048),)),
    ),
    "un-nat": flow("un-nat", m.match(eth_type=IP), a.Ct(0, 300, 32, (a.Nat(),))),
    "arp reply": flow(
        "arp reply",
        m.match(metadata=100, eth_type=0x0806, arp_op=1, arp_tpa=0x0A000001),
        a.Move("eth_src", "eth_dst", 48),
        a.SetField("eth_src", 0xFA163E000001),
        a.SetField("arp_op", 2),
        a.Move("arp_sha", "arp_tha", 48),
        a.SetField("arp_sha", 0xFA163E000001),
        a.Move("arp_spa", "arp_tpa", 32),
        a.SetField("arp_spa", 0x0A000001),
        a.Output(a.IN_PORT),
    ),
    "route": flow(
        "route",
        m.match(reg3=9, eth_type=IP, ip_dst=(0x0A000100, 0xFFFFFF00)),
        a.DecTtl(),
        a.SetField("eth_src", 0xFA163E000002),
        a.Load("in_port", 0xFFFF, 0, 16),
        a.Move("ip_dst", "reg4", 32),
        goto=38,
    ),
    "echo": flow(
        "echo",
        m.match(eth_type=IP, ip_proto=1, ip_dst=0x0A000001, icmp_type=8),
        a.SetField("icmp_type", 0),
        a.SetField("ip_ttl", 64),
        a.CtClear(),
        a.Resubmit(30),
        a.OutputField("reg2"),
    ),
    "vlan": flow(
        "vlan",
        m.match(in_port=10, vlan_vid=0x1064),
        a.PopVlan(),
        a.PushVlan(),
        a.SetField("vlan_vid", 0x1065),
        a.Output(a.CONTROLLER, a.WHOLE_PACKET),
    ),
    "ports masked": flow(
        "ports masked", m.match(eth_type=IP, ip_proto=6, tcp_dst=(0x50, 0xFFF0)), a.Group(3)
    ),
    "neighbour discovery": flow(
        "neighbour discovery",
        m.match(eth_type=0x86DD, ip_proto=58, icmpv6_type=135, nd_target=5, nd_sll=3),
        goto=30,
    ),
    "multicast": flow("multicast", m.match(eth_dst=(1 << 40, 1 << 40)), goto=42),
    "metered": of.FlowMod(of.ADD, 0, 1, (), a.Instructions((a.Output(3),), None, 5)),
}


def golden() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(VECTORS.read_text())
    assert found, "no vectors: nothing would be tested"
    return found


@pytest.mark.parametrize("name", MESSAGES)
def test_message_has_its_golden_bytes(name: str) -> None:
    vector = golden()[name]
    assert of.encode(MESSAGES[name], 1).hex() == vector["hex"]


@pytest.mark.parametrize("name", golden())
def test_golden_bytes_are_read(name: str) -> None:
    message, xid = of.decode(bytes.fromhex(golden()[name]["hex"]))
    assert xid == 1
    if name.startswith("flush connections"):
        assert isinstance(message, of.Unknown)  # nobody sends it to us
    elif isinstance(message, of.PacketIn):
        assert message.match == MESSAGES[name].match  # type: ignore[union-attr]
    else:
        assert message == MESSAGES[name]


@pytest.mark.skipif(OVS_OFCTL is None, reason="Open vSwitch is not installed")
@pytest.mark.parametrize("name", golden())
def test_open_vswitch_reads_golden_bytes_as_noted(name: str) -> None:
    vector = golden()[name]
    assert printed(vector["hex"]) == vector["ovs"]


def printed(message: str) -> str:
    """What Open vSwitch makes of a message."""
    done = subprocess.run(
        [OVS_OFCTL or "", "ofp-print", message], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def values(field: fields.Field) -> st.SearchStrategy[m.Value]:
    whole = st.integers(0, (1 << field.bits) - 1)
    return st.one_of(whole, st.tuples(whole, whole))


terms = st.dictionaries(st.sampled_from(sorted(fields.FIELDS)), st.none(), max_size=8).flatmap(
    lambda names: st.fixed_dictionaries({n: values(fields.get(n)) for n in names})
)
names = st.sampled_from(sorted(fields.FIELDS))
settings = names.flatmap(
    lambda n: st.builds(a.SetField, st.just(n), st.integers(0, (1 << fields.get(n).bits) - 1))
)
byte, half, word = st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
simple = st.one_of(
    st.builds(a.Output, word, half),
    st.builds(a.OutputField, st.just("reg2")),
    st.builds(a.Group, word),
    settings,
    st.builds(a.Load, st.just("reg6"), word, st.integers(0, 31), st.integers(1, 32)),
    st.builds(a.Move, names, names, half, half, half),
    st.builds(a.Resubmit, byte),
    st.just(a.DecTtl()),
    st.just(a.PushVlan()),
    st.just(a.PopVlan()),
    st.just(a.CtClear()),
)
nats = st.builds(a.Nat, st.integers(0, 31), word, word, half, half)
cts = st.builds(
    a.Ct, half, half | st.just("reg7"), byte, st.lists(nats | settings, max_size=3).map(tuple)
)
actions = st.lists(simple | cts, max_size=6).map(tuple)


@given(terms)
def test_matches_come_back(wanted: dict[str, m.Value]) -> None:
    match = m.build(wanted)
    data = m.encode(match)
    assert len(data) % 8 == 0
    assert m.decode(data) == (match, len(data))
    assert text.match(match)


@given(actions, st.none() | byte, word)
def test_instructions_come_back(what: a.Actions, goto: int | None, meter: int) -> None:
    instructions = a.Instructions(what, goto, meter)
    assert a.decode_instructions(a.encode_instructions(instructions)) == instructions
    assert text.instructions(instructions)


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_worse(data: bytes) -> None:
    for kind in (0, 1, 4, 6, 10, 12, 13, 14, 18, 19, 29):
        message = of.HEADER.pack(of.VERSION, kind, 8 + len(data), 1) + data
        with suppress(Invalid):
            of.decode(message)


@given(st.lists(st.sampled_from(sorted(MESSAGES)), max_size=6), st.integers(1, 50))
def test_stream_is_cut_wherever_it_breaks(sent: list[str], size: int) -> None:
    stream = b"".join(of.encode(MESSAGES[name], 1) for name in sent)
    buffer, got = bytearray(), []
    for at in range(0, len(stream), size):
        buffer += stream[at : at + size]
        got += of.split(buffer)
    assert not buffer
    assert got == [of.encode(MESSAGES[name], 1) for name in sent]


def test_values_that_do_not_fit_are_refused() -> None:
    with pytest.raises(Invalid):
        m.encode((("eth_type", 1 << 16, None),))
    with pytest.raises(Invalid):
        m.match(colour=3)
    with pytest.raises(Invalid):
        of.encode(of.EchoRequest(bytes(1 << 16)), 1)
