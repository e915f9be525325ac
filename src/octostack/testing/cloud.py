# SPDX-License-Identifier: Apache-2.0
"""A cloud for tests: chosen parts in this process, spoken to over HTTP without a socket."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from octostack.apps.cloud import Cloud
from octostack.apps.parts import SERVICES
from octostack.runtime.bus import Bus, Transport
from octostack.runtime.service import Runtime
from octostack.runtime.tasks import Supervisor
from octostack.testing import backends

URL = "http://cloud.test"


class TestCloud:
    """A running cloud and its clients."""

    __test__ = False  # not a test case, whatever its name

    def __init__(self, cloud: Cloud, transport: httpx2.ASGITransport) -> None:
        self.cloud = cloud
        self.runtime = cloud.runtime
        self._transport = transport

    def client(self, token: str | None = None, **options: Any) -> httpx2.AsyncClient:
        """An HTTP client of the whole cloud, with `token` in each request."""
        headers = {"x-auth-token": token} if token else {}
        return httpx2.AsyncClient(
            transport=self._transport, base_url=URL, headers=headers, timeout=60, **options
        )

    async def login(self, user: str = "admin", project: str | None = "admin", **scope: Any) -> str:
        """A token of a bootstrap user (password by `Runtime.secrets`) for a project or `scope`."""
        password = self.runtime.secrets.text(f"{user}-password")
        return await self.password_token(user, password, project=project, **scope)

    async def password_token(
        self, user: str, password: str, *, project: str | None = None, **scope: Any
    ) -> str:
        """A token by password; `scope` is Keystone's scope object when it is not a project."""
        domain = {"id": "default"}
        auth: dict[str, Any] = {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": user, "domain": domain, "password": password}},
            }
        }
        if scope:
            auth["scope"] = scope
        elif project:
            auth["scope"] = {"project": {"name": project, "domain": domain}}
        async with self.client() as client:
            answer = await client.post("/identity/v3/auth/tokens", json={"auth": auth})
        answer.raise_for_status()
        token: str = answer.headers["x-subject-token"]
        return token


@asynccontextmanager
async def running(
    state_dir: Path,
    names: Sequence[str] = tuple(part.name for part in SERVICES),
    *,
    configs: dict[str, dict[str, Any]] | None = None,
    extra: Sequence[tuple[str, Any]] = (),
    database_url: str | None = None,
    transport: Transport | None = None,
) -> AsyncIterator[TestCloud]:
    """``async with running(tmp_path) as cloud``: the named services, then the `extra` builders.

    `configs` maps a service to its table of the configuration file; an extra is a name and an async
    function of the runtime that returns a Service, such as a simulated host.
    """
    tasks = Supervisor("test")
    runtime = Runtime(
        state_dir=state_dir,
        bus=Bus(tasks, transport or backends.transport()),
        tasks=tasks,
        public_url=URL,
        database_url=database_url or backends.database_url(state_dir),
    )
    cloud = Cloud(runtime)
    parts = [part for part in SERVICES if part.name in names]
    builders = [(p.name, p.builder((configs or {}).get(p.name, {}))) for p in parts]
    try:
        await cloud.start([*builders, *extra], _silent)
        yield TestCloud(cloud, httpx2.ASGITransport(app=cloud.front))
    finally:
        await cloud.stop()


async def _silent(_name: str) -> None:
    return None
