# SPDX-License-Identifier: Apache-2.0
"""Choosing addresses, ranges and prefixes."""

import ipaddress
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octostack.base.errors import Conflict, Invalid, Unavailable
from octostack.services.network.core import ipam, prefixes, segments, subnets
from octostack.services.network.model.nouns import Subnet, SubnetPool


def subnet(cidr="10.0.0.0/24", **more):
    net = ipaddress.ip_network(cidr)
    pools = subnets.default_pools(net, subnets.default_gateway(net))
    fields = {"id": "s", "project_id": "p", "network_id": "n", "cidr": cidr,
              "ip_version": net.version, "allocation_pools": pools}  # fmt: skip
    return Subnet(**fields | more)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 400), st.sets(st.integers(0, 3000)))
def test_a_pick_is_free_and_within_the_pools(seed, size, used):
    pools = [(10, 10 + size), (1000, 1000 + size)]
    rng = random.Random(seed)
    piece = ipam.window(pools, rng)
    assert piece[1] - piece[0] < max(ipam.WINDOW, size + 1)
    for wanted in (piece, ipam.whole(pools)):
        number = ipam.pick(pools, wanted, used)
        inside = {n for a, b in pools for n in range(a, b + 1) if wanted[0] <= n <= wanted[1]}
        assert (number is None) == (inside <= used)
        assert number is None or number in inside - used


def test_every_address_of_a_large_pool_can_be_chosen():
    rng = random.Random(1)
    seen = {ipam.window([(0, 1023)], rng) for _ in range(200)}
    assert seen == {(n, n + 255) for n in (0, 256, 512, 768)}


@pytest.mark.parametrize("address", ["0.0.0.1", "10.0.0.5", "255.255.255.255", "fd00::1", "::"])
def test_sortable_numbers_come_back(address):
    version = 6 if ":" in address else 4
    assert ipam.address_of(int(ipam.sortable(address), 16), version) == address


@settings(deadline=None)
@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_sortable_numbers_sort_as_addresses(a, b):
    assert (ipam.sortable(str(a)) < ipam.sortable(str(b))) == (int(a) < int(b))


def test_hosts_make_their_own_address_from_their_mac():
    assert ipam.eui64("2001:db8::/64", "fa:16:3e:12:34:56") == "2001:db8::f816:3eff:fe12:3456"


@pytest.mark.parametrize(
    ("cidr", "address", "fine"),
    [
        ("10.0.0.0/24", "10.0.0.0", False),
        ("10.0.0.0/24", "10.0.0.1", True),
        ("10.0.0.0/24", "10.0.0.255", False),
        ("10.0.0.0/24", "10.0.1.1", False),
        ("10.0.0.0/31", "10.0.0.0", True),
        ("10.0.0.0/32", "10.0.0.0", True),
        ("fd00::/64", "fd00::", False),
        ("fd00::/64", "fd00::ffff:ffff:ffff:ffff", True),
        ("fd00::/64", "10.0.0.1", False),
    ],
)
def test_which_addresses_a_host_may_have(cidr, address, fine):
    if fine:
        ipam.check_address(address, subnet(cidr, allocation_pools=[]))
    else:
        with pytest.raises(Invalid):
            ipam.check_address(address, subnet(cidr, allocation_pools=[]))


def test_a_port_gets_one_address_of_each_version_and_of_each_slaac_subnet():
    four, other = subnet(id="4"), subnet("10.1.0.0/24", id="4b")
    six = subnet("fd00::/64", id="6")
    slaac = subnet("fd01::/64", id="s", ipv6_address_mode="slaac")
    chosen = ipam.choose_subnets([four, other, six, slaac], "compute:nova")
    assert [[s.id for s in each] for each in chosen] == [["4", "4b"], ["6"], ["s"]]


def test_service_types_keep_others_out():
    only = subnet(service_types=["network:router_gateway"])
    assert ipam.choose_subnets([only], "compute:nova") == []
    assert ipam.choose_subnets([only], "network:router_gateway") == [[only]]


@pytest.mark.parametrize(
    ("cidr", "gateway", "pools"),
    [
        ("10.0.0.0/24", "10.0.0.1", [("10.0.0.2", "10.0.0.254")]),
        ("10.0.0.0/24", "10.0.0.5", [("10.0.0.1", "10.0.0.4"), ("10.0.0.6", "10.0.0.254")]),
        ("10.0.0.0/24", "10.0.0.254", [("10.0.0.1", "10.0.0.253")]),
        ("10.0.0.0/24", None, [("10.0.0.1", "10.0.0.254")]),
        ("10.0.0.0/24", "10.9.0.1", [("10.0.0.1", "10.0.0.254")]),
        ("10.0.0.0/31", "10.0.0.0", [("10.0.0.1", "10.0.0.1")]),
        ("10.0.0.0/32", "10.0.0.0", []),
        ("fd00::/126", "fd00::1", [("fd00::2", "fd00::3")]),
    ],
)
def test_default_pools(cidr, gateway, pools):
    found = subnets.default_pools(ipaddress.ip_network(cidr), gateway)
    assert [(pool["start"], pool["end"]) for pool in found] == pools


@settings(deadline=None)
@given(st.sampled_from(["10.0.0.0/22", "10.0.0.0/29", "fd00::/120"]), st.integers(0, 1030))
def test_default_pools_hold_every_host_but_the_gateway(cidr, offset):
    net = ipaddress.ip_network(cidr)
    gateway = net.network_address + offset % net.num_addresses
    if not ipam.is_host(gateway, net):
        return
    pools = subnets.default_pools(net, str(gateway))
    row = subnet(cidr, allocation_pools=pools)
    assert subnets.total_addresses(row) == sum(1 for ip in net if ipam.is_host(ip, net)) - 1
    assert subnets.check_pools(pools, net, str(gateway)) == pools


POOL = SubnetPool(
    id="p", project_id="p", prefixes=["10.0.0.0/23", "10.8.0.0/24"], min_prefixlen=22,
    max_prefixlen=30, default_prefixlen=26,
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.integers(24, 30), max_size=60))
def test_prefixes_that_are_cut_never_overlap_and_lie_in_the_pool(lengths):
    used: list[str] = []
    for length in lengths:
        try:
            cidr = prefixes.cut(POOL, used, length)
        except Unavailable:
            blocks = [b for p in prefixes.nets(POOL.prefixes) for b in p.subnets(new_prefix=length)]
            assert all(prefixes.overlap([str(block)], used) for block in blocks)
            continue
        assert prefixes.covers(POOL.prefixes, [cidr]) and not prefixes.overlap([cidr], used)
        assert ipaddress.ip_network(cidr).prefixlen == length
        used.append(cidr)


def test_a_pool_can_be_used_up_exactly():
    used: list[str] = []
    for _ in range(12):
        used.append(prefixes.cut(POOL, used, 26))
    assert prefixes.compact(used)[0] == ["10.0.0.0/23", "10.8.0.0/24"]
    with pytest.raises(Unavailable):
        prefixes.cut(POOL, used, 30)
    with pytest.raises(Invalid):
        prefixes.cut(POOL, [], 31)
    with pytest.raises(Unavailable):
        prefixes.check_free(POOL, used, "10.0.0.0/26")
    with pytest.raises(Unavailable):
        prefixes.check_free(POOL, [], "10.9.0.0/26")


def test_prefixes_taken_away_leave_the_rest():
    assert prefixes.without(["10.0.0.0/24"], ["10.0.0.0/25"]) == ["10.0.0.128/25"]
    assert prefixes.without(["10.0.0.0/24"], ["10.0.0.0/23"]) == []
    assert prefixes.quota_units(4, 24) == 256
    assert prefixes.quota_units(6, 48) == 65536 and prefixes.quota_units(6, 80) == 1


def test_segments():
    fabric = segments.Fabric(vni_first=5, vni_last=7)
    guesses = {segments.guess("vxlan", fabric, random.Random(n)) for n in range(50)}
    assert guesses == {5, 6, 7}
    assert segments.check_mtu(0, "vxlan", fabric) == 1450
    assert segments.check_mtu(0, "flat", fabric) == 1500
    for wrong in ({"network_type": "moon"}, {"segmentation_id": 5}, {"network_type": "flat"},
                  {"network_type": "flat", "physical_network": "x"},
                  {"network_type": "vxlan", "physical_network": "public"},
                  {"network_type": "vlan", "physical_network": "public", "segmentation_id": 4095},
                  {"network_type": "vxlan", "segmentation_id": 1 << 24}):  # fmt: skip
        with pytest.raises(Invalid):
            segments.check_provider(wrong, fabric)


def test_overlapping_pools_are_refused_in_any_order():
    net = ipaddress.ip_network("10.0.0.0/24")
    a = {"start": "10.0.0.10", "end": "10.0.0.20"}
    b = {"start": "10.0.0.20", "end": "10.0.0.30"}
    for pools in ([a, b], [b, a]):
        with pytest.raises(Conflict):
            subnets.check_pools(pools, net, None)
