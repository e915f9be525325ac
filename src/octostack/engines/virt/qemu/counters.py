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
        nics=tuple(_nic(card) for card in seen.nics),
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


def _nic(card: NicSeen) -> NicDiagnostics:
    """The tap's counters, turned round: what the host receives the guest has sent."""

    def count(name: str) -> int:
        try:
            return int(Path(f"/sys/class/net/{card.tap}/statistics/{name}").read_text())
        except (OSError, ValueError):
            return 0

    return NicDiagnostics(
        mac_address=card.mac,
        rx_octets=count("tx_bytes"),
        rx_packets=count("tx_packets"),
        rx_errors=count("tx_errors"),
        rx_drop=count("tx_dropped"),
        tx_octets=count("rx_bytes"),
        tx_packets=count("rx_packets"),
        tx_errors=count("rx_errors"),
        tx_drop=count("rx_dropped"),
    )


def _thread_ns(pid: int, thread: int) -> int:
    try:
        text = Path(f"/proc/{pid}/task/{thread}/stat").read_text()
    except OSError:
        return 0
    fields = text[text.rindex(")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) * (10**9 // os.sysconf("SC_CLK_TCK"))
