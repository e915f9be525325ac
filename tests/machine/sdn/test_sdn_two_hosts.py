# SPDX-License-Identifier: Apache-2.0
"""Two hosts in two network namespaces, each with its own Open vSwitch and agent; VXLAN between.

p1 is on h1, which serves the gateway; p2 and p3 are on h2.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from octostack.contracts import network_agent as intents
from octostack.engines.sdn import devices, ovs
from octostack.engines.sdn.core import model
from octostack.testing import fabric
from octostack.testing.guests import COMMAND_TIMEOUT_S, Guest, Pings, inside
from octostack.testing.intents import COMMON, P1, P2, P3, given_device
from octostack.testing.nethost import HostProcess
from octostack.wire.packets import ethernet

pytestmark = pytest.mark.anyio

CODE = "%04x" % (os.getpid() & 0xFFFF)
FLOATING = "172.24.4.20"


class TwoHosts:
    """The hosts by name, their namespaces, and the guests."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.netns = {name: f"octohost-{CODE}-{name}" for name in ("h1", "h2")}
        self.hosts: dict[str, HostProcess] = {}
        self.guests: dict[str, Guest] = {}
        self.ports: dict[str, intents.LocalPort] = {}
        self.generation = 0

    async def create(self) -> None:
        for netns in self.netns.values():
            await devices.ensure_netns(netns)
        one, two = f"u{CODE}1", f"u{CODE}2"
        await devices.ip("link", "add", one, "type", "veth", "peer", "name", two)
        for name, link in (("h1", one), ("h2", two)):
            await devices.ip("link", "set", link, "netns", self.netns[name])
        await self.start("h1")
        await self.start("h2")
        for host, port, address, gateway in (
            ("h1", P1, "10.0.0.11/24", "10.0.0.1"),
            ("h2", P2, "10.0.0.12/24", "10.0.0.1"),
            ("h2", P3, "10.0.1.13/24", "10.0.1.1"),
        ):
            await self.guest(host, port, address, gateway)

    async def start(self, host: str) -> None:
        number = host[1:]
        physical = ("public",) if host == "h1" else ()
        tunnel = f"192.0.2.{number}/24"
        place = str(self.state_dir / host)
        self.hosts[host] = await HostProcess.start(
            self.netns[host], place, host, tunnel, f"u{CODE}{number}", *physical
        )

    async def guest(self, host: str, port: intents.LocalPort, address: str, gateway: str) -> None:
        key = f"{self.state_dir}{port.id}"
        made = Guest(key, f"t{CODE}{port.id}", port.mac, self.netns[host])
        self.guests[port.id] = made
        self.ports[port.id] = given_device(port, made.interface)
        await made.create(address, gateway)

    async def apply(self) -> None:
        self.generation += 1
        local = {"h1": ["p1"], "h2": ["p2", "p3"]}
        for host, mine in local.items():
            other = "h2" if host == "h1" else "h1"
            ip = f"192.0.2.{other[1:]}"
            far = [fabric.seen_from(self.ports[p], other, ip) for p in local[other]]
            items = (*COMMON, *(self.ports[p] for p in mine), *far)
            if host == "h2":  # what a host without that physical network is told
                items = tuple(item for item in items if item.id not in ("x", "sx"))
            whole = intents.HostIntent(host=host, generation=self.generation, items=items)
            state = await self.hosts[host].apply(whole)
            assert (state.error, state.generation) == ("", self.generation)
            assert all(port.up for port in state.ports)

    async def remove(self) -> None:
        for guest in self.guests.values():
            await guest.remove()
        for host in self.hosts.values():
            await host.remove()
        for netns in self.netns.values():
            await devices.delete_netns(netns)


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[TwoHosts]:
    made = TwoHosts(tmp_path)
    try:
        await made.create()
        await made.apply()
        yield made
    finally:
        await made.remove()


async def test_tenants_traffic_crosses_the_tunnel(cloud: TwoHosts) -> None:
    p1, p2 = cloud.guests["p1"], cloud.guests["p2"]
    for stream in (
        await Pings.start("10.0.0.12", p1.netns),
        await Pings.start("10.0.1.13", p1.netns),
        await Pings.start("10.0.0.11", cloud.guests["p3"].netns),
    ):
        await stream.more(3)
        assert await stream.stop() == []
    servers = [await p2.echo_server(22), await p2.echo_server(80)]
    assert await p1.connects("10.0.0.12", 22)
    assert not await p1.connects("10.0.0.12", 80, 1.0)
    for server in servers:
        server.close()


async def test_gateway_of_another_host_is_used(cloud: TwoHosts) -> None:
    """Out of p2 by the gateway's address, of p3 by its own; the world is h1's namespace."""
    assert await cloud.guests["p2"].pings("172.24.4.1") == 3
    assert await cloud.guests["p3"].pings("172.24.4.1") == 3
    assert await cloud.guests["p1"].pings(FLOATING) == 3
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", cloud.netns["h1"]),
        *("ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", FLOATING),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert b" 0% packet loss" in said


async def test_only_the_bridge_answers_for_the_tunnels_address(cloud: TwoHosts) -> None:
    """The kernel would, by the NIC in the bridge and sooner; what is sent to that MAC is lost."""
    bridges = {h: ovs.names_of(cloud.state_dir / h, h) for h in cloud.hosts}
    asker = ethernet.Arp(
        ethernet.REQUEST, model.mac(bridges["h1"].mac("phy")),
        model.address("192.0.2.1"), 0, model.address("192.0.2.2"),
    )  # fmt: skip
    frame = ethernet.Frame(ethernet.BROADCAST, asker.sha, ethernet.ARP, ethernet.build_arp(asker))

    def ask() -> int:
        device = (bridges["h1"].of("phy"), ethernet.ARP)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethernet.ARP)) as raw:
            raw.bind(device)
            raw.settimeout(COMMAND_TIMEOUT_S)
            raw.send(ethernet.build(frame))
            while True:
                said = ethernet.parse_arp(ethernet.parse(raw.recv(2048)).payload)
                if (said.op, said.spa) == (ethernet.REPLY, asker.tpa):
                    return said.sha

    assert await asyncio.to_thread(inside, cloud.netns["h1"], ask) == model.mac(
        bridges["h2"].mac("phy")
    )


async def test_killed_agents_lose_no_packet(cloud: TwoHosts) -> None:
    p1, p3 = cloud.guests["p1"], cloud.guests["p3"]
    streams = [
        await Pings.start("10.0.1.13", p1.netns),
        await Pings.start(FLOATING, p1.netns),
        await Pings.start("172.24.4.1", p3.netns),
    ]
    for host in ("h1", "h2"):
        await cloud.hosts[host].kill()
        await cloud.start(host)
    await cloud.apply()
    for stream in streams:
        await stream.more(3)
        assert await stream.stop() == []


async def test_port_that_moves_is_found_again(cloud: TwoHosts) -> None:
    """The address and MAC of p2 turn up on the other host, as after a migration."""
    await cloud.guests["p2"].remove()
    p2 = msgspec.structs.replace(P2)
    await cloud.guest("h1", p2, "10.0.0.12/24", "10.0.0.1")
    cloud.generation += 1
    far = [fabric.seen_from(cloud.ports["p3"], "h2", "192.0.2.2")]
    items = (*COMMON, cloud.ports["p1"], cloud.ports["p2"], *far)
    await cloud.hosts["h1"].apply(
        intents.HostIntent(host="h1", generation=cloud.generation, items=items)
    )
    near = [fabric.seen_from(cloud.ports[p], "h1", "192.0.2.1") for p in ("p1", "p2")]
    items = (*COMMON, cloud.ports["p3"], *near)
    await cloud.hosts["h2"].apply(
        intents.HostIntent(host="h2", generation=cloud.generation, items=items)
    )
    assert await cloud.guests["p1"].pings("10.0.0.12") == 3
    assert await cloud.guests["p3"].pings("10.0.0.12") == 3
