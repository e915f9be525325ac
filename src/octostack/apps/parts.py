# SPDX-License-Identifier: Apache-2.0
"""The parts of the cloud and how those of one process are brought up and down together."""

import importlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from octostack.base import config
from octostack.base.errors import Invalid
from octostack.contracts.identity import Caller, Identity
from octostack.runtime import health, metrics
from octostack.runtime.callers import Callers
from octostack.runtime.http.app import Asgi, asgi_app
from octostack.runtime.service import Runtime, Service
from octostack.runtime.tasks import Restart


class Part(msgspec.Struct, frozen=True):
    """Where a part is built: its module has ``Config`` and ``build(runtime, config)``."""

    name: str
    module: str

    def builder(self, table: dict[str, Any]) -> "Builder":
        """How to build the part with its table of the configuration file."""

        async def build(runtime: Runtime) -> Service:
            module = importlib.import_module(self.module)
            try:
                settings = config.parse(table, module.Config)
            except Invalid as e:
                raise Invalid(f"[{self.name}] {e.message}", code=e.code) from e
            service: Service = await module.build(runtime, settings)
            return service

        return build


# In the order of their building: a part may call only those before it while it is built.
SERVICES = (
    Part("identity", "octostack.services.identity.service"),
    Part("placement", "octostack.services.placement.service"),
    Part("image", "octostack.services.image.service"),
    Part("network", "octostack.services.network.service"),
    Part("compute", "octostack.services.compute.service"),
)

# What runs on a host; a simulated one shares the state code of the real one.
HOST = (
    Part("network_agent", "octostack.agents.network.service"),
    Part("compute_agent", "octostack.agents.compute.service"),
)
SIMULATED_HOSTS = (
    Part("network_agent", "octostack.agents.network.simulated"),
    Part("compute_agent", "octostack.agents.compute.simulated"),
)

Builder = Callable[[Runtime], Awaitable[Service]]
Progress = Callable[[str], None]


class Cloud:
    """Some parts in one process, on one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.services: list[Service] = []
        self.callers = Callers(runtime.bus.stub(Identity))
        runtime.on_tokens_changed.append(self.callers.forget)

    async def authenticate(self, token: str) -> Caller:
        """For the HTTP layer: who holds `token`. Raises Unauthorized."""
        return await self.callers.get(token)

    async def start(
        self,
        builders: Iterable[tuple[str, Builder]],
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
            await service.begin(self.runtime)

    def app(self) -> Asgi:
        """The HTTP application of every API in this process."""
        apis = [api for service in self.services for api in service.apis]
        return asgi_app([*apis, health.api(self.runtime.health)], self, metrics.request)

    async def stop(self) -> None:
        """Let each part finish, the last built first."""
        for service in reversed(self.services):
            if service.stop is not None:
                await service.stop()
        await self.runtime.close()

    async def _watch(self) -> None:
        while True:
            await self.callers.watch()


def host_modules() -> list[Any]:
    """The modules of what runs on a host; each has ``host_stop`` and ``host_remove``."""
    return [importlib.import_module(part.module) for part in HOST]
