# SPDX-License-Identifier: Apache-2.0
"""Space of a store on a disk: shared by clones, given back by all that takes away; and fsck."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.block import keys
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.testing.objectstore import Model, draw
from octostack.testing.simdevice import SimDevice
from octostack.wire.ceph.objects import PG, SNAP_HEAD, HObject, ShardPG

pytestmark = pytest.mark.anyio

Commit = Callable[..., Awaitable[None]]
C = ShardPG(PG(1, 0))
A = HObject(b"a", hash=0x10, snap=SNAP_HEAD, pool=1)
LARGE = 4 << 20
SIZE = 32 << 20


@pytest.fixture
def device() -> SimDevice:
    return SimDevice(SIZE, random.Random(3))


@pytest.fixture
async def store(device: SimDevice) -> AsyncIterator[api.ObjectStore]:
    made = BlockStore(device)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def pg(commit: Commit) -> ShardPG:
    await commit(api.CreateCollection(C, 0))
    return C


async def reopened(store: BlockStore) -> BlockStore:
    await store.close()
    again = BlockStore(store.device)
    await again.open()
    return again


def snap(number: int) -> HObject:
    return HObject(b"a", hash=0x10, snap=number, pool=1)


async def test_a_clone_copies_nothing(store: BlockStore, commit: Commit, pg: ShardPG) -> None:
    data = random.Random(4).randbytes(LARGE)
    await commit(api.Write(C, A, 0, data))
    before = store.space().data
    for number in range(1, 20):  # more than the disk could hold
        await commit(api.Clone(C, A, snap(number)))
    assert store.space().data == before
    await commit(api.Write(C, A, 5000, b"new"), api.Zero(C, snap(3), 0, 3 * BLOCK))
    assert store.space().data - before == BLOCK
    assert store.read(C, A) == data[:5000] + b"new" + data[5003:]
    assert store.read(C, snap(3)) == bytes(3 * BLOCK) + data[3 * BLOCK :]
    assert all(store.read(C, snap(number)) == data for number in (1, 2, 19))
    assert store.fsck() == []
    await commit(api.Remove(C, A), *(api.Remove(C, snap(number)) for number in range(1, 19)))
    assert store.space().data == before
    assert store.read(C, snap(19)) == data
    assert store.fsck() == []
    await commit(api.Remove(C, snap(19)))
    assert store.space().data == 0
    assert store.fsck() == []


async def test_what_is_shared_is_known_after_a_restart(
    store: BlockStore, commit: Commit, pg: ShardPG
) -> None:
    data = random.Random(5).randbytes(300_000)
    await commit(api.Write(C, A, 0, data), api.Clone(C, A, snap(1)))
    await store.close()
    store.device = device = store.device
    again = BlockStore(device)
    await again.open()
    again.queue([[api.Write(C, A, 0, b"x" * 100)]])
    again.queue([[api.CloneRange(C, snap(1), A, BLOCK, 2 * BLOCK, 8 * BLOCK)]])
    again = await reopened(again)
    assert again.read(C, snap(1)) == data
    mixed = b"x" * 100 + data[100 : 8 * BLOCK] + data[BLOCK : 3 * BLOCK] + data[10 * BLOCK :]
    assert again.read(C, A) == mixed
    assert again.fsck() == []
    again.queue([[api.Remove(C, snap(1)), api.Remove(C, A)]])
    again = await reopened(again)
    assert again.fsck() == []
    assert again.space().data == 0
    await again.close()
    await store.open()


@pytest.mark.parametrize(
    "taking",
    [
        [api.Remove(C, A)],
        [api.Truncate(C, A, 0)],
        [api.Zero(C, A, 0, LARGE)],
        [api.RemoveCollection(C)],
    ],
    ids=["remove", "truncate", "zero", "collection"],
)
async def test_space_comes_back(
    store: BlockStore, commit: Commit, pg: ShardPG, taking: list[api.Change]
) -> None:
    free = store.space().free
    for _ in range(20):  # many times what the disk holds
        await commit(api.CreateCollection(C, 0), api.Write(C, A, 0, b"z" * LARGE))
        assert free - store.space().free >= LARGE
        await commit(*taking)
    assert free - store.space().free < 200_000  # metadata
    assert store.space().data == 0


async def test_a_full_disk_tells_so_and_a_restart_finds_all(
    store: BlockStore, commit: Commit, pg: ShardPG
) -> None:
    names = [HObject(b"%d" % n, hash=n, snap=SNAP_HEAD, pool=1) for n in range(100)]
    written = 0
    with pytest.raises(api.Full):
        for what in names:
            await commit(api.Write(C, what, 0, bytes([written]) * 1_000_000))
            written += 1
    space = store.space()
    assert space.free < space.total * 0.15  # what a monitor calls full by default is near
    again = await reopened(store)
    assert again.usage(C) == api.Usage(written, written * 1_000_000)
    assert again.fsck() == []
    for number, what in enumerate(names[:written]):
        assert again.read(C, what, 999_999) == bytes([number])
    with pytest.raises(api.Full):
        again.queue([[api.Write(C, names[written], 0, bytes(1_000_000))]])
    again.queue([[api.Remove(C, what) for what in names[:written]]])
    again = await reopened(again)
    assert again.space().data == 0
    await again.close()
    await store.open()


async def test_what_is_counted_is_what_is_there(
    store: BlockStore, commit: Commit, pg: ShardPG
) -> None:
    rng, model = random.Random(6), Model()
    for _ in range(300):
        await commit(*draw(rng, model, C))
        assert store.usage(C).objects == len(model.data)
        assert store.usage(C).size == sum(map(len, model.data.values()))
    other = ShardPG(PG(1, 1))
    await commit(api.CreateCollection(other, 0), api.SplitCollection(C, other, 1))
    total = store.usage(C).objects + store.usage(other).objects
    assert (total, store.usage(other).objects > 0) == (len(model.data), True)
    assert store.fsck() == []


async def test_fsck_tells_and_mends(store: BlockStore, commit: Commit, pg: ShardPG) -> None:
    data = random.Random(7).randbytes(200_000)
    await commit(
        api.Write(C, A, 0, data), api.Clone(C, A, snap(1)), api.OmapSet(C, A, {b"k": b"v"})
    )
    store.set_usage(C, api.Usage(7, 7, 7))
    taken = store.state.blocks.allocator.take(5)
    page = next(iter(store.state.metadata.pairs(keys.SHARES, b"S")))[0]
    number = int.from_bytes(page[1:], "big")
    shares = store.state.blocks.shares
    wrong = shares._page(number)[:]
    wrong[3] += 2
    shares.set_page(number, wrong)
    store.state.set(keys.chunk_key(999, 0), keys.Chunk().encode() or b"\0" * 8)
    store.state.set(keys.omap_key(998, b"k"), b"v")
    await commit(api.Touch(C, snap(2)))
    store.set_usage(C, api.Usage(7, 7, 7))
    flaws = store.fsck()
    assert {flaw.where for flaw in flaws} == {"1.0", "space", "shares", "chunk 999.0", "omap 998"}
    assert not any(flaw.mended for flaw in flaws)
    assert all(flaw.mended for flaw in store.fsck(repair=True))
    assert store.fsck() == []
    again = await reopened(store)
    assert again.fsck() == []
    assert again.read(C, A) == again.read(C, snap(1)) == data
    assert again.usage(C) == api.Usage(3, 400_000, 2)
    assert taken
    await again.close()
    await store.open()


async def test_damage_is_told_by_object_and_offset(
    store: BlockStore, device: SimDevice, commit: Commit, pg: ShardPG
) -> None:
    data = random.Random(8).randbytes(200_000)
    await commit(api.Write(C, A, 0, data), api.Clone(C, A, snap(5)))
    await store.close()
    at = next(n for n in range(0, SIZE, BLOCK) if device.read(n, 64) == data[BLOCK : BLOCK + 64])
    device.flip(at + 77)
    await store.open()
    flaws = store.fsck(repair=True)
    assert sorted(flaw.where for flaw in flaws) == ["1.0/a", "1.0/a@5"]
    assert all("damaged at byte 4096" in flaw.what and not flaw.mended for flaw in flaws)


async def test_memory_is_bounded_by_its_setting(device: SimDevice) -> None:
    store = BlockStore(device, cache_bytes=1 << 20)
    await store.open()
    store.queue([[api.CreateCollection(C, 0)]])
    names = [HObject(b"n%d" % n, hash=n, snap=SNAP_HEAD, pool=1) for n in range(3000)]
    for what in names:
        store.queue([[api.Write(C, what, 0, b"d" * 100)]])
    await store.close()
    store = BlockStore(device, cache_bytes=1 << 20)
    await store.open()
    for what in names:
        assert store.read(C, what) == b"d" * 100
    held = len(store._bodies) * 1200 + store._cached.chunks * 800
    assert held <= 1 << 19
    assert store._cached.chunks == sum(len(b.chunks) for b in store._bodies.values() if b)
    await store.close()
