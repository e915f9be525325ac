# SPDX-License-Identifier: Apache-2.0
"""Our client on objects: one suite for our cluster and for Ceph's own (COMPAT_FULL=1)."""

import asyncio
import errno
import struct

import pytest

from octostack.base.errors import (
    Conflict,
    NotFound,
    Unsupported,
)
from octostack.engines.ceph.rados import Cluster, Pool, ReadOp, WriteOp, locks
from octostack.engines.ceph.rados.core.failures import errno_of
from octostack.engines.ceph.rados.core.ops import Compare
from octostack.engines.ceph.rados.listing import END
from octostack.engines.ceph.rados.pool import EVERY_NAMESPACE

pytestmark = [pytest.mark.anyio, pytest.mark.compat]


async def test_bytes(pool: Pool) -> None:
    assert await pool.write_full("b", b"hello") > 0
    assert await pool.read("b") == b"hello"
    await pool.append("b", b" there")
    await pool.write("b", b"H")
    assert await pool.read("b") == b"Hello there"
    assert await pool.read("b", 5, 6) == b"there"
    assert bytes(await pool.read_view("b", 2)) == b"He"
    assert (await pool.stat("b")).size == 11
    await pool.truncate("b", 5)
    assert await pool.read("b") == b"Hello"
    await pool.truncate("b", 7)
    assert await pool.read("b") == b"Hello\0\0"
    await pool.zero("b", 1, 3)
    assert await pool.read("b") == b"H\0\0\0o\0\0"
    await pool.write_same("b", b"ab", 6, 1)
    assert await pool.read("b") == b"Hababab"
    await pool.remove("b")
    with pytest.raises(NotFound) as caught:
        await pool.read("b")
    assert (errno_of(caught.value), caught.value.code) == (errno.ENOENT, "rados.enoent")
    with pytest.raises(NotFound):
        await pool.remove("b")


async def test_holes_are_told(pool: Pool) -> None:
    await pool.write_full("sparse", b"a" * 4096)
    await pool.write("sparse", b"z" * 4096, 1 << 20)
    found = await pool.sparse_read("sparse", 2 << 20)
    assert found.parts.keys() <= set(range(0, 2 << 20, 4096))
    whole = found.fill(0, (1 << 20) + 4096)
    assert whole == b"a" * 4096 + bytes((1 << 20) - 4096) + b"z" * 4096
    assert whole == await pool.read("sparse")
    await pool.remove("sparse")


async def test_large_objects_and_names_of_any_bytes(pool: Pool) -> None:
    body = bytes(range(256)) * 16384
    name = b"large \xff\x00 /"
    await pool.write_full(name, body)
    assert await pool.read(name) == body
    assert await pool.read(name.decode("utf-8", "surrogateescape"), 10, 1 << 20) == body[:10]
    await pool.remove(name)


async def test_a_vector_happens_whole_or_not_at_all(pool: Pool) -> None:
    op = WriteOp()
    op.create(exclusive=True)
    op.write(0, b"body")
    op.set_xattr("colour", b"red")
    op.set_omap({"k": b"v"})
    version = await pool.operate("vector", op)
    again = WriteOp()
    again.append(b"more")
    again.create(exclusive=True)
    with pytest.raises(Conflict) as caught:
        await pool.operate("vector", again)
    assert errno_of(caught.value) == errno.EEXIST
    read = ReadOp()
    size, body, colour, omap = (
        read.stat(),
        read.read(),
        read.get_xattr("colour"),
        read.get_omap(["k", "none"]),
    )
    absent = read.get_xattr("none")
    read.may_fail()
    assert await pool.operate("vector", read) == version
    assert (size.value.size, body.value, colour.value) == (4, b"body", b"red")
    assert omap.value == {"k": b"v"}
    with pytest.raises(NotFound):
        _ = absent.value
    await pool.remove("vector")


async def test_what_is_asserted_of_an_object(pool: Pool) -> None:
    version = await pool.write_full("guarded", b"one")
    op = WriteOp()
    op.assert_version(version)
    op.write_full(b"two")
    newer = await pool.operate("guarded", op)
    assert newer > version
    with pytest.raises(Conflict) as caught:
        await pool.operate("guarded", op)
    assert errno_of(caught.value) in (errno.ERANGE, errno.EOVERFLOW)
    with pytest.raises(Conflict) as caught:
        await pool.compare("guarded", b"twa")
    assert caught.value.details["offset"] == 2
    await pool.compare("guarded", b"two")
    await pool.set_xattr("guarded", "n", b"5")
    for relation, wanted, holds in (
        (Compare.EQUAL, b"5", True),
        (Compare.NOT_EQUAL, b"5", False),
        (Compare.GREATER, 6, True),
        (Compare.LESS, 6, False),
    ):
        check = ReadOp()
        check.compare_xattr("n", relation, wanted)
        if holds:
            await pool.operate("guarded", check)
        else:
            with pytest.raises(Conflict):
                await pool.operate("guarded", check)
    missing = WriteOp()
    missing.assert_exists()
    missing.write_full(b"new")
    with pytest.raises(NotFound):
        await pool.operate("not there", missing)
    await pool.remove("guarded")


async def test_attributes(pool: Pool) -> None:
    await pool.create("attrs")
    await pool.set_xattr("attrs", "a", b"1")
    await pool.set_xattr("attrs", "b", bytes(300))
    assert await pool.list_xattrs("attrs") == {"a": b"1", "b": bytes(300)}
    assert await pool.get_xattr("attrs", "a") == b"1"
    await pool.remove_xattr("attrs", "a")
    with pytest.raises(NotFound) as caught:
        await pool.get_xattr("attrs", "a")
    assert errno_of(caught.value) == errno.ENODATA
    await pool.remove("attrs")


async def test_omaps(pool: Pool) -> None:
    items = {f"key{n:04}": b"%d" % n for n in range(2500)}
    await pool.set_omap("omap", items)
    await pool.set_omap_header("omap", b"head")
    assert await pool.get_omap_header("omap") == b"head"
    assert dict([pair async for pair in pool.walk_omap("omap")]) == items
    page = await pool.list_omap("omap", "key0009", 3)
    assert (list(page.values), page.more) == (["key0010", "key0011", "key0012"], True)
    page = await pool.list_omap("omap", prefix="key249")
    assert len(page.values) == 10
    assert not page.more
    op = ReadOp()
    keys = op.list_omap_keys("key2497")
    op.compare_omap("key0005", Compare.EQUAL, b"5")
    await pool.operate("omap", op)
    assert (keys.value.keys, keys.value.more) == (["key2498", "key2499"], False)
    wrong = ReadOp()
    wrong.compare_omap("key0005", Compare.EQUAL, b"6")
    with pytest.raises(Conflict) as caught:
        await pool.operate("omap", wrong)
    assert errno_of(caught.value) == errno.ECANCELED
    await pool.remove_omap("omap", ["key0000", "key0002"])
    cut = WriteOp()
    cut.remove_omap_range("key0003", "key2499")
    await pool.operate("omap", cut)
    assert await pool.get_omap("omap", items) == {"key0001": b"1", "key2499": b"2499"}
    await pool.clear_omap("omap")
    assert (await pool.list_omap("omap")).values == {}
    await pool.remove("omap")


async def test_namespaces_and_locators(pool: Pool) -> None:
    one, two = pool.within("one"), pool.within("two")
    await asyncio.gather(one.write_full("same", b"1"), two.write_full("same", b"2"))
    assert (await one.read("same"), await two.read("same")) == (b"1", b"2")
    with pytest.raises(NotFound):
        await pool.read("same")
    placed = one.located_by("elsewhere")
    await placed.write_full("located", b"3")
    assert await placed.read("located") == b"3"
    found = {(o.name, o.namespace, o.locator) async for o in one.list_objects()}
    assert found == {("same", "one", ""), ("located", "one", "elsewhere")}
    every = [o.namespace async for o in pool.within(EVERY_NAMESPACE).list_objects()]
    assert sorted(n for n in every if n) == ["one", "one", "two"]
    for view, name in ((one, "same"), (two, "same"), (placed, "located")):
        await view.remove(name)


async def test_a_listing_has_every_object_once(pool: Pool) -> None:
    view = pool.within("listed")
    names = {f"object{n}" for n in range(300)}
    await asyncio.gather(*(view.create(name) for name in names))
    found = [o.name async for o in view.list_objects()]
    assert sorted(found) == sorted(names)
    for count in (1, 2, 5, 16):
        parts = view.slices(count)
        assert len(parts) == count
        pieces = await asyncio.gather(*(_listed(view, *part) for part in parts))
        assert sorted(name for piece in pieces for name in piece) == sorted(names)
    begin = parts[3][0]
    assert len(await _listed(view, begin, END)) < len(names)
    await asyncio.gather(*(view.remove(name) for name in names))
    assert [o async for o in view.list_objects()] == []


async def _listed(view: Pool, begin: object, end: object) -> list[str]:
    return [o.name async for o in view.list_objects(begin, end)]  # type: ignore[arg-type]


async def test_locks(pool: Pool, cluster: Cluster) -> None:
    mine = locks.Wanted("l", "cookie", description="why", duration_s=100)
    await locks.lock(pool, "locked", mine)
    with pytest.raises(Conflict) as caught:
        await locks.lock(pool, "locked", locks.Wanted("l", "other"))
    assert errno_of(caught.value) == errno.EBUSY
    with pytest.raises(Conflict) as caught:
        await locks.lock(pool, "locked", mine)
    assert errno_of(caught.value) == errno.EEXIST
    info = await locks.get_info(pool, "locked", "l")
    (holder,) = info.lockers
    assert (holder.client, holder.cookie, holder.description) == (
        cluster.global_id,
        "cookie",
        "why",
    )
    assert holder.expires_ns > 0
    assert info.type == locks.LockType.EXCLUSIVE
    guarded = WriteOp()
    guarded.exec(locks.CLASS, "assert_locked", locks.assert_input(mine))
    guarded.write_full(b"under the lock")
    await pool.operate("locked", guarded)
    assert await locks.list_locks(pool, "locked") == ["l"]
    await locks.break_lock(pool, "locked", "l", cluster.global_id, "cookie")
    with pytest.raises(Conflict) as caught:
        await pool.operate("locked", guarded)
    assert errno_of(caught.value) == errno.EBUSY
    shared = [locks.Wanted("s", c, locks.LockType.SHARED, "tag") for c in ("1", "2")]
    for one in shared:
        await locks.lock(pool, "locked", one)
    assert len((await locks.get_info(pool, "locked", "s")).lockers) == 2
    await locks.unlock(pool, "locked", "s", "1")
    with pytest.raises(NotFound):
        await locks.unlock(pool, "locked", "s", "1")
    await pool.remove("locked")


async def test_other_classes(pool: Pool) -> None:
    await pool.create("greeted", exclusive=False)
    assert await pool.exec("greeted", "hello", "say_hello", b"you") == b"Hello, you!"
    await pool.create("counted")
    op = WriteOp().returning()
    op.set_xattr("x", b"1")
    op.exec("refcount", "get", _string_in_struct(b"tag"))
    await pool.operate("counted", op)
    with pytest.raises(Unsupported):
        await pool.exec("counted", "no such class", "method")
    await pool.remove("counted")


def _string_in_struct(tag: bytes) -> bytes:
    body = struct.pack("<I", len(tag)) + tag + b"\0"
    return struct.pack("<BBI", 1, 1, len(body)) + body
