# SPDX-License-Identifier: Apache-2.0
"""Object classes, called as clients call them."""

import errno
from typing import Any

import pytest

from octostack.engines.ceph.osd.group import Group
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore
from octostack.engines.ceph.osd.requests import OpReply
from octostack.testing.osd import Client, call, copy_alone, extent, op
from octostack.wire.ceph.addresses import read_address
from octostack.wire.ceph.codec import NANOS, Reader, Writer
from octostack.wire.ceph.objects import PG, HObject, ShardPG
from octostack.wire.ceph.opcodes import Code

C = ShardPG(PG(1, 0))
A = HObject(b"a", hash=1, pool=1)


@pytest.fixture
def group() -> Group:
    return copy_alone(MemoryStore(), C).group


@pytest.fixture
def client(group: Group) -> Client:
    return Client(group.submit, 1)


def pack(*values: Any, version: int = 1) -> bytes:
    """{version,1: ...}: bytes as str, ints as (size, value), a float as seconds of utime."""
    w = Writer()
    with w.versioned(version, 1):
        for value in values:
            match value:
                case bytes():
                    w.bytes(value)
                case float():
                    w.utime(int(value * NANOS))
                case (size, number):
                    w.raw(number.to_bytes(size, "little"))
                case list():
                    w.u32(len(value))
                    for item in value:
                        w.raw(item)
    return w.done()


def ask(client: Client, name: str, data: bytes = b"") -> OpReply:
    class_name, method = name.encode().split(b".")
    return client.ask(A, call(class_name, method, data))


def lock(
    name: bytes, kind: int, cookie: bytes, tag: bytes = b"", seconds: float = 0.0, flags: int = 0
) -> bytes:
    return pack(name, (1, kind), cookie, tag, b"why", seconds, (1, flags))


def test_locks(group: Group, client: Client) -> None:
    other = Client(group.submit, 2)
    assert ask(client, "lock.lock", lock(b"l", 1, b"c")).result == 0
    assert ask(client, "lock.lock", lock(b"l", 1, b"c")).result == -errno.EEXIST
    assert ask(client, "lock.lock", lock(b"l", 1, b"c", flags=1)).result == 0
    assert ask(other, "lock.lock", lock(b"l", 1, b"c")).result == -errno.EBUSY
    assert ask(other, "lock.lock", lock(b"l", 1, b"c", flags=2)).result == -errno.ENOENT
    assert ask(other, "lock.lock", lock(b"l", 9, b"c")).result == -errno.EINVAL
    assert ask(client, "lock.assert_locked", pack(b"l", (1, 1), b"c", b"")).result == 0
    assert ask(other, "lock.assert_locked", pack(b"l", (1, 1), b"c", b"")).result == -errno.EBUSY
    r = Reader(ask(other, "lock.get_info", pack(b"l")).outputs[0])
    with r.versioned(1):
        assert r.u32() == 1
        with r.versioned(1):
            assert (r.u8(), r.s64(), r.bytes()) == (8, 1, b"c")
        with r.versioned(1):
            assert (r.utime(), read_address(r), r.bytes()) == (0, client.address, b"why")
        assert (r.u8(), r.bytes()) == (1, b"")
    assert ask(client, "lock.set_cookie", pack(b"l", (1, 1), b"c", b"", b"d")).result == 0
    assert ask(client, "lock.unlock", pack(b"l", b"c")).result == -errno.ENOENT
    assert ask(other, "lock.break_lock", pack(b"l", (1, 8), (8, 1), b"d")).result == 0
    assert ask(other, "lock.lock", lock(b"l", 2, b"c", b"t")).result == 0
    assert ask(client, "lock.lock", lock(b"l", 2, b"c", b"x")).result == -errno.EBUSY
    assert ask(client, "lock.lock", lock(b"l", 2, b"c", b"t")).result == 0
    assert ask(client, "lock.lock", lock(b"m", 1, b"c", seconds=0.000001)).result == 0
    assert ask(other, "lock.lock", lock(b"m", 1, b"c")).result == 0  # the first one's time is up
    r = Reader(ask(client, "lock.list_locks").outputs[0])
    with r.versioned(1):
        assert r.vector(r.bytes) == [b"l", b"m"]


def test_a_vector_guarded_by_a_lock(group: Group, client: Client) -> None:
    guard = call(b"lock", b"assert_locked", pack(b"l", (1, 1), b"c", b""))
    write = extent(Code.WRITE_FULL, payload=b"mine")
    assert client.ask(A, guard, write).result == -errno.ENOENT
    ask(client, "lock.lock", lock(b"l", 1, b"c"))
    assert client.ask(A, guard, write).result == 0
    assert Client(group.submit, 2).ask(A, guard, write).result == -errno.EBUSY


def test_an_ephemeral_lock_takes_its_object_along(client: Client) -> None:
    ask(client, "lock.lock", lock(b"l", 3, b"c"))
    assert ask(client, "lock.unlock", pack(b"l", b"c")).result == 0
    assert client.ask(A, op(Code.STAT)).result == -errno.ENOENT


def version(number: int, tag: bytes) -> bytes:
    return pack((8, number), tag)


def conditions(*wanted: tuple[bytes, int]) -> bytes:
    rows = []
    for one, kind in wanted:
        w = Writer()
        with w.versioned(1, 1):
            w.raw(one)
            w.u32(kind)
        rows.append(w.done())
    w = Writer()
    with w.versioned(1, 1):
        w.raw(version(0, b""))
        w.u32(len(rows))
        for row in rows:
            w.raw(row)
    return w.done()


def test_versions_by_class(client: Client) -> None:
    w = Writer()
    with w.versioned(1, 1):
        w.raw(version(5, b"tag"))
    assert ask(client, "version.set", w.done()).result == 0
    for kind, number, holds in [
        (1, 5, 1),
        (1, 4, 0),
        (2, 4, 1),
        (3, 5, 1),
        (4, 5, 0),
        (5, 5, 1),
        (6, 0, 1),
        (7, 0, 0),
    ]:
        result = ask(
            client, "version.check_conds", conditions((version(number, b"tag"), kind))
        ).result
        assert result == (0 if holds else -errno.ECANCELED)
    assert (
        ask(client, "version.inc_conds", conditions((version(9, b""), 2))).result
        == -errno.ECANCELED
    )
    assert ask(client, "version.inc", conditions()).result == 0
    r = Reader(ask(client, "version.read").outputs[0])
    with r.versioned(1), r.versioned(1):
        assert (r.u64(), r.bytes()) == (6, b"tag")


def test_an_object_goes_with_its_last_reference(client: Client) -> None:
    client.ask(A, op(Code.CREATE))
    assert ask(client, "refcount.get", pack(b"one", (1, 1))).result == 0
    r = Reader(ask(client, "refcount.read", pack((1, 1))).outputs[0])
    with r.versioned(1):
        assert r.vector(r.bytes) == [b"", b"one"]
    assert ask(client, "refcount.put", pack(b"one", (1, 1))).result == 0
    assert ask(client, "refcount.put", pack(b"one", (1, 1))).result == 0  # twice is once
    assert ask(client, "refcount.put", pack(b"two", (1, 0))).result == 0  # never held
    assert ask(client, "refcount.put", pack(b"two", (1, 1))).result == 0  # stands for the nameless
    assert client.ask(A, op(Code.STAT)).result == -errno.ENOENT


def test_numbers(client: Client) -> None:
    client.ask(A, op(Code.CREATE))
    for method, text in (("add", b"1.5"), ("add", b"2"), ("mul", b"4")):
        w = Writer()
        w.bytes(b"n")
        w.bytes(text)
        assert ask(client, f"numops.{method}", w.done()).result == 0
    w = Writer()
    w.vector([b"n"], w.bytes)
    r = Reader(client.ask(A, op(Code.OMAP_BY_KEYS, payload=w.done())).outputs[0])
    assert r.map(r.bytes, r.bytes) == {b"n": b"14"}
    w = Writer()
    w.bytes(b"n")
    w.bytes(b"x")
    assert ask(client, "numops.add", w.done()).result == -errno.EINVAL


def test_hello(client: Client) -> None:
    client.ask(A, op(Code.CREATE))
    assert bytes(ask(client, "hello.say_hello", b"you").outputs[0]) == b"Hello, you!"
    assert ask(client, "hello.record_hello").result == -errno.EEXIST
    client.ask(A, op(Code.DELETE))
    assert ask(client, "hello.record_hello").result == 0
    assert ask(client, "hello.turn_it_to_11").result == 0
    assert bytes(ask(client, "hello.replay").outputs[0]) == b"HELLO, WORLD!"
    assert ask(client, "hello.none").result == -errno.EOPNOTSUPP


def test_entries_by_time(client: Client) -> None:
    entries = [pack(float(n), b"name%d" % n, b"v%d" % n) for n in range(10, 20)]
    assert ask(client, "timeindex.add", pack(entries)).result == 0

    def page(
        start: float, marker: bytes, end: float, limit: int
    ) -> tuple[list[bytes], bytes, bool]:
        r = Reader(ask(client, "timeindex.list", pack(start, marker, end, (4, limit))).outputs[0])

        def one() -> bytes:
            with r.versioned(1):
                r.utime()
                return r.bytes()

        with r.versioned(1):
            return r.vector(one), r.bytes(), r.boolean()

    names, marker, more = page(0.0, b"", 0.0, 4)
    assert (names, more) == ([], False)
    names, marker, more = page(1.0, b"", 100.0, 4)
    assert (names, more) == ([b"name10", b"name11", b"name12", b"name13"], True)
    assert page(1.0, marker, 16.0, 100)[::2] == ([b"name14", b"name15"], False)
    assert ask(client, "timeindex.trim", pack(0.0, 15.0, b"", b"")).result == 0
    assert page(1.0, b"", 100.0, 4)[0][0] == b"name16"
    assert ask(client, "timeindex.trim", pack(0.0, 15.0, b"", b"")).result == -errno.ENODATA


def test_logs(client: Client) -> None:
    entries = [pack(b"s", b"n%d" % n, float(n), b"data", b"", version=2) for n in (5, 6, 7)]
    assert ask(client, "log.add", pack(entries, (1, 0), version=2)).result == 0
    r = Reader(ask(client, "log.list", pack(0.0, b"", 0.0, (4, 2))).outputs[0])

    def one() -> tuple[bytes, bytes]:
        with r.versioned(2):
            r.bytes()
            name = r.bytes()
            r.utime()
            r.bytes()
            return name, r.bytes()[:20]

    with r.versioned(1):
        assert r.vector(one) == [(b"n5", b"1_0000000005.000000_"), (b"n6", b"1_0000000006.000000_")]
        assert (r.bytes()[:20], r.boolean()) == (b"1_0000000006.000000_", True)
    r = Reader(ask(client, "log.info", pack()).outputs[0])
    with r.versioned(1), r.versioned(1):
        assert (r.bytes()[:20], r.utime()) == (b"1_0000000007.000000_", 7 * NANOS)
    assert ask(client, "log.trim", pack(0.0, 6.0, b"", b"", version=2)).result == 0
    assert ask(client, "log.trim", pack(0.0, 6.0, b"", b"", version=2)).result == -errno.ENODATA


def test_a_call_that_is_cut_short_is_refused(client: Client) -> None:
    whole = call(b"hello", b"say_hello")
    whole.payload = bytes(whole.payload)[:-1]
    assert client.ask(A, whole).result == -errno.EINVAL
