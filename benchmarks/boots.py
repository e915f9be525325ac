# SPDX-License-Identifier: Apache-2.0
"""Servers on simulated hosts: from the request to ACTIVE, a steady rate, a long list."""

import asyncio
import itertools
import time

import httpx2

from benchmarks.cloud import client, cloud, image_and_flavor, network, no_quota
from benchmarks.measure import Report, Row, timed

SINGLES, STEADY, CALLERS, LISTED = 60, 500, 16, 1000
POLL_S = 0.004


async def run(report: Report) -> None:
    """Boot with a port each; list what there is then."""
    async with cloud(hosts=20) as bench, client(bench) as http:
        await no_quota(http)
        image, flavor = await image_and_flavor(http)
        net = await network(http, "10.64.0.0/16")
        body = {"name": "b", "imageRef": image, "flavorRef": flavor, "networks": [{"uuid": net}]}
        singles: list[float] = []
        for _ in range(SINGLES):
            with timed(singles):
                await _boot(http, body)
        report.add(Row("create to ACTIVE, with a port", "ms", singles, "p50 < 100 ms"))
        report.add(await _steady(http, body))
        bare = {**body, "networks": "none", "min_count": 100, "max_count": 100}
        while await _count(http) < LISTED:
            (await http.post("/compute/v2.1/servers", json={"server": bare})).raise_for_status()
        lists: list[float] = []
        for _ in range(20):
            with timed(lists):
                answer = await http.get("/compute/v2.1/servers/detail?limit=1000")
                assert len(answer.raise_for_status().json()["servers"]) == LISTED
        report.add(Row(f"list of {LISTED:,} servers with detail", "ms", lists, "< 100 ms"))


async def _boot(http: httpx2.AsyncClient, body: dict[str, object]) -> None:
    made = await http.post("/compute/v2.1/servers", json={"server": body})
    server = made.raise_for_status().json()["server"]["id"]
    while True:
        status = (await http.get(f"/compute/v2.1/servers/{server}")).json()["server"]["status"]
        if status == "ACTIVE":
            return
        assert status == "BUILD", status
        await asyncio.sleep(POLL_S)


async def _steady(http: httpx2.AsyncClient, body: dict[str, object]) -> Row:
    queue = iter(range(STEADY))
    ended: list[float] = []

    async def caller() -> None:
        for _ in queue:
            await _boot(http, body)
            ended.append(time.perf_counter())

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    window = STEADY // 10
    marks = [started, *sorted(ended)[window - 1 :: window]]
    rates = [window / (after - before) for before, after in itertools.pairwise(marks)]
    return Row(f"boots to ACTIVE, {CALLERS} callers", "/s", rates, "50/s steady")


async def _count(http: httpx2.AsyncClient) -> int:
    answer = await http.get("/compute/v2.1/servers?limit=1000")
    return len(answer.json()["servers"])
