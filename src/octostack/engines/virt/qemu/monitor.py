# SPDX-License-Identifier: Apache-2.0
"""A QMP connection to one QEMU.

A raw socket rather than asyncio's streams: with a network card that is plugged live, its tap's
descriptor is sent along.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from octostack.base.errors import Conflict, Corrupt, Timeout, Unavailable
from octostack.runtime import net
from octostack.runtime.tasks import Supervisor
from octostack.wire import qmp

CALL_TIMEOUT_S = 30.0
_GREET_TIMEOUT_S = 10.0
_READ_BYTES = 64 << 10


class Monitor:
    """Commands go out by `call`; events come to `on_event`, the end of QEMU to `on_close`."""

    def __init__(
        self,
        sock: socket.socket,
        on_event: Callable[[qmp.Event], None],
        on_close: Callable[[], None],
    ) -> None:
        self._sock = sock
        self._on_event = on_event
        self._on_close = on_close
        self._codec = qmp.Codec()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._sending = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.closed = False
        self.pid = peer_pid(sock)

    @classmethod
    async def connect(
        cls,
        path: Path,
        tasks: Supervisor,
        on_event: Callable[[qmp.Event], None],
        on_close: Callable[[], None],
    ) -> "Monitor":
        """Connect and agree on capabilities. Raises Unavailable, Timeout."""
        sock = connect_unix(path)
        monitor = cls(sock, on_event, on_close)
        monitor._task = tasks.spawn(f"qmp {path.parent.name}", monitor._read())
        try:
            await monitor.call("qmp_capabilities", timeout_s=_GREET_TIMEOUT_S)
        except BaseException:
            await monitor.close()
            raise
        return monitor

    async def call(
        self,
        command: str,
        arguments: dict[str, Any] | None = None,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        fds: tuple[int, ...] = (),
    ) -> Any:
        """One command's answer. Raises Conflict (QEMU refused), Unavailable (gone), Timeout."""
        if self.closed:
            raise Unavailable("QEMU is gone", code="qemu.gone")
        self._number += 1
        number = self._number
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            async with asyncio.timeout(timeout_s):
                await self._send(qmp.encode(command, arguments, number), fds)
                return await answer
        except TimeoutError as e:
            raise Timeout(f"QEMU did not answer {command}", code="qemu.timeout") from e
        finally:
            self._answers.pop(number, None)

    async def close(self) -> None:
        """Hang up; QEMU goes on."""
        self.closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        self._sock.close()

    async def _send(self, data: bytes, fds: tuple[int, ...]) -> None:
        async with self._sending:
            try:
                if fds:
                    sent = socket.send_fds(self._sock, [data], list(fds))
                    data = data[sent:]
                await asyncio.get_running_loop().sock_sendall(self._sock, data)
            except OSError as e:
                raise Unavailable("QEMU is gone", code="qemu.gone") from e

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await loop.sock_recv(self._sock, _READ_BYTES):
                for message in self._codec.feed(data):
                    self._take(message)
        except (OSError, Corrupt):
            pass  # a monitor that fails is as good as a QEMU that is gone
        finally:
            self.closed = True
            self._sock.close()
            self._fail(Unavailable("QEMU is gone", code="qemu.gone"))
        self._on_close()

    def _take(self, message: qmp.Message) -> None:
        if isinstance(message, qmp.Event):
            self._on_event(message)
        elif isinstance(message, qmp.Return | qmp.Failure) and message.id is not None:
            answer = self._answers.get(message.id)
            if answer is None or answer.done():
                return
            if isinstance(message, qmp.Return):
                answer.set_result(message.value)
            else:
                answer.set_exception(
                    Conflict(message.description, code="qemu.refused", kind_of=message.kind)
                )

    def _fail(self, error: Exception) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)


def connect_unix(path: Path) -> socket.socket:
    """A socket connected to `path`. Raises Unavailable."""
    try:
        return net.connect_unix(path)
    except OSError as e:
        raise Unavailable(f"nothing listens on {path.name}", code="qemu.gone") from e


def peer_pid(sock: socket.socket) -> int:
    """The process that listens at the other end."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", raw)[0]
    return pid
