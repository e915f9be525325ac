# SPDX-License-Identifier: Apache-2.0
"""Placement groups through CRUSH, beside crushtool on the same map: CPU time of each, in pairs."""

import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import Report, Row
from octostack.engines.ceph.core.crush import rules
from octostack.engines.ceph.core.crush.bulk import rules as bulk
from octostack.testing import crush_maps
from octostack.wire.ceph.maps import crush as wire
from octostack.wire.ceph.maps.crush import CrushMap

PAIRS = 3
SIZE = 3
MAPS = {  # name: map, inputs
    "10,000 devices in 500 hosts": ((500, 20, 25), 30_000),
    "48,000 devices in 2,000 hosts": ((2000, 24, 50), 10_000),
    "200 devices in 20 hosts": ((20, 10, 2), 60_000),
}


async def run(report: Report) -> None:
    """Add the rows."""
    with tempfile.TemporaryDirectory() as directory:
        for name, (shape, inputs) in MAPS.items():
            crush = crush_maps.wide_map(*shape)
            path = Path(directory) / "map"
            path.write_bytes(wire.encode(crush))
            for rule, kind in enumerate(("firstn", "indep")):
                report.add(_pairs(f"CRUSH {kind}, {name}", crush, path, (rule, inputs)))
    report.add(_one_by_one())


def _pairs(name: str, crush: CrushMap, path: Path, what: tuple[int, int]) -> Row:
    ours, theirs = [], []
    for _ in range(PAIRS):
        if crush_maps.CRUSHTOOL:
            theirs.append(_tool(path, what))
        ours.append(_bulk(crush, what))
    peer = f"crushtool {sorted(theirs)[len(theirs) // 2]:.2f} us" if theirs else "no crushtool"
    return Row(name, "us CPU/group", ours, "< crushtool", peer)


def _tool(path: Path, what: tuple[int, int]) -> float:
    rule, inputs = what
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    span = ("--min-x", "0", "--max-x", str(inputs - 1), "--num-rep", str(SIZE))
    crush_maps.crushtool("-i", str(path), "--test", "--rule", str(rule), *span)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent / inputs * 1e6


def _bulk(crush: CrushMap, what: tuple[int, int]) -> float:
    rule, inputs = what
    weights = crush_maps.with_weights(crush.max_devices)
    started = time.process_time()
    bulk.map_inputs(crush, rule, np.arange(inputs, dtype=np.uint32), SIZE, weights)
    return (time.process_time() - started) / inputs * 1e6


def _one_by_one() -> Row:
    crush = crush_maps.wide_map(3, 1, 1)
    weights = crush_maps.with_weights(crush.max_devices)
    samples = []
    for x in range(300):
        started = time.process_time_ns()
        rules.map_input(crush, 0, x, SIZE, weights)
        samples.append((time.process_time_ns() - started) / 1000)
    return Row("CRUSH, one group alone, 3 hosts", "us CPU/group", samples)
