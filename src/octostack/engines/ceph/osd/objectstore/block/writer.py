# SPDX-License-Identifier: Apache-2.0
"""Batches to the disk, one after the other; a checkpoint when the journal has taken a quarter.

A batch: its blocks to free places, its frame to the journal, one sync for both; then the answers
may go out, and its small writes are put over what they replace. All of that blocks, so it is
offloaded as one piece.

A checkpoint belongs to a batch: what had changed when that batch was closed becomes a table. It
is written while later batches go on. Until it is done no freed block is used again, as the journal
that follows it might put an older write over it. A batch with a checkpoint waits for the one
before: so the journal never holds more than twice what lies between two of them.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from octostack.base import log
from octostack.engines.ceph.osd.objectstore.block import layout, metadata
from octostack.engines.ceph.osd.objectstore.block.allocator import Run
from octostack.engines.ceph.osd.objectstore.block.blocks import Batch, merged, runs_of
from octostack.engines.ceph.osd.objectstore.block.journal import Frame, Position
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK
from octostack.engines.ceph.osd.objectstore.block.recovery import State
from octostack.engines.ceph.osd.objectstore.block.tables import (
    Built,
    Pair,
    Table,
    TableFacts,
    build,
    merge,
)
from octostack.runtime import tasks

_log = log.get("objectstore")


class Writer:
    """See the module's essay."""

    def __init__(self, state: State) -> None:
        self.failure: BaseException | None = None
        self._state = state
        self._supervisor = tasks.Supervisor("objectstore")
        self._closed: deque[Batch] = deque()
        self._wake = asyncio.Event()
        # bytes since the last checkpoint began
        self._journalled = state.journal.used(state.superblock.journal_offset)
        self._held: list[Run] = []  # freed while a checkpoint runs
        self._checkpoint: asyncio.Task[None] | None = None
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write what is queued."""
        self._task = self._supervisor.spawn("write", self._run())

    async def stop(self) -> None:
        """Write what is queued, then a checkpoint, so that the next start has nothing to redo."""
        if self.failure is None and self._task is not None and not self._task.done():
            self._begin_checkpoint()
            self._stopping = True
            self._wake.set()
            await self._task
            if self._checkpoint is not None:
                await self._checkpoint
        await self._supervisor.stop()

    def queued(self, done: Callable[[], None] | None) -> None:
        """Something was added to the open batch."""
        batch = self._state.blocks.batch
        if done is not None:
            batch.done.append(done)
        quarter = self._state.journal.size // 4
        if batch.weight + self._journalled > quarter:
            self._begin_checkpoint()
        self._wake.set()

    def _close(self) -> Batch:
        blocks = self._state.blocks
        batch = blocks.batch
        blocks.batch = Batch()
        self._closed.append(batch)
        self._state.unsettled += batch.freed_blocks
        self._journalled += batch.weight + BLOCK
        return batch

    def _begin_checkpoint(self) -> None:
        """Close the batch; what has changed until now becomes a table once it is durable."""
        batch = self._close()
        self._journalled = 0
        batch.frozen = self._state.metadata.freeze()
        batch.next_number = self._state.next_number

    def _free(self) -> list[Run]:
        """What is free for who starts from the batch that was written last: all but what that one
        and those before it have. What later ones took is theirs by their frames."""
        blocks = self._state.blocks
        later = [run for batch in (*self._closed, blocks.batch) for run in batch.taken]
        return merged([*blocks.allocator.runs(), *self._held, *later])

    async def _run(self) -> None:
        while self.failure is None:
            open_batch = self._state.blocks.batch
            if self._closed:
                await self._guarded(self._write(self._closed.popleft()))
            elif open_batch.done or open_batch.weight:
                self._close()
            elif self._stopping:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """What a disk that failed has is unknown: nothing may be written behind it."""
        try:
            await work
        except Exception as error:  # supervises the writing: the store refuses from now on
            self.failure = error
            _log.exception("the disk failed: nothing more is written")

    async def _write(self, batch: Batch) -> None:
        state = self._state
        full = state.journal.used(state.superblock.journal_offset) + batch.weight
        running = self._checkpoint
        if running is not None and (batch.frozen is not None or full > state.journal.size * 5 // 8):
            await running
        if self.failure is not None:
            return
        await state.device.offload(self._plan(batch))
        state.blocks.landed(batch)
        if self._checkpoint is not None:
            self._held += batch.freed
        else:
            state.unsettled -= batch.freed_blocks
            state.blocks.release(batch.freed)
        if batch.frozen is not None:
            work = self._write_checkpoint(batch, state.journal.at, self._free())
            self._checkpoint = self._supervisor.spawn("checkpoint", self._guarded(work))
        for done in batch.done:
            done()

    def _plan(self, batch: Batch) -> Callable[[], None]:
        state, device = self._state, self._state.device
        # A block that this batch took and gave back is the next batch's to write to: it proves
        # nothing of this one.
        gone = {place for start, n in batch.freed for place in range(start, start + n)}
        sums = batch.sums
        if not gone.isdisjoint(sums):
            sums = {place: crc for place, crc in sums.items() if place not in gone}
        frame = Frame(
            batch.changes,
            batch.over,
            sums,
            batch.taken,
            merged(batch.freed),
            state.next_number,
        )
        empty = not (batch.changes or batch.straight or batch.over or batch.freed)

        def work() -> None:
            if empty:
                return
            for start, data in batch.straight:
                device.write(start * BLOCK, [data])
            at, data = state.journal.place(frame)
            if batch.straight:
                device.write(at, [data])
                device.sync()
            else:
                device.write_durably(at, data)
            for start, count in runs_of(place for place in batch.over if place not in gone):
                device.write(start * BLOCK, [batch.over[p] for p in range(start, start + count)])

        return work

    async def _write_checkpoint(self, batch: Batch, position: Position, free: list[Run]) -> None:
        state = self._state
        frozen = batch.frozen
        assert frozen is not None
        tables, dropped = await self._write_tables(frozen)
        old = state.superblock
        free += [*(run for table in dropped for run in table.facts.runs), *old.manifest]
        facts = [table.facts for table in tables]
        data = layout.encode_manifest(layout.Manifest(facts, free, batch.next_number))
        runs = state.blocks.allocator.take(layout.blocks_for(len(data)))
        new = layout.Superblock(
            old.generation + 1,
            old.store,
            old.size,
            old.journal_start,
            old.journal_size,
            position.offset,
            position.number,
            runs,
            len(data),
            layout.checksum(data),
        )

        def work() -> None:
            layout.write_runs(state.device, runs, data)
            state.device.sync()
            layout.write_superblock(state.device, new)

        await state.device.offload(work)
        state.superblock = new
        state.metadata.replace(frozen, tables)
        for start, count in [run for table in dropped for run in table.facts.runs] + old.manifest:
            state.blocks.allocator.free(start, count)
        state.unsettled -= sum(count for _, count in self._held)
        state.blocks.release(self._held)
        self._held = []
        self._checkpoint = None
        self._wake.set()

    async def _write_tables(self, frozen: metadata.Layer) -> tuple[list[Table], list[Table]]:
        """The frozen layer as a table, merged with others where there are too many."""
        state = self._state
        old = state.metadata.tables
        pairs = list(frozen.items())
        weight = sum(len(key) + len(value or b"") for key, value in pairs)
        count = metadata.to_merge([weight, *(table.size for table in old)]) - 1
        merged = old[:count]

        def work() -> Built | None:
            sources: list[Iterable[Pair]] = [pairs, *(table.all_pairs() for table in merged)]
            return build(merge(sources, keep_removed=count < len(old)))

        built = await state.device.offload(work)
        if built is None:
            return old[count:], merged
        runs = state.blocks.allocator.take(layout.blocks_for(len(built.data)))
        await state.device.offload(lambda: layout.write_runs(state.device, runs, built.data))
        facts = TableFacts(runs, built.index_offset, len(built.data), built.index_sum)
        table = Table(state.device, facts, built.index, state.metadata.cache)
        return [table, *old[count:]], merged
