# SPDX-License-Identifier: Apache-2.0
"""The unmodified `openstack` command on Compute, with simulated hosts."""

import pytest

pytestmark = pytest.mark.compat


@pytest.fixture(scope="module")
def image(openstack, tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "disk.raw"
    path.write_bytes(b"\0" * 65536)
    made = openstack(
        f"image create --file {path} --disk-format raw --container-format bare --public seed"
    )
    yield made["id"]
    openstack.text(f"image delete {made['id']}")


@pytest.fixture(scope="module")
def flavor(openstack):
    made = openstack("flavor create --ram 64 --disk 1 --vcpus 1 sprout")
    yield made["id"]
    openstack.text("flavor delete sprout")


@pytest.fixture(scope="module")
def network(demo):
    made = demo("network create field")
    demo.text("subnet create --network field --subnet-range 10.21.0.0/24 field4")
    yield made["id"]
    demo.text("network delete field")


@pytest.fixture(scope="module")
def server(demo, image, flavor, network):
    made = demo(
        "server create --image seed --flavor sprout --network field --property a=b --wait oak"
    )
    yield made["id"]
    demo.text("server delete --wait oak")


def _status(demo, name="oak"):
    return demo(f"server show {name}")["status"]


def test_a_server_boots_with_an_address(demo, server):
    shown = demo("server show oak")
    assert shown["status"] == "ACTIVE" and shown["properties"] == {"a": "b"}
    assert [a.startswith("10.21.0.") for a in shown["addresses"]["field"]] == [True]
    assert [row["Name"] for row in demo("server list --name oak")] == ["oak"]
    assert demo("server list --long --status ACTIVE --flavor sprout --image seed")
    port = demo(f"port list --server {server}")
    assert len(port) == 1 and port[0]["Status"] == "ACTIVE"


def test_a_server_without_network(demo, image, flavor):
    demo.text("server create --image seed --flavor sprout --nic none --wait lone")
    assert demo("server show lone")["addresses"] in ({}, "")
    demo.text("server delete --wait lone")
    assert "No Server found" in demo.fails("server show lone")


def test_several_at_once(demo, image, flavor, network):
    demo.text(
        "server create --image seed --flavor sprout --network field --min 3 --max 3 --wait elm"
    )
    rows = demo("server list --name elm")
    assert sorted(row["Name"] for row in rows) == ["elm-1", "elm-2", "elm-3"]
    assert {row["Status"] for row in rows} == {"ACTIVE"}
    demo.text("server delete --wait elm-1 elm-2 elm-3")


def test_power(demo, server):
    for command, status in (
        ("server stop oak", "SHUTOFF"),
        ("server start oak", "ACTIVE"),
        ("server pause oak", "PAUSED"),
        ("server unpause oak", "ACTIVE"),
        ("server suspend oak", "SUSPENDED"),
        ("server resume oak", "ACTIVE"),
    ):
        demo.text(command)
        _wait(demo, "oak", status)
    demo.text("server reboot --wait oak")
    demo.text("server reboot --hard --wait oak")
    assert "409" in demo.fails("server start oak")


def _wait(demo, name, status):
    for _ in range(200):  # each asks the cloud once: some 50 ms
        if _status(demo, name) == status:
            return
    raise AssertionError(f"{name} is {_status(demo, name)}, not {status}")


def _settled(demo, name="oak"):
    for _ in range(200):
        if demo(f"server show {name}")["OS-EXT-STS:task_state"] is None:
            return
    raise AssertionError(f"{name} still has a task")


def test_lock(demo, openstack, server):
    demo.text("server lock --reason 'do not touch' oak")
    assert demo("server show oak")["locked"] is True
    openstack.text(f"server reboot --hard --wait {server}")  # the administrator may
    demo.text("server unlock oak")


def test_rescue_and_rebuild(demo, server):
    demo.text("server rescue oak")
    _wait(demo, "oak", "RESCUE")
    demo.text("server unrescue oak")
    _wait(demo, "oak", "ACTIVE")
    demo.text("server rebuild --image seed --name oak --wait oak")
    assert _status(demo) == "ACTIVE"


def test_an_image_of_a_server(demo, server):
    demo.text("server image create --name cutting --wait oak")
    shown = demo("image show cutting")
    assert shown["status"] == "active" and shown["properties"]["instance_uuid"] == server
    _settled(demo)  # as with Nova the image is active a moment before its server is free again
    demo.text("image delete cutting")


def test_backups_that_rotate(demo, server):
    for name in ("monday", "tuesday"):
        demo.text(f"server backup create --name {name} --type daily --rotate 1 --wait oak")
        _settled(demo)
    assert "monday" in demo.fails("image show monday")
    shown = demo("image show tuesday")
    assert (shown["properties"]["backup_type"], shown["status"]) == ("daily", "active")
    demo.text("image delete tuesday")


def test_console_and_diagnostics(demo, server):
    assert "simulated" in demo.text("console log show oak").lower()
    for kind in ("novnc", "serial"):  # a simulated machine has none, and says so
        assert f"Unavailable console type {kind}" in demo.fails(f"console url show --{kind} oak")


def test_properties_tags_and_name(demo, server):
    demo.text("server set --property c=d --tag tall oak")
    shown = demo("server show oak")
    assert shown["properties"] == {"a": "b", "c": "d"} and shown["tags"] == ["tall"]
    assert [row["ID"] for row in demo("server list --tags tall")] == [server]
    demo.text("server unset --property c --tag tall oak")
    assert demo("server show oak")["properties"] == {"a": "b"}


def test_ports_and_fixed_addresses_come_and_go(demo, server):
    demo.text("port create --network field bough")
    demo.text("server add port oak bough")
    assert len(demo("server show oak")["addresses"]["field"]) == 2
    demo.text("server remove port oak bough")
    demo.text("port delete bough")
    assert len(demo("server show oak")["addresses"]["field"]) == 1


def test_events_tell_what_happened(demo, openstack, server):
    rows = demo("server event list oak")
    create = next(row for row in rows if row["Action"] == "create")
    shown = openstack(f"server event show {server} {create['Request ID']}")
    assert shown["action"] == "create" and shown["events"]


def test_security_groups_of_a_server(demo, server):
    demo.text("security group create bark-guard")
    demo.text("server add security group oak bark-guard")
    names = {group["name"] for group in demo("server show oak")["security_groups"]}
    assert "bark-guard" in names
    demo.text("server remove security group oak bark-guard")
    demo.text("security group delete bark-guard")


def test_flavors(openstack, demo):
    openstack.text("flavor create --ram 128 --disk 2 --vcpus 2 --private --property hw:x=1 tree")
    assert openstack("flavor show tree")["properties"] == {"hw:x": "1"}
    assert "tree" not in {row["Name"] for row in demo("flavor list")}
    project = openstack("project show demo")["id"]
    openstack.text(f"flavor set --project {project} --description d tree")
    assert "tree" in {row["Name"] for row in demo("flavor list")}
    openstack.text(f"flavor unset --project {project} --property hw:x tree")
    assert "tree" not in {row["Name"] for row in demo("flavor list")}
    openstack.text("flavor delete tree")


def test_keypairs(demo, tmp_path):
    demo.text(f"keypair create --private-key {tmp_path / 'key'} mine")
    public = demo.text("keypair show --public-key mine")
    assert public.startswith("ssh-")
    (tmp_path / "key.pub").write_text(public)
    made = demo(f"keypair create --public-key {tmp_path / 'key.pub'} again")
    assert made["fingerprint"] == demo("keypair show mine")["fingerprint"]
    demo.text("keypair delete mine again")
    (tmp_path / "bad.pub").write_text("ssh-rsa nonsense")
    assert "400" in demo.fails(f"keypair create --public-key {tmp_path / 'bad.pub'} bad")


def test_server_groups_keep_servers_apart(demo, openstack, image, flavor, network):
    group = demo("server group create --policy anti-affinity hedge")
    create = "server create --image seed --flavor sprout --network field --wait"
    for name in ("yew-1", "yew-2"):
        demo.text(f"{create} --hint group={group['id']} {name}")
    hosts = {
        openstack(f"server show {row['ID']}")["OS-EXT-SRV-ATTR:host"]
        for row in demo("server list --name yew")
    }
    assert len(hosts) == 2
    demo.text("server delete --wait yew-1 yew-2")
    demo.text("server group delete hedge")


def test_aggregates_and_zones(openstack):
    hosts = [row["Host"] for row in openstack("compute service list --service nova-compute")]
    # A host that has servers cannot change its zone.
    host = next(h for h in hosts if not openstack(f"server list --all-projects --host {h}"))
    openstack.text("aggregate create --zone south --property x=y slope")
    openstack.text(f"aggregate add host slope {host}")
    assert openstack("aggregate show slope")["hosts"] == [host]
    zones = {row["Zone Name"] for row in openstack("availability zone list --compute")}
    assert "south" in zones
    openstack.text(f"aggregate remove host slope {host}")
    openstack.text("aggregate delete slope")


def test_hypervisors_say_that_they_are_simulated(openstack):
    rows = openstack("hypervisor list --long")
    assert len(rows) == 3
    shown = openstack(f"hypervisor show {rows[0]['ID']}")
    assert "simulated" in shown["hypervisor_type"].lower()
    assert openstack("hypervisor stats show")["count"] == 3


def test_services_can_be_disabled(openstack):
    service = openstack("compute service list --service nova-compute")[0]
    openstack.text(
        f"compute service set --disable --disable-reason rest {service['Host']} nova-compute"
    )
    row = openstack(f"compute service list --host {service['Host']} --long")[0]
    assert (row["Status"], row["Disabled Reason"]) == ("disabled", "rest")
    openstack.text(f"compute service set --enable {service['Host']} nova-compute")


def test_limits_quotas_and_usage(openstack, demo, server):
    limits = {row["Name"]: row["Value"] for row in demo("limits show --absolute")}
    assert limits["total_instances_used"] >= 1
    openstack.text("quota set --instances 0 --force demo")
    said = demo.fails("server create --image seed --flavor sprout --nic none extra")
    assert "Quota exceeded" in said and "403" in said
    openstack.text("quota delete --compute demo")
    assert openstack("usage list")
    assert demo("usage show")


def test_what_does_not_fit_becomes_an_error_with_its_reason(openstack, demo, image):
    openstack.text("flavor create --ram 999999999 --disk 1 --vcpus 1 sequoia")
    openstack.text("quota set --ram -1 demo")
    demo.fails("server create --image seed --flavor sequoia --nic none --wait giant")
    shown = demo("server show giant")
    assert shown["status"] == "ERROR" and "No valid host" in shown["fault"]["message"]
    demo.text("server delete --wait giant")
    openstack.text("quota delete --compute demo")
    openstack.text("flavor delete sequoia")


def test_another_projects_server_is_not_found(openstack, demo, image, flavor):
    openstack.text("server create --image seed --flavor sprout --nic none --wait hidden")
    server = openstack("server show hidden")["id"]
    assert "No Server found" in demo.fails(f"server show {server}")
    openstack.text("server delete --wait hidden")
