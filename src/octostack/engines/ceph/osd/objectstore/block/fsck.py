# SPDX-License-Identifier: Apache-2.0
"""Read everything and compare: each block against its checksum, and who has which block.

What can be mended without another copy is what nobody needs: blocks that nobody has and that are
not free, and metadata of objects that are no more. A damaged block is only told of: `scrub` gets
the object from another copy.
"""

from typing import TYPE_CHECKING

from octostack.base.errors import Corrupt
from octostack.engines.ceph.osd.objectstore.api import META, Flaw
from octostack.engines.ceph.osd.objectstore.block import keys, layout
from octostack.engines.ceph.osd.objectstore.block.blocks import runs_of
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK

if TYPE_CHECKING:
    from octostack.engines.ceph.osd.objectstore.block.store import BlockStore


def check(store: "BlockStore", *, repair: bool) -> list[Flaw]:
    """What is wrong; empty when all is well."""
    flaws: list[Flaw] = []
    try:
        numbers = _objects(store, flaws)
        owners = _chunks(store, numbers, flaws, repair)
        _orphans(store, numbers, flaws, repair)
    except Corrupt as error:  # metadata that cannot be read: no more can be said
        return [*flaws, Flaw("metadata", error.message)]
    _space(store, owners, flaws, repair)
    return flaws


def _pairs(store: "BlockStore", kind: bytes) -> list[tuple[bytes, bytes]]:
    return list(store.state.metadata.pairs(kind, bytes([kind[0] + 1])))


def _objects(store: "BlockStore", flaws: list[Flaw]) -> dict[int, tuple[str, keys.Onode]]:
    """Each object's number, with its name."""
    found: dict[int, tuple[str, keys.Onode]] = {}
    at = 1 + len(keys.collection_part(next(iter(store.collection_bits), META)))
    for key, value in _pairs(store, keys.OBJECTS):
        collection = keys.collection_of(key[1:at])
        name = f"{collection}/{keys.object_of(key[at:]).name.decode(errors='replace')}"
        onode = keys.decode_onode(value)
        if collection not in store.collection_bits:
            flaws.append(Flaw(name, "is in a collection that is not there"))
        if onode.number in found:
            flaws.append(Flaw(name, f"has the number of {found[onode.number][0]}"))
        found[onode.number] = (name, onode)
    return found


def _chunks(
    store: "BlockStore",
    numbers: dict[int, tuple[str, keys.Onode]],
    flaws: list[Flaw],
    repair: bool,
) -> dict[int, str]:
    """Each block's owner; reads every block."""
    owners: dict[int, str] = {}
    for key, value in _pairs(store, keys.CHUNKS):
        number, index = int.from_bytes(key[1:9], "big"), int.from_bytes(key[9:], "big")
        if number not in numbers:
            flaws.append(Flaw(f"chunk {number}.{index}", "belongs to no object", repair))
            if repair:
                store.state.set(key, None)
            continue
        name = numbers[number][0]
        chunk = keys.decode_chunk(value)
        for slot, place in enumerate(chunk.places):
            if not place:
                continue
            if place in owners:
                flaws.append(Flaw(name, f"shares block {place} with {owners[place]}"))
            owners[place] = name
            try:
                store.state.blocks.read(place, chunk.sums[slot])
            except Corrupt:
                offset = index * keys.CHUNK + slot * BLOCK
                flaws.append(Flaw(name, f"is damaged at byte {offset} (block {place})"))
    return owners


def _orphans(
    store: "BlockStore",
    numbers: dict[int, tuple[str, keys.Onode]],
    flaws: list[Flaw],
    repair: bool,
) -> None:
    for key, _ in _pairs(store, keys.OMAPS):
        number = int.from_bytes(key[1:9], "big")
        if number not in numbers:
            flaws.append(Flaw(f"omap {number}", "belongs to no object", repair))
            if repair:
                store.state.set(key, None)


def _space(store: "BlockStore", owners: dict[int, str], flaws: list[Flaw], repair: bool) -> None:
    """Every block is free, somebody's, or about to be free."""
    state = store.state
    free = bytearray(state.device.size // BLOCK)
    for start, count in state.blocks.allocator.runs():
        free[start : start + count] = b"\1" * count
    for place, name in owners.items():
        if free[place]:
            flaws.append(Flaw(name, f"has block {place}, which is free too"))
        free[place] = 1
    first = layout.SUPERBLOCKS + state.journal.size // BLOCK
    free[:first] = b"\1" * first
    known = [run for table in state.metadata.tables for run in table.facts.runs]
    for start, count in known + state.superblock.manifest:
        free[start : start + count] = b"\1" * count
    lost = [place for place in range(len(free)) if not free[place]]
    if len(lost) > state.freed_blocks:
        flaws.append(
            Flaw("space", f"{len(lost)} blocks are nobody's", repair and not state.freed_blocks)
        )
        if repair and not state.freed_blocks:
            for start, count in runs_of(lost):
                state.blocks.allocator.free(start, count)
