# SPDX-License-Identifier: Apache-2.0
"""What daemons tell of the machine that they run on, by the names that Ceph has for it."""

import platform
from pathlib import Path

_RELEASE = Path("/etc/os-release")
_MEMORY = Path("/proc/meminfo")
_CPU = Path("/proc/cpuinfo")


def read() -> dict[str, str]:
    """Names and values; what cannot be read is left out."""
    system = platform.uname()
    memory = _pairs(_MEMORY, ":")
    release = _pairs(_RELEASE, "=")
    found = {
        "arch": system.machine,
        "cpu": _pairs(_CPU, ":").get("model name", ""),
        "distro": release.get("ID", ""),
        "distro_description": release.get("PRETTY_NAME", ""),
        "distro_version": release.get("VERSION_ID", ""),
        "hostname": "localhost",
        "kernel_description": system.version,
        "kernel_version": system.release,
        "mem_swap_kb": memory.get("SwapTotal", "0").removesuffix(" kB"),
        "mem_total_kb": memory.get("MemTotal", "0").removesuffix(" kB"),
        "os": system.system,
    }
    return {name: value for name, value in found.items() if value}


def _pairs(path: Path, mark: str) -> dict[str, str]:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    split = (line.partition(mark) for line in lines if mark in line)
    return {name.strip(): value.strip().strip('"') for name, _, value in split}
