# SPDX-License-Identifier: Apache-2.0
"""One scheduling decision over ten thousand hosts, with its claim; and a race for the last places.

In one process without HTTP: what is timed is Compute's scheduler, Placement's search of its world
in memory and its claim in SQLite, with the calls between them as bytes.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import Report, Row, timed
from octostack.base import ids, log
from octostack.base.errors import Conflict
from octostack.contracts.compute import Compute, HostFacts
from octostack.services.compute.loops import scheduler
from octostack.services.compute.model import Flavor, Server
from octostack.testing.cloud import running

PARTS = ("identity", "placement", "compute")
DECISIONS, PLACES, RIVALS = 300, 10, 100
HUGE_MB = 1_000_000  # only one such server fits a host of the race


async def run(report: Report) -> None:
    """Register hosts, as their agents do at start; then decide."""
    log.configure(level="error")
    for hosts in (100, 1_000, 10_000):
        with tempfile.TemporaryDirectory(prefix="octo-bench-") as directory:
            async with running(Path(directory), PARTS) as cloud:
                await _measure(report, cloud, hosts)


async def _measure(report: Report, cloud: Any, hosts: int) -> None:
    app = next(s for s in cloud.cloud.services if s.name == "compute").apis[0].app
    register = cloud.runtime.bus.stub(Compute).register
    registrations: list[float] = []
    for number in range(hosts):
        with timed(registrations):
            await register(_host(number))
    small = Flavor(id="s", name="s", vcpus=1, memory_mb=64, root_gb=1)
    decisions: list[float] = []
    for _ in range(DECISIONS):
        with timed(decisions):
            await scheduler.place(app, _server(small))
    target = "p99 < 20 ms" if hosts == 10_000 else ""
    report.add(Row(f"scheduling over {hosts:,} hosts, with claim", "ms", decisions, target))
    if hosts == 10_000:
        report.add(Row("registration of a host", "ms", registrations))
        report.add(await _race(app, register))


async def _race(app: Any, register: Any) -> Row:
    """A hundred at once for ten places: the row holds how many got one, which must be ten."""
    for number in range(PLACES):
        await register(_host(number, prefix="rare", memory_mb=HUGE_MB * 3 // 2))
    whole = Flavor(id="w", name="w", vcpus=1, memory_mb=HUGE_MB, root_gb=1)
    winners: list[float] = []
    for _ in range(3):
        servers = [_server(whole) for _ in range(RIVALS)]
        outcomes = await asyncio.gather(*(_try(app, server) for server in servers))
        winners.append(float(sum(outcomes)))
        for server in servers:
            await app.placement.release(server.id)
    return Row(f"{RIVALS} at once for {PLACES} places: winners", "", winners, f"{PLACES}")


async def _try(app: Any, server: Server) -> bool:
    try:
        await scheduler.place(app, server)
    except Conflict:
        return False
    return True


def _host(number: int, prefix: str = "host", memory_mb: int = 65536) -> HostFacts:
    name = f"{prefix}{number}"
    return HostFacts(
        host=name, provider_id=ids.new(), vcpus=16, memory_mb=memory_mb, disk_gb=500, simulated=True
    )


def _server(flavor: Flavor) -> Server:
    return Server(id=ids.new(), project_id="p" * 32, user_id="u" * 32, name="b", flavor=flavor)
