# SPDX-License-Identifier: Apache-2.0
"""Each implementation of the object store, for one suite."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore

Commit = Callable[..., Awaitable[None]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[api.ObjectStore]:
    made = MemoryStore(capacity=32 << 20)
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
