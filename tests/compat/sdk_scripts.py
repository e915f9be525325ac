# SPDX-License-Identifier: Apache-2.0
"""Scripts as a user of openstacksdk writes them; each runs in the clients' environment."""

import io


def identity_projects_and_users(conn):
    """Make and find a project and a user, and give a role."""
    project = conn.identity.create_project(name="sdk-project", description="d", tags=["x"])
    user = conn.identity.create_user(name="sdk-user", password="pass-1-word")
    role = conn.identity.find_role("member")
    conn.identity.assign_project_role_to_user(project, user, role)
    assert conn.identity.validate_user_has_project_role(project, user, role)
    found = [p.id for p in conn.identity.projects(tags="x")]
    assert found == [project.id], found
    conn.identity.delete_user(user)
    conn.identity.delete_project(project)
    assert conn.identity.find_project("sdk-project") is None


def image_upload_in_parts(conn):
    """Upload, read back a range, change by JSON patch, delete."""
    data = b"0123456789" * 1000
    image = conn.image.create_image(
        name="sdk-image",
        data=io.BytesIO(data),
        disk_format="raw",
        container_format="bare",
        allow_duplicates=True,
    )
    assert conn.image.download_image(image).content == data
    answer = conn.image.get(f"/images/{image.id}/file", headers={"Range": "bytes=10-19"})
    assert (answer.status_code, answer.content) == (206, data[10:20]), answer.status_code
    image = conn.image.update_image(conn.image.get_image(image.id), colour="blue")
    assert image.properties.get("colour") == "blue", image.to_dict()
    conn.image.delete_image(image)


def network_with_everything(conn):
    """A network, a router with a route to it, ports in bulk."""
    network = conn.network.create_network(name="sdk-net")
    subnet = conn.network.create_subnet(
        network_id=network.id, ip_version=4, cidr="10.77.0.0/24", name="sdk-subnet"
    )
    router = conn.network.create_router(name="sdk-router")
    conn.network.add_interface_to_router(router, subnet_id=subnet.id)
    group = conn.network.create_security_group(name="sdk-group")
    ports = list(
        conn.network.create_ports(
            [
                {"network_id": network.id, "name": f"sdk-{n}", "security_groups": [group.id]}
                for n in range(5)
            ]
        )
    )
    pages = conn.network.ports(network_id=network.id, limit=2)
    mine = {port.id for port in pages if not port.device_owner}  # without router and DHCP
    assert mine == {port["id"] for port in ports}, mine
    for port in ports:
        conn.network.delete_port(port["id"])
    conn.network.remove_interface_from_router(router, subnet_id=subnet.id)
    for delete, thing in (
        (conn.network.delete_router, router),
        (conn.network.delete_security_group, group),
        (conn.network.delete_network, network),
    ):
        delete(thing)


def placement_providers(conn):
    """Providers, inventories, traits."""
    provider = conn.placement.create_resource_provider(name="sdk-provider")
    conn.placement.create_resource_provider_inventory(
        provider,
        "VCPU",
        total=4,
        reserved=0,
        min_unit=1,
        max_unit=4,
        step_size=1,
        allocation_ratio=1.0,
    )
    inventories = list(conn.placement.resource_provider_inventories(provider))
    assert [i.total for i in inventories] == [4]
    conn.placement.delete_resource_provider(provider)


def compute_server_of_a_cloud_layer_user(conn):
    """The one-call cloud layer: create a server, wait, change, delete."""
    image = conn.create_image(
        "sdk-seed", data=b"\0" * 4096, disk_format="raw", container_format="bare", wait=True
    )
    flavor = conn.create_flavor("sdk-flavor", ram=64, vcpus=1, disk=1)
    network = conn.create_network("sdk-field")
    conn.create_subnet(network.id, cidr="10.78.0.0/24", subnet_name="sdk-field4")
    server = conn.create_server(
        "sdk-server",
        image=image,
        flavor=flavor,
        network=network,
        wait=True,
        auto_ip=False,
        meta={"k": "v"},
        timeout=60,
    )
    assert server.status == "ACTIVE", server.status
    assert server.addresses["sdk-field"][0]["addr"].startswith("10.78.0.")
    conn.compute.stop_server(server)
    conn.compute.wait_for_server(server, status="SHUTOFF", wait=60, interval=0.1)
    assert len(list(conn.compute.server_actions(server))) >= 2
    conn.delete_server(server.id, wait=True)
    conn.delete_network(network.id)
    conn.delete_flavor(flavor.id)
    conn.delete_image(image.id, wait=True)


def compute_pages_of_servers(conn):
    """More servers than a page holds, listed with markers."""
    image = conn.create_image(
        "sdk-many", data=b"\0" * 4096, disk_format="raw", container_format="bare", wait=True
    )
    flavor = conn.create_flavor("sdk-many", ram=1, vcpus=1, disk=0)
    made = conn.compute.post(
        "/servers",
        microversion="2.37",
        json={
            "server": {
                "name": "crowd",
                "imageRef": image.id,
                "flavorRef": flavor.id,
                "networks": "none",
                "min_count": 7,
                "max_count": 7,
            }
        },
    )
    assert made.status_code == 202, made.text
    servers = list(conn.compute.servers(name="crowd", limit=3))
    assert len({s.id for s in servers}) == 7, len(servers)
    for server in servers:
        conn.compute.wait_for_server(server, wait=60, interval=0.1)
        conn.compute.delete_server(server)
    for server in servers:
        conn.compute.wait_for_delete(server, wait=60, interval=0.1)
    conn.delete_flavor(flavor.id)
    conn.delete_image(image.id)
