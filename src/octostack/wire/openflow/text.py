# SPDX-License-Identifier: Apache-2.0
"""Flows as people read them, close to what ovs-ofctl prints."""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from octostack.wire.openflow import actions as acts
from octostack.wire.openflow import fields
from octostack.wire.openflow import match as matches

_PORTS: Final = {
    acts.IN_PORT: "in_port",
    acts.CONTROLLER: "controller",
    acts.NORMAL: "normal",
    acts.LOCAL: "local",
    acts.FLOOD: "flood",
}
CT_STATES: Final = ("new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat")


def value(name: str, number: int) -> str:
    """A field's value as people write it."""
    return _KINDS[fields.get(name).kind](number)


def mac(number: int) -> str:
    """``fa:16:3e:00:00:01``"""
    text = f"{number:012x}"
    return ":".join(text[i : i + 2] for i in range(0, 12, 2))


_KINDS: Final[dict[str, Callable[[int], str]]] = {
    "int": str,
    "hex": hex,
    "mac": mac,
    "ip4": lambda n: str(IPv4Address(n)),
    "ip6": lambda n: str(IPv6Address(n)),
}


def ct_state(number: int, mask: int) -> str:
    """``+new+trk``, ``-est``"""
    bits = [(i, name) for i, name in enumerate(CT_STATES) if mask >> i & 1]
    return "".join(f"{'+' if number >> i & 1 else '-'}{name}" for i, name in bits)


def _term(term: matches.Term) -> str:
    name, number, mask = term
    if name == "ct_state":
        return f"ct_state={ct_state(number, 0xFF if mask is None else mask)}"
    shown = value(name, number)
    if mask is None:
        return f"{name}={shown}"
    kind = fields.get(name).kind
    if kind == "ip4":
        inverted = ~mask & 0xFFFFFFFF
        if inverted & (inverted + 1) == 0:
            return f"{name}={shown}/{32 - inverted.bit_length()}"
    return f"{name}={shown}/{value(name, mask)}"


def match(terms: matches.Match) -> str:
    """``in_port=3,eth_type=0x800,ip_src=10.0.0.0/24``; an empty match is ``any``."""
    return ",".join(map(_term, terms)) or "any"


def actions(what: acts.Actions, tables: Mapping[int, str] | None = None) -> str:
    """The actions, with tables by name where names are given."""
    return ",".join(_action(a, tables or {}) for a in what)


def instructions(what: acts.Instructions, tables: Mapping[int, str] | None = None) -> str:
    """The whole of what a flow does; ``drop`` when it is nothing."""
    parts = [f"meter:{what.meter}"] if what.meter else []
    if what.actions:
        parts.append(actions(what.actions, tables))
    if what.goto is not None:
        parts.append(f"goto:{(tables or {}).get(what.goto, what.goto)}")
    return ",".join(parts) or "drop"


def _ct(a: acts.Ct, tables: Mapping[int, str]) -> str:
    parts = ["commit"] if a.flags & acts.CT_COMMIT else []
    parts.append(f"zone={a.zone}")
    if a.table != acts.NO_TABLE:
        parts.append(f"table={tables.get(a.table, a.table)}")
    parts.extend(_action(inner, tables) for inner in a.exec)
    return f"ct({','.join(parts)})"


def _nat(a: acts.Nat, _tables: Mapping[int, str]) -> str:
    if not a.flags:
        return "nat"
    side = "src" if a.flags & acts.NAT_SRC else "dst"
    low, high = str(IPv4Address(a.ip_min)), str(IPv4Address(a.ip_max or a.ip_min))
    addresses = low if low == high else f"{low}-{high}"
    ports = f":{a.port_min}-{a.port_max or a.port_min}" if a.port_min else ""
    return f"nat({side}={addresses}{ports})"


def _move(a: acts.Move, _tables: Mapping[int, str]) -> str:
    src = f"{a.src}[{a.src_offset}..{a.src_offset + a.bits - 1}]"
    return f"move:{src}->{a.dst}[{a.dst_offset}..{a.dst_offset + a.bits - 1}]"


_FORMATS: Final[dict[type, Callable[[Any, Mapping[int, str]], str]]] = {
    acts.Output: lambda a, _: _PORTS.get(a.port, f"output:{a.port}"),
    acts.OutputField: lambda a, _: f"output:{a.field}",
    acts.Group: lambda a, _: f"group:{a.id}",
    acts.SetField: lambda a, _: f"set:{a.field}={value(a.field, a.value)}",
    acts.Load: lambda a, _: f"load:{a.value:#x}->{a.field}[{a.offset}..{a.offset + a.bits - 1}]",
    acts.Move: _move,
    acts.Resubmit: lambda a, t: f"resubmit:{t.get(a.table, a.table)}",
    acts.DecTtl: lambda _a, _t: "dec_ttl",
    acts.PushVlan: lambda a, _: f"push_vlan:{a.ethertype:#x}",
    acts.PopVlan: lambda _a, _t: "pop_vlan",
    acts.Nat: _nat,
    acts.Ct: _ct,
    acts.CtClear: lambda _a, _t: "ct_clear",
    acts.Raw: lambda a, _: f"raw:{a.data.hex()}",
}


def _action(a: acts.Action, tables: Mapping[int, str]) -> str:
    return _FORMATS[type(a)](a, tables)
