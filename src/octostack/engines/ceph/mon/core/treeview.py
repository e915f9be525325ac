# SPDX-License-Identifier: Apache-2.0
"""The CRUSH tree with its OSDs, as several commands show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from octostack.engines.ceph.core.osdmap import osds
from octostack.wire.ceph.maps.crush import ONE, Bucket, CrushMap

if TYPE_CHECKING:
    from octostack.wire.ceph.maps.osdmap import OSDMap


class Node(msgspec.Struct, frozen=True):
    """A bucket or an OSD, and how deep below its root it is."""

    id: int
    weight: int  # fixed point, 0x10000 is 1
    depth: int
    bucket: Bucket | None = None


def roots(crush: CrushMap, *, shadow: bool = False) -> list[int]:
    """Buckets that are in no other; those that stand for one device class only with `shadow`."""
    held = {item for bucket in crush.buckets if bucket for item in bucket.items}
    found = [bucket.id for bucket in crush.buckets if bucket and bucket.id not in held]
    if not shadow:
        found = [item for item in found if not is_shadow(crush, item)]
    return sorted(found, reverse=not shadow)


def is_shadow(crush: CrushMap, item: int) -> bool:
    """Whether a bucket is another's copy for one device class."""
    return "~" in crush.names.get(item, "")


def walk(crush: CrushMap, starts: list[int]) -> list[Node]:
    """The trees below `starts`, parents first; OSDs of a bucket by number."""
    found: list[Node] = []

    def visit(item: int, weight: int, depth: int) -> None:
        bucket = crush.find_bucket(item) if item < 0 else None
        found.append(Node(item, bucket.weight if bucket else weight, depth, bucket))
        if bucket is None:
            return
        pairs = zip(bucket.items, bucket.weights, strict=True)
        for child, of_child in sorted(pairs, key=lambda pair: (pair[0] < 0, abs(pair[0]))):
            visit(child, of_child, depth + 1)

    for start in starts:
        visit(start, 0, 0)
    return found


def strays(map_: OSDMap) -> list[int]:
    """OSDs that are in no bucket."""
    placed = {item for bucket in map_.crush.buckets if bucket for item in bucket.items}
    return [osd for osd in osds.list_known(map_) if osd not in placed]


def class_of(crush: CrushMap, item: int) -> str:
    """The device class of an OSD, or of a shadow; empty without one."""
    if item < 0:
        return crush.names.get(item, "").partition("~")[2]
    return crush.class_names.get(crush.classes.get(item, -1), "")


def name_of(crush: CrushMap, item: int) -> str:
    """Its name."""
    return crush.names.get(item, f"osd.{item}" if item >= 0 else "")


def view(map_: OSDMap, node: Node) -> dict[str, Any]:
    """What all these commands show of a node."""
    crush = map_.crush
    found: dict[str, Any] = {"id": node.id}
    kind = class_of(crush, node.id)
    if kind:
        found["device_class"] = kind
    found["name"] = name_of(crush, node.id)
    if node.bucket is not None:
        number = node.bucket.type
        found |= {"type": crush.type_names.get(number, ""), "type_id": number}
        if node.depth:
            found["pool_weights"] = {}
        return found
    weight = node.weight / ONE
    found |= {"type": "osd", "type_id": 0, "crush_weight": _whole(weight), "depth": node.depth}
    found["pool_weights"] = {}
    return found


def children(node: Node) -> list[int]:
    """Those below a bucket, in the order of Ceph's dump."""
    assert node.bucket is not None
    return sorted(node.bucket.items, key=lambda item: (item >= 0, -item if item >= 0 else item))


def _whole(number: float) -> float:
    return int(number) if number == int(number) else number


def of_osd(map_: OSDMap, osd: int) -> dict[str, Any]:
    """What `osd tree` tells of an OSD."""
    state = "up" if osds.is_up(map_, osd) else "down"
    if osds.is_destroyed(map_, osd):
        state = "destroyed"
    return {
        "exists": int(osds.is_known(map_, osd)),
        "status": state,
        "reweight": _whole(map_.osd_weight[osd] / ONE),
        "primary_affinity": _whole(osds.affinity(map_, osd) / osds.AFFINITY_DEFAULT),
    }


def label(map_: OSDMap, node: Node) -> str:
    """The last column for people: indented by depth, a bucket with its type."""
    name = name_of(map_.crush, node.id)
    if node.bucket is not None:
        name = f"{map_.crush.type_names.get(node.bucket.type, '')} {name}"
    return "    " * node.depth + name
