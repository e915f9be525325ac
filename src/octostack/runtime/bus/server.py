# SPDX-License-Identifier: Apache-2.0
"""The serving side: bytes to a method of the implementation and back, within bounds.

At most `limit` calls of a contract run at once and `queue_max` wait; one more is Busy at once,
for a caller that knows can go elsewhere. The caller's deadline ends the work here as well.
"""

import asyncio
from contextvars import ContextVar
from typing import Any

import msgspec

from octostack.base import log
from octostack.base.errors import Busy, Invalid, OctoError, Timeout, Unsupported
from octostack.runtime import metrics
from octostack.runtime.bus.shape import Method, Shape
from octostack.wire import bus as wire

VERSION_METHOD = "_version"
TRACE_HOPS_MAX = 16

# Of the call being served in this task: when it must be over (loop time), and its way here.
deadline: ContextVar[float] = ContextVar("bus_deadline", default=float("inf"))
trace: ContextVar[str] = ContextVar("bus_trace", default="")

_log = log.get("bus")
_encode = wire.encoder.encode


class Server:
    """One contract served by one implementation."""

    def __init__(self, shape: Shape, impl: Any, limit: int, queue_max: int) -> None:
        self._shape = shape
        self._limit = limit
        self._queue_max = queue_max
        self._running = 0
        self._queued = 0
        self._slots = asyncio.Semaphore(limit)
        self._table: dict[str, tuple[Method, Any]] = {
            name: (method, getattr(impl, name)) for name, method in shape.methods.items()
        }

    async def handle(self, request: bytes) -> bytes:
        """Answer one call; every failure becomes an answer, only cancellation passes."""
        method_name = "?"
        try:
            call = wire.decode_call(request)
            method_name = call.method if call.method in self._table else "?"
            answer = await self._admit(call)
            metrics.bus_calls(self._shape.name, method_name, "ok").inc()
            return answer
        except msgspec.MsgspecError as error:
            failure = Invalid(f"The call cannot be read: {error}", code="bus.request")
            return self._fail(method_name, failure)
        except OctoError as error:
            return self._fail(method_name, error)
        except Exception:  # a peer gets an answer whatever the callee did
            # The text of an unknown error may hold anything, a secret too: it stays in our log.
            _log.exception("call failed", contract=self._shape.name, method=method_name)
            internal = OctoError("The other side failed; its log says why.", code="bus.internal")
            return self._fail(method_name, internal)

    async def _admit(self, call: wire.Call) -> bytes:
        """Within the bounds and the deadline, both of which count the time in the queue."""
        if self._slots.locked() and self._queued >= self._queue_max:
            raise Busy(f"{self._shape.name} has too many calls waiting.", code="bus.busy")
        over = asyncio.get_running_loop().time() + call.timeout_s
        try:
            async with asyncio.timeout_at(over) as scope:
                self._queued += 1
                try:
                    await self._slots.acquire()
                finally:
                    self._queued -= 1
                try:
                    return await self._dispatch(call, over)
                finally:
                    self._slots.release()
        except TimeoutError:
            if not scope.expired():
                raise  # the implementation's own
            what = f"{self._shape.name}.{call.method} took more than {call.timeout_s:.3g} s."
            raise Timeout(what, code="bus.timeout") from None

    async def _dispatch(self, call: wire.Call, over: float) -> bytes:
        if call.version[0] != self._shape.version[0]:
            what = f"{self._shape.name}: version {call.version} meets {self._shape.version}."
            raise Unsupported(what, code="bus.major")
        if call.method == VERSION_METHOD:
            return _encode(wire.Answer(self._shape.version))
        entry = self._table.get(call.method)
        if entry is None:
            what = f"{self._shape.name} {self._shape.version} has no {call.method}."
            raise Unsupported(what, code="bus.peer_too_old", method=call.method)
        if call.trace.count(">") >= TRACE_HOPS_MAX:
            raise OctoError(f"Calls go in a circle: {call.trace}", code="bus.circle")
        method, function = entry
        args = method.decode_args(call.body)
        tokens = log.request_id.set(call.request_id), deadline.set(over), trace.set(call.trace)
        try:
            result = await function(*[getattr(args, name) for name in method.params])
        finally:
            # In the process this is the caller's own task: leave its context as it was.
            log.request_id.reset(tokens[0])
            deadline.reset(tokens[1])
            trace.reset(tokens[2])
        if result is None:
            return _encode(wire.Answer(self._shape.version))
        return _encode(wire.Answer(self._shape.version, msgspec.Raw(_encode(result))))

    def _fail(self, method: str, error: OctoError) -> bytes:
        metrics.bus_calls(self._shape.name, method, error.kind).inc()
        return _encode(wire.Answer(self._shape.version, failure=wire.failure_of(error)))
