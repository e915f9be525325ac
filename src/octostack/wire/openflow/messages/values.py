# SPDX-License-Identifier: Apache-2.0
"""The messages as values, and the numbers of the protocol."""

import struct
from typing import Final, TypeAlias

import msgspec

from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import match as matches

VERSION: Final = 4
ONF: Final = 0x4F4E4600
NO_BUFFER: Final = 0xFFFFFFFF
ALL_TABLES: Final = 0xFF
HEADER: Final = struct.Struct("!BBHI")
FLOW_MOD: Final = struct.Struct("!QQBBHHHIIIH2x")
LENGTH_MAX: Final = 0xFFFF

ADD, MODIFY, MODIFY_STRICT, DELETE, DELETE_STRICT = range(5)
OPEN_REQUEST, OPEN_REPLY, CLOSE_REQUEST, CLOSE_REPLY, COMMIT_REQUEST, COMMIT_REPLY = range(6)
DISCARD_REQUEST, DISCARD_REPLY = 6, 7
ATOMIC, ORDERED = 1, 2
NORMAL, NX_MATCH = 0, 3
PORT_ADDED, PORT_DELETED, PORT_MODIFIED = range(3)
LINK_DOWN: Final = 1
INVALID_TTL: Final = 2  # why a packet comes in: it has no hop left
METER_ADD, METER_MODIFY, METER_DELETE = range(3)


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
    """How much of a missed packet is sent; 0 on a management connection means: none at all.

    `fragments` NX_MATCH: a first fragment can be matched by its ports; NORMAL: none can.
    """

    miss_send_len: int = acts.WHOLE_PACKET
    fragments: int = NX_MATCH


class SetAsync(msgspec.Struct, frozen=True):
    """Which reasons of packet-in, port-status and flow-removed this connection wants (bits)."""

    packet_in: int = 0b111
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


class MetersRequest(msgspec.Struct, frozen=True):
    """Which meters there are."""


class MetersReply(msgspec.Struct, frozen=True):
    """The numbers of some of the meters; `more` follow."""

    ids: tuple[int, ...]
    more: bool = False


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


class FlushConnections(msgspec.Struct, frozen=True):
    """Forget the IPv4 connections of a zone that began from `src` or to `dst`; 0: any."""

    zone: int
    src: int = 0
    dst: int = 0


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
    | MetersRequest
    | MetersReply
    | PortStatus
    | BarrierRequest
    | BarrierReply
    | BundleControl
    | BundleAdd
    | FlushZone
    | FlushConnections
    | FlowStatsRequest
    | FlowStatsReply
    | PortsRequest
    | PortsReply
    | Unknown
)
