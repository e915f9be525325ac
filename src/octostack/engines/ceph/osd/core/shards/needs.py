# SPDX-License-Identifier: Apache-2.0
"""Bytes that must be read from other shards before a request can be decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from octostack.wire.ceph.objects import HObject

if TYPE_CHECKING:
    from octostack.engines.ceph.osd.core.shards.layout import Layout


class NeedsData(Exception):
    """These stripes must be read before it can go on."""

    def __init__(self, what: HObject, first: int, count: int) -> None:
        super().__init__(f"stripes {first}+{count} of {what}")
        self.what = what
        self.first = first
        self.count = count


def read_stripes(
    layout: Layout, what: HObject, span: tuple[int, int], read: Mapping[Any, Any]
) -> bytes:
    """Bytes of an object from the first to the last of `span`. Raises NeedsData."""
    start, end = span
    if start >= end:
        return b""
    numbers = covering(layout.width, start, end - start)
    missing = [number for number in numbers if (what, number) not in read]
    if missing:
        raise NeedsData(what, missing[0], missing[-1] - missing[0] + 1)
    whole = b"".join([read[what, number] for number in numbers])
    skipped = numbers[0] * layout.width
    return whole[start - skipped : end - skipped]


def covering(width: int, offset: int, length: int) -> range:
    """The stripes of so many bytes that a range touches."""
    return range(offset // width, -(-(offset + length) // width)) if length else range(0)
