# SPDX-License-Identifier: Apache-2.0
"""Two Identity processes on one database: what one changes, the other knows at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from octostack.apps.cloud import Cloud
from octostack.apps.parts import SERVICES
from octostack.runtime.bus import Bus, InProcess
from octostack.runtime.service import Runtime
from octostack.runtime.tasks import Supervisor
from octostack.testing import backends
from octostack.testing.cloud import URL, TestCloud

pytestmark = pytest.mark.anyio

V3 = "/identity/v3"
TICKS = 50  # of the event loop, in which no time that anything waits for passes


async def _process(directory: Path, transport: InProcess) -> TestCloud:
    tasks = Supervisor("test")
    runtime = Runtime(
        state_dir=directory,
        bus=Bus(tasks, transport),
        tasks=tasks,
        public_url=URL,
        database_url=backends.database_url(directory),
    )
    cloud = Cloud(runtime)
    (part,) = [part for part in SERVICES if part.name == "identity"]

    async def progress(_name: str) -> None:
        return None

    await cloud.start([("identity", part.builder({}))], progress)
    return TestCloud(cloud, httpx2.ASGITransport(app=cloud.front))


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[tuple[TestCloud, TestCloud]]:
    transport = InProcess()
    first, second = await _process(tmp_path, transport), await _process(tmp_path, transport)
    yield first, second
    await second.cloud.stop()
    await first.cloud.stop()


async def _told() -> None:
    for _ in range(TICKS):
        await asyncio.sleep(0)


async def test_a_token_revoked_in_one_is_refused_by_the_other(two: Any) -> None:
    first, second = two
    token = await first.login("demo", "demo")
    async with first.client(token) as here, second.client(token) as there:
        assert (await there.get(f"{V3}/auth/projects")).status_code == 200
        gone = await here.delete(f"{V3}/auth/tokens", headers={"x-subject-token": token})
        assert gone.status_code == 204
        await _told()
        assert (await there.get(f"{V3}/auth/projects")).status_code == 401


async def test_a_role_taken_in_one_is_gone_in_the_other(two: Any) -> None:
    first, second = two
    token = await second.login("demo", "demo")
    async with first.client(await first.login()) as admin, second.client(token) as there:
        assert (await there.get(f"{V3}/auth/projects")).status_code == 200
        assignments = (await admin.get(f"{V3}/role_assignments?include_names=1")).json()
        for one in assignments["role_assignments"]:
            if one["user"]["name"] == "demo":
                await admin.delete(one["links"]["assignment"])
        await _told()
        assert (await there.get(f"{V3}/auth/projects")).status_code == 401
