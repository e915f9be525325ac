# SPDX-License-Identifier: Apache-2.0
"""Network alone, with an Identity whose tokens say who bears them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from octostack.testing import identity
from octostack.testing.cloud import TestCloud, running

PREFIX = "/networking/v2.0"


class Api:
    """The API as one caller sees it."""

    def __init__(self, client: httpx2.AsyncClient, token: str) -> None:
        self._client = client
        self._headers = {"x-auth-token": token}

    async def raw(self, method: str, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        """The whole answer."""
        headers = {**self._headers, **more.pop("headers", {})}
        return await self._client.request(method, PREFIX + path, json=body, headers=headers, **more)

    async def __call__(
        self, method: str, path: str, body: Any = None, *, status: int | None = None, **more: Any
    ) -> Any:
        """The decoded answer; without `status` it must be a success."""
        answer = await self.raw(method, path, body, **more)
        if status is None:
            assert answer.status_code < 300, answer.text
        else:
            assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def fails(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and type of the error."""
        answer = await self.raw(method, path, body)
        assert answer.status_code >= 400, answer.text
        return answer.status_code, answer.json()["NeutronError"]["type"]

    async def network(self, **values: Any) -> dict[str, Any]:
        return (await self("POST", "/networks", {"network": values}))["network"]

    async def subnet(self, network_id: str, cidr: str = "10.0.0.0/24", **more: Any) -> Any:
        body = {"network_id": network_id, "ip_version": 6 if ":" in cidr else 4, "cidr": cidr}
        return (await self("POST", "/subnets", {"subnet": body | more}))["subnet"]

    async def port(self, network_id: str, **more: Any) -> dict[str, Any]:
        body = {"port": {"network_id": network_id, **more}}
        return (await self("POST", "/ports", body))["port"]

    async def router(self, **values: Any) -> dict[str, Any]:
        return (await self("POST", "/routers", {"router": values}))["router"]

    async def wired(self, cidr: str = "10.0.0.0/24") -> tuple[Any, Any]:
        """A network with a subnet."""
        network = await self.network()
        return network, await self.subnet(network["id"], cidr)

    async def external(self) -> str:
        """The external network that a new cloud has."""
        found = await self("GET", "/networks?router:external=true")
        return str(found["networks"][0]["id"])

    async def connected(self, cidr: str = "10.0.0.0/24") -> tuple[Any, Any, Any]:
        """A network, its subnet, and a router from there to the outside."""
        network, subnet = await self.wired(cidr)
        outside = {"network_id": await self.external()}
        router = await self.router(external_gateway_info=outside)
        path = f"/routers/{router['id']}/add_router_interface"
        await self("PUT", path, {"subnet_id": subnet["id"]})
        return network, subnet, router


class Callers:
    """Anybody's view of one cloud."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    def __call__(self, role: str = "member", project: str | None = "p1", user: str = "u1") -> Api:
        return Api(self._client, identity.token(role, project, user))


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[TestCloud]:
    extra = [("identity", identity.build)]
    async with running(tmp_path, ["network"], extra=extra) as cloud:
        yield cloud


@pytest.fixture
async def callers(cloud: TestCloud) -> AsyncIterator[Callers]:
    async with cloud.client() as client:
        yield Callers(client)


@pytest.fixture(scope="session")
def callers_of() -> type[Callers]:
    """For tests that make their own client."""
    return Callers


@pytest.fixture
def member(callers: Callers) -> Api:
    """An ordinary member of project p1."""
    return callers()


@pytest.fixture
def admin(callers: Callers) -> Api:
    """An operator, in a project of its own."""
    return callers("admin", "ops")


@pytest.fixture
def stranger(callers: Callers) -> Api:
    """A member of another project."""
    return callers("member", "p2", "u2")
