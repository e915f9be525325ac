# SPDX-License-Identifier: Apache-2.0
"""VHDX, as [MS-VHDX] describes it: region table, metadata table, virtual disk size."""

import struct

from octostack.wire.diskformats.facts import Facts
from octostack.wire.diskformats.window import Flaw, Window

# GUIDs as they lie on disk (mixed endian).
_METADATA_REGION = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
_VIRTUAL_SIZE = bytes.fromhex("2442a52f1bcd7648b2115dbed83bf4b8")
_FILE_PARAMETERS = bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b")
_REGION_TABLE = 192 << 10
_ENTRIES_MAX = 2047
_HAS_PARENT = 2


def parse(window: Window) -> Facts:
    """The facts of a VHDX. Raises Need, Flaw."""
    at = _find_region(window)
    size, parent = _read_metadata(window, at)
    return Facts(format="vhdx", virtual_size_bytes=size, backing_file="parent" if parent else None)


def _find_region(window: Window) -> int:
    table = window.get(_REGION_TABLE, 64 << 10)
    signature, _, count, _ = struct.unpack_from("<4sIII", table)
    if signature != b"regi" or count > _ENTRIES_MAX:
        raise Flaw("has no valid region table")
    for i in range(count):
        guid, offset, _, _ = struct.unpack_from("<16sQII", table, 16 + 32 * i)
        if guid == _METADATA_REGION:
            return int(offset)
    raise Flaw("has no metadata region")


def _read_metadata(window: Window, at: int) -> tuple[int, bool]:
    table = window.get(at, 64 << 10)
    if table[:8] != b"metadata":
        raise Flaw("has no valid metadata table")
    count = int.from_bytes(table[10:12], "little")
    size: int | None = None
    parent = False
    for i in range(min(count, _ENTRIES_MAX)):
        entry = table[32 + 32 * i : 64 + 32 * i]
        offset = int.from_bytes(entry[16:20], "little")
        if entry[:16] == _VIRTUAL_SIZE:
            size = window.unpack("<Q", at + offset)[0]
        elif entry[:16] == _FILE_PARAMETERS:
            parent = bool(window.unpack("<II", at + offset)[1] & _HAS_PARENT)
    if size is None:
        raise Flaw("does not say how large its disk is")
    return size, parent
