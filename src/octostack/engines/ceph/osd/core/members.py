# SPDX-License-Identifier: Apache-2.0
"""Who has a copy of a group: an OSD, and of an erasure-coded group the shard that it has.

Both stand in one number, so that what copies agree upon knows no difference. In a replicated group
(shard -1) it is the number of the OSD itself.
"""

from collections.abc import Sequence

_BITS = 20
_NOBODY = 0x7FFFFFFF


def member_of(osd: int, shard: int) -> int:
    """The copy that an OSD has."""
    return osd if osd < 0 else (shard + 1) << _BITS | osd


def osd_of(member: int) -> int:
    """The OSD of a copy."""
    return member if member < 0 else member & (1 << _BITS) - 1


def shard_of(member: int) -> int:
    """The shard of a copy; -1: all of it."""
    return (max(member, 0) >> _BITS) - 1


def members_of(places: Sequence[int]) -> tuple[int, ...]:
    """The shards of the OSDs that stand in these places; a hole is none."""
    return tuple(member_of(osd, n) for n, osd in enumerate(places) if osd != _NOBODY)


def places_of(members: Sequence[int], size: int) -> tuple[int, ...]:
    """The reverse, with so many places."""
    by_shard = {shard_of(member): osd_of(member) for member in members}
    return tuple(by_shard.get(shard, _NOBODY) for shard in range(size))
