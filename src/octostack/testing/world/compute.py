# SPDX-License-Identifier: Apache-2.0
"""The Compute API's things and bodies; each action of a server is a request of its own."""

from typing import Any

from octostack.testing.world.thing import Thing

PREFIX = "/compute/v2.1"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGg0z6mK3YJ5bH6Xy7f5Vt5e3l9L7m3q3Q2m1b0r9sTt a@b"
_C = "/compute/v2.1"
S, G, A = "/servers/{server_id}", "/os-server-groups/{group_id}", "/os-aggregates/{aggregate_id}"
F, Q = "/flavors/{flavor_id}", "/os-quota-sets/{project_id}"
H = "/os-hypervisors/{hypervisor_id}"
_SERVER: dict[str, Any] = {
    "server": {
        "name": "{new}",
        "flavorRef": "1",
        "imageRef": "{boot_image}",
        "networks": "none",
        "metadata": {"k": "v"},
        "tags": ["red"],
    }
}
_ON_NET = {"server": _SERVER["server"] | {"networks": [{"uuid": "{boot_network}"}]}}
_IMAGE = {"name": "boot", "disk_format": "raw", "container_format": "bare", "key": "v"}
_FLAVOR = {"name": "{new}", "ram": 64, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": False}


def _server(body: Any, status: str = "ACTIVE") -> Thing:
    ready = (f"{_C}/servers/{{self}}", "server.status", status)
    return Thing(f"POST {_C}/servers", body, "server.id", until=ready)


def _after(action: str, status: str) -> Thing:
    """A server to which something was done."""
    ready = (f"{_C}/servers/{{self}}", "server.status", status)
    done = (f"POST {_C}/servers/{{self}}/action", {action: None})
    of = f"server_to_{action}"
    made = f"GET {_C}/servers/{{{of}}}"
    return Thing(made, take="server.id", then=(done,), until=ready, of=(of,))


_STATES = {"os-stop": "SHUTOFF", "pause": "PAUSED", "suspend": "SUSPENDED", "rescue": "RESCUE"}


THINGS = {
    "boot_image": Thing("POST /image/v2/images", _IMAGE, "id",
                        then=(("PUT /image/v2/images/{self}/file", b"\0" * 1024),)),
    "boot_network": Thing(
        "POST /networking/v2.0/networks", {"network": {"name": "wire"}}, "network.id",
        then=(("POST /networking/v2.0/subnets",
               {"subnet": {"network_id": "{self}", "ip_version": 4, "cidr": "{cidr}"}}),)),
    "old_image": Thing("POST /image/v2/images", _IMAGE, "id"),
    "other_image": Thing("POST /image/v2/images", _IMAGE, "id"),
    "server": _server(_SERVER),
    "net_server": _server(_ON_NET),
    **{f"server_to_{action}": _server(_SERVER) for action in _STATES},
    **{f"after_{action}": _after(action, status) for action, status in _STATES.items()},
    "flavor": Thing(f"POST {_C}/flavors", {"flavor": _FLAVOR}, "flavor.id", "admin",
                    then=((f"POST {_C}/flavors/{{self}}/action",
                           {"addTenantAccess": {"tenant": "{project}"}}),
                          (f"POST {_C}/flavors/{{self}}/os-extra_specs",
                           {"extra_specs": {"k": "v"}}))),
    "keypair": Thing(f"POST {_C}/os-keypairs",
                     {"keypair": {"name": "{new}", "public_key": KEY}}, "keypair.name"),
    "metadatum": Thing(f"PUT {_C}/servers/{{server}}/metadata/k", {"meta": {"k": "v"}}),
    "server_tag": Thing(f"PUT {_C}/servers/{{server}}/tags/red"),
    "spec": Thing(f"PUT {_C}/flavors/{{flavor}}/os-extra_specs/k", {"k": "v"}, by="admin"),
    "nic": Thing(f"GET {_C}/servers/{{net_server}}/os-interface",
                 take="interfaceAttachments.0.port_id"),
    "group": Thing(f"POST {_C}/os-server-groups",
                   {"server_group": {"name": "g", "policy": "affinity"}}, "server_group.id"),
    "aggregate": Thing(f"POST {_C}/os-aggregates", {"aggregate": {"name": "{new}"}},
                       "aggregate.id", "admin"),
    "hosting_aggregate": Thing(
        f"POST {_C}/os-aggregates", {"aggregate": {"name": "{new}"}}, "aggregate.id", "admin",
        then=((f"POST {_C}/os-aggregates/{{self}}/action", {"add_host": {"host": "sim-0001"}}),)),
    "service": Thing(f"GET {_C}/os-services?binary=nova-compute", take="services.0.id",
                     by="admin"),
    "hypervisor": Thing(f"GET {_C}/os-hypervisors", take="hypervisors.0.id", by="admin"),
    "request": Thing(f"GET {_C}/servers/{{server}}/os-instance-actions",
                     take="instanceActions.0.request_id"),
}  # fmt: skip

PARAMS = {
    **{f"{name}_id": f"{{{name}}}" for name in ("server", "flavor", "group", "aggregate",
                                                "service", "hypervisor", "project")},
    "before": "2020-01-01 00:00:00", "id": "1", "floating_ip_id": "{floatingips}",
    "rule_id": "{security-group-rules}", "os-security-groups.group_id": "{security-groups}",
    "images.key": "key", "PUT /images/{image_id}/metadata.image_id": "{other_image}",
    **{f"{route}.image_id": "{old_image}" for route in (
        "DELETE /images/{image_id}",
        "DELETE /images/{image_id}/metadata/{key}")},
    "alias": "os-keypairs", "os-keypairs.name": "{keypair}", "os-quota-class-sets.name": "default",
    "token": "nobody-has-it", "port_id": "{nic}",
    "request_id": "{request}", "host": "sim-0001", "image_id": "{boot_image}",
    "network_id": "{boot_network}", "servers.tag": "{server_tag}", "servers.key": "{metadatum}",
    "flavors.key": "{spec}",
    f"DELETE {Q}.project_id": "{ops}",
    f"GET {S}/ips/{{network}}.network": "wire",
    f"GET {S}/ips/{{network}}.server_id": "{net_server}",
    **{f"POST {S}/action {action}.server_id": thing for action, thing in (
        ("os-start", "{after_os-stop}"), ("unpause", "{after_pause}"),
        ("resume", "{after_suspend}"), ("unrescue", "{after_rescue}"),
        ("removeSecurityGroup", "{net_server}"))},
    **{f"GET {H}/{what}.hypervisor_id": "sim" for what in ("search", "servers")},
    f"GET {S}/os-interface/{{port_id}}.server_id": "{net_server}",
    f"DELETE {S}/os-interface/{{port_id}}.server_id": "{net_server}",
}  # fmt: skip
BODIES: dict[str, Any] = {
    "POST /flavors": {"flavor": _FLAVOR},
    f"PUT {F}": {"flavor": {"description": "new"}},
    f"POST {F}/os-extra_specs": {"extra_specs": {"a": "b"}},
    f"PUT {F}/os-extra_specs/{{key}}": {"k": "w"},
    f"POST {F}/action addTenantAccess": {"addTenantAccess": {"tenant": "{other_project}"}},
    f"POST {F}/action removeTenantAccess": {"removeTenantAccess": {"tenant": "{project}"}},
    "POST /os-keypairs": {"keypair": {"name": "{new}", "public_key": KEY}},
    "POST /servers": _SERVER,
    f"PUT {S}": {"server": {"name": "{new}"}},
    f"POST {S}/metadata": {"metadata": {"k": "v"}},
    f"PUT {S}/metadata": {"metadata": {"k": "v"}},
    f"PUT {S}/metadata/{{key}}": {"meta": {"k": "v"}},
    f"PUT {S}/tags": {"tags": ["red"]},
    f"POST {S}/remote-consoles": {"remote_console": {"protocol": "vnc", "type": "novnc"}},
    f"POST {S}/os-interface": {"interfaceAttachment": {"net_id": "{boot_network}"}},
    "POST /os-server-groups": {"server_group": {"name": "g", "policy": "affinity"}},
    "POST /os-aggregates": {"aggregate": {"name": "{new}"}},
    f"PUT {A}": {"aggregate": {"name": "{new}"}},
    f"POST {A}/action add_host": {"add_host": {"host": "sim-0001"}},
    f"POST {A}/action remove_host": {"remove_host": {"host": "sim-0001"}},
    f"POST {A}/action set_metadata": {"set_metadata": {"metadata": {"k": "v"}}},
    f"POST {A}/images": {"cache": [{"id": "{boot_image}"}]},
    "PUT /os-services/{service_id}": {"status": "enabled", "forced_down": False},
    f"PUT {Q}": {"quota_set": {"cores": -1}},
    "PUT /os-quota-class-sets/{name}": {"quota_class_set": {"cores": 100}},
    "PUT /os-hosts/{host}": {"status": "enable"},
    "POST /os-security-groups": {
        "security_group": {"name": "{new}", "description": "d"}},
    "PUT /os-security-groups/{group_id}": {
        "security_group": {"name": "{new}", "description": "d"}},
    "POST /os-security-group-rules": {"security_group_rule": {
        "parent_group_id": "{security-groups}", "ip_protocol": "tcp", "from_port": 1,
        "to_port": 9, "cidr": "{cidr}"}},
    "POST /os-floating-ips": {"pool": "{outside}"},
    "POST /images/{image_id}/metadata": {"metadata": {"a": "b"}},
    "PUT /images/{image_id}/metadata": {"metadata": {"a": "b"}},
    "PUT /images/{image_id}/metadata/{key}": {"meta": {"key": "w"}},
    "POST /os-server-external-events": {
        "events": [{"name": "network-changed", "server_uuid": "{server}"}]},
}  # fmt: skip
PARAMS[f"POST {A}/action remove_host.aggregate_id"] = "{hosting_aggregate}"
# Bodies of a server's actions; the others take none.
ACTIONS: dict[str, Any] = {
    "reboot": {"type": "HARD"},
    "rebuild": {"imageRef": "{boot_image}"},
    "createImage": {"name": "{new}"},
    "createBackup": {"name": "{new}", "backup_type": "daily", "rotation": 1},
    "changePassword": {"adminPass": "a new password"},
    "os-getConsoleOutput": {},
    "os-getVNCConsole": {"type": "novnc"},
    "os-getSerialConsole": {"type": "serial"},
    "os-getSPICEConsole": {"type": "spice-html5"},
    "os-getRDPConsole": {"type": "rdp-html5"},
    "os-resetState": {"state": "active"},
    "addSecurityGroup": {"name": "default"},
    "removeSecurityGroup": {"name": "default"},
    "resize": {"flavorRef": "2"},
    "os-migrateLive": {"host": None, "block_migration": "auto"},
    "evacuate": {},
    "addFixedIp": {"networkId": "{boot_network}"},
    "removeFixedIp": {"address": "10.0.0.9"},
    "addFloatingIp": {"address": "10.0.0.9"},
    "removeFloatingIp": {"address": "10.0.0.9"},
    "lock": {"locked_reason": "why"},
}
USES_UP = (f"POST {F}/action removeTenantAccess",)
