# SPDX-License-Identifier: Apache-2.0
"""Byte streams between processes and hosts, behind a seam.

A part that speaks a protocol of its own over them dials and listens through a `Net`. An address is
``unix:PATH`` or ``tcp:HOST:PORT``; port 0 lets the system choose, `Listener.address` tells.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Protocol

from octostack.base.errors import Invalid, Timeout, Unavailable
from octostack.runtime.tasks import Supervisor

READ_LIMIT_BYTES = 1 << 20


class Conn(Protocol):
    """One stream; reading and writing may go on in two tasks."""

    peer: str

    async def read(self, at_most: int) -> bytes:
        """Some bytes; empty at the end. Raises Unavailable when the stream broke."""

    async def read_exactly(self, count: int) -> bytes:
        """`count` bytes. Raises Unavailable when the stream ends before."""

    async def write(self, data: bytes) -> None:
        """Send; waits while the other side does not read. Raises Unavailable."""

    def close(self) -> None:
        """End both directions."""


Serve = Callable[[Conn], Awaitable[None]]


def connect_unix(path: Path) -> socket.socket:
    """A non-blocking socket connected to `path`, which may be longer than a socket's name may.

    The name is walked from the directory's descriptor. Raises OSError.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            sock.connect(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)
    except OSError:
        sock.close()
        raise
    return sock


async def open_unix(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """`connect_unix` as streams. Raises OSError."""
    return await asyncio.open_unix_connection(sock=connect_unix(path), limit=READ_LIMIT_BYTES)


class Listener(Protocol):
    """Takes streams until closed."""

    address: str

    async def close(self) -> None:
        """Take no more, end those that are open."""


class Net(Protocol):
    """How streams are made."""

    async def dial(self, address: str, timeout_s: float = 10.0) -> Conn:
        """A stream to `address`. Raises Unavailable, Timeout, Invalid."""

    async def listen(self, address: str, serve: Serve) -> Listener:
        """Run `serve` for each stream that comes; it ends when `serve` does."""


class OsNet:
    """The machine's own sockets."""

    async def dial(self, address: str, timeout_s: float = 10.0) -> Conn:
        """A stream to `address`."""
        try:
            async with asyncio.timeout(timeout_s):
                return _SocketConn(*await _open(address), address)
        except TimeoutError as error:
            raise Timeout(f"{address} did not answer.", code="net.timeout") from error
        except OSError as error:
            raise Unavailable(f"{address}: {error}", code="net.refused") from error

    async def listen(self, address: str, serve: Serve) -> Listener:
        """Run `serve` for each stream that comes."""
        listener = _SocketListener(serve)
        await listener.start(address)
        return listener


async def _open(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    kind, rest = _parse(address)
    if kind == "unix":
        return await open_unix(Path(rest))
    host, _, port = rest.rpartition(":")
    return await asyncio.open_connection(host.strip("[]"), int(port), limit=READ_LIMIT_BYTES)


def _parse(address: str) -> tuple[str, str]:
    kind, _, rest = address.partition(":")
    if kind == "unix" and rest:
        return kind, rest
    if kind == "tcp" and rest.rpartition(":")[2].isdigit():
        return kind, rest
    raise Invalid(f"Not an address: {address}", code="net.address")


class _SocketConn:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str
    ) -> None:
        self.peer = peer
        self._reader = reader
        self._writer = writer

    async def read(self, at_most: int) -> bytes:
        with _broken(self.peer):
            return await self._reader.read(at_most)

    async def read_exactly(self, count: int) -> bytes:
        with _broken(self.peer):
            return await self._reader.readexactly(count)

    async def write(self, data: bytes) -> None:
        with _broken(self.peer):
            self._writer.write(data)
            await self._writer.drain()

    def close(self) -> None:
        self._writer.close()


@contextlib.contextmanager
def _broken(peer: str) -> Iterator[None]:
    try:
        yield
    except (OSError, asyncio.IncompleteReadError) as error:
        raise Unavailable(f"The stream to {peer} broke: {error}", code="net.broken") from error


class _SocketListener:
    def __init__(self, serve: Serve) -> None:
        self.address = ""
        self._serve = serve
        self._tasks = Supervisor("listener")
        self._server: asyncio.Server | None = None

    async def start(self, address: str) -> None:
        kind, rest = _parse(address)
        try:
            if kind == "unix":
                self._server = await asyncio.start_unix_server(self._accept, rest)
                self.address = address
                return
            host, _, port = rest.rpartition(":")
            self._server = await asyncio.start_server(self._accept, host.strip("[]"), int(port))
            self.address = f"tcp:{host}:{self._server.sockets[0].getsockname()[1]}"
        except OSError as error:
            raise Unavailable(f"{address}: {error}", code="net.listen") from error

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._tasks.stop()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conn = _SocketConn(reader, writer, str(writer.get_extra_info("peername") or self.address))

        async def run() -> None:
            try:
                await self._serve(conn)
            finally:
                conn.close()

        self._tasks.start(f"stream {conn.peer}", run)
