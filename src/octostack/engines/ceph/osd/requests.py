# SPDX-License-Identifier: Apache-2.0
"""A client's request as plain values, and its reply: the seam between messages and groups.

Whoever holds a connection makes an `OpRequest` of each MOSDOp and gives it to the group of
`request.pg`::

    group.submit(request, reply)       # engines.ceph.osd.group.Group

`submit` returns at once and runs no task. `reply` is called once, with an `OpReply`, when the
answer may be given: at once for a read that waits for nobody, after the copies are durable for a
write. It is never called when the group loses its place meanwhile: then the client, who sees the
new map, sends the request again. Replies to one client about one object come in the order of the
requests. `Session.send_notify` is called for each watch event to be sent to that client;
the reply of the operation that caused an event goes out before it.

An operation keeps its 28 bytes of parameters as they came: `ops` knows what each code means.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from octostack.engines.ceph.osd.objectstore.api import Data
from octostack.wire.ceph.addresses import Address
from octostack.wire.ceph.messages.osdop import RawOp
from octostack.wire.ceph.objects import EVersion, HObject

Op = RawOp

FLAG_EXCLUSIVE = 1  # of an operation: the object must be new
FLAG_FAIL_OK = 2  # of an operation: its failure does not end the vector

ACK, ON_DISK, READ, WRITE = 0x1, 0x4, 0x10, 0x20  # of a request
RETURN_VECTOR = 0x4000000  # of a request: a write gives back what its operations put out


class ReqId(msgspec.Struct, frozen=True, array_like=True, gc=False, cache_hash=True):
    """Names a request for ever: resent, it has the same."""

    client: int  # the global id of the client
    tid: int
    incarnation: int = 0


class Session(ABC):
    """The client's connection, as far as a group needs it."""

    client: int  # its global id: an entity "client.4123" has 4123
    address: Address

    @abstractmethod
    def send_notify(self, event: "WatchEvent") -> None:
        """Send a MWatchNotify; dropped when the connection has gone."""


class _Nobody(Session):
    client = 0

    def send_notify(self, event: "WatchEvent") -> None:
        pass


NOBODY = _Nobody()  # who asks when the OSD itself does


class WatchEvent(msgspec.Struct, frozen=True):
    """What a MWatchNotify says."""

    opcode: int  # 1 notify, 2 complete, 3 disconnect
    cookie: int
    notify_id: int = 0
    payload: bytes = b""
    result: int = 0
    notifier: int = 0
    version: int = 0
    data: bytes = b""  # of the data segment: with a completion, who answered what


class OpRequest(msgspec.Struct):
    """A MOSDOp."""

    reqid: ReqId
    object: HObject  # its snap is the one asked for; SNAP_HEAD for the object as it is
    ops: list[Op]
    flags: int
    session: Session
    mtime: int = 0  # nanoseconds since the epoch, as the client sets it on writes
    snap_seq: int = 0
    snaps: list[int] = []  # newest first
    epoch: int = 0  # of the client's map
    attempt: int = 0

    @property
    def is_write(self) -> bool:
        """Whether the client says that it changes something."""
        return bool(self.flags & WRITE)


class OpReply(msgspec.Struct, gc=False):
    """What goes into a MOSDOpReply, in the order of the request's operations."""

    result: int
    outputs: list[Data]
    results: list[int]
    version: EVersion = EVersion()  # of the change in the group's log
    user_version: int = 0  # of the object, as the client sees it


Reply: TypeAlias = Callable[[OpReply], None]
