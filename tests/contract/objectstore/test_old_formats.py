# SPDX-License-Identifier: Apache-2.0
"""Stores written by older revisions are opened, read whole, and have today's format afterwards."""

import random
import zlib
from pathlib import Path

import pytest

from octostack.base.errors import Unsupported
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.block import layout
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.testing.simdevice import SimDevice
from octostack.wire.ceph.objects import PG, SNAP_HEAD, HObject, ShardPG

pytestmark = pytest.mark.anyio

VECTORS = Path(__file__).parents[2] / "vectors" / "objectstore"
C, D = ShardPG(PG(1, 0)), ShardPG(PG(2, 3))
LARGE = HObject(b"large", hash=3, pool=2, snap=SNAP_HEAD)
BYTES = bytes(range(256)) * 300


def name(number: int, snap: int = SNAP_HEAD) -> HObject:
    return HObject(b"object-%d" % number, hash=number * 0x9E3779B1 % 2**32, snap=snap, pool=1)


def disk() -> SimDevice:
    device = SimDevice(4 << 20, random.Random(1))
    device.write(0, [zlib.decompress((VECTORS / "format1.zlib").read_bytes())])
    device.sync()
    return device


def text(number: int) -> bytes:
    return bytes(number * 1000) + b"%d " % number * (300 * (number + 1))


async def check(store: BlockStore) -> None:
    """All that was written to the disk of format 1."""
    assert store.fsck() == []
    assert store.collections() == {C: 0, D: 2}
    for number in {*range(20)} - {3, 4, 5, 6}:
        assert store.read(C, name(number)) == text(number)
        assert store.attrs(C, name(number)) == {b"_": b"info %d" % number, b"_user": b"x" * number}
    three = text(3).ljust(200_000, b"\0") + BYTES
    assert store.read(C, name(3, 7)) == three
    assert dict(store.omap_list(C, name(3, 7))) == {
        b"key %d" % number: b"value %d" % number for number in range(50)
    }
    over = b"over what the clone has"
    assert store.read(C, name(3)) == three[:4096] + over + three[4096 + len(over) :]
    assert len(store.omap_list(C, name(3))) == 49
    assert store.omap_header(C, name(3)) == b"header"
    assert not store.exists(C, name(4))
    assert store.read(C, name(5)) == text(5)[:10]
    assert store.read(C, name(6)) == text(6)[:6000] + bytes(9000)
    assert store.read(C, name(30)) == b"only in the journal"
    assert store.read(D, LARGE) == b"large " * 50_000
    objects = store.list_objects(C)
    assert store.usage(C) == api.Usage(
        len(objects), sum(store.size(C, what) for what in objects), clones=1
    )


async def test_a_disk_of_format_1_is_read_and_goes_on() -> None:
    device = disk()
    assert layout.read_superblock(device)[1] == 1
    store = BlockStore(device)
    await store.open()
    await check(store)
    await store.close()
    assert layout.read_superblock(device)[1] == layout.FORMAT
    store = BlockStore(device)
    await store.open()
    await check(store)
    store.queue([[api.Clone(C, name(7), name(7, 3)), api.Remove(C, name(7))]])
    await store.close()
    store = BlockStore(device)
    await store.open()
    assert store.read(C, name(7, 3)) == text(7)
    assert store.fsck() == []
    await store.close()


async def test_it_is_of_the_new_format_before_anything_is_written() -> None:
    device = disk()
    store = BlockStore(device)
    await store.open()
    assert layout.read_superblock(device)[1] == layout.FORMAT
    device.crash()
    store = BlockStore(device)
    await store.open()
    await check(store)
    await store.close()


async def test_a_newer_format_is_refused_and_left_alone() -> None:
    device = disk()
    head = bytearray(device.read(0, BLOCK))
    layout._HEAD.pack_into(
        head, 0, layout.MAGIC, layout.FORMAT + 1, *layout._HEAD.unpack_from(head)[2:]
    )
    device.write(0, [head])
    before = device.read(0, device.size)
    with pytest.raises(Unsupported):
        await BlockStore(device).open()
    assert device.read(0, device.size) == before
