# SPDX-License-Identifier: Apache-2.0
"""Removed snapshots leave the clones, the index and, with the last clone, a head nobody sees."""

import errno

import pytest

from octostack.engines.ceph.osd.backend import snap_key, snaps_object
from octostack.engines.ceph.osd.core.shards import undoing
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore
from octostack.engines.ceph.osd.ops.snapshots import snap_of
from octostack.engines.ceph.osd.poolfacts import PoolFacts
from octostack.engines.ceph.osd.replicated import Replica
from octostack.engines.ceph.osd.reports import state
from octostack.engines.ceph.osd.trimming import LOOKS_AT_ONCE, TRIMS_AT_ONCE, list_due
from octostack.testing.osd import Client, copy_alone, extent, op
from octostack.wire.ceph.objects import PG, SNAP_HEAD, EVersion, HObject, ShardPG
from octostack.wire.ceph.opcodes import Code

C = ShardPG(PG(1, 0))
A = HObject(b"a", hash=0x1234, pool=1)
B = HObject(b"b", hash=0x4321, pool=1)
MANY = 3 * TRIMS_AT_ONCE
ENOENT = -errno.ENOENT


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def settle(replica: Replica, store: MemoryStore, ticks: int = 20) -> None:
    """Time passes, and all becomes durable."""
    for _ in range(ticks):
        replica.tick()
        while store.waiting:
            store.commit()


def removed(*snaps: int) -> PoolFacts:
    return PoolFacts(removed_snaps=frozenset(snaps))


def content(client: Client, what: HObject, snap: int = SNAP_HEAD) -> bytes | int:
    reply = client.ask(what, extent(Code.READ), snap=snap)
    return reply.result or bytes(reply.outputs[0])


def append(client: Client, what: HObject, data: bytes, snap: int) -> None:
    client.snap_seq, client.snaps = snap, list(range(snap, 0, -1))
    client.send(what, extent(Code.APPEND, payload=data))


def clones(store: MemoryStore) -> list[HObject]:
    return [what for what in store.list_objects(C) if what.name and what.snap != SNAP_HEAD]


def index(store: MemoryStore) -> list[bytes]:
    return [key for key, _ in store.omap_list(C, snaps_object(C))]


def test_a_clone_goes_with_its_last_snapshot(store: MemoryStore) -> None:
    replica = copy_alone(store, C)
    client = Client(replica.group.submit)
    for snap, data in enumerate((b"one", b"+1", b"+2")):
        append(client, A, data, snap)
    append(client, A, b"+4", 4)
    append(client, B, b"kept", 4)
    client.ask(A, op(Code.DELETE))
    settle(replica, store)
    before = [b"one", b"one+1", b"one+1+2", b"one+1+2"]
    assert [content(client, A, snap) for snap in (1, 2, 3, 4)] == before
    replica.group.pool = removed(2, 3)
    settle(replica, store)
    assert content(client, A, 1) == b"one"
    assert content(client, A, 2) == ENOENT
    assert content(client, A, 4) == b"one+1+2"  # the clone of 3 and 4
    assert [what.snap for what in clones(store)] == [1, 4]
    replica.group.pool = removed(1, 2, 3, 4)
    settle(replica, store)
    assert {what.name for what in store.list_objects(C)} == {b"", b"b"}
    assert (content(client, A, 4), content(client, B)) == (ENOENT, b"kept")
    assert index(store) == []


def test_a_walk_takes_few_at_a_time_and_goes_on_after_a_restart() -> None:
    store = MemoryStore(by_hand=True)
    replica = copy_alone(store, C)
    client = Client(replica.group.submit)
    names = [HObject(b"o%d" % n, hash=n << 20, pool=1) for n in range(MANY)]
    for what in names:
        append(client, what, b"old", 0)
        append(client, what, b"+new", 1)
    settle(replica, store)
    assert state(replica) == ["active", "clean"]
    replica.group.pool = removed(1)
    replica.tick()
    assert state(replica) == ["active", "clean", "snaptrim"]
    assert len(clones(store)) == MANY - TRIMS_AT_ONCE
    replica.tick()  # nothing is durable yet
    assert len(clones(store)) == MANY - TRIMS_AT_ONCE
    while store.waiting:
        store.commit()
    again = copy_alone(store, C, removed(1))
    again.tick()
    assert len(clones(store)) == MANY - 2 * TRIMS_AT_ONCE
    settle(again, store)
    assert (clones(store), index(store)) == ([], [])
    assert state(again) == ["active", "clean"]
    reader = Client(again.group.submit, 4101)
    assert {content(reader, what) for what in names} == {b"old+new"}


def test_nothing_is_trimmed_while_the_flag_forbids_it(store: MemoryStore) -> None:
    replica = copy_alone(store, C)
    client = Client(replica.group.submit)
    append(client, A, b"old", 0)
    append(client, A, b"+new", 1)
    replica.group.pool = PoolFacts(removed_snaps=frozenset({1}), may_trim=False)
    settle(replica, store)
    assert len(clones(store)) == 1
    append(client, B, b"old", 0)
    append(client, B, b"+new", 1)  # by a client who has yet to hear that it is gone
    assert len(clones(store)) == 1
    replica.group.pool = removed(1)
    settle(replica, store)
    assert clones(store) == []


def test_an_index_that_is_behind_is_put_right(store: MemoryStore) -> None:
    replica = copy_alone(store, C)
    client = Client(replica.group.submit)
    append(client, A, b"old", 0)
    keys = {snap_key(1, snap_of(what, 1)): b"" for what in (A, B)}
    store.queue([[api.OmapSet(C, snaps_object(C), keys)]])
    replica.group.pool = removed(1)
    settle(replica, store)
    assert index(store) == []
    assert (content(client, A), content(client, B)) == (b"old", ENOENT)


def test_what_is_there_yet_is_passed_over(store: MemoryStore) -> None:
    many = 2 * LOOKS_AT_ONCE
    rows = {snap_key(snap, snap_of(what, snap)): b"" for snap in range(many) for what in (A, B)}
    store.queue([[api.CreateCollection(C), api.OmapSet(C, snaps_object(C), rows)]])
    gone, found, looks = frozenset({3, many - 1, many + 7}), [], 0
    first: bytes | None = b""
    while first is not None:
        due, first = list_due(store, C, gone, first)
        found += [(one.snap, one.clone) for one in due]
        looks += 1
    assert found == [(snap, snap_of(what, snap)) for snap in (3, many - 1) for what in (A, B)]
    assert looks > 1


def test_a_shard_takes_back_what_it_took_from_the_index(store: MemoryStore) -> None:
    where = ShardPG(PG(1, 0), 0)
    there, not_there = snap_key(1, snap_of(A, 1)), snap_key(2, snap_of(A, 2))
    at = snaps_object(where)
    store.queue([[api.CreateCollection(where), api.OmapSet(where, at, {there: b""})]])
    changes: list[api.Change] = [api.OmapRemove(where, at, [there, not_there])]
    before, undo = undoing.plan(store, where, changes, EVersion(1, 1))
    store.queue([[*before, *changes]])
    assert store.omap_list(where, at) == []
    store.queue([list(undoing.decode(undoing.encode(undo)).steps)])
    assert store.omap_list(where, at) == [(there, b"")]
