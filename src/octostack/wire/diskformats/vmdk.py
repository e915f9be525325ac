# SPDX-License-Identifier: Apache-2.0
"""VMDK: sparse extents with an embedded descriptor; the Virtual Disk Format 5.0 note."""

import re

from octostack.wire.diskformats.facts import Facts
from octostack.wire.diskformats.window import Flaw, Window

_SECTOR = 512
_DESCRIPTOR_SECTORS_MAX = 40
_LINE = re.compile(r'^\s*createType\s*=\s*"([^"]*)"', re.MULTILINE | re.IGNORECASE)
_EXTENT = re.compile(r'^(?:RW|RDONLY|NOACCESS)\s+(\d+)\s+(\S+)(?:\s+"([^"]*)")?', re.MULTILINE)
_PARENT = re.compile(r'^\s*parentFileNameHint\s*=\s*"([^"]*)"', re.MULTILINE | re.IGNORECASE)


def parse(window: Window) -> Facts:
    """The facts of a VMDK. Raises Need, Flaw."""
    magic = window.get(0, 4)
    if magic != b"KDMV":
        # A bare descriptor or a COWD extent always means further files.
        return Facts(format="vmdk", virtual_size_bytes=0, variant="descriptor")
    _, version, _, capacity, _, at, sectors = window.unpack("<4sIIQQQQ", 0)
    if version not in (1, 2, 3):
        raise Flaw(f"version {version} is unknown")
    if not 0 < sectors <= _DESCRIPTOR_SECTORS_MAX or at * _SECTOR < 0x200:
        raise Flaw("has no embedded descriptor of a sane size")
    text = window.get(at * _SECTOR, sectors * _SECTOR).split(b"\0")[0].decode("latin-1")
    kind = _LINE.search(text)
    variant = kind.group(1) if kind else ""
    extents = _EXTENT.findall(text)
    parent = _PARENT.search(text)
    if len(extents) != 1 or extents[0][1].upper() != "SPARSE":
        return Facts(format="vmdk", virtual_size_bytes=capacity * _SECTOR, variant="multiple")
    if "/" in extents[0][2] or "\\" in extents[0][2]:
        raise Flaw("an extent names a path")
    size = int(extents[0][0][:20]) * _SECTOR
    return Facts(
        format="vmdk",
        virtual_size_bytes=max(size, capacity * _SECTOR),
        backing_file=parent.group(1) if parent else None,
        variant=variant,
        flaw=None if size == capacity * _SECTOR else "vmdk: descriptor and header disagree on size",
    )
