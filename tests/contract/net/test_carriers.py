# SPDX-License-Identifier: Apache-2.0
"""What carries a messenger: real sockets, and the simulated network."""

import asyncio
import random
from typing import Any

import pytest

from octostack.base.errors import Unavailable
from octostack.runtime.msgr.carrier import Carrier, Carriers, SocketCarriers
from octostack.testing import simloop
from octostack.testing.simnet import SimNet

HOST = "127.0.0.1"


class End:
    """A sink that keeps what it hears."""

    def __init__(self, carrier: Carrier, *, echo: bool = False) -> None:
        self.heard = b""
        self.ended = False
        self._carrier = carrier
        self._echo = echo
        self._room = bytearray(100)
        self._changed = asyncio.Event()
        carrier.attach(self)

    def buffer(self) -> memoryview:
        return memoryview(self._room)

    def received(self, count: int) -> None:
        came = bytes(self._room[:count])
        self.heard += came
        self._changed.set()
        if self._echo:
            self._carrier.write([came.upper()])

    def drained(self) -> None:
        pass

    def lost(self, reason: str) -> None:
        self.ended = True
        self._changed.set()

    async def until(self, size: int) -> bytes:
        """So many bytes came, or the end."""
        while len(self.heard) < size and not self.ended:
            self._changed.clear()
            await self._changed.wait()
        return self.heard


def serving(ends: list[End]) -> Any:
    return lambda carrier: ends.append(End(carrier, echo=True))


async def talk(here: Carriers, there: Carriers) -> None:
    ends: list[End] = []
    listening = await there.listen(HOST, 0, serving(ends))
    carrier = await here.dial(HOST, listening.port, 10.0)
    end = End(carrier)
    wanted = b"".join(b"LINE %03d\n" % number for number in range(50))
    for number in range(50):
        carrier.write([b"line ", b"%03d\n" % number])
    assert await end.until(len(wanted)) == wanted
    carrier.close()
    await ends[0].until(1 << 30)
    assert ends[0].ended
    assert not end.ended
    await listening.close()
    with pytest.raises(Unavailable):
        await here.dial(HOST, listening.port, 10.0)


def test_bytes_go_both_ways_in_order() -> None:
    asyncio.run(talk(SocketCarriers(), SocketCarriers()))


def test_bytes_go_both_ways_in_order_in_a_simulation() -> None:
    net = SimNet(random.Random(1), delay_s=(0.0, 0.001))
    simloop.run(lambda: talk(net.at("a"), net.at("b")), seed=1)


def simulated(story: Any) -> Any:
    async def main() -> Any:
        net = SimNet(random.Random(1), delay_s=(0.001, 0.002))
        ends: list[End] = []
        await net.at("b").listen(HOST, 1, serving(ends))
        carrier = await net.at("a").dial(HOST, 1, 10.0)
        return await story(net, carrier, End(carrier), ends)

    return simloop.run(main, seed=1)


def test_a_cut_holds_up_and_a_kill_breaks() -> None:
    async def story(net: SimNet, carrier: Carrier, end: End, ends: list[End]) -> None:
        net.cut("a", "b")
        carrier.write([b"x"])
        await asyncio.sleep(60)
        assert not end.heard
        net.heal()
        assert await end.until(1) == b"X"
        await net.kill("b")
        await end.until(2)
        assert end.ended

    simulated(story)


def test_what_was_sent_before_a_stream_broke_may_come_after_what_is_sent_on_the_next() -> None:
    async def story(net: SimNet, carrier: Carrier, end: End, ends: list[End]) -> None:
        net.break_one(random.Random(1), "a", late=True)
        carrier.write([b"old"])
        await end.until(1)
        assert end.ended
        again = await net.at("a").dial(HOST, 1, 10.0)
        newer = End(again)
        again.write([b"new"])
        await newer.until(3)
        assert [one.heard for one in ends] == [b"", b"new"]
        await ends[0].until(1 << 30)
        assert (ends[0].heard, ends[0].ended, newer.heard) == (b"old", True, b"NEW")

    simulated(story)
