# SPDX-License-Identifier: Apache-2.0
"""Real guests in QEMU, by emulation, through the agent. Boots are dear: each test uses one well."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from octostack.agents.compute import service
from octostack.base import ids
from octostack.base.errors import Conflict, Unsupported
from octostack.contracts.compute_agent import DirectBoot, ImageRef, MachineSpec, Nic
from octostack.engines.virt.qemu import accelerator, process, settings
from octostack.testing import virt

pytestmark = [pytest.mark.anyio, pytest.mark.machine]


def change(spec: MachineSpec, **changes: object) -> MachineSpec:
    return msgspec.structs.replace(spec, generation=spec.generation + 1, **changes)


@pytest.fixture
def direct(host, guest_image: Path) -> DirectBoot:
    """The test guest's kernel given from outside: a quicker way in, and an API of its own."""
    return DirectBoot(
        kernel=host.images.add(guest_image / "guest-kernel", "aki"),
        ramdisk=host.images.add(guest_image / "guest-initrd", "ari"),
        command_line="console=ttyS0 quiet mitigations=off",
    )


async def ip(*words: str) -> None:
    child = await asyncio.create_subprocess_exec("ip", *words)
    assert await child.wait() == 0


@pytest.fixture
async def taps(host) -> AsyncIterator[list[Nic]]:
    """Two ports with taps on a bridge, where nobody answers DHCP."""
    bridge = f"ob{os.getpid() % 100000}"
    names = [f"{bridge}t{i}" for i in range(2)]
    await ip("link", "add", bridge, "type", "bridge")
    try:
        for name in names:
            await ip("tuntap", "add", name, "mode", "tap")
            await ip("link", "set", name, "master", bridge, "up")
        await ip("link", "set", bridge, "up")
        nics = [Nic(port_id=ids.new(), mac=f"fa:16:3e:0c:70:0{i}", mtu=1450) for i in range(2)]
        host.taps.interfaces = {n.port_id: name for n, name in zip(nics, names, strict=True)}
        yield nics
    finally:
        for name in (*names, bridge):
            await ip("link", "del", name)


async def test_from_a_bios_disk_to_a_login_and_away(host, image, direct: DirectBoot) -> None:
    machine_id = ids.new()
    drive = virt.config_drive(machine_id, "#!/bin/sh\necho user data was here\n")
    state = await host.run(virt.spec(image, id=machine_id, config_drive=drive))
    assert (state.power, state.fault, state.generation) == ("running", None, 1)
    said = await host.console(machine_id, "login:")
    assert "guest: root partition grown to 10" in said  # the flavor's disk is larger
    assert "guest: data source config-drive" in said
    assert f"guest: instance {machine_id}, 1 keys" in said
    assert "user data was here" in said
    assert "guest-one login:" in said

    copy = ids.new()
    progress = await host.agent.snapshot(machine_id, copy)
    stopped = change(virt.spec(image, id=machine_id, config_drive=drive), wanted="stopped")
    state = await host.run(stopped)
    assert (state.power, state.generation) == ("shutdown", 2)
    said = await host.agent.console_output(machine_id, None)
    assert "guest: power button" in said
    while progress.status == "working":
        progress = await host.agent.snapshot(machine_id, copy)
        await asyncio.sleep(0.1)
    assert progress.status == "done", progress

    await host.agent.remove_machine(machine_id)
    assert host.processes() == {}
    assert list(host.machines.iterdir()) == []
    await boots_from_the_copy(host, host.images.committed[copy], direct)


async def boots_from_the_copy(host, path: Path, direct: DirectBoot) -> None:
    spec = virt.spec(host.images.add(path, "qcow2"), boot=direct)
    assert (await host.run(spec)).power == "running"
    # What the first one was told lies on the disk: its name, and that user data has run.
    await host.console(spec.id, "guest-one login:")


async def test_a_life_of_changes(host, image: ImageRef, direct: DirectBoot, taps) -> None:
    spec = virt.spec(image, boot=direct, nics=(taps[0],))
    state = await host.run(spec)
    assert (state.power, state.fault) == ("running", None)
    [nic] = state.nics
    assert (nic.port_id, nic.mac, nic.tap) == (
        taps[0].port_id,
        taps[0].mac,
        host.taps.interfaces[taps[0].port_id],
    )
    await host.console(spec.id, "login:", taps[0].mac)
    await consoles_answer(host, spec.id)
    await counters_count(host, spec.id)

    spec = change(spec, nics=tuple(taps))  # a second card, live
    state = await host.run(spec)
    assert len(state.nics) == 2, state
    await host.console(spec.id, f"eth1 {taps[1].mac}")
    spec = change(spec, nics=(taps[0],))
    state = await host.run(spec)
    assert [n.port_id for n in state.nics] == [taps[0].port_id], state
    await host.console(spec.id, "guest: eth1 gone")

    spec = change(spec, wanted="paused")
    assert (await host.run(spec)).power == "paused"
    spec = change(spec, wanted="running")
    assert (await host.run(spec)).power == "running"

    spec = change(spec, wanted="suspended")
    state = await host.run(spec)
    assert (state.power, state.fault, host.processes()) == ("suspended", None, {})
    spec = change(spec, wanted="running")
    state = await host.run(spec)
    assert (state.power, state.fault) == ("running", None)
    await press_enter(host, spec.id)  # it goes on where it was: logins are answered, no new boot
    said = await host.agent.console_output(spec.id, None)
    assert said.count("guest: root on") == 1


async def consoles_answer(host, machine_id: str) -> None:
    session = await host.agent.open_console(machine_id, "vnc")
    assert (await host.agent.read_console(session, 1, 20.0)).startswith(b"RFB 003.")
    await host.agent.close_console(session)
    with pytest.raises(Unsupported):
        await host.agent.set_password(machine_id, "octo", "secret")


async def counters_count(host, machine_id: str) -> None:
    facts = await host.agent.diagnostics(machine_id)
    assert facts.cpu_times_ns[0] > 0
    assert facts.disks[0].read_bytes > 0
    assert facts.memory_max_mb == 192
    assert facts.nics[0].mac_address == "fa:16:3e:0c:70:00"


async def press_enter(host, machine_id: str) -> None:
    session, said, number = await host.agent.open_console(machine_id, "serial"), b"", 0
    async with asyncio.timeout(60):
        while b"login:" not in said:
            number += 1
            await host.agent.write_console(session, number, b"\n")
            said += await host.agent.read_console(session, number, 1.0)
    await host.agent.close_console(session)


async def test_the_guest_outlives_the_agent(host, image, direct: DirectBoot) -> None:
    spec = virt.spec(image, boot=direct)
    await host.run(spec)
    [before] = host.processes().values()
    await host.stop()
    assert before.alive
    host.listener.forget()
    await host.start()
    await host.listener.until(spec.id, "running")
    state = await host.agent.look(spec.id)
    assert (state.power, list(host.processes().values())) == ("running", [before])
    await host.console(spec.id, "login:")

    process.kill(before)  # QEMU crashes: told, and not hidden by a restart
    await host.listener.until(spec.id, "crashed")
    assert host.processes() == {}
    state = await host.agent.reboot(spec.id, True, "req-1")
    assert state.power == "running"
    await host.console(spec.id, *("login:",) * 2)

    await host.stop()  # the whole host goes down, and comes up again
    await service.host_stop(host.state_dir)
    assert host.processes() == {}
    said = (host.machines / spec.id / "run/console.log").read_text(errors="replace")
    assert "guest: power button" in said
    await host.start()
    await host.until(spec.id, "running")


async def test_the_agent_is_killed_while_it_works(host, image, direct, guest_image) -> None:
    """kill -9 of the agent's process at any moment of a boot: finished by the next one."""
    await host.stop()
    program = Path(__file__).with_name("agent_process.py")
    spec = virt.spec(image, boot=direct)
    (host.state_dir / "spec.json").write_bytes(msgspec.json.encode(spec))
    for delay_s in (0.05, 0.2, 0.35, 0.5):
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, str(program), str(host.state_dir), str(guest_image)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdout is not None
        await child.stdout.readline()
        await asyncio.sleep(delay_s)
        child.send_signal(signal.SIGKILL)
        await child.wait()
        assert len(host.processes()) <= 1
    await host.start()
    await host.until(spec.id, "running")
    assert len(host.processes()) == 1
    await host.console(spec.id, "login:")


async def test_rescue_and_rebuild(host, image: ImageRef, direct: DirectBoot) -> None:
    spec = virt.spec(image)
    assert (await host.run(spec)).power == "running"
    rescue = change(spec, rescue=image, stop_timeout_s=0.0)
    state = await host.run(rescue)
    assert (state.power, state.fault) == ("running", None)
    await host.console(spec.id, "guest: root on /dev/vda1")
    disks = (await host.agent.diagnostics(spec.id)).disks
    assert len(disks) == 2  # its own root is the second
    rebuilt = change(rescue, rescue=None, build=2)
    state = await host.run(rebuilt)
    assert (state.power, state.fault) == ("running", None)
    names = sorted(p.name for p in (host.machines / spec.id).glob("*.qcow2"))
    assert names == ["root-2.qcow2"]


async def test_what_cannot_be_started_says_why(host, image: ImageRef, guest_image: Path) -> None:
    missing = msgspec.structs.replace(image, id=ids.new(), sha512="1" * 128)
    state = await host.run(virt.spec(missing))
    assert (state.power, state.fault) == ("shutdown", f"image {missing.id}")
    wrong = msgspec.structs.replace(image, sha512="2" * 128)
    assert "is not what was stored" in (await host.run(virt.spec(wrong))).fault
    lying = host.images.add(guest_image / "guest.qcow2", "raw")
    assert "content is qcow2, not raw" in (await host.run(virt.spec(lying))).fault
    huge = virt.spec(image, memory_mb=1 << 30)
    assert "QEMU did not start" in (await host.run(huge)).fault
    lost = virt.spec(image, nics=(Nic(port_id="none", mac="fa:16:3e:00:00:01"),))
    assert (await host.run(lost)).fault == "port none"
    assert host.processes() == {}
    with pytest.raises(Conflict):
        await host.agent.console_access(huge.id, "vnc")


async def test_the_process_has_no_rights(host, image: ImageRef) -> None:
    spec = virt.spec(image)
    await host.run(spec)
    [proc] = host.processes().values()
    status = Path(f"/proc/{proc.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    uids = set(fields["Uid"].split())
    assert len(uids) == 1
    assert os.geteuid() != 0 or int(uids.pop()) in range(71000, 79000)
    assert (fields["CapEff"], fields["Seccomp"]) == ("0000000000000000", "2")
    limits = Path(f"/proc/{proc.pid}/limits").read_text()
    assert "Max core file size        0                    0" in limits

    # It breaks out, and links its console to a secret: nothing is read or written through that.
    secret = host.state_dir / "secret"
    secret.write_text("secret")
    log = host.machines / spec.id / "run" / "console.log"
    log.unlink(missing_ok=True)
    log.symlink_to(secret)
    assert await host.agent.console_output(spec.id, None) == ""
    assert (host.machines / spec.id).stat().st_uid == os.geteuid()


async def test_a_qemu_that_hangs_can_be_got_rid_of(host, image: ImageRef) -> None:
    spec = virt.spec(image)
    await host.run(spec)
    await host.stop()
    [proc] = host.processes().values()
    os.kill(proc.pid, signal.SIGSTOP)
    await host.start()
    state = await host.agent.look(spec.id)
    assert state.power == "crashed"
    assert host.processes() == {spec.id: proc}  # and no second one over the same disk
    state = await host.agent.reboot(spec.id, True, "req-1")
    assert state.busy or state.power == "running", state
    await host.until(spec.id, "running")
    assert len(host.processes()) == 1
    assert not proc.alive


async def test_the_probe_finds_a_processor_that_works() -> None:
    """The probe's guest itself, where it must pass: under emulation."""
    assert await accelerator.probe(settings.find_binary(), "tcg")


@pytest.mark.parametrize(
    ("bus", "card"), [("scsi", "e1000e"), ("sata", "rtl8139"), ("ide", "e1000")]
)
async def test_hardware_that_images_ask_for(host, image, taps, bus: str, card: str) -> None:
    properties = {"hw_disk_bus": bus, "hw_vif_model": card}
    asking = msgspec.structs.replace(image, properties=properties)
    spec = virt.spec(asking, nics=(taps[0],), config_drive=virt.config_drive("x"))
    state = await host.run(spec)
    assert (state.power, state.fault) == ("running", None)
    assert len((await host.agent.diagnostics(spec.id)).disks) == 2
    state = await host.run(change(spec, nics=tuple(taps)))
    assert (len(state.nics), state.fault) == (2, None)
    uefi = msgspec.structs.replace(image, properties={"hw_firmware_type": "uefi"})
    assert "not offered" in (await host.run(virt.spec(uefi))).fault
