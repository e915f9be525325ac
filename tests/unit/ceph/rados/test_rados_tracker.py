# SPDX-License-Identifier: Apache-2.0
"""What the tracker sends, holds back and believes, case by case; the simulation has the rest."""

import errno
import uuid
from typing import Any

import msgspec
import pytest

from octostack.base.errors import NotFound, OctoError
from octostack.engines.ceph.core.osdmap import placement, pools
from octostack.engines.ceph.mon.core import genesis
from octostack.engines.ceph.rados.core import ops
from octostack.engines.ceph.rados.core.tracker import Linger, Op, Tracker
from octostack.wire.ceph.addresses import Address, AddressKind
from octostack.wire.ceph.maps.osdmap import MapFlag, OSDMap, OSDState
from octostack.wire.ceph.maps.pool import Pool, PoolFlag
from octostack.wire.ceph.messages.client import Backoff, BackoffCode
from octostack.wire.ceph.messages.osdop import OSDOpReply
from octostack.wire.ceph.objects import PG, HObject, Locator, ShardPG

POOL = 3


def first_map(**pool: Any) -> OSDMap:
    where = Address(AddressKind.MSGR2, "127.0.0.1", 3300)
    founding = genesis.Founding(
        uuid.UUID(int=1), {"a": (where,)}, tuple(uuid.UUID(int=n + 2) for n in range(3)), 0
    )
    return msgspec.structs.replace(
        genesis.first_osdmap(founding),
        epoch=1,
        pools={POOL: Pool(**{"size": 2, "pg_num": 4, "pgp_num": 4, **pool})},
        osd_state=(OSDState.EXISTS | OSDState.UP,) * 3,
        osd_weight=(0x10000,) * 3,
        client_addresses=tuple(
            (Address(AddressKind.MSGR2, "127.0.0.1", 6800 + n),) for n in range(3)
        ),
    )


class Wire:
    """A port that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, int, int]] = []  # OSD, number, attempt
        self.acknowledged: list[Backoff] = []

    def send(self, osd: int, op: Op, epoch: int) -> None:
        self.sent.append((osd, op.tid, op.attempt))

    def close(self, osd: int) -> None:
        self.sent.append((osd, 0, 0))

    def acknowledge(self, osd: int, backoff: Backoff) -> None:
        self.acknowledged.append(backoff)


class Client:
    """A tracker on a map, with what came of its operations."""

    def __init__(self, osdmap: OSDMap) -> None:
        self.wire = Wire()
        self.map = osdmap
        self.tracker = Tracker(self.wire, lambda: 0.0)
        self.tracker.follow([osdmap], skipped=False)
        self.outcomes: list[OSDOpReply | OctoError] = []

    def submit(self, name: bytes = b"o", flags: int = ops.FLAG_WRITE) -> Op:
        full = pools.object_hash(self.map.pools[POOL], name)
        op = Op(POOL, full, flags, name=name, locator=Locator(POOL), done=self.outcomes.append)
        self.tracker.submit(op)
        return op

    def change(self, *, skipped: bool = False, **values: Any) -> None:
        self.map = msgspec.structs.replace(self.map, epoch=self.map.epoch + 1, **values)
        self.tracker.follow([self.map], skipped=skipped)

    def reply(self, op: Op, result: int = 0, attempt: int | None = None) -> None:
        said = op.attempt if attempt is None else attempt
        assert op.pg is not None
        answer = OSDOpReply(op.name, op.pg, 0, result, 1, [], [], said, tid=op.tid)
        self.tracker.reply(op.osd, answer)


def test_an_answer_to_an_earlier_attempt_is_not_believed() -> None:
    client = Client(first_map())
    op = client.submit()
    client.tracker.broken(op.osd)
    client.tracker.restart(op.osd)
    assert client.wire.sent == [(op.osd, op.tid, 0), (op.osd, op.tid, 1)]
    client.reply(op, attempt=0)
    assert client.outcomes == []
    client.reply(op)
    client.reply(op)
    assert len(client.outcomes) == 1


def test_try_again_takes_another_number() -> None:
    client = Client(first_map())
    op = client.submit(flags=ops.FLAG_READ)
    client.reply(op, -errno.EAGAIN)
    assert client.wire.sent == [(op.osd, 1, 0), (op.osd, 2, 0)]
    client.reply(op)
    assert client.tracker.in_flight == 0


@pytest.mark.parametrize(
    ("flags", "pool_flags", "asked", "is_held"),
    [
        (MapFlag.PAUSEWR, 0, ops.FLAG_WRITE, True),
        (MapFlag.PAUSEWR, 0, ops.FLAG_READ, False),
        (MapFlag.PAUSERD, 0, ops.FLAG_READ, True),
        (MapFlag.PAUSERD, 0, ops.FLAG_WRITE, False),
        (MapFlag.FULL, 0, ops.FLAG_WRITE, True),
        (MapFlag.FULL, 0, ops.FLAG_READ, False),
        (MapFlag.FULL, 0, ops.FLAG_WRITE | ops.FLAG_FULL_TRY, False),
        (0, PoolFlag.FULL, ops.FLAG_WRITE, True),
        (0, PoolFlag.FULL, ops.FLAG_WRITE | ops.FLAG_FULL_FORCE, False),
        (MapFlag.PAUSEWR, 0, ops.FLAG_WRITE | ops.FLAG_FULL_TRY, True),
    ],
)
def test_what_the_map_holds_back(flags: int, pool_flags: int, asked: int, is_held: bool) -> None:
    client = Client(first_map())
    free = client.map
    full = msgspec.structs.replace(free.pools[POOL], flags=free.pools[POOL].flags | pool_flags)
    client.change(flags=free.flags | flags, pools={POOL: full})
    client.submit(flags=asked)
    assert bool(client.wire.sent) != is_held
    client.change(flags=free.flags, pools=free.pools)
    assert len(client.wire.sent) == 1


def test_a_shard_is_named_where_places_have_a_meaning() -> None:
    client = Client(first_map(type=3))
    op = client.submit()
    assert op.shard == op.acting.index(op.osd)
    assert Client(first_map()).submit().shard == -1


def test_only_what_lost_its_primary_is_sent_again() -> None:
    client = Client(first_map())
    by_name = {name: client.submit(name) for name in (b"a", b"b", b"c", b"d", b"e", b"f")}
    lost = next(iter(by_name.values())).osd
    moved = sorted(op.tid for op in by_name.values() if op.osd == lost)
    client.wire.sent.clear()
    state = [s if n != lost else int(OSDState.EXISTS) for n, s in enumerate(client.map.osd_state)]
    client.change(osd_state=tuple(state))
    assert (lost, 0, 0) in client.wire.sent
    assert sorted(tid for _, tid, _ in client.wire.sent if tid) == moved
    assert all(op.osd != lost for op in by_name.values())
    client.wire.sent.clear()
    client.change(skipped=True)
    assert [tid for _, tid, _ in client.wire.sent] == sorted(op.tid for op in by_name.values())


def test_a_backoff_of_one_object_holds_that_alone() -> None:
    client = Client(first_map(pg_num=1, pgp_num=1))
    first, other = client.submit(b"held"), client.submit(b"free")
    what = HObject(b"held", b"", first.snap, first.hash, False, b"", POOL)
    told = Backoff(ShardPG(PG(POOL, 0)), 1, BackoffCode.BLOCK, 7, what, what)
    client.tracker.backoff(first.osd, told)
    assert client.wire.acknowledged == [told]
    client.wire.sent.clear()
    again, free = client.submit(b"held"), client.submit(b"free")
    assert [tid for _, tid, _ in client.wire.sent] == [free.tid]
    client.tracker.backoff(first.osd, msgspec.structs.replace(told, op=BackoffCode.UNBLOCK))
    assert [tid for _, tid, _ in client.wire.sent] == [free.tid, first.tid, again.tid]
    assert other.attempt == 0


def test_a_pool_that_goes_takes_its_operations_along() -> None:
    client = Client(first_map())
    client.submit()
    gone: list[OctoError] = []
    client.tracker.attach(Linger(POOL, 1, ops.FLAG_WRITE, number=9, gone=gone.append))
    client.change(pools={})
    client.tracker.submit(Op(POOL, 1, ops.FLAG_READ, done=client.outcomes.append))
    assert [type(one) for one in (*client.outcomes, *gone)] == [NotFound] * 3
    assert client.tracker.in_flight == 0
    assert not client.tracker.lingers


def test_placements_are_kept_as_long_as_they_hold() -> None:
    client = Client(first_map())
    view = client.tracker.view
    pg = PG(POOL, 1)
    before = view.place(pg)
    client.change()
    assert view.place(pg) is before
    larger = msgspec.structs.replace(client.map.pools[POOL], size=3)
    client.change(pools={POOL: larger})
    assert len(view.place(pg).acting) == 3
    client.change(osd_weight=(0x10000, 0, 0x10000))
    assert view.place(pg) == placement.of_group(client.map, pg)
    assert 1 not in view.place(pg).acting
