# SPDX-License-Identifier: Apache-2.0
"""QEMU's command line for a machine.

Every file is named relative to the machine's directory, QEMU's working directory: it needs no
right to walk the path there, and no socket path becomes too long.
"""

from typing import Any

import msgspec

from octostack.contracts.compute_agent import MachineSpec
from octostack.engines.virt.core.slots import SLOTS

# The one place where QEMU may make files; what lies in it is not to be trusted.
RUN = "run"
QMP_SOCKET = "run/qmp.sock"
VNC_SOCKET = "run/vnc.sock"
SERIAL_SOCKET = "run/serial.sock"
GUEST_AGENT_SOCKET = "run/guest-agent.sock"
CONSOLE_LOG = "run/console.log"

_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """A disk the guest sees; the order is the order it finds them in."""

    node: str  # name within QEMU
    file: str
    driver: str  # qcow2, raw
    serial: str = ""
    boot: bool = False
    read_only: bool = False


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A network card on an open tap device."""

    port_id: str
    mac: str
    mtu: int
    slot: int
    fd: int
    model: str = "virtio-net-pci"


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """All that the command line depends on."""

    spec: MachineSpec
    binary: str
    accelerator: str  # kvm, tcg
    disks: tuple[Disk, ...]
    cards: tuple[Card, ...] = ()
    kernel: str | None = None
    ramdisk: str | None = None
    incoming: bool = False  # wait for saved memory
    disk_bus: str = "virtio"  # virtio, scsi, sata


def build(start: Start) -> list[str]:
    """The argument vector; processors stand still until `cont`."""
    spec = start.spec
    return [
        start.binary,
        *("-name", f"guest={_escape(spec.name or spec.id)}"),
        *("-uuid", spec.id),
        *_processor(start),
        *("-m", f"size={spec.memory_mb}M"),
        *("-nodefaults", "-no-user-config", "-no-shutdown", "-S"),
        *("-sandbox", _SANDBOX),
        *("-rtc", "base=utc,driftfix=slew" if start.accelerator == "kvm" else "base=utc"),
        *("-display", "none", "-vga", "std", "-vnc", f"unix:{VNC_SOCKET}"),
        *_sockets(),
        *("-object", "rng-random,id=rng0,filename=/dev/urandom"),
        *("-device", "virtio-rng-pci,rng=rng0"),
        *("-device", "virtio-balloon-pci,id=balloon"),
        *("-device", "pvpanic"),
        *_direct_boot(start),
        *(("-device", "virtio-scsi-pci,id=scsi") if start.disk_bus == "scsi" else ()),
        *(arg for i, disk in enumerate(start.disks) for arg in _disk(disk, start.disk_bus, i)),
        *_root_ports(),
        *(arg for card in start.cards for arg in _card(card)),
        *(("-incoming", "defer") if start.incoming else ()),
    ]


def card_device(card: Card) -> dict[str, Any]:
    """The device of a card, as `device_add` takes it."""
    mtu = {"host_mtu": card.mtu} if card.model == "virtio-net-pci" else {}
    return {
        "driver": card.model,
        "id": card_id(card.port_id),
        "netdev": netdev_id(card.port_id),
        "mac": card.mac,
        **mtu,
        "bus": f"slot-{card.slot}",
        "romfile": "",
    }


def card_id(port_id: str) -> str:
    """The device of a port's card."""
    return f"nic-{port_id}"


def netdev_id(port_id: str) -> str:
    """The host's side of a port's card."""
    return f"net-{port_id}"


def port_of_card(device_id: str) -> str | None:
    """The port of a device that is a card of ours."""
    return device_id.removeprefix("nic-") if device_id.startswith("nic-") else None


def _processor(start: Start) -> list[str]:
    if start.accelerator == "kvm":
        accelerator, model = "kvm", "host"
    else:
        # Without a bound the translation cache alone takes up to a GiB.
        accelerator, model = "tcg,thread=multi,tb-size=128", "max,la57=off"
    cpus = start.spec.vcpus
    return [
        *("-machine", "q35,usb=off,vmport=off,dump-guest-core=off"),
        *("-accel", accelerator),
        *("-cpu", model),
        *("-smp", f"cpus={cpus},sockets={cpus},cores=1,threads=1"),
    ]


def _sockets() -> list[str]:
    def listen(name: str, path: str, more: str = "") -> str:
        return f"socket,id={name},path={path},server=on,wait=off{more}"

    return [
        *("-chardev", listen("monitor", QMP_SOCKET)),
        *("-mon", "chardev=monitor,mode=control"),
        *("-chardev", listen("serial0", SERIAL_SOCKET, f",logfile={CONSOLE_LOG},logappend=on")),
        *("-serial", "chardev:serial0"),
        *("-device", "virtio-serial-pci"),
        *("-chardev", listen("agent", GUEST_AGENT_SOCKET)),
        *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
    ]


def _direct_boot(start: Start) -> list[str]:
    if start.kernel is None or start.spec.boot is None:
        return []
    ramdisk = [] if start.ramdisk is None else ["-initrd", start.ramdisk]
    return ["-kernel", start.kernel, *ramdisk, "-append", start.spec.boot.command_line]


def _disk(disk: Disk, bus: str, index: int) -> list[str]:
    read_only = "on" if disk.read_only else "off"
    discard = "ignore" if disk.read_only else "unmap"
    serial = f",serial={_escape(disk.serial)}" if disk.serial else ""
    boot = ",bootindex=1" if disk.boot else ""
    device = {
        "virtio": "virtio-blk-pci",
        "scsi": f"scsi-hd,bus=scsi.0,lun={index}",
        # The controller that q35 brings along: six ports, and no disk that cannot be written.
        "sata": f"{'ide-cd' if disk.read_only else 'ide-hd'},bus=ide.{index}",
    }[bus]
    return [
        "-blockdev",
        f"driver=file,node-name={disk.node}-file,filename={_escape(disk.file)}"
        f",read-only={read_only},discard={discard},cache.direct=off",
        "-blockdev",
        f"driver={disk.driver},node-name={disk.node},file={disk.node}-file"
        f",read-only={read_only},discard={discard}",
        "-device",
        f"{device},id=disk-{disk.node},drive={disk.node}{serial}{boot}",
    ]


def _root_ports() -> list[str]:
    args: list[str] = []
    for slot in range(SLOTS):
        # Eight to a device: one PCI slot of the root bus holds eight functions.
        address = f"addr={0x10 + slot // 8:#x}.{slot % 8}"
        together = ",multifunction=on" if slot % 8 == 0 else ""
        args += [
            "-device",
            f"pcie-root-port,id=slot-{slot},chassis={slot + 1},bus=pcie.0,{address}{together}",
        ]
    return args


def _card(card: Card) -> list[str]:
    device = ",".join(f"{key}={value}" for key, value in card_device(card).items())
    # `driver` is spelled out for QMP; the command line takes it as first word.
    device = device.removeprefix("driver=")
    return ["-netdev", f"tap,id={netdev_id(card.port_id)},fd={card.fd}", "-device", device]


def _escape(value: str) -> str:
    """A comma ends an option's value unless it is doubled."""
    return "".join(c for c in value if c.isprintable()).replace(",", ",,")
