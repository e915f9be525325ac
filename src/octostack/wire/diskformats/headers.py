# SPDX-License-Identifier: Apache-2.0
"""The formats whose facts stand in one header: vhd, vdi, qed, luks, iso, and no header at all."""

import struct

import msgspec

from octostack.wire.diskformats.facts import Facts
from octostack.wire.diskformats.window import Flaw, Window

_VHD_DIFFERENCING = 4
_QED_BACKING = 1
_GPT_TYPE = 0xEE


def parse_vhd(window: Window) -> Facts:
    """A dynamic VHD: a copy of its footer stands first (VHD specification 1.0)."""
    return _vhd(window.get(0, 512))


def parse_vdi(window: Window) -> Facts:
    """A VirtualBox image, header version 1.1."""
    version = window.unpack("<I", 0x44)[0]
    if version >> 16 != 1:
        raise Flaw(f"version {version:#x} is unknown")
    kind = window.unpack("<I", 0x4C)[0]
    size = window.unpack("<Q", 0x170)[0]
    backing = "parent" if kind == 4 else None  # a differencing image
    return Facts(format="vdi", virtual_size_bytes=size, backing_file=backing)


def parse_qed(window: Window) -> Facts:
    """QEMU's abandoned enhanced disk: known so that it is refused by its name."""
    features, _, _, _, size = window.unpack("<QQQQQ", 16)
    backing = "backing" if features & _QED_BACKING else None
    return Facts(format="qed", virtual_size_bytes=size, backing_file=backing)


def parse_luks(window: Window) -> Facts:
    """An encrypted volume; its size is the file's, less the header."""
    window.get(0, 592)
    return Facts(format="luks", virtual_size_bytes=0, encrypted=True)


def parse_iso(window: Window) -> Facts:
    """An ISO 9660 file system, by its primary volume descriptor."""
    blocks = window.unpack("<I", 32768 + 80)[0]
    block_size = window.unpack("<H", 32768 + 128)[0]
    return Facts(
        format="iso",
        virtual_size_bytes=blocks * block_size,
        partitions=_partitions(window),
    )


def parse_plain(window: Window) -> Facts:
    """Bytes with no header: the disk is as large as the file."""
    return Facts(format="raw", virtual_size_bytes=0, partitions=_partitions(window))


def with_also(facts: Facts, also: tuple[str, ...]) -> Facts:
    """The facts, naming further formats that the bytes carry the signature of."""
    return msgspec.structs.replace(facts, also=also) if also else facts


def complete(facts: Facts, size_bytes: int, tail: bytes) -> Facts:
    """The facts once the end of the image is known."""
    if facts.format == "raw" and tail[:8] == b"conectix" and facts.flaw is None:
        # A fixed VHD is a raw disk with a footer.
        try:
            facts = _vhd(tail)
        except Flaw as found:
            facts = Facts(format="vhd", virtual_size_bytes=0, flaw=f"vhd: {found}")
    if facts.format in ("raw", "luks", "iso") and facts.flaw is None:
        facts = msgspec.structs.replace(facts, virtual_size_bytes=size_bytes)
    flaw = facts.flaw
    if flaw is None and facts.needs_bytes > size_bytes:
        flaw = f"{facts.format} tables lie beyond the end of the image"
    return msgspec.structs.replace(facts, size_bytes=size_bytes, flaw=flaw)


def _vhd(footer: bytes) -> Facts:
    if len(footer) < 512:
        raise Flaw("footer is cut short")
    size = struct.unpack(">Q", footer[48:56])[0]
    kind = struct.unpack(">I", footer[60:64])[0]
    if kind not in (2, 3, _VHD_DIFFERENCING):
        raise Flaw(f"disk type {kind} is unknown")
    backing = "parent" if kind == _VHD_DIFFERENCING else None
    return Facts(format="vhd", virtual_size_bytes=size, backing_file=backing)


def _partitions(window: Window) -> str | None:
    if (window.peek(510, 2) or b"") != b"\x55\xaa":
        return None
    table = window.peek(446, 64) or b""
    kinds = [table[16 * i + 4] for i in range(4)]
    states = [table[16 * i] for i in range(4)]
    if any(state not in (0x00, 0x80) for state in states) or not any(kinds):
        return None
    return "gpt" if _GPT_TYPE in kinds else "mbr"
