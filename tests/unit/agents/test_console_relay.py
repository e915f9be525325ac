# SPDX-License-Identifier: Apache-2.0
"""The relay of consoles: numbered pieces, each way, over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from octostack.agents.compute import consoles
from octostack.agents.compute.consoles import Consoles
from octostack.base.errors import Busy, NotFound, Unavailable
from octostack.runtime import net
from octostack.runtime.tasks import Supervisor

pytestmark = pytest.mark.anyio
BIG = bytes(range(256)) * 8192  # 2 MiB: more than is read ahead


class Guest:
    """A console that sends what it is told to, and keeps what it gets."""

    def __init__(self) -> None:
        self.got = b""
        self.heard = asyncio.Event()
        self.sends: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(self, conn: net.Conn) -> None:
        async def talk() -> None:
            while data := await self.sends.get():
                await conn.write(data)
            conn.close()

        talking = asyncio.ensure_future(talk())
        while data := await conn.read(65536):
            self.got += data
            self.heard.set()
        talking.cancel()


@pytest.fixture
async def relay() -> AsyncIterator[Consoles]:
    tasks = Supervisor("test")
    yield Consoles(tasks)
    await tasks.stop()


@pytest.fixture
async def guest(tmp_path: Path) -> AsyncIterator[tuple[Guest, str]]:
    made = Guest()
    listener = await net.OsNet().listen(f"unix:{tmp_path / 'vnc'}", made.serve)
    yield made, listener.address
    await listener.close()


async def test_pieces_both_ways(relay: Consoles, guest: tuple[Guest, str]) -> None:
    console, address = guest
    session = await relay.open(address)
    assert await relay.read(session, 1, 0.0) == b""  # nothing yet, and the number is not used up
    console.sends.put_nowait(b"RFB 003.008\n")
    assert await relay.read(session, 1, 10.0) == b"RFB 003.008\n"
    assert await relay.read(session, 1, 10.0) == b"RFB 003.008\n"  # a call that was repeated
    for number, data in ((1, b"a"), (2, b"b"), (2, b"b"), (1, b"a"), (3, b"c")):
        await relay.write(session, number, data)
    while console.got != b"abc":
        console.heard.clear()
        await console.heard.wait()
    console.sends.put_nowait(BIG)
    got, number = b"", 2
    while len(got) < len(BIG):
        piece = await relay.read(session, number, 10.0)
        assert 0 < len(piece) <= consoles.PIECE_BYTES
        got, number = got + piece, number + 1
    assert got == BIG
    console.sends.put_nowait(b"bye")
    console.sends.put_nowait(b"")
    assert await relay.read(session, number, 10.0) == b"bye"
    with pytest.raises(NotFound):
        await relay.read(session, number + 1, 10.0)
    with pytest.raises(NotFound):
        await relay.write("no such session", 1, b"")
    relay.close(session)
    relay.close(session)


async def test_a_waiting_reader_gets_what_comes(relay: Consoles, guest: tuple[Guest, str]) -> None:
    console, address = guest
    session = await relay.open(address)
    waiting = [asyncio.ensure_future(relay.read(session, 1, 10.0)) for _ in range(2)]
    await asyncio.sleep(0)
    console.sends.put_nowait(b"x")
    assert await asyncio.gather(*waiting) == [b"x", b"x"]  # the same piece, asked for twice


async def test_bounds(relay: Consoles, guest: tuple[Guest, str], tmp_path: Path) -> None:
    _console, address = guest
    with pytest.raises(Unavailable):
        await relay.open(f"unix:{tmp_path}/nobody")
    sessions = [await relay.open(address) for _ in range(consoles.SESSIONS_MAX)]
    with pytest.raises(Busy):
        await relay.open(address)
    relay.close(sessions[0])
    with pytest.raises(NotFound):
        await relay.read(sessions[0], 1, 0.0)
    await relay.open(address)


async def test_nobody_reads(
    relay: Consoles, guest: tuple[Guest, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consoles, "IDLE_S", 0.05)
    session = await relay.open(guest[1])
    while True:
        try:
            await relay.write(session, 1, b"")
        except NotFound:
            return
        await asyncio.sleep(0)
