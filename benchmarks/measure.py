# SPDX-License-Identifier: Apache-2.0
"""Samples, their statistics, the machine they come from, and the table that is printed."""

import os
import platform
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_LINE = "{:<46} {:>12}  {:<20} {:>6}  {:<20} {:<10} {:<22} {}"


class Row(NamedTuple):
    """One figure: samples in `unit`, the target, and the same of a peer that ran beside it.

    `cpu_ms`: the processor time that the cloud took for each.
    """

    what: str
    unit: str
    samples: list[float]
    target: str = ""
    peer: str = ""
    cpu_ms: float | None = None

    @property
    def median(self) -> float:
        """The middle sample."""
        return statistics.median(self.samples)

    def percentile(self, percent: float) -> float:
        """The sample below which `percent` of them lie (nearest rank)."""
        ordered = sorted(self.samples)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class Report:
    """Collects rows and prints each as it comes, with the load of the machine at that moment."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def head(self) -> None:
        """Print what this machine is, and the head of the table."""
        cpu = _first("/proc/cpuinfo", "model name") or platform.machine()
        memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        print(f"{os.cpu_count()} x {cpu}, {memory_gib:.0f} GiB, {platform.platform(terse=True)}")
        print(f"Python {platform.python_version()}, load {_load()}\n")
        print(_LINE.format("", "median", "p10 .. p99", "n", "target", "CPU each",
                           "peer, same run", "load"))  # fmt: skip

    def add(self, row: Row) -> None:
        """Print a row and keep it."""
        self.rows.append(row)
        spread = f"{_figure(row.percentile(10))} .. {_figure(row.percentile(99))}"
        median = f"{_figure(row.median)} {row.unit}"
        cpu = "" if row.cpu_ms is None else f"{_figure(row.cpu_ms)} ms"
        cells = (row.what, median, spread, len(row.samples), row.target, cpu, row.peer, _load())
        print(_LINE.format(*cells), flush=True)


@contextmanager
def timed(samples: list[float], scale: float = 1000.0) -> Iterator[None]:
    """Add how long the block took, in milliseconds unless `scale` says otherwise."""
    started = time.perf_counter()
    yield
    samples.append((time.perf_counter() - started) * scale)


def cpu_s(pid: int) -> float:
    """The processor time that a process and those it started have taken."""
    ticks = 0
    for process in (pid, *_children(pid)):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    """Resident memory of a process and of those it started, shared pages counted once each."""
    total = 0.0
    for process in (pid, *_children(pid)):
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        total += next(int(line.split()[1]) for line in rollup.split("\n") if "Pss:" in line)
    return total / 1024


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            yield from _children(int(child))


def _first(path: str, key: str) -> str:
    for line in Path(path).read_text().split("\n"):
        if line.startswith(key):
            return line.partition(":")[2].strip()
    return ""


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"
