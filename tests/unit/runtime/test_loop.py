# SPDX-License-Identifier: Apache-2.0
"""Reconcile loops: hints are coalesced, errors never stop one."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from octostack.runtime.loop import Loop
from octostack.runtime.tasks import Restart, Supervisor

pytestmark = pytest.mark.anyio


@pytest.fixture
async def tasks() -> AsyncIterator[Supervisor]:
    supervisor = Supervisor()
    yield supervisor
    await supervisor.stop()


async def test_runs_at_the_start_and_on_a_hint(tasks: Supervisor) -> None:
    runs = []

    async def work() -> None:
        runs.append(1)

    loop = Loop("l", work, every_s=3600)
    loop.start(tasks)
    await loop.idle()
    assert len(runs) == 1
    loop.wake()
    await loop.idle()
    assert len(runs) == 2


async def test_hints_during_a_run_count_as_one(tasks: Supervisor) -> None:
    runs, go = [], asyncio.Event()

    async def work() -> None:
        runs.append(1)
        await go.wait()

    loop = Loop("l", work, every_s=3600)
    loop.start(tasks)
    await asyncio.sleep(0)
    for _ in range(5):
        loop.wake()
    go.set()
    await loop.idle()
    assert len(runs) == 2


async def test_runs_again_without_a_hint(tasks: Supervisor) -> None:
    runs, third = [], asyncio.Event()

    async def work() -> None:
        runs.append(1)
        if len(runs) == 3:
            third.set()

    Loop("l", work, every_s=0.001).start(tasks)
    await third.wait()


async def test_an_error_is_kept_and_the_run_is_repeated(tasks: Supervisor) -> None:
    runs = []

    async def work() -> None:
        runs.append(1)
        if len(runs) < 3:
            raise ValueError("boom")

    loop = Loop("l", work, every_s=3600, backoff=Restart(pause_s=0.0001))
    await loop.run_once()
    assert loop.failures == 1
    assert isinstance(loop.last_error, ValueError)
    loop.start(tasks)
    await loop.idle()
    assert len(runs) == 3
    assert loop.failures == 0
