# SPDX-License-Identifier: Apache-2.0
"""What a guest is told of itself: the same documents for the metadata service and config drives.

Two trees, whose forms cloud-init and its kin expect: OpenStack's JSON (``/openstack/VERSION/..``)
and EC2's, one value a file (``/latest/meta-data/..``). `find` answers a path; a directory answers
with its entries, one a line.
"""

import base64
import hashlib
import ipaddress
import json
import zlib
from collections.abc import Mapping
from typing import Any

import msgspec

from octostack.contracts.compute_agent import ConfigFile
from octostack.contracts.network import FixedIp, PortInfo
from octostack.services.compute.model import Server

OPENSTACK_VERSIONS = (
    "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06",
    "2017-02-22", "2018-08-27", "2020-10-14", "latest",
)  # fmt: skip
EC2_VERSIONS = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01",
    "2008-09-01", "2009-04-04", "latest",
)  # fmt: skip
_SINCE = {
    "vendor_data.json": "2013-10-17",
    "network_data.json": "2015-10-15",
    "vendor_data2.json": "2016-10-06",
}
_SEED_BYTES = 512


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """A server with what the documents need beside its row."""

    server: Server
    ports: tuple[PortInfo, ...] = ()
    domain: str = "novalocal"
    secret: bytes = b""  # of the installation: seeds are made from it
    password: str = ""  # what the guest posted, encrypted by it

    @property
    def hostname(self) -> str:
        """The full name; one that has a domain already is left alone."""
        name = self.server.hostname
        return name if "." in name or not self.domain else f"{name}.{self.domain}"


def find(guest: Guest, path: str) -> bytes | None:
    """The document or listing at `path`; None where there is none."""
    parts = [p for p in path.split("/") if p]
    if not parts:
        return "\n".join((*EC2_VERSIONS, "openstack")).encode()
    if parts[0] == "openstack":
        return _find_openstack(guest, parts[1:])
    if parts[0] not in EC2_VERSIONS:
        return None
    return _walk(_ec2_tree(guest), parts[1:])


def config_drive(guest: Guest, admin_pass: str | None) -> tuple[ConfigFile, ...]:
    """The files of a config drive."""
    files = []
    for version in OPENSTACK_VERSIONS:
        for name, content in openstack_files(guest, version, admin_pass).items():
            if name != "password":
                files.append(ConfigFile(f"openstack/{version}/{name}", content))
    for at, (_path, text) in enumerate(guest.server.boot.get("personality", ())):
        files.append(ConfigFile(f"openstack/content/{at:04}", _decoded(text)))
    ec2 = {"meta-data": _plain(_ec2_tree(guest)["meta-data"])}
    if guest.server.user_data:
        files.append(ConfigFile("ec2/latest/user-data", _decoded(guest.server.user_data)))
    files.append(ConfigFile("ec2/latest/meta-data.json", _json(ec2["meta-data"])))
    return tuple(files)


def openstack_files(guest: Guest, version: str, admin_pass: str | None = None) -> dict[str, bytes]:
    """The documents of one version of OpenStack's tree."""
    made = {"meta_data.json": _json(_meta_data(guest, admin_pass))}
    if guest.server.user_data:
        made["user_data"] = _decoded(guest.server.user_data)
    made["password"] = guest.password.encode()
    late = {
        "vendor_data.json": b"{}",
        "vendor_data2.json": b"{}",
        "network_data.json": _json(network_data(guest.ports)),
    }
    return made | {n: c for n, c in late.items() if version == "latest" or version >= _SINCE[n]}


def _find_openstack(guest: Guest, parts: list[str]) -> bytes | None:
    if not parts:
        return "\n".join(OPENSTACK_VERSIONS).encode()
    if parts[0] == "content" and len(parts) == 2 and parts[1].isascii() and parts[1].isdigit():
        files = guest.server.boot.get("personality", ())
        at = int(parts[1][:6])
        return _decoded(files[at][1]) if at < len(files) else None
    if parts[0] not in OPENSTACK_VERSIONS or len(parts) > 2:
        return None
    files = openstack_files(guest, parts[0])
    return "\n".join(files).encode() if len(parts) == 1 else files.get(parts[1])


def _meta_data(guest: Guest, admin_pass: str | None) -> dict[str, Any]:
    server = guest.server
    made: dict[str, Any] = {
        "uuid": server.id,
        "name": server.name,
        "hostname": guest.hostname,
        "availability_zone": server.availability_zone,
        "launch_index": server.launch_index,
        "project_id": server.project_id,
        "random_seed": base64.b64encode(_seed(guest)).decode(),
        "devices": [
            {"type": "nic", "bus": "none", "address": "none", "mac": n.mac, "tags": [n.tag]}
            for n in server.nics
            if n.tag
        ],
        "dedicated_cpus": [],
    }
    if server.metadata:
        made["meta"] = server.metadata
    key = server.boot.get("key")
    if key:
        made["public_keys"] = {key["name"]: key["data"]}
        made["keys"] = [key]
    if admin_pass:
        made["admin_pass"] = admin_pass
    files = server.boot.get("personality", ())
    if files:
        made["files"] = [
            {"path": path, "content_path": f"/content/{at:04}"}
            for at, (path, _text) in enumerate(files)
        ]
    return made


def network_data(ports: tuple[PortInfo, ...]) -> dict[str, Any]:
    """Links, networks and services, as cloud-init reads them."""
    links: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    services: list[dict[str, Any]] = []
    for port in ports:
        link = "tap" + port.id[:11]
        links.append(
            {
                "id": link,
                "vif_id": port.id,
                "type": port.vif_type if port.vif_type != "unbound" else "ovs",
                "mtu": port.network.mtu,
                "ethernet_mac_address": port.mac_address,
            }
        )
        for ip in port.fixed_ips:
            networks.append(_network(port, ip, link, len(networks)))
            services += [{"type": "dns", "address": a} for a in ip.subnet.dns_nameservers]
    unique = [s for i, s in enumerate(services) if s not in services[:i]]
    return {"links": links, "networks": networks, "services": unique}


def _network(port: PortInfo, ip: FixedIp, link: str, number: int) -> dict[str, Any]:
    subnet = ip.subnet
    kind = f"ipv{subnet.ip_version}"
    made: dict[str, Any] = {
        "id": f"network{number}",
        "link": link,
        "network_id": port.network.id,
        "type": f"{kind}_dhcp" if subnet.enable_dhcp else kind,
    }
    if subnet.enable_dhcp and subnet.ip_version == 4:
        return made
    if subnet.ip_version == 6 and subnet.ipv6_address_mode:
        return made | {"type": f"ipv6_{subnet.ipv6_address_mode.replace('dhcpv6-', '')}"}
    routes = [_route(r.destination, r.nexthop) for r in subnet.host_routes]
    if subnet.gateway_ip:
        routes.insert(0, _route("0.0.0.0/0" if kind == "ipv4" else "::/0", subnet.gateway_ip))
    return made | {
        "type": kind,
        "ip_address": ip.address,
        "netmask": _netmask(subnet.cidr),
        "routes": routes,
        "services": [{"type": "dns", "address": a} for a in subnet.dns_nameservers],
    }


def _route(destination: str, gateway: str) -> dict[str, str]:
    network = destination.partition("/")[0]
    return {"network": network, "netmask": _netmask(destination), "gateway": gateway}


def _netmask(cidr: str) -> str:
    return str(ipaddress.ip_network(cidr, strict=False).netmask)


def _ec2_tree(guest: Guest) -> dict[str, Any]:
    server = guest.server
    fixed = [a for n in server.nics for a, _ in n.fixed_ips if ":" not in a]
    floating = [f for n in server.nics for _, f in n.floating_ips]
    meta: dict[str, Any] = {
        "ami-id": f"ami-{zlib.crc32(server.image_id.encode()):08x}",
        "ami-launch-index": str(server.launch_index),
        "ami-manifest-path": "unknown",
        "block-device-mapping": {"ami": "vda", "root": server.root_device},
        "hostname": guest.hostname,
        "instance-action": "none",
        "instance-id": f"i-{server.seq:08x}",
        "instance-type": server.flavor.name,
        "local-hostname": guest.hostname,
        "local-ipv4": fixed[0] if fixed else "",
        "placement": {"availability-zone": server.availability_zone or ""},
        "public-hostname": guest.hostname,
        "public-ipv4": floating[0] if floating else "",
        "reservation-id": server.reservation_id,
        "security-groups": "\n".join(
            dict.fromkeys(name for p in guest.ports for _, name in p.security_groups)
        ),
    }
    key = server.boot.get("key")
    if key:
        meta["public-keys"] = {f"0={key['name']}": {"openssh-key": key["data"]}}
    tree: dict[str, Any] = {"meta-data": meta}
    if server.user_data:
        tree["user-data"] = _decoded(server.user_data)
    return tree


def _walk(tree: Mapping[str, Any], parts: list[str]) -> bytes | None:
    node: Any = tree
    for part in parts:
        if not isinstance(node, Mapping):
            return None
        # "0=name" is listed so, and asked for as "0"
        node = node.get(part) or next(
            (v for k, v in node.items() if k.startswith(part + "=")), node.get(part)
        )
        if node is None:
            return None
    if isinstance(node, Mapping):
        names = [k if "=" in k or not isinstance(v, Mapping) else f"{k}/" for k, v in node.items()]
        return "\n".join(names).encode()
    return node if isinstance(node, bytes) else str(node).encode()


def _plain(node: Any) -> Any:
    return {k: _plain(v) for k, v in node.items()} if isinstance(node, Mapping) else node


def _seed(guest: Guest) -> bytes:
    return hashlib.shake_256(guest.secret + guest.server.id.encode()).digest(_SEED_BYTES)


def _decoded(text: str) -> bytes:
    return base64.b64decode("".join(text.split()))


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
