# SPDX-License-Identifier: Apache-2.0
"""The superblocks: where everything else begins. Two, written in turn; the newer whole one counts.

A change of what is on the disk raises `FORMAT`. Older ones are read, and have ours once they were
opened; a store of a newer one is refused and left alone.

1. The first.
2. Blocks that several objects share (`shares`), and what is in each collection beside its bits.
"""

import struct

import google_crc32c
import msgspec

from octostack.base.errors import Corrupt, Unsupported
from octostack.engines.ceph.osd.objectstore.block.allocator import Run
from octostack.engines.ceph.osd.objectstore.block.keys import BLOCK
from octostack.engines.ceph.osd.objectstore.block.tables import TableFacts, read_runs
from octostack.runtime.device import Data, Device

FORMAT = 2
MAGIC = b"octostack object store\n\0"
SUPERBLOCKS = 2
_HEAD = struct.Struct("<24sIII")  # magic, format, length of the body, crc of it
SIZE_MIN = 4 << 20


class Superblock(msgspec.Struct, array_like=True):
    """One state of the store: as of a checkpoint."""

    generation: int
    store: int  # drawn when the store was made
    size: int
    journal_start: int
    journal_size: int
    journal_offset: int  # of the first frame that is not in the tables
    journal_number: int
    manifest: list[Run]
    manifest_length: int
    manifest_sum: int


class Manifest(msgspec.Struct, array_like=True):
    """What a checkpoint keeps beside its tables."""

    tables: list[TableFacts]  # newest first
    free: list[Run]  # but for the blocks of the tables and of the manifest
    next_number: int


_encoder = msgspec.msgpack.Encoder()
_superblock_decoder = msgspec.msgpack.Decoder(Superblock)
_manifest_decoder = msgspec.msgpack.Decoder(Manifest)


def journal_size(size: int) -> int:
    """Of the ring of a new store: a sixteenth of the disk, at most 64 MiB."""
    return min(64 << 20, size // 16) // BLOCK * BLOCK


def write_superblock(device: Device, block: Superblock) -> None:
    """Put it in its turn, and sync."""
    body = _encoder.encode(block)
    data = _HEAD.pack(MAGIC, FORMAT, len(body), google_crc32c.value(body)) + body
    assert len(data) <= BLOCK
    device.write(block.generation % SUPERBLOCKS * BLOCK, [data.ljust(BLOCK, b"\0")])
    device.sync()


def read_superblock(device: Device) -> tuple[Superblock | None, int]:
    """The newest whole one and its format; None when the disk has never held a store.

    A store that was made has both; where one has never been written, nothing was ever kept.
    Raises Unsupported for a newer format, Corrupt when neither is whole.
    """
    found: list[tuple[Superblock, int]] = []
    written = 0
    for number in range(SUPERBLOCKS):
        data = device.read(number * BLOCK, BLOCK)
        magic, version, length, crc = _HEAD.unpack_from(data)
        written += any(data)
        if magic != MAGIC:
            continue
        body = data[_HEAD.size : _HEAD.size + length]
        if google_crc32c.value(body) != crc:
            continue
        if version > FORMAT:
            what = f"The store has format {version}; this program knows {FORMAT}."
            raise Unsupported(what, code="objectstore.format")
        found.append((_superblock_decoder.decode(body), version))
    if not found and written == SUPERBLOCKS:
        raise Corrupt("No superblock is whole.", code="objectstore.superblock")
    return max(found, key=lambda pair: pair[0].generation, default=(None, FORMAT))


def encode_manifest(manifest: Manifest) -> bytes:
    """As it lies in its blocks."""
    return _encoder.encode(manifest)


def read_manifest(device: Device, block: Superblock) -> Manifest:
    """Raises Corrupt."""
    data = read_runs(device, block.manifest, 0, block.manifest_length)
    if google_crc32c.value(data) != block.manifest_sum:
        raise Corrupt("The manifest is damaged.", code="objectstore.manifest")
    return _manifest_decoder.decode(data)


def write_runs(device: Device, runs: list[Run], data: Data) -> None:
    """Put `data` into blocks; the last one is filled with zeros."""
    view = memoryview(data)
    at = 0
    for start, count in runs:
        some = view[at : at + count * BLOCK]
        device.write(start * BLOCK, [some, bytes(-len(some) % BLOCK)])
        at += len(some)


def blocks_for(length: int) -> int:
    """How many blocks hold so many bytes."""
    return -(-length // BLOCK)


def checksum(data: bytes) -> int:
    """CRC-32C."""
    found: int = google_crc32c.value(data)
    return found
