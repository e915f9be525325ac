# SPDX-License-Identifier: Apache-2.0
"""Some parts of the cloud in one process, brought up and down together."""

from collections.abc import Callable, Iterable, Sequence

from octostack.apps import neighbours
from octostack.apps.parts import Builder
from octostack.contracts.identity import Caller, Identity
from octostack.runtime import health, metrics
from octostack.runtime.callers import Callers
from octostack.runtime.http.app import Asgi, asgi_app
from octostack.runtime.service import Runtime, Service
from octostack.runtime.tasks import Restart

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
        elsewhere: Sequence[str] = (),
    ) -> None:
        """Build and serve each part in turn, then let all of them work.

        Parts `elsewhere` come first: those built here may call them.
        """
        await self.runtime.bus.start()
        await neighbours.meet(self.runtime.bus, elsewhere)
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
