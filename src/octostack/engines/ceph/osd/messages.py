# SPDX-License-Identifier: Apache-2.0
"""What copies of a group tell one another, as bytes: our own, in a message type of our own.

The data segment holds an array of the group and of the message (`core.values`), packed by msgpack.
Where that would pack large bytes to be written, they are the data segment by themselves, one after
the other, the array is the front, and has their lengths: so they are sent from the memory that the
client's were received into, and arrive at the start of a page, from where the disk takes them. The
same goes for the bytes of an object that is brought to a copy.

Our OSDs talk to our OSDs only: neither the real ones' messages nor their objects are spoken here.
"""

from typing import Annotated, Any, TypeAlias

import msgspec

from octostack.engines.ceph.osd.core.log import ZERO, Entry
from octostack.engines.ceph.osd.core.values import Message, Plain, Push, RepOp
from octostack.engines.ceph.osd.objectstore import api
from octostack.wire.ceph.checksum import Buffer
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.link import Envelope, Outgoing
from octostack.wire.ceph.objects import EVersion, HObject, ShardPG

GROUP_MESSAGE = 0x4F02
VERSION, COMPAT = 1, 1
_APART = 2  # version and compat with the bytes apart
_OBJECT_APART = 3  # the same, of an object
_APART_MIN = 16 << 10


class _Write(api.Operation, frozen=True, tag=2):
    """A write whose bytes stay where they came; a number: so many of those that are apart."""

    object: HObject
    offset: int
    data: memoryview | Annotated[int, msgspec.Meta(ge=0)]


_Change: TypeAlias = (
    _Write
    | api.Touch
    | api.Zero
    | api.Truncate
    | api.Remove
    | api.SetAttrs
    | api.RemoveAttr
    | api.RemoveAttrs
    | api.Clone
    | api.CloneRange
    | api.Move
    | api.OmapSet
    | api.OmapRemove
    | api.OmapRemoveRange
    | api.OmapClear
    | api.OmapHeader
)


class _RepOp(Message, frozen=True, kw_only=True, tag=7):
    """A `RepOp` as it is read."""

    changes: list[_Change]
    entries: list[Entry]
    trim_to: EVersion = ZERO
    settled: EVersion = ZERO


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[ShardPG, Plain | _RepOp])
_Spans: TypeAlias = list[tuple[int, Annotated[int, msgspec.Meta(ge=0)]]]  # offsets, lengths
_push_decoder = msgspec.msgpack.Decoder(tuple[ShardPG, Push, _Spans])
_replace = msgspec.structs.replace


def encode(where: ShardPG, message: Message) -> Outgoing:
    """What a session sends; the same may be sent to several."""
    if isinstance(message, Push) and sum(len(x) for _, x in message.copy.data) >= _APART_MIN:
        return _encode_apart(where, message)
    apart: list[api.Data] = []
    if isinstance(message, RepOp):
        message = _take_apart(message, apart)
    packed = _encoder.encode((where, message))
    if not apart:
        return Outgoing(GROUP_MESSAGE, b"", VERSION, COMPAT, data=packed)
    data = apart[0] if len(apart) == 1 else b"".join(apart)
    return Outgoing(GROUP_MESSAGE, packed, _APART, _APART, data=data)


def _take_apart(message: RepOp, apart: list[api.Data]) -> RepOp:
    changes: list[api.Change | _Write] = []
    for one in message.changes:
        if isinstance(one, api.Write) and len(one.data) >= _APART_MIN:
            apart.append(one.data)
            changes.append(_Write(one.collection, one.object, one.offset, len(one.data)))
        else:
            changes.append(one)
    return msgspec.structs.replace(message, changes=changes) if apart else message


def _encode_apart(where: ShardPG, message: Push) -> Outgoing:
    extents = message.copy.data
    spans = [(offset, len(data)) for offset, data in extents]
    bare = _replace(message, copy=_replace(message.copy, data=[]))
    data = extents[0][1] if len(extents) == 1 else b"".join(data for _, data in extents)
    front = _encoder.encode((where, bare, spans))
    return Outgoing(GROUP_MESSAGE, front, _OBJECT_APART, _OBJECT_APART, data=data)


def _decode_apart(envelope: Envelope) -> tuple[ShardPG, Push]:
    where, message, spans = _push_decoder.decode(envelope.front)
    extents: list[Any] = []
    at = 0
    for offset, length in spans:
        extents.append((offset, envelope.data[at : at + length]))
        at += length
    _require(at, envelope.data)
    return where, _replace(message, copy=_replace(message.copy, data=extents))


def _require(named: int, data: Buffer) -> None:
    if named != len(data):
        raise Malformed(f"a message between copies that has {len(data)} bytes and names {named}")


def decode(envelope: Envelope) -> tuple[ShardPG, Message]:
    """The group and the message; its bytes are those of the envelope. Raises Malformed."""
    if envelope.compat > _OBJECT_APART:
        raise Malformed(f"a message between copies that asks for version {envelope.compat}")
    is_apart = envelope.compat == _APART
    try:
        if envelope.compat == _OBJECT_APART:
            return _decode_apart(envelope)
        where, message = _decoder.decode(envelope.front if is_apart else envelope.data)
    except msgspec.MsgspecError as error:
        raise Malformed(f"a message between copies: {error}") from error
    if not isinstance(message, _RepOp):
        return where, message
    return where, RepOp(
        epoch=message.epoch,
        shard=message.shard,
        changes=_put_together(message.changes, envelope.data if is_apart else b""),
        entries=message.entries,
        trim_to=message.trim_to,
        settled=message.settled,
    )


def _put_together(changes: list[_Change], apart: Buffer) -> list[api.Change]:
    found: list[api.Change] = []
    at = 0
    for one in changes:
        if not isinstance(one, _Write):
            found.append(one)
            continue
        data: api.Data
        if isinstance(one.data, int):
            end = at + one.data
            data, at = apart[at:end], end
        else:
            data = one.data
        found.append(api.Write(one.collection, one.object, one.offset, data))
    _require(at, apart)
    return found
