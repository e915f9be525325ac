# SPDX-License-Identifier: Apache-2.0
"""Who speaks (entity name) and where (addresses), as every Ceph message writes them."""

import ipaddress
import re
import struct
from enum import IntEnum

import msgspec

from octostack.base.errors import Invalid
from octostack.wire.ceph.codec import Malformed, Reader, Writer

_AF_INET, _AF_INET6 = 2, 10
_INET = struct.Struct(">2xH4s8x")  # the family before it is little-endian
_INET6 = struct.Struct(">2xHI16sI")
_ADDRESS = struct.Struct("<III")  # type, nonce, length of the socket address
_SOCKADDR_BYTES_MAX = 128


class AddressKind(IntEnum):
    """Which messenger listens there."""

    NONE = 0
    LEGACY = 1
    MSGR2 = 2
    ANY = 3


_KIND_NAMES = {
    AddressKind.NONE: "-",
    AddressKind.LEGACY: "v1",
    AddressKind.MSGR2: "v2",
    AddressKind.ANY: "any",
}


class Address(msgspec.Struct, frozen=True, order=True):
    """One end point. `nonce` tells apart the processes that had the same host and port."""

    kind: int = AddressKind.NONE
    host: str = ""  # an IP address; empty: none is known
    port: int = 0
    nonce: int = 0

    def __str__(self) -> str:
        if not self.host:
            return f"{self._kind_name()}:-/{self.nonce}" if self.nonce else "-"
        return f"{self._kind_name()}:{self.place}/{self.nonce}"

    @property
    def place(self) -> str:
        """``HOST:PORT``, an IPv6 host in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def _kind_name(self) -> str:
        return _KIND_NAMES.get(AddressKind(self.kind), "?") if self.kind <= AddressKind.ANY else "?"


Addresses = tuple[Address, ...]


class EntityType(IntEnum):
    """Kinds of entities; also the bits of services in cephx tickets."""

    MON = 1
    MDS = 2
    OSD = 4
    CLIENT = 8
    MGR = 16
    AUTH = 32


TYPE_NAMES = {
    EntityType.MON: "mon",
    EntityType.MDS: "mds",
    EntityType.OSD: "osd",
    EntityType.CLIENT: "client",
    EntityType.MGR: "mgr",
    EntityType.AUTH: "auth",
}
TYPES_BY_NAME = {name: kind for kind, name in TYPE_NAMES.items()}


class EntityName(msgspec.Struct, frozen=True, order=True):
    """``client.4123``, ``osd.0``: a type and the number that a monitor or the map gave."""

    kind: int = 0
    number: int = 0

    def __str__(self) -> str:
        name = TYPE_NAMES.get(EntityType(self.kind), "?") if self.kind in TYPE_NAMES else "unknown"
        return f"{name}.{'?' if self.number < 0 else self.number}"


class EntityInst(msgspec.Struct, frozen=True, order=True):
    """An entity at an address."""

    name: EntityName = EntityName()
    address: Address = Address()


def read_address(r: Reader) -> Address:
    """One address in either of its two encodings."""
    marker = r.u8()
    if marker == 0:
        return _legacy_address(r)
    if marker != 1:
        raise Malformed(f"an address cannot begin with {marker}", r.position)
    version, outer = r.begin(1)
    if version < 1:
        raise Malformed("an address of version 0", r.position)
    kind, nonce, length = r.unpack(_ADDRESS)
    host, port = _sockaddr(r, length)
    r.finish(outer)
    return Address(kind, host, port, nonce)


def _legacy_address(r: Reader) -> Address:
    r.skip(3)
    nonce = r.u32()
    raw = r.take(_SOCKADDR_BYTES_MAX)
    # of old the family was in network order
    family = int.from_bytes(raw[:2], "big")
    inner = Reader(family.to_bytes(2, "little") + bytes(raw[2:]))
    host, port = _sockaddr(inner, 16 if family == _AF_INET else 28)
    return Address(AddressKind.LEGACY if host else AddressKind.NONE, host, port, nonce)


def _sockaddr(r: Reader, length: int) -> tuple[str, int]:
    if length == 0:
        return "", 0
    if not 2 <= length <= _SOCKADDR_BYTES_MAX:
        raise Malformed(f"a socket address of {length} bytes", r.position)
    raw = r.take(length)
    family = int.from_bytes(raw[:2], "little")
    if family == _AF_INET and length >= _INET.size:
        port, packed = _INET.unpack_from(raw)
        return str(ipaddress.IPv4Address(packed)), port
    if family == _AF_INET6 and length >= _INET6.size:
        port, _, packed, _ = _INET6.unpack_from(raw)
        return str(ipaddress.IPv6Address(packed)), port
    return "", 0


def write_address(w: Writer, address: Address) -> None:
    """In the encoding of messenger v2."""
    raw = raw_sockaddr(address)
    w.u8(1)
    with w.versioned(1, 1):
        w.pack(_ADDRESS, address.kind, address.nonce, len(raw))
        w.raw(raw)


def raw_sockaddr(address: Address) -> bytes:
    """The socket address as the kernel has it on a little-endian machine."""
    if not address.host:
        return bytes(16) if address.kind else b""
    ip = ipaddress.ip_address(address.host)
    if ip.version == 4:
        raw, family = _INET.pack(address.port, ip.packed), _AF_INET
    else:
        raw, family = _INET6.pack(address.port, 0, ip.packed, 0), _AF_INET6
    return family.to_bytes(2, "little") + raw[2:]


def read_addresses(r: Reader) -> Addresses:
    """A vector of addresses, or one alone as older peers write it."""
    marker = r.u8()
    if marker == 2:
        return tuple(r.vector(lambda: read_address(r), 7))
    if marker == 0:
        address = _legacy_address(r)
    elif marker == 1:
        _, outer = r.begin(1)
        kind, nonce, length = r.unpack(_ADDRESS)
        address = Address(kind, *_sockaddr(r, length), nonce)
        r.finish(outer)
    else:
        raise Malformed(f"addresses cannot begin with {marker}", r.position)
    return (address,) if address.host or address.nonce else ()


def write_addresses(w: Writer, addresses: Addresses) -> None:
    """A vector of addresses."""
    w.u8(2)
    w.u32(len(addresses))
    for address in addresses:
        write_address(w, address)


def read_name(r: Reader) -> EntityName:
    """u8 type, s64 number."""
    return EntityName(r.u8(), r.s64())


def write_name(w: Writer, name: EntityName) -> None:
    """u8 type, s64 number."""
    w.u8(name.kind)
    w.s64(name.number)


def read_inst(r: Reader) -> EntityInst:
    """A name and an address."""
    return EntityInst(read_name(r), read_address(r))


def write_inst(w: Writer, inst: EntityInst) -> None:
    """A name and an address."""
    write_name(w, inst.name)
    write_address(w, inst.address)


def msgr2(addresses: Addresses) -> Address | None:
    """The one that speaks messenger v2."""
    return next((a for a in addresses if a.kind == AddressKind.MSGR2), None)


_PLACE = re.compile(
    r"(?:(?P<kind>v1|v2|any):)?(?:\[(?P<six>[0-9a-fA-F:]+)\]|(?P<four>[0-9.]+))"
    r"(?::(?P<port>\d+))?(?:/(?P<nonce>\d+))?"
)
_KINDS = {"v1": AddressKind.LEGACY, "v2": AddressKind.MSGR2, "any": AddressKind.ANY}


def parse(text: str, default: AddressKind = AddressKind.MSGR2) -> Address:
    """``v2:10.0.0.1:3300/0`` and shorter forms. Raises Invalid."""
    match = _PLACE.fullmatch(text.strip())
    if not match:
        raise Invalid(f"Not an address: {text}", code="ceph.address")
    kind = _KINDS[match["kind"]] if match["kind"] else default
    host = match["six"] or match["four"]
    try:
        host = str(ipaddress.ip_address(host))
    except ValueError as error:
        raise Invalid(f"Not an address: {text}", code="ceph.address") from error
    return Address(kind, host, int(match["port"] or 0), int(match["nonce"] or 0))


def parse_many(text: str) -> Addresses:
    """``[v2:A,v1:B]`` or one address. Raises Invalid."""
    text = text.strip()
    if text.startswith("[v") and text.endswith("]"):
        return tuple(parse(part) for part in text[1:-1].split(","))
    return (parse(text),)


def format_many(addresses: Addresses) -> str:
    """As Ceph prints a vector: ``[v2:A/0,v1:B/0]``, one alone without brackets."""
    if len(addresses) == 1:
        return str(addresses[0])
    return "[" + ",".join(map(str, addresses)) + "]"
