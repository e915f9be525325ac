# SPDX-License-Identifier: Apache-2.0
"""What every object store does: by cases, and by a thousand random changes beside a plain model."""

import random
from collections.abc import Awaitable, Callable

import pytest

from octostack.base.errors import NotFound
from octostack.engines.ceph.osd.objectstore import api
from octostack.testing.objectstore import Model, draw
from octostack.wire.ceph.objects import PG, HObject, ShardPG

pytestmark = pytest.mark.anyio

Commit = Callable[..., Awaitable[None]]
C = ShardPG(PG(1, 0))
OTHER = ShardPG(PG(1, 1))
A = HObject(b"a", hash=0x10, snap=1, pool=1)
B = HObject(b"b", hash=0x21, snap=1, pool=1)


@pytest.fixture
async def pg(commit: Commit) -> ShardPG:
    await commit(api.CreateCollection(C, 0))
    return C


async def test_bytes_holes_and_sizes(store: api.ObjectStore, commit: Commit, pg: ShardPG) -> None:
    await commit(api.Write(C, A, 4096, b"x" * 4096))
    assert store.read(C, A) == bytes(4096) + b"x" * 4096
    assert store.extents(C, A) == [(4096, 4096)]
    await commit(api.Write(C, A, 10, b"start"), api.Write(C, A, 8190, b"tail"))
    assert store.size(C, A) == 8194
    assert store.read(C, A, 8, 9) == b"\0\0start\0\0"
    assert store.read(C, A, 8188, 100) == b"xxtail"
    assert store.read(C, A, 9000, 10) == b""
    await commit(api.Zero(C, A, 4096, 4096))
    assert store.read(C, A, 4090, 4110) == bytes(4102) + b"il"
    assert all(
        end <= 4096 or start >= 8192 for start, n in store.extents(C, A) for end in [start + n]
    )
    await commit(api.Truncate(C, A, 12), api.Truncate(C, A, 20))
    assert store.read(C, A) == bytes(10) + b"st" + bytes(8)
    await commit(api.Zero(C, A, 100, 28))
    assert (store.size(C, A), store.read(C, A, 100)) == (128, bytes(28))


async def test_large_objects(store: api.ObjectStore, commit: Commit, pg: ShardPG) -> None:
    data = random.Random(1).randbytes(4 << 20)
    await commit(api.Write(C, A, 0, data))
    assert store.read(C, A) == data
    assert store.extents(C, A) == [(0, 4 << 20)]
    await commit(api.Write(C, A, 1_000_001, b"odd"), api.Zero(C, A, 2 << 20, 1 << 20))
    want = bytearray(data)
    want[1_000_001:1_000_004] = b"odd"
    want[2 << 20 : 3 << 20] = bytes(1 << 20)
    assert store.read(C, A) == want
    assert store.extents(C, A) == [(0, 2 << 20), (3 << 20, 1 << 20)]
    before = store.space().data
    await commit(api.Truncate(C, A, 1 << 20))
    assert store.space().data == before - (2 << 20)
    await commit(api.Remove(C, A))
    assert store.space().data == 0


async def test_what_is_not_there(store: api.ObjectStore, commit: Commit, pg: ShardPG) -> None:
    assert not store.exists(C, A)
    assert not store.exists(OTHER, A)
    for ask in (store.read, store.size, store.attrs, store.omap_header, store.extents):
        with pytest.raises(NotFound):
            ask(C, A)
    await commit(
        api.Remove(C, A),
        api.RemoveAttr(C, A, b"n"),
        api.OmapClear(C, A),
        api.OmapRemove(C, A, [b"k"]),
        api.Clone(C, A, B),
        api.Move(C, A, B),
    )
    assert store.list_objects(C) == []
    with pytest.raises(NotFound):
        store.queue([[api.Touch(C, A), api.Touch(OTHER, A)]])
    assert not store.exists(C, A)


async def test_attributes_and_omap(store: api.ObjectStore, commit: Commit, pg: ShardPG) -> None:
    await commit(
        api.SetAttrs(C, A, {b"one": b"1", b"two": b"2"}),
        api.OmapSet(C, A, {b"k%02d" % n: b"v%d" % n for n in range(50)}),
        api.OmapHeader(C, A, b"head"),
    )
    await commit(api.SetAttrs(C, A, {b"two": b"zwei"}), api.RemoveAttr(C, A, b"one"))
    assert dict(store.attrs(C, A)) == {b"two": b"zwei"}
    await commit(api.OmapRemove(C, A, [b"k03", b"none"]), api.OmapRemoveRange(C, A, b"k10", b"k40"))
    assert [k for k, _ in store.omap_list(C, A, b"k02", 3)] == [b"k02", b"k04", b"k05"]
    assert [k for k, _ in store.omap_list(C, A, b"k09")][:2] == [b"k09", b"k40"]
    assert store.omap_get(C, A, [b"k41", b"k11"]) == {b"k41": b"v41"}
    assert store.omap_header(C, A) == b"head"
    await commit(api.OmapClear(C, A), api.OmapSet(C, A, {b"new": b""}))
    assert (store.omap_header(C, A), store.omap_list(C, A)) == (b"", [(b"new", b"")])
    assert store.omap_list(C, A, b"nex") == []


async def test_clones_stand_alone(store: api.ObjectStore, commit: Commit, pg: ShardPG) -> None:
    await commit(
        api.Write(C, A, 0, b"a" * 10_000),
        api.SetAttrs(C, A, {b"n": b"a"}),
        api.OmapSet(C, A, {b"k": b"a"}),
        api.Write(C, B, 0, b"b" * 20_000),
        api.OmapSet(C, B, {b"other": b"b"}),
    )
    await commit(api.Clone(C, A, B))
    await commit(api.Write(C, A, 5_000, b"later"), api.OmapSet(C, A, {b"k": b"later"}))
    assert store.read(C, B) == b"a" * 10_000
    assert (store.omap_list(C, B), dict(store.attrs(C, B))) == ([(b"k", b"a")], {b"n": b"a"})
    await commit(api.CloneRange(C, A, B, 4_998, 9, 100))
    assert store.read(C, B, 99, 12) == b"aaalateraaaa"
    await commit(api.Remove(C, A), api.Move(C, B, A))
    assert store.list_objects(C) == [A]
    assert store.read(C, A, 100, 9) == b"aalateraa"


async def test_listing_goes_by_reversed_hash(
    store: api.ObjectStore, commit: Commit, pg: ShardPG
) -> None:
    names = [HObject(b"%d" % n, hash=n * 2654435761 % 2**32, snap=2, pool=1) for n in range(300)]
    await commit(*(api.Touch(C, name) for name in names))
    ordered = sorted(names, key=HObject.sort_key)
    assert store.list_objects(C) == ordered
    assert store.list_objects(C, ordered[7], limit=5) == ordered[7:12]
    assert store.list_objects(C, ordered[7], ordered[9]) == ordered[7:9]
    await commit(api.CreateCollection(OTHER, 1), api.SplitCollection(C, OTHER, 1))
    assert store.list_objects(C) == [name for name in ordered if not name.hash & 1]
    assert store.list_objects(OTHER) == [name for name in ordered if name.hash & 1]
    assert store.collections() == {C: 1, OTHER: 1}
    await commit(api.RemoveCollection(C))
    assert store.collections() == {OTHER: 1}
    await commit(api.CreateCollection(C, 1))
    assert store.list_objects(C) == []


async def test_a_full_store_refuses_writes_and_stays_readable(
    store: api.ObjectStore, commit: Commit, pg: ShardPG
) -> None:
    names = [HObject(b"%d" % n, hash=n, snap=2, pool=1) for n in range(200)]
    written = 0
    with pytest.raises(api.Full):
        for name in names:
            await commit(api.Write(C, name, 0, bytes([written]) * (1 << 20)))
            written += 1
    assert written >= 8
    for number, name in enumerate(names[:written]):
        assert store.read(C, name, 5, 1) == bytes([number])
    assert not store.exists(C, names[written])
    await commit(*(api.Remove(C, name) for name in names[: written // 2]))
    await commit(*(api.Touch(C, A) for _ in range(3)))
    for name in names[: written // 2 - 2]:
        await commit(api.Write(C, name, 0, b"again" * 100_000))
    assert store.fsck() == []


@pytest.mark.parametrize("seed", range(6))
async def test_a_thousand_changes_beside_a_model(
    store: api.ObjectStore, commit: Commit, pg: ShardPG, seed: int
) -> None:
    rng, model = random.Random(seed), Model()
    for _ in range(170):
        await commit(*(op for _ in range(rng.randrange(1, 6)) for op in draw(rng, model, C)))
        assert store.list_objects(C) == sorted(model.data, key=HObject.sort_key)
        for name in rng.sample(sorted(model.data, key=HObject.sort_key), len(model.data) // 2):
            at = rng.randrange(100_000)
            assert store.read(C, name, at, 70_000) == model.data[name][at : at + 70_000]
            assert store.size(C, name) == len(model.data[name])
            assert dict(store.omap_list(C, name)) == model.omap[name]
            covered = bytearray(len(model.data[name]))
            for start, length in store.extents(C, name):
                covered[start : start + length] = model.data[name][start : start + length]
            assert covered == model.data[name]
    assert store.fsck() == []
