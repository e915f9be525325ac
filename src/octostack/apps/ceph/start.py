# SPDX-License-Identifier: Apache-2.0
"""Starting and stopping a storage cluster, or single daemons of one that has a process for each."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from octostack.apps.ceph import cluster as clusters
from octostack.apps.ceph import joining, units
from octostack.apps.ceph.cluster import Cluster, Wanted
from octostack.base.errors import Conflict, OctoError, Unavailable

_LOG_TAIL_LINES = 15


def up(directory: Path, wanted: Wanted, names: Sequence[str] = ()) -> Cluster:
    """Start what does not run, of all daemons or of those named; the cluster is made if need be.

    Returns when all OSDs are up and all groups are clean, or when the named daemons are up.
    A monitor that is named and that the cluster does not have joins it.
    Raises Conflict when all runs already, Unavailable when something does not start.
    """
    directory = directory.absolute()
    cluster = clusters.find(directory)
    for name in names if cluster else ():
        kind, _, rest = name.partition(".")
        if cluster and kind == "mon" and rest and name not in cluster.daemons:
            cluster = joining.join(directory, cluster, rest)
    cluster = cluster or clusters.make(directory, wanted)
    if all(unit.pid() for unit in units.choose(directory, cluster, names)):
        raise Conflict(f"The cluster in {directory} runs already.", code="ceph.running")
    _launch(directory, names)
    return cluster


def down(directory: Path, timeout_s: float, names: Sequence[str] = ()) -> bool:
    """Stop what runs, of all or of those named, OSDs first; whether any ran. Raises Timeout."""
    directory = directory.absolute()
    chosen = units.choose(directory, clusters.get(directory), names)
    ran = [unit.terminate(timeout_s) for unit in reversed(chosen)]
    return any(ran)


def _launch(directory: Path, names: Sequence[str]) -> None:
    """Start a process in a session of its own; wait until it says that all is ready.

    It becomes the cluster itself, or starts the processes of the cluster and ends.
    """
    process = "octostack.apps.ceph.process"
    reading, writing = os.pipe()
    log_path = directory / "log"
    with log_path.open("ab") as log_file:
        subprocess.Popen(
            [sys.executable, "-m", process, str(directory), str(writing), *names],
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            pass_fds=(writing,),
            start_new_session=True,
            cwd="/",
        )
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    if said == b"ready":
        return
    if said:
        raise OctoError(said.decode(), code="ceph.start")
    tail = log_path.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    raise Unavailable("The cluster did not start. The log ends so:\n" + "\n".join(tail))
