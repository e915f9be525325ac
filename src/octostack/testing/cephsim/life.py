# SPDX-License-Identifier: Apache-2.0
"""The life of a simulated cluster: trouble, then peace, with all that must hold in both."""

import asyncio
import contextlib

from octostack.runtime.tasks import Supervisor
from octostack.testing import simloop
from octostack.testing.cephsim.cluster import Plan, SimCluster, draw, listening
from octostack.testing.cephsim.trouble import Trouble
from octostack.testing.cephsim.work import Work

VIRTUAL_S_MAX = 3600.0


def live(seed: int, plan: Plan | None = None) -> int:
    """How many operations its clients did. Raises AssertionError for what must never be."""
    plan = plan or draw(seed)
    with listening():
        return simloop.run(lambda: _live(seed, plan), seed=seed, limit_s=VIRTUAL_S_MAX)


async def _live(seed: int, plan: Plan) -> int:
    cluster = SimCluster(seed, plan)
    work = Work(cluster, seed)
    trouble = Trouble(cluster, work, seed)
    try:
        await _through(cluster, work, trouble)
    except AssertionError as error:
        error.add_note("\n".join([str(cluster.plan), *trouble.told]))
        raise
    finally:
        work.bury()
        cluster.bury()
    return work.done


async def _through(cluster: SimCluster, work: Work, trouble: Trouble) -> None:
    await cluster.start()
    await work.begin()
    watch = Supervisor("watch").spawn("watch", cluster.watch())
    await trouble.run()
    cluster.heal()
    await cluster.whole()
    await work.finish(cluster.plan.answers_s)
    if cluster.plan.rots:
        await cluster.until(trouble.rot.repair, "not mended")
    if cluster.plan.snaps:
        await cluster.until(cluster.list_clones, "not trimmed")
    await cluster.whole()
    if watch.done():
        watch.result()
    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watch
    work.check()
    cluster.check_copies()
