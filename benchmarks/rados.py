# SPDX-License-Identifier: Apache-2.0
"""`rados bench` on ours and on a real Ceph, at once on the same disk, both durable, with cephx.

A monitor and three OSDs each, a process for every daemon; the real ones on BlueStore. Every cell is
run on the one, then on the other. Beside operations per second stands the processor time that the
daemons took for each (user and system of monitors and OSDs, from /proc): on a busy machine that is
the figure to compare. RADOS_BENCH_S is how long a cell runs, RADOS_BENCH_SIZES the copies to try.
RADOS_BENCH_CELLS picks cells by their names (a regular expression: "rand 4 KiB, depth 16"), and
RADOS_BENCH_ROUNDS runs each so often, in turns, and takes medians: for a change to be measured by.
"""

import contextlib
import itertools
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from benchmarks.measure import Report, Row, cpu_s
from octostack.apps.ceph import cluster as clusters
from octostack.apps.ceph import units
from octostack.base.errors import Unavailable
from octostack.testing.realceph import RealCeph, find_missing

OSDS = 3
SECONDS = float(os.environ.get("RADOS_BENCH_S", "3"))
SIZES = tuple(map(int, os.environ.get("RADOS_BENCH_SIZES", "1").split(",")))
ROUNDS = int(os.environ.get("RADOS_BENCH_ROUNDS", "1"))
CELLS = re.compile(os.environ.get("RADOS_BENCH_CELLS", ""))
DEPTHS = (1, 16)
SMALL, LARGE = 4 << 10, 4 << 20
MODES = ("write", "seq", "rand")
_TIME = re.compile(r"^Total time run:\s+([\d.]+)", re.M)
_COUNT = re.compile(r"^Total (?:writes|reads) made:\s+(\d+)", re.M)
_OSD_BYTES = 16 << 30


class Target(msgspec.Struct):
    """A cluster to measure: its ceph.conf, and its daemons' processes."""

    conf: Path
    pids: Callable[[], list[int]]

    def ceph(self, *words: str) -> str:
        """The output of a program of Ceph's. Raises Unavailable when it fails."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}
        done = subprocess.run(
            [words[0], "-c", str(self.conf), *words[1:]],
            capture_output=True,
            text=True,
            check=False,
            env={**clean, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
        if done.returncode:
            raise Unavailable(f"{' '.join(words)}: {done.stderr}", code="bench.rados")
        return done.stdout

    def cpu_s(self) -> float:
        """What its daemons have taken."""
        return sum(map(cpu_s, self.pids()))


def has_client(bench: str) -> bool:
    """Whether Debian's `rados` is here; says so when it is not."""
    if shutil.which("rados") is None:
        print(f"{bench}: `rados` is not installed; run `make setup` as root")
        return False
    return True


def has_real(bench: str) -> bool:
    """Whether there is a real Ceph to compare with; says why when there is none."""
    reason = find_missing()
    if reason:
        print(f"{bench}: no real Ceph to compare with ({reason})")
    return not reason


class Sample(msgspec.Struct):
    """What one run of `rados bench` said, and what the daemons took for each operation."""

    rate: float  # operations a second
    cpu_us: float


async def run(report: Report) -> None:
    """Starts first, then all cells."""
    if not has_client("rados"):
        return
    with_real = has_real("rados")
    with tempfile.TemporaryDirectory(prefix="octo-bench-") as name:
        directory = Path(name)
        _starts(report, directory, with_real=with_real)
        with contextlib.ExitStack() as stack:
            ours = stack.enter_context(_ours(directory / "ours"))
            real = stack.enter_context(_real(directory / "real")) if with_real else None
            for size in SIZES:
                for target in (ours, real):
                    if target is not None:
                        _make_pool(target, size)
                _cells(report, size, ours, real)


def _cells(report: Report, size: int, ours: Target, real: Target | None) -> None:
    for block, depth in itertools.product((SMALL, LARGE), DEPTHS):
        text = "4 KiB" if block == SMALL else "4 MiB"
        names = {mode: f"rados, {mode} {text}, depth {depth}, size {size}" for mode in MODES}
        if not any(map(CELLS.search, names.values())):
            continue
        for mode, name in names.items():
            words = [f"size{size}", mode, str(block), str(depth)]
            if CELLS.search(name):
                mine, other = _turns(ROUNDS, ours, real, words)
                report.add(_row(name, ">= 2 x" if block == SMALL else ">= 1 x", mine, other))
            elif mode == "write":  # what is read must be there
                _turns(1, ours, real, words)
        for target in (ours, real):
            if target is not None:
                target.ceph("rados", "-p", f"size{size}", "cleanup", "--run-name", "bench")


def _row(name: str, target: str, mine: list[Sample], other: list[Sample]) -> Row:
    rate, cpu_us = _medians(mine)
    peer = ""
    if other:
        their_rate, their_cpu_us = _medians(other)
        peer = f"{rate / their_rate:.2f} x: {their_rate:,.0f}, {their_cpu_us / 1000:.3g} ms"
    return Row(name, "op/s", [one.rate for one in mine], target, peer, cpu_us / 1000)


def _turns(
    rounds: int, ours: Target, real: Target | None, words: list[str]
) -> tuple[list[Sample], list[Sample]]:
    """The same cell on the one and the other, so often."""
    mine, other = [], []
    for _ in range(rounds):
        if real is not None:
            other.append(_bench(real, *words))
        mine.append(_bench(ours, *words))
    return mine, other


def _medians(samples: list[Sample]) -> tuple[float, float]:
    rates, cpu_us = zip(*((one.rate, one.cpu_us) for one in samples), strict=True)
    return statistics.median(rates), statistics.median(cpu_us)


def _bench(target: Target, pool: str, mode: str, block: str, depth: str) -> Sample:
    words = ["rados", "-p", pool, "bench", f"{SECONDS:g}", mode, "-t", depth, "--run-name", "bench"]
    if mode == "write":
        words += ["-b", block, "--no-cleanup"]
    before = target.cpu_s()
    said = target.ceph(*words)
    used = target.cpu_s() - before
    count, seconds = (float(_find(pattern, said)) for pattern in (_COUNT, _TIME))
    return Sample(count / seconds, used / count * 1e6)


def _find(pattern: re.Pattern[str], said: str) -> str:
    match = pattern.search(said)
    if match is None:
        raise Unavailable(f"`rados bench` said: {said}", code="bench.rados")
    return match[1]


def _make_pool(target: Target, size: int) -> None:
    name = f"size{size}"
    target.ceph("ceph", "osd", "pool", "create", name, "32")
    change = ["ceph", "osd", "pool", "set", name, "size", str(size)]
    try:
        target.ceph(*change)
    except Unavailable:  # the real one wants to hear it said
        target.ceph(*change, "--yes-i-really-mean-it")


# -- clusters


def _starts(report: Report, directory: Path, *, with_real: bool) -> None:
    """From nothing to active and clean, and again with what is there."""
    first, again = _times(lambda: _ours(directory / "ours"))
    real_first, real_again = _times(lambda: _real(directory / "real")) if with_real else (0.0, 0.0)
    for what, mine, other in (("new", first, real_first), ("again", again, real_again)):
        peer = f"{other / mine:.1f} x: {other:.1f} s" if with_real else ""
        name = f"rados, start of 1 mon and {OSDS} OSDs, {what}"
        report.add(Row(name, "s", [mine], "< 2 s", peer))


def _times(up: Callable[[], contextlib.AbstractContextManager[Target]]) -> tuple[float, float]:
    times = []
    for _ in range(2):
        started = time.perf_counter()
        with up():
            times.append(time.perf_counter() - started)
    return times[0], times[1]


@contextlib.contextmanager
def _ours(directory: Path) -> Iterator[Target]:
    octostack("up", str(directory), "--osds", str(OSDS))
    try:
        running = units.list_units(directory, clusters.get(directory))
        pids = [pid for unit in running if (pid := unit.pid()) is not None]
        yield Target(directory / "ceph.conf", lambda: pids)
    finally:
        octostack("down", str(directory))


@contextlib.contextmanager
def _real(directory: Path) -> Iterator[Target]:
    cluster = RealCeph(directory, osds=OSDS)
    try:
        cluster.up(osd_bytes=_OSD_BYTES)
        yield Target(cluster.conf, lambda: cluster.pids("mon", "osd"))
    finally:
        cluster.down()


def octostack(*words: str) -> None:
    """Run our own command."""
    command = [sys.executable, "-m", "octostack.apps.cli", "ceph", *words]
    subprocess.run(command, check=True, capture_output=True, start_new_session=True)
