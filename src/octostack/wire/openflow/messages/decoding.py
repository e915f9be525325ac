# SPDX-License-Identifier: Apache-2.0
"""Bytes to values."""

import struct
from collections.abc import Callable
from typing import Final

from octostack.base.errors import Invalid
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import match as matches
from octostack.wire.openflow.messages.values import (
    FLOW_MOD,
    HEADER,
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
    cookie, mask, table, command, idle, hard, priority, *_ = FLOW_MOD.unpack_from(data, 8)
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
    if kind == 10:
        return MetersRequest()
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
    if kind == 10:
        return MetersReply(tuple(_iter_meters(data)), bool(flags & 1))
    return Unknown(19, data[8:])


def _iter_meters(data: bytes) -> list[int]:
    out, at = [], 16
    while at < len(data):
        length, _, number = struct.unpack_from("!HHI", data, at)
        if length < 8:
            raise Invalid("malformed meter", code="openflow.message")
        out.append(number)
        at += length
    return out


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
    9: lambda d: SetConfig(*reversed(struct.unpack_from("!HH", d, 8))),
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
