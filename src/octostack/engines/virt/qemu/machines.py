# SPDX-License-Identifier: Apache-2.0
"""The hypervisor face over QEMU: looks, and does one act at a time."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from octostack.base import clock, log
from octostack.base.errors import Conflict, OctoError, Timeout, Unavailable
from octostack.contracts.compute_agent import (
    ConsoleKind,
    Diagnostics,
    ImageRef,
    MachineSpec,
    Nic,
)
from octostack.engines.virt.core import cmdline, hardware, model, slots
from octostack.engines.virt.core.model import Act, NicSeen, Seen
from octostack.engines.virt.hypervisor import Hypervisor, HypervisorInfo
from octostack.engines.virt.qemu import (
    cgroups,
    copies,
    counters,
    files,
    guest_agent,
    memory,
    process,
    sight,
    taps,
)
from octostack.engines.virt.qemu.disks import Disks
from octostack.engines.virt.qemu.files import Record
from octostack.engines.virt.qemu.images import Images
from octostack.engines.virt.qemu.layout import Layout, root_file
from octostack.engines.virt.qemu.monitor import Monitor
from octostack.engines.virt.qemu.settings import Settings
from octostack.runtime.tasks import Supervisor
from octostack.wire import qmp

_log = log.get("virt")

START_TIMEOUT_S = 30.0
END_TIMEOUT_S = 10.0
HUNG_AFTER_S = 2.0
UNPLUG_TIMEOUT_S = 20.0
BUTTON_PAUSE_S = 5.0
_CONNECT_PAUSE_S = 0.01
_CONSOLE_BYTES_MAX = 4 << 20

# What the outside must hear of without having asked.
_NEWS = frozenset({"SHUTDOWN", "GUEST_PANICKED", "RESET", "BLOCK_IO_ERROR"})

Plug = Callable[[Nic], Awaitable[str]]


class _Machine:
    """A connection to a running QEMU, and who waits for what of it."""

    def __init__(self, monitor: Monitor, proc: process.Process) -> None:
        self.monitor = monitor
        self.process = proc
        self.ended = asyncio.Event()
        self.news: dict[str, asyncio.Event] = {}

    def heard(self, event: str) -> asyncio.Event:
        """Set when QEMU tells of `event`."""
        return self.news.setdefault(event, asyncio.Event())


class QemuMachines(Hypervisor):
    """See the module's head; `plug` gives the tap of a card."""

    def __init__(
        self, layout: Layout, settings: Settings, tasks: Supervisor, images: Images, plug: Plug
    ) -> None:
        self.on_change: Callable[[str], None] = lambda _id: None
        self._layout = layout
        self._settings = settings
        self._tasks = tasks
        self._images = images
        self._plug = plug
        self._machines: dict[str, _Machine] = {}
        self._copies = copies.Copies(layout)
        self._groups = cgroups.Groups()
        self._epoch = files.host_epoch()

    # ---- the face --------------------------------------------------------------------------

    async def start(self) -> None:
        self._layout.make()
        self._copies.clear()
        for machine_id in self._layout.list_machines():
            await self._connect(machine_id)

    def list_present(self) -> list[str]:
        return self._layout.list_machines()

    async def stop(self) -> None:
        for machine in list(self._machines.values()):
            await machine.monitor.close()
        self._machines.clear()

    async def look(self, machine_id: str) -> Seen:
        directory = self._layout.machine(machine_id)
        record = files.read_record(directory)
        build = sight.build_of(directory)
        saved = memory.is_saved(directory)
        machine = self._machines.get(machine_id) or await self._connect(machine_id)
        if machine is None:
            hung = record.down is None and await self._is_hung(directory)
            if hung:
                return Seen(process="panicked", build=build, started_at=record.started_at)
            return Seen(down=self._why_down(record), build=build, saved=saved)
        status = await machine.monitor.call("query-status")
        return Seen(
            process=sight.STATES.get(status["status"], "paused"),
            build=build,
            saved=saved,
            rescued=record.rescued,
            nics=await sight.cards(machine.monitor, record),
            started_at=record.started_at,
        )

    async def do(self, spec: MachineSpec, act: Act) -> None:
        disks = Disks(self._layout, spec, self._settings.user_of(self._layout, spec.id))
        directory = self._layout.machine(spec.id)
        match act:
            case model.Fetch(image):
                await self.ensure_image(image)
            case model.MakeDisks():
                await asyncio.to_thread(disks.make)
            case model.MakeRescueDisk():
                await asyncio.to_thread(disks.make_rescue)
            case model.DropDisks():
                await asyncio.to_thread(disks.drop)
            case model.DropSaved():
                memory.drop(directory)
            case model.Start():
                await self._start(spec, disks, act)
            case _:
                await self._change(spec, act)

    async def remove(self, machine_id: str) -> None:
        directory = self._layout.machine(machine_id)
        machine = self._machines.get(machine_id) or await self._connect(machine_id)
        if machine is not None:
            await self._end(machine_id, machine, "ordered")
        # One that does not answer is found by where it works.
        stray = process.list_in(self._layout.machines).get(directory)
        if stray is not None:
            process.kill(stray)
        await self._groups.release(machine_id)
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        files.sync_directory(self._layout.machines)

    async def ensure_image(self, image: ImageRef) -> None:
        await self._images.ensure(image)

    async def console_output(self, machine_id: str, bytes_max: int) -> bytes:
        return files.read_tail(self._layout.machine(machine_id) / cmdline.CONSOLE_LOG, bytes_max)

    def console_address(self, machine_id: str, kind: ConsoleKind) -> str:
        name = cmdline.VNC_SOCKET if kind == "vnc" else cmdline.SERIAL_SOCKET
        return f"unix:{self._layout.machine(machine_id) / name}"

    async def copy_root(self, spec: MachineSpec, name: str) -> str:
        machine = self._machines.get(spec.id)
        user = self._settings.user_of(self._layout, spec.id)
        source = self._layout.machine(spec.id) / root_file(spec)
        monitor = None if machine is None else machine.monitor
        return str(await self._copies.make(monitor, source, name, user))

    async def drop_copy(self, name: str) -> None:
        self._copies.drop(name)

    async def set_password(self, machine_id: str, user: str, password: str) -> None:
        self._running(machine_id)
        socket_path = self._layout.machine(machine_id) / cmdline.GUEST_AGENT_SOCKET
        await guest_agent.set_password(socket_path, user, password)

    async def diagnostics(self, machine_id: str) -> Diagnostics:
        machine = self._running(machine_id)
        seen = await self.look(machine_id)
        return await counters.read(machine.monitor, machine.process, seen, self.info())

    def info(self) -> HypervisorInfo:
        return self._settings.info

    async def tidy(self) -> None:
        """What has to be done now and then: keep console logs from filling the disk."""
        process.bury()
        for machine_id in self._layout.list_machines():
            path = self._layout.machine(machine_id) / cmdline.CONSOLE_LOG
            kept = files.read_tail(path, _CONSOLE_BYTES_MAX + 1)
            if len(kept) > _CONSOLE_BYTES_MAX:
                files.replace_content(path, kept[-_CONSOLE_BYTES_MAX // 4 :])

    # ---- acts ------------------------------------------------------------------------------

    async def _change(self, spec: MachineSpec, act: Act) -> None:
        """Acts on a process that runs; without one they have nothing to do."""
        machine = self._machines.get(spec.id)
        if machine is None:
            if isinstance(act, model.Quit | model.PowerOff):
                await self._kill_hung(self._layout.machine(spec.id))
            return
        match act:
            case model.Quit():
                status = await machine.monitor.call("query-status")
                ended = status["status"] == "shutdown"
                await self._end(spec.id, machine, "guest" if ended else "ordered")
            case model.PowerOff(timeout_s):
                await self._power_off(spec.id, machine, timeout_s)
            case model.Pause():
                await machine.monitor.call("stop")
            case model.Resume():
                await machine.monitor.call("cont")
            case model.Save():
                await memory.save(machine.monitor, self._layout.machine(spec.id))
                await self._end(spec.id, machine, "ordered")
            case model.PlugNic(nic, slot):
                await self._plug_nic(spec, machine, nic, slot)
            case model.UnplugNic(nic_seen):
                await self._unplug_nic(spec.id, machine, nic_seen)

    async def _start(self, spec: MachineSpec, disks: Disks, act: model.Start) -> None:
        directory = self._layout.machine(spec.id)
        before = files.read_record(directory)
        # Saved memory goes on only in the very machine that it was taken from.
        nics = before.nics if act.saved else await self._seat(spec)
        record = Record(
            down=None,
            epoch=self._epoch,
            started_at=clock.now(),
            rescued=spec.rescue is not None,
            nics=nics,
        )
        kernel, ramdisk = disks.kernel()
        parts = hardware.choose(_booted(spec).properties)
        files.write_record(directory, record)
        mtus = {nic.port_id: nic.mtu for nic in spec.nics}
        with taps.opened([nic.tap for nic in nics]) as fds:
            cards = tuple(
                cmdline.Card(
                    port_id=n.port_id,
                    mac=n.mac,
                    mtu=mtus.get(n.port_id, 1500),
                    slot=n.slot,
                    fd=fd,
                    model=parts.card,
                )
                for n, fd in zip(nics, fds, strict=True)
            )
            start = cmdline.Start(
                spec=spec,
                binary=self._settings.binary,
                accelerator=self._settings.accelerator,
                disks=disks.plan(),
                cards=cards,
                kernel=kernel,
                ramdisk=ramdisk,
                incoming=act.saved,
                disk_bus=parts.disk_bus,
            )
            try:
                machine = await self._launch(spec, cmdline.build(start), tuple(fds))
            except OctoError:
                files.write_record(directory, msgspec.structs.replace(record, down="ordered"))
                await self._groups.release(spec.id)
                raise
        try:
            if act.saved:
                await memory.restore(machine.monitor, directory)
            if not act.paused:
                await machine.monitor.call("cont")
        except OctoError:
            await self._end(spec.id, machine, "ordered")
            raise
        memory.drop(directory)

    async def _launch(self, spec: MachineSpec, argv: list[str], fds: tuple[int, ...]) -> _Machine:
        machine_id = spec.id
        directory = self._layout.machine(machine_id)
        for name in (cmdline.QMP_SOCKET, cmdline.VNC_SOCKET, cmdline.SERIAL_SOCKET):
            (directory / name).unlink(missing_ok=True)
        user = self._settings.user_of(self._layout, machine_id)
        proc = await asyncio.to_thread(process.launch, argv, directory, fds, user)
        self._groups.confine(machine_id, proc.pid, spec.memory_mb)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while (machine := await self._connect(machine_id)) is None:
                    if not proc.alive:
                        said = process.last_words(directory)
                        raise Unavailable(f"QEMU did not start: {said}", code="qemu.start")
                    # It is another program: nothing tells when its socket is there.
                    await asyncio.sleep(_CONNECT_PAUSE_S)
        except TimeoutError as e:
            process.kill(proc)
            raise Timeout("QEMU did not come up in time", code="qemu.start") from e
        except BaseException:
            process.kill(proc)
            raise
        return machine

    async def _seat(self, spec: MachineSpec) -> tuple[NicSeen, ...]:
        """A slot and a tap for each card."""
        seated = []
        for slot, nic in zip(slots.free(()), spec.nics, strict=False):
            tap = await self._plug(nic)
            seated.append(NicSeen(port_id=nic.port_id, mac=nic.mac, tap=tap, slot=slot))
        return tuple(seated)

    async def _plug_nic(self, spec: MachineSpec, machine: _Machine, nic: Nic, slot: int) -> None:
        parts = hardware.choose(_booted(spec).properties)
        tap = await self._plug(nic)
        with taps.opened([tap]) as fds:
            await machine.monitor.call("getfd", {"fdname": f"tap-{slot}"}, fds=tuple(fds))
        netdev = {"type": "tap", "id": cmdline.netdev_id(nic.port_id), "fd": f"tap-{slot}"}
        await machine.monitor.call("netdev_add", netdev)
        card = cmdline.Card(
            port_id=nic.port_id, mac=nic.mac, mtu=nic.mtu, slot=slot, fd=-1, model=parts.card
        )
        seen = NicSeen(port_id=nic.port_id, mac=nic.mac, tap=tap, slot=slot)
        self._remember_nics(spec.id, lambda nics: (*nics, seen))
        try:
            await machine.monitor.call("device_add", cmdline.card_device(card))
        except OctoError:
            await machine.monitor.call("netdev_del", {"id": cmdline.netdev_id(nic.port_id)})
            raise

    async def _unplug_nic(self, machine_id: str, machine: _Machine, nic: NicSeen) -> None:
        gone = machine.heard(f"DEVICE_DELETED {cmdline.card_id(nic.port_id)}")
        gone.clear()
        await machine.monitor.call("device_del", {"id": cmdline.card_id(nic.port_id)})
        try:
            async with asyncio.timeout(UNPLUG_TIMEOUT_S):
                await gone.wait()
        except TimeoutError as e:
            raise Timeout("the guest does not let go of the card", code="qemu.unplug") from e
        await machine.monitor.call("netdev_del", {"id": cmdline.netdev_id(nic.port_id)})
        self._remember_nics(
            machine_id, lambda nics: tuple(n for n in nics if n.port_id != nic.port_id)
        )

    def _remember_nics(
        self, machine_id: str, change: Callable[[tuple[NicSeen, ...]], tuple[NicSeen, ...]]
    ) -> None:
        directory = self._layout.machine(machine_id)
        record = files.read_record(directory)
        changed = msgspec.structs.replace(record, nics=change(record.nics))
        files.write_record(directory, changed)

    async def _power_off(self, machine_id: str, machine: _Machine, timeout_s: float) -> None:
        off = machine.heard("SHUTDOWN")
        off.clear()
        status = await machine.monitor.call("query-status")
        if status["status"] == "running" and timeout_s > 0:
            deadline = clock.monotonic() + timeout_s
            while not off.is_set() and (left := deadline - clock.monotonic()) > 0:
                # Pressed again and again: a guest that still boots does not hear it.
                await machine.monitor.call("system_powerdown")
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, BUTTON_PAUSE_S)):
                        await off.wait()
            if not off.is_set():
                _log.info("guest ignored the power button", machine=machine_id)
        await self._end(machine_id, machine, "ordered")

    async def _end(self, machine_id: str, machine: _Machine, down: model.Down) -> None:
        """End the process, having written down why."""
        directory = self._layout.machine(machine_id)
        record = files.read_record(directory)
        files.write_record(directory, msgspec.structs.replace(record, down=down))
        try:
            await machine.monitor.call("quit")
        except OctoError:
            process.kill(machine.process)
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await machine.ended.wait()
        except TimeoutError:
            process.kill(machine.process)
        self._machines.pop(machine_id, None)
        await machine.monitor.close()
        await _until_dead(machine.process)
        process.bury()
        await self._groups.release(machine_id)

    async def _is_hung(self, directory: Path) -> bool:
        """Whether a QEMU works there that does not speak to us, and is not just dying."""
        stray = process.list_in(self._layout.machines).get(directory)
        if stray is not None:
            await _until_dead(stray, HUNG_AFTER_S)
        return stray is not None and stray.alive

    async def _kill_hung(self, directory: Path) -> None:
        stray = process.list_in(self._layout.machines).get(directory)
        if stray is not None:
            record = files.read_record(directory)
            files.write_record(directory, msgspec.structs.replace(record, down="ordered"))
            process.kill(stray)
            await _until_dead(stray)

    # ---- connections -----------------------------------------------------------------------

    async def _connect(self, machine_id: str) -> _Machine | None:
        """The running QEMU of a machine, recognised by more than its name; None without one."""
        path = self._layout.machine(machine_id) / cmdline.QMP_SOCKET
        holder: list[_Machine] = []

        def on_event(event: qmp.Event) -> None:
            if holder:
                self._hear(machine_id, holder[0], event)

        def on_close() -> None:
            if holder:
                self._lost(machine_id, holder[0])

        try:
            monitor = await Monitor.connect(path, self._tasks, on_event, on_close)
        except OctoError:
            return None
        proc = process.find(monitor.pid)
        uuid = (await monitor.call("query-uuid"))["UUID"]
        if proc is None or uuid != machine_id:
            _log.error("a stranger listens on the monitor", machine=machine_id, uuid=uuid)
            await monitor.close()
            return None
        machine = _Machine(monitor, proc)
        holder.append(machine)
        self._machines[machine_id] = machine
        return machine

    def _hear(self, machine_id: str, machine: _Machine, event: qmp.Event) -> None:
        name = event.name
        machine.heard(name).set()
        if name == "DEVICE_DELETED" and "device" in event.data:
            machine.heard(f"{name} {event.data['device']}").set()
        ours = name == "SHUTDOWN" and not event.data.get("guest")
        if name in _NEWS and not ours:
            _log.info("machine event", machine=machine_id, event_name=name)
            self.on_change(machine_id)

    def _lost(self, machine_id: str, machine: _Machine) -> None:
        machine.ended.set()
        if self._machines.get(machine_id) is machine:
            del self._machines[machine_id]
            self.on_change(machine_id)

    def _why_down(self, record: Record) -> model.Down:
        if record.down is not None:
            return record.down
        return "crashed" if record.epoch == self._epoch else "host"

    def _running(self, machine_id: str) -> _Machine:
        machine = self._machines.get(machine_id)
        if machine is None:
            raise Conflict("machine does not run", code="machine.not_running")
        return machine


async def _until_dead(proc: process.Process, timeout_s: float = END_TIMEOUT_S) -> None:
    """Wait for a process that is ending anyway."""
    deadline = clock.monotonic() + timeout_s
    while proc.alive and clock.monotonic() < deadline:
        process.bury()
        await asyncio.sleep(_CONNECT_PAUSE_S)


def _booted(spec: MachineSpec) -> ImageRef:
    return spec.rescue or spec.image
