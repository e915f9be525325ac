# SPDX-License-Identifier: Apache-2.0
"""Some parts of the cloud in one process, brought up and down together."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from octostack.apps import neighbours
from octostack.apps.parts import Builder
from octostack.contracts.identity import CHANGED, Caller, Identity, TokensChanged
from octostack.runtime import health, metrics
from octostack.runtime.callers import Callers
from octostack.runtime.http.front import Front
from octostack.runtime.service import Runtime, Service

Progress = Callable[[str], Awaitable[None]]  # which part was built


class Cloud:
    """Some parts in one process, on one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.services: list[Service] = []
        self.callers = Callers(runtime.bus.stub(Identity))
        runtime.on_tokens_changed.append(self.callers.forget)
        self.front = Front(self, metrics.request)
        self.front.open([health.api(runtime.health)])

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

        Parts `elsewhere` come first: those built here may call them. The API of a part that has
        nothing to start opens when it is built, so that a token is there early; the others open
        when they have begun.
        """
        await self.runtime.bus.start()
        await neighbours.meet(self.runtime.bus, elsewhere)
        for name, build in builders:
            service = await build(self.runtime)
            await service.serve(self.runtime.bus)
            self.services.append(service)
            if service.start is None:
                self.front.open(service.apis)
            await progress(name)
        await self.runtime.bus.subscribe(CHANGED, self._tokens_changed, TokensChanged)
        for service in self.services:
            await service.begin(self.runtime)
            if service.start is not None:
                self.front.open(service.apis)

    async def stop(self) -> None:
        """Let each part finish, the last built first."""
        for service in reversed(self.services):
            if service.stop is not None:
                await service.stop()
        await self.runtime.close()

    async def _tokens_changed(self, _event: TokensChanged) -> None:
        self.callers.forget()
