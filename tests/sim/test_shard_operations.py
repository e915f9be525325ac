# SPDX-License-Identifier: Apache-2.0
"""What clients may do in an erasure-coded pool, with `allow_ec_overwrites` and without it: results
are those of a real OSD (16.2)."""

import errno

import msgspec
import pytest

from octostack.engines.ceph.osd.core.members import osd_of
from octostack.engines.ceph.osd.core.values import ShardRead
from octostack.engines.ceph.osd.requests import RETURN_VECTOR, Op, OpReply
from octostack.testing.osd import Client, extent, omap_set, omap_values, op, pairs, xattr
from octostack.testing.osdsim import UNIT, Cluster, Osd, Rules, Sent
from octostack.wire.ceph.codec import Reader, Writer
from octostack.wire.ceph.objects import SNAP_HEAD, HObject
from octostack.wire.ceph.opcodes import Code

WIDTH = 2 * UNIT
WHOLE = bytes(range(WIDTH))
A = HObject(b"a", b"", SNAP_HEAD, 5, False, b"", 1)
NEW = HObject(b"new", b"", SNAP_HEAD, 6, False, b"", 1)


class Counting(Cluster):
    """Knows how often shards were read."""

    reads = 0

    def send(self, source: Osd, target: int, message: Sent) -> None:
        self.reads += isinstance(message[1], ShardRead)
        super().send(source, target, message)


class Pool:
    """A group of 2+1, and a client that waits for each answer."""

    def __init__(self, *, overwrites: bool) -> None:
        self.cluster = Counting(1, Rules(osds=3, size=3, k=2))
        for osd in self.cluster.osds:
            osd.boot()
        self.set_overwrites(overwrites)
        self.client = Client(lambda *_: None)

    def set_overwrites(self, on: bool) -> None:
        self.cluster.facts = msgspec.structs.replace(self.cluster.facts, overwrites=on)
        self.cluster.publish()
        self.cluster.run(self.cluster.now + 1_000)

    def ask(self, what: HObject, *ops: Op) -> OpReply:
        replies: list[OpReply] = []
        osd = self.cluster.osds[osd_of(self.cluster.view.primary)]
        osd.submit(self.client.request(what, *ops, flags=RETURN_VECTOR), replies.append)
        while not replies:
            assert self.cluster.step()
        return replies[0]

    def read(self, what: HObject) -> bytes:
        return bytes(self.ask(what, extent(Code.READ)).outputs[0])


REFUSED = {
    "a write into it": extent(Code.WRITE, 3, payload=b"x"),
    "a write of its beginning": extent(Code.WRITE, 0, payload=b"x"),
    "a write behind its end": extent(Code.WRITE, 2 * WIDTH, payload=b"x"),
    "a truncation": extent(Code.TRUNCATE, 5),
    "zeros": extent(Code.ZERO, 0, 5),
    "zeros to its end": extent(Code.ZERO, 5, WIDTH),
}


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_without_overwrites_bytes_do_not_change(case: str) -> None:
    pool = Pool(overwrites=False)
    assert pool.ask(A, extent(Code.WRITE_FULL, payload=WHOLE)).result == 0
    assert pool.ask(A, REFUSED[case]).result == -errno.EOPNOTSUPP
    assert pool.read(A) == WHOLE
    pool.set_overwrites(True)
    assert pool.ask(A, REFUSED[case]).result == 0
    assert pool.read(A) != WHOLE


def test_without_overwrites_whole_stripes_are_appended() -> None:
    pool = Pool(overwrites=False)
    assert pool.ask(NEW, extent(Code.WRITE, WIDTH, payload=WHOLE)).result == -errno.EOPNOTSUPP
    assert pool.ask(NEW, extent(Code.TRUNCATE, 0)).result == -errno.EOPNOTSUPP
    assert pool.ask(NEW, extent(Code.APPEND, payload=WHOLE)).result == 0
    assert pool.ask(NEW, extent(Code.WRITE, WIDTH, payload=b"end")).result == 0
    assert pool.ask(NEW, extent(Code.APPEND, payload=b"more")).result == -errno.EOPNOTSUPP
    assert pool.ask(NEW, extent(Code.ZERO, 2 * WIDTH, 5)).result == 0  # nothing is there
    assert pool.read(NEW) == WHOLE + b"end"
    assert pool.ask(NEW, extent(Code.WRITE_FULL, payload=b"short")).result == 0
    assert pool.ask(NEW, xattr(Code.SETXATTR, b"colour", b"blue")).result == 0
    assert pool.read(NEW) == b"short"
    assert pool.ask(NEW, op(Code.DELETE)).result == 0


def keys(*names: bytes) -> bytes:
    w = Writer()
    w.vector(names, w.bytes)
    return w.done()


@pytest.mark.parametrize("what", [A, NEW], ids=["one that is there", "one that is not"])
def test_omaps_are_refused_and_read_as_empty(what: HObject) -> None:
    pool = Pool(overwrites=True)
    assert pool.ask(A, extent(Code.WRITE_FULL, payload=WHOLE)).result == 0
    writes = (
        omap_set({b"k": b"v"}),
        op(Code.OMAP_SET_HEADER, payload=b"h"),
        op(Code.OMAP_REMOVE, payload=keys(b"k")),
        op(Code.OMAP_CLEAR),
    )
    for one in writes:
        assert pool.ask(what, one).result == -errno.EOPNOTSUPP
    expected = 0 if what is A else -errno.ENOENT
    reply = pool.ask(what, omap_values())
    assert reply.result == expected
    assert expected or pairs(reply.outputs[0]) == {}
    header = pool.ask(what, op(Code.OMAP_HEADER))
    assert (header.result, bytes(header.outputs[0])) == (expected, b"")
    assert Reader(pool.ask(A, op(Code.OMAP_BY_KEYS, payload=keys(b"k"))).outputs[0]).u32() == 0


def test_who_goes_on_in_a_stripe_does_not_read_it_again() -> None:
    pool = Pool(overwrites=True)
    contents = bytearray(WHOLE * 4)
    assert pool.ask(A, extent(Code.WRITE_FULL, payload=bytes(contents))).result == 0
    for at in range(0, 2 * WIDTH - 2, 3):
        contents[at : at + 2] = b"%02d" % (at % 100)
        pool.ask(A, extent(Code.WRITE, at, payload=bytes(contents[at : at + 2])))
    assert pool.cluster.reads == 2  # each stripe once
    for number in range(WIDTH):
        contents += b"%02d" % number
        pool.ask(A, extent(Code.APPEND, payload=b"%02d" % number))
    assert pool.cluster.reads == 2
    assert pool.read(A) == contents


@pytest.mark.parametrize(
    "between",
    [
        [extent(Code.WRITE_FULL, payload=WHOLE[::-1] * 2)],
        [extent(Code.WRITE, 0, payload=WHOLE[::-1])],
        [extent(Code.TRUNCATE, 3), extent(Code.TRUNCATE, WIDTH)],
        [extent(Code.ZERO, 2, WIDTH)],
        [op(Code.DELETE), extent(Code.WRITE, 5, payload=b"new")],
    ],
)
def test_what_was_changed_since_is_not_taken_for_what_it_was(between: list[Op]) -> None:
    pool, other = Pool(overwrites=True), Pool(overwrites=True)
    for one in (pool, other):
        one.ask(A, extent(Code.WRITE_FULL, payload=WHOLE * 2))
        one.ask(A, extent(Code.WRITE, 7, payload=b"x"))
        assert one.ask(A, *between).result == 0
    for osd in other.cluster.osds:
        for where in osd.copies.held:
            osd.copies.recent.forget(where)
    for one in (pool, other):
        one.ask(A, extent(Code.WRITE, 9, payload=b"y"))
        one.ask(A, extent(Code.WRITE, WIDTH + 9, payload=b"z"))
    assert pool.read(A) == other.read(A)
