# SPDX-License-Identifier: Apache-2.0
"""The map of monitors (version 9)."""

import uuid

import msgspec

from octostack.wire.ceph.addresses import Addresses
from octostack.wire.ceph.codec import Malformed, Reader, Writer
from octostack.wire.ceph.maps import fields as f
from octostack.wire.ceph.maps.fields import Field, Kind

FEATURES_PACIFIC = 0xFF  # what monitors of release 16 have agreed on for good
CLASSIC, DISALLOW, CONNECTIVITY = 1, 2, 3  # election strategies


class MonInfo(msgspec.Struct, frozen=True):
    """One monitor."""

    name: str
    addresses: Addresses = ()
    priority: int = 0
    weight: int = 0
    crush_location: dict[str, str] = msgspec.field(default_factory=dict)


class MonMap(msgspec.Struct, frozen=True):
    """All monitors; the position in `ranks` is a monitor's rank. Times are nanoseconds."""

    fsid: uuid.UUID = uuid.UUID(int=0)
    epoch: int = 0
    changed: int = 0
    created: int = 0
    persistent_features: int = 0
    optional_features: int = 0
    monitors: dict[str, MonInfo] = msgspec.field(default_factory=dict)
    ranks: tuple[str, ...] = ()
    min_mon_release: int = 16
    removed_ranks: frozenset[int] = frozenset()
    election_strategy: int = CLASSIC
    disallowed_leaders: frozenset[str] = frozenset()
    stretch_mode_enabled: bool = False
    tiebreaker: str = ""
    stretch_marked_down: frozenset[str] = frozenset()

    def find_rank(self, name: str) -> int | None:
        """The rank of a monitor of this name."""
        return self.ranks.index(name) if name in self.ranks else None


def _read_features(r: Reader) -> int:
    with r.versioned(1):
        return r.u64()


def _write_features(w: Writer, features: int) -> None:
    with w.versioned(1, 1):
        w.u64(features)


_FEATURES = Kind(_read_features, _write_features, 14)
_INFO = f.struct(
    MonInfo,
    (
        Field("name", f.STRING),
        Field("addresses", f.ADDRESSES),
        Field("priority", f.U16),
        Field("weight", f.U16),
        Field("crush_location", f.mapping(f.STRING, f.STRING), 5),
    ),
    5,
    1,
)
_FIELDS = (
    Field("fsid", f.UUID),
    Field("epoch", f.U32),
    Field("changed", f.UTIME),
    Field("created", f.UTIME),
    Field("persistent_features", _FEATURES),
    Field("optional_features", _FEATURES),
    Field("monitors", f.mapping(f.STRING, _INFO)),
    Field("ranks", f.vector(f.STRING)),
    Field("min_mon_release", f.U8, 7),
    Field("removed_ranks", f.set_of(f.U32), 8),
    Field("election_strategy", f.U8, 8),
    Field("disallowed_leaders", f.set_of(f.STRING), 8),
    Field("stretch_mode_enabled", f.BOOL, 9),
    Field("tiebreaker", f.STRING, 9),
    Field("stretch_marked_down", f.set_of(f.STRING), 9),
)


def decode(data: bytes | memoryview) -> MonMap:
    """A map from its blob. Raises Malformed."""
    r = Reader(data)
    with r.versioned(9) as version:
        if version < 6:
            raise Malformed(f"a monitor map of version {version}, from before release 14")
        return MonMap(**f.read_fields(r, version, _FIELDS))


def encode(monmap: MonMap) -> bytes:
    """The blob of a map."""
    w = Writer()
    with w.versioned(9, 6):
        f.write_fields(w, 9, _FIELDS, monmap)
    return w.done()
