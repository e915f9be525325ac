# SPDX-License-Identifier: Apache-2.0
"""What the metadata's keys and values look like.

    C collection                    -> bits, and what is in it
    O collection, object            -> onode: its number, size, attributes, omap header
    D number, chunk                 -> where 256 KiB of the object lie, and their checksums
    M number, key                   -> a value of the omap
    R page                          -> of 256 blocks, how many objects more than one have each

Keys sort as what they name: collections together, their objects by `HObject.sort_key`.
"""

import struct
from array import array
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from octostack.engines.ceph.osd.objectstore.api import META, Usage
from octostack.wire.ceph.objects import PG, HObject, ShardPG, reverse_bits

if TYPE_CHECKING:
    Words: TypeAlias = array[int]
else:  # before Python 3.12 an array's type takes no parameter
    Words = array

BLOCK = 4096
CHUNK_BLOCKS = 64
CHUNK = BLOCK * CHUNK_BLOCKS

_COLLECTION = struct.Struct(">QIb")
_OBJECT = struct.Struct(">QI")
_DATA = struct.Struct(">cQI")
_OMAP = struct.Struct(">cQ")
_POOL_OFFSET = 1 << 63
_CACHED_COLLECTIONS, _CACHED_OBJECTS = 1024, 256

_SHARES = struct.Struct(">cI")
_FACTS = struct.Struct("<BQQQ")

COLLECTIONS, OBJECTS, CHUNKS, OMAPS, SHARES = b"C", b"O", b"D", b"M", b"R"


class Onode(msgspec.Struct, array_like=True):
    """An object, apart from where its bytes lie."""

    number: int
    size: int = 0
    attrs: dict[bytes, bytes] = {}
    header: bytes = b""
    has_omap: bool = False


class Chunk:
    """Where 64 blocks of an object lie (0: a hole) and the checksum of each."""

    __slots__ = ("places", "sums")

    def __init__(self, places: Words | None = None, sums: Words | None = None) -> None:
        self.places = places if places is not None else array("I", bytes(4 * CHUNK_BLOCKS))
        self.sums = sums if sums is not None else array("I", bytes(4 * CHUNK_BLOCKS))

    def encode(self) -> bytes:
        """Up to the last block that is no hole; empty when there is none."""
        places = self.places.tobytes()
        size = -(-len(places.rstrip(b"\0")) // 4) * 4
        return places[:size] + self.sums.tobytes()[:size]


def decode_chunk(data: bytes) -> Chunk:
    """The reverse of `Chunk.encode`."""
    rest = bytes(4 * CHUNK_BLOCKS - len(data) // 2)
    half = len(data) // 2
    return Chunk(array("I", data[:half] + rest), array("I", data[half:] + rest))


_onode_encoder = msgspec.msgpack.Encoder()
_onode_decoder = msgspec.msgpack.Decoder(Onode)
encode_onode = _onode_encoder.encode
decode_onode = _onode_decoder.decode


@lru_cache(_CACHED_COLLECTIONS)
def collection_part(where: ShardPG) -> bytes:
    """Sorts as pool, seed, shard."""
    pool = (where.pg.pool + _POOL_OFFSET) & 0xFFFFFFFFFFFFFFFF
    return _COLLECTION.pack(pool, where.pg.seed, where.shard)


def collection_of(part: bytes) -> ShardPG:
    """The reverse."""
    pool, seed, shard = _COLLECTION.unpack(part)
    where = ShardPG(PG(pool - _POOL_OFFSET, seed), shard)
    return META if where == META else where


def encode_facts(bits: int, usage: Usage) -> bytes:
    """A collection's value."""
    return _FACTS.pack(bits, usage.objects, usage.size, usage.clones)


def decode_facts(value: bytes) -> tuple[int, Usage | None]:
    """The reverse. Format 1 had only the bits."""
    if len(value) < _FACTS.size:
        return value[0], None
    bits, *usage = _FACTS.unpack(value)
    return bits, Usage(*usage)


def collection_key(where: ShardPG) -> bytes:
    """Of a collection."""
    return COLLECTIONS + collection_part(where)


def shares_key(page: int) -> bytes:
    """Of a page of shared blocks."""
    return _SHARES.pack(SHARES, page)


def object_part(what: HObject) -> bytes:
    """Sorts as `HObject.sort_key`."""
    if what.is_max:
        return b"\xff" * 16
    return b"".join(
        (
            _OBJECT.pack(what.pool + _POOL_OFFSET, reverse_bits(what.hash)),
            _text(what.namespace),
            _text(what.key or what.name),
            _text(what.name),
            what.snap.to_bytes(8, "big"),
            b"\1" if what.key else b"\0",
        )
    )


def object_of(part: bytes) -> HObject:
    """The reverse."""
    pool, reverse = _OBJECT.unpack_from(part)
    texts, at = [], _OBJECT.size
    for _ in range(3):
        text, at = _untext(part, at)
        texts.append(text)
    snap = int.from_bytes(part[at : at + 8], "big")
    key = texts[1] if part[at + 8] else b""
    return HObject(texts[2], key, snap, reverse_bits(reverse), False, texts[0], pool - _POOL_OFFSET)


@lru_cache(_CACHED_OBJECTS)  # a new one is looked for, then kept
def object_key(where: ShardPG, what: HObject) -> bytes:
    """Of an onode."""
    return OBJECTS + collection_part(where) + object_part(what)


def chunk_key(number: int, chunk: int) -> bytes:
    """Of a chunk of the object with this number."""
    return _DATA.pack(CHUNKS, number, chunk)


def omap_key(number: int, key: bytes) -> bytes:
    """Of an omap's entry."""
    return _OMAP.pack(OMAPS, number) + key


OMAP_KEY_AT = _OMAP.size


def _text(text: bytes) -> bytes:
    """Sorts as the text does, whatever follows."""
    return text.replace(b"\0", b"\0\xff") + b"\0\0"


def _untext(part: bytes, at: int) -> tuple[bytes, int]:
    end = at
    while True:
        end = part.index(b"\0", end)
        if part[end + 1] == 0:
            return part[at:end].replace(b"\0\xff", b"\0"), end + 2
        end += 2
