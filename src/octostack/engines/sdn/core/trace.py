# SPDX-License-Identifier: Apache-2.0
"""OpenFlow tables, interpreted: what happens to a packet.

The same flows that a switch holds (or would hold) are followed here action by action, with
connection tracking and translation, so that a question is answered, and a test decided, by the very
tables that carry the traffic. A packet is its fields: ``{"in_port": 3, "eth_type": 0x800, ...}``.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from octostack.engines.sdn.core import pipeline
from octostack.engines.sdn.core.model import Flow
from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import match as matches
from octostack.wire.openflow import text

Packet = dict[str, int]

LOOKUPS_MAX: Final = 512  # Open vSwitch stops at 4096; a route loop shows itself long before
NEW, EST, REL, RPL, INV, TRK = 1, 2, 4, 8, 16, 32
ICMP, ECHO_REQUEST = 1, 8
_PORTS: Final = {6: ("tcp_src", "tcp_dst"), 17: ("udp_src", "udp_dst")}


class Step(msgspec.Struct, frozen=True):
    """One table: the flow that matched there, None for a miss."""

    table: int
    flow: Flow | None


class Result(msgspec.Struct, frozen=True):
    """Where a packet went: (OpenFlow port, the packet as it left), and by which steps."""

    outputs: tuple[tuple[int, Packet], ...]
    steps: tuple[Step, ...]


class Connection(msgspec.Struct):
    """A tracked connection: both directions as (protocol, src, dst, src port, dst port)."""

    original: tuple[int, ...]
    reply: tuple[int, ...]
    mark: int = 0


class Conntrack:
    """Connections by zone; a small model of Open vSwitch's, without time-outs."""

    def __init__(self) -> None:
        self.zones: dict[int, list[Connection]] = defaultdict(list)

    def look(self, zone: int, packet: Packet) -> tuple[Connection | None, bool]:
        """The packet's connection, and whether it goes in the reply direction."""
        seen = endpoints(packet)
        for connection in self.zones[zone]:
            if seen == connection.original:
                return connection, False
            if seen == connection.reply:
                return connection, True
        return None, False

    def flush(self, zone: int) -> None:
        """Forget a zone."""
        self.zones.pop(zone, None)


def endpoints(packet: Packet) -> tuple[int, ...]:
    """What tells connections apart. ICMP: both directions of an echo share its kind."""
    protocol = packet.get("ip_proto", 0)
    src, dst = _PORTS.get(protocol, ("icmp_id", "icmp_id"))
    return (
        protocol,
        packet.get("ip_src", 0),
        packet.get("ip_dst", 0),
        packet.get(src, 0),
        packet.get(dst, 0),
    )


def reverse(ends: tuple[int, ...]) -> tuple[int, ...]:
    """The other direction."""
    protocol, src, dst, src_port, dst_port = ends
    return (protocol, dst, src, dst_port, src_port)


class Tables:
    """Flows to look packets up in."""

    def __init__(self, flows: Iterable[Flow]) -> None:
        self._tables: dict[int, list[Flow]] = defaultdict(list)
        for flow in flows:
            self._tables[flow.table].append(flow)
        for held in self._tables.values():
            held.sort(key=lambda flow: -flow.priority)

    def find(self, table: int, packet: Packet) -> Flow | None:
        """The flow of the highest priority that matches; None: a miss."""
        for flow in self._tables.get(table, ()):
            if fits(flow.match, packet):
                return flow
        return None


def fits(match: matches.Match, packet: Packet) -> bool:
    """Whether a packet has every term of a match; a field it has not is zero."""
    for name, value, mask in match:
        held = packet.get(name, 0)
        if (held if mask is None else held & mask) != value:
            return False
    return True


class Tracer:
    """Follows packets through one switch; connections last from one packet to the next."""

    def __init__(
        self, tables: Tables, conntrack: Conntrack | None = None, *, established: bool = False
    ) -> None:
        self._tables = tables
        self._conntrack = conntrack or Conntrack()
        self._established = established
        self._outputs: list[tuple[int, Packet]] = []
        self._steps: list[Step] = []
        self._lookups = 0

    def run(self, packet: Packet, table: int = 0) -> Result:
        """What happens to a packet that comes in by ``packet["in_port"]``."""
        self._outputs, self._steps, self._lookups = [], [], 0
        self._look_up(table, dict(packet))
        return Result(tuple(self._outputs), tuple(self._steps))

    def _look_up(self, table: int, packet: Packet) -> None:
        """Table after table by goto; `packet` changes as the actions say."""
        following: int | None = table
        while following is not None:
            self._lookups += 1
            if self._lookups > LOOKUPS_MAX:
                return
            flow = self._tables.find(following, packet)
            self._steps.append(Step(following, flow))
            if flow is None or not self._apply(flow.instructions.actions, packet):
                return
            following = flow.instructions.goto

    def _apply(self, actions: acts.Actions, packet: Packet) -> bool:
        """Carry actions out; False when the packet goes no further."""
        return all(_ACTIONS[type(action)](self, action, packet) for action in actions)

    def _output(self, action: acts.Output, packet: Packet) -> bool:
        self._send(action.port, packet)
        return True

    def _output_field(self, action: acts.OutputField, packet: Packet) -> bool:
        self._send(packet.get(action.field, 0), packet)
        return True

    def _send(self, port: int, packet: Packet) -> None:
        came_by = packet.get("in_port", 0)
        if port == acts.IN_PORT:
            self._outputs.append((came_by, dict(packet)))
        elif port and port != came_by:  # never back out of the port it came in by
            self._outputs.append((port, dict(packet)))

    def _resubmit(self, action: acts.Resubmit, packet: Packet) -> bool:
        self._look_up(action.table, packet)
        return True

    def _dec_ttl(self, _action: acts.DecTtl, packet: Packet) -> bool:
        left = packet.get("ip_ttl", 64) - 1
        packet["ip_ttl"] = left
        return left > 0

    def _ct(self, action: acts.Ct, packet: Packet) -> bool:
        zone = action.zone if isinstance(action.zone, int) else packet.get(action.zone, 0) & 0xFFFF
        clone = dict(packet)
        self._track(action, zone, clone)
        if action.table != acts.NO_TABLE:
            self._look_up(action.table, clone)
        return True

    def _track(self, action: acts.Ct, zone: int, packet: Packet) -> None:
        connection, is_reply = self._conntrack.look(zone, packet)
        nat = next((a for a in action.exec if isinstance(a, acts.Nat)), None)
        state = TRK | (NEW if connection is None else EST) | (RPL if is_reply else 0)
        if self._established and connection is None:
            state = TRK | EST
        if connection is None and action.flags & acts.CT_COMMIT:
            original = endpoints(packet)
            connection = Connection(original, reverse(_translated(original, nat)))
            self._conntrack.zones[zone].append(connection)
        if connection is not None:
            for setting in action.exec:
                if isinstance(setting, acts.SetField) and setting.field == "ct_mark":
                    connection.mark = setting.value
            if nat is not None:
                _rewrite(packet, connection, is_reply)
            packet["ct_mark"] = connection.mark
        else:
            packet["ct_mark"] = 0
        packet["ct_state"], packet["ct_zone"] = state, zone


def _translated(ends: tuple[int, ...], nat: acts.Nat | None) -> tuple[int, ...]:
    if nat is None or not nat.flags:
        return ends
    protocol, src, dst, src_port, dst_port = ends
    if nat.flags & acts.NAT_SRC:
        return (protocol, nat.ip_min, dst, nat.port_min or src_port, dst_port)
    return (protocol, src, nat.ip_min, src_port, nat.port_min or dst_port)


def _rewrite(packet: Packet, connection: Connection, is_reply: bool) -> None:
    """Make the packet look as the far side of its connection's translation has it."""
    ends = reverse(connection.original if is_reply else connection.reply)
    protocol, packet["ip_src"], packet["ip_dst"], src_port, dst_port = ends
    if protocol in _PORTS:
        src, dst = _PORTS[protocol]
        packet[src], packet[dst] = src_port, dst_port


def _set_field(_: Tracer, action: acts.SetField, packet: Packet) -> bool:
    packet[action.field] = action.value
    return True


def _load(_: Tracer, action: acts.Load, packet: Packet) -> bool:
    _write(packet, action.field, (action.offset, action.bits), action.value)
    return True


def _move(_: Tracer, action: acts.Move, packet: Packet) -> bool:
    value = packet.get(action.src, 0) >> action.src_offset & ((1 << action.bits) - 1)
    _write(packet, action.dst, (action.dst_offset, action.bits), value)
    return True


def _write(packet: Packet, field: str, where: tuple[int, int], value: int) -> None:
    offset, bits = where
    mask = ((1 << bits) - 1) << offset
    packet[field] = packet.get(field, 0) & ~mask | value << offset & mask


def _push_vlan(_: Tracer, _action: acts.PushVlan, packet: Packet) -> bool:
    packet["vlan_vid"] = 0x1000
    return True


def _pop_vlan(_: Tracer, _action: acts.PopVlan, packet: Packet) -> bool:
    packet.pop("vlan_vid", None)
    return True


def _ct_clear(_: Tracer, _action: acts.CtClear, packet: Packet) -> bool:
    for name in ("ct_state", "ct_zone", "ct_mark"):
        packet.pop(name, None)
    return True


def _nothing(_: Tracer, _action: acts.Action, _packet: Packet) -> bool:
    return True


_ACTIONS: Final[dict[type, Callable[[Tracer, Any, Packet], bool]]] = {
    acts.Output: Tracer._output,
    acts.OutputField: Tracer._output_field,
    acts.Resubmit: Tracer._resubmit,
    acts.DecTtl: Tracer._dec_ttl,
    acts.Ct: Tracer._ct,
    acts.SetField: _set_field,
    acts.Load: _load,
    acts.Move: _move,
    acts.PushVlan: _push_vlan,
    acts.PopVlan: _pop_vlan,
    acts.CtClear: _ct_clear,
    acts.Group: _nothing,
    acts.Nat: _nothing,
    acts.Raw: _nothing,
}


# ---- for people ---------------------------------------------------------------------------------


def describe(step: Step) -> tuple[str, str, str]:
    """A step as (table, flow, note)."""
    name = pipeline.NAMES.get(step.table, str(step.table))
    if step.flow is None:
        return name, "no flow matches: drop", ""
    shown = text.instructions(step.flow.instructions, pipeline.NAMES)
    return (
        name,
        f"priority {step.flow.priority}, {text.match(step.flow.match)} → {shown}",
        step.flow.note,
    )


def layer4(protocol: int) -> tuple[str, str]:
    """The names of a protocol's port fields."""
    return _PORTS.get(protocol, ("", ""))
