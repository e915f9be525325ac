# SPDX-License-Identifier: Apache-2.0
"""The directory of a storage cluster, and starting and stopping the process that runs it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import msgspec

from octostack.base import ids
from octostack.base.errors import Conflict, Invalid, NotFound, OctoError, Timeout, Unavailable

_SETTINGS = "cluster.json"
_PID = "pid"
_LOG = "log"
_LOG_TAIL_LINES = 15
_STOP_POLL_S = 0.02
HOST = "127.0.0.1"


class Cluster(msgspec.Struct, frozen=True):
    """What a cluster is made of, as the file in its directory says."""

    fsid: str
    monitors: dict[str, int]  # name -> port
    osds: tuple[str, ...]  # unique ids
    auth: str
    osd_bytes: int  # size of an OSD's disk; 0: its objects are in memory, and end with the process


class Wanted(msgspec.Struct, frozen=True):
    """What a new cluster is to be."""

    mons: int = 1
    osds: int = 3
    auth: str = "cephx"
    port: int = 0  # of the first monitor; 0 takes a free one
    osd_gib: float = 16.0  # a file that takes as much as is written; 0: memory


def up(directory: Path, wanted: Wanted) -> Cluster:
    """Start the cluster, made first if there is none; returns when all OSDs are up.

    Raises Conflict when it runs already, Unavailable when it does not start.
    """
    directory = directory.absolute()
    if running(directory) is not None:
        raise Conflict(f"The cluster in {directory} runs already.", code="ceph.running")
    cluster = find(directory) or _found(directory, wanted)
    _launch(directory)
    return cluster


def down(directory: Path, timeout_s: float) -> bool:
    """Stop it; whether it ran. Raises Timeout."""
    pid = running(directory.absolute())
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.perf_counter() + timeout_s
    while running(directory) is not None:
        if time.perf_counter() > deadline:
            raise Timeout(f"Process {pid} does not stop.", code="ceph.stuck")
        time.sleep(_STOP_POLL_S)
    return True


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


def running(directory: Path) -> int | None:
    """The process that runs it."""
    try:
        pid = int((directory / _PID).read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if str(directory.absolute()).encode() in words else None


def _found(directory: Path, wanted: Wanted) -> Cluster:
    if wanted.mons != 1:
        raise Invalid("Only one monitor is offered yet.", code="ceph.mons", field="mons")
    if wanted.osds < 1:
        raise Invalid("A cluster has at least one OSD.", code="ceph.osds", field="osds")
    directory.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(
        ids.new(),
        {"a": wanted.port or _free_port()},
        tuple(ids.new() for _ in range(wanted.osds)),
        wanted.auth,
        int(wanted.osd_gib * (1 << 30)),
    )
    (directory / "ceph.conf").write_text(_conf(directory, cluster))
    (directory / _SETTINGS).write_bytes(msgspec.json.encode(cluster))
    return cluster


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


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


def _launch(directory: Path) -> None:
    """Start the process in a session of its own; wait until it says that it is ready."""
    reading, writing = os.pipe()
    with (directory / _LOG).open("ab") as log_file:
        process = subprocess.Popen(
            [sys.executable, "-m", "octostack.apps.ceph.process", str(directory), str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            pass_fds=(writing,),
            start_new_session=True,
            cwd="/",
        )
    (directory / _PID).write_text(str(process.pid))
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    if said == b"ready":
        return
    if said:
        raise OctoError(said.decode(), code="ceph.start")
    tail = (directory / _LOG).read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    raise Unavailable("The cluster did not start. The log ends so:\n" + "\n".join(tail))


def osd_ids(cluster: Cluster) -> tuple[uuid.UUID, ...]:
    """The unique ids of the OSDs, in the order of their numbers."""
    return tuple(uuid.UUID(text) for text in cluster.osds)
