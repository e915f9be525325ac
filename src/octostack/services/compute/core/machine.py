# SPDX-License-Identifier: Apache-2.0
"""From a server's row to the order its host's agent gets."""

from typing import Any

import msgspec

from octostack.contracts.compute_agent import (
    ConfigFile,
    DirectBoot,
    ImageRef,
    MachineSpec,
    Nic,
    Wanted,
)
from octostack.services.compute.core import states
from octostack.services.compute.model import Image, Server

_WANTED: dict[str, Wanted] = {
    "running": "running",
    "shutdown": "stopped",
    "paused": "paused",
    "suspended": "suspended",
}
_RESTING_AS: dict[str, Wanted] = {
    states.STOPPED: "stopped",
    states.PAUSED: "paused",
    states.SUSPENDED: "suspended",
}


def wanted(server: Server) -> Wanted:
    """The power a server's machine shall have: as its order says, else as it rests."""
    order = states.RESTS.get(server.task_state or "")
    if order and order.wants:
        return "stopped" if states.rests_in(server) == states.STOPPED else _WANTED[order.wants]
    return _RESTING_AS.get(server.vm_state, "running")


def handed_over(boot: dict[str, Any]) -> dict[str, Any]:
    """What is kept once the guest ran with it: no longer the password it was given."""
    return {k: v for k, v in boot.items() if k != "admin_pass"}


def spec(
    server: Server, config_drive: tuple[ConfigFile, ...] = (), stop_timeout_s: float = 60.0
) -> MachineSpec:
    """What the machine of `server` shall be."""
    boot = server.boot
    ephemeral, swap = _blank_disks(server)
    rescue = boot.get("rescue_image")
    return MachineSpec(
        id=server.id,
        name=f"instance-{server.seq:08x}",
        generation=server.generation,
        vcpus=server.flavor.vcpus,
        memory_mb=server.flavor.memory_mb,
        root_gb=server.flavor.root_gb,
        ephemeral_gb=ephemeral,
        swap_mb=swap,
        image=image_ref(boot["image"]),
        build=int(boot.get("build", 1)),
        boot=_direct(boot),
        rescue=image_ref(rescue) if rescue else None,
        config_drive=config_drive,
        nics=tuple(
            Nic(
                port_id=n.port_id,
                mac=n.mac,
                mtu=n.mtu,
                network_id=n.network_id,
                tag=n.tag or None,
            )
            for n in server.nics
        ),
        wanted=wanted(server),
        stop_timeout_s=stop_timeout_s,
        hostname=server.hostname,
        project_id=server.project_id,
        user_id=server.user_id,
    )


def image_ref(facts: dict[str, Any]) -> ImageRef:
    """An image as an agent fetches it."""
    image = msgspec.convert(facts, Image)
    return ImageRef(
        id=image.id,
        sha512=image.sha512,
        size_bytes=image.size_bytes,
        disk_format=image.disk_format,
        properties={
            k: v for k, v in image.properties.items() if k.startswith(("hw_", "os_", "img_"))
        },
    )


def _direct(boot: dict[str, Any]) -> DirectBoot | None:
    if not boot.get("kernel"):
        return None
    return DirectBoot(
        kernel=image_ref(boot["kernel"]),
        ramdisk=image_ref(boot["ramdisk"]) if boot.get("ramdisk") else None,
        command_line=str((boot["image"].get("properties") or {}).get("os_command_line", "")),
    )


def _blank_disks(server: Server) -> tuple[int, int]:
    """Ephemeral GiB and swap MiB: as mapped at create, else as the flavor gives."""
    blank = [d for d in server.boot.get("disks", ()) if d["source"] == "blank"]
    swap = sum(d["size_gb"] * 1024 for d in blank if d["guest_format"] == "swap")
    ephemeral = sum(d["size_gb"] for d in blank if d["guest_format"] != "swap")
    f = server.flavor
    return ephemeral or f.ephemeral_gb, swap or f.swap_mb
