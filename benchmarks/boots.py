# SPDX-License-Identifier: Apache-2.0
"""Servers on simulated hosts: from the request to ACTIVE, a steady rate, a long list."""

import asyncio
import itertools
import time
from typing import Any

import httpx2

from benchmarks.cloud import Bench, client, cloud, image_and_flavor, network, no_quota, plain
from benchmarks.measure import Report, Row, timed
from benchmarks.plain import Connection

SINGLES, STEADY, CALLERS, LISTED = 60, 600, 32, 1000
POLL_S, PATIENT_POLL_S = 0.005, 0.2  # a client that looks all the time is a load of its own
SERVERS = "/compute/v2.1/servers"


async def run(report: Report) -> None:
    """Boot with a port each; list what there is then."""
    async with cloud(hosts=20) as bench, client(bench) as http:
        await no_quota(http)
        image, flavor = await image_and_flavor(http)
        net = await network(http, "10.64.0.0/16")
        body = {"name": "b", "imageRef": image, "flavorRef": flavor, "networks": [{"uuid": net}]}
        report.add(await _singles(bench, plain(bench, http), body))
        report.add(await _steady(bench, http, body))
        bare = {**body, "networks": "none", "min_count": 100, "max_count": 100}
        connection = plain(bench, http)
        while len((await connection.get(f"{SERVERS}?limit=1000")).json()["servers"]) < LISTED:
            (await connection.post(SERVERS, {"server": bare})).json()
        await _none_boots(connection)
        report.add(await _list(bench, connection))
        connection.close()


async def _singles(bench: Bench, connection: Connection, body: dict[str, Any]) -> Row:
    samples: list[float] = []
    before = bench.cpu_s()
    for _ in range(SINGLES):
        with timed(samples):
            await _boot(connection, body, POLL_S)
    cpu_ms = (bench.cpu_s() - before) / SINGLES * 1000
    connection.close()
    return Row("create to ACTIVE, with a port", "ms", samples, "p50 < 100 ms", cpu_ms=cpu_ms)


async def _boot(connection: Connection, body: dict[str, Any], poll_s: float) -> None:
    made = (await connection.post(SERVERS, {"server": body})).json()["server"]["id"]
    while True:
        status = (await connection.get(f"{SERVERS}/{made}")).json()["server"]["status"]
        if status == "ACTIVE":
            return
        assert status == "BUILD", status
        await asyncio.sleep(poll_s)


async def _none_boots(connection: Connection) -> None:
    """Until all are there: what still boots is a load of its own."""
    while True:
        if not (await connection.get(f"{SERVERS}?status=BUILD&limit=1")).json()["servers"]:
            return
        await asyncio.sleep(PATIENT_POLL_S)


async def _steady(bench: Bench, http: httpx2.AsyncClient, body: dict[str, Any]) -> Row:
    queue = iter(range(STEADY))
    ended: list[float] = []

    async def caller() -> None:
        connection = plain(bench, http)
        for _ in queue:
            await _boot(connection, body, PATIENT_POLL_S)
            ended.append(time.perf_counter())
        connection.close()

    started, before = time.perf_counter(), bench.cpu_s()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    cpu_ms = (bench.cpu_s() - before) / STEADY * 1000
    window = STEADY // 10
    marks = [started, *sorted(ended)[window - 1 :: window]]
    rates = [window / (after - before) for before, after in itertools.pairwise(marks)]
    what = f"boots to ACTIVE, {CALLERS} callers, none failed"
    return Row(what, "/s", rates, "50/s steady", cpu_ms=cpu_ms)


async def _list(bench: Bench, connection: Connection) -> Row:
    samples: list[float] = []
    before = bench.cpu_s()
    for _ in range(20):
        with timed(samples):
            answer = await connection.get(f"{SERVERS}/detail?limit={LISTED}")
        assert len(answer.json()["servers"]) == LISTED
    cpu_ms = (bench.cpu_s() - before) / 20 * 1000
    what = f"list of {LISTED:,} servers with detail"
    return Row(what, "ms", samples, "< 100 ms", cpu_ms=cpu_ms)
