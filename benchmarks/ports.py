# SPDX-License-Identifier: Apache-2.0
"""Ports: one by one, in bulk, and the list of ten thousand."""

from benchmarks.cloud import client, cloud, network, no_quota, plain
from benchmarks.measure import Report, Row, timed

SINGLES, LISTED, BULK, LISTS = 200, 10_000, 200, 5


async def run(report: Report) -> None:
    """Create ports until there are ten thousand, then list them in one page."""
    async with cloud(hosts=1) as bench, client(bench) as http:
        await no_quota(http)
        net = await network(http, "10.64.0.0/16")
        singles: list[float] = []
        before = bench.cpu_s()
        for _ in range(SINGLES):
            with timed(singles):
                made = await http.post("/networking/v2.0/ports", json={"port": {"network_id": net}})
                made.raise_for_status()
        cpu_ms = (bench.cpu_s() - before) / SINGLES * 1000
        report.add(Row("port create", "ms", singles, "p50 < 10 ms", cpu_ms=cpu_ms))
        per_port: list[float] = []
        for _ in range(SINGLES, LISTED, BULK):
            ports = {"ports": [{"network_id": net}] * BULK}
            with timed(per_port, 1000 / BULK):
                (await http.post("/networking/v2.0/ports", json=ports)).raise_for_status()
        report.add(Row(f"port create, {BULK} at once, each", "ms", per_port))
        lists: list[float] = []
        connection = plain(bench, http)
        before = bench.cpu_s()
        for _ in range(LISTS):
            with timed(lists, 1.0):
                answer = await connection.get("/networking/v2.0/ports")
            assert len(answer.json()["ports"]) >= LISTED
        cpu_ms = (bench.cpu_s() - before) / LISTS * 1000
        report.add(Row(f"list of {LISTED:,} ports", "s", lists, "< 1 s", cpu_ms=cpu_ms))
        connection.close()
