# SPDX-License-Identifier: Apache-2.0
"""Health: every check is told, none can hold up or break the answer."""

import asyncio

import httpx2
import pytest

from octostack.base.errors import Unavailable
from octostack.contracts.identity import Caller
from octostack.runtime import health
from octostack.runtime.http.app import asgi_app

pytestmark = pytest.mark.anyio


class Nobody:
    async def authenticate(self, token: str) -> Caller:
        raise AssertionError("no token is asked for")


async def get(checks: health.Health) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=asgi_app([health.api(checks)], Nobody()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://t") as client:
        return await client.get("/healthz")


async def well() -> None:
    return None


async def unreachable() -> None:
    raise Unavailable("postgresql://user:sesame@db", code="db.failed")


async def broken() -> None:
    raise KeyError("sesame")


async def test_all_is_well() -> None:
    checks = health.Health()
    checks.add("database", well)
    answer = await get(checks)
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "checks": {"database": "ok"}}


async def test_each_failure_is_named_by_its_code_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_TIMEOUT_S", 0.01)
    checks = health.Health()
    checks.add("a", well)
    checks.add("b", unreachable)
    checks.add("c", broken)
    checks.add("d", asyncio.Event().wait)  # type: ignore[arg-type]
    answer = await get(checks)
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "failing",
        "checks": {"a": "ok", "b": "db.failed", "c": "internal", "d": "timeout"},
    }
    assert "sesame" not in answer.text


async def test_a_loop_that_keeps_failing() -> None:
    failures = 3
    check = health.loop_check("l", lambda: failures)
    await check()
    failures = 4
    with pytest.raises(Unavailable):
        await check()
