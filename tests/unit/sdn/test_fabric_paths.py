# SPDX-License-Identifier: Apache-2.0
"""Where packets go: compiled flows, interpreted, on one and two hosts."""

import pytest

from octostack.contracts import network_agent as intents
from octostack.engines.sdn.core import model, pipeline
from octostack.testing import fabric
from octostack.testing.fabric import arp, mac_of, ping, tcp
from octostack.testing.intents import (
    COMMON,
    FLOATING_MAC,
    GATEWAY_MAC,
    OPEN,
    P1,
    P2,
    P3,
    ROUTER2_MAC,
    ROUTER_MAC,
    SSH,
)

WORLD_MAC = "02:00:00:00:00:99"
H1 = model.Place(
    host="h1", tunnel_ip="192.0.2.1", physical={"public": 10}, metadata_mac=0x020000000001
)
H2 = model.Place(host="h2", tunnel_ip="192.0.2.2", metadata_mac=0x020000000001)


def one_host() -> fabric.Hosts:
    hosts = fabric.Hosts(H1)
    hosts.apply(h1=[*COMMON, P1, P2, P3])
    return hosts


def two_hosts() -> fabric.Hosts:
    """p1 on the host with the gateway, p2 and p3 on the other."""
    hosts = fabric.Hosts(H1, H2)
    far = [fabric.seen_from(p, "h2", "192.0.2.2") for p in (P2, P3)]
    near = [fabric.seen_from(P1, "h1", "192.0.2.1")]
    hosts.apply(h1=[*COMMON, P1, *far], h2=[*COMMON, P2, P3, *near])
    return hosts


def places(deliveries: list[fabric.Delivery]) -> list[str]:
    return [one.to for one in deliveries]


def where(hosts: fabric.Hosts, port: str) -> str:
    for name, host in hosts.by_name.items():
        if host.numbers.find(f"port/{port}") is not None:
            return name
    raise AssertionError(port)


@pytest.fixture(params=[one_host, two_hosts], ids=["one host", "two hosts"])
def hosts(request: pytest.FixtureRequest) -> fabric.Hosts:
    made: fabric.Hosts = request.param()
    return made


def learn(hosts: fabric.Hosts, address: str, mac: str) -> None:
    """As packet-in does once the neighbour has answered."""
    host = hosts.by_name["h1"]
    flow = model.Flow(
        pipeline.NUMBERS["learned"],
        100,
        model.matches.match(metadata=host.numbers["network/x"], reg4=model.address(address)),
        model.acts.Instructions(
            (model.acts.SetField("eth_dst", model.mac(mac)),), pipeline.NUMBERS["l2"]
        ),
        pipeline.LEARNED_COOKIE,
    )
    host.compiler.flows[flow.key] = flow


def exchange(
    hosts: fabric.Hosts, sender: str, receiver: str, packet: model.matches.Match | dict[str, int]
) -> list[fabric.Delivery]:
    """Send, expect delivery at `receiver`, and give what came of its answer."""
    got = hosts.send(where(hosts, sender), sender, dict(packet))
    assert places(got) == [f"port:{receiver}"]
    back = fabric.answer(got[0].packet)
    return hosts.send(where(hosts, receiver), receiver, back)


def test_neighbours_are_answered_for(hosts: fabric.Hosts) -> None:
    got = hosts.send("h1", "p1", arp(P1.mac, "10.0.0.11", "10.0.0.12"))
    assert places(got) == ["port:p1"]
    reply = got[0].packet
    assert (reply["arp_op"], reply["arp_sha"]) == (2, model.mac(P2.mac))
    assert reply["arp_spa"] == model.address("10.0.0.12")
    assert reply["arp_tpa"] == model.address("10.0.0.11")
    assert reply["eth_dst"] == model.mac(P1.mac)


def test_ping_within_a_network(hosts: fabric.Hosts) -> None:
    got = exchange(hosts, "p1", "p2", ping(P1.mac, P2.mac, "10.0.0.11", "10.0.0.12"))
    assert places(got) == ["port:p1"]


def test_ping_between_networks(hosts: fabric.Hosts) -> None:
    got = exchange(hosts, "p1", "p3", ping(P1.mac, ROUTER_MAC, "10.0.0.11", "10.0.1.13"))
    assert places(got) == ["port:p1"]
    assert got[0].packet["eth_src"] == model.mac(ROUTER_MAC)
    assert got[0].packet["ip_ttl"] == 63


def test_security_group_is_stateful(hosts: fabric.Hosts) -> None:
    allowed = tcp(P1.mac, P2.mac, "10.0.0.11", "10.0.0.12", 22)
    assert places(exchange(hosts, "p1", "p2", allowed)) == ["port:p1"]
    refused = tcp(P1.mac, P2.mac, "10.0.0.11", "10.0.0.12", 80)
    assert hosts.send("h1", "p1", refused) == []


def test_unasked_answer_is_dropped(hosts: fabric.Hosts) -> None:
    stray = fabric.answer(tcp(P2.mac, P1.mac, "10.0.0.12", "10.0.0.11", 22))
    assert hosts.send(where(hosts, "p1"), "p1", stray) == []


@pytest.mark.parametrize(
    "forged",
    [
        ping(P1.mac, P2.mac, "10.0.0.99", "10.0.0.12"),
        ping(mac_of(77), P2.mac, "10.0.0.11", "10.0.0.12"),
        arp(P1.mac, "10.0.0.12", "10.0.0.12"),
        {**arp(P1.mac, "10.0.0.11", "10.0.0.12"), "arp_sha": model.mac(P2.mac)},
        {"eth_src": model.mac(P1.mac), "eth_dst": 0xFFFFFFFFFFFF, "eth_type": 0x86DD},
    ],
)
def test_forged_source_goes_nowhere(forged: dict[str, int]) -> None:
    assert one_host().send("h1", "p1", forged) == []


def test_tunnel_is_listened_to_for_known_hosts_only() -> None:
    hosts = two_hosts()
    asked = ping(P2.mac, P1.mac, "10.0.0.12", "10.0.0.11")
    arriving = {**asked, "in_port": pipeline.VXLAN_PORT, "tunnel_id": 1001}
    known, other = (model.address(one) for one in ("192.0.2.2", "192.0.2.66"))
    assert hosts.by_name["h1"].run({**arriving, "tun_src": known})
    assert not hosts.by_name["h1"].run({**arriving, "tun_src": other})


def test_router_answers_ping(hosts: fabric.Hosts) -> None:
    got = hosts.send("h1", "p1", ping(P1.mac, ROUTER_MAC, "10.0.0.11", "10.0.0.1"))
    assert places(got) == ["port:p1"]
    assert (got[0].packet["icmp_type"], got[0].packet["ip_src"]) == (0, model.address("10.0.0.1"))


def test_dhcp_goes_to_the_controller() -> None:
    discover = {
        **ping(P1.mac, "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255"),
        "ip_proto": 17,
        "udp_src": 68,
        "udp_dst": 67,
    }
    assert places(one_host().send("h1", "p1", discover)) == ["controller"]


def test_unknown_next_hop_is_asked_for(hosts: fabric.Hosts) -> None:
    out = ping(P1.mac, ROUTER_MAC, "10.0.0.11", "8.8.8.8")
    got = hosts.send("h1", "p1", out)
    assert places(got) == ["controller"]
    assert hosts.by_name["h1"].steps[-1].table == pipeline.NUMBERS["learned"]


def test_guest_reaches_the_world_by_the_gateways_address(hosts: fabric.Hosts) -> None:
    learn(hosts, "172.24.4.1", WORLD_MAC)
    mac = P2.mac
    got = hosts.send(where(hosts, "p2"), "p2", ping(mac, ROUTER_MAC, "10.0.0.12", "8.8.8.8"))
    assert places(got) == ["external:public"]
    sent = got[0].packet
    assert sent["ip_src"] == model.address("172.24.4.10")
    assert (sent["eth_src"], sent["eth_dst"]) == (model.mac(GATEWAY_MAC), model.mac(WORLD_MAC))
    back = hosts.send_from_outside("h1", "public", fabric.answer(sent))
    assert places(back) == ["port:p2"]
    assert back[0].packet["ip_dst"] == model.address("10.0.0.12")


def test_world_reaches_a_floating_address(hosts: fabric.Hosts) -> None:
    learn(hosts, "172.24.4.1", WORLD_MAC)
    asked = hosts.send_from_outside("h1", "public", arp(WORLD_MAC, "172.24.4.1", "172.24.4.20"))
    assert places(asked) == ["external:public"]
    assert asked[0].packet["arp_sha"] == model.mac(FLOATING_MAC)
    request = ping(WORLD_MAC, FLOATING_MAC, "172.24.4.1", "172.24.4.20")
    got = hosts.send_from_outside("h1", "public", request)
    assert places(got) == ["port:p3"]
    assert got[0].packet["ip_dst"] == model.address("10.0.1.13")
    back = hosts.send(where(hosts, "p3"), "p3", fabric.answer(got[0].packet))
    assert places(back) == ["external:public"]
    assert back[0].packet["ip_src"] == model.address("172.24.4.20")


def test_guest_with_floating_address_leaves_by_it(hosts: fabric.Hosts) -> None:
    learn(hosts, "172.24.4.1", WORLD_MAC)
    out = ping(P3.mac, ROUTER2_MAC, "10.0.1.13", "8.8.8.8")
    got = hosts.send(where(hosts, "p3"), "p3", out)
    assert places(got) == ["external:public"]
    assert got[0].packet["ip_src"] == model.address("172.24.4.20")
    back = hosts.send_from_outside("h1", "public", fabric.answer(got[0].packet))
    assert places(back) == ["port:p3"]


def test_guest_reaches_a_floating_address_from_inside(hosts: fabric.Hosts) -> None:
    out = ping(P1.mac, ROUTER_MAC, "10.0.0.11", "172.24.4.20")
    got = exchange(hosts, "p1", "p3", out)
    assert places(got) == ["port:p1"]
    assert got[0].packet["ip_src"] == model.address("172.24.4.20")


def test_gateway_answers_ping_from_outside() -> None:
    request = ping(WORLD_MAC, GATEWAY_MAC, "172.24.4.1", "172.24.4.10")
    got = one_host().send_from_outside("h1", "public", request)
    assert places(got) == ["external:public"]
    assert got[0].packet["icmp_type"] == 0


@pytest.mark.parametrize("target", ["10.0.0.11", "172.24.4.10", "10.0.1.13"])
def test_world_does_not_get_past_translation(target: str) -> None:
    probe = tcp(WORLD_MAC, GATEWAY_MAC, "172.24.4.1", target, 22)
    assert one_host().send_from_outside("h1", "public", probe) == []


def test_metadata_goes_to_the_proxy_and_back() -> None:
    hosts = one_host()
    ask = tcp(P1.mac, ROUTER_MAC, "10.0.0.11", "169.254.169.254", 80)
    got = hosts.send("h1", "p1", ask)
    assert places(got) == ["metadata"]
    seen = got[0].packet
    number = hosts.by_name["h1"].numbers["port/p1"]
    assert seen["ip_src"] == 0x64400000 | number << 6
    back = hosts.by_name["h1"].run({**fabric.answer(seen), "in_port": pipeline.METADATA_PORT})
    assert [port for port, _ in back] == [number]
    assert back[0][1]["ip_dst"] == model.address("10.0.0.11")
    assert back[0][1]["eth_dst"] == model.mac(P1.mac)


def test_tenants_with_the_same_addresses_never_meet() -> None:
    """Networks c and d have the range, the addresses and the MACs of a, and no router."""
    hosts = fabric.Hosts(H1)
    twins = [
        intents.Network(id="d", vni=1003),
        intents.Subnet(id="sd", network_id="d", cidr="10.0.0.0/24"),
        fabric.local_port("q1", "d", 1, ("sd", "10.0.0.11"), groups=("open",)),
        fabric.local_port("q2", "d", 2, ("sd", "10.0.0.12"), groups=("open",)),
    ]
    hosts.apply(h1=[*COMMON, P1, P2, P3, *twins])
    for packet in (
        ping(P1.mac, P2.mac, "10.0.0.11", "10.0.0.12"),
        arp(P1.mac, "10.0.0.11", "10.0.0.77"),
    ):
        mine = hosts.send("h1", "p1", packet)
        theirs = hosts.send("h1", "q1", packet)
        assert {one[:6] for one in places(mine)} <= {"port:p"}
        assert {one[:6] for one in places(theirs)} <= {"port:q"}
        assert places(mine) and places(theirs)
    routed = ping(P1.mac, ROUTER_MAC, "10.0.0.11", "10.0.1.13")
    assert hosts.send("h1", "q1", routed) == []


def test_broadcast_stays_in_its_network(hosts: fabric.Hosts) -> None:
    got = hosts.send("h1", "p1", arp(P1.mac, "10.0.0.11", "10.0.0.99"))
    assert places(got) == ["port:p2"]


def test_rule_that_goes_ends_its_connections() -> None:
    hosts = one_host()
    packet = tcp(P1.mac, P2.mac, "10.0.0.11", "10.0.0.12", 22)
    assert places(exchange(hosts, "p1", "p2", packet)) == ["port:p1"]
    closed = intents.SecurityGroup(id="ssh", rules=SSH.rules[:1])
    hosts.apply(h1=[closed if item is SSH else item for item in COMMON] + [P1, P2, P3])
    assert hosts.send("h1", "p1", packet) == []
    late = fabric.answer(packet)
    assert hosts.send("h1", "p2", late) == []
    hosts.apply(h1=[*COMMON, P1, P2, P3])
    assert places(exchange(hosts, "p1", "p2", packet)) == ["port:p1"]


def test_remote_group_is_a_set_of_addresses() -> None:
    only_members = intents.SecurityGroup(
        id="open",
        rules=(
            intents.Rule(direction="egress"),
            intents.Rule(direction="ingress", protocol=1, remote="set:open"),
        ),
    )
    members = intents.AddressSet(id="open", addresses=("10.0.0.11",))
    rest = [item for item in COMMON if item is not OPEN]
    hosts = fabric.Hosts(H1)
    hosts.apply(h1=[only_members, members, *rest, P1, P2, P3])
    assert places(exchange(hosts, "p1", "p2", ping(P1.mac, P2.mac, "10.0.0.11", "10.0.0.12")))
    stranger = ping(P3.mac, ROUTER2_MAC, "10.0.1.13", "10.0.0.12")
    assert hosts.send("h1", "p3", stranger) == []


def test_port_without_security_sends_what_it_likes() -> None:
    free = intents.LocalPort(
        id="p1",
        network_id="a",
        mac=P1.mac,
        addresses=P1.addresses,
        interface="tap1",
        port_security=False,
    )
    hosts = fabric.Hosts(H1)
    hosts.apply(h1=[*COMMON, free, P2, P3])
    got = hosts.send("h1", "p1", ping(mac_of(77), P2.mac, "10.0.0.99", "10.0.0.12"))
    assert places(got) == ["port:p2"]


def test_port_that_is_down_is_silent() -> None:
    down = intents.LocalPort(
        id="p1", network_id="a", mac=P1.mac, addresses=P1.addresses, interface="tap1",
        security_groups=("open",), admin_up=False,
    )  # fmt: skip
    hosts = fabric.Hosts(H1)
    hosts.apply(h1=[*COMMON, down, P2, P3])
    assert hosts.send("h1", "p1", ping(P1.mac, P2.mac, "10.0.0.11", "10.0.0.12")) == []
    assert hosts.send("h1", "p2", ping(P2.mac, P1.mac, "10.0.0.12", "10.0.0.11")) == []


def test_tagged_frame_of_a_guest_goes_nowhere() -> None:
    tagged = {**ping(P1.mac, P2.mac, "10.0.0.11", "10.0.0.12"), "vlan_vid": 0x1064}
    assert one_host().send("h1", "p1", tagged) == []


def test_later_fragments_pass_where_a_first_one_may() -> None:
    hosts = one_host()
    later = {**tcp(P1.mac, P2.mac, "10.0.0.11", "10.0.0.12", 0), "ip_frag": 3}
    del later["tcp_src"], later["tcp_dst"]
    assert places(hosts.send("h1", "p1", later)) == ["port:p2"]  # some port of TCP is open there
    assert hosts.send("h1", "p1", {**later, "ip_proto": 17}) == []
    assert one_host().send("h1", "p2", fabric.answer(later)) == []  # none is open at p1
