# SPDX-License-Identifier: Apache-2.0
"""Copies of objects of the same group, fetched piece by piece by a loop that tests hold."""

import errno
import struct
from collections.abc import Callable

import pytest

from octostack.engines.ceph.osd.objectstore.memory import MemoryStore
from octostack.engines.ceph.osd.ops import copying
from octostack.engines.ceph.osd.ops.copying import Fetched, Gathering, Source
from octostack.engines.ceph.osd.requests import OpReply
from octostack.testing.osd import Client, copy_alone, extent, omap_set, op, pairs, xattr
from octostack.wire.ceph.codec import Writer
from octostack.wire.ceph.objects import PG, SNAP_HEAD, HObject, Locator, ShardPG, write_locator
from octostack.wire.ceph.opcodes import Code

C = ShardPG(PG(1, 0))
A = HObject(b"a", hash=0x1234, pool=1, snap=SNAP_HEAD)
B = HObject(b"b", hash=0x4321, pool=1, snap=SNAP_HEAD)
TRUNCATED, UNKNOWN = 0x20, 0x40


class World:
    """One group, whose fetches wait until a test lets one go on."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Source, Callable[[Fetched], None]]] = []
        self.given_up = 0
        self.piece_bytes = copying.PIECE_BYTES
        self.group = copy_alone(MemoryStore(), C, fetch=self.fetch).group
        self.client = Client(self.group.submit)
        self.reader = Client(self.group.submit, 7)

    def fetch(self, source: Source, then: Callable[[Fetched], None]) -> Callable[[], None]:
        self.waiting.append((source, then))

        def give_up() -> None:
            self.given_up += 1

        return give_up

    def pieces(self, source: Source) -> Fetched:
        gathering = Gathering(self.piece_bytes)
        while True:
            asked = op(Code.COPY_GET, payload=gathering.ask())
            what = HObject(source.name, pool=1, hash=A.hash if source.name == b"a" else B.hash)
            reply = self.reader.ask(what, asked, snap=source.snap)
            if reply.result < 0:
                return Fetched(failure=-reply.result)
            fetched = gathering.take(reply.outputs[0])
            if fetched is not None:
                return fetched

    def go_on(self) -> None:
        source, then = self.waiting.pop(0)
        then(self.pieces(source))

    def copy(self, to: HObject, code: int = Code.COPY_FROM, **words: int) -> list[OpReply]:
        return self.client.send(to, copy_op(b"a" if to is B else b"b", code, **words))


def copy_op(
    name: bytes, code: int = Code.COPY_FROM, flags: int = 0, version: int = 0
) -> copying.Op:
    w = Writer()
    w.bytes(name)
    write_locator(w, Locator(1))
    if flags & TRUNCATED:
        w.u32(9)
        w.u64(2)
    return op(code, struct.pack("<QQBI", SNAP_HEAD, version, flags, 0), w.done())


@pytest.fixture
def world() -> World:
    world = World()
    world.client.ask(A, extent(Code.WRITE_FULL, payload=b"of a"), xattr(Code.SETXATTR, b"x", b"1"))
    world.client.ask(A, omap_set({b"k%03d" % n: b"v" for n in range(700)}))
    world.client.ask(B, extent(Code.WRITE_FULL, payload=b"of b"), xattr(Code.SETXATTR, b"y", b"2"))
    return world


def content(client: Client, what: HObject) -> bytes:
    reply = client.ask(what, extent(Code.READ))
    assert reply.result == 0
    return bytes(reply.outputs[0])


def test_a_copy_is_like_its_source_and_nothing_of_the_old_stays(world: World) -> None:
    replies = world.copy(B)
    assert not replies
    world.go_on()
    assert replies[0].result == 0
    assert content(world.client, B) == b"of a"
    assert pairs(world.client.ask(B, op(Code.GETXATTRS)).outputs[0]) == {b"x": b"1"}
    w = Writer()
    w.vector([b"k000", b"k699", b"none"], w.bytes)
    found = world.client.ask(B, op(Code.OMAP_BY_KEYS, payload=w.done())).outputs[0]
    assert pairs(found) == {b"k000": b"v", b"k699": b"v"}


def test_large_objects_come_in_pieces(world: World) -> None:
    world.piece_bytes = 1000
    asked = world.reader.tid
    world.client.ask(A, extent(Code.WRITE_FULL, payload=b"0123456789" * 450))
    replies = world.copy(B)
    world.go_on()
    assert replies[0].result == 0
    assert content(world.client, B) == b"0123456789" * 450
    assert world.reader.tid - asked == 5 + 2  # one of three pages of keys goes with the last bytes


def test_requests_for_the_target_wait_but_those_who_copy_it_do_not(world: World) -> None:
    first, second = world.copy(B), world.copy(A)
    read = world.client.send(B, extent(Code.READ))
    world.go_on()
    assert first
    assert bytes(read[0].outputs[0]) == b"of a"
    world.go_on()
    assert second[0].result == 0
    assert content(world.client, A) == b"of a"  # b was a copy of it by then


def test_one_copy_after_the_other_in_one_vector(world: World) -> None:
    third = HObject(b"c", hash=5, pool=1)
    replies = world.client.send(third, copy_op(b"a"), copy_op(b"b"))
    late = world.client.send(third, extent(Code.READ))
    world.go_on()
    assert not replies
    world.go_on()
    assert replies[0].result == 0
    assert bytes(late[0].outputs[0]) == b"of b"


def test_what_cannot_be_had_fails_the_vector(world: World) -> None:
    nothing = world.client.send(B, extent(Code.WRITE_FULL, payload=b"x"), copy_op(b"b2"))
    source, then = world.waiting.pop()
    assert source.name == b"b2"
    then(Fetched(failure=errno.ENOENT))
    assert nothing[0].result == -errno.ENOENT
    assert content(world.client, B) == b"of b"
    assert world.client.ask(A, copy_op(b"a")).result == -errno.EINVAL
    refused = world.client.ask(B, copy_op(b"a", Code.COPY_FROM2, flags=UNKNOWN))
    assert refused.result == -errno.EINVAL


def test_the_second_form_brings_a_truncation(world: World) -> None:
    world.copy(B, Code.COPY_FROM2, flags=TRUNCATED)
    world.go_on()
    assert world.group.state(B).info.truncate_seq == 9
    assert world.group.state(B).info.truncate_size == 2


def test_a_group_that_begins_anew_gives_up(world: World) -> None:
    world.copy(B)
    world.group.reset()
    assert world.given_up == 1
    _, then = world.waiting.pop()
    then(Fetched(b"late"))
    assert content(world.client, B) == b"of b"
