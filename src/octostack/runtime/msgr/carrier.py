# SPDX-License-Identifier: Apache-2.0
"""How bytes of a messenger travel: sockets driven by readiness, without a task or a copy per read.

A `Carrier` is one stream. Bytes are read straight into the memory that its `Sink` offers, and sent
from the buffers as they are (`sendmsg`); what the kernel does not take waits, and `pending` tells
how much. `SocketCarriers` makes them of TCP sockets; their twin is `testing.simnet`'s.
"""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Protocol

from octostack.base.errors import Timeout, Unavailable

Buffer = bytes | bytearray | memoryview
_BUFFERS_AT_ONCE = 512  # below the kernel's IOV_MAX
_READS_AT_ONCE = 8  # before others get their turn
_BACKLOG = 512


class Sink(Protocol):
    """Who owns a carrier; all calls come from the event loop."""

    def buffer(self) -> memoryview:
        """Where the next bytes go; not empty."""

    def received(self, count: int) -> None:
        """`count` bytes came."""

    def drained(self) -> None:
        """All that was written has left."""

    def lost(self, reason: str) -> None:
        """The stream has ended; said once, and not after `close`."""


class Carrier(Protocol):
    """One stream of bytes."""

    peer: tuple[str, int]  # host and port as we see them
    pending: int  # bytes written and not yet taken

    def attach(self, sink: Sink) -> None:
        """Begin to read, into `sink`."""

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Send in order; the buffers must not change any more."""

    def pause(self) -> None:
        """Read no more, for now."""

    def resume(self) -> None:
        """Read again."""

    def close(self) -> None:
        """End the stream; the sink is told nothing."""


Accept = Callable[[Carrier], None]


class Listening(Protocol):
    """An open port."""

    host: str
    port: int

    async def close(self) -> None:
        """Take no more."""


class Carriers(Protocol):
    """How carriers are made."""

    async def dial(self, host: str, port: int, timeout_s: float) -> Carrier:
        """A stream to there. Raises Unavailable, Timeout."""

    async def listen(self, host: str, port: int, accept: Accept) -> Listening:
        """Give each stream that comes to `accept`. Raises Unavailable."""


class SocketCarrier:
    """A non-blocking TCP socket under the running loop."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = sock.getpeername()
        self.peer: tuple[str, int] = (name[0], name[1])
        self.pending = 0
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._sink: Sink | None = None
        self._waiting: deque[Buffer] = deque()
        self._closed = False

    def attach(self, sink: Sink) -> None:
        self._sink = sink
        self._loop.add_reader(self._sock, self._readable)

    def write(self, buffers: Sequence[Buffer]) -> None:
        if self._closed:
            return
        was_waiting = bool(self._waiting)
        self._waiting.extend(buffers)
        self.pending += sum(map(len, buffers))
        if not was_waiting:
            self._send()
            if self._waiting and not self._closed:
                self._loop.add_writer(self._sock, self._writable)

    def pause(self) -> None:
        if not self._closed:
            self._loop.remove_reader(self._sock)

    def resume(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._sock, self._readable)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._waiting.clear()
        self.pending = 0
        self._sink = None

    def _readable(self) -> None:
        for _ in range(_READS_AT_ONCE):
            sink = self._sink
            if sink is None:
                return
            room = sink.buffer()
            try:
                count = self._sock.recv_into(room)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._lose(str(error))
                return
            if not count:
                self._lose("the other side closed it")
                return
            sink.received(count)
            if count < len(room):
                return

    def _writable(self) -> None:
        self._send()
        if not self._waiting and not self._closed:
            self._loop.remove_writer(self._sock)
            if self._sink is not None:
                self._sink.drained()

    def _send(self) -> None:
        waiting = self._waiting
        while waiting:
            batch = list(islice(waiting, _BUFFERS_AT_ONCE))
            try:
                sock = self._sock
                sent = sock.send(batch[0]) if len(batch) == 1 else sock.sendmsg(batch)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # told later: who writes is in the middle of something
                self._loop.call_soon(self._lose, str(error))
                waiting.clear()
                return
            self.pending -= sent
            if not self.pending:  # as nearly always
                waiting.clear()
                return
            while sent:
                first = waiting[0]
                if len(first) > sent:
                    waiting[0] = memoryview(first)[sent:]
                    break
                sent -= len(first)
                waiting.popleft()
            while waiting and not len(waiting[0]):
                waiting.popleft()

    def _lose(self, reason: str) -> None:
        sink = self._sink
        self.close()
        if sink is not None:
            sink.lost(reason)


class _SocketListening:
    def __init__(self, sock: socket.socket, accept: Accept) -> None:
        self.host, self.port = sock.getsockname()[:2]
        self._sock = sock
        self._accept = accept
        asyncio.get_running_loop().add_reader(sock, self._readable)

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while True:
                sock, _ = self._sock.accept()
                try:
                    carrier = SocketCarrier(sock)
                except OSError:  # gone already
                    sock.close()
                    continue
                self._accept(carrier)


class SocketCarriers:
    """The machine's own sockets."""

    async def dial(self, host: str, port: int, timeout_s: float) -> Carrier:
        """A stream to there."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.get_running_loop().sock_connect(sock, (host, port))
            return SocketCarrier(sock)
        except TimeoutError as error:
            sock.close()
            raise Timeout(f"{host}:{port} did not answer.", code="net.timeout") from error
        except OSError as error:
            sock.close()
            refused = isinstance(error, ConnectionRefusedError)
            code = "net.refused" if refused else "net.unreachable"
            raise Unavailable(f"{host}:{port}: {error}", code=code) from error
        except asyncio.CancelledError:
            sock.close()
            raise

    async def listen(self, host: str, port: int, accept: Accept) -> Listening:
        """Give each stream that comes to `accept`."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
            sock.listen(_BACKLOG)
        except OSError as error:
            sock.close()
            raise Unavailable(f"{host}:{port}: {error}", code="net.listen") from error
        return _SocketListening(sock, accept)
