# SPDX-License-Identifier: Apache-2.0
"""Erasure codes: CPU time for bytes of data, in stripes of 4 KiB chunks and in whole objects."""

import os
import time
from collections.abc import Callable

from benchmarks.measure import Report, Row
from octostack.engines.ceph.core.codes.code import Code
from octostack.engines.ceph.core.codes.matrices import parity_rows

SAMPLES = 5
SHAPES = ((2, 1), (4, 2), (8, 3))
OBJECT = 4 << 20


async def run(report: Report) -> None:
    """Add the rows."""
    for k, m in SHAPES:
        code = Code(k, m, parity_rows("jerasure", "reed_sol_van", k, m))
        for length in (4096, OBJECT // k // 4096 * 4096):
            data = [os.urandom(length) for _ in range(k)]
            whole = dict(enumerate([*data, *code.encode(data)]))
            left = {number: piece for number, piece in whole.items() if number >= m}
            for name, call in (
                ("encode", lambda code=code, data=data: code.encode(data)),
                ("decode, m lost", lambda code=code, left=left, m=m: code.decode(left, range(m))),
            ):
                what = f"code {k}+{m}, {length * k >> 10} KiB, {name}"
                report.add(Row(what, "MB/s CPU", _rates(call, length * k), "> 200"))


def _rates(call: Callable[[], object], size: int) -> list[float]:
    rates = []
    for _ in range(SAMPLES):
        start, count = time.process_time(), 0
        while time.process_time() - start < 0.05:
            call()
            count += 1
        rates.append(size * count / (time.process_time() - start) / 1e6)
    return rates
