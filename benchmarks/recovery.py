# SPDX-License-Identifier: Apache-2.0
"""How fast what an OSD had is somewhere else, on ours and on a real Ceph, at once on one disk.

A monitor and three OSDs each, a process for every daemon, cephx; the real ones on BlueStore, and
without the pause that they make between objects on a disk that turns (`osd_recovery_sleep_hdd`). A
pool of two copies is filled; an OSD is killed and put out; the time until every group is active and
clean again stands for the objects that it had. Beside that the processor time of monitor and OSDs
for each object, how much memory the OSD took at most that took most, and what a client's write of
4 KiB takes meanwhile.

RECOVERY_BENCH_MIB of objects of 4 MiB, RECOVERY_BENCH_SMALL objects of 4 KiB; 1024 and 20000 are
the long form.
"""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.measure import Report, Row
from benchmarks.rados import Target, has_client, has_real, octostack
from octostack.apps.ceph import cluster as clusters
from octostack.apps.ceph import units
from octostack.base.errors import Timeout
from octostack.testing.realceph import RealCeph

OSDS = 3
MIB = int(os.environ.get("RECOVERY_BENCH_MIB", "128"))
SMALL = int(os.environ.get("RECOVERY_BENCH_SMALL", "2000"))
LARGE_BYTES, SMALL_BYTES = 4 << 20, 4 << 10
_OSD_BYTES = 16 << 30
_CLEAN_TIMEOUT_S = 240.0
_POLL_S = 0.1
_REAL = "osd recovery sleep hdd = 0\nosd recovery sleep hybrid = 0\nmgr stats period = 1\n"
_LINE = re.compile(r"^ +\d+ +\d+ +\d+ +(\d+) +\S+ +\S+ +\S+ +([\d.]+)$", re.M)


class Cluster(Target):
    """One whose OSDs can be killed and started."""

    kill: Callable[[int], None]
    start: Callable[[int], None]

    def groups(self) -> list[dict[str, Any]]:
        """What is known of every group."""
        said = self.ceph("ceph", "pg", "dump", "pgs", "-f", "json")
        found: list[dict[str, Any]] = msgspec.json.decode(said)["pg_stats"]
        return found

    def wait(self, is_so: Callable[[list[dict[str, Any]]], bool], what: str) -> None:
        """Until the groups are so. Raises Timeout."""
        deadline = time.monotonic() + _CLEAN_TIMEOUT_S
        while not is_so(self.groups()):
            if time.monotonic() > deadline:
                raise Timeout(f"Waited in vain for {what}.", code="bench.recovery")
            time.sleep(_POLL_S)


class Sample(msgspec.Struct):
    """What the loss of one OSD took to make good."""

    objects: int
    seconds: float
    cpu_s: float
    peak_mib: float
    latency_ms: float = 0.0


async def run(report: Report) -> None:
    """Large objects, small ones, and large ones under a client."""
    if not has_client("recovery"):
        return
    with tempfile.TemporaryDirectory(prefix="octo-bench-") as name:
        ours = _measure(_ours, Path(name) / "ours")
        real = (
            list(_measure(_real, Path(name) / "real"))
            if has_real("recovery")
            else [None] * len(ours)
        )
        for what, mine, other in zip(_CELLS, ours, real, strict=True):
            _add(report, what, mine, other)


_CELLS = (
    (f"recovery, {MIB} MiB by 4 MiB", LARGE_BYTES),
    (f"recovery, {SMALL:,} of 4 KiB", SMALL_BYTES),
    (f"recovery, {MIB} MiB by 4 MiB, under a client", LARGE_BYTES),
)


def _measure(
    up: Callable[[Path], contextlib.AbstractContextManager[Cluster]], directory: Path
) -> list[Sample]:
    with up(directory) as cluster:
        for pool in ("large", "small", "busy"):
            cluster.ceph("ceph", "osd", "pool", "create", pool, "32")
        for pool in cluster.ceph("ceph", "osd", "pool", "ls").split():  # and what a manager made
            cluster.ceph("ceph", "osd", "pool", "set", pool, "size", "2")
        _fill(cluster, "large", LARGE_BYTES, MIB * (1 << 20) // LARGE_BYTES)
        large = _lose(cluster, 2)
        _restore(cluster, 2)
        under = _lose(cluster, 1, under_client=True)
        _restore(cluster, 1)
        cluster.ceph("rados", "-p", "large", "cleanup", "--run-name", "bench")
        _fill(cluster, "small", SMALL_BYTES, SMALL)
        return [large, _lose(cluster, 2), under]


def _add(report: Report, what: tuple[str, int], mine: Sample, other: Sample | None) -> None:
    name, size = what
    unit, scale = ("MB/s", size / 1e6) if size == LARGE_BYTES else ("objects/s", 1.0)
    rates = [one.objects / one.seconds * scale for one in (mine, other or mine)]
    cpu_ms = [one.cpu_s / one.objects * 1000 for one in (mine, other or mine)]
    ratio = f"{rates[0] / rates[1]:.2f} x: {rates[1]:,.0f}, {cpu_ms[1]:.3g} ms"
    report.add(Row(name, unit, [rates[0]], ">= 1 x", ratio if other else "", cpu_ms[0]))
    peak = f"{other.peak_mib:,.0f} MiB" if other else ""
    report.add(Row(f"{name}: most memory", "MiB", [mine.peak_mib], "", peak))
    if mine.latency_ms:
        peer = f"{other.latency_ms:.3g} ms" if other else ""
        report.add(Row(f"{name}: write of 4 KiB", "ms", [mine.latency_ms], "", peer))


def _fill(cluster: Cluster, pool: str, size: int, count: int) -> None:
    words = ("bench", "600", "write", "-b", str(size), "-t", "16", "--max-objects", str(count))
    cluster.ceph("rados", "-p", pool, *words, "--no-cleanup", "--run-name", "bench")
    at_least = count if pool == "small" else 0
    cluster.wait(lambda groups: _objects(groups) >= at_least and _is_clean(groups), "a full pool")


def _objects(groups: list[dict[str, Any]]) -> int:
    return sum(int(group["stat_sum"]["num_objects"]) for group in groups)


def _is_clean(groups: list[dict[str, Any]]) -> bool:
    return all(group["state"] == "active+clean" for group in groups)


def _lose(cluster: Cluster, osd: int, *, under_client: bool = False) -> Sample:
    """Kill an OSD, and wait until there are as many copies again as there were."""
    had = sum(
        int(group["stat_sum"]["num_objects"])
        for group in cluster.groups()
        if osd in group["acting"]
    )
    client = _Client(cluster) if under_client else None
    cluster.kill(osd)
    _forget_peaks(cluster)
    before = cluster.cpu_s()
    cluster.ceph("ceph", "osd", "down", str(osd))
    began = time.perf_counter()
    cluster.ceph("ceph", "osd", "out", str(osd))
    cluster.wait(lambda groups: _is_clean(groups) and _is_without(groups, osd), "clean groups")
    took = time.perf_counter() - began
    used, peak = cluster.cpu_s() - before, max(map(_peak_mib, cluster.pids()))
    return Sample(had, took, used, peak, client.stop() if client else 0.0)


def _is_without(groups: list[dict[str, Any]], osd: int) -> bool:
    return not any(osd in (*group["up"], *group["acting"]) for group in groups)


def _restore(cluster: Cluster, osd: int) -> None:
    cluster.start(osd)
    cluster.ceph("ceph", "osd", "in", str(osd))
    cluster.wait(
        lambda groups: _is_clean(groups) and not _is_without(groups, osd), "its groups to be back"
    )


class _Client:
    """`rados bench` with one write at a time, until it is stopped."""

    def __init__(self, cluster: Cluster) -> None:
        words = ("bench", "600", "write", "-b", "4096", "-t", "1", "--run-name", "client")
        self._process = subprocess.Popen(
            ["stdbuf", "-oL", "rados", "-c", str(cluster.conf), "-p", "busy", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def stop(self) -> float:
        """The mean time of a write, in milliseconds."""
        self._process.kill()
        said, _ = self._process.communicate()
        lines = _LINE.findall(said)
        return float(lines[-1][1]) * 1000 if lines else 0.0


def _forget_peaks(cluster: Cluster) -> None:
    for pid in cluster.pids():
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"^VmHWM:\s+(\d+) kB", status, re.M)[0]) / 1024


# -- clusters


@contextlib.contextmanager
def _ours(directory: Path) -> Iterator[Cluster]:
    octostack("up", str(directory), "--osds", str(OSDS))
    running = units.list_units(directory, clusters.get(directory))

    def pids() -> list[int]:
        return [pid for unit in running if (pid := unit.pid()) is not None]

    def kill(osd: int) -> None:
        pid = next(unit for unit in running if unit.name == f"osd.{osd}").pid()
        assert pid is not None
        gone = os.pidfd_open(pid)
        signal.pidfd_send_signal(gone, signal.SIGKILL)
        os.close(gone)
        while pid in pids():
            time.sleep(_POLL_S)

    try:
        start = lambda osd: octostack("up", str(directory), f"osd.{osd}")  # noqa: E731
        yield Cluster(directory / "ceph.conf", pids, kill, start)
    finally:
        octostack("down", str(directory))


@contextlib.contextmanager
def _real(directory: Path) -> Iterator[Cluster]:
    cluster = RealCeph(directory, osds=OSDS)
    try:
        cluster.up(osd_bytes=_OSD_BYTES, settings=_REAL)
        yield Cluster(
            cluster.conf,
            lambda: cluster.pids("mon", "osd"),
            lambda osd: cluster.kill(f"osd.{osd}"),
            lambda osd: cluster.start(f"osd.{osd}"),
        )
    finally:
        cluster.down()
