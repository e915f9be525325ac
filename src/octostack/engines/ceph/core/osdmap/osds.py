# SPDX-License-Identifier: Apache-2.0
"""The state of single OSDs in a map."""

from octostack.wire.ceph.maps.osdmap import OSDMap, OSDState

_IS_UP = int(OSDState.EXISTS | OSDState.UP)
IN = 0x10000  # weight of an OSD that is fully in
AFFINITY_DEFAULT = 0x10000  # of an OSD that is a primary as often as any other


def is_known(osdmap: OSDMap, osd: int) -> bool:
    """Whether this OSD exists."""
    return 0 <= osd < osdmap.max_osd and bool(osdmap.osd_state[osd] & OSDState.EXISTS)


def is_up(osdmap: OSDMap, osd: int) -> bool:
    """Whether it exists and is up."""
    return 0 <= osd < osdmap.max_osd and int(osdmap.osd_state[osd]) & _IS_UP == _IS_UP


def is_in(osdmap: OSDMap, osd: int) -> bool:
    """Whether it exists and takes any data."""
    return is_known(osdmap, osd) and osdmap.osd_weight[osd] != 0


def list_known(osdmap: OSDMap) -> list[int]:
    """All OSDs that exist."""
    return [osd for osd in range(osdmap.max_osd) if osdmap.osd_state[osd] & OSDState.EXISTS]


def affinity(osdmap: OSDMap, osd: int) -> int:
    """How readily it becomes a primary, of 0x10000."""
    return osdmap.primary_affinity[osd] if osdmap.primary_affinity else AFFINITY_DEFAULT


def is_destroyed(osdmap: OSDMap, osd: int) -> bool:
    """Whether its number is kept for a successor, and its data is gone."""
    return is_known(osdmap, osd) and bool(osdmap.osd_state[osd] & OSDState.DESTROYED)
