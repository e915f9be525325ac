# SPDX-License-Identifier: Apache-2.0
"""Compute with a real Placement, and images, networks and hosts in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from octostack.apps.parts import SIMULATED_HOSTS
from octostack.testing import identity
from octostack.testing.cloud import TestCloud, running
from octostack.testing.compute import Neighbours
from octostack.testing.compute_client import ComputeClient as Api


@pytest.fixture
def neighbours() -> Neighbours:
    return Neighbours()


@pytest.fixture
async def cloud(tmp_path: Path, neighbours: Neighbours) -> AsyncIterator[TestCloud]:
    extra = [("identity", identity.build), ("image", neighbours.build_images),
             ("network", neighbours.build_network), ("hosts", neighbours.build_hosts)]  # fmt: skip
    async with running(tmp_path, ["placement", "compute"], extra=extra) as cloud:
        yield cloud


@pytest.fixture
async def as_user(cloud: TestCloud) -> AsyncIterator[Callable[..., Awaitable[Api]]]:
    clients: list[httpx2.AsyncClient] = []

    async def make(role: str, project: str | None = "p1", user: str = "u1") -> Api:
        clients.append(cloud.client(identity.token(role, project, user)))
        return Api(clients[-1])

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
async def admin(as_user: Callable[..., Awaitable[Api]]) -> Api:
    return await as_user("admin", "ops", "root")


@pytest.fixture
async def member(as_user: Callable[..., Awaitable[Api]]) -> Api:
    return await as_user("member")


@pytest.fixture
def image(neighbours: Neighbours) -> str:
    return neighbours.images.add()


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[TestCloud]:
    """Every real service, and one simulated host with the real agents' code."""
    hosts = [(part.name, part.builder({"hosts": 1})) for part in SIMULATED_HOSTS]
    async with running(tmp_path, extra=hosts) as cloud:
        yield cloud


@pytest.fixture
async def demo(whole: TestCloud) -> AsyncIterator[Api]:
    """An ordinary member there, who speaks no microversions."""
    async with whole.client(await whole.login("demo", "demo")) as client:
        yield Api(client, "2.1")


@pytest.fixture
async def operator(whole: TestCloud) -> AsyncIterator[Api]:
    async with whole.client(await whole.login()) as client:
        yield Api(client, "2.1")
