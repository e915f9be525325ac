# SPDX-License-Identifier: Apache-2.0
"""Where an item of the CRUSH map is: the buckets above it."""

from octostack.wire.ceph.maps.crush import Bucket, CrushMap


def above(crush: CrushMap, item: int) -> list[Bucket]:
    """The buckets that an item is in, the nearest first; shadows of device classes are none."""
    found: list[Bucket] = []
    while True:
        bucket = next(
            (
                one
                for one in crush.buckets
                if one and item in one.items and "~" not in crush.names.get(one.id, "")
            ),
            None,
        )
        if bucket is None:
            return found
        found.append(bucket)
        item = bucket.id


def of(crush: CrushMap, item: int) -> dict[str, str]:
    """``{"root": "default", "host": "vm"}``: names by type, from the top."""
    return {
        crush.type_names.get(bucket.type, ""): crush.names.get(bucket.id, "")
        for bucket in reversed(above(crush, item))
    }


def text(crush: CrushMap, item: int) -> str:
    """``root=default,host=vm``."""
    return ",".join(f"{kind}={name}" for kind, name in of(crush, item).items())


def subtree(crush: CrushMap, osd: int, level: str) -> str:
    """The bucket of that type an OSD is in; itself where there is none."""
    return of(crush, osd).get(level, f"osd.{osd}")
