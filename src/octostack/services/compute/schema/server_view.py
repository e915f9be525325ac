# SPDX-License-Identifier: Apache-2.0
"""How a server looks, at every version from 2.1 to 2.96."""

import functools
import hashlib
from typing import Any

import msgspec

from octostack.base import clock
from octostack.services.compute.core import states
from octostack.services.compute.model import Flavor, Nic, Server

Json = dict[str, Any]
Version = tuple[int, int]


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What the viewer may see and what belongs to a server beyond its row."""

    version: Version
    base_url: str  # .../compute/v2.1
    extended: bool = False  # may see OS-EXT-SRV-ATTR
    host_status: bool = False
    host_status_unknown_only: bool = False
    security_groups: tuple[str, ...] | None = None
    host_state: str = ""  # UP UNKNOWN DOWN MAINTENANCE, of the server's host


def links(base_url: str, server_id: str) -> list[Json]:
    """Self and bookmark."""
    root = _root(base_url)
    return [
        {"rel": "self", "href": f"{base_url}/servers/{server_id}"},
        {"rel": "bookmark", "href": f"{root}/servers/{server_id}"},
    ]


@functools.lru_cache(maxsize=16)
def _root(base_url: str) -> str:
    return base_url.rsplit("/v2", 1)[0]


def basic(server: Server, base_url: str) -> Json:
    """A line of the short list."""
    return {"id": server.id, "name": server.name, "links": links(base_url, server.id)}


def created(server: Server, base_url: str, admin_pass: str | None) -> Json:
    """The answer to a create."""
    made = {
        "id": server.id,
        "links": links(base_url, server.id),
        "OS-DCF:diskConfig": server.disk_config,
        "security_groups": [
            {"name": n} for n in (server.boot.get("security_groups") or ["default"])
        ],
    }
    if admin_pass is not None:
        made["adminPass"] = admin_pass
    return {"server": made}


def detail(server: Server, shown: Shown) -> Json:
    """Everything of a server that this version and this viewer may see."""
    v = shown.version
    view: Json = {
        "id": server.id,
        "name": server.name,
        "status": states.status(server),
        "tenant_id": server.project_id,
        "user_id": server.user_id,
        "metadata": server.metadata,
        "hostId": host_id(server),
        "image": _image(server, shown.base_url),
        "flavor": _flavor(server.flavor, shown.base_url, v),
        "created": clock.iso(server.created_at),
        "updated": clock.iso(server.updated_at or server.created_at),
        "addresses": addresses(server.nics),
        "accessIPv4": server.access_ip_v4 or "",
        "accessIPv6": server.access_ip_v6 or "",
        "links": links(shown.base_url, server.id),
        "OS-DCF:diskConfig": server.disk_config,
        "OS-EXT-AZ:availability_zone": server.availability_zone or server.pinned_zone or "",
        "config_drive": "True" if server.config_drive else "",
        "key_name": server.key_name,
        "OS-SRV-USG:launched_at": _usage_time(server.launched_at),
        "OS-SRV-USG:terminated_at": _usage_time(server.terminated_at),
        "OS-EXT-STS:task_state": server.task_state,
        "OS-EXT-STS:vm_state": server.vm_state,
        "OS-EXT-STS:power_state": server.power_state,
        "os-extended-volumes:volumes_attached": [],
    }
    if view["status"] in ("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"):
        view["progress"] = server.progress
    if server.fault and view["status"] in ("ERROR", "DELETED"):
        view["fault"] = _fault(server, shown)
    if shown.security_groups is not None and shown.security_groups:
        view["security_groups"] = [{"name": n} for n in shown.security_groups]
    elif server.vm_state == states.BUILDING:
        view["security_groups"] = [
            {"name": n} for n in (server.boot.get("security_groups") or ["default"])
        ]
    _add_versioned(view, server, shown)
    return view


def trimmed(view: Json, v: Version) -> Json:
    """What update and rebuild answer before 2.75: less than show does."""
    if v >= (2, 75):
        return view
    less = {k: x for k, x in view.items() if k not in _ONLY_SHOWN and not k.startswith(_ONLY_FROM)}
    less["addresses"] = {
        network: [{"version": e["version"], "addr": e["addr"]} for e in entries]
        for network, entries in view["addresses"].items()
    }
    return less


_ONLY_SHOWN = ("config_drive", "key_name", "host_status", "security_groups")
_ONLY_FROM = (
    "OS-EXT-AZ:", "OS-EXT-SRV-ATTR:", "OS-SRV-USG:", "OS-EXT-STS:", "os-extended-volumes:",
)  # fmt: skip


def _add_versioned(view: Json, server: Server, shown: Shown) -> None:
    v = shown.version
    if shown.extended:
        view |= _extended(server, v)
    if v >= (2, 9):
        view["locked"] = server.locked_by is not None
    if v >= (2, 16):
        if shown.host_status:
            view["host_status"] = shown.host_state
        elif shown.host_status_unknown_only and shown.host_state == "UNKNOWN":
            view["host_status"] = "UNKNOWN"
    if v >= (2, 19):
        view["description"] = server.description
    if v >= (2, 26):
        view["tags"] = list(server.tags)
    if v >= (2, 63):
        view["trusted_image_certificates"] = None
    if v >= (2, 71):
        view["server_groups"] = [server.group_id] if server.group_id else []
    if v >= (2, 73):
        view["locked_reason"] = server.locked_reason
    if v >= (2, 90):
        view["OS-EXT-SRV-ATTR:hostname"] = server.hostname
    if v >= (2, 96):
        view["pinned_availability_zone"] = server.pinned_zone


def _extended(server: Server, v: Version) -> Json:
    more: Json = {
        "OS-EXT-SRV-ATTR:host": server.host,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": server.node,
        "OS-EXT-SRV-ATTR:instance_name": instance_name(server.seq),
    }
    if v >= (2, 3):
        image = server.boot.get("image") or {}
        properties = image.get("properties") or {}
        more |= {
            "OS-EXT-SRV-ATTR:reservation_id": server.reservation_id,
            "OS-EXT-SRV-ATTR:launch_index": server.launch_index,
            "OS-EXT-SRV-ATTR:hostname": server.hostname,
            "OS-EXT-SRV-ATTR:kernel_id": properties.get("kernel_id", ""),
            "OS-EXT-SRV-ATTR:ramdisk_id": properties.get("ramdisk_id", ""),
            "OS-EXT-SRV-ATTR:root_device_name": server.root_device,
            "OS-EXT-SRV-ATTR:user_data": server.user_data,
        }
    return more


def instance_name(seq: int) -> str:
    """The name of the machine on its host."""
    return f"instance-{seq:08x}"


def host_id(server: Server) -> str:
    """The host as a project may know it: the same for two of its servers on one host."""
    return _host_id(server.project_id, server.host) if server.host else ""


@functools.lru_cache(maxsize=4096)
def _host_id(project_id: str, host: str) -> str:
    return hashlib.sha224((project_id + host).encode()).hexdigest()


def addresses(nics: tuple[Nic, ...]) -> Json:
    """Addresses by network name, floating ones after the fixed ones they lead to."""
    shown: dict[str, list[Json]] = {}
    for nic in nics:
        entries = shown.setdefault(nic.network_name, [])
        for address, _subnet in nic.fixed_ips:
            entries.append(_address(address, "fixed", nic.mac))
            entries += [
                _address(floating, "floating", nic.mac)
                for fixed, floating in nic.floating_ips
                if fixed == address
            ]
    return shown


def ips(nics: tuple[Nic, ...]) -> Json:
    """The short form of .../ips."""
    return {
        network: [{"version": e["version"], "addr": e["addr"]} for e in entries]
        for network, entries in addresses(nics).items()
    }


def _address(address: str, kind: str, mac: str) -> Json:
    return {
        "version": 6 if ":" in address else 4,
        "addr": address,
        "OS-EXT-IPS:type": kind,
        "OS-EXT-IPS-MAC:mac_addr": mac,
    }


def _image(server: Server, base_url: str) -> Json | str:
    if not server.image_id:
        return ""
    href = f"{_root(base_url)}/images/{server.image_id}"
    return {"id": server.image_id, "links": [{"rel": "bookmark", "href": href}]}


def _flavor(flavor: Flavor, base_url: str, v: Version) -> Json:
    if v < (2, 47):
        href = f"{_root(base_url)}/flavors/{flavor.id}"
        return {"id": flavor.id, "links": [{"rel": "bookmark", "href": href}]}
    return {
        "vcpus": flavor.vcpus,
        "ram": flavor.memory_mb,
        "disk": flavor.root_gb,
        "ephemeral": flavor.ephemeral_gb,
        "swap": flavor.swap_mb,
        "original_name": flavor.name,
        "extra_specs": flavor.extra_specs,
    }


def _fault(server: Server, shown: Shown) -> Json:
    fault = server.fault
    assert fault is not None
    view: Json = {
        "code": fault.code,
        "created": clock.iso(fault.created_at),
        "message": fault.message,
    }
    if fault.details and (shown.extended or fault.code != 500):
        view["details"] = fault.details
    return view


def _usage_time(t: float | None) -> str | None:
    return None if t is None else clock.iso(t, micros=True, suffix="")
