# SPDX-License-Identifier: Apache-2.0
"""Reading pieces of an object from as many shards as it takes; runs on the primary.

Each shard is asked behind all changes that were sent to it before, so all answer as of one moment.
One that cannot give what was asked for is replaced by another, until none is left.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from octostack.engines.ceph.osd.core.members import shard_of
from octostack.engines.ceph.osd.core.values import Message, ShardRead, ShardReadReply
from octostack.wire.ceph.objects import EVersion, HObject


class Wanted(msgspec.Struct, frozen=True):
    """Bytes of a shard (length 0: to its end) of an object in one version."""

    object: HObject
    version: EVersion
    offset: int = 0
    length: int = 0


class Found(msgspec.Struct, frozen=True):
    """By shard; and the attributes, which all shards have alike."""

    pieces: dict[int, bytes]
    attrs: dict[bytes, bytes]


Then = Callable[[Found | None], None]


class Shards(Protocol):
    """What it takes to read."""

    def who_has(self, what: HObject) -> Iterable[int]:
        """Members that have the object as it ought to be, the best first."""

    def read_shard(self, wanted: ShardRead) -> ShardReadReply:
        """From this member."""

    def send(self, osd: int, message: Message) -> None:
        """To another member."""


class _Work(msgspec.Struct):
    wanted: Wanted
    then: Then
    tried: set[int] = set()
    waiting: set[int] = set()
    pieces: dict[int, bytes] = {}
    attrs: dict[bytes, bytes] = {}


class Gathering:
    """See the module's essay."""

    def __init__(self, me: int, k: int, shards: Shards) -> None:
        self._me = me
        self._k = k
        self._shards = shards
        self._works: dict[int, _Work] = {}
        self._count = 0

    def stop(self) -> None:
        """The interval is over: nobody is told."""
        self._works.clear()

    def start(self, epoch: int, wanted: Wanted, then: Then) -> None:
        """Read from any k shards; None when so many cannot be had."""
        self._count += 1
        self._works[self._count] = _Work(wanted, then)
        self._ask(self._count, epoch)

    def answered(self, source: int, reply: ShardReadReply) -> None:
        """What a shard has."""
        work = self._works.get(reply.number)
        if work is None or source not in work.waiting:
            return
        work.waiting.discard(source)
        if reply.found and reply.version == work.wanted.version:
            work.pieces[shard_of(source)] = reply.data
            work.attrs = reply.attrs
        self._ask(reply.number, reply.epoch)

    def lost(self, members: set[int], epoch: int) -> None:
        """These will not answer."""
        for number, work in list(self._works.items()):
            if work.waiting & members:
                work.waiting -= members
                self._ask(number, epoch)

    def _ask(self, number: int, epoch: int) -> None:
        work = self._works[number]
        what = work.wanted
        for member in self._shards.who_has(what.object):
            if len(work.pieces) + len(work.waiting) >= self._k:
                break
            if member in work.tried or shard_of(member) in work.pieces:
                continue
            work.tried.add(member)
            work.waiting.add(member)
            read = ShardRead(
                epoch=epoch,
                number=number,
                object=what.object,
                offset=what.offset,
                length=what.length,
            )
            if member != self._me:
                self._shards.send(member, read)
                continue
            reply = self._shards.read_shard(read)
            work.waiting.discard(member)
            if reply.found and reply.version == what.version:
                work.pieces[shard_of(member)] = reply.data
                work.attrs = reply.attrs
        if len(work.pieces) >= self._k:
            del self._works[number]
            work.then(Found(work.pieces, work.attrs))
        elif not work.waiting:
            del self._works[number]
            work.then(None)
