# SPDX-License-Identifier: Apache-2.0
"""The parts of the cloud and how those of one process are brought up and down together."""

import importlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from octostack.contracts.identity import Caller, Identity
from octostack.runtime.callers import Callers
from octostack.runtime.http.app import Asgi, asgi_app
from octostack.runtime.service import Runtime, Service
from octostack.runtime.tasks import Restart


class Part(msgspec.Struct, frozen=True):
    """Where a part is built: its module has ``Config`` and ``build(runtime, config)``."""

    name: str
    module: str

    def config_type(self) -> Any:
        """The part's table in the configuration file."""
        return importlib.import_module(self.module).Config

    async def build(self, runtime: Runtime, config: Any) -> Service:
        """The part, ready to serve."""
        service: Service = await importlib.import_module(self.module).build(runtime, config)
        return service


# In the order of their building: a part may call only those before it while it is built.
SERVICES = (
    Part("identity", "octostack.services.identity.service"),
    Part("placement", "octostack.services.placement.service"),
    Part("image", "octostack.services.image.service"),
    Part("network", "octostack.services.network.service"),
    Part("compute", "octostack.services.compute.service"),
)

Progress = Callable[[str], None]


class Cloud:
    """Some parts in one process, on one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.services: list[Service] = []
        self.callers = Callers(runtime.bus.stub(Identity))

    async def authenticate(self, token: str) -> Caller:
        """For the HTTP layer: who holds `token`. Raises Unauthorized."""
        return await self.callers.get(token)

    async def start(
        self,
        builders: Iterable[tuple[str, Callable[[Runtime], Awaitable[Service]]]],
        progress: Progress,
    ) -> None:
        """Build and serve each part in turn, then let all of them work."""
        await self.runtime.bus.start()
        for name, build in builders:
            service = await build(self.runtime)
            await service.serve(self.runtime.bus)
            self.services.append(service)
            progress(name)
        self.runtime.tasks.start("callers", self._watch, restart=Restart())
        for service in self.services:
            await service.begin(self.runtime.tasks)

    def app(self) -> Asgi:
        """The HTTP application of every API in this process."""
        return asgi_app([api for service in self.services for api in service.apis], self)

    async def stop(self) -> None:
        """Let each part finish, the last built first."""
        for service in reversed(self.services):
            if service.stop is not None:
                await service.stop()
        await self.runtime.close()

    async def _watch(self) -> None:
        while True:
            await self.callers.watch()
