# SPDX-License-Identifier: Apache-2.0
"""A disk as the store sees it: a file, past the page cache and through it, and a simulated one."""

import asyncio
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.runtime import memory
from octostack.runtime.device import Device, FileDevice
from octostack.testing.simdevice import SimDevice
from octostack.wire.ceph.objects import PG, SNAP_HEAD, HObject, ShardPG

SIZE = 8 << 20


@pytest.fixture
def loop_device(tmp_path: Path) -> Iterator[Path]:
    """A block device."""
    if os.geteuid() or shutil.which("losetup") is None:
        pytest.skip("needs root and losetup")
    backing = tmp_path / "backing"
    backing.write_bytes(bytes(SIZE))
    made = subprocess.run(
        ["losetup", "--find", "--show", backing], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no loop devices here: {made.stderr}")
    yield Path(made.stdout.strip())
    subprocess.run(["losetup", "--detach", made.stdout.strip()], check=True)


@pytest.fixture(params=["file", "block device", "simulated"])
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Device]:
    made: Device = SimDevice(SIZE, random.Random(1))
    if request.param == "file":
        made = FileDevice(tmp_path / "block", SIZE)
    elif request.param == "block device":
        made = FileDevice(request.getfixturevalue("loop_device"))
    assert made.size == SIZE
    yield made
    made.close()


@pytest.mark.anyio
async def test_a_store_on_it(device: Device) -> None:
    """An OSD's disk may be a file or a block device; a link to either stands for it."""
    where, what = ShardPG(PG(1, 0)), HObject(b"a", snap=SNAP_HEAD, pool=1)
    data = random.Random(3).randbytes(1 << 20)
    store = BlockStore(device)
    await store.open()
    store.queue([[api.CreateCollection(where, 0), api.Write(where, what, 0, data)]])
    store.queue([[api.Write(where, what, 70_000, b"small")]])
    done = asyncio.get_running_loop().create_future()
    store.queue([[]], lambda: done.set_result(None))
    await done
    assert store.read(where, what) == data[:70_000] + b"small" + data[70_005:]
    assert store.fsck() == []


def test_what_was_written_is_read_however_it_came(device: Device) -> None:
    rng = random.Random(2)
    model = bytearray(SIZE)
    for _ in range(200):
        length = rng.choice((512, 4096, 5000, 65536, 262144))
        at = rng.randrange((SIZE - length) // 4096) * 4096
        data = rng.randbytes(length)
        aligned = memory.take_aligned(length, 0)
        aligned[:] = data
        match rng.randrange(4):
            case 0:
                device.write(at, [data])
            case 1:
                device.write(at, [aligned[:4096], aligned[4096:]])
            case 2:
                device.write_durably(at, aligned)
            case _:
                device.write(at, [aligned])
                device.sync()
        model[at : at + length] = data
        start = rng.randrange(SIZE - 70_000)
        room = memory.POOL.take(rng.randrange(1, 70_000))
        device.read_into(start, room)
        assert room == model[start : start + len(room)]
    assert device.read(0, SIZE) == model


def test_preparing_changes_nothing_that_is_there(device: Device) -> None:
    device.write(3 << 20, [b"x" * 5000])
    device.write((3 << 20) + 65536, [b"y" * 5000])
    device.prepare(1 << 20, 4 << 20)
    device.prepare(0, SIZE)
    data = device.read(0, SIZE)
    assert data.strip(b"\0") == b"x" * 5000 + bytes(65536 - 5000) + b"y" * 5000
    assert len(data) == SIZE


@pytest.mark.anyio
async def test_work_elsewhere_gives_its_result_and_its_failure(device: Device) -> None:
    assert await device.offload(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await device.offload(lambda: 1 // 0)


def test_memory_is_used_again_only_when_nobody_sees_it() -> None:
    pool = memory.Pool(kept_bytes=2 << 20)
    first = pool.take(300_000)
    first[:5] = b"first"
    part = first[1:5]
    del first
    second = pool.take(300_000)
    second[:5] = b"other"
    assert part == b"irst"
    del part
    third = pool.take(250_000)  # the first one's
    assert bytes(third[:5]) == b"first"
    assert len(third) == 250_000


def test_memory_beyond_what_is_kept_goes() -> None:
    pool = memory.Pool(kept_bytes=400_000)
    views = [pool.take(300_000) for _ in range(3)]
    assert sum(map(len, pool._slabs.values())) == 1
    assert len(views) == 3


def test_memory_begins_a_page_where_it_is_asked_to(tmp_path: Path) -> None:
    device = FileDevice(tmp_path / "block", SIZE)
    view = memory.take_aligned((1 << 20) + 37, 37)
    view[37:] = b"y" * (1 << 20)
    device.write(0, [view[37:]])
    assert device.read(0, 1 << 20) == b"y" * (1 << 20)
    device.close()
