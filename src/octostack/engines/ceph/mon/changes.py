# SPDX-License-Identifier: Apache-2.0
"""Changes, one after another: decided afresh at their turn, agreed on, then answered.

They happen at the leader only. What was not agreed on when it lost that place goes back to who
asked: whether it is done is known to the next leader, and asking twice does no harm.
"""

import asyncio
import errno
from collections.abc import Callable

import msgspec

from octostack.engines.ceph.mon.consensus import Consensus, Deposed
from octostack.engines.ceph.mon.core.answers import Failure
from octostack.engines.ceph.mon.core.state import Change
from octostack.engines.ceph.mon.ledger import Ledger

Decide = Callable[[], Change | None]
Answered = Callable[[], None]
Failed = Callable[[Failure], None]
_QUEUE_MAX = 10_000


def nothing() -> None:
    """For who wants no answer."""


def ignored(_failure: Failure) -> None:
    """For who does not mind."""


class Job(msgspec.Struct):
    """One change."""

    decide: Decide  # raises Failure
    done: Answered = nothing
    failed: Failed = ignored
    again: Answered | None = None  # ask once more, whoever leads by then


class Changes:
    """See the module's essay."""

    def __init__(
        self, consensus: Consensus, ledger: Ledger, finish: Callable[[Change], Change]
    ) -> None:
        self._consensus = consensus
        self._ledger = ledger
        self._finish = finish  # what belongs to every change
        self._jobs: asyncio.Queue[Job] = asyncio.Queue(_QUEUE_MAX)

    def submit(self, job: Job) -> None:
        """Change something when its turn comes."""
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull:
            job.failed(Failure(errno.EAGAIN, "too many changes wait"))

    async def run(self) -> None:
        """For ever."""
        while True:
            job = await self._jobs.get()
            try:
                await self._consensus.writable()
                change = job.decide()
                if change is not None:
                    await self._consensus.commit(self._ledger.prepare(self._finish(change)))
            except Failure as failure:
                job.failed(failure)
            except Deposed:
                if job.again is not None:
                    job.again()
                else:
                    job.failed(Failure(errno.EAGAIN, "this monitor does not lead"))
            else:
                job.done()
