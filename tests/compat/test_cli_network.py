# SPDX-License-Identifier: Apache-2.0
"""The unmodified `openstack` command on Network."""

import pytest

pytestmark = pytest.mark.compat


def _addresses(port):
    return [fixed["ip_address"] for fixed in port["fixed_ips"]]


@pytest.fixture
def meadow(demo):
    """A network with one subnet, as an ordinary member makes it."""
    network = demo("network create meadow")
    subnet = demo("subnet create --network meadow --subnet-range 10.11.0.0/24 meadow4")
    yield network["id"], subnet["id"]
    demo.text("network delete meadow")


def test_networks_and_subnets(demo, meadow):
    network, subnet = meadow
    shown = demo("network show meadow")
    assert (shown["status"], shown["subnets"]) == ("ACTIVE", [subnet])
    shown = demo("subnet show meadow4")
    assert shown["gateway_ip"] == "10.11.0.1" and shown["enable_dhcp"] is True
    assert shown["allocation_pools"] == [{"start": "10.11.0.2", "end": "10.11.0.254"}]
    demo.text("network set --description words --mtu 1400 meadow")
    assert demo("network show meadow")["mtu"] == 1400
    demo.text(
        "subnet set --dns-nameserver 192.0.2.7 --host-route"
        " destination=10.9.0.0/24,gateway=10.11.0.9 meadow4"
    )
    shown = demo("subnet show meadow4")
    assert shown["dns_nameservers"] == ["192.0.2.7"]
    assert shown["host_routes"] == [{"destination": "10.9.0.0/24", "nexthop": "10.11.0.9"}]
    demo.text("network set --tag green meadow")
    assert [row["ID"] for row in demo("network list --tags green")] == [network]


def test_ports(demo, meadow):
    port = demo(
        "port create --network meadow --fixed-ip subnet=meadow4,ip-address=10.11.0.77 gate"
        " --extra-dhcp-option name=bootfile-name,value=x"
        " --allowed-address ip-address=10.11.0.200"
    )
    assert _addresses(port) == ["10.11.0.77"] and port["status"] == "DOWN"
    assert port["extra_dhcp_opts"][0]["opt_value"] == "x"
    assert port["allowed_address_pairs"][0]["ip_address"] == "10.11.0.200"
    assert "409" in demo.fails("port create --network meadow --fixed-ip ip-address=10.11.0.77 twin")
    demo.text("port set --no-security-group --disable-port-security --no-allowed-address gate")
    shown = demo("port show gate")
    assert shown["port_security_enabled"] is False and shown["security_group_ids"] == []
    assert "409" in demo.fails("network delete meadow")
    rows = demo("port list --network meadow --fixed-ip ip-address=10.11.0.77")
    assert [row["ID"] for row in rows] == [port["id"]]
    demo.text("port delete gate")


def test_routers_and_floating_ips(demo, meadow):
    demo.text("router create --description d path")
    demo.text("router add subnet path meadow4")
    demo.text("router set --external-gateway public path")
    shown = demo("router show path")
    assert shown["external_gateway_info"]["enable_snat"] is True
    port = demo("port create --network meadow lamb")
    floating = demo("floating ip create public")
    address = floating["floating_ip_address"]
    assert address.startswith("172.24.4.")
    demo.text(f"floating ip set --port lamb {address}")
    shown = demo(f"floating ip show {address}")
    assert (shown["port_id"], shown["fixed_ip_address"]) == (port["id"], _addresses(port)[0])
    assert "409" in demo.fails("router remove subnet path meadow4")  # a floating ip needs it
    demo.text(f"floating ip unset --port {address}")
    demo.text(f"floating ip delete {address}")
    demo.text("port delete lamb")
    demo.text("router set --route destination=10.8.0.0/16,gateway=10.11.0.3 path")
    assert demo("router show path")["routes"]
    demo.text("router unset --route destination=10.8.0.0/16,gateway=10.11.0.3 path")
    assert "409" in demo.fails("router delete path")
    demo.text("router unset --external-gateway path")
    demo.text("router remove subnet path meadow4")
    demo.text("router delete path")


def test_security_groups(demo, meadow):
    group = demo("security group create --description d shepherds")
    assert len(group["rules"]) == 2  # all that leaves, for both families
    rule = demo(
        "security group rule create --protocol tcp --dst-port 22:23 --remote-ip 10.0.0.0/8"
        " shepherds"
    )
    assert (rule["port_range_min"], rule["port_range_max"]) == (22, 23)
    assert "409" in demo.fails(
        "security group rule create --protocol tcp --dst-port 22:23 --remote-ip 10.0.0.0/8"
        " shepherds"
    )
    demo.text("security group rule create --protocol icmp --remote-group shepherds shepherds")
    assert len(demo("security group rule list shepherds")) == 4
    port = demo("port create --network meadow --security-group shepherds crook")
    assert port["security_group_ids"] == [group["id"]]
    assert "409" in demo.fails("security group delete shepherds")
    demo.text("port delete crook")
    demo.text(f"security group rule delete {rule['id']}")
    demo.text("security group set --name herders shepherds")
    demo.text("security group delete herders")


def test_subnet_pools(demo):
    demo.text("subnet pool create --pool-prefix 10.40.0.0/16 --default-prefix-length 26 acres")
    demo.text("network create strip")
    subnet = demo("subnet create --network strip --subnet-pool acres strip4")
    assert subnet["cidr"].startswith("10.40.") and subnet["cidr"].endswith("/26")
    assert "existing allocations" in demo.fails("subnet pool delete acres")
    demo.text("network delete strip")
    demo.text("subnet pool set --pool-prefix 10.41.0.0/16 acres")
    demo.text("subnet pool delete acres")


def test_external_networks_are_the_administrators(openstack, demo):
    openstack.text(
        "network create --external --provider-network-type vlan --provider-segment 7"
        " --provider-physical-network public wild"
    )
    openstack.text(
        "subnet create --network wild --subnet-range 192.0.2.0/24 --no-dhcp"
        " --allocation-pool start=192.0.2.50,end=192.0.2.60 wild4"
    )
    floating = demo("floating ip create wild")
    assert floating["floating_ip_address"].startswith("192.0.2.5")
    demo.text(f"floating ip delete {floating['id']}")
    openstack.text("network delete wild")
    assert "403" in demo.fails("network create --external mine")


def test_sharing_by_rbac(openstack, demo):
    network = openstack("network create common-land")
    assert "common-land" not in {row["Name"] for row in demo("network list")}
    project = openstack("project show demo")["id"]
    rule = openstack(
        "network rbac create --type network --action access_as_shared"
        f" --target-project {project} {network['id']}"
    )
    assert "common-land" in {row["Name"] for row in demo("network list")}
    openstack.text(f"network rbac delete {rule['id']}")
    assert "common-land" not in {row["Name"] for row in demo("network list")}
    openstack.text("network delete common-land")


def test_what_another_project_has_is_not_found(openstack, demo):
    openstack.text("network create secret-garden")
    network = openstack("network show secret-garden")["id"]
    assert "No Network found" in demo.fails(f"network show {network}")
    openstack.text("network delete secret-garden")


def test_quotas_are_kept(openstack, demo):
    openstack.text("quota set --networks 1 --force demo")
    names = [row["Name"] for row in demo("network list --internal")]
    owned = [name for name in names if name.startswith("q-")]
    assert not owned
    demo.text("network create q-1")
    assert "409" in demo.fails("network create q-2")
    demo.text("network delete q-1")
    openstack.text("quota delete --network demo")


def test_agents_extensions_and_zones(openstack):
    assert openstack("network agent list")
    aliases = {row["Alias"] for row in openstack("extension list --network")}
    assert {
        "router",
        "security-group",
        "external-net",
        "port-security",
        "standard-attr-tag",
    } <= aliases
    assert openstack("availability zone list --network")
    assert isinstance(openstack("ip availability list"), list)


def test_provider_attributes_are_the_administrators(openstack, demo):
    network = openstack("network create --provider-network-type vxlan --provider-segment 4711 deep")
    assert network["provider:segmentation_id"] == 4711
    openstack.text("network delete deep")
    assert "403" in demo.fails("network create --provider-network-type vxlan shallow")
