# SPDX-License-Identifier: Apache-2.0
"""Many lives, over all cores: ``python -m octostack.testing.cephsim --many 1000``.

Seeds of all families take turns. A few at a time live in one process; where one fails, its story is
told, with the line that replays it, and another process goes on behind it.
"""

import os
import queue
import subprocess
import sys
import threading

import msgspec

from octostack.base import clock
from octostack.testing.cephsim.cluster import CEPHX_FROM, CODED_FROM, WIDE_FROM

FAMILIES = (0, WIDE_FROM, CODED_FROM, CEPHX_FROM)
AT_ONCE = 8  # in one process
SILENCE_S = 600.0  # of real time, for one life
_STORY_LINES = 60


class Failure(msgspec.Struct, frozen=True):
    """A seed that failed, and what it said."""

    seed: int
    story: str


def line_for(seed: int) -> str:
    """What replays a seed."""
    return f"PYTHONHASHSEED=0 python -m octostack.testing.cephsim {seed}"


def list_seeds(count: int, first: int = 0) -> list[int]:
    """So many seeds, of each family in turn, from the `first` of each on."""
    kinds = len(FAMILIES)
    return [FAMILIES[n % kinds] + first + n // kinds for n in range(count)]


class Run:
    """Some seeds, shared out to workers."""

    def __init__(self, seeds: list[int], jobs: int) -> None:
        self.failures: list[Failure] = []
        self._total = len(seeds)
        self._jobs = jobs
        self._done = 0
        self._began_s = clock.monotonic()
        self._lock = threading.Lock()
        self._slices: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
        for at in range(0, len(seeds), AT_ONCE):
            self._slices.put(seeds[at : at + AT_ONCE])

    def finish(self) -> None:
        """All of them."""
        workers = [threading.Thread(target=self._work) for _ in range(self._jobs)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _work(self) -> None:
        while True:
            try:
                left = self._slices.get_nowait()
            except queue.Empty:
                return
            while left:
                left = self._live(left)

    def _live(self, seeds: list[int]) -> list[int]:
        """As many as there are until one fails; those behind it."""
        command = [sys.executable, "-m", "octostack.testing.cephsim", *map(str, seeds)]
        env = os.environ | {"PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=env, text=True, stdout=pipe, stderr=pipe) as process:
            said: list[str] = []
            reader = threading.Thread(target=lambda: said.extend(process.stderr or ()))
            reader.start()
            alive = 0
            while self._next_line(process):
                alive += 1
                self._count()
            reader.join()
        if process.returncode == 0:
            return []
        self._count(Failure(seeds[alive], "".join(said[-_STORY_LINES:])))
        return seeds[alive + 1 :]

    @staticmethod
    def _next_line(process: "subprocess.Popen[str]") -> str:
        """What it says next; one that says nothing for too long is ended."""
        assert process.stdout is not None
        alarm = threading.Timer(SILENCE_S, process.kill)
        alarm.start()
        try:
            return process.stdout.readline()
        finally:
            alarm.cancel()

    def _count(self, failure: Failure | None = None) -> None:
        with self._lock:
            self._done += 1
            if failure is not None:
                self.failures.append(failure)
                again = line_for(failure.seed)
                sys.stdout.write(f"\n{failure.story or 'it said nothing'}\nseed fails: {again}\n")
            if sys.stdout.isatty() or self._done % 20 == 0 or self._done == self._total:
                spent_s = clock.monotonic() - self._began_s
                end = "\r" if sys.stdout.isatty() else "\n"
                text = f"{self._done} of {self._total} lives, {len(self.failures)} failed, "
                sys.stdout.write(f"{text}{spent_s:.0f} s{end}")
            sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """``COUNT [JOBS [FIRST]]``; 0, or 1 when a seed failed."""
    count, jobs, first = [*map(int, arguments), 0, 0, 0][:3]
    run = Run(list_seeds(count, first), jobs or os.cpu_count() or 1)
    run.finish()
    sys.stdout.write(f"\n{count} lives, {len(run.failures)} failed\n")
    for failure in run.failures:
        sys.stdout.write(f"seed fails: {line_for(failure.seed)}\n")
    return 1 if run.failures else 0
