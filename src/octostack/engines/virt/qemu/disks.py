# SPDX-License-Identifier: Apache-2.0
"""A machine's disks: made from the spec, named relative to the machine's directory."""

import struct
from pathlib import Path

import msgspec

from octostack.base.errors import Corrupt, Invalid
from octostack.contracts.compute_agent import ImageRef, MachineSpec
from octostack.engines.virt.core.cmdline import Disk
from octostack.engines.virt.qemu import files
from octostack.engines.virt.qemu.layout import Layout, image_driver, image_file, root_file
from octostack.wire import iso9660
from octostack.wire.diskformats import Facts, inspect, overlay

GIB = 1 << 30
RESCUE = "rescue.qcow2"
EPHEMERAL = "ephemeral.qcow2"
SWAP = "swap.raw"
CONFIG = "config.iso"
_PAGE = 4096


class Disks:
    """Makes and names the disks of one machine."""

    def __init__(self, layout: Layout, spec: MachineSpec, owner: int | None) -> None:
        self._layout = layout
        self._spec = spec
        self._owner = owner
        self._directory = layout.machine(spec.id)

    def make(self) -> None:
        """Whatever the spec has and the directory lacks. Raises Invalid, Corrupt."""
        spec = self._spec
        if spec.rescue is None:
            (self._directory / RESCUE).unlink(missing_ok=True)
        if not (self._directory / root_file(spec)).exists():
            self._make_over(spec.image, root_file(spec), spec.root_gb * GIB)
        if spec.ephemeral_gb and not (self._directory / EPHEMERAL).exists():
            self._write(EPHEMERAL, overlay.make(spec.ephemeral_gb * GIB))
        if spec.swap_mb and not (self._directory / SWAP).exists():
            self._make_swap(spec.swap_mb << 20)
        if spec.config_drive:
            contents = {file.path: file.content for file in spec.config_drive}
            image = iso9660.build(contents, "config-2")
            if _read(self._directory / CONFIG) != image:
                self._write(CONFIG, image)

    def make_rescue(self) -> None:
        """A fresh disk from the rescue image; what an earlier rescue wrote is gone."""
        if self._spec.rescue is not None:
            self._make_over(self._spec.rescue, RESCUE, 0)

    def drop(self) -> None:
        """Delete all disks, for a rebuild."""
        for name in (EPHEMERAL, SWAP, CONFIG, RESCUE):
            (self._directory / name).unlink(missing_ok=True)
        for path in self._directory.glob("root-*.qcow2"):
            path.unlink()
        files.sync_directory(self._directory)

    def plan(self) -> tuple[Disk, ...]:
        """The disks as QEMU shall present them: what boots first, the config drive last."""
        spec = self._spec
        rescued = spec.rescue is not None
        root = Disk(
            node="root", file=root_file(spec), driver="qcow2", serial="root", boot=not rescued
        )
        disks = [root]
        if rescued:
            rescue = Disk(node="rescue", file=RESCUE, driver="qcow2", serial="rescue", boot=True)
            disks.insert(0, rescue)
        if spec.ephemeral_gb:
            disks.append(Disk(node="ephemeral", file=EPHEMERAL, driver="qcow2"))
        if spec.swap_mb:
            disks.append(Disk(node="swap", file=SWAP, driver="raw"))
        if spec.config_drive:
            disks.append(Disk(node="config", file=CONFIG, driver="raw", read_only=True))
        return tuple(disks)

    def kernel(self) -> tuple[str | None, str | None]:
        """Kernel and ramdisk of a direct boot, as QEMU names them."""
        boot = self._spec.boot
        if boot is None or self._spec.rescue is not None:
            return None, None
        names = [None if r is None else _shared(r) for r in (boot.kernel, boot.ramdisk)]
        return names[0], names[1]

    def _make_over(self, image: ImageRef, name: str, size_bytes: int) -> None:
        virtual = inspect_file(self._layout.image(image)).virtual_size_bytes
        if size_bytes and size_bytes < virtual:
            raise Invalid(
                f"image {image.id} needs a disk of {-(-virtual // GIB)} GiB,"
                f" the flavor has {size_bytes // GIB}",
                code="machine.disk_too_small",
            )
        size = size_bytes or virtual
        self._write(name, overlay.make(size, _shared(image), image_driver(image)))

    def _make_swap(self, size_bytes: int) -> None:
        # The header of Linux's mm/swapfile.c: version 1, the last page, and the magic at the end.
        header = bytearray(_PAGE)
        struct.pack_into("<III", header, 1024, 1, size_bytes // _PAGE - 1, 0)
        header[-10:] = b"SWAPSPACE2"
        self._write(SWAP, bytes(header))
        with (self._directory / SWAP).open("r+b") as f:
            f.truncate(size_bytes)

    def _write(self, name: str, data: bytes) -> None:
        files.write_whole(self._directory / name, data, self._owner)


def inspect_file(path: Path) -> Facts:
    """What a file holds. Raises Corrupt when it cannot be read as anything."""
    with path.open("rb") as f:
        size = f.seek(0, 2)

        def read(offset: int, length: int) -> bytes:
            f.seek(offset)
            return f.read(length)

        facts = inspect(read, size)
    if facts.flaw is not None:
        raise Corrupt(f"{path.name}: {facts.flaw}", code="disk.corrupt")
    if path.suffix == ".raw":
        facts = msgspec.structs.replace(facts, format="raw", virtual_size_bytes=size)
    return facts


def _shared(image: ImageRef) -> str:
    return f"../../images/{image_file(image)}"


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
