# SPDX-License-Identifier: Apache-2.0
"""Tap devices, opened here and handed to QEMU as descriptors: it needs no right over networks."""

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from octostack.base.errors import Unavailable

_TUNSETIFF = 0x400454CA
_IFF_TAP = 0x0002
# No packet information and, left out on purpose, no IFF_VNET_HDR: a userspace switch would pass
# on frames whose checksums the guest left to hardware that is not there.
_IFF_NO_PI = 0x1000


@contextmanager
def opened(names: list[str]) -> Iterator[list[int]]:
    """Descriptors on existing tap devices, ours until the block ends. Raises Unavailable."""
    fds: list[int] = []
    try:
        for name in names:
            fds.append(_open(name))
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


def _open(name: str) -> int:
    try:
        # Not by /sys: that shows the namespace it was mounted in, not ours.
        socket.if_nametoindex(name)
    except OSError as e:
        raise Unavailable(f"network device {name} does not exist", code="tap.missing") from e
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    except OSError as e:
        raise Unavailable(f"/dev/net/tun: {e.strerror}", code="tap.open") from e
    try:
        request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI)
        fcntl.ioctl(fd, _TUNSETIFF, request)
    except OSError as e:
        os.close(fd)
        raise Unavailable(f"network device {name}: {e.strerror}", code="tap.open") from e
    return fd
