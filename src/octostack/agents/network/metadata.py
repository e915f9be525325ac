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
from octostack.base.errors import Invalid, OctoError
from octostack.contracts.compute import MetadataAnswer, MetadataRequest
from octostack.engines.sdn.core.compile import ports

_log = log.get("metadata")

CONNECTIONS_MAX = 256
CONNECTIONS_PER_PORT = 16
HEAD_BYTES_MAX = 16 << 10
BODY_BYTES_MAX = 64 << 10
HEADERS_MAX = 64
SILENCE_TIMEOUT_S = 10.0
REQUEST_TIMEOUT_S = 30.0  # for all of one, however many bytes trickle in
ANSWER_TIMEOUT_S = 30.0
READ_BYTES = 1 << 14
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}

Behind = Callable[[int], tuple[str, str]]


class Metadata(Protocol):
    """The part of `contracts.compute.Compute` that the proxy asks."""

    async def metadata(self, request: MetadataRequest) -> MetadataAnswer: ...


class Request:
    """A request as httptools reads it; what comes after its end is not its own."""

    def __init__(self) -> None:
        self.method = ""
        self.url = b""
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.complete = False
        self.too_large = False
        self.keeps = False  # whether another may follow on the connection

    def on_url(self, part: bytes) -> None:
        if not self.complete:
            self.url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.complete and len(self.headers) < HEADERS_MAX:
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, part: bytes) -> None:
        if len(self.body) + len(part) > BODY_BYTES_MAX:
            self.too_large = True
        elif not self.complete:
            self.body += part

    def on_message_begin(self) -> None:
        # a second one at once: a guest that does so has to ask again
        self.keeps = not self.complete

    def on_message_complete(self) -> None:
        self.complete = True

    @property
    def path(self) -> str:
        """What is asked for, without a query. Raises Invalid."""
        try:
            path: bytes = httptools.parse_url(self.url).path or b"/"
        except httptools.HttpParserError as e:
            raise Invalid(f"no address: {e}", code="metadata.request") from e
        return path.decode("latin-1")


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
        address = writer.get_extra_info("peername")  # none once the guest has left
        number = ports.port_of_alias(int(IPv4Address(address[0]))) if address else 0
        port_id, network_id = self._behind(number)
        full = self._open.total() >= CONNECTIONS_MAX
        if not port_id or full or self._open[port_id] >= CONNECTIONS_PER_PORT:
            self.counters["metadata_refused"] += 1
            writer.close()
            return
        self._open[port_id] += 1
        try:
            await self._converse(reader, writer, (port_id, network_id))
        except (OSError, TimeoutError, Invalid):
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
            request = await read_request(reader)
            if request is None:
                return
            answer = await self._answer(request, who)
            keep = request.keeps and not request.too_large
            writer.write(_response(answer, request.method, keep=keep))
            async with asyncio.timeout(SILENCE_TIMEOUT_S):
                await writer.drain()

    async def _answer(self, request: Request, who: tuple[str, str]) -> MetadataAnswer:
        self.counters["metadata_requests"] += 1
        if request.too_large:
            return MetadataAnswer(status=413, body=b"413 Request Entity Too Large\n")
        question = MetadataRequest(
            port_id=who[0],
            network_id=who[1],
            method=request.method,
            path=request.path,
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


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """One whole request, or one that is too large; None when the guest leaves.

    Raises Invalid for what is no HTTP, TimeoutError when it is silent or takes for ever.
    """
    request = Request()
    parser = httptools.HttpRequestParser(request)
    async with asyncio.timeout(REQUEST_TIMEOUT_S):
        head = 0
        while not request.complete and not request.too_large:
            async with asyncio.timeout(SILENCE_TIMEOUT_S):
                data = await reader.read(READ_BYTES)
            if not data:
                return None
            head += 0 if request.body else len(data)
            if head > HEAD_BYTES_MAX + READ_BYTES:
                raise Invalid("a head without end", code="metadata.request")
            _feed(parser, data)
    request.method = parser.get_method().decode("latin-1")
    request.keeps = request.keeps and parser.should_keep_alive()
    return request


def _feed(parser: httptools.HttpRequestParser, data: bytes) -> None:
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade as e:
        raise Invalid("no other protocol is spoken here", code="metadata.request") from e
    except httptools.HttpParserError as e:
        raise Invalid(f"no HTTP: {e}", code="metadata.request") from e


def _response(answer: MetadataAnswer, method: str, *, keep: bool) -> bytes:
    reason = _REASONS.get(answer.status, "Answer")
    head = (
        f"HTTP/1.1 {answer.status} {reason}\r\n"
        f"Content-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
    )
    return head.encode("latin-1") + (b"" if method == "HEAD" else answer.body)
