# SPDX-License-Identifier: Apache-2.0
"""The agent of one host, as the compute service sees it."""

import asyncio
import re

from octostack.agents.compute.consoles import Consoles
from octostack.agents.compute.facts import Facts
from octostack.agents.compute.ledger import Entry, Ledger, Reboot
from octostack.agents.compute.reports import Reports
from octostack.agents.compute.snapshots import Snapshots
from octostack.agents.compute.worker import Worker, power_of
from octostack.base import log
from octostack.base.errors import Conflict, Invalid
from octostack.contracts.compute import Compute, HostFacts
from octostack.contracts.compute_agent import (
    ComputeAgent,
    ConsoleAddress,
    ConsoleKind,
    Diagnostics,
    MachineSpec,
    MachineState,
    SnapshotProgress,
)
from octostack.contracts.image import Images
from octostack.engines.virt.hypervisor import Hypervisor
from octostack.runtime.tasks import Supervisor, gather_bounded

_log = log.get("compute_agent")

WAIT_S = 20.0  # how long a call waits for the work it ordered
CONSOLE_BYTES_MAX = 100 << 10  # as much as Nova gives
_RECOVER_AT_ONCE = 4
_ID = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z-]{0,63}")


class Agent(ComputeAgent):
    """Ledger, workers and reports around a hypervisor."""

    def __init__(  # noqa: PLR0913 - the parts it is composed of
        self,
        host: str,
        *,
        ledger: Ledger,
        hypervisor: Hypervisor,
        facts: Facts,
        compute: Compute,
        images: Images,
        tasks: Supervisor,
    ) -> None:
        self.host = host
        self.ledger = ledger
        self._hypervisor = hypervisor
        self._facts = facts
        self._tasks = tasks
        self._workers: dict[str, Worker] = {}
        self._reports = Reports(host, compute, ledger, self.facts, self._strays)
        self._snapshots = Snapshots(hypervisor, images, tasks)
        self._consoles = Consoles(tasks)

    async def start(self) -> None:
        """Read the ledger, find what runs, and go on with everything that is owed."""
        self.ledger.load()
        self._hypervisor.on_change = self._on_change
        await self._hypervisor.start()
        if strays := self._strays():
            _log.error("machines that nobody ordered", host=self.host, machines=strays)
        for entry in self.ledger.list():
            # What is told first must be what is so now, not what was so before.
            await self._worker(entry.spec.id).refresh()
        self._reports.start(self._tasks)
        self._tasks.start(f"recover {self.host}", self.reconcile)

    async def stop(self) -> None:
        """Let go of the machines; they run on."""
        await self._hypervisor.stop()

    async def reconcile(self) -> None:
        """Every machine looked at anew; a few at a time, as each may be a guest that boots."""

        async def one(entry: Entry) -> None:
            await asyncio.wait({self._worker(entry.spec.id).kick()})

        await gather_bounded(one, self.ledger.list(), limit=_RECOVER_AT_ONCE)

    # ---- the contract ----------------------------------------------------------------------

    async def ensure_machine(self, spec: MachineSpec) -> MachineState:
        if not _ID.fullmatch(spec.id):
            raise Invalid(f"{spec.id!r} cannot name a machine", field="id")
        entry = self.ledger.find(spec.id)
        if entry is not None and entry.removing:
            raise Conflict("the machine is being removed", code="agent.removing")
        if entry is not None and spec.generation < entry.spec.generation:
            raise Conflict(
                f"generation {spec.generation} is older than {entry.spec.generation}",
                code="agent.stale_generation",
            )
        if entry is None:
            await self.ledger.put(Entry(spec=spec))
        elif spec != entry.spec:
            await self.ledger.change(spec.id, spec=spec)
        return await self._worked(spec.id)

    async def remove_machine(self, machine_id: str) -> None:
        entry = self.ledger.find(machine_id)
        if entry is None:
            if machine_id in self._strays():
                await self._hypervisor.remove(machine_id)
            return
        await self.ledger.change(machine_id, removing=True)
        # Not bounded by WAIT_S: when this returns the machine is gone.
        task = self._worker(machine_id).kick()
        await asyncio.wait({task})
        if self.ledger.find(machine_id) is None:
            self._workers.pop(machine_id, None)
        else:
            task.result()

    async def look(self, machine_id: str) -> MachineState:
        return await self._worker(machine_id).state(self.ledger.get(machine_id))

    async def list_machines(self) -> list[MachineState]:
        known = [await self.look(entry.spec.id) for entry in self.ledger.list()]
        strays = []
        for machine_id in self._strays():
            power = power_of(await self._hypervisor.look(machine_id), settled=1)
            strays.append(MachineState(id=machine_id, generation=0, power=power))
        return known + strays

    async def reboot(self, machine_id: str, hard: bool, request_id: str) -> MachineState:
        entry = self.ledger.get(machine_id)
        if request_id not in (entry.rebooted, entry.reboot and entry.reboot.request_id):
            await self.ledger.change(machine_id, reboot=Reboot(request_id, hard))
        return await self._worked(machine_id)

    async def console_output(self, machine_id: str, lines: int | None) -> str:
        self.ledger.get(machine_id)
        raw = await self._hypervisor.console_output(machine_id, CONSOLE_BYTES_MAX)
        text = raw.decode(errors="replace")
        if lines is None or lines < 0:
            return text
        return "".join(text.splitlines(keepends=True)[-lines:]) if lines else ""

    async def console_access(self, machine_id: str, kind: ConsoleKind) -> ConsoleAddress:
        self.ledger.get(machine_id)
        seen = await self._hypervisor.look(machine_id)
        if seen.process == "none":
            raise Conflict("machine does not run", code="machine.not_running")
        address = self._hypervisor.console_address(machine_id, kind)
        return ConsoleAddress(kind=kind, host=self.host, address=address)

    async def open_console(self, machine_id: str, kind: ConsoleKind) -> str:
        access = await self.console_access(machine_id, kind)
        return await self._consoles.open(access.address)

    async def read_console(self, session: str, number: int, wait_s: float) -> bytes:
        return await self._consoles.read(session, number, wait_s)

    async def write_console(self, session: str, number: int, data: bytes) -> None:
        await self._consoles.write(session, number, data)

    async def close_console(self, session: str) -> None:
        self._consoles.close(session)

    async def snapshot(
        self, machine_id: str, image_id: str, disk_format: str = "qcow2"
    ) -> SnapshotProgress:
        entry = self.ledger.get(machine_id)
        if disk_format != "qcow2":
            raise Invalid(f"snapshots are qcow2, not {disk_format}", field="disk_format")
        return self._snapshots.ensure(entry.spec, image_id, self._worker(machine_id).lock)

    async def drop_snapshot(self, image_id: str) -> None:
        await self._snapshots.drop(image_id)

    async def set_password(self, machine_id: str, user: str, password: str) -> None:
        self.ledger.get(machine_id)
        await self._hypervisor.set_password(machine_id, user, password)

    async def diagnostics(self, machine_id: str) -> Diagnostics:
        self.ledger.get(machine_id)
        return await self._hypervisor.diagnostics(machine_id)

    async def facts(self) -> HostFacts:
        return self._facts.view(self.ledger.host.provider_id, self._hypervisor.info())

    def _strays(self) -> list[str]:
        """Machines on the host that the ledger knows nothing of; for `doctor` to remove."""
        return [m for m in self._hypervisor.list_present() if self.ledger.find(m) is None]

    # ---- inside ----------------------------------------------------------------------------

    async def _worked(self, machine_id: str) -> MachineState:
        """The state once the present order is done, or after WAIT_S."""
        worker = self._worker(machine_id)
        await asyncio.wait({worker.kick()}, timeout=WAIT_S)
        state = await worker.state(self.ledger.get(machine_id))
        if not state.busy:
            self._reports.told(machine_id)
        return state

    def _worker(self, machine_id: str) -> Worker:
        worker = self._workers.get(machine_id)
        if worker is None:
            worker = Worker(
                machine_id, self.ledger, self._hypervisor, self._tasks, self._reports.changed
            )
            self._workers[machine_id] = worker
        return worker

    def _on_change(self, machine_id: str) -> None:
        if self.ledger.find(machine_id) is not None:
            self._worker(machine_id).kick()
