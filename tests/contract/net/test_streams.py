# SPDX-License-Identifier: Apache-2.0
"""Streams on real sockets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from octostack.base.errors import Invalid, Unavailable
from octostack.runtime.net import Conn, Net, OsNet

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["tcp", "unix"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Net, str]]:
    if request.param == "tcp":
        yield OsNet(), "tcp:127.0.0.1:0"
    else:
        yield OsNet(), f"unix:{tmp_path}/s"


async def echo(conn: Conn) -> None:
    while data := await conn.read(100):
        await conn.write(data.upper())


async def test_bytes_go_both_ways_in_order(place: tuple[Net, str]) -> None:
    net, address = place
    listener = await net.listen(address, echo)
    conn = await net.dial(listener.address)
    for number in range(50):
        await conn.write(b"line %03d\n" % number)
    for number in range(50):
        assert await conn.read_exactly(9) == b"LINE %03d\n" % number
    conn.close()
    await listener.close()


async def test_the_end_is_seen(place: tuple[Net, str]) -> None:
    net, address = place

    async def greet(conn: Conn) -> None:
        await conn.write(b"hi")

    listener = await net.listen(address, greet)
    conn = await net.dial(listener.address)
    assert await conn.read_exactly(2) == b"hi"
    assert await conn.read(10) == b""
    with pytest.raises(Unavailable):
        await conn.read_exactly(1)
    conn.close()
    await listener.close()


async def test_nobody_listens(place: tuple[Net, str]) -> None:
    net, address = place
    listener = await net.listen(address, echo)
    await listener.close()
    with pytest.raises(Unavailable):
        await net.dial(listener.address)


@pytest.mark.parametrize("address", ["", "unix:", "tcp:host", "tcp:host:port", "udp:h:1", "h:1"])
async def test_what_is_no_address(address: str) -> None:
    with pytest.raises(Invalid):
        await OsNet().dial(address)
