# SPDX-License-Identifier: Apache-2.0
"""A copy gives objects, their log and their index of snapshots to the groups that are new."""

import pytest

from octostack.engines.ceph.core.osdmap import pools
from octostack.engines.ceph.osd import records
from octostack.engines.ceph.osd.backend import meta_object, snaps_object
from octostack.engines.ceph.osd.core import choosing
from octostack.engines.ceph.osd.core.values import View
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore
from octostack.engines.ceph.osd.splitting import list_children, plan_split
from octostack.testing.osd import Client, copy_alone, extent
from octostack.wire.ceph.objects import PG, HObject, ShardPG
from octostack.wire.ceph.opcodes import Code

C = ShardPG(PG(1, 0))
NAMES = [HObject(b"o%d" % n, hash=n * 2654435761 % 2**32, pool=1) for n in range(60)]


@pytest.mark.parametrize("groups", [2, 3, 8, 11])
def test_every_object_is_in_its_group_afterwards(groups: int) -> None:
    store = MemoryStore()
    client = Client(copy_alone(store, C).group.submit)
    for name in NAMES:
        client.ask(name, extent(Code.WRITE_FULL, payload=name.name))
    client.snap_seq, client.snaps = 1, [1]
    for name in NAMES[::3]:  # these get a clone each
        client.ask(name, extent(Code.APPEND, payload=b"+"))
    before = records.load_record(store, C)
    store.queue([plan_split(store, C, 1, groups)])
    assert plan_split(store, C, 1, groups) == [], "once is enough"
    everything: list[HObject] = []
    entries = []
    for where in (C, *list_children(C, 1, groups)):
        assert store.collections()[where] == pools.hash_bits(groups, where.pg) or where == C
        objects = [what for what in store.list_objects(where) if what.name]
        record = records.load_record(store, where)
        for what in (*objects, *(entry.object for entry in record.log.entries)):
            seed = pools.stable_mod(what.hash, groups, pools.mask(groups))
            assert seed == where.pg.seed, (what, where)
        clones = {what for what in objects if what.snap == 1}
        assert len(store.omap_list(where, snaps_object(where))) == len(clones) if clones else True
        assert store.exists(where, meta_object(where))
        assert record.info.history == before.info.history
        everything += objects
        entries += record.log.entries
    assert len(everything) == len(NAMES) + len(NAMES[::3])
    assert sorted(entries, key=lambda entry: entry.version) == before.log.entries
    again = copy_alone(store, list_children(C, 1, groups)[0])
    assert again.peering.is_active


def test_who_acts_stays_while_the_map_has_too_few() -> None:
    def view(up: tuple[int, ...], acting: tuple[int, ...]) -> View:
        return View(9, up, acting, acting[0], 3, 2, frozenset(range(5)), {}, {})

    assert choosing.settled(view((0, 2), (3, 0, 2))) == (0, 2, 3)
    assert choosing.settled(view((0, 2), (0, 2, 3))) == (0, 2, 3)
    assert choosing.settled(view((0, 2, 4), (3, 0, 2))) == (0, 2, 4)
    assert choosing.settled(view((0,), (0, 1, 2, 3))) == (0, 1, 2)
