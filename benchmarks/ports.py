# SPDX-License-Identifier: Apache-2.0
"""Ports: one by one, in bulk, and the list of ten thousand."""

from benchmarks.cloud import client, cloud, network, no_quota
from benchmarks.measure import Report, Row, timed

SINGLES, LISTED, BULK = 200, 10_000, 200


async def run(report: Report) -> None:
    """Create ports until there are ten thousand, then list them in one page."""
    async with cloud(hosts=1) as bench, client(bench) as http:
        await no_quota(http)
        net = await network(http, "10.64.0.0/16")
        singles: list[float] = []
        for _ in range(SINGLES):
            with timed(singles):
                made = await http.post("/networking/v2.0/ports", json={"port": {"network_id": net}})
                made.raise_for_status()
        report.add(Row("port create", "ms", singles, "p50 < 10 ms"))
        per_port: list[float] = []
        for _ in range(SINGLES, LISTED, BULK):
            ports = {"ports": [{"network_id": net}] * BULK}
            with timed(per_port, 1000 / BULK):
                (await http.post("/networking/v2.0/ports", json=ports)).raise_for_status()
        report.add(Row(f"port create, {BULK} at once, each", "ms", per_port))
        lists: list[float] = []
        for _ in range(7):
            with timed(lists, 1.0):
                answer = await http.get("/networking/v2.0/ports")
                assert len(answer.raise_for_status().json()["ports"]) >= LISTED
        report.add(Row(f"list of {LISTED:,} ports", "s", lists, "< 1 s"))
