# SPDX-License-Identifier: Apache-2.0
"""What clients of a simulated cluster do, and what they saw."""

import asyncio
import random

from octostack.base.errors import NotFound
from octostack.engines.ceph.rados import Pool
from octostack.engines.ceph.rados.core.ops import ReadOp, WriteOp
from octostack.testing import histories
from octostack.testing.cephsim.cluster import GROUPS, POOL, Plan, SimCluster
from octostack.testing.histories import Operation
from octostack.testing.lives import Life

NAMES = tuple(f"o{n}" for n in range(8))
_KINDS = ("write", "write", "append", "append", "append", "remove", "read", "read", "read", "read")


class Work:
    """Several clients on few objects, each with one operation at a time."""

    def __init__(self, cluster: SimCluster, seed: int) -> None:
        self.cluster = cluster
        self.rng = random.Random(f"work {seed}")
        self.histories: dict[str, list[Operation]] = {name: [] for name in NAMES}
        self.stopped = False
        self._coded = cluster.plan.k > 1
        self.failures: list[BaseException] = []
        self._lives: dict[str, Life] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._buried: list[Life] = []
        self._mark = 0

    async def begin(self) -> None:
        """Make the pool, and begin with all clients."""
        maker = Life("maker")
        await maker.spawn(self._make_pool())
        maker.end()
        self._buried.append(maker)
        for number in range(self.cluster.plan.clients):
            self.start(f"client{number}")

    async def _make_pool(self) -> None:
        async with self.cluster.client("maker") as cluster:
            if not self._coded:
                await cluster.create_pool(POOL)
                return
            for order in _coded_pool(self.cluster.plan):
                await cluster.mon_command(order)

    def split(self, groups: int) -> None:
        """Somebody gives the pool more groups."""
        life = Life("splitter")
        self._buried.append(life)
        life.spawn(self._split(groups))

    async def _split(self, groups: int) -> None:
        async with self.cluster.client("splitter") as cluster:
            for name in ("pg_num", "pgp_num"):
                order = {"prefix": "osd pool set", "pool": POOL, "var": name, "val": str(groups)}
                await cluster.mon_command(order)

    def start(self, node: str) -> None:
        """A client."""
        self.cluster.net.revive(node)
        life = self._lives[node] = Life(node)
        self._tasks[node] = life.spawn(self._live(node))

    def replace(self, node: str) -> None:
        """The client dies in the middle of something, and another one comes."""
        self.cluster.net.switch_off(node)
        self._lives[node].end()
        self.cluster.net.break_streams(node)
        self._buried.append(self._lives[node])
        self.start(node)

    async def finish(self, timeout_s: float) -> None:
        """All that was begun is done. Raises AssertionError."""
        self.stopped = True
        _, late = await asyncio.wait(self._tasks.values(), timeout=timeout_s)
        waiting = [str(one) for one in self._all() if one.ended == histories.NEVER]
        assert not late, f"{len(late)} clients still wait:\n" + "\n".join(waiting)
        for task in self._tasks.values():
            task.result()

    def check(self) -> None:
        """Raise AssertionError for what cannot have been."""
        for name, operations in self.histories.items():
            histories.check(name, operations)

    @property
    def done(self) -> int:
        """How many operations were answered."""
        return sum(one.ended != histories.NEVER for one in self._all())

    def bury(self) -> None:
        """The end of the simulation."""
        for life in (*self._buried, *self._lives.values()):
            life.end()
            life.bury()

    def _all(self) -> list[Operation]:
        return [one for history in self.histories.values() for one in history]

    async def _live(self, node: str) -> None:
        async with self.cluster.client(node) as cluster:
            pool = await cluster.open_pool(POOL)
            while not self.stopped:
                await asyncio.sleep(self.rng.expovariate(4))
                await self._operate(pool, self.rng.choice(NAMES), self.rng.choice(_KINDS))
            for name in NAMES:
                await self._operate(pool, name, "read")

    async def _operate(self, pool: Pool, name: str, kind: str) -> None:
        loop = asyncio.get_running_loop()
        self._mark += 1
        mark = b"%d" % self._mark
        one = Operation(kind, loop.time(), mark=mark)
        self.histories[name].append(one)
        if kind == "read":
            one.seen = await (_read_shards if self._coded else _read)(pool, name)
        else:
            large = self.rng.random() < 0.2
            one.payload = b"<%s>" % mark * (self.rng.randrange(1, 3000) if large else 1)
            one.version = await _change(pool, name, one, omap=not self._coded)
        one.ended = loop.time()


async def _read(pool: Pool, name: str) -> histories.State:
    op = ReadOp()
    data, omap, mark = op.read(), op.get_omap(["mark"]), op.get_xattr("mark")
    try:
        await pool.operate(name, op)
    except NotFound:
        return None
    assert omap.value == {"mark": mark.value}, f"{name} is half of {omap.value} and {mark.value!r}"
    return bytes(data.value), bytes(mark.value)


async def _read_shards(pool: Pool, name: str) -> histories.State:
    """A coded pool has no omap."""
    op = ReadOp()
    data, mark = op.read(), op.get_xattr("mark")
    try:
        await pool.operate(name, op)
    except NotFound:
        return None
    return bytes(data.value), bytes(mark.value)


def _coded_pool(plan: Plan) -> list[dict[str, str | list[str]]]:
    """The commands that make it."""
    profile = [f"k={plan.k}", f"m={plan.size - plan.k}", "crush-failure-domain=osd"]
    pool = {"prefix": "osd pool create", "pool": POOL, "pg_num": str(GROUPS)}
    setting = {"prefix": "osd pool set", "pool": POOL}
    return [
        {"prefix": "osd erasure-code-profile set", "name": "coded", "profile": profile},
        {**pool, "pool_type": "erasure", "erasure_code_profile": "coded"},
        {**setting, "var": "min_size", "val": str(plan.min_size)},
        {**setting, "var": "allow_ec_overwrites", "val": "true"},
    ]


async def _change(pool: Pool, name: str, one: Operation, *, omap: bool) -> int:
    """Do it; the object's version."""
    if one.kind == "remove":
        try:
            version = await pool.remove(name)
        except NotFound:
            return 0
        one.seen = (b"", b"something")
        return version
    op = WriteOp()
    if one.kind == "write":
        op.write_full(one.payload)
    else:
        op.append(one.payload)
    if omap:
        op.set_omap({"mark": one.mark})
    op.set_xattr("mark", one.mark)
    return await pool.operate(name, op)
