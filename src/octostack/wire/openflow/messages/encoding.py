# SPDX-License-Identifier: Apache-2.0
"""Values to bytes."""

import struct
from collections.abc import Callable
from typing import Any, Final

from octostack.base.errors import Invalid
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import match as matches
from octostack.wire.openflow.messages.values import (
    FLOW_MOD,
    HEADER,
    LENGTH_MAX,
    NO_BUFFER,
    ONF,
    VERSION,
    BarrierReply,
    BarrierRequest,
    BundleAdd,
    BundleControl,
    EchoReply,
    EchoRequest,
    Error,
    FeaturesReply,
    FeaturesRequest,
    FlowMod,
    FlowStats,
    FlowStatsReply,
    FlowStatsRequest,
    FlushConnections,
    FlushZone,
    Hello,
    Message,
    MeterMod,
    MetersReply,
    MetersRequest,
    PacketIn,
    PacketOut,
    Port,
    PortsReply,
    PortsRequest,
    PortStatus,
    SetAsync,
    SetConfig,
    Unknown,
)


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


def _flow_mod(m: FlowMod) -> bytes:
    head = FLOW_MOD.pack(
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


def _meters(m: MetersReply) -> bytes:
    return _multipart(10, b"".join(struct.pack("!HHI", 8, 0, id) for id in m.ids), m.more)


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


def _property(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("!HH", kind, length) + value + bytes(-length % 8)


def _connections(m: FlushConnections) -> bytes:
    """NXT_CT_FLUSH: any protocol, the original tuple (addresses mapped to IPv6), the zone."""
    ends = b"".join(
        _property(kind, bytes(10) + b"\xff\xff" + address.to_bytes(4, "big"))
        for kind, address in ((0, m.src), (1, m.dst))
        if address
    )
    tuple_ = struct.pack("!HH4x", 0, 8 + len(ends)) + ends
    return bytes(8) + tuple_ + _property(2, struct.pack("!H", m.zone))


def _set_async(m: SetAsync) -> bytes:
    wanted = (m.packet_in, m.port_status, m.flow_removed)
    # each mask twice: as master or equal, and as slave
    return struct.pack("!6I", *(mask for mask in wanted for _ in range(2)))


_ENCODERS: Final[dict[type, tuple[int, Callable[[Any], bytes]]]] = {
    Hello: (0, lambda _: b""),
    Error: (1, lambda m: struct.pack("!HH", m.type, m.code) + m.data),
    EchoRequest: (2, lambda m: m.data),
    EchoReply: (3, lambda m: m.data),
    FlushConnections: (4, lambda m: _vendor(acts.NICIRA, 32, _connections(m))),
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
    SetConfig: (9, lambda m: struct.pack("!HH", m.fragments, m.miss_send_len)),
    PacketIn: (10, _packet_in),
    PortStatus: (12, lambda m: struct.pack("!B7x", m.reason) + _port(m.port)),
    PacketOut: (13, _packet_out),
    FlowMod: (14, _flow_mod),
    FlowStatsRequest: (18, _flow_stats_request),
    MetersRequest: (18, lambda _: _multipart(10, struct.pack("!I4x", acts.ANY))),
    PortsRequest: (18, lambda _: _multipart(13, b"")),
    FlowStatsReply: (19, lambda m: _multipart(1, b"".join(map(_flow_stats, m.flows)), m.more)),
    MetersReply: (19, _meters),
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
