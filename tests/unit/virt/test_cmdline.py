# SPDX-License-Identifier: Apache-2.0
"""QEMU's command line: what must be in it for every machine, and the hostile in a name."""

import msgspec
import pytest

from octostack.contracts.compute_agent import DirectBoot, ImageRef, MachineSpec
from octostack.engines.virt.core import cmdline, slots
from octostack.engines.virt.core.cmdline import Card, Disk, Start

IMAGE = ImageRef(id="i", sha512="0" * 128, size_bytes=1)
SPEC = MachineSpec(
    id="6b0eb3a1-6d8a-4a1c-9d3e-27e9b5ef0b11", name="one", generation=1, vcpus=2, memory_mb=512,
    image=IMAGE,
)  # fmt: skip
START = Start(
    spec=SPEC,
    binary="/usr/bin/qemu-system-x86_64",
    accelerator="tcg",
    disks=(Disk(node="root", file="root-1.qcow2", driver="qcow2", boot=True),),
)


def options(start: Start, name: str) -> list[str]:
    argv = cmdline.build(start)
    return [argv[i + 1] for i, word in enumerate(argv) if word == name]


def change(**changes: object) -> Start:
    return msgspec.structs.replace(START, **changes)


def test_the_sandbox_is_on() -> None:
    assert options(START, "-sandbox") == [
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
    ]


def test_nothing_comes_by_default_and_no_processor_runs_yet() -> None:
    argv = cmdline.build(START)
    assert {"-nodefaults", "-no-user-config", "-no-shutdown", "-S"} <= set(argv)
    assert options(START, "-uuid") == [SPEC.id]
    assert options(START, "-smp") == ["cpus=2,sockets=2,cores=1,threads=1"]
    assert options(START, "-m") == ["size=512M"]


def test_all_files_are_within_the_machine_s_directory() -> None:
    for word in cmdline.build(START)[1:]:
        for key in ("path=", "filename=", "logfile=", "unix:"):
            _, found, rest = word.partition(key)
            assert not found or rest.startswith("/dev/urandom") or not rest.startswith(("/", ".."))


def test_no_listener_but_sockets_in_files() -> None:
    argv = cmdline.build(START)
    assert options(START, "-vnc") == ["unix:run/vnc.sock"]
    assert not [word for word in argv if "tcp" in word or ",port=" in word]


def test_a_card_is_a_descriptor_in_a_slot_of_its_own() -> None:
    card = Card(port_id="p1", mac="fa:16:3e:00:00:01", mtu=1450, slot=3, fd=9)
    start = change(cards=(card,))
    assert options(start, "-netdev") == ["tap,id=net-p1,fd=9"]
    assert (
        "virtio-net-pci,id=nic-p1,netdev=net-p1,mac=fa:16:3e:00:00:01,host_mtu=1450,bus=slot-3,romfile="
        in options(start, "-device")
    )
    ports = [d for d in options(start, "-device") if d.startswith("pcie-root-port,id=slot-")]
    assert len(ports) == len(set(ports)) == slots.SLOTS
    assert cmdline.port_of_card(cmdline.card_id("p1")) == "p1"
    assert cmdline.port_of_card("disk-root") is None


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a,readonly=on", "guest=a,,readonly=on"),
        ("-daemonize", "guest=-daemonize"),
        ("line\nbreak\0", "guest=linebreak"),
        ("ünïcode", "guest=ünïcode"),
        ("", f"guest={SPEC.id}"),
    ],
)
def test_a_name_cannot_say_more_than_a_name(name: str, written: str) -> None:
    start = change(spec=msgspec.structs.replace(SPEC, name=name))
    assert options(start, "-name") == [written]


def test_direct_boot() -> None:
    boot = DirectBoot(kernel=IMAGE, ramdisk=IMAGE, command_line="console=ttyS0 root=/dev/vda")
    start = change(spec=msgspec.structs.replace(SPEC, boot=boot), kernel="../k", ramdisk="../r")
    assert options(start, "-kernel") == ["../k"]
    assert options(start, "-initrd") == ["../r"]
    assert options(start, "-append") == ["console=ttyS0 root=/dev/vda"]
    assert options(START, "-kernel") == []


def test_memory_to_go_on_from() -> None:
    assert options(change(incoming=True), "-incoming") == ["defer"]
    assert options(START, "-incoming") == []
