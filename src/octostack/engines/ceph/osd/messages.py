# SPDX-License-Identifier: Apache-2.0
"""What copies of a group tell one another, as bytes: our own, in a message type of our own.

The data segment holds an array of the group and of the message (`core.values`), packed by msgpack.
Our OSDs talk to our OSDs only: neither the real ones' messages nor their objects are spoken here.
"""

from typing import TypeAlias

import msgspec

from octostack.engines.ceph.osd.core.log import ZERO, Entry
from octostack.engines.ceph.osd.core.values import Message, Plain, RepOp
from octostack.engines.ceph.osd.objectstore import api
from octostack.wire.ceph.codec import Malformed
from octostack.wire.ceph.link import Envelope, Outgoing
from octostack.wire.ceph.objects import EVersion, HObject, ShardPG

GROUP_MESSAGE = 0x4F02
VERSION, COMPAT = 1, 1


class _Write(api.Operation, frozen=True, tag=2):
    """A write whose bytes stay where they came."""

    object: HObject
    offset: int
    data: memoryview


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


def encode(where: ShardPG, message: Message) -> Outgoing:
    """What a session sends; the same may be sent to several."""
    data = _encoder.encode((where, message))
    return Outgoing(GROUP_MESSAGE, b"", VERSION, COMPAT, data=data)


def decode(envelope: Envelope) -> tuple[ShardPG, Message]:
    """The group and the message; its bytes are those of the envelope. Raises Malformed."""
    if envelope.compat > VERSION:
        raise Malformed(f"a message between copies that asks for version {envelope.compat}")
    try:
        where, message = _decoder.decode(envelope.data)
    except msgspec.MsgspecError as error:
        raise Malformed(f"a message between copies: {error}") from error
    if not isinstance(message, _RepOp):
        return where, message
    changes: list[api.Change] = [
        api.Write(one.collection, one.object, one.offset, one.data)
        if isinstance(one, _Write)
        else one
        for one in message.changes
    ]
    return where, RepOp(
        epoch=message.epoch,
        shard=message.shard,
        changes=changes,
        entries=message.entries,
        trim_to=message.trim_to,
        settled=message.settled,
    )
