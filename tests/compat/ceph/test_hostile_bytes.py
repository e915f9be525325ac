# SPDX-License-Identifier: Apache-2.0
"""Garbage, half frames and huge lengths at the ports of running daemons: dropped, and no harm."""

import json
import random
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from octostack.wire.ceph import frames, handshake
from octostack.wire.ceph.addresses import Address

pytestmark = pytest.mark.compat
Run = Callable[..., subprocess.CompletedProcess[bytes]]
TIMEOUT_S = 20.0


def ports(ceph: Run) -> list[int]:
    """Of the monitor and of each OSD."""
    mons = json.loads(ceph("ceph", "mon", "dump", "-f", "json").stdout)["mons"]
    osds = json.loads(ceph("ceph", "osd", "dump", "-f", "json").stdout)["osds"]
    found = [m["public_addrs"]["addrvec"][0]["addr"] for m in mons]
    found += [o["public_addrs"]["addrvec"][0]["addr"] for o in osds]
    return [int(place.rpartition(":")[2]) for place in found]


def drops(port: int, data: bytes) -> bool:
    """Whether the daemon ends a connection on which `data` came."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as sock:
        sock.settimeout(TIMEOUT_S)
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(1 << 16):
                pass
        except ConnectionError:
            pass
    return True


def resident_kib(ceph_dir: Path) -> int:
    """Of all daemons together."""
    statuses = [
        Path(f"/proc/{file.read_text()}/status").read_text() for file in ceph_dir.glob("*/pid")
    ]
    assert len(statuses) == 3
    lines = [line for status in statuses for line in status.splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def hello() -> bytes:
    tag, segment = handshake.encode(handshake.Hello(8, Address(2, "127.0.0.1", 1, 0)))
    return handshake.BANNER + bytes(frames.encode(tag, (segment,))[0])


def huge(tag: int, length: int) -> bytes:
    head = struct.pack("<BBIHIHIHIHBB", tag, 1, length, 8, 0, 0, 0, 0, 0, 0, 0, 0)
    return head + struct.pack("<I", frames.crc32c(head, 0))


def test_nothing_that_comes_does_harm(ceph: Run, pool: str, ceph_dir: Path) -> None:
    rng = random.Random(5)
    before = resident_kib(ceph_dir)
    for port in ports(ceph):
        for _ in range(20):
            assert drops(port, rng.randbytes(rng.randrange(1, 400)))
            assert drops(port, handshake.BANNER + rng.randbytes(rng.randrange(400)))
            assert drops(port, hello() + rng.randbytes(rng.randrange(400)))
        assert drops(port, hello() + huge(2, 0xFFFFFFFF))
        assert drops(port, hello() + huge(17, 0x7FFFFFFF))
        asked, segment = handshake.encode(handshake.AuthRequest(2, (1,), rng.randbytes(60)))
        assert drops(port, hello() + bytes(frames.encode(asked, (segment,))[0]))
    assert resident_kib(ceph_dir) < before + 32 * 1024
    ceph("rados", "-p", pool, "put", "after", "-", data=b"still there")
    assert ceph("rados", "-p", pool, "get", "after", "-").stdout == b"still there"
