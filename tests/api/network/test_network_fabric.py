# SPDX-License-Identifier: Apache-2.0
"""From the API to where packets go: rows, intents sent to two hosts, compiled flows, packets."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from octostack.base.errors import Conflict, Unavailable
from octostack.contracts import network_agent as intents
from octostack.contracts.compute import Finding
from octostack.contracts.identity import Caller
from octostack.contracts.network import AgentInfo, Binding, Network
from octostack.engines.sdn.core import model
from octostack.testing import fabric
from octostack.testing.fabric import arp, ping, tcp

pytestmark = pytest.mark.anyio
PLACES = {
    "h1": model.Place(host="h1", tunnel_ip="192.0.2.1", physical={"public": 10}),
    "h2": model.Place(host="h2", tunnel_ip="192.0.2.2"),
}
ITSELF = Caller(user_id="")


class Agent(intents.NetworkAgent):
    """An agent over a switch in memory; counts what it is sent."""

    def __init__(self, hosts: fabric.Hosts, name: str) -> None:
        self.hosts, self.name = hosts, name
        self.generation = 0
        self.items: dict[intents.Key, intents.Item] = {}
        self.sent: list[int] = []  # items in each message
        self.reachable = True

    async def apply(self, intent: intents.HostIntent) -> intents.AppliedState:
        if not self.reachable:
            raise Unavailable("the host is away")
        assert intent.generation > self.generation
        self.items = {model.key_of(item): item for item in intent.items}
        return self._follow(intent.generation, len(intent.items))

    async def change(self, change: intents.IntentChange) -> intents.AppliedState:
        if not self.reachable:
            raise Unavailable("the host is away")
        if change.base != self.generation:
            raise Conflict("elsewhere", code="intent.base")
        for item in change.put:
            self.items[model.key_of(item)] = item
        for key in change.drop:
            del self.items[key]
        return self._follow(change.generation, len(change.put) + len(change.drop))

    def _follow(self, generation: int, size: int) -> intents.AppliedState:
        self.generation = generation
        self.sent.append(size)
        self.hosts.by_name[self.name].apply(self.items.values())
        ports = [i for i in self.items.values() if isinstance(i, intents.LocalPort)]
        return intents.AppliedState(
            host=self.name,
            generation=generation,
            ports=tuple(
                intents.AgentPort(id=p.id, interface=p.interface, up=p.admin_up) for p in ports
            ),
        )

    async def ensure_port(self, port_id: str, timeout_s: float = 10.0) -> intents.AgentPort:
        raise NotImplementedError

    async def status(self) -> intents.AgentStatus:
        raise NotImplementedError

    async def list_ports(self) -> list[intents.AgentPort]:
        raise NotImplementedError

    async def examine(self, repair: bool = False) -> list[Finding]:
        if not self.reachable:
            raise Unavailable("the host is away")
        text = f"{self.name} has too much"
        return [Finding(kind="orphan_flow", subject=self.name, text=text, repaired=repair)]

    async def trace(self, request: intents.TraceRequest) -> intents.TraceResult:
        raise NotImplementedError


class Fabric:
    """Two hosts and the network contract."""

    def __init__(self, cloud) -> None:
        self.hosts = fabric.Hosts(*PLACES.values())
        self.agents = {name: Agent(self.hosts, name) for name in PLACES}
        self.network = cloud.runtime.bus.stub(Network)
        self.loops = {loop.name: loop for s in cloud.cloud.services for loop in s.loops}

    async def join(self, name: str, started_at: float = 1.0) -> None:
        place = PLACES[name]
        await self.network.register_agent(
            AgentInfo(
                host=name,
                tunnel_ip=place.tunnel_ip,
                external_networks=tuple(place.physical),
                started_at=started_at,
            )
        )

    async def settled(self) -> None:
        """Every hint has been followed."""
        async with asyncio.timeout(60):
            for name in ("network.gateways", "network.fabric", "network.fabric"):
                await self.loops[name].idle()

    async def place(self, port, host) -> None:
        binding = Binding(host=host, device_id=f"vm-{port['id'][:8]}")
        await self.network.bind_port(port["id"], binding)

    def ping(self, port, host, to_ip, to_mac):
        """Where an echo request of a guest goes."""
        packet = ping(port["mac_address"], to_mac, address(port), to_ip)
        return [one.to for one in self.hosts.send(host, port["id"], packet)]


def address(port) -> str:
    return port["fixed_ips"][0]["ip_address"]


@pytest.fixture
async def two(cloud) -> AsyncIterator[Fabric]:
    found = Fabric(cloud)
    for name, agent in found.agents.items():
        await cloud.runtime.bus.serve(intents.NetworkAgent, agent, instance=name)
        await found.join(name)
    await found.settled()
    yield found


async def guest(api, two, network, host, **more):
    """A port on a host, in a group that lets pings in."""
    groups = (await api("GET", "/security-groups?name=open"))["security_groups"]
    if not groups:
        body = {"security_group": {"name": "open"}}
        made = (await api("POST", "/security-groups", body))["security_group"]
        rule = {"security_group_id": made["id"], "direction": "ingress", "protocol": "icmp"}
        await api("POST", "/security-group-rules", {"security_group_rule": rule})
        groups = [made]
    port = await api.port(network["id"], security_groups=[groups[0]["id"]], **more)
    await two.place(port, host)
    return port


async def test_guests_on_two_hosts_reach_each_other(member, two):
    network, _subnet = await member.wired()
    here, there = await guest(member, two, network, "h1"), await guest(member, two, network, "h2")
    await two.settled()
    assert two.ping(here, "h1", address(there), there["mac_address"]) == [f"port:{there['id']}"]
    shown = (await member("GET", f"/ports/{here['id']}"))["port"]
    assert shown["status"] == "ACTIVE"
    body = {"port": {"admin_state_up": False}}
    await member("PUT", f"/ports/{there['id']}", body)
    await two.settled()
    assert two.ping(here, "h1", address(there), there["mac_address"]) == []


async def test_tenants_with_the_same_addresses_never_meet(member, stranger, two):
    ports = {}
    for api in (member, stranger):
        network, _subnet = await api.wired("10.0.0.0/24")
        for host, last in (("h1", 11), ("h2", 12)):
            wanted = [{"ip_address": f"10.0.0.{last}"}]
            mac = f"fa:16:3e:aa:aa:{last}"
            ports[api, host] = await guest(
                api, two, network, host, fixed_ips=wanted, mac_address=mac
            )
    await two.settled()
    for api in (member, stranger):
        near, far = ports[api, "h1"], ports[api, "h2"]
        got = two.ping(near, "h1", "10.0.0.12", far["mac_address"])
        assert got == [f"port:{far['id']}"]


async def test_two_networks_meet_at_a_router(member, two):
    network, _subnet, router = await member.connected("10.0.0.0/24")
    other, second = await member.wired("10.1.0.0/24")
    here, there = await guest(member, two, network, "h1"), await guest(member, two, other, "h2")
    await two.settled()
    feet = (await member("GET", f"/ports?device_id={router['id']}"))["ports"]
    mac = next(foot["mac_address"] for foot in feet if foot["network_id"] == network["id"])
    assert two.ping(here, "h1", address(there), mac) != [f"port:{there['id']}"]
    path = f"/routers/{router['id']}"
    await member("PUT", f"{path}/add_router_interface", {"subnet_id": second["id"]})
    await two.settled()
    assert two.ping(here, "h1", address(there), mac) == [f"port:{there['id']}"]
    await member("PUT", f"{path}/remove_router_interface", {"subnet_id": second["id"]})
    await two.settled()
    assert two.ping(here, "h1", address(there), mac) != [f"port:{there['id']}"]


async def test_a_floating_address_leads_in_from_outside(member, two):
    network, _subnet, _router = await member.connected()
    inside = await guest(member, two, network, "h2")
    body = {"floating_network_id": await member.external(), "port_id": inside["id"]}
    floating = (await member("POST", "/floatingips", {"floatingip": body}))["floatingip"]
    await two.settled()
    outer = [i for i in two.agents["h1"].items.values() if isinstance(i, intents.FloatingIp)]
    assert [item.address for item in outer] == [floating["floating_ip_address"]]
    packet = ping("02:00:00:00:00:99", outer[0].mac, "172.24.4.1", outer[0].address)
    got = two.hosts.send_from_outside("h1", "public", packet)
    assert [one.to for one in got] == [f"port:{inside['id']}"]
    await member("PUT", f"/floatingips/{floating['id']}", {"floatingip": {"port_id": None}})
    await two.settled()
    got = two.hosts.send_from_outside("h1", "public", packet)
    assert [one.to for one in got] != [f"port:{inside['id']}"]


async def test_groups_follow_their_rules_and_members(member, two):
    network, _subnet = await member.wired()
    [default] = (await member("GET", "/security-groups"))["security_groups"]
    first, second = await member.port(network["id"]), await member.port(network["id"])
    await two.place(first, "h1")
    await two.place(second, "h2")
    await two.settled()

    def ssh(sender, host, receiver):
        packet = tcp(
            sender["mac_address"], receiver["mac_address"], address(sender), address(receiver), 22
        )
        return [one.to for one in two.hosts.send(host, sender["id"], packet)]

    assert ssh(first, "h1", second) == [f"port:{second['id']}"]  # members reach members
    [remote] = [
        rule
        for rule in default["security_group_rules"]
        if rule["direction"] == "ingress" and rule["ethertype"] == "IPv4"
    ]
    await member("DELETE", f"/security-group-rules/{remote['id']}")
    await two.settled()
    two.hosts.by_name["h2"].conntrack.flush(two.hosts.by_name["h2"].numbers[f"port/{second['id']}"])
    assert ssh(first, "h1", second) == []
    assert two.hosts.send("h1", first["id"], arp(first["mac_address"], address(first), "10.0.0.1"))


async def test_a_change_reaches_only_the_hosts_it_matters_to(member, stranger, two):
    mine, _subnet = await member.wired()
    theirs, _subnet = await stranger.wired()
    await guest(member, two, mine, "h1")
    port = await guest(stranger, two, theirs, "h2")
    await two.settled()
    before = {name: len(agent.sent) for name, agent in two.agents.items()}
    await stranger("PUT", f"/ports/{port['id']}", {"port": {"dns_name": "new"}})
    await two.settled()
    assert len(two.agents["h1"].sent) == before["h1"]
    assert two.agents["h2"].sent[before["h2"] :] == [1]  # one item, in one message


async def test_a_host_that_was_away_is_told_everything(member, two):
    network, _subnet = await member.wired()
    here = await guest(member, two, network, "h1")
    await two.settled()
    away = two.agents["h2"]
    away.reachable = False
    there = await guest(member, two, network, "h2")
    await two.settled()
    assert away.generation == two.agents["h2"].generation
    away.reachable = True
    await two.join("h2", started_at=2.0)
    await two.settled()
    assert two.ping(here, "h1", address(there), there["mac_address"]) == [f"port:{there['id']}"]


async def test_an_agent_that_lost_its_place_gets_the_whole(member, two):
    network, _subnet = await member.wired()
    await guest(member, two, network, "h1")
    await two.settled()
    agent = two.agents["h1"]
    agent.generation = 0
    agent.items = {}
    await guest(member, two, network, "h1")
    await two.settled()
    locals_ = [i for i in agent.items.values() if isinstance(i, intents.LocalPort)]
    assert len(locals_) == 2


async def test_a_gateway_is_served_by_a_host_that_reaches_the_outside(admin, member, two):
    _network, _subnet, router = await member.connected()
    port = await guest(member, two, _network, "h1")
    await two.settled()

    def gateway(name):
        [item] = [i for i in two.agents[name].items.values() if isinstance(i, intents.Router)]
        return item.gateway

    assert gateway("h1").host == "h1" and gateway("h1").tunnel_ip == "192.0.2.1"
    await member("DELETE", f"/ports/{port['id']}")
    await two.settled()
    assert gateway("h1").host == "h1"  # it serves the gateway still
    agents = (await admin("GET", "/agents"))["agents"]
    assert {agent["host"]: agent["alive"] for agent in agents} == {"h1": True, "h2": True}
    zones = (await member("GET", "/availability_zones"))["availability_zones"]
    assert {zone["name"] for zone in zones} == {"nova"}
    assert router["id"] in {key.id for key in two.agents["h1"].items}


async def test_doctor_asks_every_host_and_says_who_does_not_answer(two):
    found = await two.network.doctor(True)
    assert [(f.kind, f.subject, f.repaired) for f in found] == [
        ("orphan_flow", "h1", True),
        ("orphan_flow", "h2", True),
    ]
    two.agents["h2"].reachable = False
    found = await two.network.doctor(False)
    assert [(f.kind, f.subject) for f in found] == [
        ("network_unknown", "h2"),
        ("orphan_flow", "h1"),
    ]
