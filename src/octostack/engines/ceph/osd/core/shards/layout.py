# SPDX-License-Identifier: Apache-2.0
"""Stripes: an object's bytes go round k shards, a unit to each; the last stripe is filled up with
zeros. m further shards have a unit of parity for each stripe."""

from collections.abc import Iterable, Mapping

import msgspec

from octostack.engines.ceph.core.codes.code import Code
from octostack.engines.ceph.core.codes.digest import digest
from octostack.engines.ceph.core.codes.matrices import parity_rows
from octostack.engines.ceph.osd.core.shards.parity import list_odd
from octostack.engines.ceph.osd.objectstore.api import Data

UNIT = 4096


class Layout(msgspec.Struct, frozen=True):
    """The code of a pool, and how many bytes go to a shard at a time."""

    code: Code
    unit: int = UNIT

    @property
    def k(self) -> int:
        """Shards of data."""
        return self.code.k

    @property
    def count(self) -> int:
        """All shards."""
        return self.code.k + self.code.m

    @property
    def width(self) -> int:
        """Bytes of an object in a stripe."""
        return self.code.k * self.unit

    def stripes(self, size: int) -> int:
        """How many stripes an object of that size has."""
        return -(-size // self.width)

    def shard_size(self, size: int) -> int:
        """How many bytes each shard has of such an object."""
        return self.stripes(size) * self.unit

    def split(self, stripes: Data) -> list[bytes]:
        """Whole stripes, one after another, as the bytes of each shard."""
        unit, k = self.unit, self.k
        view = memoryview(stripes)
        starts = range(0, len(view), self.width)
        data = [
            b"".join([view[at + n * unit : at + (n + 1) * unit] for at in starts]) for n in range(k)
        ]
        return data + self.code.encode(data)

    def join(self, pieces: Mapping[int, Data]) -> bytes:
        """The reverse, from any k shards."""
        found = self.code.decode(pieces, range(self.k))
        units: list[bytes] = []
        for at in range(0, len(found[0]), self.unit):
            units += [found[n][at : at + self.unit] for n in range(self.k)]
        return b"".join(units)

    def rebuild(self, pieces: Mapping[int, Data], shard: int) -> bytes:
        """What one shard has, from any k others."""
        return self.code.decode(pieces, (shard,))[shard]

    def digest(self, parts: Iterable[Data]) -> bytes:
        """Of what a shard has: such that `list_odd` can tell."""
        return digest(parts)

    def list_odd(self, digests: Mapping[int, bytes]) -> frozenset[int]:
        """Shards that do not fit the others."""
        return list_odd(self.code, digests)


def layout_of(profile: Mapping[str, str], unit: int = UNIT) -> Layout:
    """The layout that a profile asks for. Raises Invalid."""
    k, m = int(profile.get("k", "2")), int(profile.get("m", "2"))
    plugin = profile.get("plugin", "jerasure")
    technique = profile.get("technique", "reed_sol_van")
    return Layout(Code(k, m, parity_rows(plugin, technique, k, m)), unit)
