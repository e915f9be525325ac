# SPDX-License-Identifier: Apache-2.0
"""Passing requests on to another process, as they are: what a front does for a part behind it.

Nothing is held back or gathered: a body goes on piece by piece in both directions, each piece read
when the one before it was taken, so the slower end sets the pace and an image of any size needs no
memory here. WebSockets pass in the same way. When the part cannot be reached the answer is 503 in
the form of its own API; when it breaks off in the middle, so does the answer.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import httpx2
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from octostack.base import ids, log
from octostack.base.errors import Unavailable
from octostack.runtime.http import faults
from octostack.runtime.http.api import Faults

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 600.0  # the parts have their own, shorter ones
MESSAGE_BYTES_MAX = 16 << 20  # as large as uvicorn takes them
GOING_AWAY = 1001
TRY_AGAIN_LATER = 1013

# Of one connection only (RFC 9110, 7.6.1).
_HOP_BY_HOP = frozenset((
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
    b"transfer-encoding", b"upgrade", b"expect",
))  # fmt: skip
_log = log.get("front")

Headers = list[tuple[bytes, bytes]]


class Relay:
    """An ASGI application: everything goes to `upstreams` (``http://HOST:PORT``) by turns.

    One that does not take the connection is passed over.
    """

    def __init__(self, name: str, upstreams: Sequence[str], fault: Faults) -> None:
        self._name = name
        self._upstreams = deque(upstream.rstrip("/") for upstream in upstreams)
        self._fault = fault
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, pool=None),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=100),
            trust_env=False,
        )

    async def close(self) -> None:
        """Let go of the connections that are kept."""
        await self._client.aclose()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._pass_socket(scope, receive, send)
            return
        try:
            answer = await self._ask(scope, receive)
        except httpx2.HTTPError as error:
            _log.warning("part away", part_name=self._name, error=repr(error))
            await self._say_away(send)
            return
        try:
            await self._pass_answer(answer, receive, send)
        finally:
            await answer.aclose()

    async def _ask(self, scope: Any, receive: Any) -> httpx2.Response:
        """The head of the answer. Raises HTTPError when there is none."""
        headers = _onward(scope["headers"])
        names = {name for name, _ in scope["headers"]}
        has_body = bool(names & {b"content-length", b"transfer-encoding"})
        self._upstreams.rotate(-1)
        away = httpx2.ConnectError("No endpoint is known.")
        for upstream in tuple(self._upstreams):
            request = self._client.build_request(
                scope["method"],
                upstream + _target(scope),
                headers=headers,
                content=_body(receive) if has_body else None,
            )
            try:
                return await self._client.send(request, stream=True)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                away = httpx2.ConnectError(str(error))  # nothing of the body was taken yet
        raise away

    async def _pass_answer(self, answer: httpx2.Response, receive: Any, send: Any) -> None:
        head = {"status": answer.status_code, "headers": _onward(answer.headers.raw)}
        await send({"type": "http.response.start", **head})
        async with asyncio.TaskGroup() as group:
            leaving = group.create_task(_until_gone(receive))
            passing = group.create_task(_pass_body(answer, send))
            await asyncio.wait((leaving, passing), return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            passing.cancel()  # nobody is there to read the rest

    async def _say_away(self, send: Any) -> None:
        error = Unavailable(f"The {self._name} service cannot be reached.", code="http.away")
        fault = self._fault(error, faults.status_of(error), ids.new_request())
        body = fault.body if isinstance(fault.body, str) else msgspec.json.encode(fault.body)
        data = body.encode() if isinstance(body, str) else body
        headers = {"content-type": fault.content_type, "retry-after": "1", **fault.headers}
        raw = [(k.lower().encode(), v.encode()) for k, v in headers.items()]
        raw.append((b"content-length", str(len(data)).encode()))
        await send({"type": "http.response.start", "status": fault.status, "headers": raw})
        await send({"type": "http.response.body", "body": data})

    async def _pass_socket(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()  # that it connects
        far = await self._connect(scope)
        if far is None:
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER})
            return
        async with far:
            await send({"type": "websocket.accept", "subprotocol": far.subprotocol})
            await _pass_messages(far, receive, send)

    async def _connect(self, scope: Any) -> ClientConnection | None:
        """The first that takes it."""
        for upstream in tuple(self._upstreams):
            try:
                return await _connect(upstream.replace("http", "ws", 1) + _target(scope), scope)
            except (OSError, TimeoutError, WebSocketException) as error:
                _log.warning("part away", part_name=self._name, error=repr(error))
        return None


_SOCKET_HEADERS = (
    b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-extensions",
    b"sec-websocket-protocol",
)  # fmt: skip


async def _connect(url: str, scope: Any) -> ClientConnection:
    """As the client asked for it. Raises OSError, TimeoutError, WebSocketException."""
    own = {b"host", b"origin", *_SOCKET_HEADERS}
    headers = [(k, v) for k, v in _onward(scope["headers"]) if k not in own]
    return await connect(
        url,
        origin=_text(scope, b"origin"),  # type: ignore[arg-type]
        subprotocols=[Subprotocol(name) for name in scope["subprotocols"]] or None,
        additional_headers=[(k.decode("latin-1"), v.decode("latin-1")) for k, v in headers],
        compression=None,
        max_size=MESSAGE_BYTES_MAX,
        ping_interval=None,
        open_timeout=CONNECT_TIMEOUT_S,
        proxy=None,
    )


def _onward(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Headers of the message, without those of the connection that it came over."""
    pairs = [(name.lower(), value) for name, value in headers]
    named = {
        token.strip().lower()
        for name, value in pairs
        if name == b"connection"
        for token in value.split(b",")
    }
    return [(n, v) for n, v in pairs if n not in _HOP_BY_HOP and n not in named]


def _target(scope: Any) -> str:
    """Path and query as the client wrote them."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return (path + b"?" + query if query else path).decode("latin-1")


def _text(scope: Any, name: bytes) -> str | None:
    found = [value for key, value in scope["headers"] if key == name]
    return found[0].decode("latin-1") if found else None


async def _body(receive: Any) -> AsyncIterator[bytes]:
    """The request's pieces; a client that leaves breaks the request off."""
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise httpx2.ReadError("The client left.")
        if event.get("body"):
            yield event["body"]
        if not event.get("more_body"):
            return


async def _pass_body(answer: httpx2.Response, send: Any) -> None:
    async for piece in answer.aiter_raw():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _pass_messages(far: ClientConnection, receive: Any, send: Any) -> None:
    """Both ways, until one side closes."""
    async with asyncio.TaskGroup() as group:
        ways = (group.create_task(_inward(far, receive)), group.create_task(_outward(far, send)))
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()


async def _inward(far: ClientConnection, receive: Any) -> None:
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            await far.close(_sendable(event.get("code")))
            return
        with contextlib.suppress(ConnectionClosed):
            await far.send(event["text"] if event.get("text") is not None else event["bytes"])


async def _outward(far: ClientConnection, send: Any) -> None:
    try:
        while True:
            message = await far.recv()
            kind = "text" if isinstance(message, str) else "bytes"
            await send({"type": "websocket.send", kind: message})
    except ConnectionClosed as end:
        code = end.rcvd.code if end.rcvd else None
        reason = end.rcvd.reason if end.rcvd else ""
        await send({"type": "websocket.close", "code": _sendable(code), "reason": reason})


def _sendable(code: int | None) -> int:
    """A code that may stand in a frame: those for "there was none" may not."""
    return code if code and code not in (1005, 1006, 1015) else GOING_AWAY
