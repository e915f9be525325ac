# SPDX-License-Identifier: Apache-2.0
"""Identity alone, freshly bootstrapped, for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from octostack.testing.cloud import TestCloud, running


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[TestCloud]:
    async with running(tmp_path, ["identity"]) as cloud:
        yield cloud


@pytest.fixture
async def admin(cloud: TestCloud) -> AsyncIterator[httpx2.AsyncClient]:
    """The operator, on the project admin."""
    async with cloud.client(await cloud.login()) as client:
        yield client


@pytest.fixture
async def demo(cloud: TestCloud) -> AsyncIterator[httpx2.AsyncClient]:
    """An ordinary member, on the project demo."""
    async with cloud.client(await cloud.login("demo", "demo")) as client:
        yield client
