# SPDX-License-Identifier: Apache-2.0
"""Virtual time: an event loop whose clock jumps, and whose order of things comes from a seed.

``simloop.run(main, seed=7)`` runs ``main()`` with `base.clock` answering from the loop: hours of
timers pass in seconds, time, ids and choices come from the seed, and callbacks that are ready at
the same moment run in an order drawn from it. The same seed gives the same run, so a failure is
replayed by its seed. When nothing is ready and no timer is set, everybody waits for somebody:
`Deadlock` names the tasks and where they stand.

It needs that nobody asks anything but `base.clock` for time or randomness, and that no thread and
no real socket carries state. SQLite in the loop (`runtime.db.sqlite`) is fine. It leans on two
private names of asyncio, ``_ready`` and ``_run_once``; ``tests/sim/test_simloop.py`` pins them.
The order of a set of texts differs from process to process: ``PYTHONHASHSEED=0`` fixes it.
"""

import asyncio
import contextlib
import gc
import random
import selectors
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

from octostack.base import clock
from octostack.testing.simdisk import Crash

T = TypeVar("T")

EPOCH = 1_800_000_000.0  # when every simulation begins


class Deadlock(AssertionError):
    """Nothing is ready and no timer is set: the simulation cannot go on."""


class _Selector(selectors.SelectSelector):
    """Moves the clock where a real one would wait."""

    loop: "SimLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            self.loop.deadlock()
        elif timeout > 0:
            # At least one tick of the loop's resolution, or a timer is never due.
            self.loop.virtual_s += max(timeout, 1e-9)
            if self.loop.virtual_s > self.loop.limit_s:
                raise TimeoutError(f"the simulation went on past {self.loop.limit_s:g} s")
        return []


class SimLoop(asyncio.SelectorEventLoop):
    """The loop of one simulation; made by `run`."""

    _ready: Any  # asyncio's own: the callbacks of this turn

    def __init__(self, seed: int, limit_s: float) -> None:
        self.limit_s = limit_s
        self._virtual_selector = _Selector()
        super().__init__(self._virtual_selector)
        self._virtual_selector.loop = self
        self.random = random.Random(seed)
        self.virtual_s = 0.0
        self.turns = 0
        self.set_exception_handler(_report)
        self._trace = 0

    def time(self) -> float:
        """Seconds since the simulation began."""
        return self.virtual_s

    def run_in_executor(  # type: ignore[override]  # at once, so with the result already in it
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        """Work for a thread is done at once: threads have no order that a seed could fix."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # it is the waiter's
            future.set_exception(error)
        return future

    @property
    def trace(self) -> str:
        """A hash of what ran when: equal for two runs of one seed."""
        return f"{self._trace & (1 << 64) - 1:016x}"

    def _run_once(self) -> None:
        count = len(self._ready)
        if count > 1:
            ready = list(self._ready)
            self.random.shuffle(ready)
            self._ready.clear()
            self._ready.extend(ready)
        self.turns += 1
        self._trace = hash((self._trace, self.virtual_s, count))
        super()._run_once()  # type: ignore[misc]

    def deadlock(self) -> None:
        """Say who waits for whom. Raises Deadlock."""
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        lines = [f"{task.get_name()}: {_where(task)}" for task in tasks]
        raise Deadlock("nothing is ready and no timer is set:\n  " + "\n  ".join(lines))


class SimClock(clock.Source):
    """`base.clock`'s source in a simulation."""

    def __init__(self, loop: SimLoop, seed: int) -> None:
        self._loop = loop
        self._random = random.Random(f"clock {seed}")

    def now(self) -> float:
        return EPOCH + self._loop.virtual_s

    def monotonic(self) -> float:
        return self._loop.virtual_s

    def token_bytes(self, n: int) -> bytes:
        return self._random.randbytes(n)

    def rng(self) -> random.Random:
        return self._random


def run(main: Callable[[], Coroutine[Any, Any, T]], *, seed: int, limit_s: float = 86_400.0) -> T:
    """The result of ``main()`` on virtual time. Raises Deadlock, TimeoutError after `limit_s`."""
    result, _ = traced(main, seed=seed, limit_s=limit_s)
    return result


def traced(
    main: Callable[[], Coroutine[Any, Any, T]], *, seed: int, limit_s: float = 86_400.0
) -> tuple[T, SimLoop]:
    """As `run`, with the closed loop: its `trace`, `turns` and `virtual_s`."""
    loop = SimLoop(seed, limit_s)
    with clock.installed(SimClock(loop, seed)), _no_collector():
        try:
            return loop.run_until_complete(main()), loop
        finally:
            _cancel_all(loop)
            loop.close()


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    """The collector's moment depends on all the process did before, and it wakes generators."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def replay(check: Callable[[int], None], seeds: Iterable[int], how: str) -> None:
    """Run ``check(seed)`` for each; a failure tells how to run that seed alone."""
    for seed in seeds:
        try:
            check(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}; again: {how.format(seed=seed)}")
            raise


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """As ever, but nothing of tasks that a crash ended: a record of one keeps its whole disk."""
    if not isinstance(context.get("exception"), Crash):
        loop.default_exception_handler(context)


def _cancel_all(loop: SimLoop) -> None:
    loop.limit_s = float("inf")
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())


def _where(task: asyncio.Task[Any]) -> str:
    frames = task.get_stack(limit=1)
    if not frames:
        return "not begun"
    code = frames[-1].f_code
    return f"{code.co_qualname} ({code.co_filename.rpartition('/')[2]}:{frames[-1].f_lineno})"
