# SPDX-License-Identifier: Apache-2.0
"""Brings one machine about: look, decide, act, until there is nothing left to do.

There is at most one worker task for a machine, and none while it is as it shall be. All acts of a
machine happen in it or under its lock, one at a time. An order that comes in the middle is seen
at the next look.
"""

import asyncio
from collections.abc import Callable

from octostack.agents.compute.ledger import Entry, Ledger
from octostack.base import clock, log
from octostack.base.errors import OctoError, Timeout, Unavailable
from octostack.contracts.compute_agent import MachineState, NicState, Power
from octostack.engines.virt.core.converge import converge, reboot
from octostack.engines.virt.core.model import Act, Seen
from octostack.engines.virt.hypervisor import Hypervisor
from octostack.runtime.tasks import Supervisor

_log = log.get("compute_agent")

ROUNDS_MAX = 8  # of look and act for one order
TRIES_MAX = 3  # for what may pass by itself
_PAUSE_S = 1.0

_BUSY = {
    "Fetch": "image",
    "MakeDisks": "disk",
    "MakeRescueDisk": "disk",
    "DropDisks": "disk",
    "Start": "start",
    "PowerOff": "stop",
    "Quit": "stop",
    "Save": "save",
}


class Worker:
    """The worker of one machine; `report` is told after every change."""

    def __init__(
        self,
        machine_id: str,
        ledger: Ledger,
        hypervisor: Hypervisor,
        tasks: Supervisor,
        report: Callable[[str], None],
    ) -> None:
        self.machine_id = machine_id
        self.lock = asyncio.Lock()
        self.busy = ""
        self._ledger = ledger
        self._hypervisor = hypervisor
        self._tasks = tasks
        self._report = report
        self._kicked = False
        self._task: asyncio.Task[None] | None = None

    def kick(self) -> asyncio.Task[None]:
        """There may be something to do; the task that will have done it."""
        self._kicked = True
        if self._task is None or self._task.done():
            self._task = self._tasks.spawn(f"machine {self.machine_id}", self._run())
        return self._task

    async def state(self, entry: Entry) -> MachineState:
        """The machine as it is at this moment."""
        return self._view(entry, await self._hypervisor.look(self.machine_id))

    async def refresh(self) -> None:
        """Have the ledger's word for the power be what is so."""
        entry = self._ledger.get(self.machine_id)
        power = power_of(await self._hypervisor.look(self.machine_id), entry.settled)
        if power != entry.power:
            await self._ledger.change(self.machine_id, power=power, changed_at=clock.now())

    async def _run(self) -> None:
        while self._kicked:
            self._kicked = False
            async with self.lock:
                entry = self._ledger.find(self.machine_id)
                if entry is not None:
                    await self._bring_about(entry)

    async def _bring_about(self, entry: Entry) -> None:
        """All there is to do for the present order; what cannot be done becomes its fault."""
        if entry.removing:
            await self._hypervisor.remove(self.machine_id)
            await self._ledger.drop(self.machine_id)
            return
        fault: str | None = None
        for attempt in range(1, TRIES_MAX + 1):
            try:
                await self._act(entry)
                fault = None
                break
            except (Timeout, Unavailable) as e:
                fault = e.message
                if attempt == TRIES_MAX or self._kicked:
                    break
                await asyncio.sleep(_PAUSE_S * attempt)
            except OctoError as e:
                fault = e.message
                break
            except OSError as e:  # a full disk, a lost device: the host's fault, not ours
                fault = f"{e.strerror}: {e.filename}" if e.filename else str(e)
                break
        self.busy = ""
        await self._settle(entry, fault)

    async def _act(self, entry: Entry) -> None:
        held = entry.settled >= entry.spec.generation
        seen = await self._hypervisor.look(self.machine_id)
        if entry.reboot is not None:
            for act in reboot(entry.spec, seen, hard=entry.reboot.hard):
                await self._do(entry, act)
            seen = await self._hypervisor.look(self.machine_id)
        for _ in range(ROUNDS_MAX):
            acts = converge(entry.spec, seen, held=held)
            if not acts:
                return
            for act in acts:
                await self._do(entry, act)
            seen = await self._hypervisor.look(self.machine_id)
        raise Unavailable("the machine does not become what it shall be", code="machine.restless")

    async def _do(self, entry: Entry, act: Act) -> None:
        name = type(act).__name__
        self.busy = _BUSY.get(name, "change")
        _log.debug("act", machine=self.machine_id, act=name)
        await self._hypervisor.do(entry.spec, act)

    async def _settle(self, entry: Entry, fault: str | None) -> None:
        """Write down how it went, and tell when anything is new."""
        seen = await self._hypervisor.look(self.machine_id)
        now = self._ledger.find(self.machine_id)
        if now is None:
            return
        settled = max(now.settled, entry.spec.generation)
        changes: dict[str, object] = {"settled": settled, "power": power_of(seen, settled)}
        if now.settled < entry.spec.generation or entry.reboot is not None or fault is not None:
            changes["fault"] = fault
        if entry.reboot is not None and now.reboot == entry.reboot:
            changes |= {"reboot": None, "rebooted": entry.reboot.request_id}
        if all(getattr(now, name) == value for name, value in changes.items()):
            return
        if fault is not None:
            _log.error("machine cannot be as wanted", machine=self.machine_id, reason=fault)
        await self._ledger.change(self.machine_id, **changes, changed_at=clock.now())
        self._report(self.machine_id)

    def _view(self, entry: Entry, seen: Seen) -> MachineState:
        hypervisor = self._hypervisor
        running = seen.process not in ("none", "ended")
        real = running and not hypervisor.info().simulated
        pending = entry.settled < entry.spec.generation or entry.reboot is not None
        return MachineState(
            id=self.machine_id,
            generation=entry.settled,
            power=power_of(seen, entry.settled),
            busy=(self.busy or "waiting") if pending else self.busy,
            fault=entry.fault,
            nics=tuple(NicState(port_id=n.port_id, mac=n.mac, tap=n.tap) for n in seen.nics),
            vnc=hypervisor.console_address(self.machine_id, "vnc") if real else None,
            serial=hypervisor.console_address(self.machine_id, "serial") if real else None,
            started_at=seen.started_at,
            changed_at=entry.changed_at,
            simulated=hypervisor.info().simulated,
        )


def power_of(seen: Seen, settled: int) -> Power:
    """The one word that the compute service knows a machine's power by."""
    match seen.process:
        case "running":
            return "running"
        case "paused":
            return "paused"
        case "panicked":
            return "crashed"
        case "ended":
            return "shutdown"
    if seen.saved:
        return "suspended"
    if seen.down == "crashed":
        return "crashed"
    return "building" if seen.down == "new" and settled == 0 else "shutdown"
