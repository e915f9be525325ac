# SPDX-License-Identifier: Apache-2.0
"""Each implementation of the object store, for one suite."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore
from octostack.runtime.device import FileDevice
from octostack.testing.simdevice import SimDevice

Commit = Callable[..., Awaitable[None]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["memory", "file", "simulated"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[api.ObjectStore]:
    made: api.ObjectStore
    if request.param == "memory":
        made = MemoryStore(capacity=32 << 20)
    elif request.param == "file":
        made = BlockStore(FileDevice(tmp_path / "block", 32 << 20))
    else:
        made = BlockStore(SimDevice(32 << 20, random.Random(1)))
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def commit(store: api.ObjectStore) -> Commit:
    async def queue(*changes: api.Change) -> None:
        durable = asyncio.get_running_loop().create_future()
        store.queue([changes], lambda: durable.set_result(None))
        await durable

    return queue
