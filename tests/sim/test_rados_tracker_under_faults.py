# SPDX-License-Identifier: Apache-2.0
"""The client's tracker against OSDs that die, move, split their groups, hold back and forget.

No loop and no sockets: a heap of moments, drawn from a seed. OSDs follow the rules of real ones:
they drop what a client with a map of before the present interval asks, and what is not theirs;
they answer what they have done before once more. Whatever happens, every write is done exactly
once, those of one object in the order in which they were asked for, and all are answered in the
end. A seed that failed replays with ``pytest -k "seed17"``.
"""

import errno
import heapq
import os
import random
import uuid
from collections.abc import Callable

import msgspec
import pytest

from octostack.base.errors import OctoError
from octostack.engines.ceph.core.osdmap import placement, pools
from octostack.engines.ceph.mon.core import genesis
from octostack.engines.ceph.rados.core.ops import FLAG_READ, FLAG_WRITE
from octostack.engines.ceph.rados.core.tracker import Op, Tracker
from octostack.wire.ceph.addresses import Address, AddressKind
from octostack.wire.ceph.maps.osdmap import MapFlag, OSDMap, OSDState
from octostack.wire.ceph.maps.pool import Pool
from octostack.wire.ceph.messages.client import Backoff, BackoffCode
from octostack.wire.ceph.messages.osdop import OSDOpReply
from octostack.wire.ceph.objects import HOBJECT_MAX, PG, HObject, Locator, ShardPG

SEEDS = int(os.environ.get("SIM_SEEDS", "40"))
OSDS, OBJECTS, OPS = 5, 6, 150
POOL = 1


def first_map() -> OSDMap:
    address = Address(AddressKind.MSGR2, "127.0.0.1", 3300)
    founding = genesis.Founding(
        uuid.UUID(int=1), {"a": (address,)}, tuple(uuid.UUID(int=n + 2) for n in range(OSDS)), 0
    )
    osdmap = genesis.first_osdmap(founding)
    return msgspec.structs.replace(
        osdmap,
        epoch=1,
        flags=osdmap.flags & ~int(MapFlag.PAUSEWR),
        pools={POOL: Pool(size=3, pg_num=4, pgp_num=4, crush_rule=0)},
        pool_names={POOL: "p"},
        osd_state=(OSDState.EXISTS | OSDState.UP,) * OSDS,
        osd_weight=(0x10000,) * OSDS,
        client_addresses=tuple(_address(n, 0) for n in range(OSDS)),
    )


def _address(osd: int, nonce: int) -> tuple[Address, ...]:
    return (Address(AddressKind.MSGR2, "127.0.0.1", 6800 + osd, nonce),)


class World:
    """The cluster as it truly is, and the client's tracker, which hears of it late."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = 0.0
        self.moments: list[tuple[float, int, Callable[[], None]]] = []
        self.count = 0
        self.maps = [first_map()]
        self.since: dict[PG, int] = {}  # when the present interval of a group began
        self.session: dict[int, int] = {}  # its number, by OSD; each broken one is dead for good
        self.arrival: dict[int, float] = {}
        self.blocked: dict[PG, tuple[int, int, Backoff]] = {}
        self.acked: set[int] = set()  # backoffs of which the client knows
        self.over: set[int] = set()  # those that end as soon as it does
        self.done: dict[bytes, dict[int, int]] = {}  # object -> number of the request -> value
        self.written: dict[bytes, list[int]] = {}
        self.answered: set[int] = set()
        self.cancelled: set[int] = set()
        self.sessions = 0
        self.cut: set[int] = set()  # streams of which no more arrives
        self.quiet = False
        self.tracker = Tracker(self, lambda: self.now)
        self.tracker.follow([self.maps[0]], skipped=False)

    @property
    def truth(self) -> OSDMap:
        return self.maps[-1]

    def later(self, delay: float, what: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.moments, (self.now + delay, self.count, what))

    def run(self) -> None:
        steps = 0
        while self.moments:
            steps += 1
            assert steps < 200_000, "it does not come to an end"
            self.now, _, what = heapq.heappop(self.moments)
            what()

    # The tracker's port

    def send(self, osd: int, op: Op, epoch: int) -> None:
        client_map = self.tracker.view.osdmap
        assert epoch == client_map.epoch
        assert not (op.flags & FLAG_WRITE and client_map.flags & MapFlag.PAUSEWR)
        if osd not in self.session:
            self.sessions += 1
            self.session[osd] = self.sessions
        asked = (op.pg, op.tid, op.attempt, op.name, int.from_bytes(op.data, "big"), op.flags)
        number = self.session[osd]
        self.travel(number, lambda: self.serve(osd, number, epoch, asked))

    def travel(self, number: int, what: Callable[[], None]) -> None:
        """A stream keeps its order."""
        at = max(self.now + self.rng.expovariate(50), self.arrival.get(number, 0.0))
        self.arrival[number] = at
        self.later(at - self.now, what)

    def close(self, osd: int) -> None:
        self.session.pop(osd, None)
        self.forget_backoffs(osd)

    def forget_backoffs(self, osd: int) -> None:
        """They end with the stream they were said on."""
        for pg in [pg for pg, held in self.blocked.items() if held[0] == osd]:
            del self.blocked[pg]

    def acknowledge(self, osd: int, backoff: Backoff) -> None:
        self.travel(self.session[osd], lambda: self.hear_ack(backoff.pg.pg, backoff))

    # OSDs

    def serve(self, osd: int, number: int, epoch: int, asked: tuple) -> None:  # type: ignore[type-arg]
        pg, tid, attempt, name, value, flags = asked
        osdmap = self.truth
        if self.session.get(osd) != number and self.rng.random() < 0.5:
            self.cut.add(number)
        if number in self.cut:
            return  # lost with the rest of its stream; what came before had arrived
        if not osdmap.osd_state[osd] & OSDState.UP:
            return
        at = placement.of_group(osdmap, pg)
        if at.acting_primary != osd or epoch < self.since.get(pg, 1):
            return
        if pg in self.blocked and self.blocked[pg][0] == osd:
            return
        if flags & FLAG_READ:
            result = -errno.EAGAIN if self.rng.random() < 0.1 and not self.quiet else 0
        else:
            result = 0
            done = self.done.setdefault(name, {})
            if tid not in done:
                done[tid] = value
                self.written.setdefault(name, []).append(value)
        reply = OSDOpReply(name, pg, 0, result, osdmap.epoch, [], [], attempt, tid=tid)
        self.later(self.rng.expovariate(50), lambda: self.answer(osd, number, reply))

    def answer(self, osd: int, number: int, reply: OSDOpReply) -> None:
        if self.session.get(osd) == number:
            self.tracker.reply(osd, reply)

    # The client

    def submit(self, value: int) -> None:
        name = b"object%d" % self.rng.randrange(OBJECTS)
        is_read = self.rng.random() < 0.3
        full = pools.object_hash(self.truth.pools[POOL], name)

        def done(outcome: OSDOpReply | OctoError) -> None:
            assert isinstance(outcome, OSDOpReply)
            assert value not in self.answered
            self.answered.add(value)

        op = Op(
            POOL,
            full,
            FLAG_READ if is_read else FLAG_WRITE,
            name=name,
            locator=Locator(POOL),
            data=value.to_bytes(4, "big"),
            done=done,
            cost=10,
        )
        self.tracker.submit(op)
        if self.rng.random() < 0.05:
            self.later(self.rng.expovariate(20), lambda: self.cancel(op, value))

    def cancel(self, op: Op, value: int) -> None:
        if value not in self.answered:
            self.cancelled.add(value)
            self.tracker.cancel(op)

    def hear_maps(self) -> None:
        known = self.tracker.epoch
        new = [m for m in self.maps if m.epoch > known]
        if new and not self.quiet:
            new = new[: self.rng.randint(1, len(new))]
        if new and len(new) > 1 and self.rng.random() < 0.3:
            self.tracker.follow(new[-1:], skipped=True)  # a whole map, and nothing between
        elif new:
            self.tracker.follow(new, skipped=False)

    # Faults

    def change(self, **values: object) -> None:
        before = self.truth
        after = msgspec.structs.replace(before, epoch=before.epoch + 1, **values)
        self.maps.append(after)
        old_pool, new_pool = before.pools[POOL], after.pools[POOL]
        for seed in range(new_pool.pg_num):
            pg = PG(POOL, seed)
            old, new = placement.of_group(before, pg), placement.of_group(after, pg)
            primary = new.acting_primary
            moved = old.acting != new.acting or old.acting_primary != primary
            anew = (
                primary >= 0
                and before.client_addresses[primary] != (after.client_addresses[primary])
            )
            split = seed >= old_pool.pg_num or bool(
                pools.split_children(pg, old_pool.pg_num, new_pool.pg_num)
            )
            if moved or anew or split:
                # an interval begins; clients need not send again when only copies changed
                if _must_resend(old, new) or anew or split:
                    self.since[pg] = after.epoch
                held = self.blocked.get(pg)
                if held is not None:  # who ends a backoff says so
                    self.later(self.rng.expovariate(50), lambda h=held, g=pg: self.unblock(g, h[2]))  # type: ignore[misc]
        self.later(self.rng.expovariate(5), self.hear_maps)

    def fault(self) -> None:
        if self.quiet:
            return
        self.later(self.rng.expovariate(8), self.fault)
        osd = self.rng.randrange(OSDS)
        draw = self.rng.random()
        if draw < 0.35:
            self.turn(osd)
        elif draw < 0.6:
            self.break_session(osd)
        elif draw < 0.75:
            self.block(PG(POOL, self.rng.randrange(self.truth.pools[POOL].pg_num)))
        elif draw < 0.85:
            self.change(flags=self.truth.flags ^ MapFlag.PAUSEWR)
        elif draw < 0.9 and self.truth.pools[POOL].pg_num < 32:
            pool = self.truth.pools[POOL]
            larger = msgspec.structs.replace(pool, pg_num=pool.pg_num + 3)
            self.change(pools={POOL: larger})
        else:
            epoch = self.truth.epoch + 1
            pool = msgspec.structs.replace(self.truth.pools[POOL], last_force_op_resend=epoch)
            self.change(pools={POOL: pool})

    def turn(self, osd: int, *, up: bool | None = None) -> None:
        """Down, or up at another address; sometimes both within one epoch."""
        state = list(self.truth.osd_state)
        is_up = bool(state[osd] & OSDState.UP)
        if up is not None and up == is_up:
            return
        addresses = list(self.truth.client_addresses)
        if not is_up or (up is None and self.rng.random() < 0.3):
            addresses[osd] = _address(osd, self.truth.epoch + 1)
            state[osd] = OSDState.EXISTS | OSDState.UP
        else:
            state[osd] = int(OSDState.EXISTS)
        self.break_session(osd)
        self.change(osd_state=tuple(state), client_addresses=tuple(addresses))

    def break_session(self, osd: int) -> None:
        if self.session.pop(osd, None) is None:
            return
        self.forget_backoffs(osd)
        self.tracker.broken(osd)
        self.later(self.rng.expovariate(10), lambda: self.restart(osd))

    def restart(self, osd: int) -> None:
        if osd not in self.session:
            self.tracker.restart(osd)

    def block(self, pg: PG) -> None:
        osd = placement.of_group(self.truth, pg).acting_primary
        if osd < 0 or pg in self.blocked or osd not in self.session:
            return
        number = self.session[osd]
        begin, end = HObject(hash=pg.seed, pool=POOL), HOBJECT_MAX
        told = Backoff(ShardPG(pg), self.truth.epoch, BackoffCode.BLOCK, self.count, begin, end)
        self.blocked[pg] = (osd, number, told)
        self.tracker.backoff(osd, told)
        self.later(self.rng.expovariate(10), lambda: self.unblock(pg, told))

    def unblock(self, pg: PG, told: Backoff) -> None:
        held = self.blocked.get(pg)
        if held is None or held[2] is not told:
            return
        if told.id not in self.acked:  # what was sent before must not pass what was dropped
            self.over.add(told.id)
            return
        del self.blocked[pg]
        if self.session.get(held[0]) == held[1]:
            free = msgspec.structs.replace(told, op=BackoffCode.UNBLOCK)
            self.tracker.backoff(held[0], free)

    def hear_ack(self, pg: PG, told: Backoff) -> None:
        self.acked.add(told.id)
        if told.id in self.over:
            self.unblock(pg, told)

    def calm(self) -> None:
        """No more faults: all is up, nothing is held, every map is heard of."""
        self.quiet = True
        for osd in range(OSDS):
            self.turn(osd, up=True)
        self.change(flags=self.truth.flags & ~int(MapFlag.PAUSEWR))


def _must_resend(old: placement.Placement, new: placement.Placement) -> bool:
    def role(at: placement.Placement) -> int:
        return at.acting.index(at.acting_primary) if at.acting_primary in at.acting else -1

    return (
        bool(old.acting) != bool(new.acting)
        or old.acting_primary != new.acting_primary
        or role(old) != role(new)
    )


@pytest.mark.parametrize("seed", range(SEEDS), ids=lambda n: f"seed{n}")
def test_every_write_is_done_once_and_in_order(seed: int) -> None:
    world = World(seed)
    at = 0.0
    for value in range(1, OPS + 1):
        at += world.rng.expovariate(30)
        world.later(at, lambda value=value: world.submit(value))  # type: ignore[misc]
    world.later(0.1, world.fault)
    world.later(at + 1, world.calm)
    world.run()
    assert world.answered | world.cancelled == set(range(1, OPS + 1))
    assert world.tracker.in_flight == world.tracker.cost == 0
    assert not list(world.tracker.ops())
    assert world.truth.epoch > 10
    for values in world.written.values():
        assert values == sorted(values)
        assert len(values) == len(set(values))
