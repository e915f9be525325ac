# SPDX-License-Identifier: Apache-2.0
"""From `octostack up` to the first token, to all ready, and what it takes of memory when idle."""

import asyncio
import json
import tempfile
import time
from pathlib import Path

import httpx2

from benchmarks.cloud import COMMAND, Bench
from benchmarks.measure import Report, Row, resident_mib

ROUNDS = 5
PORT_OF_TRIAL = 19537
IDLE_AFTER_S = 3.0


async def run(report: Report) -> None:
    """Start new clouds, and each of them again with its data."""
    cold: dict[str, list[float]] = {"token": [], "ready": [], "rss": []}
    warm: dict[str, list[float]] = {"token": [], "ready": [], "rss": []}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="octo-bench-") as directory:
            bench = Bench(Path(directory))
            for samples in (cold, warm):
                await _start(bench, samples)
    for kind, samples in (("new", cold), ("with its data", warm)):
        report.add(Row(f"up, {kind}: first token", "s", samples["token"], "< 1 s"))
        report.add(Row(f"up, {kind}: all ready", "s", samples["ready"], "< 3 s"))
    report.add(Row("resident, idle, one simulated host", "MiB", cold["rss"], "< 150 MiB"))


async def _start(bench: Bench, samples: dict[str, list[float]]) -> None:
    started = time.perf_counter()
    arguments = ["up", "--detach", "--simulate", "1", "--port", str(PORT_OF_TRIAL)]
    process = await asyncio.create_subprocess_exec(
        str(COMMAND), *arguments, "--state-dir", str(bench.state_dir),
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await _first_token(bench)
    samples["token"].append(time.perf_counter() - started)
    assert await process.wait() == 0
    samples["ready"].append(time.perf_counter() - started)
    await asyncio.sleep(IDLE_AFTER_S)
    samples["rss"].append(resident_mib(json.loads(bench.command("status", "--json"))["pid"]))
    bench.down()


async def _first_token(bench: Bench) -> None:
    """Try to log in until it succeeds, as an impatient client would."""
    login = None
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{PORT_OF_TRIAL}") as http:
        while True:
            try:
                login = login or _login(bench)
                answer = await http.post("/identity/v3/auth/tokens", json=login)
                if answer.status_code == 201:
                    return
            except (OSError, httpx2.TransportError):
                pass
            await asyncio.sleep(0.005)


def _login(bench: Bench) -> dict[str, object]:
    clouds = json.loads((bench.state_dir / "clouds.yaml").read_text())["clouds"]
    who = clouds["octostack"]["auth"]
    domain = {"id": "default"}
    user = {"name": who["username"], "domain": domain, "password": who["password"]}
    return {"auth": {"identity": {"methods": ["password"], "password": {"user": user}},
                     "scope": {"project": {"name": "admin", "domain": domain}}}}  # fmt: skip
