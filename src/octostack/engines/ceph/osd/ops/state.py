# SPDX-License-Identifier: Apache-2.0
"""What an OSD knows of an object besides its bytes: kept in two attributes of it.

``_`` holds an `ObjectInfo`, and of a head ``snapset`` holds its `SnapSet`. A user's attribute
``name`` is kept as ``_name``, so neither can be mistaken for one.
"""

import msgspec

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.requests import ReqId
from octostack.wire.ceph.addresses import Address
from octostack.wire.ceph.objects import EVersion

INFO_ATTR = b"_"
SNAPSET_ATTR = b"snapset"
USER_PREFIX = b"_"

Ranges = list[tuple[int, int]]  # (offset, length), in order, apart


class Watcher(msgspec.Struct, frozen=True, array_like=True):
    """A client that wants to hear of notifies, for as long as it is heard of itself."""

    client: int
    cookie: int
    timeout_s: int
    address: Address


class ObjectInfo(msgspec.Struct, array_like=True):
    """The state of one object or clone, as of the change `version`."""

    version: EVersion = EVersion()
    prior: EVersion = EVersion()
    user_version: int = 0
    size: int = 0
    mtime: int = 0
    reqid: ReqId | None = None
    whiteout: bool = False  # deleted, but kept for the clones it has
    truncate_seq: int = 0
    truncate_size: int = 0
    watchers: list[Watcher] = []
    hint: tuple[int, int, int] | None = None  # expected object size, write size, flags


class Clone(msgspec.Struct, array_like=True):
    """One clone: named by the newest snapshot it serves."""

    id: int
    snaps: list[int]  # that it serves, newest first
    size: int
    overlap: Ranges  # what it still shares with the next newer clone, or with the head


class SnapSet(msgspec.Struct, array_like=True):
    """The clones of an object, oldest first; `seq` is the newest snapshot it has seen."""

    seq: int = 0
    clones: list[Clone] = []

    def find(self, snap: int) -> Clone | None:
        """The clone that shows the object as of `snap`; None: the head, or nothing does."""
        return next((c for c in self.clones if c.id >= snap and snap in c.snaps), None)


class ObjectState(msgspec.Struct):
    """What a group keeps of a head in memory: as of the last change, durable or not."""

    exists: bool
    info: ObjectInfo
    snaps: SnapSet

    @property
    def visible(self) -> bool:
        """Whether a client sees it."""
        return self.exists and not self.info.whiteout


_encoder = msgspec.msgpack.Encoder()
_info_decoder = msgspec.msgpack.Decoder(ObjectInfo)
_snapset_decoder = msgspec.msgpack.Decoder(SnapSet)


def encode_info(info: ObjectInfo) -> bytes:
    """Of the attribute ``_``."""
    return _encoder.encode(info)


def decode_info(data: bytes) -> ObjectInfo:
    """Of the attribute ``_``. Raises Corrupt."""
    try:
        return _info_decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise Corrupt("An object does not know what it is.", code="osd.info") from error


def encode_snapset(snaps: SnapSet) -> bytes:
    """Of the attribute ``snapset``."""
    return _encoder.encode(snaps)


def decode_snapset(data: bytes) -> SnapSet:
    """Of the attribute ``snapset``. Raises Corrupt."""
    try:
        return _snapset_decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise Corrupt("An object does not know its snapshots.", code="osd.snaps") from error


def size_of(state: ObjectState) -> int | None:
    """Of an object that is there; else None."""
    return state.info.size if state.exists else None


def missing_object() -> ObjectState:
    """An object that is not there; the next one of its name has nothing before it."""
    return ObjectState(False, ObjectInfo(), SnapSet())
