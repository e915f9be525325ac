# SPDX-License-Identifier: Apache-2.0
"""The bus as a service sees it: serve a contract, call a contract, publish and subscribe."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from octostack.base import limits
from octostack.base.contract import Version
from octostack.base.errors import Unavailable
from octostack.runtime.bus import events
from octostack.runtime.bus.server import Server
from octostack.runtime.bus.shape import shape_of
from octostack.runtime.bus.stub import Peer, make
from octostack.runtime.bus.transport import Close, InProcess, Transport
from octostack.runtime.tasks import Restart, Supervisor

C = TypeVar("C")
S = TypeVar("S", bound=msgspec.Struct)

CONCURRENT_MAX = 256


class Bus:
    """One process's end of the bus; see the package's essay."""

    def __init__(self, tasks: Supervisor, transport: Transport | None = None) -> None:
        self.transport: Transport = transport or InProcess()
        self._tasks = tasks
        self._versions: dict[str, Version] = {}  # of peers, by subject, as they last answered

    async def start(self) -> None:
        """Be ready to serve and call. Raises Unavailable when the broker cannot be reached."""
        await self.transport.start()

    async def check(self) -> None:
        """Raise Unavailable when no call can go out."""
        if not self.transport.connected:
            raise Unavailable("The broker cannot be reached.", code="bus.broker")

    async def stop(self) -> None:
        """Answer what has begun, then leave."""
        await self.transport.stop()

    async def serve(
        self,
        contract: type[C],
        impl: C,
        *,
        instance: str | None = None,
        limit: int = CONCURRENT_MAX,
        queue_max: int = limits.QUEUE_MAX,
    ) -> Close:
        """Let `impl` answer calls of `contract` (of that `instance`); the result ends it.

        Several servers of one contract share its calls. At most `limit` calls run at once and
        `queue_max` wait; the next one is answered Busy.
        """
        shape = shape_of(contract)
        server = Server(shape, impl, limit, queue_max)
        return await self.transport.serve(subject_of(shape.name, instance), server.handle)

    def stub(
        self,
        contract: type[C],
        *,
        instance: str | None = None,
        timeout_s: float = limits.CALL_TIMEOUT_S,
    ) -> C:
        """Call `contract` wherever it is served; within a served call its deadline holds too."""
        made: C = make(self._peer(contract, instance, timeout_s))
        return made

    async def peer_version(self, contract: type, instance: str | None = None) -> Version:
        """The version that the other side runs now. Raises Unavailable."""
        return await self._peer(contract, instance, limits.CALL_TIMEOUT_S).ask()

    def publish(self, topic: str, event: msgspec.Struct) -> None:
        """Tell whoever listens to `topic` now; never blocks, and may be lost."""
        self.transport.publish(topic_of(topic), events.pack(event))

    async def subscribe(
        self, topic: str, handler: Callable[[S], Awaitable[None]], kind: type[S]
    ) -> Close:
        """Run `handler` for each event of `topic`, one at a time; the result ends it."""
        subscription = events.Subscription(topic, kind, handler)
        task = self._tasks.start(f"events {topic}", subscription.run, restart=Restart())
        unlisten = await self.transport.listen(topic_of(topic), subscription.put)

        async def close() -> None:
            await unlisten()
            task.cancel()

        return close

    def _peer(self, contract: type, instance: str | None, timeout_s: float) -> Peer:
        shape = shape_of(contract)
        subject = subject_of(shape.name, instance)
        return Peer(shape, self.transport, subject, timeout_s, self._versions)


def subject_of(contract: str, instance: str | None) -> str:
    """Where calls of a contract go: ``Name`` or ``Name.instance``."""
    return contract if instance is None else f"{contract}.{_token(instance)}"


def topic_of(topic: str) -> str:
    """Where events of a topic go."""
    return _token(topic)


def _token(name: str) -> str:
    """`name` as one token of a subject: dots, blanks and wildcards have a meaning there."""
    return "".join(
        c if c.isascii() and (c.isalnum() or c in "-_") else f"%{ord(c):x}" for c in name
    )
