# SPDX-License-Identifier: Apache-2.0
"""What clients may do in an erasure-coded pool, with `allow_ec_overwrites` and without it: results
are those of a real OSD (16.2)."""

import errno

import msgspec
import pytest

from octostack.engines.ceph.osd.core.members import osd_of
from octostack.engines.ceph.osd.requests import RETURN_VECTOR, Op, OpReply
from octostack.testing.osd import Client, extent, omap_set, omap_values, op, pairs, xattr
from octostack.testing.osdsim import UNIT, Cluster, Rules
from octostack.wire.ceph.codec import Reader, Writer
from octostack.wire.ceph.objects import SNAP_HEAD, HObject
from octostack.wire.ceph.opcodes import Code

WIDTH = 2 * UNIT
WHOLE = bytes(range(WIDTH))
A = HObject(b"a", b"", SNAP_HEAD, 5, False, b"", 1)
NEW = HObject(b"new", b"", SNAP_HEAD, 6, False, b"", 1)


class Pool:
    """A group of 2+1, and a client that waits for each answer."""

    def __init__(self, *, overwrites: bool) -> None:
        self.cluster = Cluster(1, Rules(osds=3, size=3, k=2))
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
