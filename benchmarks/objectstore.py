# SPDX-License-Identifier: Apache-2.0
"""CPU of an OSD for each operation of 4 KiB and of 4 MiB: the store alone, and requests over it.

CPU time of all threads by getrusage, so that a busy machine changes little; the disk is a file
with real syncs, shared by 16 operations at a time.
"""

import asyncio
import resource
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from benchmarks.measure import Report, Row
from octostack.base import clock
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.block.store import BlockStore
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore
from octostack.engines.ceph.osd.requests import Op
from octostack.runtime.device import FileDevice
from octostack.testing.osd import Client, copy_alone, extent
from octostack.wire.ceph.objects import PG, SNAP_HEAD, HObject, ShardPG
from octostack.wire.ceph.opcodes import Code

C = ShardPG(PG(1, 0))
DEPTH, ROUNDS, OPS = 16, 5, 2000
SMALL, LARGE = 4096, 4 << 20

Start = Callable[[int, Callable[[], None]], None]


async def run(report: Report) -> None:
    """Both stores, alone and under requests."""
    with tempfile.TemporaryDirectory(prefix="octo-bench-") as directory:
        await _measure(report, "memory", MemoryStore())
        await _measure(report, "disk", BlockStore(FileDevice(Path(directory) / "block", 4 << 30)))


async def _measure(report: Report, name: str, store: MemoryStore | BlockStore) -> None:
    await store.open()
    await _all(1, lambda _, done: store.queue([[api.CreateCollection(C, 0)]], done))
    names = [
        HObject(b"o%07d" % n, b"", SNAP_HEAD, n * 2654435761 % 2**32, False, b"", 1)
        for n in range(OPS)
    ]
    data = clock.token_bytes(LARGE)

    def write(number: int, done: Callable[[], None]) -> None:
        store.queue([[api.Write(C, names[number], 0, data[:SMALL])]], done)

    def read(number: int, done: Callable[[], None]) -> None:
        store.read(C, names[number], 0, SMALL)
        done()

    await _row(report, f"{name}: write 4 KiB, new", OPS, 1, write)
    await _row(report, f"{name}: write 4 KiB, over", OPS, ROUNDS, write)
    await _row(report, f"{name}: read 4 KiB", OPS, ROUNDS, read)
    group = copy_alone(store, C).group
    client = Client(group.submit)

    def request(operation: Op) -> Start:
        def start(number: int, done: Callable[[], None]) -> None:
            what = msgspec.structs.replace(names[number], pool=2)
            group.submit(client.request(what, operation), lambda reply: done())

        return start

    put = request(extent(Code.WRITE, 0, payload=data[:SMALL]))
    get = request(extent(Code.READ, 0, SMALL))
    put_large = request(extent(Code.WRITE_FULL, 0, payload=data))
    get_large = request(extent(Code.READ, 0, LARGE))
    await _row(report, f"{name}: request, write 4 KiB", OPS, ROUNDS, put)
    await _row(report, f"{name}: request, read 4 KiB", OPS, ROUNDS, get)
    await _row(report, f"{name}: request, write 4 MiB", 32, ROUNDS, put_large)
    await _row(report, f"{name}: request, read 4 MiB", 32, ROUNDS, get_large)
    await store.close()


async def _row(report: Report, what: str, count: int, rounds: int, start: Start) -> None:
    samples = []
    for _ in range(rounds):
        before = _cpu_s()
        await _all(count, start)
        samples.append((_cpu_s() - before) / count * 1e6)
    report.add(Row(f"osd, {what}", "us CPU", samples))


async def _all(count: int, start: Start) -> None:
    """`count` operations, `DEPTH` at a time."""
    finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    begun, ended = 0, 0

    def done() -> None:
        nonlocal begun, ended
        ended += 1
        if ended == count:
            finished.set_result(None)
        elif begun < count:
            begun += 1
            asyncio.get_running_loop().call_soon(start, begun - 1, done)

    for _ in range(min(DEPTH, count)):
        begun += 1
        start(begun - 1, done)
    waiting: Awaitable[None] = finished
    await waiting


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
