# SPDX-License-Identifier: Apache-2.0
"""MOSDOp (42, version 8) and MOSDOpReply (43, version 8): what every read and write is made of.

They are taken apart by precompiled layouts, as their cost is paid for each operation.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from octostack.wire.ceph.checksum import Buffer
from octostack.wire.ceph.codec import NANOS, Malformed, Reader, Writer
from octostack.wire.ceph.link import Envelope, Outgoing
from octostack.wire.ceph.objects import (
    NO_SHARD,
    PG,
    SNAP_HEAD,
    EVersion,
    Locator,
    read_locator,
    write_locator,
)

OSD_OP: Final = 42
OSD_OP_REPLY: Final = 43
_VERSION, _COMPAT = 8, 3
_REPLY_VERSION, _REPLY_COMPAT = 8, 2

# {1,1,18: u8 1, pool, seed, -1, shard}, hash, epoch, flags, {2,2,21: reqid}, 3 x trace, client
# incarnation, mtime
_HEAD = struct.Struct("<BBI BQIi b III BBI BqQi 24x I II")
_OP = struct.Struct("<HI28sI")
_COUNT = struct.Struct("<H")
# the same, as far as it is read, and how long the locator behind it is
_READ_HEAD = struct.Struct("<2xI xQI4x b III 2xI 21x 24x I II 2xI")
_CACHED_LOCATORS = 512
_CACHED_GROUPS = 4096
_SNAPS = struct.Struct("<QQI")
_TAIL = struct.Struct("<iQ")
_PG_BYTES, _REQID_BYTES = 18, 21

_REPLY_HEAD = struct.Struct("<BQIi Qi QI II")  # pg, flags, result, bad replay, epoch, op count
_FEW = 16  # operations, up to which layouts are kept
_REPLY_VERSIONS = struct.Struct("<QIQ")
_S32 = struct.Struct("<i")
_U32 = struct.Struct("<I")


NO_PARAMETERS: Final = bytes(28)


class RawOp(msgspec.Struct, gc=False):
    """One operation: its 28 bytes of parameters are known to who does it."""

    code: int
    flags: int = 0
    parameters: Buffer = NO_PARAMETERS
    payload: Buffer = b""


class OSDOp(msgspec.Struct, gc=False):
    """A vector of operations on one object, done all or none."""

    pg: PG
    hash: int  # of the object's name or key; of a listing, the group's seed
    epoch: int
    flags: int
    locator: Locator
    name: bytes
    ops: list[RawOp]
    tid: int = 0
    shard: int = NO_SHARD
    client_inc: int = 0
    mtime: int = 0
    snap: int = SNAP_HEAD
    snap_seq: int = 0
    snaps: tuple[int, ...] = ()
    attempt: int = -1
    features: int = 0


class OSDOpReply(msgspec.Struct, gc=False):
    """What became of it; `ops` have their outputs as payloads."""

    name: bytes
    pg: PG
    flags: int
    result: int
    epoch: int
    ops: list[RawOp]
    results: Sequence[int]
    attempt: int = -1
    version: EVersion = EVersion()
    user_version: int = 0
    tid: int = 0


def decode_op(envelope: Envelope) -> OSDOp:
    """Raises Malformed; of before version 8 also, as no client of release 12 or later sends it."""
    if envelope.version != _VERSION:
        raise Malformed(f"osd_op of version {envelope.version}")
    try:
        return _decode_op(envelope, envelope.front)
    except struct.error as error:
        raise Malformed(f"osd_op of {len(envelope.front)} bytes") from error


def _decode_op(envelope: Envelope, front: Buffer) -> OSDOp:
    """Slices are taken on trust: what is read last, behind them all, fails when one is short."""
    head = _READ_HEAD.unpack_from(front)
    pg_bytes, pool, seed, shard, number, epoch, flags, reqid_bytes, *rest = head
    client_inc, seconds, nanos, locator_bytes = rest
    if pg_bytes != _PG_BYTES or reqid_bytes != _REQID_BYTES:
        raise Malformed("osd_op of another shape")
    at = _READ_HEAD.size + locator_bytes
    locator = _locator(bytes(front[_HEAD.size : at]))
    start = at + _U32.size
    at = start + _U32.unpack_from(front, at)[0]
    name = bytes(front[start:at])
    ops = _read_ops(front, at, envelope.data)
    at += _COUNT.size + len(ops) * _OP.size
    snap, snap_seq, count = _SNAPS.unpack_from(front, at)
    at += _SNAPS.size
    snaps: tuple[int, ...] = ()
    if count:
        if count * 8 > len(front) - at:
            raise Malformed(f"osd_op with {count} snapshots", at)
        snaps = struct.unpack_from(f"<{count}Q", front, at)
    attempt, features = _TAIL.unpack_from(front, at + count * 8)
    return OSDOp(
        _group(pool, seed),
        number,
        epoch,
        flags,
        locator,
        name,
        ops,
        envelope.tid,
        shard,
        client_inc,
        seconds * NANOS + nanos,
        snap,
        snap_seq,
        snaps,
        attempt,
        features,
    )


@lru_cache(_CACHED_LOCATORS)
def _locator(encoded: bytes) -> Locator:
    """A client has one for each pool and namespace that it works in."""
    return read_locator(Reader(encoded))


_group = lru_cache(_CACHED_GROUPS)(PG)  # by which much is looked up for each operation


def _read_ops(front: Buffer, at: int, data: Buffer) -> list[RawOp]:
    (count,) = _COUNT.unpack_from(front, at)
    at += _COUNT.size
    ops = []
    taken = 0
    for _ in range(count):
        code, flags, parameters, length = _OP.unpack_from(front, at)
        at += _OP.size
        # all of it stays what it is: its checksum is known (`checksum.note`)
        payload = data if length == len(data) and not taken else data[taken : taken + length]
        ops.append(RawOp(code, flags, parameters, payload))
        taken += length
    if taken > len(data):
        raise Malformed(f"operations with {taken} bytes, {len(data)} there")
    return ops


def encode_op(op: OSDOp) -> Outgoing:
    """What a client sends."""
    w = Writer()
    write_locator(w, op.locator)
    body, data = prepare(w.done(), op.name, op.ops, (op.snap, op.snap_seq, op.snaps))
    numbers = Heading(
        op.pg, op.shard, op.hash, op.epoch, op.flags, op.mtime, op.tid, op.attempt, op.client_inc
    )
    return address(numbers, body, data, op.features)


class Heading(msgspec.Struct, gc=False):
    """What of an operation depends on the map, and on how often it was sent."""

    pg: PG
    shard: int
    hash: int
    epoch: int
    flags: int
    mtime: int
    tid: int
    attempt: int
    client_inc: int = 0


def prepare(
    locator: bytes, name: bytes, ops: Sequence[RawOp], snaps: tuple[int, int, Sequence[int]]
) -> tuple[bytes, Buffer]:
    """What of an operation stays the same however often it is sent, and its data.

    `locator` is encoded; `snaps` is the snapshot to look at, and the snap context of a write.
    """
    snap, seq, known = snaps
    parts = [locator, _U32.pack(len(name)), name, _COUNT.pack(len(ops))]
    parts += [_OP.pack(o.code, o.flags, o.parameters, len(o.payload)) for o in ops]
    parts.append(_SNAPS.pack(snap, seq, len(known)))
    if known:
        parts.append(struct.pack(f"<{len(known)}Q", *known))
    data = ops[0].payload if len(ops) == 1 else _joined([o.payload for o in ops])
    return b"".join(parts), data


def address(to: Heading, body: bytes, data: Buffer, features: int = 0) -> Outgoing:
    """A prepared operation on its way."""
    pg = to.pg
    head = _HEAD.pack(
        *(1, 1, _PG_BYTES, 1, pg.pool, pg.seed, -1, to.shard),
        *(to.hash, to.epoch, to.flags),
        *(2, 2, _REQID_BYTES, 0, 0, 0, 0),
        *(to.client_inc, *divmod(to.mtime, NANOS)),
    )
    front = head + body + _TAIL.pack(to.attempt, features)
    return Outgoing(OSD_OP, front, _VERSION, _COMPAT, to.tid, data)


def _joined(parts: Sequence[Buffer]) -> Buffer:
    full = [part for part in parts if len(part)]
    if len(full) == 1:
        return full[0]
    return b"".join(full)


def encode_reply(reply: OSDOpReply) -> Outgoing:
    """What an OSD answers."""
    return encode_answer(reply, [op.payload for op in reply.ops])


def encode_answer(reply: OSDOpReply, outputs: Sequence[Buffer]) -> Outgoing:
    """The same, where the operations are those that were asked, and their outputs stand apart."""
    ops, version, pg = reply.ops, reply.version, reply.pg
    number, epoch, count = version.version, version.epoch, len(ops)
    told: list[int | Buffer] = [1, pg.pool, pg.seed, -1, reply.flags, reply.result]
    told += (number, epoch, reply.epoch, count)
    for op, output in zip(ops, outputs, strict=True):
        told += (op.code, op.flags, op.parameters, len(output))
    layout = _reply_of(count) if count <= _FEW else _reply_of.__wrapped__(count)
    rest = layout.pack(*told, reply.attempt, *reply.results, number, epoch, reply.user_version, 0)
    front = _U32.pack(len(reply.name)) + reply.name + rest
    data = outputs[0] if count == 1 else _joined(outputs)
    return Outgoing(OSD_OP_REPLY, front, _REPLY_VERSION, _REPLY_COMPAT, reply.tid, data)


@lru_cache(_FEW + 1)
def _reply_of(count: int) -> struct.Struct:
    """All behind the name: head, operations, attempt and results, versions, no redirect, trace."""
    return struct.Struct(f"<BQIi Qi QI II {_OP.format[1:] * count} {count + 1}i QI Q B 24x")


def decode_reply(envelope: Envelope) -> OSDOpReply:
    """What a client hears. Raises Malformed."""
    if envelope.version < 7:
        raise Malformed(f"osd_op_reply of version {envelope.version}")
    front, data = envelope.front, envelope.data
    try:
        at = 4 + _U32.unpack_from(front)[0]
        _, pool, seed, _, flags, result, _, _, epoch, count = _REPLY_HEAD.unpack_from(front, at)
        name = bytes(front[4:at])
        at += _REPLY_HEAD.size
        if count * _OP.size > len(front) - at:
            raise Malformed(f"osd_op_reply with {count} operations", at)
        ops = []
        taken = 0
        for _ in range(count):
            code, of_op, parameters, length = _OP.unpack_from(front, at)
            at += _OP.size
            ops.append(RawOp(code, of_op, parameters, data[taken : taken + length]))
            taken += length
        attempt, *results = struct.unpack_from(f"<{count + 1}i", front, at)
        at += 4 * (count + 1)
        number, of_epoch, user_version = _REPLY_VERSIONS.unpack_from(front, at)
    except struct.error as error:
        raise Malformed(f"osd_op_reply of {len(front)} bytes") from error
    if taken > len(data):
        raise Malformed(f"operations with {taken} bytes, {len(data)} there")
    return OSDOpReply(
        name,
        PG(pool, seed),
        flags,
        result,
        epoch,
        ops,
        results,
        attempt,
        EVersion(of_epoch, number),
        user_version,
        envelope.tid,
    )
