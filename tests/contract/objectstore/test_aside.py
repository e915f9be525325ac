# SPDX-License-Identifier: Apache-2.0
"""What is large is read while others go on, and nothing of that is seen."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from octostack.base.errors import Corrupt, NotFound
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.engines.ceph.osd.requests import Op
from octostack.runtime.device import FileDevice
from octostack.testing.osd import Client, copy_alone, extent
from octostack.testing.simdevice import SimDevice
from octostack.wire.ceph.objects import PG, SNAP_HEAD, HObject, ShardPG
from octostack.wire.ceph.opcodes import Code

pytestmark = pytest.mark.anyio

C = ShardPG(PG(1, 0))
ONE, TWO = HObject(b"one", hash=1, pool=1), HObject(b"two", hash=2, pool=1)
LONG = 300_000
DATA = random.Random(1).randbytes(LONG)
Commit = Callable[..., Awaitable[None]]


async def read_aside(store: api.ObjectStore, what: HObject, *span: int) -> Any:
    found = asyncio.get_running_loop().create_future()
    store.read_aside(C, what, (span[0], span[1]), found.set_result)
    return await found


async def test_what_is_read_aside_is_what_is_there(store: api.ObjectStore, commit: Commit) -> None:
    await commit(api.CreateCollection(C), api.Write(C, ONE, 0, DATA))
    for span in ((0, LONG), (5000, 200_000), (4096, 8192), (LONG - 10, 100), (LONG, 10)):
        assert bytes(await read_aside(store, ONE, *span)) == DATA[span[0] :][: span[1]]
    store.queue([[api.Write(C, ONE, 1000, b"x" * 100_000)]])  # on its way to the disk
    expected = DATA[:1000] + b"x" * 100_000 + DATA[101_000:]
    assert bytes(await read_aside(store, ONE, 0, LONG)) == expected
    with pytest.raises(NotFound):
        store.read_aside(C, TWO, (0, LONG), print)


async def test_an_object_that_changes_meanwhile_is_read_as_it_was_or_is(
    store: api.ObjectStore, commit: Commit
) -> None:
    """Its blocks go to another object in the meantime, or get other contents."""
    other = random.Random(2).randbytes(LONG)
    await commit(api.CreateCollection(C), api.Write(C, ONE, 0, DATA))
    for change in (api.Write(C, ONE, 0, other), api.Write(C, ONE, 0, b"y" * 4096)):
        before = store.read(C, ONE)
        reads = [asyncio.create_task(read_aside(store, ONE, 0, LONG)) for _ in range(8)]
        await asyncio.sleep(0)
        await commit(change)
        await commit(api.Write(C, TWO, 0, DATA), api.Remove(C, TWO))
        after = store.read(C, ONE)
        for read in reads:
            assert bytes(await read) in (before, after)


async def test_damage_is_found(tmp_path: Path) -> None:
    device = FileDevice(tmp_path / "block", 32 << 20)
    store = BlockStore(device)
    await store.open()
    written = asyncio.get_running_loop().create_future()
    changes = [api.CreateCollection(C), api.Write(C, ONE, 0, DATA)]
    store.queue([changes], lambda: written.set_result(None))
    await written
    image = device.read(0, device.size)
    at = image.index(DATA[100 * 1024 : 100 * 1024 + 64])
    device.write(at, [bytes([image[at] ^ 1])])
    found = await read_aside(store, ONE, 0, LONG)
    assert isinstance(found, Corrupt)
    assert found.code == "objectstore.block"
    assert bytes(await read_aside(store, ONE, 0, 90_000)) == DATA[:90_000]
    await store.close()


class _Held(SimDevice):
    """Reads nothing aside until it may."""

    gate: asyncio.Event

    async def offload(self, work: Callable[[], Any], *, aside: bool = False) -> Any:
        if aside:
            await self.gate.wait()
        return work()


async def test_answers_about_an_object_keep_their_order() -> None:
    """Who reads much of it is answered before who writes it later, and reads what was there; other
    objects do not wait."""
    device = _Held(32 << 20, random.Random(1))
    device.gate = asyncio.Event()
    store = BlockStore(device)
    await store.open()
    group = copy_alone(store, C).group
    client = Client(group.submit)
    one, two = (msgspec.structs.replace(what, snap=SNAP_HEAD) for what in (ONE, TWO))
    said: list[Any] = []
    last = asyncio.Event()

    def ask(name: str, what: HObject, operation: Op) -> None:
        request = client.request(what, operation)
        group.submit(request, lambda reply: said.append((name, bytes(reply.outputs[0]))))

    ask("put", one, extent(Code.WRITE_FULL, payload=DATA))
    while not said:  # noqa: ASYNC110 - the store says when
        await asyncio.sleep(0)
    ask("long", one, extent(Code.READ))
    ask("over", one, extent(Code.WRITE_FULL, payload=b"new"))
    ask("short", one, extent(Code.READ, 0, 3))
    ask("other", two, extent(Code.WRITE_FULL, payload=b"other"))
    group.submit(
        client.request(two, extent(Code.READ, 0, 9)),
        lambda reply: (said.append(("its", bytes(reply.outputs[0]))), last.set()),
    )
    await last.wait()
    assert [name for name, _ in said] == ["put", "other", "its"]
    last.clear()
    device.gate.set()
    ask("end", one, extent(Code.READ, 0, 3))
    while len(said) < 7:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert said[3:] == [("long", DATA), ("over", b""), ("short", b"new"), ("end", b"new")]
    await store.close()
