# SPDX-License-Identifier: Apache-2.0
"""What operations do and answer, case by case, as a real OSD (16.2) does."""

import errno
import struct

import pytest

from octostack.engines.ceph.osd.group import Group
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore
from octostack.engines.ceph.osd.ops import listing
from octostack.engines.ceph.osd.poolfacts import PoolFacts
from octostack.engines.ceph.osd.requests import (
    FLAG_EXCLUSIVE,
    FLAG_FAIL_OK,
    RETURN_VECTOR,
    Op,
    OpReply,
)
from octostack.testing import osd
from octostack.testing.osd import Client, copy_alone, extent, op, pairs, xattr
from octostack.wire.ceph.codec import Reader, Writer
from octostack.wire.ceph.objects import (
    HOBJECT_MIN,
    PG,
    SNAP_DIR,
    SNAP_HEAD,
    HObject,
    ShardPG,
    read_hobject,
)
from octostack.wire.ceph.opcodes import Code

C = ShardPG(PG(1, 0))
A = HObject(b"a", hash=0x1234, pool=1)
B = HObject(b"b", hash=0x4321, pool=1)


def group_on(store: MemoryStore, pool: PoolFacts | None = None) -> Group:
    return copy_alone(store, C, pool).group


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def client(store: MemoryStore) -> Client:
    return Client(group_on(store).submit)


def put(client: Client, what: HObject, data: bytes) -> OpReply:
    return client.ask(what, extent(Code.WRITE_FULL, payload=data))


def content(client: Client, what: HObject, snap: int = SNAP_HEAD) -> bytes | int:
    reply = client.ask(what, extent(Code.READ), snap=snap)
    return reply.result or bytes(reply.outputs[0])


def stat(client: Client, what: HObject) -> tuple[int, int]:
    reply = client.ask(what, op(Code.STAT))
    assert reply.result == 0
    size, seconds, _ = struct.unpack("<QII", reply.outputs[0])
    return size, seconds


CASES: list[tuple[str, Op, int, bytes]] = [
    # what, operation on an object of b"0123456789", result, contents after it
    ("read", extent(Code.READ), 0, b"0123456789"),
    ("write", extent(Code.WRITE, 8, payload=b"abcd"), 0, b"01234567abcd"),
    ("write behind the end", extent(Code.WRITE, 12, payload=b"x"), 0, b"0123456789\0\0x"),
    (
        "short payload",
        op(Code.WRITE, struct.pack("<QQ", 0, 5), b"xx"),
        -errno.EINVAL,
        b"0123456789",
    ),
    ("too far", extent(Code.WRITE, 128 << 20, payload=b"x"), -errno.EFBIG, b"0123456789"),
    ("writefull", extent(Code.WRITE_FULL, payload=b"new"), 0, b"new"),
    ("append", extent(Code.APPEND, payload=b"end"), 0, b"0123456789end"),
    ("truncate", extent(Code.TRUNCATE, 3), 0, b"012"),
    ("grow", extent(Code.TRUNCATE, 12), 0, b"0123456789\0\0"),
    ("zero", extent(Code.ZERO, 2, 3), 0, b"01\0\0\x0056789"),
    ("zero to the end cuts", extent(Code.ZERO, 4, 100), 0, b"0123"),
    ("zero behind the end", extent(Code.ZERO, 10, 5), 0, b"0123456789"),
    ("writesame", op(Code.WRITE_SAME, struct.pack("<QQQ", 1, 4, 2), b"ab"), 0, b"0abab56789"),
    (
        "writesame, no fit",
        op(Code.WRITE_SAME, struct.pack("<QQQ", 1, 3, 2), b"ab"),
        -22,
        b"0123456789",
    ),
    ("create", op(Code.CREATE), 0, b"0123456789"),
    ("create anew", op(Code.CREATE, flags=FLAG_EXCLUSIVE), -errno.EEXIST, b"0123456789"),
    ("cmpext", extent(Code.CMPEXT, 3, payload=b"345"), 0, b"0123456789"),
    ("cmpext differs", extent(Code.CMPEXT, 3, payload=b"34x"), -4097, b"0123456789"),
    ("cmpext behind the end", extent(Code.CMPEXT, 9, payload=b"9\0"), 0, b"0123456789"),
    ("unknown", op(0x22FF), -errno.EOPNOTSUPP, b"0123456789"),
    ("no class", osd.call(b"none", b"none"), -errno.EOPNOTSUPP, b"0123456789"),
    ("hint", op(Code.ALLOC_HINT, struct.pack("<QQI", 1, 2, 3)), 0, b"0123456789"),
]


@pytest.mark.parametrize(("what", "operation", "result", "after"), CASES, ids=[c[0] for c in CASES])
def test_bytes(client: Client, what: str, operation: Op, result: int, after: bytes) -> None:
    put(client, A, b"0123456789")
    assert client.ask(A, operation).result == result
    assert content(client, A) == after
    assert stat(client, A)[0] == len(after)


@pytest.mark.parametrize(
    "operation",
    [
        extent(Code.READ),
        op(Code.STAT),
        extent(Code.SPARSE_READ),
        xattr(Code.GETXATTR, b"n"),
        op(Code.GETXATTRS),
        xattr(Code.CMPXATTR, b"n", b"v", 1),
        xattr(Code.RMXATTR, b"n"),
        osd.omap_values(),
        op(Code.OMAP_HEADER),
        op(Code.OMAP_CLEAR),
        op(Code.DELETE),
        op(Code.LIST_WATCHERS),
        osd.watch(1),
        osd.notify(1, b""),
    ],
)
def test_what_is_not_there(client: Client, operation: Op) -> None:
    assert client.ask(A, operation).result == -errno.ENOENT
    assert content(client, A) == -errno.ENOENT


@pytest.mark.parametrize("operation", [extent(Code.TRUNCATE, 5), extent(Code.ZERO, 0, 5)])
def test_cutting_nothing_makes_nothing(client: Client, operation: Op) -> None:
    assert client.ask(A, operation).result == 0
    assert content(client, A) == -errno.ENOENT


def test_reads_of_parts(client: Client) -> None:
    client.ask(
        A, extent(Code.WRITE, 0, payload=b"x" * 4096), extent(Code.WRITE, 8192, payload=b"yy")
    )
    assert bytes(client.ask(A, extent(Code.READ, 8191, 100)).outputs[0]) == b"\0yy"
    assert bytes(client.ask(A, extent(Code.READ, 9000, 100)).outputs[0]) == b""
    r = Reader(client.ask(A, extent(Code.SPARSE_READ, 0, 10_000)).outputs[0])
    assert r.map(r.u64, r.u64) == {0: 4096, 8192: 2}
    assert r.bytes() == b"x" * 4096 + b"yy"
    checksum = op(Code.CHECKSUM, struct.pack("<QQIB", 0, 4096, 2048, 2), b"\xff" * 4)
    count, one, two = struct.unpack("<III", client.ask(A, checksum).outputs[0])
    assert (count, one) == (2, two)


def test_a_vector_is_done_whole_or_not_at_all(client: Client) -> None:
    put(client, A, b"old")
    reply = client.ask(
        A,
        extent(Code.WRITE_FULL, payload=b"new"),
        xattr(Code.SETXATTR, b"n", b"v"),
        extent(Code.CMPEXT, 0, payload=b"differs"),
        op(Code.DELETE),
    )
    assert reply.result == -4095
    assert reply.results == [0, 0, -4095, 0]
    assert content(client, A) == b"old"
    assert client.ask(A, xattr(Code.GETXATTR, b"n")).result == -errno.ENODATA
    reply = client.ask(
        A, op(Code.CREATE, flags=FLAG_EXCLUSIVE | FLAG_FAIL_OK), extent(Code.APPEND, payload=b"er")
    )
    assert (reply.result, reply.results[0]) == (0, -errno.EEXIST)
    assert content(client, A) == b"older"
    assert client.ask(A, op(Code.DELETE), extent(Code.WRITE, 0, payload=b"again")).result == 0
    assert content(client, A) == b"again"


def test_attributes(client: Client) -> None:
    client.ask(A, xattr(Code.SETXATTR, b"n", b"value"), xattr(Code.SETXATTR, b"number", b"17"))
    reply = client.ask(A, xattr(Code.GETXATTR, b"n"))
    assert (reply.result, bytes(reply.outputs[0])) == (5, b"value")
    assert pairs(client.ask(A, op(Code.GETXATTRS)).outputs[0]) == {b"n": b"value", b"number": b"17"}
    for relation, value, result in [
        (1, b"value", 1),
        (1, b"other", -125),
        (2, b"x", 1),
        (3, b"w", 1),
        (5, b"w", -125),
    ]:
        assert client.ask(A, xattr(Code.CMPXATTR, b"n", value, relation)).result == result
    number = (18).to_bytes(8, "little")
    assert client.ask(A, xattr(Code.CMPXATTR, b"number", number, 3, 2)).result == 1
    assert client.ask(A, xattr(Code.CMPXATTR, b"n", b"", 9)).result == -errno.EINVAL
    assert client.ask(A, xattr(Code.RMXATTR, b"n")).result == 0
    assert client.ask(A, xattr(Code.GETXATTR, b"n")).result == -errno.ENODATA
    assert client.ask(A, xattr(Code.SETXATTR, b"n" * 101, b"")).result == -errno.ENAMETOOLONG


def test_omap(client: Client) -> None:
    assert client.ask(A, osd.omap_set({b"k%d" % n: b"%d" % n for n in range(9)})).result == 0
    client.ask(A, osd.omap_set({b"other": b"o"}), op(Code.OMAP_SET_HEADER, payload=b"head"))
    r = Reader(client.ask(A, osd.omap_values(b"k2", 2)).outputs[0])
    assert (r.map(r.bytes, r.bytes), r.boolean()) == ({b"k3": b"3", b"k4": b"4"}, True)
    r = Reader(client.ask(A, osd.omap_values(b"k6", 9, b"k")).outputs[0])
    assert (r.map(r.bytes, r.bytes), r.boolean()) == ({b"k7": b"7", b"k8": b"8"}, False)
    w = Writer()
    w.bytes(b"k7")
    w.u64(10)
    r = Reader(client.ask(A, op(Code.OMAP_KEYS, payload=w.done())).outputs[0])
    assert (r.vector(r.bytes), r.boolean()) == ([b"k8", b"other"], False)
    w = Writer()
    w.vector([b"k1", b"none"], w.bytes)
    assert pairs(client.ask(A, op(Code.OMAP_BY_KEYS, payload=w.done())).outputs[0]) == {b"k1": b"1"}
    assert bytes(client.ask(A, op(Code.OMAP_HEADER)).outputs[0]) == b"head"
    assert client.ask(A, op(Code.OMAP_REMOVE, payload=w.done())).result == 0
    assert pairs(client.ask(A, op(Code.OMAP_BY_KEYS, payload=w.done())).outputs[0]) == {}
    w = Writer()
    w.bytes(b"k2")
    w.bytes(b"k8")
    assert client.ask(A, op(Code.OMAP_REMOVE_RANGE, payload=w.done())).result == 0
    r = Reader(client.ask(A, osd.omap_values()).outputs[0])
    assert list(r.map(r.bytes, r.bytes)) == [b"k0", b"k8", b"other"]
    for value, relation, result in [(b"0", 1, 0), (b"1", 1, -125), (b"1", 5, 0), (b"x", 2, -22)]:
        w = Writer()
        w.map({b"k0": (value, relation)}, w.bytes, lambda pair: (w.bytes(pair[0]), w.s32(pair[1])))  # noqa: B023
        assert client.ask(A, op(Code.OMAP_CMP, payload=w.done())).result == result
    assert client.ask(A, op(Code.OMAP_CLEAR)).result == 0
    assert bytes(client.ask(A, osd.omap_values()).outputs[0]) == bytes(5)
    assert client.ask(A, op(Code.OMAP_SET, payload=b"\xff\xff\xff\xff")).result == -errno.EINVAL


def test_versions(client: Client) -> None:
    first, second = put(client, A, b"1"), put(client, A, b"2")
    assert second.version.version == first.version.version + 1
    assert second.user_version == first.user_version + 1
    given = struct.pack("<QQ", 0, first.user_version)
    assert client.ask(A, op(Code.ASSERT_VER, given)).result == -errno.ERANGE
    given = struct.pack("<QQ", 0, second.user_version + 1)
    assert client.ask(A, op(Code.ASSERT_VER, given)).result == -errno.EOVERFLOW
    given = struct.pack("<QQ", 0, second.user_version)
    assert client.ask(A, op(Code.ASSERT_VER, given), extent(Code.READ)).result == 0


def test_a_write_says_no_more_than_it_was_asked(client: Client) -> None:
    put(client, A, b"old")
    head = HObject(A.name, hash=A.hash, pool=1, snap=SNAP_HEAD)
    for flags, output in ((0, b""), (RETURN_VECTOR, b"old")):
        operations = (xattr(Code.SETXATTR, b"n", b"v"), extent(Code.READ))
        replies: list[OpReply] = []
        client.submit(client.request(head, *operations, flags=flags), replies.append)
        assert (replies[0].result, [bytes(o) for o in replies[0].outputs]) == (0, [b"", output])


def test_a_request_sent_again_is_not_done_again(store: MemoryStore) -> None:
    client = Client(group_on(store).submit)
    request = client.request(
        HObject(b"a", hash=1, pool=1, snap=SNAP_HEAD), extent(Code.APPEND, payload=b"once")
    )
    replies: list[OpReply] = []
    client.submit(request, replies.append)
    client.submit(request, replies.append)
    client.submit = group_on(store).submit  # a restart
    client.submit(request, replies.append)
    assert content(client, HObject(b"a", hash=1, pool=1)) == b"once"
    assert [r.result for r in replies] == [0, 0, 0]
    assert len({(r.version, r.user_version) for r in replies}) == 1


def test_answers_wait_for_the_disk() -> None:
    store = MemoryStore(by_hand=True)
    client = Client(group_on(store).submit)
    writes = [client.send(A, extent(Code.APPEND, payload=b"%d" % n)) for n in range(3)]
    read, other = client.send(A, extent(Code.READ)), client.send(B, extent(Code.READ))
    failed = client.send(A, op(Code.CREATE, flags=FLAG_EXCLUSIVE))
    assert [len(r) for r in (*writes, read, other, failed)] == [0, 0, 0, 0, 1, 0]
    store.commit(2)
    assert [len(r) for r in (*writes, read, failed)] == [1, 1, 0, 0, 0]
    store.commit(1)
    assert [len(r) for r in (*writes, read, failed)] == [1, 1, 1, 1, 1]
    assert bytes(read[0].outputs[0]) == b"012"


def test_snapshots(client: Client) -> None:
    put(client, A, b"one")
    client.snap_seq, client.snaps = 1, [1]
    client.ask(A, xattr(Code.SETXATTR, b"n", b"v"), extent(Code.WRITE, 0, payload=b"TWO"))
    client.snap_seq, client.snaps = 3, [3, 2, 1]
    client.ask(A, extent(Code.APPEND, payload=b"three"))
    assert [content(client, A, snap) for snap in (1, 2, 3)] == [b"one", b"TWO", b"TWO"]
    assert content(client, A) == b"TWOthree"
    assert client.ask(A, xattr(Code.GETXATTR, b"n"), snap=1).result == -errno.ENODATA
    put(client, B, b"new")
    assert content(client, B, 3) == -errno.ENOENT
    r = Reader(client.ask(A, op(Code.LIST_SNAPS), snap=SNAP_DIR).outputs[0])
    with r.versioned(1):
        rows = []
        for _ in range(r.u32()):
            with r.versioned(1):
                row = (r.u64(), r.numbers("Q"), r.vector(lambda: (r.u64(), r.u64())), r.u64())
                rows.append(row)
        assert r.u64() == 3
    assert rows == [
        (1, [1], [], 3),
        (3, [2, 3], [(0, 3)], 3),
        (SNAP_HEAD, [], [], 8),
    ]
    roll = op(Code.ROLLBACK, struct.pack("<Q", 1))
    assert client.ask(A, roll).result == 0
    assert (content(client, A), stat(client, A)[0]) == (b"one", 3)
    assert client.ask(A, xattr(Code.GETXATTR, b"n")).result == -errno.ENODATA
    assert client.ask(B, roll).result == 0
    assert content(client, B) == -errno.ENOENT
    assert client.ask(A, op(Code.DELETE)).result == 0
    assert content(client, A) == -errno.ENOENT
    assert [content(client, A, snap) for snap in (1, 2, 3)] == [b"one", b"TWO", b"TWO"]
    assert client.ask(A, op(Code.DELETE)).result == -errno.ENOENT
    put(client, A, b"back")
    assert (content(client, A), content(client, A, 2)) == (b"back", b"TWO")
    assert client.ask(A, extent(Code.WRITE, payload=b"x"), snap=1).result == -errno.EINVAL


def test_listing_goes_on_from_its_cursor(store: MemoryStore) -> None:
    client = Client(group_on(store).submit)
    names = [
        HObject(
            b"o%d" % n, hash=n * 2654435761 % 2**32, pool=1, namespace=b"ns" if n % 3 == 0 else b""
        )
        for n in range(40)
    ]
    for name in names:
        put(client, name, b"x")
    client.ask(names[1], op(Code.DELETE))
    found, cursor = [], HOBJECT_MIN
    while True:
        request = client.request(HObject(pool=1, namespace=b"\x01"), osd.listing(cursor, 7))
        replies: list[OpReply] = []
        client.submit(request, replies.append)
        r = Reader(replies[0].outputs[0])
        with r.versioned(1):
            cursor = read_hobject(r)
            found += [(r.bytes(), r.bytes(), r.bytes()) for _ in range(r.u32())]
        if replies[0].result == 1:
            break
    assert cursor.is_max
    want = sorted((n for n in names if n is not names[1]), key=HObject.sort_key)
    assert found == [(n.namespace, n.name, b"") for n in want]
    request = client.request(HObject(pool=1), osd.listing())
    client.submit(request, replies.append)
    r = Reader(replies[-1].outputs[0])
    with r.versioned(1):
        read_hobject(r)
        assert r.u32() == sum(not n.namespace for n in names) - 1


def test_bounds_of_groups_follow_one_another() -> None:
    for pg_num in (1, 2, 3, 8, 12, 100):
        places = sorted(
            (listing.bounds(PG(1, seed), pg_num) for seed in range(pg_num)),
            key=lambda pair: pair[0].sort_key(),
        )
        assert [p[0].hash for p in places[1:]] == [p[1].hash for p in places[:-1]]
        assert places[-1][1].is_max


def test_watch_and_notify(store: MemoryStore) -> None:
    group = group_on(store)
    one, two, asker = (Client(group.submit, number) for number in (11, 12, 13))
    put(one, A, b"")
    assert one.ask(A, osd.watch(101)).result == 0
    assert two.ask(A, osd.watch(102)).result == 0
    assert two.ask(A, osd.watch(999, 5)).result == -errno.ENOTCONN
    reply = asker.ask(A, osd.notify(7, b"hello"))
    notify_id = int.from_bytes(reply.outputs[0], "little")
    for watcher, cookie in ((one, 101), (two, 102)):
        (event,) = watcher.events
        assert (event.opcode, event.cookie, event.notify_id) == (1, cookie, notify_id)
        assert (event.payload, event.notifier) == (b"hello", 13)
    one.ask(A, osd.notify_ack(notify_id, 101, b"yes"))
    assert asker.events == []
    two.ask(A, osd.notify_ack(notify_id, 102))
    (event,) = asker.events
    assert (event.opcode, event.cookie, event.result) == (2, 7, 0)
    r = Reader(event.data)
    assert r.map(lambda: (r.u64(), r.u64()), r.bytes) == {(11, 101): b"yes", (12, 102): b""}
    assert one.ask(A, osd.watch(101, 0)).result == 0
    r = Reader(asker.ask(A, op(Code.LIST_WATCHERS)).outputs[0])
    with r.versioned(1):
        assert r.u32() == 1
    assert asker.ask(A, op(Code.DELETE)).result == 0
    assert (two.events[-1].opcode, two.events[-1].cookie) == (3, 102)
    put(one, A, b"")
    assert asker.ask(A, osd.notify(8, b"nobody")).result == 0
    assert (asker.events[-1].opcode, asker.events[-1].cookie) == (2, 8)
