# SPDX-License-Identifier: Apache-2.0
"""Changes of whole objects as changes of their shards.

Bytes change by whole stripes: of one that is written in part, the rest is read first. Whoever plans
has to have read it: what is missing is asked for by `NeedsData`, and the plan is made again.
Beyond an object's end its last stripe is zeros, always.
"""

from collections.abc import Callable, Sequence

import msgspec

from octostack.engines.ceph.osd.core.shards.layout import Layout
from octostack.engines.ceph.osd.core.shards.needs import NeedsData, covering
from octostack.engines.ceph.osd.core.shards.recent import Recent
from octostack.engines.ceph.osd.objectstore import api
from octostack.wire.ceph.objects import HObject, ShardPG

Stripe = tuple[HObject, int]  # of an object as the store has it, by number


class _Object(msgspec.Struct):
    """An object as it becomes: what is in `stripes` differs from `base`, or was looked at."""

    size: int
    base: HObject | None  # where the other bytes are
    kept: int = 0  # so many stripes of that are still its own
    stripes: dict[int, bytearray] = {}
    cuts: dict[int, int] = {}  # stripes of `base` that are zeros from there on
    dirty: set[int] = set()
    resized: bool = False
    anew: bool = False  # no stripe of it needs to be what it was
    written: set[int] = set()  # stripes that are other than they were
    edges: set[int] = set()  # of these: written in part


class Striping:
    """Turns one transaction into one for each shard."""

    def __init__(
        self, layout: Layout, where: ShardPG, size_of: Callable[[HObject], int | None]
    ) -> None:
        self._layout = layout
        self._where = where
        self._size_of = size_of  # of an object in the store; None: it is not there
        self._objects: dict[HObject, _Object] = {}
        self._read: dict[Stripe, bytes] = {}
        self._shards: list[list[api.Change]] = [[] for _ in range(layout.count)]
        self._encodes = False

    def needed(self, changes: Sequence[api.Change], read: dict[Stripe, bytes]) -> None:
        """Raises NeedsData unless all that must be read is in `read`."""
        self._read = read
        self._take(changes)
        for what in list(self._objects):
            self._flush(what)

    def plan(
        self, changes: Sequence[api.Change], read: dict[Stripe, bytes]
    ) -> list[list[api.Change]]:
        """The transaction of each shard. Raises NeedsData."""
        self._read, self._encodes = read, True
        self._take(changes)
        for what in list(self._objects):
            self._flush(what)
        return self._shards

    def remember(self, recent: Recent) -> None:
        """What was planned, for those who go on with it."""
        owner = self._where
        for what, state in self._objects.items():
            recent.drop(owner, what, None if state.anew else state.written)
            edges = state.edges & state.stripes.keys()
            recent.put(owner, what, {n: bytes(state.stripes[n]) for n in edges})

    def _take(self, changes: Sequence[api.Change]) -> None:
        for change in changes:
            match change:
                case api.Write():
                    self._write(change.object, change.offset, change.data)
                case api.Zero():
                    self._write(change.object, change.offset, bytes(change.length))
                case api.Truncate():
                    self._truncate(change.object, change.size)
                case api.Remove():
                    self._objects[change.object] = _Object(0, None, anew=True)
                    self._pass(change)
                case api.Clone():
                    self._flush(change.object)
                    source = self._get(change.object)
                    stripes = {n: bytearray(data) for n, data in source.stripes.items()}
                    self._objects[change.target] = _Object(
                        source.size, source.base, source.kept, stripes, anew=True
                    )
                    self._pass(change)
                case _:
                    self._pass(change)

    def _get(self, what: HObject) -> _Object:
        found = self._objects.get(what)
        if found is None:
            size = self._size_of(what)
            found = _Object(size or 0, what, self._layout.stripes(size or 0))
            self._objects[what] = found
        return found

    def _pass(self, change: api.Change) -> None:
        """The same for every shard, in its own collection."""
        for shard, changes in enumerate(self._shards):
            where = ShardPG(self._where.pg, shard)
            changes.append(msgspec.structs.replace(change, collection=where))

    def _stripe(self, state: _Object, number: int) -> bytearray:
        found = state.stripes.get(number)
        if found is None:
            known = bytes(self._layout.width)
            if state.base is not None and number < state.kept:
                if (state.base, number) not in self._read:
                    raise NeedsData(state.base, number, 1)
                known = self._read[state.base, number]
            found = state.stripes[number] = bytearray(known)
            cut = state.cuts.pop(number, None)
            if cut is not None:
                found[cut:] = bytes(self._layout.width - cut)
                state.dirty.add(number)
        return found

    def _write(self, what: HObject, offset: int, data: api.Data) -> None:
        state, width = self._get(what), self._layout.width
        end, view = offset + len(data), memoryview(data)
        for number in covering(width, offset, len(data)):
            start = number * width
            low, high = max(offset, start), min(end, start + width)
            keeps = (low > start and state.size > start) or high < min(state.size, start + width)
            if keeps:
                stripe = self._stripe(state, number)
            else:
                stripe = state.stripes[number] = bytearray(width)
                state.cuts.pop(number, None)
            stripe[low - start : high - start] = view[low - offset : high - offset]
            state.dirty.add(number)
            if high - low < width:
                state.edges.add(number)
        if end > state.size:
            state.size, state.resized = end, True

    def _truncate(self, what: HObject, size: int) -> None:
        state, width = self._get(what), self._layout.width
        if size < state.size:
            state.anew = True
            number, rest = divmod(size, width)
            last = self._layout.stripes(size)
            state.kept = min(state.kept, last)
            state.stripes = {n: data for n, data in state.stripes.items() if n < last}
            state.cuts = {n: cut for n, cut in state.cuts.items() if n < last}
            state.dirty = {n for n in state.dirty if n < last}
            if rest and number in state.stripes:
                state.stripes[number][rest:] = bytes(width - rest)
                state.dirty.add(number)
            elif rest and number < state.kept:
                state.cuts[number] = min(rest, state.cuts.get(number, rest))
            self._pass(api.Truncate(self._where, what, self._layout.shard_size(size)))
        if size != state.size:
            state.size, state.resized = size, True

    def _flush(self, what: HObject) -> None:
        """Put out what has changed of an object's bytes until now."""
        state = self._get(what)
        for number in list(state.cuts):
            self._stripe(state, number)
        if not self._encodes:
            return
        unit = self._layout.unit
        for first, count in _runs(sorted(state.dirty)):
            whole = b"".join(state.stripes[n] for n in range(first, first + count))
            for shard, piece in enumerate(self._layout.split(whole)):
                where = ShardPG(self._where.pg, shard)
                self._shards[shard].append(api.Write(where, what, first * unit, piece))
        if state.resized:
            size = self._layout.shard_size(state.size)
            self._pass(api.Truncate(self._where, what, size))
        state.written |= state.dirty
        state.dirty, state.resized = set(), False


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbours taken together: (first, count)."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and sum(found[-1]) == number:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((number, 1))
    return found
