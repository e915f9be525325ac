# SPDX-License-Identifier: Apache-2.0
"""Two clouds on one machine and one switch: what one does, or suffers, is not the other's.

Each is an agent process of its own with the small network of `testing.intents`, equal addresses
included; only their external networks differ. Streams of pings go through the first one all along.
"""

import functools
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from octostack.contracts import network_agent as intents
from octostack.engines.sdn import daemon, ovs
from octostack.testing.guests import Guest, Pings, own_namespace
from octostack.testing.intents import COMMON, OPEN, P1, P2, P3, given_device, outside_renumbered
from octostack.testing.nethost import HostProcess

pytestmark = pytest.mark.anyio

CODE = "%04x" % (os.getpid() & 0xFFFF)
NETNS = f"octoclouds-{CODE}"
ADDRESSES = {"p1": "10.0.0.11/24", "p2": "10.0.0.12/24", "p3": "10.0.1.13/24"}


class Cloud:
    """One of them: its agent, and three guests."""

    def __init__(self, state_dir: Path, third: int) -> None:
        self.state_dir = state_dir
        self.floating = f"10.123.{third}.20"
        self.guests: dict[str, Guest] = {}
        moved = {(type(item), item.id): item for item in outside_renumbered(third).values()}
        self._items = {item.id: moved.get((type(item), item.id), item) for item in COMMON}
        self._generation = 0
        self._agent: HostProcess | None = None

    async def up(self) -> None:
        """Start the agent; it finds what it was told before."""
        where = str(self.state_dir)
        self._agent = await HostProcess.start(NETNS, where, "h1", "", "", "public")

    async def create(self) -> None:
        """Start it with its guests, and tell it of them."""
        await self.up()
        for port in (P1, P2, P3):
            made = Guest(f"{self.state_dir}{port.id}", self._tap(port.id), port.mac)
            address = ADDRESSES[port.id]
            self.guests[port.id] = made
            self._items[port.id] = given_device(port, made.interface)
            await made.create(address, f"{address[: address.rindex('.')]}.1")
        await self.follow()

    def _tap(self, port_id: str) -> str:
        return f"{self.state_dir.name}{CODE}{port_id}"

    async def follow(self, *changed: intents.Item) -> None:
        """Tell the agent of a changed intent."""
        self._items |= {item.id: item for item in changed}
        self._generation += 1
        items = tuple(self._items.values())
        assert self._agent
        state = await self._agent.apply(
            intents.HostIntent(host="h1", generation=self._generation, items=items)
        )
        assert state.error == ""
        assert {port.id: port.error for port in state.ports if not port.up} == {}

    async def kill(self) -> None:
        """The agent dies, as the whole control plane with it would."""
        assert self._agent
        await self._agent.kill()

    async def down(self) -> None:
        """As `octostack down` leaves it."""
        await self.kill()
        await ovs.stop(self.state_dir, "h1")

    async def remove(self) -> None:
        """As `octostack reset` leaves it."""
        if self._agent is not None:
            await self._agent.kill()
        for guest in self.guests.values():
            await guest.remove()
        await ovs.remove(self.state_dir, "h1")

    async def pings(self) -> list[Pings]:
        """Through the floating address, and from guest to guest."""
        inside = self.guests["p1"].netns
        return [await Pings.start(self.floating), await Pings.start("10.0.1.13", inside)]


@pytest.fixture
async def clouds(tmp_path: Path) -> AsyncIterator[tuple[Cloud, Cloud]]:
    """The first one runs; the second may come."""
    made = Cloud(tmp_path / "a", 7), Cloud(tmp_path / "b", 8)
    async with own_namespace(NETNS):
        try:
            await made[0].create()
            yield made
        finally:
            for cloud in made:
                await cloud.remove()


async def test_another_cloud_comes_and_goes_and_no_packet_is_lost(
    clouds: tuple[Cloud, Cloud],
) -> None:
    first, second = clouds
    streams = await first.pings()
    await second.create()
    await second.follow(intents.Network(id="b", vni=1002, mtu=1400))
    await second.kill()
    await second.up()
    await second.down()
    await first.kill()  # nobody is there now to put anything right
    await second.up()
    await second.down()
    await second.up()
    await second.remove()
    await second.create()
    await first.up()
    for stream in streams:
        await stream.more(3)
        assert await stream.stop() == []


async def test_first_cloud_goes_down_and_the_second_stays(clouds: tuple[Cloud, Cloud]) -> None:
    first, second = clouds
    await second.create()
    streams = await second.pings()
    await first.down()
    await first.up()
    await first.remove()
    for stream in streams:
        await stream.more(3)
        assert await stream.stop() == []


@pytest.mark.parametrize("program", ["ovs-vswitchd", "ovsdb-server"])
@pytest.mark.parametrize("alone", [False, True])
async def test_switch_dies_and_both_clouds_come_back(
    clouds: tuple[Cloud, Cloud], program: str, alone: bool
) -> None:
    """With `alone` only the second one's agent is there to start it again."""
    first, second = clouds
    await second.create()
    streams = [*await first.pings(), *await second.pings()]
    if alone:
        await first.kill()
    pid = daemon.find_pid(daemon.paths(), program)
    assert pid
    os.kill(pid, signal.SIGKILL)
    if alone and program == "ovs-vswitchd":
        await streams[3].more()
        await first.up()
    lost = []
    for stream in streams:
        await stream.more(3)
        lost.append(await stream.stop())
    if program == "ovsdb-server":  # the database is not on the packets' way
        assert lost == [[], [], [], []]


async def test_cloud_whose_numbers_were_given_away_numbers_anew(
    clouds: tuple[Cloud, Cloud],
) -> None:
    """The switch lost all it had while the first one was away, and the second one came."""
    first, second = clouds
    await first.kill()
    for program in ("ovs-vswitchd", "ovsdb-server"):
        pid = daemon.find_pid(daemon.paths(), program)
        assert pid
        os.kill(pid, signal.SIGKILL)
    await second.create()
    await first.up()
    for stream in (*await first.pings(), *await second.pings()):
        await stream.more(3)
        assert await stream.stop() == []


async def test_neighbours_are_known_again_when_the_switch_has_forgotten_them(
    clouds: tuple[Cloud, Cloud],
) -> None:
    """The way out was learned; a new switch process has to learn it, or an agent is in the way."""
    first, _ = clouds
    streams = await first.pings()
    pid = daemon.find_pid(daemon.paths(), "ovs-vswitchd")
    assert pid
    os.kill(pid, signal.SIGKILL)
    for stream in streams:
        await stream.more(3)
        await stream.stop()
    streams = await first.pings()
    await first.kill()
    for stream in streams:
        await stream.more(10)
        assert await stream.stop() == []


async def test_connections_of_one_cloud_are_unknown_in_the_other(
    clouds: tuple[Cloud, Cloud],
) -> None:
    """Equal addresses and ports on one switch: what is an answer here is none there."""
    first, second = clouds
    await second.create()
    all_may_leave = msgspec.structs.replace(OPEN, rules=OPEN.rules[:1])
    for cloud in clouds:
        await cloud.follow(all_may_leave)
    await first.guests["p1"].within(lambda: _send(5000, "10.0.0.12", 6000))
    for cloud, comes in ((second, False), (first, True)):
        p1, p2 = cloud.guests["p1"], cloud.guests["p2"]
        with await p1.within(lambda: _bound(5000)) as waiting:
            await p2.within(lambda: _send(6000, "10.0.0.11", 5000))
            wait = functools.partial(_comes, waiting, 10 if comes else 1)
            assert await p1.within(wait) == comes


def _bound(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("0.0.0.0", port))
    return made


def _send(source: int, address: str, port: int) -> None:
    with _bound(source) as sender:
        sender.sendto(b"hello", (address, port))


def _comes(waiting: socket.socket, patience_s: float) -> bool:
    waiting.settimeout(patience_s)
    try:
        return waiting.recv(100) == b"hello"
    except TimeoutError:
        return False


async def test_taken_external_network_is_taken_up_when_it_comes_free(
    clouds: tuple[Cloud, Cloud], tmp_path: Path
) -> None:
    first, _ = clouds
    late = Cloud(tmp_path / "c", 7)
    try:
        await late.create()
        assert await first.guests["p1"].pings(first.floating) == 3
        await first.remove()
        await late.follow()
        stream = await Pings.start(late.floating)
        assert await stream.stop() == []
    finally:
        await late.remove()
