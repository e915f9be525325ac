# SPDX-License-Identifier: Apache-2.0
"""What clients of a simulated cluster do, and what they saw."""

import asyncio
import random

from octostack.base.errors import Conflict, NotFound
from octostack.engines.ceph.rados import Cluster, Pool
from octostack.engines.ceph.rados.core.ops import ReadOp, WriteOp
from octostack.testing import histories
from octostack.testing.cephsim.cluster import GROUPS, POOL, Plan, SimCluster
from octostack.testing.histories import Operation
from octostack.testing.lives import Life

NAMES = tuple(f"o{n}" for n in range(8))
_KINDS = {"write": 2, "append": 3, "remove": 2, "read": 4}
SNAPS_MAX = 4
SNAP_EVERY_S = 2.5


class Work:
    """Several clients on few objects, each with one operation at a time."""

    def __init__(self, cluster: SimCluster, seed: int) -> None:
        self.cluster = cluster
        self.rng = random.Random(f"work {seed}")
        self.histories: dict[str, list[Operation]] = {name: [] for name in NAMES}
        self.stopped = False
        self.seq = 0
        self.snaps: tuple[int, ...] = ()  # all clients know at once which there are
        self.removed: set[int] = set()
        self._coded = cluster.plan.k > 1
        copies, snaps = {"copy": 1}, {"look back": 2}
        self._kinds = _KINDS | (copies if cluster.plan.copies else {})
        self._kinds |= snaps if cluster.plan.snaps else {}
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
        if self.cluster.plan.snaps:
            life = self._lives["snapper"] = Life("snapper")
            self._tasks["snapper"] = life.spawn(self._snap())

    async def _make_pool(self) -> None:
        async with self.cluster.client("maker") as client:
            await make_pool(client, self.cluster.plan)

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
                kind = self.rng.choices([*self._kinds], [*self._kinds.values()])[0]
                await self._operate(pool, self.rng.choice(NAMES), kind)
            for name in NAMES:
                for snap in (0, *self.snaps):
                    await self._look(pool, name, snap)

    async def _operate(self, pool: Pool, name: str, kind: str) -> None:
        match kind:
            case "read":
                await self._look(pool, name)
            case "look back":
                await self._look(pool, name, self.rng.choice((0, *self.snaps)))
            case "copy":
                await self._copy(pool, name)
            case _:
                await self._change(pool, name, kind)

    def _begin(self, name: str, kind: str) -> Operation:
        self._mark += 1
        now_s = asyncio.get_running_loop().time()
        one = Operation(kind, now_s, mark=b"%d" % self._mark, seq=self.seq, snaps=self.snaps)
        self.histories[name].append(one)
        return one

    async def _look(self, pool: Pool, name: str, snap: int = 0) -> tuple[histories.State, int]:
        """What there is, and its version."""
        one = self._begin(name, "read")
        one.snap = snap
        read = _read_shards if self._coded else _read
        one.seen, version = await read(pool.at(snap) if snap else pool, name)
        if snap not in self.removed:  # else it may be trimmed already, and may not
            one.ended = asyncio.get_running_loop().time()
        return one.seen, version

    async def _change(self, pool: Pool, name: str, kind: str) -> None:
        one = self._begin(name, kind)
        large = self.rng.random() < 0.2
        one.payload = b"<%s>" % one.mark * (self.rng.randrange(1, 3000) if large else 1)
        view = pool.with_snaps(one.seq, one.snaps)
        one.version = await _change(view, name, one, omap=not self._coded)
        one.ended = asyncio.get_running_loop().time()

    async def _copy(self, pool: Pool, name: str) -> None:
        """Let OSDs copy another object, as it is when it is looked at and not otherwise."""
        source = self.rng.choice([other for other in NAMES if other != name])
        state, version = await self._look(pool, source)
        if state is None:
            return
        one = self._begin(name, "write")
        one.payload, one.mark = state
        try:
            view = pool.with_snaps(one.seq, one.snaps)
            one.version = await view.copy(name, source, version=version)
            one.ended = asyncio.get_running_loop().time()
        except (Conflict, NotFound):
            one.kind = "read"  # it is another by now: nothing happened

    async def _snap(self) -> None:
        """Make snapshots and remove them; in the end all of them."""
        async with self.cluster.client("snapper") as cluster:
            pool = await cluster.open_pool(POOL)
            while not self.stopped:
                await asyncio.sleep(self.rng.expovariate(1 / SNAP_EVERY_S))
                if not self.snaps or (len(self.snaps) < SNAPS_MAX and self.rng.random() < 0.6):
                    new = await cluster.create_own_snap(pool)
                    self.seq, self.snaps = new, (new, *self.snaps)
                else:
                    await self._remove_snap(cluster, pool, self.rng.choice(self.snaps))
            others = [task for node, task in self._tasks.items() if node != "snapper"]
            await asyncio.wait(others)
            for snap in self.snaps:
                await self._remove_snap(cluster, pool, snap)

    async def _remove_snap(self, cluster: Cluster, pool: Pool, snap: int) -> None:
        self.removed.add(snap)
        self.snaps = tuple(one for one in self.snaps if one != snap)
        await cluster.remove_own_snap(pool, snap)


async def _read(pool: Pool, name: str) -> tuple[histories.State, int]:
    op = ReadOp()
    data, omap, mark = op.read(), op.get_omap(["mark"]), op.get_xattr("mark")
    try:
        version = await pool.operate(name, op)
    except NotFound:
        return None, 0
    assert omap.value == {"mark": mark.value}, f"{name} is half of {omap.value} and {mark.value!r}"
    return (bytes(data.value), bytes(mark.value)), version


async def _read_shards(pool: Pool, name: str) -> tuple[histories.State, int]:
    """A coded pool has no omap."""
    op = ReadOp()
    data, mark = op.read(), op.get_xattr("mark")
    try:
        version = await pool.operate(name, op)
    except NotFound:
        return None, 0
    return (bytes(data.value), bytes(mark.value)), version


async def make_pool(client: Cluster, plan: Plan) -> None:
    """The pool of the plan."""
    if plan.k == 1:
        await client.create_pool(POOL)
        return
    for order in _coded_pool(plan):
        await client.mon_command(order)


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
