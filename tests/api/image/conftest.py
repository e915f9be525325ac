# SPDX-License-Identifier: Apache-2.0
"""Image alone, with an Identity that takes tokens at their word."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from octostack.services.image.service import Config
from octostack.testing import identity
from octostack.testing.cloud import TestCloud, running

PATCH_TYPE = {"content-type": "application/openstack-images-v2.1-json-patch"}
DATA_TYPE = {"content-type": "application/octet-stream"}


class User:
    """One caller of the API."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The answer, whatever it is."""
        return await self.http.request(method, "/image/v2" + path, json=body, **options)

    async def make(self, **fields: Any) -> str:
        """A new image; its id."""
        body = {"name": "x", "disk_format": "raw", "container_format": "bare"} | fields
        answer = await self.ask("POST", "/images", body)
        assert answer.status_code == 201, answer.text
        image_id: str = answer.json()["id"]
        return image_id

    async def upload(self, image_id: str, data: Any, **headers: str) -> Any:
        """The answer to a PUT of the data."""
        path = f"/image/v2/images/{image_id}/file"
        return await self.http.put(path, content=data, headers=DATA_TYPE | headers)

    async def filled(self, data: bytes = b"some bytes", **fields: Any) -> str:
        """A new image with data; its id."""
        image_id = await self.make(**fields)
        answer = await self.upload(image_id, data)
        assert answer.status_code == 204, answer.text
        return image_id

    async def show(self, image_id: str) -> Any:
        """The image."""
        answer = await self.ask("GET", f"/images/{image_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def names(self, query: str = "") -> list[str]:
        """The names of a list, in order."""
        answer = await self.ask("GET", f"/images?{query}")
        assert answer.status_code == 200, answer.text
        return [image["name"] for image in answer.json()["images"]]

    async def patch(self, image_id: str, *changes: Any) -> Any:
        """The answer to a JSON patch of (op, name, value)."""
        body = [
            {"op": op, "path": f"/{name}"} | ({} if op == "remove" else {"value": value})
            for op, name, value in changes
        ]
        path = f"/image/v2/images/{image_id}"
        return await self.http.request("PATCH", path, json=body, headers=PATCH_TYPE)


@pytest.fixture
def image_config() -> Config:
    """The service's settings; a test file may override it."""
    return Config()


@pytest.fixture
async def cloud(tmp_path: Path, image_config: Config) -> AsyncIterator[TestCloud]:
    extra = [("identity", identity.build)]
    configs = {"image": image_config}
    async with running(tmp_path, ["image"], configs=configs, extra=extra) as cloud:
        yield cloud


@pytest.fixture
async def user(cloud: TestCloud) -> AsyncIterator[Callable[..., User]]:
    """``user("member", "p1")``: a caller with that role in that project."""
    clients: dict[tuple[str, str | None], httpx2.AsyncClient] = {}

    def one(role: str = "member", project: str | None = "p1") -> User:
        if (role, project) not in clients:
            clients[role, project] = cloud.client(identity.token(role, project))
        return User(clients[role, project])

    yield one
    for http in clients.values():
        await http.aclose()
