# SPDX-License-Identifier: Apache-2.0
"""One host on real Open vSwitch; namespaces play the guests."""

import asyncio
import http.client
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from octostack.agents.network.metadata import Proxy
from octostack.base import clock
from octostack.contracts import network_agent as intents
from octostack.contracts.compute import MetadataAnswer, MetadataRequest
from octostack.engines.sdn import daemon, devices
from octostack.engines.sdn.core import model
from octostack.testing import fabric
from octostack.testing.guests import COMMAND_TIMEOUT_S, Pings
from octostack.testing.intents import P1, P2, SSH
from octostack.wire.packets import dhcp, ethernet, ip

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
    three.agent.wake.clear()
    os.kill(pid, signal.SIGKILL)
    await three.agent.wake.wait()  # it has seen the connection end
    assert await three.agent.refresh()
    assert daemon.find_pid(three.dataplane.paths, "ovs-vswitchd") not in (None, pid)
    assert await three.guests["p1"].pings("10.0.0.12") >= 2


async def test_port_that_goes_takes_its_flows_and_its_tap(three: Any) -> None:
    tap = f"tapx{three.third}"
    port = fabric.local_port("p9", "a", 9, ("sa", "10.0.0.19"), groups=("open",))
    await three.apply(fabric.with_interface(port, tap))
    number = three.agent.fabric.numbers["port/p9"]
    assert devices.exists(tap)
    mine = [f for f in await _flows(three) if f.cookie & 0xFFFF == number]
    assert mine
    await three.apply()
    assert not devices.exists(tap)
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


async def test_fragments_pass_where_their_datagram_may(three: Any) -> None:
    p1, p2 = three.guests["p1"], three.guests["p2"]
    status, said = await p1.run(
        "ping", "-n", "-c", "3", "-i", "0.2", "-s", "4000", "-M", "dont", "10.0.1.13"
    )
    assert status == 0, said
    rule = intents.Rule(direction="ingress", protocol=17, port_min=5000, port_max=5000)
    await three.apply(intents.SecurityGroup(id="ssh", rules=(*SSH.rules, rule)))
    server = await p2.within(lambda: _datagrams(5000))
    loop = asyncio.get_running_loop()
    loop.add_reader(server, lambda: server.sendto(*server.recvfrom(8192)))
    try:
        answered = await p1.within(lambda: _echoes("10.0.0.12", 5000, 4000))
    finally:
        loop.remove_reader(server)
        server.close()
    assert answered == 5


def _datagrams(port: int) -> socket.socket:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.setblocking(False)
    server.bind(("0.0.0.0", port))
    return server


def _echoes(address: str, port: int, size: int) -> int:
    answered = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(COMMAND_TIMEOUT_S / 5)
        for _ in range(5):
            client.sendto(bytes(size), (address, port))
            with suppress(TimeoutError):
                answered += len(client.recv(8192)) == size
    return answered


async def test_guests_find_the_metadata_service(three: Any) -> None:
    """Two tenants with one address, told apart by their ports alone."""
    asked: list[MetadataRequest] = []

    class Answers:
        async def metadata(self, request: MetadataRequest) -> MetadataAnswer:
            asked.append(request)
            if request.path == "/missing":
                return MetadataAnswer(status=404, body=b"no")
            return MetadataAnswer(body=f"you are {request.port_id}".encode())

    twin = fabric.local_port("q1", "d", 1, ("sd", "10.0.0.11"), groups=("open",))
    await three.guest(twin, "10.0.0.11/24", "10.0.0.1")
    more = (
        intents.Network(id="d", vni=1003),
        intents.Subnet(id="sd", network_id="d", cidr="10.0.0.0/24", gateway_ip="10.0.0.1"),
    )
    await three.apply(*more)
    proxy = Proxy(Answers(), three.agent.port_behind)
    netns = three.dataplane.names.netns
    await proxy.listen(devices.within(netns, lambda: devices.listener("169.254.169.254", 80)))
    try:
        for port in ("p1", "q1", "p3"):
            guest = three.guests[port]
            await guest.run("ip", "route", "add", "169.254.169.254", "dev", "eth0")
            assert await guest.within(lambda: _get("/openstack?x=1")) == (200, f"you are {port}")
        assert await three.guests["p1"].within(lambda: _get("/missing")) == (404, "no")
        assert (asked[0].port_id, asked[0].path) == ("p1", "/openstack")
        forged = {"X-Instance-ID": "other", "X-Forwarded-For": "10.0.1.13"}
        status = await three.guests["p1"].within(lambda: _get("/", forged))
        assert status == (200, "you are p1")
        assert await three.guests["p1"].within(_garbage)
    finally:
        proxy.close()


def _get(path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("169.254.169.254", 80, timeout=5)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def _garbage() -> bool:
    """Whether a connection that is no HTTP is closed, and the next one still served."""
    with socket.create_connection(("169.254.169.254", 80), 5) as broken:
        broken.sendall(b"\0" * 4000)
        closed = broken.recv(10) == b""
    return closed and _get("/")[0] == 200


async def test_floating_address_that_goes_ends_what_it_translated(three: Any) -> None:
    p3 = three.guests["p3"]
    away = f"10.123.{three.third}.1"
    assert await p3.pings(away) == 3
    inside = ("ip", "netns", "exec", p3.netns)
    pings = await Pings.read(*inside, "ping", "-n", "-i", "0.002", away)
    await pings.more(10)
    three.common = [item for item in three.common if item.id != "f"]
    await three.apply()
    # by the gateway's address, as soon as the old translation is forgotten
    await pings.more(2000)
    await pings.stop()


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


async def test_router_says_when_a_packet_has_no_hop_left(three: Any) -> None:
    """What traceroute asks for."""
    p1 = three.guests["p1"]
    status, said = await p1.run("ping", "-n", "-c2", "-i0.2", "-t1", "-W1", "10.0.1.13")
    assert status != 0
    assert "From 10.0.0.1 icmp_seq=1 Time to live exceeded" in said
    assert await p1.pings("10.0.1.13") == 3


async def test_the_machine_itself_answers_no_guest(three: Any) -> None:
    """Its kernel has a copy of each frame, and addresses that a guest may ask for."""
    p1 = three.guests["p1"]
    asked = (f"10.123.{three.third}.1", "10.0.0.1")
    assert await p1.within(lambda: _first_to_answer(P1.mac, "10.0.0.11", asked)) == "10.0.0.1"
    assert p1.interface not in Path("/proc/thread-self/net/if_inet6").read_text()


def _first_to_answer(mac: str, address: str, asked: tuple[str, ...]) -> str:
    own = model.mac(mac)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethernet.ARP)) as raw:
        raw.bind(("eth0", ethernet.ARP))
        raw.settimeout(COMMAND_TIMEOUT_S)
        for one in asked:
            question = ethernet.Arp(
                ethernet.REQUEST, own, model.address(address), 0, model.address(one)
            )
            payload = ethernet.build_arp(question)
            raw.send(ethernet.build(ethernet.Frame(ethernet.BROADCAST, own, ethernet.ARP, payload)))
        while True:
            said = ethernet.parse_arp(ethernet.parse(raw.recv(2048)).payload)
            if said.op == ethernet.REPLY:
                return socket.inet_ntoa(said.spa.to_bytes(4, "big"))


async def test_flood_of_questions_is_stopped_in_the_switch(host: Any) -> None:
    """A guest that asks without end reaches the agent no oftener than its meter lets it."""
    guest = await host.guest(P1)
    await host.apply()
    began = clock.monotonic()
    await guest.within(lambda: _flood(P1.mac, 5000))
    took_s = clock.monotonic() - began
    counters = host.agent.fabric.packet_in.counters
    # what comes after them has been dealt with after them
    assert any([await guest.lease(1.0) is not None for _ in range(5)])
    came = counters["dhcp_ignored"] + counters["dhcp_answered"] + counters["limited"]
    assert came < 60 + 20 * took_s


def _flood(mac: str, count: int) -> None:
    number = int(mac.replace(":", ""), 16)
    asked = dhcp.Message(
        op=dhcp.BOOTREQUEST, xid=7, mac=number, options={dhcp.MESSAGE_TYPE: b"\x01"}
    )
    udp = ip.build_udp(0, 0xFFFFFFFF, ip.Udp(68, 67, dhcp.build(asked)))
    packet = ip.build(ip.Packet(0, 0xFFFFFFFF, ip.UDP, udp))
    frame = ethernet.build(ethernet.Frame(ethernet.BROADCAST, number, ethernet.IPV4, packet))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethernet.IPV4)) as raw:
        raw.bind(("eth0", 0))
        for _ in range(count):
            raw.send(frame)
