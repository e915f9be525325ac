# SPDX-License-Identifier: Apache-2.0
"""What goes over an OpenFlow 1.3 connection, as values.

`encode(message, xid)` gives the bytes of one message; `split` cuts a stream into messages and
`decode` reads one. The bundle messages are ONF's extension for 1.3 (experimenter 0x4f4e4600) as
Open vSwitch has them. A message we do not know is kept as `Unknown`.
"""

import struct
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

from octostack.base.errors import Invalid
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import match as matches

VERSION: Final = 4
ONF: Final = 0x4F4E4600
NO_BUFFER: Final = 0xFFFFFFFF
ALL_TABLES: Final = 0xFF
HEADER: Final = struct.Struct("!BBHI")
LENGTH_MAX: Final = 0xFFFF

ADD, MODIFY, MODIFY_STRICT, DELETE, DELETE_STRICT = range(5)
OPEN_REQUEST, OPEN_REPLY, CLOSE_REQUEST, CLOSE_REPLY, COMMIT_REQUEST, COMMIT_REPLY = range(6)
DISCARD_REQUEST, DISCARD_REPLY = 6, 7
ATOMIC, ORDERED = 1, 2
PORT_ADDED, PORT_DELETED, PORT_MODIFIED = range(3)
LINK_DOWN: Final = 1


class Hello(msgspec.Struct, frozen=True):
    """The first message of each side."""

    version: int = VERSION


class Error(msgspec.Struct, frozen=True):
    """A request that the switch refused; `data` begins with that request."""

    type: int
    code: int
    data: bytes = b""


class EchoRequest(msgspec.Struct, frozen=True):
    """Are you there?"""

    data: bytes = b""


class EchoReply(msgspec.Struct, frozen=True):
    """I am."""

    data: bytes = b""


class FeaturesRequest(msgspec.Struct, frozen=True):
    """What are you?"""


class FeaturesReply(msgspec.Struct, frozen=True):
    """The switch's identity."""

    datapath_id: int
    n_tables: int = 254
    capabilities: int = 0


class SetConfig(msgspec.Struct, frozen=True):
    """How much of a missed packet is sent; 0 on a management connection means: none at all."""

    miss_send_len: int = acts.WHOLE_PACKET


class SetAsync(msgspec.Struct, frozen=True):
    """Which reasons of packet-in, port-status and flow-removed this connection wants (bits)."""

    packet_in: int = 0b11
    port_status: int = 0b111
    flow_removed: int = 0


class PacketIn(msgspec.Struct, frozen=True):
    """A packet for the controller; the match tells its registers and port."""

    table: int
    cookie: int
    match: matches.Match
    data: bytes
    reason: int = 1
    total_len: int = 0


class PacketOut(msgspec.Struct, frozen=True):
    """A packet to be sent by the switch."""

    data: bytes
    actions: acts.Actions
    in_port: int = acts.CONTROLLER


class FlowMod(msgspec.Struct, frozen=True):
    """Add, change or delete flows."""

    command: int
    table: int
    priority: int = 0
    match: matches.Match = ()
    instructions: acts.Instructions = acts.DROP
    cookie: int = 0
    cookie_mask: int = 0
    idle_timeout_s: int = 0
    hard_timeout_s: int = 0


class MeterMod(msgspec.Struct, frozen=True):
    """Make (0), change (1) or delete (2) a meter that drops what passes `rate` packets a second."""

    command: int
    id: int
    rate: int = 0
    burst: int = 0


class Port(msgspec.Struct, frozen=True):
    """A port of the switch."""

    number: int
    mac: int
    name: str
    config: int = 0
    state: int = 0


class PortStatus(msgspec.Struct, frozen=True):
    """A port came, went or changed."""

    reason: int
    port: Port


class BarrierRequest(msgspec.Struct, frozen=True):
    """Answer when everything before this is done."""


class BarrierReply(msgspec.Struct, frozen=True):
    """Everything before is done."""


class BundleControl(msgspec.Struct, frozen=True):
    """Open, commit or discard a bundle; the reply has the odd type behind the request's."""

    id: int
    type: int
    flags: int = ATOMIC | ORDERED


class BundleAdd(msgspec.Struct, frozen=True):
    """A message (already encoded, same xid) as part of a bundle."""

    id: int
    message: bytes
    flags: int = ATOMIC | ORDERED


class FlushZone(msgspec.Struct, frozen=True):
    """Forget all connections of a conntrack zone (NXT_CT_FLUSH_ZONE)."""

    zone: int


class FlowStatsRequest(msgspec.Struct, frozen=True):
    """Every flow, or those of one table, of a cookie, under a match."""

    table: int = ALL_TABLES
    cookie: int = 0
    cookie_mask: int = 0
    match: matches.Match = ()


class FlowStats(msgspec.Struct, frozen=True):
    """One flow as the switch holds it; instructions still as bytes (see actions)."""

    table: int
    priority: int
    match: matches.Match
    instructions: bytes
    cookie: int = 0
    packets: int = 0
    bytes: int = 0
    duration_s: int = 0
    idle_timeout_s: int = 0
    hard_timeout_s: int = 0


class FlowStatsReply(msgspec.Struct, frozen=True):
    """Some of the flows asked for; `more` follow under the same xid."""

    flows: tuple[FlowStats, ...]
    more: bool = False


class PortsRequest(msgspec.Struct, frozen=True):
    """Every port."""


class PortsReply(msgspec.Struct, frozen=True):
    """Some of the ports; `more` follow."""

    ports: tuple[Port, ...]
    more: bool = False


class Unknown(msgspec.Struct, frozen=True):
    """A message of another kind."""

    type: int
    body: bytes


Message: TypeAlias = (
    Hello
    | Error
    | EchoRequest
    | EchoReply
    | FeaturesRequest
    | FeaturesReply
    | SetConfig
    | SetAsync
    | PacketIn
    | PacketOut
    | FlowMod
    | MeterMod
    | PortStatus
    | BarrierRequest
    | BarrierReply
    | BundleControl
    | BundleAdd
    | FlushZone
    | FlowStatsRequest
    | FlowStatsReply
    | PortsRequest
    | PortsReply
    | Unknown
)


# ---- encoding ---------------------------------------------------------------------------------


def _port(p: Port) -> bytes:
    name = p.name.encode()[:15]
    return struct.pack(
        "!I4x6s2x16sII24x", p.number, p.mac.to_bytes(6, "big"), name, p.config, p.state
    )


def _packet_in(m: PacketIn) -> bytes:
    head = struct.pack("!IHBBQ", NO_BUFFER, m.total_len or len(m.data), m.reason, m.table, m.cookie)
    return head + matches.encode(m.match) + bytes(2) + m.data


def _packet_out(m: PacketOut) -> bytes:
    body = acts.encode(m.actions)
    return struct.pack("!IIH6x", NO_BUFFER, m.in_port, len(body)) + body + m.data


_FLOW_MOD: Final = struct.Struct("!QQBBHHHIIIH2x")


def _flow_mod(m: FlowMod) -> bytes:
    head = _FLOW_MOD.pack(
        m.cookie,
        m.cookie_mask,
        m.table,
        m.command,
        m.idle_timeout_s,
        m.hard_timeout_s,
        m.priority,
        NO_BUFFER,
        acts.ANY,
        acts.ANY,
        0,
    )
    return head + matches.encode(m.match) + acts.encode_instructions(m.instructions)


def _meter_mod(m: MeterMod) -> bytes:
    head = struct.pack("!HHI", m.command, 0b110, m.id)  # packets a second, with burst
    if m.command == 2:
        return head
    return head + struct.pack("!HHII4x", 1, 16, m.rate, m.burst)


def _flow_stats(s: FlowStats) -> bytes:
    match = matches.encode(s.match)
    head = struct.pack(
        "!HBxIIHHHH4xQQQ",
        48 + len(match) + len(s.instructions),
        s.table,
        s.duration_s,
        0,
        s.priority,
        s.idle_timeout_s,
        s.hard_timeout_s,
        0,
        s.cookie,
        s.packets,
        s.bytes,
    )
    return head + match + s.instructions


def _flow_stats_request(m: FlowStatsRequest) -> bytes:
    head = struct.pack("!B3xII4xQQ", m.table, acts.ANY, acts.ANY, m.cookie, m.cookie_mask)
    return _multipart(1, head + matches.encode(m.match))


def _multipart(kind: int, body: bytes, more: bool = False) -> bytes:
    return struct.pack("!HH4x", kind, int(more)) + body


def _vendor(vendor: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!II", vendor, kind) + body


def _set_async(m: SetAsync) -> bytes:
    wanted = (m.packet_in, m.port_status, m.flow_removed)
    # each mask twice: as master or equal, and as slave
    return struct.pack("!6I", *(mask for mask in wanted for _ in range(2)))


_ENCODERS: Final[dict[type, tuple[int, Callable[[Any], bytes]]]] = {
    Hello: (0, lambda _: b""),
    Error: (1, lambda m: struct.pack("!HH", m.type, m.code) + m.data),
    EchoRequest: (2, lambda m: m.data),
    EchoReply: (3, lambda m: m.data),
    FlushZone: (4, lambda m: _vendor(acts.NICIRA, 29, struct.pack("!6xH", m.zone))),
    BundleControl: (
        4,
        lambda m: _vendor(ONF, 2300, struct.pack("!IHH", m.id, m.type, m.flags)),
    ),
    BundleAdd: (4, lambda m: _vendor(ONF, 2301, struct.pack("!I2xH", m.id, m.flags) + m.message)),
    FeaturesRequest: (5, lambda _: b""),
    FeaturesReply: (
        6,
        lambda m: struct.pack("!QIBB2xII", m.datapath_id, 0, m.n_tables, 0, m.capabilities, 0),
    ),
    SetConfig: (9, lambda m: struct.pack("!HH", 0, m.miss_send_len)),
    PacketIn: (10, _packet_in),
    PortStatus: (12, lambda m: struct.pack("!B7x", m.reason) + _port(m.port)),
    PacketOut: (13, _packet_out),
    FlowMod: (14, _flow_mod),
    FlowStatsRequest: (18, _flow_stats_request),
    PortsRequest: (18, lambda _: _multipart(13, b"")),
    FlowStatsReply: (19, lambda m: _multipart(1, b"".join(map(_flow_stats, m.flows)), m.more)),
    PortsReply: (19, lambda m: _multipart(13, b"".join(map(_port, m.ports)), m.more)),
    BarrierRequest: (20, lambda _: b""),
    BarrierReply: (21, lambda _: b""),
    SetAsync: (28, _set_async),
    MeterMod: (29, _meter_mod),
}


def encode(message: Message, xid: int) -> bytes:
    """One message with its header. Raises Invalid when it does not fit."""
    if isinstance(message, Unknown):
        kind, body = message.type, message.body
    else:
        kind, encoder = _ENCODERS[type(message)]
        try:
            body = encoder(message)
        except (struct.error, OverflowError) as e:
            raise Invalid(f"cannot encode {message}: {e}", code="openflow.message") from e
    if HEADER.size + len(body) > LENGTH_MAX:
        raise Invalid("message is too long", code="openflow.message")
    return HEADER.pack(VERSION, kind, HEADER.size + len(body), xid) + body


# ---- decoding ---------------------------------------------------------------------------------


def split(buffer: bytearray) -> list[bytes]:
    """Take every whole message off the front of `buffer`. Raises Invalid on a broken length."""
    out, at = [], 0
    while len(buffer) - at >= HEADER.size:
        length = HEADER.unpack_from(buffer, at)[2]
        if length < HEADER.size:
            raise Invalid("message shorter than its header", code="openflow.message")
        if len(buffer) - at < length:
            break
        out.append(bytes(buffer[at : at + length]))
        at += length
    del buffer[:at]
    return out


def decode(data: bytes) -> tuple[Message, int]:
    """One whole message and its xid. Raises Invalid."""
    if len(data) < HEADER.size:
        raise Invalid("truncated message", code="openflow.message")
    version, kind, length, xid = HEADER.unpack_from(data)
    if length != len(data):
        raise Invalid("message length does not match", code="openflow.message")
    if kind == 0:
        return Hello(version), xid
    if version != VERSION:
        raise Invalid(f"OpenFlow version {version}", code="openflow.version")
    decoder = _DECODERS.get(kind)
    if decoder is None:
        return Unknown(kind, data[8:]), xid
    try:
        return decoder(data), xid
    except (struct.error, IndexError, UnicodeDecodeError) as e:
        raise Invalid(f"malformed message of type {kind}", code="openflow.message") from e


def _decode_error(data: bytes) -> Message:
    kind, code = struct.unpack_from("!HH", data, 8)
    return Error(kind, code, data[12:])


def _decode_packet_in(data: bytes) -> Message:
    _, total_len, reason, table, cookie = struct.unpack_from("!IHBBQ", data, 8)
    match, at = matches.decode(data, 24)
    return PacketIn(table, cookie, match, data[at + 2 :], reason, total_len)


def _decode_packet_out(data: bytes) -> Message:
    _, in_port, length = struct.unpack_from("!IIH", data, 8)
    actions = acts.decode(data[24 : 24 + length])
    return PacketOut(data[24 + length :], actions, in_port)


def _decode_flow_mod(data: bytes) -> Message:
    cookie, mask, table, command, idle, hard, priority, *_ = _FLOW_MOD.unpack_from(data, 8)
    match, at = matches.decode(data, 48)
    instructions = acts.decode_instructions(data[at:])
    return FlowMod(command, table, priority, match, instructions, cookie, mask, idle, hard)


def _decode_port(data: bytes, at: int) -> Port:
    number, mac, name, config, state = struct.unpack_from("!I4x6s2x16sII", data, at)
    text = name.split(b"\0", 1)[0].decode("utf-8", "replace")
    return Port(number, int.from_bytes(mac, "big"), text, config, state)


def _decode_meter_mod(data: bytes) -> Message:
    command, _, meter = struct.unpack_from("!HHI", data, 8)
    if len(data) < 32:
        return MeterMod(command, meter)
    rate, burst = struct.unpack_from("!II", data, 20)
    return MeterMod(command, meter, rate, burst)


def _decode_vendor(data: bytes) -> Message:
    vendor, kind = struct.unpack_from("!II", data, 8)
    if (vendor, kind) == (ONF, 2300):
        return BundleControl(*struct.unpack_from("!IHH", data, 16))
    if (vendor, kind) == (ONF, 2301):
        bundle, flags = struct.unpack_from("!I2xH", data, 16)
        return BundleAdd(bundle, data[24:], flags)
    if (vendor, kind) == (acts.NICIRA, 29):
        return FlushZone(struct.unpack_from("!H", data, 22)[0])
    return Unknown(4, data[8:])


def _decode_request(data: bytes) -> Message:
    (kind,) = struct.unpack_from("!H", data, 8)
    if kind == 13:
        return PortsRequest()
    if kind == 1:
        table, cookie, mask = struct.unpack_from("!B3x8x4xQQ", data, 16)
        return FlowStatsRequest(table, cookie, mask, matches.decode(data, 48)[0])
    return Unknown(18, data[8:])


def _decode_reply(data: bytes) -> Message:
    kind, flags = struct.unpack_from("!HH", data, 8)
    if kind == 13:
        ports = tuple(_decode_port(data, at) for at in range(16, len(data), 64))
        return PortsReply(ports, bool(flags & 1))
    if kind == 1:
        return FlowStatsReply(tuple(_iter_flow_stats(data)), bool(flags & 1))
    return Unknown(19, data[8:])


_STATS: Final = struct.Struct("!HBxIIHHHH4xQQQ")


def _iter_flow_stats(data: bytes) -> list[FlowStats]:
    out, at = [], 16
    while at < len(data):
        length, table, seconds, _, priority, idle, hard, _, cookie, packets, n_bytes = (
            _STATS.unpack_from(data, at)
        )
        end = at + length
        if length < _STATS.size or end > len(data):
            raise Invalid("malformed flow", code="openflow.message")
        match, behind = matches.decode(data, at + _STATS.size)
        out.append(
            FlowStats(
                table=table,
                priority=priority,
                match=match,
                instructions=data[behind:end],
                cookie=cookie,
                packets=packets,
                bytes=n_bytes,
                duration_s=seconds,
                idle_timeout_s=idle,
                hard_timeout_s=hard,
            )
        )
        at = end
    return out


_DECODERS: Final[dict[int, Callable[[bytes], Message]]] = {
    1: _decode_error,
    2: lambda d: EchoRequest(d[8:]),
    3: lambda d: EchoReply(d[8:]),
    4: _decode_vendor,
    5: lambda _: FeaturesRequest(),
    6: lambda d: FeaturesReply(*struct.unpack_from("!Q4xB3xI", d, 8)),
    9: lambda d: SetConfig(struct.unpack_from("!H", d, 10)[0]),
    10: _decode_packet_in,
    12: lambda d: PortStatus(d[8], _decode_port(d, 16)),
    13: _decode_packet_out,
    14: _decode_flow_mod,
    18: _decode_request,
    19: _decode_reply,
    20: lambda _: BarrierRequest(),
    21: lambda _: BarrierReply(),
    28: lambda d: SetAsync(*struct.unpack_from("!I4xI4xI", d, 8)),
    29: _decode_meter_mod,
}
