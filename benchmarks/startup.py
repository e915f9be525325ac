# SPDX-License-Identifier: Apache-2.0
"""From `octostack up` to the first token, to all ready, and what it takes of memory when idle."""

import asyncio
import json
import socket
import tempfile
import time
from pathlib import Path

import httpx2

from benchmarks.cloud import COMMAND, Bench
from benchmarks.measure import Report, Row, resident_mib

ROUNDS = 5
IDLE_AFTER_S = 3.0


async def run(report: Report) -> None:
    """Start new clouds, and each of them again with its data."""
    cold: dict[str, list[float]] = {"token": [], "ready": [], "rss": [], "cpu": []}
    warm: dict[str, list[float]] = {"token": [], "ready": [], "rss": [], "cpu": []}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="octo-bench-") as directory:
            bench = Bench(Path(directory))
            for samples in (cold, warm):
                await _start(bench, samples)
    for kind, samples in (("new", cold), ("with its data", warm)):
        report.add(Row(f"up, {kind}: first token", "s", samples["token"], "< 1 s"))
        cpu_ms = sorted(samples["cpu"])[ROUNDS // 2] * 1000
        report.add(Row(f"up, {kind}: all ready", "s", samples["ready"], "< 3 s", cpu_ms=cpu_ms))
    report.add(Row("resident, idle, one simulated host", "MiB", cold["rss"], "< 150 MiB"))


async def _start(bench: Bench, samples: dict[str, list[float]]) -> None:
    port = _free_port()
    started = time.perf_counter()
    arguments = ["up", "--detach", "--simulate", "1", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(
        str(COMMAND), *arguments, "--state-dir", str(bench.state_dir),
        stdout=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        await _first_token(bench, port)
        samples["token"].append(time.perf_counter() - started)
        assert await process.wait() == 0
        samples["ready"].append(time.perf_counter() - started)
        bench.pid = json.loads((bench.state_dir / "run" / "ready.json").read_text())["pid"]
        samples["cpu"].append(bench.cpu_s())
        await asyncio.sleep(IDLE_AFTER_S)
        samples["rss"].append(resident_mib(bench.pid))
    finally:
        await process.wait()
        await asyncio.to_thread(bench.down)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def _first_token(bench: Bench, port: int) -> None:
    """Try to log in until it succeeds, as an impatient client would."""
    login = None
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
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
