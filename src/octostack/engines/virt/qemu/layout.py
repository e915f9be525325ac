# SPDX-License-Identifier: Apache-2.0
"""Which file is where, and whose it is.

DIR/images/SHA512.FORMAT        the cache; read by all machines, written by none
DIR/machines/ID/                a machine's own; QEMU's working directory
DIR/copies/NAME                 copies of root disks on their way into an image
"""

import re
from pathlib import Path

from octostack.base.errors import Invalid
from octostack.contracts.compute_agent import ImageRef, MachineSpec

_ID = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z._-]{0,63}")


class Layout:
    """Paths below the engine's directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.images = directory / "images"
        self.machines = directory / "machines"
        self.copies = directory / "copies"

    def make(self) -> None:
        """Create the directories. A machine's user may pass through them and list none."""
        for path in (self.directory, self.images, self.machines):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o711)
        self.copies.mkdir(exist_ok=True, mode=0o700)

    def machine(self, machine_id: str) -> Path:
        """A machine's directory. Raises Invalid for an id that is no plain name."""
        if not _ID.fullmatch(machine_id) or ".." in machine_id:
            raise Invalid(f"{machine_id!r} cannot name a machine", field="id")
        return self.machines / machine_id

    def copy(self, name: str) -> Path:
        """A disk copy on its way. Raises Invalid."""
        if not _ID.fullmatch(name) or ".." in name:
            raise Invalid(f"{name!r} cannot name a copy", field="id")
        return self.copies / name

    def image(self, image: ImageRef) -> Path:
        """The image in the cache."""
        return self.images / image_file(image)

    def list_machines(self) -> list[str]:
        """Ids that have a directory."""
        return sorted(p.name for p in self.machines.iterdir()) if self.machines.exists() else []


def image_file(image: ImageRef) -> str:
    """The name of an image in the cache; raw data as it is, all else as qcow2."""
    return f"{image.sha512}.{image_driver(image)}"


def image_driver(image: ImageRef) -> str:
    """How QEMU reads the image in the cache."""
    return "raw" if image.disk_format in ("raw", "iso", "ami", "aki", "ari", "gpt") else "qcow2"


def root_file(spec: MachineSpec) -> str:
    """The root disk's name; a rebuild makes another file."""
    return f"root-{spec.build}.qcow2"
