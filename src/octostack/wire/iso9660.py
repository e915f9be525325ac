# SPDX-License-Identifier: Apache-2.0
"""Small ISO 9660 images, for config drives.

Two trees over the same file data: the plain one of ECMA-119 with Rock Ridge names (Linux, BSD),
and a Joliet one (Windows). Names in the plain tree are numbers; nobody reads them.
"""

import struct
from collections.abc import Mapping
from typing import Any

from octostack.base.errors import Invalid

SECTOR = 2048
_DATE = bytes((126, 1, 1, 0, 0, 0, 0))  # 2026-01-01: the same content gives the same bytes
_LONG_DATE = b"2026010100000000\0"
_NO_DATE = b"0" * 16 + b"\0"
# Readers that look for other file systems first give up on an image that ends before the places
# where those would be (busybox findfs at 68 KiB), and read-ahead likes to go beyond the end.
_PADDING_SECTORS = 150
_NAME_BYTES_MAX = 110  # Joliet's 64 characters, and room for the record in Rock Ridge


class _Node:
    """A file or a directory; `at` is its first sector in the tree being written."""

    def __init__(self, name: str, parent: "_Node | None", data: bytes | None = None) -> None:
        self.name = name
        self.parent = parent or self
        self.data = data
        self.children: dict[str, _Node] = {}
        self.at = 0
        self.length = 0
        self.number = 0  # in the path table


def build(files: Mapping[str, bytes], label: str) -> bytes:
    """An image with these files, ``a/b/c.json`` by name; directories come by themselves.

    Raises Invalid for a name that no reader could show.
    """
    root, directories, leaves = _plant(files)
    # System area, three descriptors, then for each tree: two path tables, and the directories.
    sector = 16 + 3
    layouts = []
    for joliet in (False, True):
        table = _path_table(directories, joliet, "<")
        tables = (sector, sector + _sectors(len(table)))
        sector = tables[1] + _sectors(len(table))
        places = []
        for directory in directories:
            size = _sectors(_directory_length(directory, joliet)) * SECTOR
            places.append((sector, size))
            sector += size // SECTOR
        layouts.append((joliet, tables, len(table), places))
    for leaf in leaves:
        leaf.at, leaf.length = sector, len(leaf.data or b"")
        sector += _sectors(leaf.length)
    out = bytearray((sector + _PADDING_SECTORS) * SECTOR)
    for leaf in leaves:
        _put(out, leaf.at, leaf.data or b"")
    for joliet, tables, table_length, places in layouts:
        for directory, (at, size) in zip(directories, places, strict=True):
            directory.at, directory.length = at, size
        _put(out, tables[0], _path_table(directories, joliet, "<"))
        _put(out, tables[1], _path_table(directories, joliet, ">"))
        for directory in directories:
            _put(out, directory.at, _directory(directory, joliet))
        descriptor = _descriptor(root, label, sector, (*tables, table_length), joliet)
        _put(out, 17 if joliet else 16, descriptor)
    _put(out, 18, b"\xffCD001\x01")
    return bytes(out)


def _plant(files: Mapping[str, bytes]) -> tuple[_Node, list[_Node], list[_Node]]:
    root = _Node("", None)
    directories, leaves = [root], []
    for path in sorted(files):
        *above, name = path.strip("/").split("/")
        node = root
        for part in above:
            if part not in node.children:
                node.children[part] = _Node(_checked(part), node)
                directories.append(node.children[part])
            node = node.children[part]
            if node.data is not None:
                raise Invalid(f"{path}: a file cannot hold files", field=path)
        if name in node.children:
            raise Invalid(f"{path}: given twice", field=path)
        node.children[name] = _Node(_checked(name), node, files[path])
        leaves.append(node.children[name])
    # Path tables go by level, and a parent's number must come before its children's.
    directories.sort(key=_depth)
    for number, directory in enumerate(directories, 1):
        directory.number = number
    return root, directories, leaves


def _checked(name: str) -> str:
    if name in ("", ".", "..") or "\0" in name or len(name.encode()) > _NAME_BYTES_MAX:
        raise Invalid(f"{name!r} cannot name a file on a config drive", field=name)
    return name


def _depth(node: _Node) -> int:
    return 0 if node.parent is node else 1 + _depth(node.parent)


def _identifier(node: _Node, joliet: bool, index: int) -> bytes:
    if joliet:
        return node.name[:64].encode("utf-16-be")
    return b"%08d" % index if node.data is None else b"%08d.;1" % index


def _children(directory: _Node, joliet: bool) -> list[tuple[bytes, _Node]]:
    nodes = [directory.children[name] for name in sorted(directory.children)]
    return sorted(((_identifier(n, joliet, i), n) for i, n in enumerate(nodes)), key=lambda p: p[0])


def _directory_length(directory: _Node, joliet: bool) -> int:
    return len(_directory(directory, joliet))


def _directory(directory: _Node, joliet: bool) -> bytes:
    """The records of a directory; none crosses a sector's end."""
    is_root = directory.parent is directory
    first = b"" if joliet else (_SHARING if is_root else b"") + _attributes(directory)
    records = [
        _record(b"\0", directory, first),
        _record(b"\1", directory.parent, b"" if joliet else _attributes(directory.parent)),
    ]
    for identifier, node in _children(directory, joliet):
        extra = b"" if joliet else _attributes(node) + _alternate_name(node)
        records.append(_record(identifier, node, extra))
    out = bytearray()
    for record in records:
        if len(out) % SECTOR + len(record) > SECTOR:
            out += bytes(-len(out) % SECTOR)
        out += record
    return bytes(out)


def _record(identifier: bytes, node: _Node, extra: bytes) -> bytes:
    name = identifier + bytes(1 - len(identifier) % 2)
    flags = 2 if node.data is None else 0
    body = b"".join(
        (
            b"\0",
            _both32(node.at),
            _both32(node.length),
            _DATE,
            bytes((flags, 0, 0)),
            _both16(1),
            bytes((len(identifier),)),
            name,
            extra,
        )
    )
    length = len(body) + 1
    return bytes((length + length % 2,)) + body + bytes(length % 2)


# SUSP 5.3 (SP) and the reference to Rock Ridge 1.09 (RR is implied by PX and NM).
_SHARING = b"SP\x07\x01\xbe\xef\x00"


def _attributes(node: _Node) -> bytes:
    mode, links = (0o040555, 2) if node.data is None else (0o100444, 1)
    fields = b"".join(_both32(v) for v in (mode, links, 0, 0))
    return b"PX" + bytes((4 + len(fields), 1)) + fields


def _alternate_name(node: _Node) -> bytes:
    name = node.name.encode()
    return b"NM" + bytes((5 + len(name), 1, 0)) + name


def _path_table(directories: list[_Node], joliet: bool, order: str) -> bytes:
    out = bytearray()
    for directory in directories:
        identifier = b"\0"
        if directory.parent is not directory:
            siblings = _children(directory.parent, joliet)
            identifier = next(name for name, node in siblings if node is directory)
        out += struct.pack(
            f"{order}BBIH", len(identifier), 0, directory.at, directory.parent.number
        )
        out += identifier + bytes(len(identifier) % 2)
    return bytes(out)


def _descriptor(
    root: _Node, label: str, sectors: int, tables: tuple[int, int, int], joliet: bool
) -> bytes:
    def text(value: str, length: int) -> bytes:
        if joliet:
            raw = value.encode("utf-16-be")[: length // 2 * 2]
            return (raw + " ".encode("utf-16-be") * length)[:length]
        return value.encode("ascii", "replace").ljust(length)[:length]

    little, big, table_length = tables
    fields: list[Any] = [
        bytes((2 if joliet else 1,)), b"CD001", b"\x01", b"\0",
        text("", 32), text(label, 32), bytes(8), _both32(sectors),
        (b"%/E" if joliet else b"").ljust(32, b"\0"),  # UCS-2 level 3
        _both16(1), _both16(1), _both16(SECTOR), _both32(table_length),
        struct.pack("<II", little, 0), struct.pack(">II", big, 0),
        _record(b"\0", root, b""),
        text("", 128), text("", 128), text("", 128), text("OCTOSTACK", 128),
        text("", 37), text("", 37), text("", 37),
        _LONG_DATE, _LONG_DATE, _NO_DATE, _NO_DATE, b"\x01\0",
    ]  # fmt: skip
    return b"".join(fields).ljust(SECTOR, b"\0")


def _both16(value: int) -> bytes:
    return struct.pack("<H", value) + struct.pack(">H", value)


def _both32(value: int) -> bytes:
    return struct.pack("<I", value) + struct.pack(">I", value)


def _sectors(length: int) -> int:
    return -(-length // SECTOR)


def _put(out: bytearray, sector: int, data: bytes) -> None:
    out[sector * SECTOR : sector * SECTOR + len(data)] = data
