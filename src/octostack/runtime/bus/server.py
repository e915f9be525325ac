# SPDX-License-Identifier: Apache-2.0
"""The serving side: bytes to a method of the implementation and back, within bounds.

At most `limit` calls of a contract run at once and `queue_max` wait; one more is Busy at once,
for a caller that knows can go elsewhere. The caller's deadline ends the work here as well.
"""

import asyncio
from typing import Any

import msgspec

from octostack.base import log
from octostack.base.errors import Invalid, OctoError, Unsupported
from octostack.runtime import metrics, scopes
from octostack.runtime.bus.gate import Gate
from octostack.runtime.bus.shape import Method, Shape
from octostack.wire import bus as wire

VERSION_METHOD = "_version"
TRACE_HOPS_MAX = 16

_log = log.get("bus")
_encode = wire.encoder.encode


class _Entry:
    """One method as it is served: its codecs, the bound implementation, its counter."""

    __slots__ = ("decode_args", "function", "params", "served")

    def __init__(self, contract: str, method: Method, function: Any) -> None:
        self.served = metrics.CALLS.row(contract, method.name, "ok")
        self.decode_args = method.decode_args
        self.params = method.params
        self.function = function


class Server:
    """One contract served by one implementation."""

    def __init__(self, shape: Shape, impl: Any, limit: int, queue_max: int) -> None:
        self._name = shape.name
        self._version = shape.version
        self._gate = Gate(shape.name, limit, queue_max)
        self._table = {
            name: _Entry(shape.name, method, getattr(impl, name))
            for name, method in shape.methods.items()
        }

    async def handle(self, request: bytes) -> bytes:
        """Answer one call; every failure becomes an answer, only cancellation passes."""
        method = "?"
        try:
            call = wire.decode_call(request)
            method = call.method if call.method in self._table else "?"
            # The bound and the deadline count the time in the queue.
            over = asyncio.get_running_loop().time() + call.timeout_s
            gate = self._gate
            item = gate.enter(over) or await gate.wait(over)
            try:
                return await self._dispatch(call, over)
            finally:
                gate.leave(item)
        except msgspec.MsgspecError as error:
            failure = Invalid(f"The call cannot be read: {error}", code="bus.request")
            return self._fail(method, failure)
        except OctoError as error:
            return self._fail(method, error)
        except Exception:  # a peer gets an answer whatever the callee did
            # The text of an unknown error may hold anything, a secret too: it stays in our log.
            _log.exception("call failed", contract=self._name, method=method)
            internal = OctoError("The other side failed; its log says why.", code="bus.internal")
            return self._fail(method, internal)

    async def _dispatch(self, call: wire.Call, over: float) -> bytes:
        if call.version[0] != self._version[0]:
            what = f"{self._name}: version {call.version} meets {self._version}."
            raise Unsupported(what, code="bus.major")
        entry = self._table.get(call.method)
        if entry is None:
            return self._answer_unknown(call)
        if call.trace.count(">") >= TRACE_HOPS_MAX:
            raise OctoError(f"Calls go in a circle: {call.trace}", code="bus.circle")
        args = entry.decode_args(call.body)
        # In the process this is the caller's own task: its context is left as it was.
        request_id = log.request_id.set(call.request_id)
        served = scopes.served.set(scopes.Served(over, call.trace))
        try:
            result = await entry.function(*[getattr(args, name) for name in entry.params])
        finally:
            scopes.served.reset(served)
            log.request_id.reset(request_id)
        entry.served[0] += 1
        if result is None:
            return _encode(wire.Answer(self._version))
        return _encode(wire.Answer(self._version, msgspec.Raw(_encode(result))))

    def _answer_unknown(self, call: wire.Call) -> bytes:
        if call.method == VERSION_METHOD:
            return _encode(wire.Answer(self._version))
        what = f"{self._name} {self._version} has no {call.method}."
        raise Unsupported(what, code="bus.peer_too_old", method=call.method)

    def _fail(self, method: str, error: OctoError) -> bytes:
        metrics.CALLS.row(self._name, method, error.kind)[0] += 1
        return _encode(wire.Answer(self._version, failure=wire.failure_of(error)))
