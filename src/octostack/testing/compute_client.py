# SPDX-License-Identifier: Apache-2.0
"""Compute's API for tests, spoken to without a client library."""

import asyncio
from typing import Any

import httpx2

LATEST = "2.96"


class ComputeClient:
    """Compute as one caller at one version sees it."""

    def __init__(self, client: httpx2.AsyncClient, version: str = LATEST) -> None:
        self.client = client
        self.version = version

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        status: int | None = None,
        version: str | None = None,
    ) -> Any:
        """The decoded answer; `status` is asserted where it is given."""
        answer = await self.raw(method, path, body, version=version)
        if status is not None:
            assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def raw(
        self, method: str, path: str, body: Any = None, *, version: str | None = None
    ) -> httpx2.Response:
        """The whole answer."""
        headers = {"openstack-api-version": f"compute {version or self.version}"}
        url = "/compute/v2.1" + path
        return await self.client.request(method, url, json=body, headers=headers)

    async def boot(self, image: str, **more: Any) -> str:
        """A server that is ACTIVE; its id."""
        server = {"name": "s", "flavorRef": "1", "imageRef": image, "networks": "none"} | more
        made = await self("POST", "/servers", {"server": server}, status=202)
        server_id: str = made["server"]["id"]
        await self.until(server_id, "ACTIVE")
        return server_id

    async def until(self, server_id: str, wanted: str) -> dict[str, Any]:
        """Wait for a status."""
        give_up = asyncio.get_running_loop().time() + 20
        while asyncio.get_running_loop().time() < give_up:
            answer = await self.raw("GET", f"/servers/{server_id}")
            if answer.status_code == 404 and wanted == "gone":
                return {}
            server: dict[str, Any] = answer.json()["server"]
            if server["status"] == wanted and server["OS-EXT-STS:task_state"] is None:
                return server
            assert wanted in ("ERROR", "gone") or server["status"] != "ERROR", server
            await asyncio.sleep(0)
        raise AssertionError(f"never {wanted}: {server}")
