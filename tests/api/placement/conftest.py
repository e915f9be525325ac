# SPDX-License-Identifier: Apache-2.0
"""Placement alone, with an Identity that takes tokens at their word."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from octostack.base import ids
from octostack.testing import identity
from octostack.testing.cloud import TestCloud, running


class Client:
    """Asks at a microversion; remembers nothing but the token."""

    def __init__(self, http: httpx2.AsyncClient, version: str = "1.39") -> None:
        self.http = http
        self.version = version

    async def ask(
        self, method: str, path: str, body: Any = None, *, version: str | None = None
    ) -> httpx2.Response:
        """The answer, whatever it is."""
        headers = {"openstack-api-version": f"placement {version or self.version}"}
        return await self.http.request(method, "/placement" + path, json=body, headers=headers)

    async def get(self, path: str, *, version: str | None = None) -> Any:
        """The JSON of a good answer."""
        answer = await self.ask("GET", path, version=version)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def put(self, path: str, body: Any = None, *, version: str | None = None) -> Any:
        """The JSON of a good answer, if it has any."""
        answer = await self.ask("PUT", path, body, version=version)
        assert answer.status_code in (200, 201, 204), answer.text
        return answer.json() if answer.content else None

    async def provider(
        self, name: str, parent: str | None = None, **has: int | dict[str, Any]
    ) -> str:
        """A new provider with inventories by class; its id."""
        body = {"name": name, "uuid": ids.new(), "parent_provider_uuid": parent}
        answer = await self.ask("POST", "/resource_providers", body)
        assert answer.status_code == 200, answer.text
        uuid: str = answer.json()["uuid"]
        inventories = {c: {"total": n} if isinstance(n, int) else n for c, n in has.items()}
        await self.put(
            f"/resource_providers/{uuid}/inventories",
            {"resource_provider_generation": 0, "inventories": inventories},
        )
        return uuid

    async def claim(
        self, consumer: str, allocations: dict[str, dict[str, int]], **more: Any
    ) -> httpx2.Response:
        """PUT of a consumer's allocations."""
        body = {
            "allocations": {uuid: {"resources": r} for uuid, r in allocations.items()},
            "project_id": "p1",
            "user_id": "u1",
            "consumer_generation": None,
            "consumer_type": "INSTANCE",
        }
        return await self.ask("PUT", f"/allocations/{consumer}", body | more)


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[TestCloud]:
    async with running(tmp_path, ["placement"], extra=[("identity", identity.build)]) as cloud:
        yield cloud


@pytest.fixture
async def admin(cloud: TestCloud) -> AsyncIterator[Client]:
    """An operator at the newest microversion."""
    async with cloud.client(identity.token("admin")) as http:
        yield Client(http)
