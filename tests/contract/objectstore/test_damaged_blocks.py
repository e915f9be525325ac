# SPDX-License-Identifier: Apache-2.0
"""Blocks that the disk has damaged: changes go on, and what was lost is told until it is mended."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.testing.simdevice import SimDevice
from octostack.wire.ceph.objects import PG, SNAP_HEAD, HObject, ShardPG

pytestmark = pytest.mark.anyio

Commit = Callable[..., Awaitable[None]]
C = ShardPG(PG(1, 0))
A = HObject(b"a", hash=0x10, snap=SNAP_HEAD, pool=1)
B = HObject(b"b", hash=0x10, snap=SNAP_HEAD, pool=1)
DATA = random.Random(4).randbytes(3 * BLOCK - 100)


@pytest.fixture
def device() -> SimDevice:
    return SimDevice(8 << 20, random.Random(3))


@pytest.fixture
async def store(device: SimDevice) -> AsyncIterator[api.ObjectStore]:
    made = BlockStore(device)
    await made.open()
    yield made
    await made.close()


async def reopened(store: BlockStore) -> BlockStore:
    await store.close()
    again = BlockStore(store.device)
    await again.open()
    return again


@pytest.fixture
async def spoilt(store: BlockStore, device: SimDevice, commit: Commit) -> BlockStore:
    """Its object A has three blocks, of which the disk has damaged the last two."""
    await commit(api.CreateCollection(C, 0))
    await commit(api.Write(C, A, 0, DATA))
    body = store.find(C, A)
    assert body is not None
    for place in body.chunk(0, store.state.metadata.get).places[1:3]:
        device.flip(place * BLOCK + 77)
    return store


def is_readable(store: BlockStore, what: HObject, number: int) -> bool:
    try:
        store.read(C, what, number * BLOCK, BLOCK)
    except Corrupt:
        return False
    return True


CHANGES: dict[str, list[api.Change]] = {
    "appended to": [api.Write(C, A, len(DATA), b"more")],
    "written over": [api.Write(C, A, BLOCK + 10, b"x" * BLOCK)],
    "written over, much": [api.Write(C, A, 2 * BLOCK + 10, b"x" * (16 * BLOCK))],
    "made zero in part": [api.Zero(C, A, BLOCK + 10, 2 * BLOCK - 200)],
    "cut": [api.Truncate(C, A, BLOCK + 10), api.Write(C, A, 3 * BLOCK - 100, b"y")],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_what_is_written_in_part_stays_damaged(
    spoilt: BlockStore, commit: Commit, change: list[api.Change]
) -> None:
    spoilt.queue([change])
    damaged = [number for number in range(3) if not is_readable(spoilt, A, number)]
    assert damaged[0] == 1, "already before it is durable"
    assert damaged[1:] == ([] if isinstance(change[0], api.Truncate) else [2])
    await commit(api.Clone(C, A, B))
    again = await reopened(spoilt)
    for what in (A, B):
        assert [n for n in range(3) if not is_readable(again, what, n)] == damaged
    await again.close()


async def test_what_is_written_whole_is_mended(spoilt: BlockStore, commit: Commit) -> None:
    await commit(api.Write(C, A, len(DATA), b"more"))
    await commit(api.Write(C, A, BLOCK, b"z" * 2 * BLOCK))
    assert spoilt.read(C, A) == DATA[:BLOCK] + b"z" * 2 * BLOCK
    again = await reopened(spoilt)
    assert again.read(C, A) == DATA[:BLOCK] + b"z" * 2 * BLOCK
    assert again.fsck() == []
    await again.close()


async def test_a_part_that_is_copied_is_damaged_where_it_is_then(
    spoilt: BlockStore, commit: Commit
) -> None:
    await commit(api.CloneRange(C, A, B, 10, BLOCK + 10, 0))
    assert not is_readable(spoilt, B, 0)
    await commit(api.Write(C, B, 0, bytes(2 * BLOCK)))
    assert is_readable(spoilt, B, 0)
