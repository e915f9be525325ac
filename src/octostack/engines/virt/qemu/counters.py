# SPDX-License-Identifier: Apache-2.0
"""What a running machine has used, from QEMU and from the kernel."""

import os
from pathlib import Path
from typing import Any

from octostack.base import clock
from octostack.contracts.compute_agent import Diagnostics, DiskDiagnostics, NicDiagnostics
from octostack.engines.virt.core.model import NicSeen, Seen
from octostack.engines.virt.hypervisor import HypervisorInfo
from octostack.engines.virt.qemu.monitor import Monitor
from octostack.engines.virt.qemu.process import Process


async def read(monitor: Monitor, process: Process, seen: Seen, info: HypervisorInfo) -> Diagnostics:
    """The counters of one machine."""
    cpus = await monitor.call("query-cpus-fast")
    blocks = await monitor.call("query-blockstats")
    memory = await monitor.call("query-memory-size-summary")
    devices = _devices()
    maximum = memory["base-memory"] >> 20
    return Diagnostics(
        state="running" if seen.process == "running" else "paused",
        driver="octostack",
        hypervisor=info.kind.lower(),
        hypervisor_os="linux",
        uptime_s=int(clock.now() - (seen.started_at or clock.now())),
        config_drive=any(b.get("qdev", "").find("disk-config") >= 0 for b in blocks),
        cpu_times_ns=tuple(_thread_ns(process.pid, cpu["thread-id"]) for cpu in cpus),
        disks=tuple(_disk(b["stats"]) for b in blocks if "disk-" in b.get("qdev", "")),
        nics=tuple(_nic(card, devices) for card in seen.nics),
        memory_max_mb=maximum,
        memory_used_mb=maximum,
    )


def _disk(stats: dict[str, Any]) -> DiskDiagnostics:
    return DiskDiagnostics(
        read_bytes=stats["rd_bytes"],
        read_requests=stats["rd_operations"],
        write_bytes=stats["wr_bytes"],
        write_requests=stats["wr_operations"],
        errors_count=stats["failed_rd_operations"] + stats["failed_wr_operations"],
    )


def _nic(card: NicSeen, devices: dict[str, list[int]]) -> NicDiagnostics:
    """The tap's counters, turned round: what the host receives the guest has sent."""
    count = devices.get(card.tap, [0] * 16)
    return NicDiagnostics(
        mac_address=card.mac,
        rx_octets=count[8],
        rx_packets=count[9],
        rx_errors=count[10],
        rx_drop=count[11],
        tx_octets=count[0],
        tx_packets=count[1],
        tx_errors=count[2],
        tx_drop=count[3],
    )


def _devices() -> dict[str, list[int]]:
    """The counters of every network device: eight received, eight sent (proc(5))."""
    lines = Path("/proc/self/net/dev").read_text().splitlines()[2:]
    pairs = (line.split(":") for line in lines)
    return {name.strip(): [int(n) for n in counts.split()] for name, counts in pairs}


def _thread_ns(pid: int, thread: int) -> int:
    try:
        text = Path(f"/proc/{pid}/task/{thread}/stat").read_text()
    except OSError:
        return 0
    fields = text[text.rindex(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) * (10**9 // os.sysconf("SC_CLK_TCK"))
