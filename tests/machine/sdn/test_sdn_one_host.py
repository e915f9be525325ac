# SPDX-License-Identifier: Apache-2.0
"""One host on real Open vSwitch; namespaces play the guests."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from octostack.base import clock
from octostack.contracts import network_agent as intents
from octostack.engines.sdn import daemon
from octostack.testing import fabric
from octostack.testing.intents import P1, P2, SSH
from octostack.wire.packets import dhcp

pytestmark = pytest.mark.anyio


async def test_dhcp_is_answered(host: Any) -> None:
    guest = await host.guest(P1)
    await host.apply()
    lease = await guest.lease()
    assert lease is not None
    assert lease.type == dhcp.ACK
    assert lease.yours == int.from_bytes(socket.inet_aton("10.0.0.11"), "big")
    assert lease.address(dhcp.ROUTER) == 0x0A000001
    assert lease.address(dhcp.DNS) == int.from_bytes(socket.inet_aton("192.0.2.53"), "big")
    assert int.from_bytes(lease.options[dhcp.MTU], "big") == 1450


async def test_guests_reach_each_other_and_their_router(three: Any) -> None:
    p1 = three.guests["p1"]
    assert await p1.pings("10.0.0.12") == 3
    assert await p1.pings("10.0.0.1") == 3
    assert await p1.pings("10.0.1.13") == 3
    assert await p1.pings("10.0.0.99", 1) == 0


async def test_security_group_lets_22_in_and_80_not(three: Any) -> None:
    p1, p2 = three.guests["p1"], three.guests["p2"]
    servers = [await p2.echo_server(22), await p2.echo_server(80)]
    assert await p1.connects("10.0.0.12", 22)
    assert not await p1.connects("10.0.0.12", 80, 1.0)
    wider = intents.SecurityGroup(
        id="ssh",
        rules=(*SSH.rules, intents.Rule(direction="ingress", protocol=6, port_min=80, port_max=81)),
    )
    await three.apply(wider)
    assert await p1.connects("10.0.0.12", 80)
    for server in servers:
        server.close()


async def test_floating_address_leads_in_and_out(three: Any) -> None:
    p3 = three.guests["p3"]
    server = await p3.echo_server(22)

    def attempt() -> bytes:
        with socket.create_connection((three.floating, 22), 5) as connection:
            connection.sendall(b"hello")
            return connection.recv(100)

    assert await asyncio.to_thread(attempt) == b"hello"
    server.close()
    # outwards: this machine sees the floating address, and for p1 the gateway's
    listening = socket.create_server((f"10.123.{three.third}.1", 0))
    listening.settimeout(5)
    port = listening.getsockname()[1]
    for guest, seen in (("p3", three.floating), ("p1", f"10.123.{three.third}.10")):
        away = f"10.123.{three.third}.1"
        calling = asyncio.create_task(three.guests[guest].connects(away, port, 3.0))
        connection, peer = await asyncio.to_thread(listening.accept)
        with connection:
            connection.sendall(await asyncio.to_thread(connection.recv, 100))
        assert peer[0] == seen
        assert await calling
    listening.close()


async def test_guest_reaches_a_floating_address_from_inside(three: Any) -> None:
    assert await three.guests["p1"].pings(three.floating) == 3


async def test_tenants_with_the_same_addresses_never_meet(three: Any) -> None:
    twin = fabric.local_port("q1", "d", 1, ("sd", "10.0.0.11"), groups=("open",))
    await three.guest(twin, "10.0.0.11/24", "10.0.0.1")
    more = (
        intents.Network(id="d", vni=1003),
        intents.Subnet(id="sd", network_id="d", cidr="10.0.0.0/24", gateway_ip="10.0.0.1"),
    )
    await three.apply(*more)
    assert await three.guests["p1"].pings("10.0.0.12") == 3
    assert await three.guests["q1"].pings("10.0.0.12", 2) == 0
    assert await three.guests["q1"].pings("10.0.0.1", 2) == 0
    assert await three.guests["q1"].pings("10.0.1.13", 2) == 0


async def test_forged_sources_do_not_leave(three: Any) -> None:
    p1 = three.guests["p1"]
    await p1.run("ip", "addr", "add", "10.0.0.99/24", "dev", "eth0")
    status, _ = await p1.run("ping", "-c1", "-W1", "-I", "10.0.0.99", "10.0.0.12")
    assert status != 0
    await p1.run("ip", "link", "set", "eth0", "address", "fa:16:3e:00:00:77")
    assert await p1.pings("10.0.0.12", 1) == 0


async def test_restarted_agent_loses_no_packet_and_touches_no_flow(three: Any) -> None:
    p1 = three.guests["p1"]
    assert await p1.pings("10.0.0.12") == 3
    assert await p1.pings(three.floating) == 3
    assert await three.guests["p3"].pings(f"10.123.{three.third}.1") == 3
    before = {(f.table, f.priority, f.match): f.packets for f in await _flows(three)}
    stream = asyncio.create_task(p1.run("ping", "-n", "-i", "0.05", "-c", "60", "10.0.1.13"))
    outside = await asyncio.create_subprocess_exec(
        "ping", "-n", "-i", "0.05", "-c", "60", three.floating, stdout=asyncio.subprocess.PIPE
    )
    await three.vanish()
    three.start()
    assert await three.agent.refresh()
    status, out = await stream
    assert status == 0
    assert " 0% packet loss" in out
    said, _ = await outside.communicate()
    assert b" 0% packet loss" in said
    after = {(f.table, f.priority, f.match): f.packets for f in await _flows(three)}
    assert after.keys() == before.keys()
    assert all(after[key] >= count for key, count in before.items())
    assert sum(after.values()) > sum(before.values())


async def test_switch_that_dies_is_put_back(three: Any) -> None:
    pid = daemon.find_pid(three.dataplane.paths, "ovs-vswitchd")
    assert pid is not None
    _kill(pid)
    assert await three.agent.refresh()
    assert daemon.find_pid(three.dataplane.paths, "ovs-vswitchd") not in (None, pid)
    assert await three.guests["p1"].pings("10.0.0.12") >= 2


async def test_port_that_goes_takes_its_flows_and_its_tap(three: Any) -> None:
    tap = f"tapx{three.third}"
    port = fabric.local_port("p9", "a", 9, ("sa", "10.0.0.19"), groups=("open",))
    await three.apply(fabric.with_interface(port, tap))
    number = three.agent.fabric.numbers["port/p9"]
    assert Path(f"/sys/class/net/{tap}").exists()
    mine = [f for f in await _flows(three) if f.cookie & 0xFFFF == number]
    assert mine
    await three.apply()
    assert not Path(f"/sys/class/net/{tap}").exists()
    assert not [f for f in await _flows(three) if f.cookie & 0xFFFF == number]


async def test_two_clouds_share_the_switch(three: Any, tmp_path: Path) -> None:
    other = type(three)(tmp_path / "other", third=8)
    try:
        await other.apply()
        assert other.dataplane.paths == three.dataplane.paths
        assert other.dataplane.bridge != three.dataplane.bridge
    finally:
        await other.close()
    assert await three.guests["p1"].pings("10.0.0.12") == 3


async def test_dhcp_flood_is_bounded(host: Any) -> None:
    guest = await host.guest(P1)
    await host.guest(P2)
    await host.apply()
    began = clock.monotonic()
    answered = 0
    for _ in range(30):
        answered += await guest.lease(0.2) is not None
    assert answered < 30 or clock.monotonic() - began > 2
    assert await host.guests["p2"].lease() is not None


async def _flows(host: Any) -> list[Any]:
    flows: list[Any] = await host.dataplane.switch.flows()
    return flows


def _kill(pid: int) -> None:
    import os
    import signal

    os.kill(pid, signal.SIGKILL)
