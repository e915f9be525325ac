# SPDX-License-Identifier: Apache-2.0
"""Supervised tasks: restart, order of stopping, bounded fan-out."""

import asyncio

import pytest

from octostack.base.errors import Timeout, Unavailable
from octostack.runtime.tasks import Restart, Supervisor, gather_bounded

pytestmark = pytest.mark.anyio

AT_ONCE = Restart(pause_s=0.0001, pause_max_s=0.001)


async def test_a_crashed_task_starts_again() -> None:
    tasks, runs, third = Supervisor(), [], asyncio.Event()

    async def work() -> None:
        runs.append(1)
        if len(runs) < 3:
            raise ValueError("boom")
        third.set()

    await tasks.start("work", work, restart=AT_ONCE)
    assert third.is_set()
    assert tasks.running == []


async def test_without_a_policy_a_crash_is_the_end_and_no_error_of_others() -> None:
    tasks, runs = Supervisor(), []

    async def work() -> None:
        runs.append(1)
        raise ValueError("boom")

    await tasks.start("work", work)
    assert runs == [1]


async def test_stop_ends_the_youngest_first() -> None:
    tasks, ended = Supervisor(), []

    async def work(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    for name in ("database", "bus", "http"):
        tasks.start(name, lambda name=name: work(name))
    await asyncio.sleep(0)
    await tasks.stop()
    assert ended == ["http", "bus", "database"]
    assert tasks.running == []


async def test_stop_names_what_does_not_end() -> None:
    tasks, release = Supervisor(), asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    task = tasks.start("stubborn", stubborn)
    await asyncio.sleep(0)
    with pytest.raises(Timeout, match="stubborn"):
        await tasks.stop(timeout_s=0.01)
    release.set()
    await task


async def test_nothing_starts_after_stop() -> None:
    tasks = Supervisor()
    await tasks.stop()
    with pytest.raises(Unavailable, match="stopped"):
        tasks.start("late", asyncio.Event().wait)


async def test_gather_bounded_keeps_order_and_bound() -> None:
    running = most = 0

    async def work(n: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return n * n

    assert await gather_bounded(work, range(20), limit=3) == [n * n for n in range(20)]
    assert most == 3


async def test_gather_bounded_raises_the_first_failure_and_cancels_the_rest() -> None:
    cancelled = []

    async def work(n: int) -> None:
        if n == 1:
            raise KeyError("one")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(n)
            raise

    with pytest.raises(KeyError, match="one"):
        await gather_bounded(work, range(2), limit=5)
    assert cancelled == [0]
