# SPDX-License-Identifier: Apache-2.0
"""Our storage client beside python3-rados, in turn on one cluster of ours that is in memory.

What is counted is the client's own processor time for an operation, user and system: each round is
a process of its own, ours on uvloop. CLIENT_BENCH_OPS is how many operations a round has.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.measure import Report, Row

OPS = int(os.environ.get("CLIENT_BENCH_OPS", "5000"))
ROUNDS = 3
DEPTHS = (1, 16)
BLOCK = 4 << 10
POOL = "bench"
_PYTHON = "/usr/bin/python3"
_LIBRADOS = """
import rados, sys, threading, time
conf, ops, depth, block = sys.argv[1], *map(int, sys.argv[2:])
cluster = rados.Rados(conffile=conf); cluster.connect(); io = cluster.open_ioctx("bench")
data, room = b"d" * block, threading.Semaphore(depth)
def free(*_): room.release()
def write(name): return io.aio_write_full(name, data, oncomplete=free)
def read(name): return io.aio_read(name, block, 0, free)
for work in (write, read):
    began, waiting = time.process_time(), []
    for number in range(ops):
        room.acquire(); waiting.append(work(f"object{number}"))
    for one in waiting: one.wait_for_complete_and_cb()
    print((time.process_time() - began) / ops * 1e6)
io.close(); cluster.shutdown()
"""


async def run(report: Report) -> None:
    """Each depth, in turns."""
    with tempfile.TemporaryDirectory(prefix="octo-bench-") as name:
        conf = Path(name) / "ceph.conf"
        _octostack("up", name, "--osds", "2", "--osd-gib", "0")
        try:
            for depth in DEPTHS:
                _depth(report, conf, depth)
        finally:
            _octostack("down", name)


def _depth(report: Report, conf: Path, depth: int) -> None:
    words = [str(conf), str(OPS), str(depth), str(BLOCK)]
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_times([sys.executable, "-m", "benchmarks.client", *words]))
        theirs.append(_times([_PYTHON, "-c", _LIBRADOS, *words]))
    for place, what in enumerate(("write", "read")):
        mine = [times[place] for times in ours]
        others = sorted(times[place] for times in theirs if times)
        peer = f"librados {others[len(others) // 2]:.0f} us" if others else "no python3-rados"
        report.add(Row(f"client, {what} 4 KiB, depth {depth}", "us CPU", mine, "", peer))


def _times(command: list[str]) -> list[float]:
    """What a round prints; nothing where the program is not there."""
    environment = dict(os.environ)
    if command[0] == _PYTHON:
        environment = {k: v for k, v in environment.items() if not k.startswith("PYTHON")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    except FileNotFoundError:
        return []
    if done.returncode and command[0] == sys.executable:
        raise RuntimeError(done.stderr)
    return [float(line) for line in done.stdout.split()]


def _octostack(*words: str) -> None:
    command = [sys.executable, "-m", "octostack.apps.cli", "ceph", *words]
    subprocess.run(command, check=True, capture_output=True, start_new_session=True)


async def _round(conf: str, ops: int, depth: int, block: int) -> None:
    from octostack.engines.ceph.rados import Cluster, load  # noqa: PLC0415 - only in a round

    async with Cluster(load(conf, environment={})) as cluster:
        found = await cluster.find_pool(POOL)
        pool = found or await cluster.create_pool(POOL)
        data = b"d" * block

        async def worker(first: int, work: Callable[[str], Awaitable[object]]) -> None:
            for number in range(first, ops, depth):
                await work(f"object{number}")

        for work in (lambda name: pool.write_full(name, data), lambda n: pool.read(n, block)):
            began = time.process_time()
            await asyncio.gather(*(worker(first, work) for first in range(depth)))
            print((time.process_time() - began) / ops * 1e6)


if __name__ == "__main__":
    import uvloop

    uvloop.run(_round(sys.argv[1], *map(int, sys.argv[2:])))
