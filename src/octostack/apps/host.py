# SPDX-License-Identifier: Apache-2.0
"""This machine as a host of the cloud: what it lacks, and clearing away what runs on it."""

import os
import shutil
import socket
from pathlib import Path

from octostack.apps import external, parts

PARTS = frozenset(part.name for part in parts.SERVICES) | {"hosts", "front"}

_PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "ovs-vswitchd": "openvswitch-switch",
    "ovsdb-server": "openvswitch-switch",
    "ip": "iproute2",
}


def name() -> str:
    """What this machine is called in the cloud, unless the configuration says otherwise."""
    return socket.gethostname()


def missing() -> list[str]:
    """What this machine lacks to run real guests, a sentence each."""
    lacks = []
    if os.geteuid() != 0:
        lacks.append("real guests and networks need root")
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    packages = {p for program, p in _PROGRAMS.items() if not shutil.which(program, path=path)}
    if packages:
        lacks.append(f"Debian packages: apt-get install {' '.join(sorted(packages))}")
    if not Path("/dev/net/tun").exists():
        lacks.append("/dev/net/tun is not there: the kernel has no tun/tap")
    return lacks


async def stop(state_dir: Path) -> None:
    """End the guests and switches of a cloud on this machine; their data stays."""
    for module in reversed(parts.host_modules()):
        await module.host_stop(state_dir)


async def remove(state_dir: Path) -> None:
    """`stop`, and take away every device they left in the kernel."""
    for module in reversed(parts.host_modules()):
        await module.host_remove(state_dir)
    external.release(state_dir)
