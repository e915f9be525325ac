# SPDX-License-Identifier: Apache-2.0
"""Runs in the clients' environment: makes what tempest wants to find, and prints tempest.conf.

Usage: prepare.py DIRECTORY [URL], with OS_CLIENT_CONFIG_FILE set. URL is that of an image to be
downloaded, of a cloud with the configuration of tools/tempest_run.py.
"""

import configparser
import sys
from pathlib import Path

import openstack

FEATURES = """
    attach_encrypted_volume=false block_migration_for_live_migration=false change_password=false
    cold_migration=false console_output=true disk_config=true
    enable_instance_password=true interface_attach=true ide_bus=true
    live_migration=false metadata_service=true pause=true personality=true resize=false rescue=true
    serial_console=false shelve=false snapshot=true spice_console=false suspend=true
    swap_volume=false unified_limits=false volume_multiattach=false
    stable_rescue=false can_migrate_between_any_hosts=false
"""


def _image(conn, name):
    found = conn.image.find_image(name)
    return found or conn.create_image(
        name,
        data=b"\0" * 65536,
        disk_format="raw",
        container_format="bare",
        visibility="public",
        wait=True,
        allow_duplicates=True,
    )


def _flavor(conn, name, **sizes):
    return conn.compute.find_flavor(name) or conn.create_flavor(name, **sizes)


def _public(conn):
    return next(conn.network.networks(is_router_external=True))


def _newest(conn, service):
    return conn.config.get_session_client(service).get_endpoint_data().max_microversion


# As [identity.passwords] in tools/tempest_run.py.
PASSWORDS = {
    "user_lockout_failure_attempts": "5",
    "user_lockout_duration": "5",
    "user_unique_last_password_count": "2",
}
# The names that Nova gives to what our scheduler always looks at.
FILTERS = """
    ComputeFilter ComputeCapabilitiesFilter ImagePropertiesFilter ServerGroupAntiAffinityFilter
    ServerGroupAffinityFilter SameHostFilter DifferentHostFilter
"""


def _settings(conn, directory, web_image):
    images = [_image(conn, "tempest-1"), _image(conn, "tempest-2")]
    flavors = [
        _flavor(conn, "tempest-1", ram=64, vcpus=1, disk=1),
        _flavor(conn, "tempest-2", ram=128, vcpus=2, disk=1),
    ]
    public = _public(conn)
    hosts = list(conn.compute.hypervisors(details=True))
    # "tag" is what "standard-attr-tag" was called when tempest's tests of it were written
    extensions = ",".join([*(e.alias for e in conn.network.extensions()), "tag"])
    auth = conn.config.auth
    newest = ".".join(str(n) for n in _newest(conn, "compute"))
    return {
        "DEFAULT": {"log_file": str(directory / "tempest.log"), "debug": "false"},
        "oslo_concurrency": {"lock_path": str(directory / "locks")},
        "auth": {
            "admin_username": auth["username"],
            "admin_password": auth["password"],
            "admin_project_name": auth["project_name"],
            "admin_domain_name": "Default",
            "admin_user_domain_name": "Default",
            "use_dynamic_credentials": "true",
            "create_isolated_networks": "true",
            "tempest_roles": "member",
        },
        "identity": {
            "uri_v3": auth["auth_url"].rstrip("/").removesuffix("/v3") + "/v3",
            "auth_version": "v3",
            "region": "RegionOne",
            **(PASSWORDS if web_image else {}),
        },
        "identity-feature-enabled": {
            "trust": "false", "access_rules": "true",
            "security_compliance": str(bool(web_image)).lower(),
        },
        "compute": {
            "image_ref": images[0].id, "image_ref_alt": images[1].id,
            "flavor_ref": flavors[0].id, "flavor_ref_alt": flavors[1].id,
            "build_interval": "1", "build_timeout": "60", "ready_wait": "0",
            "min_compute_nodes": str(min(2, len(hosts))),
            "min_microversion": "2.1", "max_microversion": newest,
            "fixed_network_name": "", "hypervisor_type": "simulated",
        },
        "compute-feature-enabled": {
            **dict(pair.split("=") for pair in FEATURES.split()),
            "scheduler_enabled_filters": ",".join(FILTERS.split()),
            "vnc_console": str(any(h.hypervisor_type != "simulated" for h in hosts)).lower(),
        },
        "placement": {"min_microversion": "1.0", "max_microversion": "1.39"},
        "image": {
            "http_image": "", "http_qcow2_image": web_image,
            "build_interval": "1", "build_timeout": "60",
        },
        "image-feature-enabled": {"import_image": "true", "http_store_enabled": "false"},
        "network": {
            "public_network_id": public.id, "floating_network_name": public.name,
            "project_network_cidr": "10.100.0.0/16", "build_interval": "1", "build_timeout": "60",
        },
        "network-feature-enabled": {
            "ipv6": "true", "ipv6_subnet_attributes": "true", "api_extensions": extensions,
            "port_security": "true", "floating_ips": "true",
        },
        "validation": {"run_validation": "false"},
        "service_available": {
            "cinder": "false", "swift": "false", "horizon": "false", "nova": "true",
            "neutron": "true", "glance": "true",
        },
    }  # fmt: skip


def main():
    """Write DIRECTORY/etc/tempest.conf and the files stestr wants."""
    directory = Path(sys.argv[1])
    web_image = sys.argv[2] if len(sys.argv) > 2 else ""
    config = configparser.RawConfigParser()
    config.read_dict(_settings(openstack.connect(cloud="octostack"), directory, web_image))
    (directory / "etc").mkdir(exist_ok=True)
    with (directory / "etc" / "tempest.conf").open("w") as file:
        config.write(file)


if __name__ == "__main__":
    main()
