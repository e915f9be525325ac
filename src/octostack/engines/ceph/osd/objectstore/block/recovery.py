# SPDX-License-Identifier: Apache-2.0
"""The store's state in memory, and how it comes off the disk: superblock, tables, journal."""

from octostack.base import clock
from octostack.base.errors import Invalid
from octostack.engines.ceph.osd.objectstore.block import keys, layout
from octostack.engines.ceph.osd.objectstore.block.allocator import Allocator, Run
from octostack.engines.ceph.osd.objectstore.block.blocks import Batch, Blocks
from octostack.engines.ceph.osd.objectstore.block.journal import Frame, Journal, Position
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK
from octostack.engines.ceph.osd.objectstore.block.metadata import Metadata
from octostack.engines.ceph.osd.objectstore.block.shares import Shares
from octostack.engines.ceph.osd.objectstore.block.tables import Table
from octostack.runtime.device import Device


class State:
    """All that the store knows; its parts say how it is used."""

    def __init__(self, device: Device, superblock: layout.Superblock) -> None:
        self.device = device
        self.superblock = superblock
        self.metadata = Metadata()
        self.blocks = Blocks(device, Shares(self.metadata.get, self.set))
        self.journal = Journal(
            device, superblock.journal_start, superblock.journal_size, superblock.store
        )
        self._measured: tuple[list[Table], int] = (
            [],
            0,
        )  # tables, blocks of metadata
        self.next_number = 1
        self.unsettled = 0  # blocks freed in batches that are not durable yet, or held back

    def set(self, key: bytes, value: bytes | None) -> None:
        """Change the metadata, in memory and in the open batch."""
        self.metadata.set(key, value)
        batch = self.blocks.batch
        batch.changes[key] = value
        batch.weight += len(key) + len(value or b"") + 8

    def new_number(self) -> int:
        """For a new object."""
        self.next_number += 1
        return self.next_number - 1

    @property
    def freed_blocks(self) -> int:
        """Blocks that will be free as soon as what is queued is durable."""
        return self.unsettled + self.blocks.batch.freed_blocks

    @property
    def data_blocks(self) -> int:
        """Blocks that objects have."""
        used = self.device.size // BLOCK - layout.SUPERBLOCKS - self.journal.size // BLOCK
        used -= self.blocks.allocator.free_blocks + self.freed_blocks
        return used - self.metadata_blocks

    @property
    def metadata_blocks(self) -> int:
        """Blocks of the tables and the manifest: others once there are other tables."""
        tables = self.metadata.tables
        if self._measured[0] is not tables:
            blocks = sum(table.size for table in tables) // BLOCK
            blocks += sum(count for _, count in self.superblock.manifest)
            self._measured = (tables, blocks)
        return self._measured[1]

    def reserve(self) -> int:
        """Blocks kept free, so that the metadata can always be written anew and merged."""
        changed = (2 * self.journal.size // BLOCK) // 4
        return changed + 2 * self.metadata_blocks + 64


async def open_state(device: Device) -> State:
    """The store as it was durable. Raises Corrupt, Unsupported, Invalid."""
    superblock, version = layout.read_superblock(device)
    if superblock is None:
        superblock = _make(device)
    elif version < layout.FORMAT:
        # what is written from now on, an older program would not understand
        superblock.generation += 1
        layout.write_superblock(device, superblock)
    state = State(device, superblock)
    manifest = layout.read_manifest(device, superblock)
    blocks, metadata = state.blocks, state.metadata
    blocks.allocator = Allocator(sorted(manifest.free))
    metadata.tables = [Table.open(device, facts, metadata.cache) for facts in manifest.tables]
    for facts in manifest.tables:
        _reserve(blocks.allocator, facts.runs)
    _reserve(blocks.allocator, superblock.manifest)
    state.next_number = manifest.next_number
    begin = Position(superblock.journal_offset, superblock.journal_number)
    over: dict[int, bytes] = {}
    for frame in state.journal.replay(begin):
        _redo(state, frame, over)
    for place, content in over.items():
        device.write(place * BLOCK, [content])
    device.sync()
    blocks.batch = Batch()
    blocks.shares.any = any(metadata.pairs(keys.SHARES, bytes([keys.SHARES[0] + 1])))
    return state


def _make(device: Device) -> layout.Superblock:
    """A new store: an empty manifest behind the journal, and both superblocks."""
    size = device.size // BLOCK * BLOCK
    if size < layout.SIZE_MIN:
        raise Invalid(f"A store needs {layout.SIZE_MIN} bytes.", code="objectstore.too_small")
    start = layout.SUPERBLOCKS * BLOCK
    ring = layout.journal_size(size)
    first = (start + ring) // BLOCK
    free: list[Run] = [(first, size // BLOCK - first)]
    data = layout.encode_manifest(layout.Manifest([], free, 1))
    runs: list[Run] = [(first, 1)]
    layout.write_runs(device, runs, data)
    store = int.from_bytes(clock.token_bytes(8), "little")
    superblock = layout.Superblock(
        1, store, size, start, ring, 0, 1, runs, len(data), layout.checksum(data)
    )
    device.sync()
    layout.write_superblock(device, superblock)
    superblock.generation = 2
    layout.write_superblock(device, superblock)
    return superblock


def _redo(state: State, frame: Frame, over: dict[int, bytes]) -> None:
    """Do a frame again. What lies where a later frame wrote straight must not be put over it."""
    allocator = state.blocks.allocator
    for key, value in frame.changes.items():
        state.metadata.set(key, value)
    for place in frame.straight:
        over.pop(place, None)
    over.update(frame.over)
    _reserve(allocator, frame.taken)
    for start, count in frame.freed:
        allocator.free(start, count)
    state.next_number = frame.next_number


def _reserve(allocator: Allocator, runs: list[Run]) -> None:
    for start, count in runs:
        allocator.reserve(start, count)
