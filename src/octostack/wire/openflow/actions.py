# SPDX-License-Identifier: Apache-2.0
"""Actions and instructions: what a flow does with a packet.

Standard actions (OpenFlow 1.3 §7.2.5) and Open vSwitch's (vendor 0x2320). Every list of actions is
a tuple, so that flows are values. `decode` of what `encode` wrote gives the same tuple back.
"""

import struct
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

from octostack.base.errors import Invalid
from octostack.wire.openflow import fields
from octostack.wire.openflow import match as matches

NICIRA: Final = 0x00002320
VENDOR: Final = 0xFFFF
NO_TABLE: Final = 0xFF
IN_PORT: Final = 0xFFFFFFF8
CONTROLLER: Final = 0xFFFFFFFD
FLOOD: Final = 0xFFFFFFFB
NORMAL: Final = 0xFFFFFFFA
LOCAL: Final = 0xFFFFFFFE
ANY: Final = 0xFFFFFFFF
WHOLE_PACKET: Final = 0xFFFF
_RESUBMIT_IN_PORT: Final = 0xFFF8

CT_COMMIT: Final = 1
CT_FORCE: Final = 2
NAT_SRC: Final = 1
NAT_DST: Final = 2


class Output(msgspec.Struct, frozen=True, tag=True):
    """Send the packet out of a port; to the controller no more than `max_len` bytes of it."""

    port: int
    max_len: int = 0


class OutputField(msgspec.Struct, frozen=True, tag=True):
    """Send it out of the port whose number is in a field."""

    field: str


class Group(msgspec.Struct, frozen=True, tag=True):
    """Hand it to a group."""

    id: int


class SetField(msgspec.Struct, frozen=True, tag=True):
    """Write a whole field."""

    field: str
    value: int


class Load(msgspec.Struct, frozen=True, tag=True):
    """Write `bits` bits of a field, from bit `offset` up."""

    field: str
    value: int
    offset: int = 0
    bits: int = 32


class Move(msgspec.Struct, frozen=True, tag=True):
    """Copy bits from one field to another."""

    src: str
    dst: str
    bits: int
    src_offset: int = 0
    dst_offset: int = 0


class Resubmit(msgspec.Struct, frozen=True, tag=True):
    """Look the packet up in another table as well, then go on here."""

    table: int


class DecTtl(msgspec.Struct, frozen=True, tag=True):
    """One hop less to live; a packet at its end goes no further."""


class PushVlan(msgspec.Struct, frozen=True, tag=True):
    """Add an 802.1Q tag."""

    ethertype: int = 0x8100


class PopVlan(msgspec.Struct, frozen=True, tag=True):
    """Take the outer tag off."""


class Nat(msgspec.Struct, frozen=True, tag=True):
    """Within Ct: translate. No `flags`: as the connection was translated when it began.

    Addresses are IPv4 as numbers, 0 where there is none.
    """

    flags: int = 0
    ip_min: int = 0
    ip_max: int = 0
    port_min: int = 0
    port_max: int = 0


class Ct(msgspec.Struct, frozen=True, tag=True):
    """Send it through connection tracking in a zone: a number, or the field it stands in.

    With `table` the packet goes on there, with its ct_state known. `exec` may hold Nat and
    settings of ct_mark and ct_label.
    """

    flags: int = 0
    zone: int | str = 0
    table: int = NO_TABLE
    exec: "tuple[Action, ...]" = ()


class CtClear(msgspec.Struct, frozen=True, tag=True):
    """Forget what connection tracking said of the packet."""


class Raw(msgspec.Struct, frozen=True, tag=True):
    """An action we do not know, kept as its bytes."""

    data: bytes


Action: TypeAlias = (
    Output
    | OutputField
    | Group
    | SetField
    | Load
    | Move
    | Resubmit
    | DecTtl
    | PushVlan
    | PopVlan
    | Nat
    | Ct
    | CtClear
    | Raw
)
Actions: TypeAlias = tuple[Action, ...]


class Instructions(msgspec.Struct, frozen=True):
    """What a flow does, in order: police, act, go on."""

    actions: Actions = ()
    goto: int | None = None
    meter: int = 0


DROP: Final = Instructions()


# ---- encoding ---------------------------------------------------------------------------------


def _nicira(subtype: int, body: bytes) -> bytes:
    length = 10 + len(body)
    pad = -length % 8
    return struct.pack("!HHIH", VENDOR, length + pad, NICIRA, subtype) + body + bytes(pad)


def _encode_set_field(a: SetField) -> bytes:
    oxm = matches.encode_term((a.field, a.value, None))
    length = 4 + len(oxm)
    pad = -length % 8
    return struct.pack("!HH", 25, length + pad) + oxm + bytes(pad)


def _encode_load(a: Load) -> bytes:
    header = fields.get(a.field).action_header
    return _nicira(7, struct.pack("!HIQ", a.offset << 6 | (a.bits - 1), header, a.value))


def _encode_move(a: Move) -> bytes:
    src, dst = fields.get(a.src).action_header, fields.get(a.dst).action_header
    return _nicira(6, struct.pack("!HHHII", a.bits, a.src_offset, a.dst_offset, src, dst))


def _encode_nat(a: Nat) -> bytes:
    present, tail = 0, b""
    for bit, value, form in (
        (1, a.ip_min, "!I"),
        (2, a.ip_max, "!I"),
        (16, a.port_min, "!H"),
        (32, a.port_max, "!H"),
    ):
        if value:
            present |= bit
            tail += struct.pack(form, value)
    return _nicira(36, struct.pack("!2xHH", a.flags, present) + tail)


def _encode_ct(a: Ct) -> bytes:
    if isinstance(a.zone, str):
        src, zone = fields.get(a.zone).action_header, 15  # bits 0 to 15 of the field
    else:
        src, zone = 0, a.zone
    head = struct.pack("!HIHB3xH", a.flags, src, zone, a.table, 0)
    return _nicira(35, head + encode(a.exec))


def _encode_output_field(a: OutputField) -> bytes:
    field = fields.get(a.field)
    head = struct.pack("!HIH6x", field.bits - 1, field.action_header, WHOLE_PACKET)
    return _nicira(15, head)


_ENCODERS: Final[dict[type, Callable[[Any], bytes]]] = {
    Output: lambda a: struct.pack("!HHIH6x", 0, 16, a.port, a.max_len),
    OutputField: _encode_output_field,
    Group: lambda a: struct.pack("!HHI", 22, 8, a.id),
    SetField: _encode_set_field,
    Load: _encode_load,
    Move: _encode_move,
    Resubmit: lambda a: _nicira(14, struct.pack("!HB3x", _RESUBMIT_IN_PORT, a.table)),
    DecTtl: lambda _: struct.pack("!HH4x", 24, 8),
    PushVlan: lambda a: struct.pack("!HHH2x", 17, 8, a.ethertype),
    PopVlan: lambda _: struct.pack("!HH4x", 18, 8),
    Nat: _encode_nat,
    Ct: _encode_ct,
    CtClear: lambda _: _nicira(43, bytes(6)),
    Raw: lambda a: a.data,
}


def encode(actions: Actions) -> bytes:
    """The actions one behind the other. Raises Invalid when a value does not fit."""
    try:
        return b"".join([_ENCODERS[type(a)](a) for a in actions])
    except (struct.error, OverflowError) as e:
        raise Invalid(f"cannot encode {actions}: {e}", code="openflow.action") from e


def encode_instructions(what: Instructions) -> bytes:
    """Instructions in the order Open vSwitch answers them: meter, apply, goto."""
    out = b""
    if what.meter:
        out += struct.pack("!HHI", 6, 8, what.meter)
    if what.actions:
        body = encode(what.actions)
        out += struct.pack("!HH4x", 4, 8 + len(body)) + body
    if what.goto is not None:
        out += struct.pack("!HHB3x", 1, 8, what.goto)
    return out


# ---- decoding ---------------------------------------------------------------------------------


def _decode_set_field(data: bytes) -> Action:
    (name, value, mask), _ = matches.decode_term(data, 4)
    if mask is not None:
        raise Invalid("set_field with a mask", code="openflow.action")
    return SetField(name, value)


def _decode_load(data: bytes) -> Action:
    ofs_bits, header, value = struct.unpack_from("!HIQ", data, 10)
    return Load(fields.by_header(header).name, value, ofs_bits >> 6, (ofs_bits & 0x3F) + 1)


def _decode_move(data: bytes) -> Action:
    bits, src_offset, dst_offset, src, dst = struct.unpack_from("!HHHII", data, 10)
    names = fields.by_header(src).name, fields.by_header(dst).name
    return Move(*names, bits, src_offset, dst_offset)


def _decode_nat(data: bytes) -> Action:
    flags, present = struct.unpack_from("!HH", data, 12)
    values, at = [], 16
    for bit, form in ((1, "!I"), (2, "!I"), (16, "!H"), (32, "!H")):
        if present & bit:
            values.append(struct.unpack_from(form, data, at)[0])
            at += struct.calcsize(form)
        else:
            values.append(0)
    return Nat(flags, *values)


def _decode_ct(data: bytes) -> Action:
    flags, src, zone, table = struct.unpack_from("!HIHB", data, 10)
    where: int | str = fields.by_header(src).name if src else zone
    return Ct(flags, where, table, decode(data[24:]))


_STANDARD: Final[dict[int, Callable[[bytes], Action]]] = {
    0: lambda d: Output(*struct.unpack_from("!IH", d, 4)),
    17: lambda d: PushVlan(struct.unpack_from("!H", d, 4)[0]),
    18: lambda _: PopVlan(),
    22: lambda d: Group(struct.unpack_from("!I", d, 4)[0]),
    24: lambda _: DecTtl(),
    25: _decode_set_field,
}
_NICIRA: Final[dict[int, Callable[[bytes], Action]]] = {
    6: _decode_move,
    7: _decode_load,
    14: lambda d: Resubmit(d[12]),
    15: lambda d: OutputField(fields.by_header(struct.unpack_from("!I", d, 12)[0]).name),
    35: _decode_ct,
    36: _decode_nat,
    43: lambda _: CtClear(),
}


def decode(data: bytes) -> Actions:
    """Every action in `data`; unknown ones as Raw. Raises Invalid when they are malformed."""
    out: list[Action] = []
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise Invalid("truncated action", code="openflow.action")
        kind, length = struct.unpack_from("!HH", data, at)
        if length < 8 or length % 8 or at + length > len(data):
            raise Invalid("malformed action", code="openflow.action")
        out.append(_decode_one(kind, bytes(data[at : at + length])))
        at += length
    return tuple(out)


def _decode_one(kind: int, data: bytes) -> Action:
    decoder = _STANDARD.get(kind)
    if kind == VENDOR and len(data) >= 16:
        vendor, subtype = struct.unpack_from("!IH", data, 4)
        decoder = _NICIRA.get(subtype) if vendor == NICIRA else None
    if decoder is None:
        return Raw(data)
    try:
        return decoder(data)
    except struct.error as e:
        raise Invalid("truncated action", code="openflow.action") from e


def decode_instructions(data: bytes) -> Instructions:
    """The instructions of a flow. Raises Invalid for those we never send."""
    actions: Actions = ()
    goto: int | None = None
    meter = at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise Invalid("truncated instruction", code="openflow.instruction")
        kind, length = struct.unpack_from("!HH", data, at)
        if length < 8 or at + length > len(data):
            raise Invalid("malformed instruction", code="openflow.instruction")
        if kind == 1:
            goto = data[at + 4]
        elif kind == 4:
            actions = decode(data[at + 8 : at + length])
        elif kind == 6:
            meter = struct.unpack_from("!I", data, at + 4)[0]
        else:
            raise Invalid(f"instruction {kind}", code="openflow.instruction")
        at += length
    return Instructions(actions, goto, meter)
