# SPDX-License-Identifier: Apache-2.0
"""Logins, and validations of tokens over HTTP."""

import asyncio
import time

import httpx2

from benchmarks.cloud import Bench, client, cloud, plain
from benchmarks.measure import Report, Row, timed
from benchmarks.plain import Connection

LOGINS, SINGLES, VALIDATIONS, CALLERS, ROUNDS = 50, 500, 4000, 16, 5
PATH = "/identity/v3/auth/tokens"


async def run(report: Report) -> None:
    """Password logins one by one; validations one by one and by several callers."""
    async with cloud(hosts=1) as bench, client(bench) as http:
        logins: list[float] = []
        before = bench.cpu_s()
        for _ in range(LOGINS):
            with timed(logins):
                token = await bench.token(http)
        cpu_ms = (bench.cpu_s() - before) / LOGINS * 1000
        report.add(Row("login with password", "ms", logins, cpu_ms=cpu_ms))
        http.headers["x-subject-token"] = token
        connection = _connection(bench, http)
        singles: list[float] = []
        for _ in range(SINGLES):
            with timed(singles):
                answer = await connection.get(PATH)
            assert answer.status == 200
        connection.close()
        report.add(Row("token validation over HTTP, one caller", "ms", singles))
        for row in await _many(bench, http):
            report.add(row)


async def _many(bench: Bench, http: httpx2.AsyncClient) -> list[Row]:
    """By the clock, callers and cloud share the machine; per second of the cloud's own core."""
    rates, per_core = [], []
    for _ in range(ROUNDS):
        started, before = time.perf_counter(), bench.cpu_s()
        await asyncio.gather(*(_validate(_connection(bench, http)) for _ in range(CALLERS)))
        rates.append(VALIDATIONS / (time.perf_counter() - started))
        per_core.append(VALIDATIONS / (bench.cpu_s() - before))
    cpu_ms = 1000 / sorted(per_core)[ROUNDS // 2]
    return [
        Row(f"token validations over HTTP, {CALLERS} callers", "/s", rates, cpu_ms=cpu_ms),
        Row("the same, per core of the cloud", "/s", per_core, "> 2,000/s per core"),
    ]


async def _validate(connection: Connection) -> None:
    for _ in range(VALIDATIONS // CALLERS):
        answer = await connection.get(PATH)
        assert answer.status == 200
    connection.close()


def _connection(bench: Bench, http: httpx2.AsyncClient) -> Connection:
    return plain(bench, http, {"X-Subject-Token": http.headers["x-subject-token"]})
