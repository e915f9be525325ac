# SPDX-License-Identifier: Apache-2.0
"""qcow2, versions 2 and 3, as docs/interop/qcow2.txt of QEMU describes it."""

import msgspec

from octostack.wire.diskformats.facts import Facts
from octostack.wire.diskformats.window import Flaw, Window

MAGIC = b"QFI\xfb"

INCOMPATIBLE_DIRTY = 1 << 0
INCOMPATIBLE_CORRUPT = 1 << 1
INCOMPATIBLE_DATA_FILE = 1 << 2
INCOMPATIBLE_COMPRESSION = 1 << 3
INCOMPATIBLE_EXTENDED_L2 = 1 << 4
_KNOWN = (1 << 5) - 1

_EXTENSION_END = 0
_EXTENSION_BACKING_FORMAT = 0xE2792ACA
_EXTENSION_DATA_FILE = 0x44415441
_EXTENSIONS_MAX = 32
_NAME_BYTES_MAX = 1023
_L1_BYTES_MAX = 32 << 20  # QEMU's own limit
_V2 = ">4sIQIIQIIQQIIQ"  # 72 bytes
_V3 = ">QQQII"  # 32 more


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The header's fields, and what its extensions say."""

    version: int
    size_bytes: int
    cluster_bits: int
    backing_file: str | None
    backing_format: str | None
    data_file: str | None
    crypt_method: int
    l1_size: int
    l1_offset: int
    refcount_offset: int
    snapshots: int
    incompatible: int


def parse(window: Window) -> Facts:
    """The facts of a qcow2 image. Raises Need, Flaw."""
    header = read_header(window)
    return Facts(
        format="qcow2",
        virtual_size_bytes=header.size_bytes,
        backing_file=header.backing_file,
        data_file=header.data_file,
        encrypted=header.crypt_method != 0,
        variant=str(header.version),
        needs_bytes=max(header.l1_offset + header.l1_size * 8, header.refcount_offset + 1),
        flaw=_flaw(header),
    )


def read_header(window: Window) -> Header:
    """The header of a qcow2 image. Raises Need, Flaw."""
    fields = window.unpack(_V2, 0)
    _, version, backing_offset, backing_length, cluster_bits, size, crypt, l1_size = fields[:8]
    l1_offset, refcount_offset, _, snapshots, _ = fields[8:]
    if version not in (2, 3):
        raise Flaw(f"version {version} is unknown")
    if not 9 <= cluster_bits <= 21:
        raise Flaw(f"clusters of 2^{cluster_bits} bytes are not allowed")
    incompatible, header_length = 0, 72
    if version == 3:
        incompatible, _, _, _, header_length = window.unpack(_V3, 72)
        if not 104 <= header_length <= 1 << cluster_bits:
            raise Flaw(f"a header of {header_length} bytes is not allowed")
    end = min(backing_offset or 1 << cluster_bits, 1 << cluster_bits)
    extensions = _extensions(window, header_length, end)
    data_file = None
    if incompatible & INCOMPATIBLE_DATA_FILE or _EXTENSION_DATA_FILE in extensions:
        data_file = _text(extensions.get(_EXTENSION_DATA_FILE, b""))
    backing_format = extensions.get(_EXTENSION_BACKING_FORMAT)
    return Header(
        version=version,
        size_bytes=size,
        cluster_bits=cluster_bits,
        backing_file=_backing(window, backing_offset, backing_length, 1 << cluster_bits),
        backing_format=None if backing_format is None else _text(backing_format),
        data_file=data_file,
        crypt_method=crypt,
        l1_size=l1_size,
        l1_offset=l1_offset,
        refcount_offset=refcount_offset,
        snapshots=snapshots,
        incompatible=incompatible,
    )


def _extensions(window: Window, offset: int, end: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for _ in range(_EXTENSIONS_MAX):
        if offset + 8 > end:
            return found
        if window.size_bytes is not None and not window.fits(offset, 8):
            return found  # a version 2 file may end right after its header
        kind, length = window.unpack(">II", offset)
        if kind == _EXTENSION_END:
            return found
        if length > end - offset - 8:
            raise Flaw("a header extension is longer than the header")
        named = kind in (_EXTENSION_BACKING_FORMAT, _EXTENSION_DATA_FILE)
        found[kind] = window.get(offset + 8, min(length, _NAME_BYTES_MAX)) if named else b""
        offset += 8 + (length + 7 & ~7)
    raise Flaw("too many header extensions")


def _backing(window: Window, offset: int, length: int, cluster: int) -> str | None:
    if offset == 0:
        return None
    if not 0 < length <= _NAME_BYTES_MAX or offset + length > cluster:
        raise Flaw("the backing file's name lies outside the header")
    return _text(window.get(offset, length))


def _flaw(header: Header) -> str | None:
    cluster = 1 << header.cluster_bits
    if header.incompatible & ~_KNOWN:
        return f"qcow2 needs unknown features {header.incompatible & ~_KNOWN:#x}"
    if header.incompatible & INCOMPATIBLE_CORRUPT:
        return "qcow2 image is marked corrupt"
    if header.crypt_method not in (0, 1, 2):
        return f"qcow2 encryption {header.crypt_method} is unknown"
    entry = 16 if header.incompatible & INCOMPATIBLE_EXTENDED_L2 else 8
    per_l1_entry = cluster * (cluster // entry)
    if header.size_bytes > header.l1_size * per_l1_entry:
        return "qcow2 claims a larger disk than its tables can hold"
    if header.l1_size * 8 > _L1_BYTES_MAX:
        return "qcow2 L1 table is too large"
    if header.l1_offset % cluster or header.refcount_offset % cluster:
        return "qcow2 tables do not lie on cluster bounds"
    return None


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("utf-8", "backslashreplace")
