# SPDX-License-Identifier: Apache-2.0
"""Network devices as the kernel lists them (rtnetlink(7)), in the namespace of who asks.

Not by /sys: that shows the namespace it was mounted in.
"""

import os
import socket
import struct
from collections.abc import Iterator

import msgspec

from octostack.base.errors import NotFound, Unavailable

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type
_ERROR, _DONE = 2, 3
_GET_LINK, _SET_LINK, _NEW_LINK = 18, 19, 16
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_NAME, _LINK_INFO, _ALIAS = 3, 18, 20
_INFO_KIND = 1
_READ_BYTES = 1 << 16
_PATIENCE_S = 5.0


class Link(msgspec.Struct, frozen=True):
    """A device: `kind` is what made it (tun, veth, ...), `alias` what somebody noted on it."""

    name: str
    kind: str
    alias: str


def listed() -> list[Link]:
    """Every device of this namespace. Raises Unavailable."""
    found = _ask(_GET_LINK, _DUMP, _LINK.pack(0, 0, 0, 0, 0))
    return [_read(body) for type_, body in found if type_ == _NEW_LINK]


def note(name: str, alias: str) -> None:
    """Note something on a device. Raises NotFound, Unavailable.

    Nothing is written where it is noted: each write is news for who watches devices, and a switch
    then reads all its routes anew.
    """
    try:
        index = socket.if_nametoindex(name)
    except OSError as e:
        raise NotFound(f"device {name}: {e}", code="device.missing") from e
    held = _ask(_GET_LINK, _ACK, _LINK.pack(0, 0, index, 0, 0))
    if any(_read(body).alias == alias for type_, body in held if type_ == _NEW_LINK):
        return
    data = alias.encode()
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(data), _ALIAS) + data
    for _ in _ask(_SET_LINK, _ACK, _LINK.pack(0, 0, index, 0, 0) + attribute):
        pass


def _read(body: bytes) -> Link:
    found = dict(_attributes(body[_LINK.size :]))
    kind = dict(_attributes(found.get(_LINK_INFO, b""))).get(_INFO_KIND, b"")
    texts = (found.get(_NAME, b""), kind, found.get(_ALIAS, b""))
    return Link(*(text.rstrip(b"\0").decode("utf-8", "replace") for text in texts))


def _ask(type_: int, flags: int, body: bytes) -> Iterator[tuple[int, bytes]]:
    """What the kernel answers, message by message: (type, body)."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(_PATIENCE_S)
        try:
            kernel.send(
                _HEADER.pack(_HEADER.size + len(body), type_, flags | _REQUEST, 1, 0) + body
            )
            while True:
                for got, data in _messages(kernel.recv(_READ_BYTES)):
                    if got == _DONE:
                        return
                    if got == _ERROR:
                        _raise(data)
                        return
                    yield got, data
        except OSError as e:
            raise Unavailable(f"the kernel's devices: {e}", code="device.netlink") from e


def _raise(error: bytes) -> None:
    (number,) = struct.unpack_from("=i", error)
    if number:
        raise OSError(-number, os.strerror(-number))


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        length, type_, *_ = _HEADER.unpack_from(data, at)
        yield type_, data[at + _HEADER.size : at + length]
        at += _aligned(max(length, _HEADER.size))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, type_ = _ATTRIBUTE.unpack_from(data, at)
        yield type_ & 0x3FFF, data[at + _ATTRIBUTE.size : at + length]
        at += _aligned(max(length, _ATTRIBUTE.size))


def _aligned(length: int) -> int:
    return (length + 3) & ~3
