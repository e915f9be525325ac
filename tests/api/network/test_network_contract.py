# SPDX-License-Identifier: Apache-2.0
"""What Compute, the metadata service and agents are promised."""

import asyncio

import pytest

from octostack.base.errors import Conflict, Forbidden, Invalid, NotFound, OverQuota
from octostack.contracts.compute import Compute
from octostack.contracts.identity import Caller
from octostack.contracts.network import (
    AgentInfo,
    Binding,
    HostReport,
    Network,
    NicRequest,
    NicRequests,
    PortSpec,
    PortState,
)

pytestmark = pytest.mark.anyio
USER = Caller(user_id="u1", project_id="p1", roles=("member", "reader"))
OTHER = Caller(user_id="u2", project_id="p2", roles=("member", "reader"))
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def network(cloud) -> Network:
    return cloud.runtime.bus.stub(Network)


def nics(*wanted: NicRequest, count: int = 1) -> NicRequests:
    return NicRequests(mode="listed", nics=wanted, count=count)


async def test_nothing_said_is_the_one_network_there_is(network, member):
    assert await network.plan_nics(USER, NicRequests(mode="default")) == []
    assert await network.plan_nics(USER, NicRequests(mode="none")) == []
    first, _subnet = await member.wired()
    [nic] = await network.plan_nics(USER, NicRequests(mode="default"))
    assert nic.network_id == first["id"]
    await member.wired("10.1.0.0/24")
    with pytest.raises(Conflict) as e:
        await network.plan_nics(USER, NicRequests(mode="default"))
    assert e.value.code == "NetworkAmbiguous"


async def test_auto_makes_a_network_once(network, member):
    [first] = await network.plan_nics(USER, NicRequests(mode="auto"))
    [again] = await network.plan_nics(USER, NicRequests(mode="auto"))
    assert first == again
    assert len((await member("GET", "/routers"))["routers"]) == 1


@pytest.mark.parametrize(
    ("wanted", "error", "code"),
    [
        ({"network_id": NOBODY}, NotFound, "NetworkNotFound"),
        ({"port_id": NOBODY}, NotFound, "PortNotFound"),
        ({"network_id": "NET", "fixed_ip": "10.9.9.9"}, Invalid, "InvalidIpForNetwork"),
        ({"network_id": "NET", "fixed_ip": "x"}, Invalid, "InvalidIpForNetwork"),
        ({"network_id": "NET", "fixed_ip": "10.0.0.77"}, Conflict, "IpAddressAlreadyAllocated"),
        ({"port_id": "USED"}, Conflict, "PortInUse"),
        ({"network_id": "EMPTY"}, Invalid, "NetworkRequiresSubnet"),
        ({"network_id": "OUTSIDE"}, Invalid, "ExternalNetworkAttachForbidden"),
        ({"network_id": "THEIRS"}, NotFound, "NetworkNotFound"),
    ],
)
async def test_what_cannot_be_is_refused_before_the_server_is(
    network, member, stranger, wanted, error, code
):
    made, _subnet = await member.wired()
    taken = [{"ip_address": "10.0.0.77"}]
    used = await member.port(made["id"], fixed_ips=taken, device_id="vm")
    theirs, _subnet = await stranger.wired()
    known = {"NET": made["id"], "USED": used["id"], "EMPTY": (await member.network())["id"],
             "OUTSIDE": await member.external(), "THEIRS": theirs["id"]}  # fmt: skip
    request = NicRequest(**{k: known.get(v, v) for k, v in wanted.items()})
    with pytest.raises((Invalid, NotFound, Conflict, Forbidden)) as e:
        await network.plan_nics(USER, nics(request))
    assert isinstance(e.value, error) and e.value.code == code


async def test_one_port_or_address_cannot_serve_two(network, member):
    made, _subnet = await member.wired()
    port = await member.port(made["id"])
    nic = NicRequest(port_id=port["id"])
    for wanted in (nics(nic, nic), nics(nic, count=2)):
        with pytest.raises(Conflict):
            await network.plan_nics(USER, wanted)
    with pytest.raises(Conflict):
        await network.plan_nics(
            USER, nics(NicRequest(network_id=made["id"], fixed_ip="10.0.0.9"), count=2)
        )


async def test_ports_within_the_quota(network, member, admin):
    made, _subnet = await member.wired()
    await admin("PUT", "/quotas/p1", {"quota": {"port": 3}})
    await network.plan_nics(USER, nics(NicRequest(network_id=made["id"]), count=2))
    with pytest.raises(OverQuota):
        await network.plan_nics(USER, nics(NicRequest(network_id=made["id"]), count=3))


async def test_the_same_nic_gets_the_same_port(network, member):
    made, subnet = await member.wired()
    spec = PortSpec(device_id="vm1", key="0", network_id=made["id"], hostname="Web")
    first = await network.ensure_port(USER, spec)
    again = await network.ensure_port(USER, spec)
    assert first == again and first.preserve is False
    assert first.vif_type == "unbound" and first.network.mtu == 1450
    [ip] = first.fixed_ips
    assert ip.subnet.id == subnet["id"] and ip.subnet.gateway_ip == "10.0.0.1"
    assert [name for _id, name in first.security_groups] == ["default"]
    shown = (await member("GET", f"/ports/{first.id}"))["port"]
    assert shown["device_id"] == "vm1" and shown["dns_name"] == "web"
    bound = await network.bind_port(first.id, Binding(host="h1", device_id="vm1"))
    assert bound.vif_type == "ovs" and bound.vif_details["interface"] == "tap" + first.id[:11]
    other = await network.ensure_port(USER, PortSpec(device_id="vm1", key="1",
                                                     network_id=made["id"]))  # fmt: skip
    listed = await network.list_ports(("vm1", "vm2"))
    assert [port.id for port in listed["vm1"]] == [first.id, other.id] and listed["vm2"] == []
    brief = await network.list_addresses(("vm1", "vm2"))
    assert [port.port_id for port in brief["vm1"]] == [first.id, other.id] and brief["vm2"] == []
    assert brief["vm1"][0].fixed_ips == ((ip.address, subnet["id"]),)
    assert brief["vm1"][0].security_groups == ("default",)


async def test_a_port_of_the_user_stays_when_the_machine_goes(network, member):
    made, _subnet = await member.wired()
    mine = await member.port(made["id"], name="mine")
    spec = PortSpec(device_id="vm1", key="0", network_id=made["id"], port_id=mine["id"], host="h1")
    port = await network.ensure_port(USER, spec)
    assert port.preserve is True and port.host == "h1" and port.id == mine["id"]
    with pytest.raises(Conflict):
        await network.ensure_port(USER, PortSpec(device_id="vm2", key="0", network_id=made["id"],
                                                 port_id=mine["id"]))  # fmt: skip
    with pytest.raises(NotFound):
        await network.ensure_port(OTHER, PortSpec(device_id="vm3", key="0", network_id=made["id"],
                                                  port_id=mine["id"]))  # fmt: skip
    own = await network.ensure_port(
        USER,
        PortSpec(device_id="vm1", key="1", network_id=made["id"], security_groups=("default",)),
    )
    await network.release_device("vm1")
    await network.release_device("vm1")
    shown = (await member("GET", f"/ports/{mine['id']}"))["port"]
    assert shown["device_id"] == "" and shown["device_owner"] == ""
    assert await member.fails("GET", f"/ports/{own.id}") == (404, "PortNotFound")


async def test_wrong_groups_leave_no_port(network, member):
    made, _subnet = await member.wired()
    spec = PortSpec(device_id="vm1", key="0", network_id=made["id"], security_groups=("none",))
    with pytest.raises(NotFound) as e:
        await network.ensure_port(USER, spec)
    assert e.value.code == "SecurityGroupNotFound"
    body = {"security_group": {"name": "twin"}}
    for _ in range(2):
        await member("POST", "/security-groups", body)
    with pytest.raises(Conflict) as twin:
        await network.list_security_groups(USER, ("twin",))
    assert twin.value.code == "NoUniqueMatch"
    assert (await network.list_ports(("vm1",)))["vm1"] == []


async def test_groups_of_a_machine_change(network, member):
    made, _subnet = await member.wired()
    body = {"security_group": {"name": "web"}}
    web = (await member("POST", "/security-groups", body))["security_group"]
    spec = PortSpec(device_id="vm1", key="0", network_id=made["id"])
    await network.ensure_port(USER, spec)
    await network.change_security_groups(USER, "vm1", ("web",), ())
    await network.change_security_groups(USER, "vm1", (), ("default",))
    [port] = (await network.list_ports(("vm1",)))["vm1"]
    assert port.security_groups == ((web["id"], "web"),)
    with pytest.raises(NotFound):
        await network.change_security_groups(USER, "vm1", (), ("default",))
    names = sorted(group.name for group in await network.list_security_groups(USER))
    assert names == ["default", "web"]


async def test_addresses_lead_to_machines(network, member):
    made, _subnet, _router = await member.connected()
    port = await network.ensure_port(
        USER, PortSpec(device_id="vm1", key="0", network_id=made["id"], fixed_ip="10.0.0.50")
    )
    outside = {"floating_network_id": await member.external(), "port_id": port.id}
    floating = (await member("POST", "/floatingips", {"floatingip": outside}))["floatingip"]
    seen = await network.get_port(USER, port.id)
    assert seen.fixed_ips[0].floating_ips == (floating["floating_ip_address"],)
    assert await network.find_devices(r"0\.5", USER) == ["vm1"]
    assert await network.find_devices(r"0\.5", OTHER) == []
    with pytest.raises(Invalid):
        await network.find_devices("(", USER)
    for owner in (
        await network.port_owner(port.id),
        await network.port_owner(network_id=made["id"], fixed_ip="10.0.0.50"),
    ):
        assert owner.device_id == "vm1" and owner.project_id == "p1"
    with pytest.raises(NotFound):
        await network.port_owner(NOBODY)
    with pytest.raises(NotFound):
        await network.get_port(OTHER, port.id)
    assert (await network.quota_usage("p1"))["floatingip"].used == 1
    await network.detach_port("vm1", port.id)
    assert (await network.list_ports(("vm1",)))["vm1"] == []


class Told(Compute):
    """Remembers what Compute is told."""

    def __init__(self) -> None:
        self.events = asyncio.Queue()

    async def external_events(self, events):
        for event in events:
            self.events.put_nowait((event.name, event.server_id, event.tag))


Told.__abstractmethods__ = frozenset()


async def test_compute_hears_that_a_port_came_up_and_went_down(cloud, network, member):
    told = Told()
    await cloud.runtime.bus.serve(Compute, told)
    made, _subnet = await member.wired()
    await network.register_agent(AgentInfo(host="h1"))
    spec = PortSpec(device_id="vm1", key="0", network_id=made["id"], host="h1")
    port = await network.ensure_port(USER, spec)
    up = (PortState(port.id, True),)
    await network.report(HostReport(host="h2", generation=1, ports=up))  # not its port
    await network.report(HostReport(host="h1", generation=1, ports=up))
    async with asyncio.timeout(60):
        assert await told.events.get() == ("network-vif-plugged", "vm1", port.id)
    await network.report(HostReport(host="h1", generation=2, complete=True))
    async with asyncio.timeout(60):
        assert await told.events.get() == ("network-vif-unplugged", "vm1", port.id)
    assert told.events.empty()
