# SPDX-License-Identifier: Apache-2.0
"""Logins, and validations of tokens by HTTP and where they are used."""

import asyncio
import time

from benchmarks.cloud import client, cloud
from benchmarks.measure import Report, Row, timed

LOGINS, VALIDATIONS, CALLERS = 50, 3000, 16


async def run(report: Report) -> None:
    """Password logins one by one; validations one by one and by several callers."""
    async with cloud(hosts=1) as bench, client(bench) as http:
        logins: list[float] = []
        for _ in range(LOGINS):
            with timed(logins):
                token = await bench.token(http)
        report.add(Row("login with password", "ms", logins))
        headers = {"x-subject-token": token}
        singles: list[float] = []
        for _ in range(VALIDATIONS // 10):
            with timed(singles):
                answer = await http.get("/identity/v3/auth/tokens", headers=headers)
                answer.raise_for_status()
        report.add(Row("token validation over HTTP, one caller", "ms", singles))
        rates = []
        for _ in range(5):
            started = time.perf_counter()

            async def validate() -> None:
                for _ in range(VALIDATIONS // CALLERS):
                    await http.get("/identity/v3/auth/tokens", headers=headers)

            await asyncio.gather(*(validate() for _ in range(CALLERS)))
            rates.append(VALIDATIONS / (time.perf_counter() - started))
        report.add(Row(f"token validations over HTTP, {CALLERS} callers", "/s", rates))
