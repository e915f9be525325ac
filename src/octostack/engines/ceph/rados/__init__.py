# SPDX-License-Identifier: Apache-2.0
"""Our client: objects of a Ceph cluster from asyncio, of ours as of a real one.

`Cluster` connects, by the files that Ceph's own programs read (`files`). `Pool` reads and writes
objects. `core.ops` has vectors of operations, `locks` the lock class, `watches` what is heard of
objects, `listing` cursors. Errors are kinds of `octostack.base.errors` with the errno kept
(`core.failures`).

Inside: `monitors` keeps the session with the monitors, `objecter` those with OSDs, after the
decisions of `core.tracker`; `auth` proves who we are. Start with the tracker's essay.
"""

from octostack.engines.ceph.rados.cluster import Cluster
from octostack.engines.ceph.rados.core.ops import ReadOp, WriteOp
from octostack.engines.ceph.rados.files import load
from octostack.engines.ceph.rados.pool import Pool

__all__ = ["Cluster", "Pool", "ReadOp", "WriteOp", "load"]
