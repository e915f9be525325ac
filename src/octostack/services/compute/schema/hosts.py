# SPDX-License-Identifier: Apache-2.0
"""Services, hypervisors and zones in and out."""

import json
from typing import Any

from octostack.base import clock
from octostack.runtime.http import versions
from octostack.services.compute.model import Host
from octostack.services.compute.schema import terms
from octostack.services.compute.schema.terms import Json

_WHO: Json = {
    "host": terms.HOSTNAME,
    "binary": {"type": "string", "minLength": 1, "maxLength": 255},
}
_REASON: Json = {"type": "string", "minLength": 1, "maxLength": 255, "format": "printable"}
_OLD: Json = terms.whole(_WHO | {"disabled_reason": _REASON}, ["host", "binary"])
_FORCED: Json = terms.whole(_WHO | {"forced_down": terms.BOOLEAN}, ["host", "binary"])
OLD_UPDATES = {
    "enable": terms.compiled(_OLD),
    "disable": terms.compiled(_OLD),
    "disable-log-reason": terms.compiled(
        {**_OLD, "required": ["host", "binary", "disabled_reason"]}
    ),
    "force-down": terms.compiled({**_FORCED, "required": ["host", "binary"]}),
}
UPDATE_OLD_HOST = terms.compiled(
    {
        **terms.whole({"status": {"type": "string"}, "maintenance_mode": {"type": "string"}}),
        "minProperties": 1,
    }
)
UPDATE = versions(
    (
        "2.53",
        terms.compiled(
            {
                **terms.whole(
                    {
                        "status": {"type": "string", "enum": ["enabled", "disabled"]},
                        "disabled_reason": _REASON,
                        "forced_down": terms.BOOLEAN,
                    }
                ),
                "minProperties": 1,
            }
        ),
    ),
    ("2.1", None),
)


def service(host: Host, zone: str, up: bool, version: tuple[int, int]) -> Json:
    """A host's agent, as a service."""
    view: Json = {
        "id": host.uuid if version >= (2, 53) else host.id,
        "binary": host.binary,
        "host": host.host,
        "zone": zone,
        "status": "disabled" if host.disabled else "enabled",
        "state": "up" if up else "down",
        "updated_at": clock.iso(host.updated_at or host.seen_at, micros=True, suffix=""),
        "disabled_reason": host.disabled_reason,
    }
    if version >= (2, 11):
        view["forced_down"] = host.forced_down
    return view


def own_service(binary: str, number: int, now: float, version: tuple[int, int]) -> Json:
    """A part of Compute itself that answers as long as this API does."""
    view: Json = {
        "id": f"00000000-0000-4000-8000-{number:012}" if version >= (2, 53) else 1000000 + number,
        "binary": binary,
        "host": "control",
        "zone": "internal",
        "status": "enabled",
        "state": "up",
        "updated_at": clock.iso(now, micros=True, suffix=""),
        "disabled_reason": None,
    }
    if version >= (2, 11):
        view["forced_down"] = False
    return view


def hypervisor_id(host: Host, version: tuple[int, int]) -> int | str:
    """A number up to 2.52, a UUID after."""
    return host.provider_id if version >= (2, 53) else host.id


def hypervisor(
    host: Host, up: bool, version: tuple[int, int], servers: list[tuple[str, str]] | None = None
) -> Json:
    """A line of the short list."""
    view: Json = {
        "id": hypervisor_id(host, version),
        "hypervisor_hostname": host.hypervisor_hostname,
        "state": "up" if up else "down",
        "status": "disabled" if host.disabled else "enabled",
    }
    if servers is not None:
        view["servers"] = [{"name": name, "uuid": server_id} for server_id, name in servers]
    return view


def hypervisor_detail(host: Host, used: dict[str, int], up: bool, version: tuple[int, int]) -> Json:
    """All of a hypervisor; before 2.88 with what is used."""
    view = hypervisor(host, up, version) | {
        "hypervisor_type": host.hypervisor_type,
        "hypervisor_version": host.hypervisor_version,
        "host_ip": host.host_ip,
        "service": {
            "host": host.host,
            "id": host.uuid if version >= (2, 53) else host.id,
            "disabled_reason": host.disabled_reason,
        },
    }
    if version < (2, 88):
        view |= usage(host, used) | {"cpu_info": _cpu_info(host, version)}
    if version >= (2, 88):
        view["uptime"] = uptime(host)
    return view


def usage(host: Host, used: dict[str, int]) -> Json:
    """Totals and what is used of them, as they stood before 2.88."""
    return {
        "vcpus": host.vcpus,
        "vcpus_used": used["vcpus"],
        "memory_mb": host.memory_mb,
        "memory_mb_used": used["memory_mb"],
        "free_ram_mb": host.memory_mb - used["memory_mb"],
        "local_gb": host.disk_gb,
        "local_gb_used": used["disk_gb"],
        "free_disk_gb": host.disk_gb - used["disk_gb"],
        "disk_available_least": host.disk_gb - used["disk_gb"],
        "running_vms": used["count"],
        "current_workload": 0,
    }


def uptime(host: Host) -> str | None:
    """As the program of that name says it, with what we know."""
    if not host.booted_at:
        return None
    seconds = max(0, int(clock.now() - host.booted_at))
    days, rest = divmod(seconds, 86400)
    clock_text = clock.iso(clock.now())[11:19]
    return f" {clock_text} up {days} days, {rest // 3600:2}:{rest % 3600 // 60:02},  0 users"


def _cpu_info(host: Host, version: tuple[int, int]) -> Any:
    sockets, cores, threads = host.facts.get("cpu_topology", (1, 1, 1))
    info = {
        "arch": host.facts.get("architecture", ""),
        "model": host.facts.get("cpu_model", ""),
        "vendor": "",
        "topology": {"sockets": sockets, "cores": cores, "threads": threads},
        "features": host.facts.get("cpu_features", []),
    }
    return info if version >= (2, 28) else json.dumps(info)
