# SPDX-License-Identifier: Apache-2.0
"""The calling side: a class made from a contract, each method a call over the transport."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from octostack.base import log
from octostack.base.contract import Version
from octostack.base.errors import Corrupt, Timeout, Unsupported
from octostack.runtime import scopes
from octostack.runtime.bus import server
from octostack.runtime.bus.shape import Method, Shape
from octostack.runtime.bus.transport import Transport
from octostack.wire import bus as wire

_encode = wire.encoder.encode


class Peer:
    """The other end of a stub: where it is, and which version it last answered with.

    `versions` is shared by all stubs of one bus: what one learns, the others know.
    """

    __slots__ = ("_versions", "shape", "subject", "timeout_s", "transport")

    def __init__(
        self,
        shape: Shape,
        transport: Transport,
        subject: str,
        timeout_s: float,
        versions: dict[str, Version],
    ) -> None:
        self.shape = shape
        self.transport = transport
        self.subject = subject
        self.timeout_s = timeout_s
        self._versions = versions

    async def call(self, method: str, here: str, body: msgspec.Raw) -> msgspec.Raw:
        """The result's bytes; raises what the other side raised. `here` is for traces."""
        database = scopes.writing.get()
        assert database is None, f"{here} is called while writing to {database}"
        timeout_s = self.timeout_s
        served = scopes.served.get()
        if served.trace:
            left_s = served.deadline - asyncio.get_running_loop().time()
            if left_s <= 0:
                raise Timeout(f"No time left to call {here}.", code="bus.timeout")
            timeout_s = min(timeout_s, left_s)
            here = f"{served.trace}>{here}"
        request = wire.Call(
            self.shape.name,
            method,
            self.shape.version,
            timeout_s,
            log.request_id.get(),
            here,
            body,
        )
        reply = await self.transport.call(self.subject, _encode(request), timeout_s)
        try:
            answer = wire.decode_answer(reply)
        except msgspec.MsgspecError as error:
            raise Corrupt(f"{here}: the answer cannot be read.", code="bus.answer") from error
        self._versions[self.subject] = answer.version
        if answer.failure is not None:
            raise wire.error_of(answer.failure)
        return answer.body

    async def ask(self) -> Version:
        """The peer's version, from itself."""
        await self.call(server.VERSION_METHOD, f"{self.shape.name}?", wire.EMPTY)
        return self._versions[self.subject]

    async def require(self, method: Method) -> None:
        """Raise Unsupported (``bus.peer_too_old``) for a method that came after the peer."""
        version = self._versions.get(self.subject) or await self.ask()
        if version < method.since:
            what = f"{self.shape.name}.{method.name} needs {method.since}; the peer has {version}."
            raise Unsupported(what, code="bus.peer_too_old", method=method.name)


def make(peer: Peer) -> Any:
    """An object that fulfils the contract by calling its peer."""
    shape = peer.shape
    if shape.stub is None:
        shape.stub = _class_of(shape)
    return shape.stub(peer)


def _class_of(shape: Shape) -> type:
    methods: dict[str, Any] = {
        name: _method(shape, method) for name, method in shape.methods.items()
    }

    def __init__(self: Any, peer: Peer) -> None:
        self._peer = peer

    methods["__init__"] = __init__
    methods["__repr__"] = lambda self: f"<stub {self._peer.subject}>"
    return type(f"{shape.name}Stub", (shape.contract,), methods)


def _method(shape: Shape, method: Method) -> Callable[..., Coroutine[Any, Any, Any]]:
    name, new_args, decode = method.name, method.new_args, method.decode_result
    here = f"{shape.name}.{name}"
    is_newer = method.since > (shape.version[0], 0)

    async def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        peer: Peer = self._peer
        if is_newer:
            await peer.require(method)
        body = await peer.call(name, here, msgspec.Raw(_encode(new_args(*args, **kwargs))))
        try:
            return decode(body)
        except msgspec.MsgspecError as error:
            what = f"{here}: the result cannot be read: {error}"
            raise Corrupt(what, code="bus.answer") from error

    call.__name__ = name
    return call
