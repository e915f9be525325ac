# SPDX-License-Identifier: Apache-2.0
"""The simulation's own promises: time jumps, seeds replay, a deadlock is told."""

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys

import pytest

from octostack.base import clock, ids
from octostack.testing import simloop


async def chatter() -> list[str]:
    heard: list[str] = []

    async def node(name: str) -> None:
        for _ in range(20):
            await asyncio.sleep(clock.rng().uniform(0, 60))
            heard.append(f"{name} {ids.new()[:8]}")

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(node(f"n{number}"))
    return heard


def test_hours_pass_at_once() -> None:
    async def main() -> tuple[float, float]:
        began, wall = clock.now(), clock.monotonic()
        await asyncio.sleep(36_000)
        return clock.now() - began, clock.monotonic() - wall

    assert simloop.run(main, seed=1) == (pytest.approx(36_000), pytest.approx(36_000))
    assert clock.now() < simloop.EPOCH + 1e9  # the real source is back


def test_a_seed_gives_one_run_and_another_seed_another() -> None:
    first, loop = simloop.traced(chatter, seed=1)
    again, loop_again = simloop.traced(chatter, seed=1)
    other, loop_other = simloop.traced(chatter, seed=2)
    assert (first, loop.trace) == (again, loop_again.trace)
    assert first != other
    assert loop.trace != loop_other.trace


def test_another_process_replays_it() -> None:
    """Hash randomisation and addresses must not leak into the order of things."""
    script = (
        "import sys, runpy; from octostack.testing import simloop;"
        "chatter = runpy.run_path(sys.argv[1])['chatter'];"
        "print(simloop.traced(chatter, seed=5)[1].trace)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "77"}
    output = subprocess.run(
        [sys.executable, "-c", script, __file__], env=env, capture_output=True, check=True
    ).stdout
    assert output.decode().strip() == simloop.traced(chatter, seed=5)[1].trace


def test_what_is_ready_together_runs_in_a_drawn_order() -> None:
    async def main() -> str:
        order: list[str] = []

        async def say(word: str) -> None:
            order.append(word)

        async with asyncio.TaskGroup() as group:
            for word in "abcd":
                group.create_task(say(word))
        return "".join(order)

    assert len({simloop.run(main, seed=seed) for seed in range(30)}) > 10


def test_a_deadlock_is_told_with_names() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_task(asyncio.Event().wait(), name="the waiter")

    with pytest.raises(simloop.Deadlock, match="the waiter"):
        simloop.run(main, seed=1)


def test_a_run_without_end_is_cut() -> None:
    async def main() -> None:
        for _ in itertools.count():
            await asyncio.sleep(1)

    with pytest.raises(TimeoutError):
        simloop.run(main, seed=1, limit_s=100)


def test_a_failure_tells_its_seed() -> None:
    def check(seed: int) -> None:
        assert seed != 3

    with pytest.raises(AssertionError) as caught:
        simloop.replay(check, range(10), "pytest tests/sim --seed {seed}")
    assert caught.value.__notes__ == ["seed 3; again: pytest tests/sim --seed 3"]


def test_the_private_names_it_leans_on_are_there() -> None:
    assert hasattr(asyncio.BaseEventLoop, "_run_once")
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        assert hasattr(loop, "_ready")
