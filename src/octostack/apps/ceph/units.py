# SPDX-License-Identifier: Apache-2.0
"""The processes of a storage cluster: which daemons each runs, whether it runs, its end.

A process holds a lock on the file with its number as long as it lives, so that no other process
that has got the same number since is taken for it.
"""

import contextlib
import fcntl
import os
import select
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from octostack.apps.ceph.cluster import ONE, Cluster
from octostack.base.errors import Conflict, Invalid, NotFound, Timeout


class Unit(msgspec.Struct, frozen=True):
    """One process; its files `pid` and `log` lie in `place`."""

    name: str
    daemons: tuple[str, ...]
    place: Path

    @property
    def log_file(self) -> Path:
        """What it says."""
        return self.place / "log"

    def pid(self) -> int | None:
        """The process, while it lives."""
        try:
            with (self.place / "pid").open("r+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read() or 0) or None
        except FileNotFoundError:
            pass
        return None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """For the process itself. Raises Conflict when another lives."""
        self.place.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.place / "pid", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(f"{self.name} runs already.", code="ceph.running") from None
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
            yield
        finally:
            os.close(descriptor)

    def terminate(self, timeout_s: float) -> bool:
        """End it in good order; whether it ran. Raises Timeout."""
        pid = self.pid()
        if pid is None:
            return False
        gone = os.pidfd_open(pid)
        try:
            if self.pid() == pid:
                signal.pidfd_send_signal(gone, signal.SIGTERM)
            poll = select.poll()
            poll.register(gone, select.POLLIN)
            if not poll.poll(timeout_s * 1000):
                raise Timeout(f"Process {pid} does not stop.", code="ceph.stuck")
        finally:
            os.close(gone)
        return True


def list_units(directory: Path, cluster: Cluster) -> tuple[Unit, ...]:
    """All, in the order in which they are started."""
    if cluster.processes == ONE:
        return (Unit("ceph", cluster.daemons, directory),)
    return tuple(Unit(name, (name,), directory / name) for name in cluster.daemons)


def choose(directory: Path, cluster: Cluster, names: Sequence[str]) -> tuple[Unit, ...]:
    """Those that run the daemons of these names, or all. Raises NotFound, Invalid."""
    units = list_units(directory, cluster)
    if not names:
        return units
    if cluster.processes == ONE:
        what = "All daemons of this cluster are in one process."
        raise Invalid(what, code="ceph.one_process", field="daemons")
    for name in names:
        if name not in cluster.daemons:
            raise NotFound(f"The cluster has no {name}.", code="ceph.no_daemon")
    return tuple(unit for unit in units if unit.name in names)
