# SPDX-License-Identifier: Apache-2.0
"""What a group must know of its pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from octostack.engines.ceph.osd.core.shards.layout import Layout


class PoolFacts(msgspec.Struct, frozen=True):
    """What a group must know of its pool."""

    pg_num: int = 1
    snap_seq: int = 0
    snaps: tuple[int, ...] = ()  # of the pool itself, newest first
    own_snaps: bool = False  # the pool's snapshots count, not those of the request
    removed_snaps: frozenset[int] = frozenset()  # the same object while they are the same
    may_trim: bool = True  # what is only there for removed snapshots
    layout: Layout | None = None  # of an erasure-coded pool
    overwrites: bool = True  # else bytes come to be by whole writes and whole-stripe appends only

    @property
    def append_bytes(self) -> int:
        """What an append must begin at a multiple of; 0: bytes may be written anywhere."""
        return 0 if self.overwrites or self.layout is None else self.layout.width
