# SPDX-License-Identifier: Apache-2.0
"""What carries the bus's bytes: in the process, over a broker, or over a simulated network.

A subject names a contract, or a contract on one instance. A transport knows nothing of what is in
the bytes. `tests/contract/bus` runs one suite on every implementation.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from octostack.base.errors import Unavailable

Handler = Callable[[bytes], Awaitable[bytes]]
Listener = Callable[[bytes], None]
Close = Callable[[], Awaitable[None]]

E = TypeVar("E")


class Transport(Protocol):
    """Calls to one server of a subject, and events to every listener of a topic."""

    async def start(self) -> None:
        """Be ready to carry. Raises Unavailable."""

    @property
    def connected(self) -> bool:
        """Whether a call has a chance now."""

    async def stop(self) -> None:
        """Finish what is being answered, then carry no more."""

    async def serve(self, subject: str, handler: Handler) -> Close:
        """Answer calls; several servers of one subject share them. The result ends it."""

    async def call(self, subject: str, request: bytes, timeout_s: float) -> bytes:
        """The answer. Raises Unavailable when nobody serves it, Timeout, TooLarge."""

    def publish(self, topic: str, event: bytes) -> None:
        """Send to whoever listens now; never blocks, may be lost."""

    async def listen(self, topic: str, listener: Listener) -> Close:
        """Give each event of `topic` to `listener`, which must not block."""


class InProcess:
    """Servers and callers in one event loop: the call runs in the caller's task."""

    def __init__(self) -> None:
        self._servers: dict[str, list[Handler]] = {}
        self._listeners: dict[str, list[Listener]] = {}

    async def start(self) -> None:
        """Nothing to connect to."""

    @property
    def connected(self) -> bool:
        """Always."""
        return True

    async def stop(self) -> None:
        """Forget everyone."""
        self._servers.clear()
        self._listeners.clear()

    async def serve(self, subject: str, handler: Handler) -> Close:
        """Answer calls; several servers of one subject take turns."""
        return _register(self._servers, subject, handler)

    async def call(self, subject: str, request: bytes, timeout_s: float) -> bytes:
        """The answer; the server keeps the deadline, which is in the request."""
        handlers = self._servers.get(subject)
        if not handlers:
            raise Unavailable(f"Nobody serves {subject}.", code="bus.no_server")
        if len(handlers) > 1:
            handlers.append(handlers.pop(0))
        return await handlers[0](request)

    def publish(self, topic: str, event: bytes) -> None:
        """Give the event to every listener at once."""
        for listener in tuple(self._listeners.get(topic, ())):
            listener(event)

    async def listen(self, topic: str, listener: Listener) -> Close:
        """Give each event of `topic` to `listener`."""
        return _register(self._listeners, topic, listener)


def _register(book: dict[str, list[E]], key: str, entry: E) -> Close:
    entries = book.setdefault(key, [])
    entries.append(entry)

    async def close() -> None:
        if entry in entries:
            entries.remove(entry)

    return close
