# SPDX-License-Identifier: Apache-2.0
"""Read everything and compare: each block against its checksum, who has which block, the counts.

What can be mended without another copy is what nobody needs and what can be counted again: blocks
that nobody has and that are not free, metadata of objects that are no more, how many objects share
a block, how much is in a collection. A damaged block is only told of: `scrub` gets the object from
another copy.
"""

from array import array
from typing import TYPE_CHECKING

import msgspec

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.objectstore.api import META, Flaw, Usage
from octostack.engines.ceph.osd.objectstore.block import keys, layout, shares
from octostack.engines.ceph.osd.objectstore.block.blocks import runs_of
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK, Words
from octostack.engines.ceph.osd.objectstore.block.metadata import Metadata
from octostack.wire.ceph.objects import SNAP_HEAD, ShardPG

if TYPE_CHECKING:
    from octostack.engines.ceph.osd.objectstore.block.store import BlockStore

_COLLECTION_BYTES = len(keys.collection_key(META))


class _Check(msgspec.Struct):
    """One run, and what it has found."""

    store: "BlockStore"
    repair: bool
    flaws: list[Flaw]
    numbers: dict[int, str] = {}  # of objects, with their names
    owners: Words = array("I")  # of each block, how many objects have it

    def tell(self, where: str, what: str, *, mends: bool = False) -> bool:
        """A flaw; whether it is to be mended now."""
        mended = mends and self.repair
        self.flaws.append(Flaw(where, what, mended))
        return mended


def check(store: "BlockStore", *, repair: bool) -> list[Flaw]:
    """What is wrong; empty when all is well."""
    run = _Check(store, repair, [], owners=array("I", bytes(4 * (store.device.size // BLOCK))))
    try:
        _objects(run)
        _chunks(run)
        _orphans(run)
    except Corrupt as error:  # metadata that cannot be read: no more can be said
        run.tell("metadata", error.message)
        return run.flaws
    _shared(run)
    _space(run)
    return run.flaws


def count_usage(metadata: Metadata, where: ShardPG) -> Usage:
    """What is in a collection, by its objects."""
    usage = Usage()
    first = keys.OBJECTS + keys.collection_part(where)
    for key, value in metadata.pairs(first, first + b"\xff" * 16):
        what = keys.object_of(key[_COLLECTION_BYTES:])
        if what.name:
            usage.objects += 1
            usage.size += keys.decode_onode(value).size
            usage.clones += what.snap != SNAP_HEAD
    return usage


def _pairs(run: _Check, kind: bytes) -> list[tuple[bytes, bytes]]:
    return list(run.store.state.metadata.pairs(kind, bytes([kind[0] + 1])))


def _objects(run: _Check) -> None:
    """Each object's number, once; what the collections hold."""
    store = run.store
    counted = {where: Usage() for where in store.collection_bits}
    for key, value in _pairs(run, keys.OBJECTS):
        where, what = (
            keys.collection_of(key[1:_COLLECTION_BYTES]),
            keys.object_of(key[_COLLECTION_BYTES:]),
        )
        snap = "" if what.snap == SNAP_HEAD else f"@{what.snap:x}"
        name = f"{where}/{what.name.decode(errors='replace')}{snap}"
        onode = keys.decode_onode(value)
        if where not in counted:
            run.tell(name, "is in a collection that is not there")
        elif what.name:
            usage = counted[where]
            usage.objects += 1
            usage.size += onode.size
            usage.clones += what.snap != SNAP_HEAD
        if onode.number in run.numbers:
            run.tell(name, f"has the number of {run.numbers[onode.number]}")
        run.numbers[onode.number] = name
    for where, usage in counted.items():
        if store.usage(where) != usage and run.tell(
            str(where), f"counts {_text(store.usage(where))}, has {_text(usage)}", mends=True
        ):
            store.set_usage(where, usage)


def _text(usage: Usage) -> str:
    return f"{usage.objects} objects with {usage.size} bytes"


def _chunks(run: _Check) -> None:
    """Each block's owners; reads every block."""
    state = run.store.state
    for key, value in _pairs(run, keys.CHUNKS):
        number, index = int.from_bytes(key[1:9], "big"), int.from_bytes(key[9:], "big")
        name = run.numbers.get(number)
        if name is None:
            if run.tell(f"chunk {number}.{index}", "belongs to no object", mends=True):
                state.set(key, None)
            continue
        chunk = keys.decode_chunk(value)
        for slot, place in enumerate(chunk.places):
            if not place:
                continue
            run.owners[place] += 1
            try:
                state.blocks.read(place, chunk.sums[slot])
            except Corrupt:
                offset = index * keys.CHUNK + slot * BLOCK
                run.tell(name, f"is damaged at byte {offset} (block {place})")


def _orphans(run: _Check) -> None:
    for key, _ in _pairs(run, keys.OMAPS):
        number = int.from_bytes(key[1:9], "big")
        if number not in run.numbers and run.tell(
            f"omap {number}", "belongs to no object", mends=True
        ):
            run.store.state.set(key, None)


def _shared(run: _Check) -> None:
    """Blocks of several objects are known as such, and no others."""
    known = {
        int.from_bytes(key[1:], "big"): shares.decode_page(value)
        for key, value in _pairs(run, keys.SHARES)
    }
    size = shares.PAGE_BLOCKS
    for number in range(-(-len(run.owners) // size)):
        owners = run.owners[number * size : (number + 1) * size]
        page = array("I", [max(0, count - 1) for count in owners])
        page.extend([0] * (size - len(page)))
        said = known.get(number)
        if page == said if said is not None else not any(page):
            continue
        said = said or shares.decode_page(None)
        wrong = [slot for slot in range(size) if page[slot] != said[slot]]
        place = number * size + wrong[0]
        what = f"{len(wrong)} blocks from {place} on are shared by more or fewer than is counted"
        if run.tell("shares", what, mends=True):
            run.store.state.blocks.shares.set_page(number, page)


def _space(run: _Check) -> None:
    """Every block is free, somebody's, or about to be free."""
    state = run.store.state
    free = bytearray(len(run.owners))
    for start, count in state.blocks.allocator.runs():
        free[start : start + count] = b"\1" * count
    for place, owners in enumerate(run.owners):
        if owners:
            if free[place]:
                run.tell("space", f"block {place} is somebody's, and free too")
            free[place] = 1
    first = layout.SUPERBLOCKS + state.journal.size // BLOCK
    free[:first] = b"\1" * first
    known = [run for table in state.metadata.tables for run in table.facts.runs]
    for start, count in known + state.superblock.manifest:
        free[start : start + count] = b"\1" * count
    lost = [place for place in range(len(free)) if not free[place]]
    settled = not state.freed_blocks
    if len(lost) > state.freed_blocks and run.tell(
        "space", f"{len(lost)} blocks are nobody's", mends=settled
    ):
        for start, count in runs_of(lost):
            state.blocks.allocator.free(start, count)
