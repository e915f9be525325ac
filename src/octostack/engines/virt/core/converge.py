# SPDX-License-Identifier: Apache-2.0
"""From what a machine shall be and what it is, to what must be done: the heart of the agent.

`converge` looks only at its arguments, and what it returns leads to a state for which it returns
nothing. So the same call serves a first boot, a retry half-way, a restart of the agent, and a
host that came up again: whatever is already so is simply not in the list.

A machine that switched itself off or died is not started again behind the user's back; it stays
down (`held`) until its next order, while one that went down with its host is started again.
"""

from octostack.contracts.compute_agent import MachineSpec
from octostack.engines.virt.core import model, slots
from octostack.engines.virt.core.model import Act, Seen


def converge(spec: MachineSpec, seen: Seen, *, held: bool = False) -> list[Act]:
    """The acts, in order, that make the machine what `spec` says; [] when it is so already.

    `held`: nothing new was ordered since the machine went down by itself.
    """
    acts: list[Act] = []
    seen = _drop_old_build(spec, seen, acts)
    seen = _drop_ended(spec, seen, acts)
    if spec.wanted == "stopped":
        _stop(spec, seen, acts)
    elif spec.wanted == "suspended":
        _suspend(spec, seen, acts)
    elif seen.process != "none":
        _adjust(spec, seen, acts)
    elif not (held and _stays_down(spec, seen)):
        _start(spec, seen, acts)
    return acts


def reboot(spec: MachineSpec, seen: Seen, *, hard: bool) -> list[Act]:
    """The acts of a restart that was asked for."""
    acts: list[Act] = []
    if seen.process != "none":
        acts.append(model.Quit() if hard else model.PowerOff(spec.stop_timeout_s))
    if hard and seen.saved:
        acts.append(model.DropSaved())
    down = Seen(build=seen.build, down="ordered", saved=seen.saved and not hard)
    return acts + converge(spec, down)


def _stays_down(spec: MachineSpec, seen: Seen) -> bool:
    return seen.down == "guest" or (seen.down == "crashed" and not spec.restart_on_crash)


def _drop_old_build(spec: MachineSpec, seen: Seen, acts: list[Act]) -> Seen:
    if seen.build is None or seen.build == spec.build:
        return seen
    if seen.process != "none":
        acts.append(model.Quit())
    if seen.saved:
        acts.append(model.DropSaved())
    acts.append(model.DropDisks())
    return Seen(down="ordered")


def _drop_ended(spec: MachineSpec, seen: Seen, acts: list[Act]) -> Seen:
    """A process that has to go whatever is wanted next: the guest is off, or in another disk."""
    rescue_changed = seen.process != "none" and seen.rescued != (spec.rescue is not None)
    if seen.process == "ended":
        acts.append(model.Quit())
        down: model.Down = "guest"
    elif rescue_changed:
        acts.append(model.PowerOff(spec.stop_timeout_s))
        down = "ordered"
    else:
        return seen
    return Seen(down=down, build=seen.build, saved=seen.saved)


def _stop(spec: MachineSpec, seen: Seen, acts: list[Act]) -> None:
    if seen.process == "panicked":
        acts.append(model.Quit())
    elif seen.process == "paused":
        # A guest that does not run cannot hear the button.
        acts += [model.Resume(), model.PowerOff(spec.stop_timeout_s)]
    elif seen.process != "none":
        acts.append(model.PowerOff(spec.stop_timeout_s))
    if seen.saved:
        acts.append(model.DropSaved())


def _suspend(spec: MachineSpec, seen: Seen, acts: list[Act]) -> None:
    if seen.process == "panicked":
        acts.append(model.Quit())
    elif seen.process != "none":
        acts.append(model.Save())


def _start(spec: MachineSpec, seen: Seen, acts: list[Act]) -> None:
    wanted = [spec.image] if seen.build is None else []
    if spec.boot is not None:
        wanted += [ref for ref in (spec.boot.kernel, spec.boot.ramdisk) if ref is not None]
    if spec.rescue is not None:
        wanted.append(spec.rescue)
    acts += [model.Fetch(image) for image in wanted]
    acts.append(model.MakeDisks())
    if spec.rescue is not None:
        acts.append(model.MakeRescueDisk())
    acts.append(model.Start(paused=spec.wanted == "paused", saved=seen.saved))


def _adjust(spec: MachineSpec, seen: Seen, acts: list[Act]) -> None:
    wanted = {nic.port_id: nic for nic in spec.nics}
    present = {nic.port_id: nic for nic in seen.nics}
    acts += [model.UnplugNic(nic) for port, nic in present.items() if port not in wanted]
    free = slots.free(nic.slot for nic in seen.nics)
    acts += [model.PlugNic(nic, next(free)) for port, nic in wanted.items() if port not in present]
    if spec.wanted == "paused" and seen.process == "running":
        acts.append(model.Pause())
    elif spec.wanted == "running" and seen.process == "paused":
        acts.append(model.Resume())
