# SPDX-License-Identifier: Apache-2.0
"""The directory of a storage cluster: what the cluster is made of, and its daemons' addresses."""

import contextlib
import socket
import uuid
from pathlib import Path
from typing import Final

import msgspec

from octostack.base import ids
from octostack.base.errors import Invalid, NotFound

_SETTINGS = "cluster.json"
_FOUNDING = "founding"
HOST: Final = "127.0.0.1"
ONE, EACH = "one", "each"  # process for all daemons, or for each of them
MONITORS_MAX: Final = 7


class Cluster(msgspec.Struct, frozen=True):
    """What a cluster is made of, as the file in its directory says."""

    fsid: str
    monitors: dict[str, int]  # name -> port
    osds: tuple[str, ...]  # unique ids
    auth: str
    osd_bytes: int  # size of an OSD's disk; 0: its objects are in memory, and end with the process
    processes: str = EACH

    @property
    def daemons(self) -> tuple[str, ...]:
        """``mon.a``, ``osd.0``: all, in the order in which they are started."""
        monitors = (f"mon.{name}" for name in self.monitors)
        return (*monitors, *(f"osd.{number}" for number in range(len(self.osds))))


class Wanted(msgspec.Struct, frozen=True):
    """What a new cluster is to be."""

    mons: int = 1
    osds: int = 3
    auth: str = "cephx"
    port: int = 0  # of the first monitor; 0 takes a free one
    osd_gib: float = 16.0  # a file that takes as much as is written; 0: memory
    processes: str = EACH


def find(directory: Path) -> Cluster | None:
    """What the directory holds."""
    try:
        return msgspec.json.decode((directory / _SETTINGS).read_bytes(), type=Cluster)
    except FileNotFoundError:
        return None


def get(directory: Path) -> Cluster:
    """The same. Raises NotFound."""
    cluster = find(directory)
    if cluster is None:
        raise NotFound(f"{directory} holds no cluster.", code="ceph.no_cluster")
    return cluster


def make(directory: Path, wanted: Wanted) -> Cluster:
    """A new one: its settings and ceph.conf; whoever starts it first founds it. Raises Invalid."""
    if not 1 <= wanted.mons <= MONITORS_MAX:
        what = f"A cluster has 1 to {MONITORS_MAX} monitors."
        raise Invalid(what, code="ceph.mons", field="mons")
    if wanted.osds < 1:
        raise Invalid("A cluster has at least one OSD.", code="ceph.osds", field="osds")
    directory.mkdir(parents=True, exist_ok=True)
    ports = _free_ports(wanted.mons)
    if wanted.port:
        ports = [wanted.port + n for n in range(wanted.mons)]
    cluster = Cluster(
        ids.new(),
        {"abcdefg"[n]: port for n, port in enumerate(ports)},
        tuple(ids.new() for _ in range(wanted.osds)),
        wanted.auth,
        int(wanted.osd_gib * (1 << 30)),
        wanted.processes,
    )
    (directory / _FOUNDING).touch()
    write(directory, cluster)
    return cluster


def write(directory: Path, cluster: Cluster) -> None:
    """The settings and ceph.conf of a cluster, each at once."""
    texts = {"ceph.conf": _conf(directory, cluster).encode()}
    texts[_SETTINGS] = msgspec.json.encode(cluster)
    for name, text in texts.items():
        new = directory / f"{name}.new"
        new.write_bytes(text)
        new.rename(directory / name)


def check_monitor(cluster: Cluster, name: str) -> None:
    """Whether a monitor of this name can be added. Raises Invalid."""
    if cluster.processes == ONE:
        what = "All daemons of this cluster are in one process."
        raise Invalid(what, code="ceph.one_process", field="daemons")
    if not name.isalnum() or len(cluster.monitors) >= MONITORS_MAX:
        what = f"A cluster has at most {MONITORS_MAX} monitors, of letters and digits."
        raise Invalid(what, code="ceph.mons", field="daemons")


def free_port() -> int:
    """One that nobody listens at."""
    return _free_ports(1)[0]


def is_founded(directory: Path) -> bool:
    """Whether its keys and first maps are there, all of them."""
    return not (directory / _FOUNDING).exists()


def set_founded(directory: Path) -> None:
    """They are."""
    (directory / _FOUNDING).unlink()


def osd_ids(cluster: Cluster) -> tuple[uuid.UUID, ...]:
    """The unique ids of the OSDs, in the order of their numbers."""
    return tuple(uuid.UUID(text) for text in cluster.osds)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in socks:
            sock.bind((HOST, 0))
        return sorted(sock.getsockname()[1] for sock in socks)  # ranks are by address


def _conf(directory: Path, cluster: Cluster) -> str:
    hosts = ",".join(f"[v2:{HOST}:{port}]" for port in cluster.monitors.values())
    return f"""[global]
fsid = {cluster.fsid}
mon host = {hosts}
auth cluster required = {cluster.auth}
auth service required = {cluster.auth}
auth client required = {cluster.auth}
keyring = {directory}/keyring
log file = /dev/null
admin socket =
"""
