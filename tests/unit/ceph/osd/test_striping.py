# SPDX-License-Identifier: Apache-2.0
"""What a transaction does to a whole object, its shards' transactions do to the shards."""

from random import Random

import pytest

from octostack.engines.ceph.osd.core.shards.layout import Layout, layout_of
from octostack.engines.ceph.osd.core.shards.striping import NeedsData, Striping
from octostack.engines.ceph.osd.objectstore import api
from octostack.engines.ceph.osd.objectstore.memory import MemoryStore
from octostack.wire.ceph.objects import PG, SNAP_HEAD, HObject, ShardPG

WHOLE = ShardPG(PG(1, 0))
NAMES = [HObject(b"o", b"", snap, 5, False, b"", 1) for snap in (2, 7, SNAP_HEAD)]


class Spread:
    """A store of whole objects, and beside it the shards that ought to be the same."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.whole = MemoryStore()
        self.whole.queue([[api.CreateCollection(WHOLE)]])
        self.shards = MemoryStore()
        self.places = [ShardPG(WHOLE.pg, n) for n in range(layout.count)]
        self.shards.queue([[api.CreateCollection(place) for place in self.places]])
        self.reads = 0

    def size_of(self, what: HObject) -> int | None:
        there = self.whole.exists(WHOLE, what)
        return self.whole.size(WHOLE, what) if there else None

    def do(self, changes: list[api.Change]) -> None:
        read: dict[tuple[HObject, int], bytes] = {}
        while True:
            try:
                Striping(self.layout, WHOLE, self.size_of).needed(changes, read)
                break
            except NeedsData as need:
                self.reads += need.count
                for number in range(need.first, need.first + need.count):
                    read[need.what, number] = self.stripe(need.what, number)
        plans = Striping(self.layout, WHOLE, self.size_of).plan(changes, read)
        for plan in plans:
            self.shards.queue([plan])
        self.whole.queue([changes])

    def stripe(self, what: HObject, number: int) -> bytes:
        width = self.layout.width
        return self.whole.read(WHOLE, what, number * width, width).ljust(width, b"\0")

    def check(self) -> None:
        layout = self.layout
        for what in NAMES:
            size = self.size_of(what)
            assert self.shards.exists(self.places[0], what) == (size is not None)
            if size is None:
                continue
            pieces = [self.shards.read(place, what) for place in self.places]
            assert {len(piece) for piece in pieces} == {layout.shard_size(size)}
            data = self.whole.read(WHOLE, what).ljust(layout.stripes(size) * layout.width, b"\0")
            if data:
                assert pieces == layout.split(data)
                assert layout.join({n: pieces[n] for n in range(layout.k)}) == data


def random_changes(rng: Random, size: int, layout: Layout) -> list[api.Change]:
    head, most = NAMES[-1], 4 * layout.width
    changes: list[api.Change] = []
    if rng.random() < 0.2:
        changes.append(api.Clone(WHOLE, head, rng.choice(NAMES[:2])))
    for _ in range(rng.randint(1, 4)):
        match rng.randrange(9):
            case 0:
                changes.append(api.Truncate(WHOLE, head, rng.randrange(most)))
            case 1 if size:
                offset = rng.randrange(size)
                changes.append(api.Zero(WHOLE, head, offset, rng.randint(0, size - offset)))
            case 2:
                changes += [api.Remove(WHOLE, head), api.Touch(WHOLE, head)]
            case 3:
                data = rng.randbytes(rng.choice((0, 5, layout.width, most)))
                changes.append(api.Truncate(WHOLE, head, len(data)))
                changes.append(api.Write(WHOLE, head, 0, data))
            case 4:
                changes.append(api.Clone(WHOLE, rng.choice(NAMES[:2]), head))
            case _:
                offset = rng.randrange(most)
                if rng.random() < 0.3:
                    offset -= offset % layout.width
                length = rng.choice((1, 7, layout.unit, layout.width, 2 * layout.width))
                changes.append(api.Write(WHOLE, head, offset, rng.randbytes(length)))
    return changes


@pytest.mark.parametrize("seed", range(40))
def test_shards_follow_the_whole(seed: int) -> None:
    rng = Random(seed)
    k, m = rng.choice(((2, 1), (3, 2), (4, 2)))
    layout = layout_of({"k": str(k), "m": str(m)}, unit=16)
    spread = Spread(layout)
    for what in NAMES:
        spread.do([api.Touch(WHOLE, what)])
    for _ in range(40):
        size = spread.size_of(NAMES[-1]) or 0
        spread.do(random_changes(rng, size, layout))
        spread.check()


def test_only_what_is_written_in_part_is_read() -> None:
    layout = layout_of({"k": "2", "m": "1"}, unit=16)
    spread, head = Spread(layout), NAMES[-1]
    spread.do([api.Write(WHOLE, head, 0, bytes(100))])
    spread.do([api.Write(WHOLE, head, 32, b"x" * 64)])
    spread.do([api.Write(WHOLE, head, 96, b"y" * 10)])  # beyond all there is in that stripe
    spread.do([api.Truncate(WHOLE, head, 20), api.Write(WHOLE, head, 0, b"z" * 20)])
    assert spread.reads == 0
    spread.do([api.Write(WHOLE, head, 3, b"w")])
    assert spread.reads == 1
    spread.check()
