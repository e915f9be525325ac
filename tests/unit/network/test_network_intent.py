# SPDX-License-Identifier: Apache-2.0
"""What hosts must know: row by row it comes to the same as all at once, and only who must hear."""

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from octostack.contracts import network_agent as fabric
from octostack.services.network.core import gateways, intent
from octostack.services.network.model import nouns

HOSTS = ("h1", "h2", "h3")
NETWORKS = ("n1", "n2", "n3")
ROUTERS = ("r1", "r2")
GROUPS = ("g1", "g2")
OWNERS = ("compute:nova", "network:router_interface", "network:dhcp", "")


def network(id_, **more):
    return nouns.Network(id=id_, project_id="p", segmentation_id=int(id_[1:]), **more)


def port(id_, network_id, host="", owner="compute:nova", device="vm", **more):
    return nouns.Port(
        id=id_,
        project_id="p",
        network_id=network_id,
        mac_address=f"fa:16:3e:00:00:{int(id_[1:]):02x}",
        fixed_ips=[{"subnet_id": f"s{network_id}", "ip_address": f"10.0.0.{int(id_[1:]) + 1}"}],
        host=host,
        device_owner=owner,
        device_id=device,
        **more,
    )


def subnet(network_id):
    return nouns.Subnet(id=f"s{network_id}", project_id="p", network_id=network_id,
                        cidr="10.0.0.0/24", gateway_ip="10.0.0.1")  # fmt: skip


def agent(host, **more):
    return nouns.Agent(id=host, project_id="", host=host, tunnel_ip=f"192.0.2.{host[1]}", **more)


def kinds(items):
    return sorted(f"{key.kind}/{key.id}" for key in items)


def small_world():
    world = intent.World()
    for host in HOSTS:
        world.put("agent", agent(host))
    for id_ in ("n1", "n2"):
        world.put("network", network(id_))
        world.put("subnet", subnet(id_))
    world.put("port", port("p1", "n1", "h1", security_groups=["g1"]))
    world.put("port", port("p2", "n1", "h2"))
    world.put("port", port("p3", "n2", "h2"))
    group = nouns.SecurityGroup(id="g1", project_id="p")
    rule_ = nouns.SecurityGroupRule(id="x", project_id="p", security_group_id="g1",
                                    remote_group_id="g1", protocol="tcp")  # fmt: skip
    world.put("group", intent.Group(group, (rule_,)))
    return world


def test_a_host_knows_its_own_networks_and_nothing_else():
    world = small_world()
    assert kinds(world.intent("h1")) == [
        "group/g1", "network/n1", "port/p1", "remote/p2", "set/g1", "subnet/sn1",
    ]  # fmt: skip
    assert kinds(world.intent("h3")) == []


def test_a_router_brings_what_is_behind_it():
    world = small_world()
    foot = {"owner": nouns.OWNER_ROUTER_INTERFACE, "device": "r1"}
    world.put("router", nouns.Router(id="r1", project_id="p"))
    assert world.put("port", port("p4", "n1", **foot)) == {"h1", "h2"}
    touched = world.put("port", port("p5", "n2", **foot))
    assert touched == {"h1", "h2"}
    found = world.intent("h1")
    assert {"network/n2", "subnet/sn2", "remote/p3", "router/r1"} <= set(kinds(found))
    router = found[fabric.Key("router", "r1")]
    assert [foot.port_id for foot in router.interfaces] == ["p4", "p5"]


def test_the_dhcp_servers_address_is_told_with_the_subnet():
    world = small_world()
    world.put("port", port("p9", "n1", owner=nouns.OWNER_DHCP, device="dhcp"))
    item = world.intent("h1")[fabric.Key("subnet", "sn1")]
    assert item.dhcp_address == "10.0.0.10"


def test_a_moved_host_is_told_to_its_neighbours():
    world = small_world()
    moved = msgspec.structs.replace(agent("h2"), tunnel_ip="192.0.2.99")
    assert world.put("agent", moved) == {"h1", "h2"}
    assert world.intent("h1")[fabric.Key("remote", "p2")].tunnel_ip == "192.0.2.99"
    assert (
        world.put("agent", msgspec.structs.replace(world.agents["h2"], heartbeat_at=5.0)) == set()
    )


def test_members_of_a_group_matter_where_its_name_is_used():
    world = small_world()  # p1 on h1 is in g1, whose rule names g1
    assert world.put("port", port("p8", "n3", "h3", security_groups=["g1"])) == {"h1", "h3"}
    item = world.intent("h1")[fabric.Key("set", "g1")]
    assert item.addresses == ("10.0.0.2", "10.0.0.9")
    other = nouns.SecurityGroupRule(id="y", project_id="p", security_group_id="g2",
                                    remote_group_id="g1")  # fmt: skip
    world.put("group", intent.Group(nouns.SecurityGroup(id="g2", project_id="p"), (other,)))
    world.put("port", port("p3", "n2", "h2", security_groups=["g2"]))
    assert world.drop("port", "p8") == {"h1", "h2", "h3"}
    assert world.intent("h2")[fabric.Key("set", "g1")].addresses == ("10.0.0.2",)


def test_a_floating_address_matters_at_its_router():
    world = small_world()
    foot = {"owner": nouns.OWNER_ROUTER_INTERFACE, "device": "r1"}
    world.put("router", nouns.Router(id="r1", project_id="p", gateway_host="h3"))
    world.put("port", port("p4", "n1", **foot))
    outer = port("p6", "n3", owner=nouns.OWNER_FLOATINGIP, device="f")
    world.put("port", outer)
    floating = nouns.FloatingIp(
        id="f", project_id="p", floating_network_id="n3", floating_ip_address="172.24.4.9",
        floating_port_id="p6", port_id="p1", fixed_ip_address="10.0.0.2", router_id="r1",
    )  # fmt: skip
    assert world.put("floatingip", floating) == {"h1", "h2", "h3"}
    assert "floating/f" in kinds(world.intent("h3"))
    assert world.put("port", outer) == {"h1", "h2", "h3"}
    gone = msgspec.structs.replace(floating, router_id=None, port_id=None)
    assert world.put("floatingip", gone) == {"h1", "h2", "h3"}
    assert "floating/f" not in kinds(world.intent("h3"))


def test_a_difference_leads_from_one_to_the_other():
    world = small_world()
    before = world.intent("h1")
    world.drop("port", "p2")
    world.put("port", port("p7", "n1", "h3"))
    after = world.intent("h1")
    put, drop = intent.difference(before, after)
    assert [item.id for item in put] == ["p7"] and drop == [fabric.Key("remote", "p2")]
    assert intent.difference(after, world.intent("h1")) == ([], [])


def test_gateways_stay_where_they_can_and_spread_where_they_cannot():
    routers = [nouns.Router(id=f"r{n}", project_id="p", gateway_network_id="x",
                            gateway_host="h1" if n < 2 else "") for n in range(4)]  # fmt: skip
    agents = [agent(host, external_networks=["public"]) for host in ("h1", "h2")]
    assert gateways.place(routers, agents, {"x": "public"}, ["h1", "h2"]) == {
        "r2": "h2",
        "r3": "h2",
    }
    assert gateways.place(routers[:2], agents, {"x": "public"}, ["h2"]) == {"r0": "h2", "r1": "h2"}
    assert gateways.place(routers[:2], agents, {"x": "public"}, []) == {}
    assert gateways.place(routers, agents, {"x": "other"}, ["h1", "h2"]) == {}
    # one that was not heard of yet may still be carrying packets
    place = gateways.place(routers[:3], agents, {"x": "public"}, ["h2"], {"h1", "h2"})
    assert place == {"r2": "h2"}


class RowByRow(RuleBasedStateMachine):
    """Rows come, change and go; each host is worked out again only when it is named."""

    @initialize()
    def begin(self):
        self.world = intent.World()
        self.rows: dict[tuple[str, str], object] = {}
        self.known: dict[str, intent.Items] = {}
        for host in HOSTS:
            self.put("agent", agent(host))
        for id_ in NETWORKS:
            self.put("network", network(id_))
            self.put("subnet", subnet(id_))

    def put(self, kind, row):
        self.rows[kind, row.id] = row
        self.hear(self.world.put(kind, row))

    def drop(self, kind, id_):
        if self.rows.pop((kind, id_), None) is not None:
            self.hear(self.world.drop(kind, id_))

    def hear(self, hosts):
        for host in hosts:
            self.known[host] = self.world.intent(host)

    @rule(
        n=st.integers(0, 9),
        network_id=st.sampled_from(NETWORKS),
        host=st.sampled_from(("", *HOSTS)),
        owner=st.sampled_from(OWNERS),
        router=st.sampled_from(ROUTERS),
        groups=st.sets(st.sampled_from(GROUPS)),
    )
    def port_is(self, n, network_id, host, owner, router, groups):
        guest = not owner.startswith("network:")
        device = "vm" if guest else router
        placed = port(f"p{n}", network_id, host if guest else "", owner, device,
                      security_groups=sorted(groups) if guest else [])  # fmt: skip
        self.put("port", placed)

    @rule(n=st.integers(0, 9))
    def port_goes(self, n):
        self.drop("port", f"p{n}")

    @rule(id_=st.sampled_from(ROUTERS), host=st.sampled_from(("", *HOSTS)), up=st.booleans())
    def router_is(self, id_, host, up):
        self.put("port", port("p50", "n3", "", nouns.OWNER_ROUTER_GATEWAY, id_))
        row = nouns.Router(id=id_, project_id="p", gateway_network_id="n3",
                           gateway_port_id="p50", gateway_host=host, admin_state_up=up)  # fmt: skip
        self.put("router", row)

    @rule(id_=st.sampled_from(ROUTERS))
    def router_goes(self, id_):
        self.drop("router", id_)

    @rule(router=st.sampled_from((None, *ROUTERS)), n=st.integers(0, 9))
    def floating_is(self, router, n):
        self.put("port", port("p60", "n3", "", nouns.OWNER_FLOATINGIP, "f"))
        row = nouns.FloatingIp(id="f", project_id="p", floating_network_id="n3",
                               floating_ip_address="172.24.4.9", floating_port_id="p60",
                               port_id=f"p{n}", fixed_ip_address="10.0.0.2",
                               router_id=router)  # fmt: skip
        self.put("floatingip", row)

    @rule(host=st.sampled_from(HOSTS), last=st.integers(1, 3))
    def agent_is(self, host, last):
        self.put("agent", msgspec.structs.replace(agent(host), tunnel_ip=f"192.0.2.{last}"))

    @rule(host=st.sampled_from(HOSTS))
    def agent_goes(self, host):
        self.drop("agent", host)

    @rule(id_=st.sampled_from(GROUPS), remote=st.sampled_from((None, *GROUPS)))
    def group_is(self, id_, remote):
        named = nouns.SecurityGroupRule(id="x", project_id="p", security_group_id=id_,
                                        remote_group_id=remote)  # fmt: skip
        self.put("group", intent.Group(nouns.SecurityGroup(id=id_, project_id="p"), (named,)))

    @rule(id_=st.sampled_from(GROUPS))
    def group_goes(self, id_):
        self.drop("group", id_)

    @rule(id_=st.sampled_from(NETWORKS), up=st.booleans())
    def network_is(self, id_, up):
        self.put("network", network(id_, admin_state_up=up))

    @invariant()
    def every_host_is_up_to_date(self):
        fresh = intent.World()
        for (kind, _id), row in self.rows.items():
            fresh.put(kind, row)
        for host in HOSTS:
            assert self.known.get(host, {}) == fresh.intent(host), host


TestRowByRow = RowByRow.TestCase
TestRowByRow.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
