# SPDX-License-Identifier: Apache-2.0
"""The metadata service as guests see it: 169.254.169.254, port 80.

A guest is known by the address its switch gave the connection (`metadata_alias`), which nobody but
the switch can write: not by anything it says. What it says is bounded and passed on to Compute.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Protocol

import httptools

from octostack.base import log
from octostack.base.errors import OctoError
from octostack.contracts.compute import MetadataAnswer, MetadataRequest
from octostack.engines.sdn.core.compile import ports

_log = log.get("metadata")

CONNECTIONS_MAX = 256
CONNECTIONS_PER_PORT = 16
HEAD_BYTES_MAX = 16 << 10
BODY_BYTES_MAX = 64 << 10
HEADERS_MAX = 64
SILENCE_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 30.0
READ_BYTES = 1 << 14
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}

Behind = Callable[[int], tuple[str, str]]


class Metadata(Protocol):
    """The part of `contracts.compute.Compute` that the proxy asks."""

    async def metadata(self, request: MetadataRequest) -> MetadataAnswer: ...


class _Request:
    """A request as httptools reads it."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.complete = False
        self.too_large = False

    def on_url(self, part: bytes) -> None:
        self.url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) < HEADERS_MAX:
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, part: bytes) -> None:
        if len(self.body) + len(part) > BODY_BYTES_MAX:
            self.too_large = True
        else:
            self.body += part

    def on_message_complete(self) -> None:
        self.complete = True


class Proxy:
    """Listens on a socket made inside the guests' namespace."""

    def __init__(self, compute: Metadata, behind: Behind) -> None:
        self.counters: Counter[str] = Counter()
        self._compute = compute
        self._behind = behind
        self._open: Counter[str] = Counter()
        self._server: asyncio.Server | None = None

    async def listen(self, listening: socket.socket) -> None:
        """Serve on `listening`."""
        self._server = await asyncio.start_server(self._serve, sock=listening)

    def close(self) -> None:
        """Take no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address, _ = writer.get_extra_info("peername")
        number = ports.port_of_alias(int(IPv4Address(address)))
        port_id, network_id = self._behind(number)
        full = self._open.total() >= CONNECTIONS_MAX
        if not port_id or full or self._open[port_id] >= CONNECTIONS_PER_PORT:
            self.counters["metadata_refused"] += 1
            writer.close()
            return
        self._open[port_id] += 1
        try:
            await self._converse(reader, writer, (port_id, network_id))
        except (OSError, TimeoutError, httptools.HttpParserError):
            self.counters["metadata_broken"] += 1
        finally:
            self._open[port_id] -= 1
            writer.close()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, who: tuple[str, str]
    ) -> None:
        """Request after request until the guest has enough."""
        keep = True
        while keep:
            request = _Request()
            parser = httptools.HttpRequestParser(request)
            if not await _read(reader, parser, request):
                return
            method = parser.get_method().decode("latin-1")
            answer = await self._answer(method, request, who)
            keep = parser.should_keep_alive() and not request.too_large
            writer.write(_response(answer, method, keep=keep))
            async with asyncio.timeout(SILENCE_TIMEOUT_S):
                await writer.drain()

    async def _answer(self, method: str, request: _Request, who: tuple[str, str]) -> MetadataAnswer:
        self.counters["metadata_requests"] += 1
        if request.too_large:
            return MetadataAnswer(status=413, body=b"413 Request Entity Too Large\n")
        path = httptools.parse_url(request.url).path or b"/"
        question = MetadataRequest(
            port_id=who[0],
            network_id=who[1],
            method=method,
            path=path.decode("latin-1"),
            body=bytes(request.body),
            headers=request.headers,
        )
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._compute.metadata(question)
        except (OctoError, TimeoutError) as e:
            # the guest asks again; 404 it would take for an answer
            _log.warning("metadata not answered", port=who[0], error=str(e))
            return MetadataAnswer(status=503, body=b"503 Service Unavailable\n")


async def _read(
    reader: asyncio.StreamReader, parser: httptools.HttpRequestParser, request: _Request
) -> bool:
    """One whole request; False when the guest leaves, or sends without end."""
    head = 0
    while not request.complete and not request.too_large:
        async with asyncio.timeout(SILENCE_TIMEOUT_S):
            data = await reader.read(READ_BYTES)
        if not data:
            return False
        parser.feed_data(data)
        head += 0 if request.body else len(data)
        if head > HEAD_BYTES_MAX + BODY_BYTES_MAX:
            return False
    return True


def _response(answer: MetadataAnswer, method: str, *, keep: bool) -> bytes:
    reason = _REASONS.get(answer.status, "Answer")
    head = (
        f"HTTP/1.1 {answer.status} {reason}\r\n"
        f"Content-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
    )
    return head.encode("latin-1") + (b"" if method == "HEAD" else answer.body)
