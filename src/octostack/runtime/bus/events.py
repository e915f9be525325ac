# SPDX-License-Identifier: Apache-2.0
"""Events: hints that something changed, at most once, to whoever listens now.

A listener that is too slow loses the oldest hints, counted. Nothing may depend on an event
arriving: a loop that reads the state afresh makes it right. Events say *that*, seldom *what*.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from octostack.base import limits, log
from octostack.runtime import metrics

_log = log.get("bus")


class Event(msgspec.Struct, array_like=True, frozen=True):
    """An event on its way: the request that caused it, and what it says."""

    request_id: str
    body: msgspec.Raw


_encoder = msgspec.msgpack.Encoder()
_decode = msgspec.msgpack.Decoder(Event).decode


def pack(event: msgspec.Struct) -> bytes:
    """The bytes of `event`, with the request id of the task that publishes it."""
    body = msgspec.Raw(_encoder.encode(event))
    return _encoder.encode(Event(log.request_id.get(), body))


class Subscription:
    """A bounded queue in front of one handler."""

    def __init__(self, topic: str, kind: Any, handler: Callable[[Any], Awaitable[None]]) -> None:
        self.topic = topic
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._handler = handler
        self._queue: deque[bytes] = deque()
        self._ready = asyncio.Event()

    def put(self, data: bytes) -> None:
        """Queue one event; the oldest gives way."""
        if len(self._queue) >= limits.QUEUE_MAX:
            self._queue.popleft()
            metrics.event_dropped(self.topic)
        self._queue.append(data)
        self._ready.set()

    async def run(self) -> None:
        """Hand events to the handler, one after the other; its errors are logged."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._queue:
                await self._handle(self._queue.popleft())

    async def _handle(self, data: bytes) -> None:
        try:
            event = _decode(data)
            body = self._decode(event.body)
        except msgspec.MsgspecError as error:
            _log.warning("event unreadable", topic=self.topic, error=str(error))
            return
        token = log.request_id.set(event.request_id)
        try:
            await self._handler(body)
        except Exception:  # one handler must not stop the others
            _log.exception("event handler failed", topic=self.topic)
        finally:
            log.request_id.reset(token)
