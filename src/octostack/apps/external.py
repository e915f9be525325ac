# SPDX-License-Identifier: Apache-2.0
"""Which external network a cloud has, where several live on one machine.

Each has a /24 of its own for floating addresses, chosen at its first start. A claim is a file
named after the network, which holds the cloud's state directory: the route alone does not say that
a network is taken, as it is away while its cloud is down.
"""

import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from octostack.base import log
from octostack.base.errors import Unavailable

CLAIMS = Path("/run/octostack/external")
ROUTES = Path("/proc/net/route")

_log = log.get("host")


def claim(state_dir: Path, wanted: str, claims: Path = CLAIMS) -> str:
    """Note that a cloud has the network `wanted`, or a free one if that is empty; which.

    A network is the first three octets of its addresses. Raises Unavailable when all are taken.
    """
    with _held(claims):
        others = {net: owner for net, owner in _read(claims) if owner != state_dir.resolve()}
        chosen = wanted or free(ROUTES.read_text(), others)
        if chosen in others:
            _log.error("two clouds have one external network", net=chosen, other=others[chosen])
        else:
            (claims / chosen).write_text(str(state_dir.resolve()))
    return chosen


def release(state_dir: Path, claims: Path = CLAIMS) -> None:
    """Give back what a cloud has claimed."""
    if not os.access(claims, os.W_OK):
        return  # none was ever made, or not by this user
    with _held(claims):
        for net, owner in _read(claims):
            if owner == state_dir.resolve():
                (claims / net).unlink()


def free(route_table: str, taken: Collection[str] = ()) -> str:
    """A network that is not taken and that this machine does not route.

    `route_table` is the text of /proc/net/route (proc(5)). Raises Unavailable.
    """
    rows = [line.split() for line in route_table.splitlines()[1:]]
    routes = [(_address(row[1]), _address(row[7])) for row in rows if _address(row[7])]
    for third in range(4, 64):
        candidate = 172 << 24 | 24 << 16 | third << 8
        routed = any((candidate ^ network) & mask & 0xFFFFFF00 == 0 for network, mask in routes)
        if not routed and f"172.24.{third}" not in taken:
            return f"172.24.{third}"
    raise Unavailable("Every /24 of 172.24.0.0/18 is taken or routed here: set [network] first")


def _address(little_endian_hex: str) -> int:
    """Hex in the machine's byte order, as a number in the network's."""
    return int.from_bytes(int(little_endian_hex, 16).to_bytes(4, "little"))


@contextmanager
def _held(claims: Path) -> Iterator[None]:
    claims.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (claims / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(claims: Path) -> Iterator[tuple[str, Path]]:
    """The claims of clouds that are still there."""
    for file in sorted(claims.glob("[0-9]*")):
        owner = Path(file.read_text())
        if owner.is_dir():
            yield file.name, owner
        else:
            file.unlink()
