# SPDX-License-Identifier: Apache-2.0
"""A host's reports on virtual time."""

import asyncio
import itertools
from pathlib import Path

from octostack.agents.compute.ledger import Ledger
from octostack.agents.compute.reports import Reports
from octostack.base import clock
from octostack.contracts import compute
from octostack.runtime.tasks import Supervisor
from octostack.testing import simloop, virt

HEARTBEAT_S = 10.0


class Service(virt.Listener):
    """Notes when a heartbeat came."""

    def __init__(self) -> None:
        super().__init__()
        self.beats: list[float] = []

    async def heartbeat(
        self, host: str, machines: list[compute.MachineReport]
    ) -> compute.HostOrders:
        self.beats.append(clock.monotonic())
        return compute.HostOrders(heartbeat_s=HEARTBEAT_S)


def test_a_host_whose_machines_change_all_the_time_is_heard_of(tmp_path: Path) -> None:
    async def main() -> list[float]:
        service = Service()

        async def facts() -> compute.HostFacts:
            return compute.HostFacts(
                host="h", provider_id="p", vcpus=1, memory_mb=1, disk_gb=1, simulated=True
            )

        reports = Reports("h", service, Ledger(tmp_path, durable=False), facts, list)
        tasks = Supervisor()
        reports.start(tasks)
        for number in range(300):
            await asyncio.sleep(HEARTBEAT_S / 10)
            reports.changed(f"machine {number}")
        await tasks.stop()
        return service.beats

    beats = simloop.run(main, seed=1)
    gaps = [after - before for before, after in itertools.pairwise(beats)]
    assert len(beats) > 20
    assert max(gaps) <= HEARTBEAT_S * 1.2
