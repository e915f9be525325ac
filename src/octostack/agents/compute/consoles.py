# SPDX-License-Identifier: Apache-2.0
"""Consoles of this host's machines, relayed in pieces: whoever asks may be on another host.

A session is one connection to QEMU's socket, which nobody but the agent reaches. Pieces are
numbered, so that a call that is repeated neither loses nor doubles bytes. What the guest sends is
read ahead up to a bound; a session that nobody reads from is ended.
"""

import asyncio

from octostack.base import clock, ids
from octostack.base.errors import Busy, NotFound, OctoError
from octostack.runtime import net
from octostack.runtime.tasks import Supervisor

PIECE_BYTES = 128 << 10
AHEAD_BYTES = 512 << 10
SESSIONS_MAX = 32
IDLE_S = 60.0
WAIT_MAX_S = 20.0


class Consoles:
    """The open sessions."""

    def __init__(self, tasks: Supervisor, network: net.Net | None = None) -> None:
        self._tasks = tasks
        self._net = network or net.OsNet()
        self._sessions: dict[str, _Session] = {}

    async def open(self, address: str) -> str:
        """A new session with the console at `address`. Raises Unavailable, Timeout, Busy."""
        if len(self._sessions) >= SESSIONS_MAX:
            raise Busy("Too many consoles of this host are open", code="agent.consoles")
        conn = await self._net.dial(address)
        name = ids.new()
        session = self._sessions[name] = _Session(conn)
        self._tasks.start(f"console {name}", lambda: self._pump(name, session))
        return name

    async def read(self, name: str, number: int, wait_s: float) -> bytes:
        """Piece `number`, or nothing yet. Raises NotFound at the end."""
        return await self._session(name).read(number, min(wait_s, WAIT_MAX_S))

    async def write(self, name: str, number: int, data: bytes) -> None:
        """Give the guest a piece, once. Raises NotFound at the end."""
        await self._session(name).write(number, data)

    def close(self, name: str) -> None:
        """End a session; one that has ended is no error."""
        session = self._sessions.pop(name, None)
        if session is not None:
            session.end()

    async def _pump(self, name: str, session: "_Session") -> None:
        try:
            while not session.ended and await session.fill():
                pass
        finally:
            session.end()
            # What was read ahead can still be had; then the session is forgotten.
            await session.drained(IDLE_S)
            self._sessions.pop(name, None)

    def _session(self, name: str) -> "_Session":
        session = self._sessions.get(name)
        if session is None:
            raise NotFound("The console was closed", code="agent.console_closed")
        return session


class _Session:
    def __init__(self, conn: net.Conn) -> None:
        self._conn = conn
        self._ahead = bytearray()
        self._piece = b""  # the last one that was given
        self._given = self._taken = 0  # numbers of the last pieces out and in
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        self._asked_at = clock.monotonic()
        self.ended = False

    async def fill(self) -> bool:
        """Read ahead; False when the console ended or nobody listens."""
        if clock.monotonic() - self._asked_at > IDLE_S:
            return False
        if len(self._ahead) >= AHEAD_BYTES:
            await self._change(IDLE_S)
            return True
        try:
            async with asyncio.timeout(IDLE_S):
                data = await self._conn.read(PIECE_BYTES)
        except TimeoutError:
            return True
        except OctoError:
            return False
        self._ahead += data
        self._changed.set()
        return bool(data)

    async def read(self, number: int, wait_s: float) -> bytes:
        self._asked_at = clock.monotonic()
        if number != self._given and not self._ahead and not self.ended:
            await self._change(wait_s)
        if number == self._given:
            return self._piece
        if not self._ahead:
            if self.ended:
                raise NotFound("The console was closed", code="agent.console_closed")
            return b""
        self._piece = bytes(self._ahead[:PIECE_BYTES])
        del self._ahead[:PIECE_BYTES]
        self._given = number
        self._changed.set()
        return self._piece

    async def write(self, number: int, data: bytes) -> None:
        async with self._writing:
            if number <= self._taken:
                return
            await self._conn.write(data)
            self._taken = number

    async def drained(self, timeout_s: float) -> None:
        """Wait until all was taken that came, or for a while."""
        deadline = clock.monotonic() + timeout_s
        while self._ahead and clock.monotonic() < deadline:
            await self._change(timeout_s)

    async def _change(self, timeout_s: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    def end(self) -> None:
        self.ended = True
        self._conn.close()
        self._changed.set()
